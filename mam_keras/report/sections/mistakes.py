"""The most confident errors, as pictures."""

from mam_keras.evaluation import HEADS
from mam_keras.report import figures
from mam_keras.report.blocks import Cell, Column, Gallery, Paragraph, Section, Table

NEEDS = ("mistakes",)
TITLE = "Most confident errors"
LONGEST = 128  # pixels of a picture


def section(run, others):
    """From the analysis `mistakes`; `others` are not shown."""
    result = run.results["mistakes"]
    values = result.values
    reading = (
        "First every attribute's most confident error, the most confident of all first, then every attribute's "
        "second, and so on; an image is shown once. Look for what misleads the model, and for labels that are wrong."
    )
    verb = "is" if values["head"] == "multi_label" else "are"
    total = (
        f"The {HEADS[values['head']]} {verb} wrong in {values['wrong']:,} of {values['answers']:,} answers "
        f"({100 * values['wrong'] / values['answers']:.1f} %)."
    )
    blocks = [Paragraph(total)]
    if values["shown"]:
        blocks += [_gallery(result), _table(result)]
    return Section("mistakes", TITLE, "", reading, tuple(blocks))


def _gallery(result):
    rows = []
    for label, title in ((False, "Answered yes, labelled no"), (True, "Answered no, labelled yes")):
        cells = tuple(
            Cell(
                figures.png(pixels, LONGEST),
                f"{error['attribute']}: {100 * error['probability']:.1f} %",
                f"{error['id']}, labelled {'yes' if label else 'no'} for {error['attribute']}",
            )
            for error, pixels in zip(result.values["shown"], result.arrays["images"], strict=True)
            if error["label"] == label
        )
        if cells:
            rows.append((title, cells))
    return Gallery("mistakes", "Beneath each image: the attribute, and the probability given to it.", tuple(rows))


def _table(result):
    return Table(
        "mistakes-shown",
        "The errors shown.",
        (Column("image"), Column("attribute"), Column("label"), Column("probability of yes", "percent", 2)),
        tuple(
            (error["id"], error["attribute"], "yes" if error["label"] else "no", error["probability"])
            for error in result.values["shown"]
        ),
    )
