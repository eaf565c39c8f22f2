"""How open every run's masks are."""

from mam_keras.report.blocks import Column, Missing, Section, Table
from mam_keras.study.results import MASKS
from mam_keras.study.view import ONE_SEED

TITLE = "Masks"
_COLUMNS = {
    "mean": Column("mean", "number", 4),
    "near_zero": Column("near 0", "percent"),
    "near_half": Column("near 0.5", "percent"),
    "near_one": Column("near 1", "percent"),
    "masked_share": Column("due to masks", "percent"),
}


def section(view):
    reading = (
        "A mask says how far a channel of the features is let through at a position: 0 shut, 1 open. Due to masks: the "
        "share of what reaches the logits that would be gone if every mask were 0."
    )
    runs = view.having("masks")
    if not runs:
        return Section("masks", TITLE, "", reading, (Missing("No run has masks."),))
    columns = (Column("run"), *(_COLUMNS[name] for name in MASKS))
    rows = tuple((view.name(one), *(one["masks"][name] for name in MASKS)) for one in runs)
    caption = "Mask values of every run on the test images, over attributes, channels, positions and images."
    note = f"Near 0 is under 0.1, near 0.5 from 0.4 to 0.6, near 1 at least 0.9. {ONE_SEED}"
    return Section("masks", TITLE, "", reading, (Table("masks", caption, columns, rows, note),), tuple(_summary(view)))


def _summary(view):
    for one in view.shown:
        if one["masks"]:
            yield (
                f"{one['run']}: mask values are {one['masks']['mean']:.2g} on average, "
                f"{100 * one['masks']['near_zero']:.1f} % of them under 0.1."
            )
