"""Whether the answers are as good within one group of images as outside it."""

from mam_keras.report import verdicts, wording
from mam_keras.report.blocks import Column, Section, Table
from mam_keras.statistics import Estimate

NEEDS = ("subgroups",)
TITLE = "Subgroups"


def section(run, others):
    """From the analysis `subgroups`; `others` are not shown."""
    result = run.results["subgroups"]
    names = result.values["subgroups"]
    reading = (
        "Images that have an attribute against those that do not, by their labels; the attribute itself is left out. "
        "A difference in accuracy may only say that one group's attributes are rarer: the majority class, which looks "
        "at no image, shows how much of it that is, and balanced accuracy does not profit from rarity. Any attribute "
        "can be the group: --set analysis.subgroups=[NAME, ...]."
    )
    blocks = (_means(result), *(_attributes(result, group) for group in range(len(names))))
    return Section("subgroups", TITLE, "", reading, blocks, tuple(_summary(result)))


def _summary(result):
    head = wording.head(result.values["head"])
    for group, name in enumerate(result.values["subgroups"]):
        without, having, difference = map(Estimate.of, result.arrays["accuracy.mean"][group])
        if difference.value is None:
            continue
        majority = Estimate.of(result.arrays["majority_accuracy.mean"][group, 2])
        balanced = Estimate.of(result.arrays["balanced_accuracy.mean"][group, 2])
        yield (
            f"With {name} the {head} {wording.verb(head, 'answer', 'answers')} right in {100 * having.value:.1f} %, "
            f"without in {100 * without.value:.1f} %: {wording.points(difference)}, {verdicts.word(difference)}; "
            f"always answering the majority class differs by {wording.points(majority)}, balanced accuracy by "
            f"{wording.points(balanced)} ({verdicts.word(balanced)})."
        )


_METRICS = {"accuracy": "accuracy", "majority_accuracy": "majority class", "balanced_accuracy": "balanced accuracy"}
_PARTS = ("without", "with", "with minus without, in points")


def _means(result):
    rows = []
    for group, (name, images) in enumerate(zip(result.values["subgroups"], result.values["images"], strict=True)):
        for metric, title in _METRICS.items():
            parts = map(Estimate.of, result.arrays[f"{metric}.mean"][group])
            rows.append((name, title, *images, *parts))
    return Table(
        "subgroups",
        f"Means over attributes, {wording.head(result.values['head'])}, with 95 % intervals.",
        (
            Column("group"),
            Column("metric"),
            Column("images without", "integer"),
            Column("images with", "integer"),
            *(Column(part, "percent") for part in _PARTS),
        ),
        tuple(rows),
        "Over the attributes for which a metric is defined in both groups.",
    )


def _attributes(result, group):
    columns, own = [Column("attribute")], result.values["subgroups"][group]
    rows = {name: [name] for name in result.values["attributes"] if name != own}
    for metric, title in (("accuracy", "accuracy"), ("balanced_accuracy", "balanced accuracy")):
        columns += [Column(f"{title} {part}", "percent") for part in _PARTS]
        for name, parts in zip(result.values["attributes"], result.arrays[metric][group], strict=True):
            if name != own:
                rows[name] += map(Estimate.of, parts)
    return Table(
        f"subgroups-{group + 1}",
        f"Every attribute without and with {own}.",
        tuple(columns),
        tuple(map(tuple, rows.values())),
        "Undefined where one of the groups has a single class of the attribute.",
    )
