"""Whether the probabilities mean what they say: reliability and expected calibration error."""

import numpy as np

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Column, Figure, Section, Table

NEEDS = ("calibration",)
TITLE = "Calibration"
DRAWN = 40  # attributes that get a small curve of their own; the table has all
ACROSS = 8


def section(run, others):
    """From the analysis `calibration`; `others` are not shown."""
    result = run.results["calibration"]
    exclusive = result.values["exclusive"]
    reading = (
        "Where a head says 80 %, about 80 of 100 images should have the attribute: points on the diagonal. "
        if not exclusive
        else "Where the answer has 80 %, it should be right in about 80 of 100 images: points on the diagonal. "
    ) + (
        "The expected calibration error is the mean distance from it, weighted by how many answers lie in a bin. On so "
        'many images even perfect probabilities leave some: "by chance", from labels drawn from the probabilities.'
    )
    blocks = (_pooled(result), _attributes(result), _errors(result))
    return Section("calibration", TITLE, "", reading, blocks, tuple(_summary(result)))


def _summary(result):
    exclusive = result.values["exclusive"]
    for head in result.values["heads"]:
        error, chance = result.arrays[f"{head}.error.mean"]
        pooled, by_chance = result.arrays[f"{head}.{_answers(result)}error.pooled"]
        title = wording.head(head, exclusive)
        if exclusive:
            yield (
                f"The probability of the {title}'s answer is off by {100 * pooled:.1f} points (expected calibration "
                f"error of the most probable class; {100 * by_chance:.1f} by chance alone), and those of all classes "
                f"by {100 * error:.1f} in the mean over classes."
            )
        else:
            yield (
                f"The probabilities of the {title} are off by {100 * error:.1f} points in the mean over attributes "
                f"(expected calibration error; {100 * chance:.1f} by chance alone), and by {100 * pooled:.1f} with all "
                "attributes taken as one."
            )


def _answers(result):
    """What the pooled figure is about: of exclusive targets the answers, the most probable class of each image."""
    return "top." if result.values["exclusive"] else ""


def _pooled(result):
    exclusive = result.values["exclusive"]
    canvas, (axes, below) = figures.canvas(4.6, 4.4, nrows=2, height_ratios=(3, 1), sharex=True)
    axes.plot((0, 1), (0, 1), color=figures.INK, linewidth=0.7, linestyle=":")
    for head, color, shift in zip(result.values["heads"], figures.COLORS, (-0.012, 0.012), strict=False):
        count, probability, rate, low, high = result.arrays[f"{head}.{_answers(result)}pooled"].T
        axes.vlines(probability, low, high, color=color)
        axes.plot(probability, rate, "o-", markersize=3.5, color=color, label=wording.head(head, exclusive))
        centres = (np.arange(len(count)) + 0.5) / len(count) + shift
        below.bar(centres, 100 * count / count.sum(), width=0.022, color=color)
    axes.set_ylabel("share of answers that are right" if exclusive else "share of images that have it")
    axes.legend()
    below.set_ylabel("answers, %")
    below.set_xlabel("probability of the answer" if exclusive else "probability given")
    what = "the answers, the most probable class of each image," if exclusive else "all attributes taken as one,"
    return Figure(
        "calibration-pooled",
        figures.svg(canvas, "calibration-pooled"),
        f"Reliability of {what} in ten bins (lines: 95 % intervals), and the share of the answers in each bin.",
        " ".join(_in_words(result, head) for head in result.values["heads"]),
    )


def _in_words(result, head):
    bins, exclusive = result.arrays[f"{head}.{_answers(result)}pooled"], result.values["exclusive"]
    worst = bins[np.nanargmax(np.abs(bins[:, 2] - bins[:, 1]))]
    return (
        f"{wording.begun(wording.head(head, exclusive))}: furthest from the diagonal where it says "
        f"{100 * worst[1]:.0f} %; there {100 * worst[2]:.0f} % {'are right' if exclusive else 'have the attribute'}."
    )


def _attributes(result):
    head, noun = result.values["heads"][0], wording.target(result.values["exclusive"])
    names = result.values["attributes"][:DRAWN]
    columns = min(ACROSS, len(names))
    rows = -(-len(names) // columns)
    canvas, grid = figures.canvas(0.85 * columns + 0.3, 1.0 * rows, nrows=rows, ncols=columns, squeeze=False)
    figures.small_multiples(grid, len(names), (0, 1), (0, 1))
    for k, (name, axes) in enumerate(zip(names, grid.flat, strict=False)):
        _, probability, rate = result.arrays[f"{head}.bins"][k].T
        filled = ~np.isnan(rate)
        axes.plot((0, 1), (0, 1), color=figures.INK, linewidth=0.5, linestyle=":")
        axes.plot(probability[filled], rate[filled], ".-", markersize=2.5, linewidth=0.9, color=figures.COLORS[0])
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set_title(figures.short(name, 17), fontsize=6, pad=2, parse_math=False)
    part = "" if len(result.values["attributes"]) <= DRAWN else f" The first {wording.count(DRAWN, noun)}."
    return Figure(
        "calibration-attributes",
        figures.svg(canvas, "calibration-attributes"),
        f"Reliability of every {noun}, {wording.head(head, result.values['exclusive'])}: probability given (0 to 1, "
        f"across) and share of images that have it (0 to 1, upwards). Bins with few images jump.{part}",
        f"The table below has the expected calibration error of each {noun}.",
    )


def _errors(result):
    exclusive, noun = result.values["exclusive"], wording.target(result.values["exclusive"])
    columns, rows = [Column(noun)], [[name] for name in result.values["attributes"]]
    for head in result.values["heads"]:
        title = wording.head(head, exclusive)
        columns += [Column(title, "percent"), Column(f"{title}, by chance", "percent")]
        for row, errors in zip(rows, result.arrays[f"{head}.error"], strict=True):
            row += map(float, errors)
    return Table(
        "calibration-errors",
        f"Expected calibration error of every {noun}, on {wording.count(result.values['images'], 'image')}.",
        tuple(columns),
        tuple(map(tuple, rows)),
        "In points. By chance: the mean error of perfectly calibrated probabilities on as many images.",
    )
