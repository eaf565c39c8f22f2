"""The table that `fit` prints at its end: the content of evaluation.json as text."""

import textwrap

from mam_keras.predictions import title

_TABLE_WIDTH = 100
_UNDEFINED = "\N{EN DASH}"
_LABELS = {  # headings, each as wide as its column but for one space
    "positive_rate": "positive",
    "majority_accuracy": "majority",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "average_precision": "    AP",
    "f1": "    F1",
}
_OF_LABELS = ("positive_rate", "majority_accuracy")
_COLUMNS = ("accuracy", "balanced_accuracy", "average_precision")  # of every head
_OF_THE_FIRST = ("f1",)
_CLASS_LABELS = {  # where targets are exclusive; two columns are as wide as a head's title
    "positive_rate": "share",
    "balanced_accuracy": "    recall",
    "average_precision": "       AP",
    "f1": "    F1",
}


def table(evaluation: dict) -> str:
    """The content of `evaluation.json` as text: at most 100 columns, percent with one decimal, undefined as "–"."""
    parts = [_split_table(split, values) for split, values in evaluation["splits"].items()]
    legend = (
        'An answer is "yes" where the probability is at least 50 %. positive: share of positive images; majority: '
        "accuracy of always answering the class that is the majority in training; balanced: mean of the recalls of "
        f"both classes; AP: average precision; {_UNDEFINED}: undefined."
    )
    if any(map(_exclusive, evaluation["splits"].values())):
        legend = (
            "The most probable class is answered. share: of the images, those of the class; recall: of the images of "
            "the class, those answered so, and their mean is the balanced accuracy; AP: average precision and F1: of "
            f"the class against the rest; {_UNDEFINED}: undefined."
        )
    return "\n\n".join([*parts, textwrap.fill(legend, _TABLE_WIDTH)])


def _exclusive(values):
    return any("top1" in head["mean"] for head in values["heads"].values())


def _split_table(split, values):
    heads, exclusive = values["heads"], _exclusive(values)
    labels, kind = (_CLASS_LABELS, "class") if exclusive else (_LABELS, "attribute")
    first = next(iter(heads))  # what depends on the labels alone is the same in every head
    bands = [("", first, _OF_LABELS)]
    bands += [(title(head, exclusive), head, _COLUMNS + _OF_THE_FIRST * (head == first)) for head in heads]
    bands = [(heading, head, [metric for metric in band if metric in labels]) for heading, head, band in bands]
    columns = [(head, metric) for _, head, band in bands for metric in band]
    name_width = _TABLE_WIDTH - sum(len(labels[metric]) + 1 for _, metric in columns)
    name_width = min(name_width, max(map(len, [*heads[first]["per_attribute"], "95 % interval, from"])))

    def row(name, value):
        name = name if len(name) <= name_width else name[: name_width - 1] + "…"
        return name.ljust(name_width) + "".join(
            f" {_percent(value(head, metric)):>{len(labels[metric])}}" for head, metric in columns
        )

    lines = [f"{split}: {values['images']:,} images, in percent", " " * name_width, kind.ljust(name_width)]
    for heading, _, band in bands:
        width = sum(len(labels[metric]) + 1 for metric in band) - 1
        lines[1] += f" {f' {heading} ':─^{width}}" if heading else " " * (width + 1)
        lines[2] += "".join(f" {labels[metric]}" for metric in band)
    lines += [row(a, lambda h, m, a=a: heads[h]["per_attribute"][a][m]) for a in heads[first]["per_attribute"]]
    lines += [
        "─" * len(lines[2]),
        row("mean", lambda h, m: heads[h]["mean"][m]),
        row("95 % interval, from", lambda h, m: heads[h]["interval"][m][0]),
        row("                 to", lambda h, m: heads[h]["interval"][m][1]),
    ]
    notes = _notes(values, labels, exclusive)
    return "\n".join(lines + [line for note in notes for line in textwrap.wrap(note, _TABLE_WIDTH)])


def _notes(values, labels, exclusive):
    """What a reader must know of the means and intervals of one split, one sentence or two each."""
    kind = "classes" if exclusive else "attributes"
    for head, result in values["heads"].items():
        if exclusive:
            low, high = map(_percent, result["interval"]["top1"])
            yield (
                f"top-1, {title(head, exclusive)}: {_percent(result['mean']['top1'])} % of the images (95 % "
                f"interval {low} to {high}); always answering the class most frequent in training: "
                f"{_percent(result['mean']['majority_top1'])} %."
            )
    if values["unknown"]:
        what = "Images of unknown class" if exclusive else "Labels that are not known"
        of = values["images"] * (1 if exclusive else len(next(iter(values["heads"].values()))["per_attribute"]))
        yield f"{what}, which count nowhere: {values['unknown']:,} of {of:,}."
    units, resamples = values[values["resampled"]], values["resamples"]
    what = f"{units:,} groups (people)" if values["resampled"] == "groups" else f"{units:,} images"
    yield (
        f"Intervals: bootstrap of the mean over {kind}, {resamples:,} resamples of the {what}. They cover the "
        f"choice of these {values['resampled']}, not training: another seed may give another model."
    )
    for head, result in values["heads"].items():
        counts = {metric: count for metric, count in result["left_out"].items() if count and metric in labels}
        left_out = [f"{labels[metric].strip()} {count}" for metric, count in counts.items()]
        if left_out:
            named = title(head, exclusive)
            yield f"Undefined and left out of the mean, number of {kind}, {named}: {', '.join(left_out)}."
    single = values["single_class_resamples"]
    if single:
        worst = max(single, key=single.get)
        yield (
            f"{kind.capitalize()} without a positive or a negative image in some resamples, and left out there: "
            f"{len(single)}; most often {worst} ({single[worst]:,} of {resamples:,})."
        )


def _percent(value):
    return _UNDEFINED if value is None else f"{100 * value:.1f}"
