"""Which run was chosen on validation, and by which numbers."""

from mam_keras.report import wording
from mam_keras.report.blocks import Column, Estimate, Missing, Section, Table
from mam_keras.study.view import ONE_SEED

TITLE = "Choice"
_MEASURES = {  # of `analysis.measures`
    "accuracy": Column("accuracy", "percent"),
    "balanced_accuracy": Column("balanced accuracy", "percent"),
    "noise_robustness": Column("balanced accuracy under noise", "percent"),
    "localisation": Column("localisation (1 is chance)", "number", 2),
    "localised": Column("attributes localised", "integer"),
    "mask_mean": Column("mean mask value", "number", 3),
}


def section(view):
    most = view.found["most_accuracy_lost"]
    reading = (
        "Everything here is measured on the validation images. Chosen is the run with the highest localisation among "
        f"those whose accuracy is at most {100 * most:.1f} points under the baseline's; what it is worth is said in "
        "the other sections, on test images, on which nothing was chosen. Localisation: the share of a map that lies "
        "in the attribute's region, over the region's share of the image; mean over the attributes with a small region."
    )
    blocks = [] if view.chosen else [Missing(_why_none(view))]
    return Section("choice", TITLE, "", reading, (*blocks, _table(view)), tuple(_summary(view)))


def _why_none(view):
    return (
        "Nothing was chosen: no run that could be has a localisation on the validation images, because nothing says "
        "where the attributes are, or too few are found."
    )


def _summary(view):
    if view.chosen is None:
        yield _why_none(view)
        return
    chosen, baseline = (one["validation"]["measures"] for one in (view.chosen, view.baseline))
    eligible = len(view.found["eligible"])
    text = (
        f"{eligible} of {wording.count(len(view.done), 'run')}, the baseline {view.found['baseline']} among them, lose "
        f"at most {100 * view.found['most_accuracy_lost']:.1f} points of validation accuracy against it. Of these "
        f"{view.found['chosen']} localises best on validation: {chosen['localisation']:.2f} times chance"
    )
    if view.chosen is view.baseline:
        yield f"{text}: the baseline itself, so that no change was worth it."
        return
    if baseline["localisation"] is not None:
        text += f" (baseline {baseline['localisation']:.2f})"
    yield f"{text}."
    if view.chosen["aided"]:
        yield _aid(view)
    if baseline["localised"] not in (None, chosen["localised"]):
        yield (
            f"These are means over {wording.count(chosen['localised'], 'attribute')} of {view.found['chosen']} and "
            f"{baseline['localised']} of {view.found['baseline']}: each run localises what it finds."
        )


def _aid(view):
    text = (
        f"{view.found['chosen']} was told in training where the attributes are: that its maps lie there is what it was "
        "trained for, and no evidence that others would."
    )
    if view.unaided is None:
        return text
    best = view.unaided["validation"]["measures"]["localisation"]
    return f"{text} Of the runs that were not told, {view.found['unaided']} localises best, {best:.2f} times chance."


def _table(view):
    columns = [Column("run"), *_MEASURES.values(), Column("told where in training"), Column("could be chosen")]
    rows = []
    for one in view.done:
        measures, intervals = (one["validation"][name] for name in ("measures", "intervals"))
        row = [view.name(one)]
        for name in _MEASURES:
            ends = intervals.get(name)
            row.append(measures[name] if ends is None else Estimate(measures[name], *ends))
        row.append("yes" if one["aided"] else "no")
        rows.append((*row, "yes" if one["run"] in view.found["eligible"] else "loses too much accuracy"))
    return Table(
        "choice",
        "Every finished run on the validation images, with 95 % intervals.",
        tuple(columns),
        tuple(rows),
        f"Under noise: the mean over the sigmas. {ONE_SEED}",
    )
