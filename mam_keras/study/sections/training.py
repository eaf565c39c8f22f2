"""How every run's training went: accuracy on validation, epoch by epoch."""

from matplotlib.ticker import MaxNLocator

from mam_keras.report import figures
from mam_keras.report.blocks import Figure, Missing, Section

TITLE = "Training"


def section(view):
    reading = "Curves that still rise ask for more epochs than the study gave its runs."
    curves = {one["run"]: curve for one in view.done if (curve := _curve(view.histories[one["run"]]))}
    if not curves:
        return Section("training", TITLE, "", reading, (Missing("No run left a history of its training."),))
    canvas, axes = figures.canvas(7.2, 3.2 + 0.18 * (len(curves) // 3))
    for one in view.done:
        if one["run"] in curves:
            color, dash, width = view.look(one)
            epochs, values = zip(*curves[one["run"]], strict=True)
            marker = "." if len(epochs) == 1 else ""
            axes.plot(epochs, values, dash, color=color, linewidth=width, marker=marker, label=view.name(one))
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.legend(loc="outside lower center", ncols=3, fontsize=8)
    final = ", ".join(f"{name} {curve[-1][1]:.1f} %" for name, curve in curves.items())
    caption = "Accuracy of the main head on validation images, after every epoch."
    figure = Figure(
        "training-curves", figures.svg(canvas, "training-curves"), caption, f"After the last epoch: {final}."
    )
    return Section("training", TITLE, "", reading, (figure,))


def _curve(history):
    """[(epoch, percent)], empty where there is none."""
    names = history[0] if history else ()
    column = next((name for name in names if name.startswith("val_") and name.endswith("_accuracy")), None)  # main head
    return [] if column is None else [(row["epoch"], 100 * row[column]) for row in history]
