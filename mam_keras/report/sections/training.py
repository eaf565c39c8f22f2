"""How training went: the weighted terms of equation 6 and both heads' accuracy, epoch by epoch."""

from mam_keras.report import figures
from mam_keras.report.blocks import Figure, Missing, Section

NEEDS = ()
TITLE = "Training"


def section(run, others):
    """From history.csv; `others` are not shown."""
    if not run.history:
        blocks = (Missing("No epoch has been finished yet, so there is no curve to show."),)
    else:
        blocks = (_curves(run.history),)
    reading = "Each term with its weight, as they are added up; a curve that still falls asks for more epochs."
    return Section("training", TITLE, "1904.13078, equation 6", reading, blocks)


def _curves(history):
    epochs = [row["epoch"] for row in history]
    canvas, axes = figures.canvas(6.4, 2.6)
    axes.plot(epochs, [row["loss"] for row in history], color=figures.COLORS[0], label="training")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.legend()
    return Figure(
        "training-loss", figures.svg(canvas, "training-loss"), "Loss per epoch.", f"Loss over {len(epochs)} epochs."
    )
