"""How often each head is right, target by target, beside the majority class and the papers' figures."""

import numpy as np

from mam_keras.analysis.accuracy import compared
from mam_keras.report import figures, quoted, verdicts, wording
from mam_keras.report.blocks import Column, Figure, Paragraph, Section, Table
from mam_keras.report.sections import classes
from mam_keras.statistics import Estimate, defined_mean

NEEDS = ("accuracy",)
TITLE = "Accuracy"
DRAWN = 60  # attributes at most; the table has all
TITLES = {
    "top1": "top-1 accuracy",
    "accuracy": "accuracy",
    "gain": "gain over the majority class, in points",
    "balanced_accuracy": "balanced accuracy",
    "average_precision": "average precision",
    "f1": "F1",
}


def section(run, others):
    """From the analysis `accuracy`; `others` have a section of their own."""
    result = run.results["accuracy"]
    values = result.values
    units = "images" if values["groups"] is None else "people"
    seed = f"One training run is one seed: the 95 % intervals cover the choice of the {units} tested, not training."
    means = (_unknown(values), _means(result))
    if values["exclusive"]:
        blocks = (*means, *classes.blocks(result))
        summary = tuple(classes.summary(result, run.config.analysis)) + _heads_compared(result)
        return Section("accuracy", TITLE, "", f"{classes.READING} {seed}", _there(blocks), summary)
    celeba = run.config.data.is_celeba
    reading = (
        'An answer is "yes" where the probability is at least 50 %. Accuracy means something only beside the majority '
        "class: always giving the answer that was more frequent in training. Balanced accuracy (50 % = guessing) and "
        f"average precision (the share of positive images = guessing) do not profit from rare attributes. {seed}"
    )
    blocks = (
        *means,
        _figure(result),
        _table(result, celeba),
        _quoted_means(result) if celeba else None,
        _beyond(result),
    )
    answers = "1904.13078, table 3; 1905.02719, table 4"
    summary = tuple(_summary(result, run.config.analysis)) + _heads_compared(result)
    return Section("accuracy", TITLE, answers, reading, _there(blocks), summary)


def mean(result, metric) -> Estimate:
    """The mean of a metric of the head that answers; "{}" in it stands for the share of right answers."""
    right = metric.format("top1" if result.values["exclusive"] else "accuracy")
    return Estimate.of(result.arrays[f"{result.values['heads'][0]}.{right}.mean"])


def _there(blocks):
    return tuple(block for block in blocks if block is not None)


def _unknown(values):
    text = wording.unknown(values["unknown"], values["images"], values["exclusive"])
    return Paragraph(text) if text else None


def _summary(result, settings):
    values, arrays = result.values, result.arrays
    head = values["heads"][0]
    accuracy, gain, majority = (
        Estimate.of(arrays[f"{head}.{metric}.mean"]) for metric in ("accuracy", "gain", "majority_accuracy")
    )
    people = "" if values["groups"] is None else f" from {values['groups']:,} people"
    subject = wording.head(head)
    yield (
        f"On {wording.count(values['images'], f'{settings.split} image')}{people} the {subject} "
        f"{wording.verb(subject)} right in {wording.percent(accuracy)}, {verdicts.verdict(gain).value} always "
        f"answering the majority class ({100 * majority.value:.1f} %, {wording.points(gain)})."
    )
    if weak := weak_targets(result):
        yield f"Of {wording.count(len(values['attributes']), 'attribute')} {weak}."


def weak_targets(result) -> str:
    """Which attributes are not clearly better answered than by always saying the same, by what is said; "" for none."""
    values, usual = result.values, usual_answers(result)
    gain, parts = result.arrays[f"{values['heads'][0]}.gain"], {verdicts.Verdict.WORSE: [], verdicts.Verdict.ALIKE: []}
    for answer in ("no", "yes"):
        gains = {name: Estimate.of(gain[k]) for k, name in enumerate(values["attributes"]) if usual[k] == answer}
        for one, names in verdicts.sorted_by(gains).items():
            text = f"{len(names)} {'is' if len(names) == 1 else 'are'} {one.value} always answering {answer}"
            parts.get(one, []).append(f"{text}: {verdicts.listed(names)}")
    return "; ".join(text for texts in parts.values() for text in texts)


def usual_answers(result) -> list[str]:
    """What the majority class answers to each attribute: "yes" where it is right as often as the attribute is there."""
    majority, rate = (
        result.arrays[f"{result.values['heads'][0]}.{metric}"][:, 0]
        for metric in ("majority_accuracy", "positive_rate")
    )
    return np.where(np.abs(majority - rate) < np.abs(majority - (1 - rate)), "yes", "no").tolist()


def _heads_compared(result):
    """A sentence about the first two heads, where there are two."""
    values, arrays = result.values, result.arrays
    if len(values["heads"]) < 2:
        return ()
    metric = compared(values["exclusive"])[0]
    first, other = (wording.head(head, values["exclusive"]) for head in values["heads"][:2])
    difference = Estimate.of(arrays[f"difference.{metric}.mean"])
    its = arrays[f"{values['heads'][1]}.{metric}.mean"][0]
    return (
        f"The {other} {wording.verb(other)} right in {100 * its:.1f} %; "
        f"{first} minus {other}: {wording.points(difference, 2)}, {verdicts.word(difference)}.",
    )


def _means(result):
    """Metrics down, heads across."""
    values, arrays, exclusive = result.values, result.arrays, result.values["exclusive"]
    heads, (right, *others) = values["heads"], compared(result.values["exclusive"])
    titles = [wording.head(head, exclusive) for head in heads]
    columns = [Column(f"mean over {wording.targets(exclusive)}")]
    columns += [Column(title, "percent") for title in titles]
    rows = []
    for metric in (right, "gain", *others, "majority_top1" if exclusive else "majority_accuracy"):
        title = TITLES.get(metric, "majority class")
        row = [title, *(Estimate.of(arrays[f"{head}.{metric}.mean"]) for head in heads)]
        if len(heads) > 1:
            key = f"difference.{metric}.mean"
            row.append(Estimate.of(arrays[key]) if key in arrays else None)
        rows.append(tuple(row))
    note = f"{wording.begun(wording.targets(exclusive))} for which a metric is undefined are left out of its mean."
    if len(heads) > 1:
        columns.append(Column("difference, in points", "percent", 2))
        note += f" Differences are paired: {titles[0]} minus {titles[1]} on the same resampled images."
    return Table(
        "accuracy-means",
        f"{'Both heads' if len(heads) > 1 else wording.begun(titles[0])} on "
        f"{wording.count(values['images'], 'image')}, with 95 % intervals.",
        tuple(columns),
        tuple(rows),
        note,
    )


def _figure(result):
    head, arrays = result.values["heads"][0], result.arrays
    names, gain = result.values["attributes"], arrays[f"{head}.gain"][:, 0]
    order = np.argsort(gain, kind="stable")
    order = order[~np.isnan(gain[order])]
    if len(order) > DRAWN:
        order = np.concatenate([order[: DRAWN // 2], order[-DRAWN // 2 :]])
    places = np.arange(len(order))
    canvas, axes = figures.canvas(6.4, 0.9 + 0.165 * len(order))
    majority = 100 * arrays[f"{head}.majority_accuracy"][order, 0]
    axes.plot(majority, places, "|", color=figures.INK, markersize=8, label="majority class")
    for other in result.values["heads"][1:]:
        values, title = 100 * arrays[f"{other}.accuracy"][order, 0], wording.head(other)
        axes.plot(values, places, "o", color=figures.COLORS[1], markersize=5.5, fillstyle="none", label=title)
    value, low, high = 100 * arrays[f"{head}.accuracy"][order].T
    axes.hlines(places, low, high, color=figures.COLORS[0], linewidth=1.6)
    axes.plot(value, places, "o", color=figures.COLORS[0], markersize=3.5, label=wording.head(head))
    axes.set_yticks(places, [figures.short(names[k], 30) for k in order], parse_math=False)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("accuracy, %")
    axes.grid(axis="x", alpha=0.2)
    canvas.legend(loc="outside upper center", ncols=3)
    part = "" if len(gain) <= DRAWN else f" The {DRAWN} with the largest and the smallest gain of {len(gain)}."
    return Figure(
        "accuracy-by-attribute",
        figures.svg(canvas, "accuracy-by-attribute"),
        f"Accuracy of every attribute (lines: 95 % intervals of the {wording.head(head)}) beside that of always "
        f"answering the majority class; the largest gain on top.{part}",
        f"{names[order[-1]]} gains most over the majority class, {100 * gain[order[-1]]:.1f} points; "
        f"{names[order[0]]} least, {100 * gain[order[0]]:.1f} points. The table below has all numbers.",
    )


def _table(result, celeba):
    heads, arrays, names = result.values["heads"], result.arrays, result.values["attributes"]
    columns = [Column("attribute"), Column("majority class", "percent")]
    columns += [Column(wording.head(head), "percent") for head in heads]
    columns += [Column(f"gain of the {wording.head(heads[0])}, in points", "percent")]
    unknown = any(result.values["unknown"])
    if unknown:
        columns.append(Column("labels not known", "integer"))
    rows = []
    for k, name in enumerate(names):
        row = [name, Estimate.of(arrays[f"{heads[0]}.majority_accuracy"][k]).value]
        row += [Estimate.of(arrays[f"{head}.accuracy"][k]) for head in heads]
        row += [Estimate.of(arrays[f"{heads[0]}.gain"][k])]
        rows.append([*row, result.values["unknown"][k]] if unknown else row)
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
        table.append((f"{wording.head(head)} of this run", None, None, float(defined_mean(own)) if known else None))
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
    rates = arrays[f"{heads[0]}.positive_rate"]
    rows = [[name, Estimate.of(rates[k]).value] for k, name in enumerate(result.values["attributes"])]
    for head in heads:
        for metric in compared(exclusive=False)[1:]:
            columns.append(Column(f"{TITLES[metric]}, {wording.head(head)}", "percent"))
            for k, row in enumerate(rows):
                row.append(Estimate.of(arrays[f"{head}.{metric}"][k]))
    return Table(
        "accuracy-beyond",
        "Metrics that do not profit from an attribute's rarity.",
        tuple(columns),
        tuple(map(tuple, rows)),
        "Undefined where an attribute has a single class on these images.",
    )
