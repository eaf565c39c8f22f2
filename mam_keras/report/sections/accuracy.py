"""How often both heads are right, attribute by attribute, beside the majority class and the papers' figures."""

import numpy as np

from mam_keras.data import some
from mam_keras.evaluation import HEADS
from mam_keras.report import figures, quoted, wording
from mam_keras.report.blocks import Column, Estimate, Figure, Section, Table

NEEDS = ("accuracy",)
TITLE = "Accuracy"
DRAWN = 60  # attributes at most; the table has all
TITLES = {
    "accuracy": "accuracy",
    "gain": "gain over the majority class, in points",
    "balanced_accuracy": "balanced accuracy",
    "average_precision": "average precision",
    "f1": "F1",
}


def section(run, others):
    """From the analysis `accuracy`; `others` have a section of their own."""
    result = run.results["accuracy"]
    celeba = quoted.is_celeba(run.config.data)
    blocks = [_means(result), _figure(result), _table(result, celeba), _beyond(result)]
    if celeba:
        blocks.insert(3, _quoted_means(result))
    units = "images" if result.values["groups"] is None else "people"
    reading = (
        'An answer is "yes" where the probability is at least 50 %. Accuracy means something only beside the majority '
        "class: always giving the answer that was more frequent in training. Balanced accuracy (50 % = guessing) and "
        "average precision (the share of positive images = guessing) do not profit from rare attributes. One training "
        f"run is one seed: the 95 % intervals cover the choice of the {units} tested, not training."
    )
    answers = "1904.13078, table 3; 1905.02719, table 4"
    return Section("accuracy", TITLE, answers, reading, tuple(blocks), tuple(_summary(result, run.config.analysis)))


def _summary(result, settings):
    values, arrays = result.values, result.arrays
    head = values["heads"][0]
    accuracy, gain, majority = (
        Estimate.of(arrays[f"{head}.{metric}.mean"]) for metric in ("accuracy", "gain", "majority_accuracy")
    )
    people = "" if values["groups"] is None else f" of {values['groups']:,} people"
    better = (
        f"{100 * gain.value:.1f} points above"
        if gain.value > 0 and wording.differs(gain)
        else "not measurably better than"
    )
    verb = "is" if head == "multi_label" else "are"
    yield (
        f"On {wording.count(values['images'], f'{settings.split} image')}{people} the {HEADS[head]} {verb} right in "
        f"{wording.percent(accuracy)}, {better} always answering the majority class ({100 * majority.value:.1f} %)."
    )
    gains = arrays[f"{head}.gain"]
    weak = [name for name, row in zip(values["attributes"], gains, strict=True) if not row[1] > 0]
    if weak:
        yield (
            f"Of {wording.count(len(gains), 'attribute')} {len(weak)} "
            f"{'is' if len(weak) == 1 else 'are'} not measurably better answered than by the majority class: "
            f"{some(weak, 8)}."
        )
    if "difference.accuracy.mean" in arrays:
        difference = Estimate.of(arrays["difference.accuracy.mean"])
        other = 100 * arrays["multi_label.accuracy.mean"][0]
        judged = "" if wording.differs(difference) else ", no difference that these images could show"
        yield (
            f"The multi-label head, which has no masks, is right in {other:.1f} %; attribute heads minus multi-label "
            f"head: {wording.points(difference, 2)}{judged}."
        )


def _means(result):
    """Metrics down, heads across."""
    heads, arrays = result.values["heads"], result.arrays
    columns = [Column("mean over attributes"), *(Column(HEADS[head], "percent") for head in heads)]
    paired = len(heads) == 2
    rows = []
    for metric, title in TITLES.items():
        row = [title, *(Estimate.of(arrays[f"{head}.{metric}.mean"]) for head in heads)]
        if paired:
            key = f"difference.{metric}.mean"
            row.append(Estimate.of(arrays[key]) if key in arrays else None)
        rows.append(tuple(row))
    rows.append(("majority class", *[Estimate.of(arrays[f"{head}.majority_accuracy.mean"]) for head in heads]))
    if paired:
        columns.append(Column("difference, in points", "percent", 2))
        rows[-1] += (None,)
    return Table(
        "accuracy-means",
        f"Both heads on {wording.count(result.values['images'], 'image')}, with 95 % intervals.",
        tuple(columns),
        tuple(rows),
        "Attributes for which a metric is undefined are left out of its mean. Differences are paired: attribute heads "
        "minus multi-label head on the same resampled images.",
    )


def _figure(result):
    head, arrays = result.values["heads"][0], result.arrays
    names, gain = result.values["attributes"], arrays[f"{head}.gain"][:, 0]
    order = np.argsort(gain, kind="stable")
    if len(order) > DRAWN:
        order = np.concatenate([order[: DRAWN // 2], order[-DRAWN // 2 :]])
    places = np.arange(len(order))
    canvas, axes = figures.canvas(6.4, 0.9 + 0.165 * len(order))
    majority = 100 * arrays[f"{head}.majority_accuracy"][order, 0]
    axes.plot(majority, places, "|", color=figures.INK, markersize=8, label="majority class")
    for other in result.values["heads"][1:]:
        values = 100 * arrays[f"{other}.accuracy"][order, 0]
        axes.plot(values, places, "o", color=figures.COLORS[1], markersize=5.5, fillstyle="none", label=HEADS[other])
    value, low, high = 100 * arrays[f"{head}.accuracy"][order].T
    axes.hlines(places, low, high, color=figures.COLORS[0], linewidth=1.6)
    axes.plot(value, places, "o", color=figures.COLORS[0], markersize=3.5, label=HEADS[head])
    axes.set_yticks(places, [figures.short(names[k], 30) for k in order], parse_math=False)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("accuracy, %")
    axes.grid(axis="x", alpha=0.2)
    canvas.legend(loc="outside upper center", ncols=3)
    part = "" if len(gain) <= DRAWN else f" The {DRAWN} with the largest and the smallest gain of {len(gain)}."
    return Figure(
        "accuracy-by-attribute",
        figures.svg(canvas, "accuracy-by-attribute"),
        f"Accuracy of every attribute (lines: 95 % intervals of the {HEADS[head]}) beside that of always answering the "
        f"majority class; the largest gain on top.{part}",
        f"{names[order[-1]]} gains most over the majority class, {100 * gain[order[-1]]:.1f} points; "
        f"{names[order[0]]} least, {100 * gain[order[0]]:.1f} points. The table below has all numbers.",
    )


def _table(result, celeba):
    heads, arrays, names = result.values["heads"], result.arrays, result.values["attributes"]
    columns = [Column("attribute"), Column("majority class", "percent")]
    columns += [Column(HEADS[head], "percent") for head in heads]
    columns += [Column(f"gain of the {HEADS[heads[0]]}, in points", "percent")]
    rows = []
    for k, name in enumerate(names):
        row = [name, _value(arrays[f"{heads[0]}.majority_accuracy"][k])]
        row += [Estimate.of(arrays[f"{head}.accuracy"][k]) for head in heads]
        rows.append([*row, Estimate.of(arrays[f"{heads[0]}.gain"][k])])
    note = ""
    if celeba:
        columns += [
            Column(f"{method} (quoted)", "percent", 0 if column else 2) for column, method in enumerate(quoted.METHODS)
        ]
        for row in rows:
            printed = quoted.ACCURACY.get(row[0])
            row += [None] * len(quoted.METHODS) if printed is None else [value / 100 for value in printed[1:]]
        note = (
            "Quoted: printed in 1904.13078, table 3, and 1905.02719, table 4; nothing of it was measured here. Those "
            "models were trained on 182,637 images and tested on all 19,962 test images of CelebA."
        )
    return Table("accuracy-attributes", "Accuracy of every attribute.", tuple(columns), tuple(map(tuple, rows)), note)


def _quoted_means(result):
    """The papers' printed averages beside the means of their own rows."""
    rows = quoted.ACCURACY.values()
    known = [(k, name) for k, name in enumerate(result.values["attributes"]) if name in quoted.ACCURACY]
    table = []
    for column, method in enumerate(quoted.METHODS):
        mean = np.mean([row[column + 1] for row in rows])
        here = np.mean([quoted.ACCURACY[name][column + 1] for _, name in known]) / 100 if known else None
        table.append((f"{method} (quoted)", quoted.PRINTED_AVERAGE[column] / 100, mean / 100, here))
    for head in result.values["heads"]:
        own = result.arrays[f"{head}.accuracy"][[k for k, _ in known], 0]
        table.append((f"{HEADS[head]} of this run", None, None, float(own.mean()) if known else None))
    return Table(
        "accuracy-quoted-means",
        f"The papers' average, and what their rows average ({len(known)} of the 40 attributes are this run's).",
        (
            Column("method"),
            Column("average as printed", "percent", 2),
            Column("mean of the 40 printed rows", "percent", 2),
            Column("mean of this run's attributes", "percent", 2),
        ),
        tuple(table),
        "The printed average of 92.05 does not follow from the papers' own table, whose 40 rows average 90.17; the "
        "other columns agree with their averages. Both are quoted, neither is reproduced here.",
    )


def _beyond(result):
    heads, arrays = result.values["heads"], result.arrays
    columns = [Column("attribute"), Column("positive images", "percent")]
    rows = [
        [name, _value(arrays[f"{heads[0]}.positive_rate"][k])] for k, name in enumerate(result.values["attributes"])
    ]
    for head in heads:
        for metric in ("balanced_accuracy", "average_precision", "f1"):
            columns.append(Column(f"{TITLES[metric]}, {HEADS[head]}", "percent"))
            for k, row in enumerate(rows):
                row.append(Estimate.of(arrays[f"{head}.{metric}"][k]))
    return Table(
        "accuracy-beyond",
        "Metrics that do not profit from an attribute's rarity.",
        tuple(columns),
        tuple(map(tuple, rows)),
        "Undefined where an attribute has a single class on these images.",
    )


def _value(numbers):
    return Estimate.of(numbers).value
