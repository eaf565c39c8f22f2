"""Accuracy where the targets exclude each other: the part of the section that has a row for every class."""

import numpy as np

from mam_keras.report import figures, verdicts, wording
from mam_keras.report.blocks import Column, Figure, Table
from mam_keras.statistics import Estimate

READING = (
    "The answer is the most probable class. Top-1 accuracy, the share of images whose class is answered, means "
    "something only beside the majority class: always answering the class that was the most frequent in training. "
    "Balanced accuracy, the mean over classes of the share of their images that is found, does not profit from "
    "frequent classes; guessing gives 1 in the number of classes."
)
NAMED = 24  # classes at most whose confusion matrix is also a table; of more, the most frequent confusions are
CONFUSIONS = 40


def summary(result, settings):
    """Sentences for the top of the page."""
    values, arrays = result.values, result.arrays
    head = values["heads"][0]
    right, gain, majority, balanced = (
        Estimate.of(arrays[f"{head}.{metric}.mean"])
        for metric in ("top1", "gain", "majority_top1", "balanced_accuracy")
    )
    people = "" if values["groups"] is None else f" from {values['groups']:,} people"
    yield (
        f"On {wording.count(values['images'], f'{settings.split} image')}{people} the answer is right in "
        f"{wording.percent(right)}, {verdicts.verdict(gain).value} always answering {values['majority']}, the most "
        f"frequent class of training ({100 * majority.value:.1f} %, {wording.points(gain)}); balanced accuracy is "
        f"{wording.percent(balanced)}."
    )
    pairs = confusions(result)
    if pairs:
        true, answered, count, share = pairs[0]
        yield (
            f"The most frequent confusion: {true} is taken for {answered} in {wording.count(count, 'image')}, "
            f"{100 * share:.1f} % of its own."
        )
    never = [
        name for name, count in zip(values["attributes"], arrays["confusion"].sum(axis=0), strict=True) if not count
    ]
    if never:
        yield f"Never answered: {verdicts.listed(never)}."


def recalls(result) -> dict[str, Estimate]:
    """What share of its images is found, of every class that has some."""
    shares = result.arrays[f"{result.values['heads'][0]}.balanced_accuracy"]
    found = {name: Estimate.of(share) for name, share in zip(result.values["attributes"], shares, strict=True)}
    return {name: recall for name, recall in found.items() if recall.value is not None}


def weakest(result) -> str:
    """Which classes are found least, and which are confused most often, two sentences; "" where none is."""
    if not (pairs := confusions(result)):
        return ""
    true, answered, count, share = pairs[0]
    found = recalls(result)
    least = min(found, key=lambda name: found[name].value)
    told = f"{wording.begun(wording.plain(least))} is found in {wording.percent(found[least])} of its images, the least"
    if missed := [name for name, recall in found.items() if recall.value == 0]:
        told = f"No image of {wording.names(missed)} is found"
    return (
        f"{told}. The most frequent error is to take {wording.plain(true)} for {wording.plain(answered)}: "
        f"{wording.count(count, 'image')}, {100 * share:.0f} % of those of {wording.plain(true)}."
    )


def blocks(result):
    """The classes' own figures, and the confusion matrix as figure and as table."""
    return _classes(result), _matrix(result), _confusion(result)


def confusions(result):
    """(true class, class answered, images, share of the true class's images), the most images first; none of 0."""
    counts, names = result.arrays["confusion"].copy(), result.values["attributes"]
    total = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    places = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
    pairs = zip(*np.unravel_index(places, counts.shape), strict=True)
    return [(names[k], names[other], int(counts[k, other]), float(counts[k, other] / total[k])) for k, other in pairs]


def _classes(result):
    heads, arrays, counts = result.values["heads"], result.arrays, result.arrays["confusion"]
    columns = [
        Column("class"),
        Column("images", "integer"),
        Column("answers", "integer"),
        Column("precision", "percent"),
    ]
    rows = []
    for k, name in enumerate(result.values["attributes"]):
        answers = int(counts[:, k].sum())
        rows.append([name, int(counts[k].sum()), answers, counts[k, k] / answers if answers else None])
    for head in heads:
        whose = f", {wording.head(head, exclusive=True)}" if len(heads) > 1 else ""
        for metric, title in (
            ("balanced_accuracy", "recall"),
            ("f1", "F1"),
            ("average_precision", "average precision"),
        ):
            columns.append(Column(f"{title}{whose}", "percent"))
            for row, numbers in zip(rows, arrays[f"{head}.{metric}"], strict=True):
                row.append(Estimate.of(numbers))
    return Table(
        "accuracy-classes",
        "Every class: how much of it is found, and how much of what is answered is right.",
        tuple(columns),
        tuple(map(tuple, rows)),
        "Precision: of the images answered so, the share that is of the class. Recall: of the images of the class, the "
        "share that is answered so. Average precision ranks all images by the class's probability.",
    )


def _matrix(result):
    counts, names = result.arrays["confusion"], result.values["attributes"]
    shares = counts / np.where(counts.sum(axis=1) > 0, counts.sum(axis=1), np.nan)[:, None]
    canvas, axes = figures.canvas(6.4, 5.4)
    figures.matrix(axes, shares, figures.AMOUNT, (0, 1), names, names, "share of the class's images")
    axes.set_ylabel("class of the image")
    axes.set_xlabel("class answered")
    caption = "Confusion matrix: of the images of each class (row), the share that is answered as each class (column)."
    if np.isnan(shares).any():
        caption += " Grey: there is no image of the class."
    pairs = confusions(result)
    most = (
        "No image is confused."
        if not pairs
        else (f"Most often, in {wording.count(pairs[0][2], 'image')}, {pairs[0][0]} is taken for {pairs[0][1]}.")
    )
    return Figure(
        "accuracy-confusion",
        figures.svg(canvas, "accuracy-confusion"),
        caption,
        f"{len(names)} x {len(names)} cells, {100 * np.trace(counts) / counts.sum():.1f} % of the images on the "
        f"diagonal. {most} The table below has the numbers.",
    )


def _confusion(result):
    counts, names = result.arrays["confusion"], result.values["attributes"]
    if len(names) <= NAMED:
        return Table(
            "accuracy-confusion-counts",
            "Images of each class (row) by the class answered (column).",
            (Column("class of the image"), *(Column(name, "integer") for name in names)),
            tuple((name, *map(int, row)) for name, row in zip(names, counts, strict=True)),
        )
    return Table(
        "accuracy-confusions",
        f"The {CONFUSIONS} most frequent confusions.",
        (
            Column("class of the image"),
            Column("class answered"),
            Column("images", "integer"),
            Column("share", "percent"),
        ),
        tuple(confusions(result)[:CONFUSIONS]),
        "Share: of the images of the class.",
    )
