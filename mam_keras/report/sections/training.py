"""How training went: the loss and its weighted terms, and the accuracy of every head, epoch by epoch."""

from matplotlib.ticker import MaxNLocator

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Column, Figure, Missing, Paragraph, Section, Table

NEEDS = ()
TITLE = "Training"
_TERMS = {  # of the loss, beside the heads' cross-entropies; others are called by their own names
    "mask": "masks, |M|_1",
    "localisation": "maps away from their regions",
    "spread": "spread of learned positions",
}


def section(run, others):
    """From history.csv; `others` are not shown."""
    reading = (
        "Each term of the loss with its weight, as they are added up; solid on the training images (as they came, "
        "while the weights moved), dashed on validation. A dashed curve that rises while the solid one falls is "
        "overfitting; curves that still fall ask for more epochs."
    )
    answers = "1904.13078, equation 6" if run.config.model.system == "masked" else ""
    history = run.history
    if not history:
        blocks = [Missing("No epoch has been finished yet, so there is no curve to show.")]
        return Section("training", TITLE, answers, reading, tuple(blocks))
    blocks = [Paragraph(_state(run) + _cost(run)), _losses(run), _accuracy(run), _table(run)]
    if "val_loss" not in history[0]:
        own = (run.trained_with or run.config).data
        why = "they were trained on (data.train_on_validation)" if own.train_on_validation else "none"
        blocks.insert(1, Missing(f"There are no curves of validation images: {why}."))
    return Section("training", TITLE, answers, reading, tuple(blocks))


def _heads(row):
    """The names of the heads that a row of the history is about."""
    return [name.removesuffix("_accuracy") for name in row if name.endswith("_accuracy") and name[:4] != "val_"]


def _exclusive(run):
    return run.targets is not None and run.targets.exclusive


def _terms(run):
    """{column of the history: what it is}: the loss, and the terms that it is the sum of."""
    row = run.history[0]
    names = [name.removesuffix("_loss") for name in row if name.endswith("_loss") and name[:4] != "val_"]
    heads = _heads(row)
    titles = {name: _TERMS.get(name, name.replace("_", " ")) for name in names}
    titles |= {name: wording.head(name, _exclusive(run)) for name in names if name in heads}
    return {"loss": "all terms together"} | {f"{name}_loss": title for name, title in titles.items()}


def _kept(run):
    """The row of the epoch whose weights the model has."""
    if run.config.training.early_stopping is None:
        return run.history[-1]
    return min(run.history, key=lambda row: row["val_loss"])


def _state(run):
    done, wanted = len(run.history), run.config.training.epochs
    if run.evaluation is None:
        return f"Training is not finished: {done} of {wanted} epochs."
    speed = sorted(row["images_per_second"] for row in run.history)[done // 2]
    text = f"{done} of {wanted} epochs, {speed:,.0f} images a second in the median epoch."
    if run.config.training.early_stopping is not None:
        text += (
            f" The model has the weights of epoch {_kept(run)['epoch']:.0f}, which has the lowest loss on validation."
        )
    return text


def _cost(run):
    if "cost" not in run.results:
        return ""
    cost = run.results["cost"].values
    return (
        f" {cost['parameters']:,} parameters were trained. In batches of {cost['batch']} an image is answered in "
        f"{cost['answered']:.2f} ms, as measured beside whatever else the machine did."
    )


def _losses(run):
    history, terms = run.history, _terms(run)
    rows = -(-len(terms) // 2)
    canvas, grid = figures.canvas(6.4, 1.7 * rows + 0.3, nrows=rows, ncols=2, squeeze=False)
    for axes in grid.flat[len(terms) :]:
        axes.set_axis_off()
    for axes, (name, title) in zip(grid.flat, terms.items(), strict=False):
        _curve(axes, history, name, figures.COLORS[0])
        axes.set_title(title, parse_math=False)
        axes.set_ylim(bottom=0)
    for axes in grid.flat[max(0, len(terms) - 2) : len(terms)]:
        axes.set_xlabel("epoch")
    final = ", ".join(f"{title} {history[-1][name]:.3g}" for name, title in terms.items())
    return Figure(
        "training-losses",
        figures.svg(canvas, "training-losses"),
        "The loss and its weighted terms: training (solid) and validation (dashed).",
        f"After {len(history)} epochs, on training images: {final}.",
    )


def _accuracy(run):
    history, exclusive = run.history, _exclusive(run)
    canvas, (left, right) = figures.canvas(6.4, 2.2, ncols=2)
    heads = {f"{name}_accuracy": wording.head(name, exclusive) for name in _heads(history[0])}
    for (name, title), color in zip(heads.items(), figures.COLORS, strict=False):
        _curve(left, history, name, color, title, scale=100)
    left.set_title("accuracy, %")
    left.legend()
    _curve(right, history, "learning_rate", figures.COLORS[2])
    right.set_title("learning rate at the epoch's end")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("epoch")
    final = ", ".join(f"{title} {100 * history[-1][name]:.1f} %" for name, title in heads.items())
    return Figure(
        "training-accuracy",
        figures.svg(canvas, "training-accuracy"),
        f"{'Top-1 accuracy' if exclusive else 'Mean accuracy over attributes'}, training (solid) and validation "
        "(dashed), and the learning rate.",
        f"After {len(history)} epochs, on training images: {final}.",
    )


def _curve(axes, history, name, color, label=None, scale=1):
    epochs = [row["epoch"] for row in history]
    for column, style in ((name, "-"), (f"val_{name}", "--")):
        if column in history[0]:
            values = [scale * row[column] for row in history]
            marker = "." if len(history) == 1 else ""
            axes.plot(epochs, values, style, marker=marker, color=color, label=label if column == name else None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _table(run):
    row, loss = _kept(run), run.config.loss
    keys = {f"{name}_loss": key for name, key in loss.WEIGHTS.items()}
    return Table(
        "training-terms",
        f"The terms of the loss in epoch {row['epoch']:.0f}, with their weights.",
        (Column("term"), Column("weight"), Column("training", "number", 4), Column("validation", "number", 4)),
        tuple(
            (title, _weight(loss, keys[name]) if name in keys else None, row[name], row.get(f"val_{name}"))
            for name, title in _terms(run).items()
        ),
    )


def _weight(loss, key):
    return f"{key.rstrip('_')} = {getattr(loss, key):g}"
