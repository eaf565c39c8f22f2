"""What a classifier is not to be trusted with: answers, pictures and groups for which its own numbers are bad.

Each doubt follows from a verdict; what was not measured is not doubted.
"""

from mam_keras.report import verdicts, wording
from mam_keras.report.sections import accuracy, classes, robustness
from mam_keras.report.verdicts import Verdict
from mam_keras.statistics import Estimate

HARDLY = 0.1  # of what is gained on guessing without noise


def doubts(run) -> list[tuple[str, str]]:
    """(what, the section that has the numbers) of a `ReportedRun` that has been evaluated, the gravest first."""
    found = (("accuracy", _answers), ("robustness", _noise), ("subgroups", _groups))
    return [(told, name) for name, tell in found if name in run.results for told in tell(run.results[name])]


def _answers(result):
    values, right = result.values, accuracy.mean(result, "{}")
    if verdicts.verdict(right, 0.5) is Verdict.WORSE:
        yield f"a single answer: {100 * (1 - right.value):.0f} of 100 are wrong"
    if values["exclusive"]:
        if missed := [name for name, recall in classes.recalls(result).items() if recall.value == 0]:
            yield f"finding {wording.names(missed)}: no image of {'it' if len(missed) == 1 else 'them'} was found"
        return
    gains = zip(values["attributes"], result.arrays[f"{values['heads'][0]}.gain"], strict=True)
    judged = verdicts.sorted_by({name: Estimate.of(gain) for name, gain in gains})
    if weak := judged.get(Verdict.WORSE, []) + judged.get(Verdict.ALIKE, []):
        share = f"{len(weak)} of {len(values['attributes'])}"
        yield f"its answers about {wording.names(weak)} ({share}), not clearly better than always saying the same"


def _noise(result):
    view = robustness.View(result)
    noisy = robustness.typical(view)
    if noisy is None:
        return
    guess = view.values["guess"]["balanced_accuracy"]
    balanced, clean = (view.estimate("balanced_accuracy", index, 0) for index in (noisy, view.noise[0]))
    against_guess = verdicts.verdict(balanced, guess)
    known = None not in (balanced.value, clean.value)
    hardly = "hardly " if known and balanced.value - guess < HARDLY * (clean.value - guess) else ""
    less = view.sigmas[0] == 0 and verdicts.verdict(verdicts.unpaired(balanced, clean)) is Verdict.WORSE
    if less or against_guess is not Verdict.BETTER:
        yield (
            f"noisy pictures: under noise of sigma {view.conditions[noisy][1]:g} (black is 0, white 1) it is right in "
            f"{wording.percent(balanced)}"
            + (f" instead of {wording.percent(clean)}" if less else "")
            + " where the rare answer counts as much as the common one, "
            + (f"{hardly}more than " if against_guess is Verdict.BETTER else f"{against_guess.value} ")
            + f"guessing ({100 * guess:.0f} %)"
        )


def _groups(result):
    for name, numbers in zip(result.values["subgroups"], result.arrays["balanced_accuracy.mean"], strict=True):
        difference = Estimate.of(numbers[2])
        labelled = {Verdict.WORSE: "labelled", Verdict.BETTER: "not labelled"}.get(verdicts.verdict(difference))
        if labelled:
            low, high = sorted(100 * abs(end) for end in (difference.low, difference.high))
            yield (
                f"pictures {labelled} {wording.plain(name)}, whose balanced accuracy is lower than that of the others "
                f"by {100 * abs(difference.value):.1f} points ({low:.1f} to {high:.1f})"
            )
