"""What directing did, in sentences: this run against the run before, and whether a control does as well."""

from mam_keras.report import headlines, verdicts, wording
from mam_keras.report.sections.directed.view import BESIDE
from mam_keras.report.verdicts import Verdict, unpaired, verdict
from mam_keras.statistics import Estimate

_FITTED = "the run before with a fitted offset"


def summary(view):
    """A sentence for each measure of a `Pair`, and what is lost elsewhere."""
    both = f"{view.attribute} beside {view.other}"
    for measure, fitted, what in (
        ("worst_group", "worst_group_fitted", f"{both}, the worst of the four groups"),
        ("apart", "apart_fitted", f"{both}, where the two differ"),
        ("own_balanced_accuracy", "fitted_balanced_accuracy", f"{both}, balanced accuracy"),
        ("energy", None, f"{view.attribute}, energy of its map in its region"),
        ("toggled_other", None, f"{view.other} put alone into the picture moves the logit of {view.attribute}"),
        ("others_accuracy", None, "All other attributes, accuracy"),
    ):
        ours = view.figures["this run"].get(measure)
        rivals = {BESIDE["before"]: ("before", measure), BESIDE["control"]: ("control", measure)}
        rivals[_FITTED] = ("before", fitted)
        if ours is not None and ours.value is not None:
            yield f"{what}: {_compared(view, measure, ours, rivals)}"


def _compared(view, measure, ours, rivals):
    """The numbers, and what follows: from the difference on the same images, or from whether intervals overlap."""
    text, gains = _number(measure, ours), {}
    for name, (role, its) in rivals.items():
        one, paired = (found.get(role, {}).get(its) for found in (view.figures, view.gains))
        if one is None or one.value is None:
            continue
        text += f"; {name} {_number(measure, one)}"
        if paired is not None:
            gains[name] = paired
            text += f": {wording.points(paired)} here, {verdicts.word(paired)}"
        else:
            sides = _sides(measure, ours, one)
            gains[name] = unpaired(*sides)
            text += f" ({verdicts.apart(*sides, 'better here', 'worse here')})"
    if BESIDE["before"] not in gains:
        return f"{_number(measure, ours)}."
    if measure == "others_accuracy":
        return f"{text}."
    gain = gains.pop(BESIDE["before"])
    if (judged := verdict(gain)) is not Verdict.BETTER:
        return f"{text}. {'That is worse than before' if judged is Verdict.WORSE else 'No gain was measured'}."
    as_well = [name for name, one in gains.items() if verdict(one) is not Verdict.BETTER]
    if as_well:
        does = "do" if len(as_well) > 1 else "does"
        return f"{text}. {wording.begun(verdicts.listed(as_well))} {does} as well, as far as these images show."
    return f"{text}. No control does as well." if gains else f"{text}."


def _sides(measure, ours, its):
    """What is more where this run is better: what another attribute does to the logit is to be little, of any sign."""
    return (_size(its), _size(ours)) if measure == "toggled_other" else (ours, its)


def _size(estimate):
    """Of an effect whatever its sign."""
    if estimate.low is None:
        return Estimate(abs(estimate.value), None, None)
    low, high = sorted((abs(estimate.low), abs(estimate.high)))
    return Estimate(abs(estimate.value), 0.0 if estimate.low < 0 < estimate.high else low, high)


def _number(measure, estimate):
    if headlines.column(measure).kind == "percent":
        return wording.percent(estimate)
    ends = "" if estimate.low is None else f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return f"{estimate.value:.2f}{ends}"
