"""The most confident errors, as pictures."""

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Cell, Column, Gallery, Paragraph, Section, Table

NEEDS = ("mistakes",)
TITLE = "Most confident errors"
LONGEST = 128  # pixels of a picture


def section(run, others):
    """From the analysis `mistakes`; `others` are not shown."""
    result = run.results["mistakes"]
    values, noun = result.values, wording.target(result.values["exclusive"])
    what = "class that was answered" if values["exclusive"] else noun
    reading = (
        f"First the most confident error of every {what}, the most confident of all first, then the second of every "
        f"{what}, and so on; an image is shown once. Look for what misleads the model, and for labels that are wrong."
    )
    head = wording.head(values["head"], values["exclusive"])
    total = (
        f"The {head} {wording.verb(head)} wrong in {values['wrong']:,} of {values['answers']:,} "
        f"{'images' if values['exclusive'] else 'answers'} ({100 * values['wrong'] / values['answers']:.1f} %)."
    )
    blocks = [Paragraph(total)]
    if values["shown"]:
        blocks += [_gallery(result), _table(result)]
    return Section("mistakes", TITLE, "", reading, tuple(blocks))


def _gallery(result):
    shown = list(zip(result.values["shown"], result.arrays["images"], strict=True))
    if result.values["exclusive"]:
        cells = tuple(
            _cell(error, pixels, f"answered {error['attribute']}, labelled {error['true']}") for error, pixels in shown
        )
        caption = "Beneath each image: the class answered, and the probability given to it."
        return Gallery("mistakes", caption, (("Answered wrongly", cells),))
    rows = []
    for label, title in ((False, "Answered yes, labelled no"), (True, "Answered no, labelled yes")):
        words = f"labelled {'yes' if label else 'no'} for"
        cells = tuple(
            _cell(error, pixels, f"{words} {error['attribute']}") for error, pixels in shown if error["label"] == label
        )
        if cells:
            rows.append((title, cells))
    return Gallery("mistakes", "Beneath each image: the attribute, and the probability given to it.", tuple(rows))


def _cell(error, pixels, words):
    label = f"{error['attribute']}: {100 * error['probability']:.1f} %"
    return Cell(figures.png(pixels, LONGEST, 64), label, f"{error['id']}, {words}")


def _table(result):
    shown = result.values["shown"]
    if result.values["exclusive"]:
        columns = [Column("class answered"), Column("class of the image")]
        columns += [Column(f"probability of {which}", "percent", 2) for which in ("the answer", "the image's class")]
        keys = ("id", "attribute", "true", "probability", "probability_true")
        rows = [tuple(error[key] for key in keys) for error in shown]
    else:
        columns = [Column("attribute"), Column("label"), Column("probability of yes", "percent", 2)]
        rows = [(e["id"], e["attribute"], "yes" if e["label"] else "no", e["probability"]) for e in shown]
    return Table("mistakes-shown", "The errors shown.", (Column("image"), *columns), tuple(rows))
