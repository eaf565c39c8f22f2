"""What the masks look like: how open each channel's mask is for each target, and what each channel adds."""

import math

import numpy as np

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Cell, Column, Figure, Gallery, Missing, Paragraph, Section, Table

NEEDS = ("masks",)
TITLE = "Masks"
_TOP = 3  # channels named in the table, as in 1904.13078, figure 3
_BORDER = (128, 128, 128, 110)  # of a grid's cells
_CELL_WIDTH = 104


def section(run, others):
    """From the analysis `masks`; `others` are not shown."""
    found = run.results["masks"]
    names, arrays, noun = found.values["attributes"], found.arrays, wording.target(run.targets.exclusive)
    common, important = arrays["mean"].shape[1] == 1, "importance" in arrays
    reading = (
        "A mask says how far a channel of the features is let through at a position: 0 shut, 1 open. Channels are "
        f"numbered from 0 to {found.values['channels'] - 1}, as in the model's arrays."
    )
    blocks = [_statistics(found, names, arrays, noun)]
    if important:
        reading += f" A channel's importance is its mean absolute contribution to the {noun}'s logit."
        blocks.append(_importance(names, arrays["importance"], noun))
    else:
        blocks.append(
            Missing(
                "Importance of channels: what follows the masks is no sum over channels, so none of them has a part of "
                "the answer that could be measured."
            )
        )
    if common:
        blocks.insert(0, Paragraph(f"All channels of this network share one mask per {noun}."))
    else:
        blocks[:0] = [_scale(arrays["mean"].max(), run.targets.exclusive), _grids(names, arrays["mean"], noun)]
    return Section("masks", TITLE, "1904.13078, figure 1", reading, tuple(blocks), _summary(found))


def _summary(found):
    arrays = found.arrays
    mean, shut, opened = (float(np.mean(arrays[name])) for name in ("mean", "near_zero", "near_one"))
    sentences = [
        f"Mask values are {mean:.2g} on average; {100 * shut:.1f} % of them are under 0.1 and {100 * opened:.1f} % are "
        "0.9 or more."
    ]
    shares = arrays.get("masked_share", np.array([np.nan]))
    if found.values["offset"] == 1 and np.isfinite(shares).any():
        sentences.append(
            f"Of what the channels add to the logits, {100 * np.nanmean(shares):.1f} % is due to the masks, the rest "
            "to the 1 in T(M) = 1 + M."
        )
    return tuple(sentences)


def _scale(highest, exclusive):
    """The colours of the grids, which all have the same scale."""
    canvas, axes = figures.canvas(3.4, 0.55)
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=figures.AMOUNT, extent=(0, highest, 0, 1), aspect="auto")
    axes.set_yticks([])
    axes.set_xlabel("mean mask value")
    caption = (
        f"The colours of the grids below, the same for all {wording.targets(exclusive)}: up to {highest:.2g}, the "
        "highest mean."
    )
    return Figure("masks-scale", figures.svg(canvas, "masks-scale"), caption, f"From 0, pale, to {highest:.2g}, deep.")


def _grids(names, means, noun):
    columns = _columns(means.shape[1])
    cells = []
    for name, mean in zip(names, means, strict=True):
        top = int(mean.argmax())
        alternative = f"{name}: {len(mean)} cells, the deepest channel {top} with {mean[top]:.2g}."
        cells.append(Cell(figures.png(_grid(mean / max(means.max(), 1e-9), columns)), name, alternative))
    caption = (
        f"Mean mask of each channel over positions and images, one grid per {noun}, one cell per channel: number 0 "
        f"at the top left, then row by row, {columns} in a row."
    )
    return Gallery("masks-mean", caption, (("", tuple(cells)),), _CELL_WIDTH)


def _columns(channels):
    """Cells in a row: a power of two, so that rows are easy to count, and at least as many as rows."""
    return 2 ** math.ceil(math.log2(channels) / 2)


def _grid(values, columns):
    """Values (C,) in [0, 1] as uint8 (height, width, 4), nothing where there is no channel."""
    rows, side = math.ceil(len(values) / columns), max(4, 2 * _CELL_WIDTH // columns)
    cells = np.zeros((rows * columns, side, side, 4), np.uint8)
    cells[: len(values)] = figures.AMOUNT(values, bytes=True)[:, None, None]
    for edge in (np.s_[: len(values), -1], np.s_[: len(values), :, -1]):
        cells[edge] = _BORDER
    return cells.reshape(rows, columns, side, side, 4).swapaxes(1, 2).reshape(rows * side, columns * side, 4)


def _statistics(found, names, arrays, noun):
    columns = [
        Column(noun),
        Column("mean", "number", 4),
        Column("spread", "number", 4),
        Column("sparsity", "number", 2),
        Column("near 0", "percent"),
        Column("near 0.5", "percent"),
        Column("near 1", "percent"),
    ]
    kept = ["spread", "sparsity", "near_zero", "near_half", "near_one"]
    note = (
        "Mean, spread (standard deviation) and shares are over channels, positions and images; near 0 is under 0.1, "
        "near 0.5 from 0.4 to 0.6, near 1 at least 0.9. Sparsity is Hoyer's: 0 where all values are equal, 1 where a "
        "single one is not 0, whatever their size."
    )
    if "importance" in arrays:
        columns.append(Column("due to masks", "percent"))
        columns += (Column("channels for half", "integer"), Column("most important channels"))
        kept.append("masked_share")
        note += (
            " Due to masks: the share of the contributions that would be gone with M = 0. Channels for half: how many "
            "make up half of the importance; behind them the most important, with their share of it."
        )
    rows = []
    for k, name in enumerate(names):
        rows.append((name, _number(np.mean(arrays["mean"][k])), *(_number(arrays[column][k]) for column in kept)))
        if "importance" in arrays:
            rows[k] += (int(arrays["half"][k]), _most_important(arrays["importance"][k]))
    caption = f"Mask values of each {noun} on {found.values['images']:,} images."
    return Table("masks-statistics", caption, tuple(columns), tuple(rows), note)


def _most_important(importance):
    shares = importance / max(importance.sum(), np.finfo(float).tiny)
    top = np.argsort(-importance, kind="stable")[:_TOP]
    return ", ".join(f"{channel} ({100 * shares[channel]:.0f} %)" for channel in top)


def _importance(names, importance, noun):
    shares = importance / np.maximum(importance.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    canvas, axes = figures.canvas(7.2, min(8, 1.2 + 0.13 * len(names)))
    limits = (0, float(shares.max()) or 1)
    figures.matrix(axes, shares, figures.AMOUNT, limits, names, [str(c) for c in range(shares.shape[1])], "share")
    axes.set_xlabel("channel")
    k, channel = np.unravel_index(shares.argmax(), shares.shape)
    return Figure(
        "masks-importance",
        figures.svg(canvas, "masks-importance"),
        f"Importance of each channel for each {noun}, as a share of the {noun}'s whole.",
        f"{len(names)} rows, {shares.shape[1]} columns; the largest share is channel {channel}'s of {names[k]}, "
        f"{100 * shares[k, channel]:.0f} %.",
    )


def _number(value):
    return None if np.isnan(value) else float(value)
