"""What directing did, in sentences: this run against the run before, and whether a control does as well."""

from mam_keras.report import headlines, verdicts, wording
from mam_keras.report.sections.directed.view import BESIDE
from mam_keras.report.verdicts import Verdict, unpaired, verdict

_FITTED = "the run before with a fitted offset"


def summary(view):
    """A sentence for each measure of a `Pair`, and what is lost elsewhere."""
    both = f"{view.attribute} beside {view.other}"
    for measure, fitted, what in (
        ("worst_group", "worst_group_fitted", f"{both}, the worst of the four groups"),
        ("own_balanced_accuracy", "fitted_balanced_accuracy", f"{both}, balanced accuracy"),
        ("energy", None, f"{view.attribute}, energy of its map in its region"),
        ("toggled_other", None, f"{view.other} put alone into the picture moves the logit of {view.attribute}"),
        ("others_accuracy", None, "All other attributes, accuracy"),
    ):
        ours, before, control = (view.figures.get(role, {}).get(measure) for role in ("this run", *BESIDE))
        rivals = {BESIDE["control"]: control, _FITTED: view.figures.get("before", {}).get(fitted)}
        if ours is not None and ours.value is not None:
            yield f"{what}: {_compared(measure, ours, before, rivals)}"


def _compared(measure, ours, before, rivals):
    """The numbers, and what follows from whether their intervals overlap."""
    text = _number(measure, ours)
    if before is None or before.value is None:
        return f"{text}."
    rivals = {name: one for name, one in rivals.items() if one is not None and one.value is not None}
    for name, one in {BESIDE["before"]: before, **rivals}.items():
        text += f"; {name} {_number(measure, one)} ({verdicts.apart(ours, one, 'more here', 'less here')})"
    less_is_better = measure == "toggled_other" and before.value > 0
    better = Verdict.WORSE if less_is_better else Verdict.BETTER
    if measure == "others_accuracy" or verdict(unpaired(ours, before)) is not better:
        return f"{text}."
    as_well = [name for name, one in rivals.items() if verdict(unpaired(ours, one)) is not better]
    if as_well:
        return f"{text}. {wording.begun(verdicts.listed(as_well))} {'do' if len(as_well) > 1 else 'does'} as well."
    return f"{text}. No control does as well." if rivals else f"{text}."


def _number(measure, estimate):
    if headlines.column(measure).kind == "percent":
        return wording.percent(estimate)
    ends = "" if estimate.low is None else f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return f"{estimate.value:.2f}{ends}"
