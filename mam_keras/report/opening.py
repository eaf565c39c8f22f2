"""The first screen: what a classifier does, how well, where it looks and what not to trust it with, in plain sentences.

For someone who decides and has never seen the code. Every sentence is made from the run's numbers by `verdicts`, and
leads to the section that has them; what was not measured is not spoken of.
"""

from mam_keras.report import verdicts, wording
from mam_keras.report.blocks import Finding, Opening
from mam_keras.report.doubts import doubts
from mam_keras.report.sections import accuracy, classes
from mam_keras.report.sections.localisation import View
from mam_keras.report.targets import PICTURED, targets
from mam_keras.report.verdicts import Verdict
from mam_keras.statistics import Estimate

_USUAL = {
    True: "always naming the class that was most frequent in training",
    False: "always giving a question's usual answer",
}
_NAMED = 4  # targets at most in a sentence
_RIGHT_PLACE = {  # how it is known, by the name of the regions
    "exact": "The right place is known exactly: the pictures are drawn",
    "parts": "The right place is what people marked as such",
    "boxes": "The right place is known roughly: by boxes and other shapes, the same on nearly all pictures",
}


def opening(run) -> Opening | None:
    """Of a `ReportedRun`; None before anything is measured."""
    if "accuracy" not in run.results:
        return None
    findings = [finding for find in _FINDINGS if (finding := find(run)) is not None]
    found = targets(run)
    return Opening(_lead(run), _numbers(run), tuple(findings), found, _pictures(run, found))


def _exclusive(run):
    return run.results["accuracy"].values["exclusive"]


def _score(run, metric):
    return accuracy.mean(run.results["accuracy"], metric)


def _lead(run):
    values = run.results["accuracy"].values
    names = wording.names(values["attributes"])
    what = f"says which of {len(values['attributes'])} classes a picture shows"
    if not values["exclusive"]:
        shown = run.config.data.SHOWS
        what = f"answers {wording.count(len(values['attributes']), 'yes-or-no question')} about {shown}"
    people = "" if values["groups"] is None else f" from {values['groups']:,} people"
    split = run.config.analysis.split
    new = ", none of which it was trained with" if split == "test" else ""
    if run.other_data:
        new = " of other data than it was trained with"
    right, usual, gain = (_score(run, metric) for metric in ("{}", "majority_{}", "gain"))
    skill = verdicts.skill(right, usual, gain)
    if verdicts.verdict(gain) is Verdict.BETTER:
        avoided = 100 * gain.value / (1 - usual.value)
        skill += f": it avoids {avoided:.0f} of 100 errors that {_USUAL[_exclusive(run)]} would make"
    return (
        f"This classifier {what} ({names}). It was examined on {wording.count(values['images'], f'{split} image')}"
        f"{people}{new}, and answers {skill}."
    )


def _numbers(run):
    """Three of them: (what is shown, what it is)."""
    exclusive = _exclusive(run)
    right, usual, balanced = (_score(run, metric) for metric in ("{}", "majority_{}", "balanced_accuracy"))
    guessing = 100 / len(run.results["accuracy"].values["attributes"]) if exclusive else 50
    numbers = [
        (_percent(right), "of its answers are right"),
        (_percent(usual), f"would be right by {_USUAL[exclusive]}"),
    ]
    if (view := _where(run)) is not None:
        pointing = view.mean("pointing", view.own)
        numbers.append((_percent(pointing), f"of its maps point at the right place ({_judged(run, view)} measured)"))
    else:
        alike = "all classes" if exclusive else "yes and no"
        numbers.append((_percent(balanced), f"are right where {alike} count alike; guessing gives {guessing:.0f} %"))
    return tuple(numbers)


def _percent(estimate):
    return "undefined" if estimate.value is None else f"{100 * estimate.value:.1f} %"


def _where(run):
    """The first regions by which maps were measured; None where there are none."""
    result = run.results.get("localisation")
    views = [] if result is None else [View(result, name) for name in result.values["sets"]]
    return next((view for view in views if len(view.reported)), None)


def _good(run):
    right, usual, gain = (_score(run, metric) for metric in ("{}", "majority_{}", "gain"))
    if gain.value is None:
        return None
    told = f"It is right in {wording.percent(right)}, {verdicts.verdict(gain).value} {_USUAL[_exclusive(run)]}"
    return Finding("How good is it?", f"{told} ({_percent(usual)}).", "accuracy")


def _weak(run):
    result = run.results["accuracy"]
    values, head = result.values, result.values["heads"][0]
    title = "Which answers are weak?"
    if values["exclusive"]:
        told = classes.weakest(result)
        return Finding(title, told, "accuracy") if told else None
    if weak := accuracy.weak_targets(result):
        of = wording.count(len(values["attributes"]), "attribute")
        return Finding(title, f"Of {of} {wording.plain(weak)}.", "accuracy")
    gains = {name: Estimate.of(result.arrays[f"{head}.gain"][k]) for k, name in enumerate(values["attributes"])}
    judged = verdicts.sorted_by(gains)
    if Verdict.BETTER not in judged:
        return None
    least = min(judged[Verdict.BETTER], key=lambda name: gains[name].value)
    right = Estimate.of(result.arrays[f"{head}.accuracy"][values["attributes"].index(least)])
    return Finding(
        title,
        f"None: each of {len(judged[Verdict.BETTER])} is answered clearly better than by always saying the same. The "
        f"least is gained for {wording.plain(least)}: right in {wording.percent(right)} instead of "
        f"{100 * (right.value - gains[least].value):.1f} %.",
        "accuracy",
    )


def _looks(run):
    view = _where(run)
    if view is None:
        return None
    ratio, pointing, blob = view.mean("ratio", view.own), view.mean("pointing", view.own), view.mean("pointing", "blob")
    judged = verdicts.verdict(view.gain("pointing", "blob")).value
    return Finding(
        "Where does it look?",
        f"With every answer comes a map of what in the picture spoke for it. For {_judged(run, view)}, its highest "
        f"point is at the right place in {wording.percent(pointing)} of the pictures rightly {_answered(run)}, "
        f"{judged} always pointing at the middle ({100 * blob.value:.0f} %); {ratio.value:.1f} times as much of the "
        f"map as by chance lies there. {_RIGHT_PLACE[view.name]}.",
        "localisation",
    )


def _judged(run, view):
    """How many targets a view speaks of."""
    judged, noun = len(view.reported), wording.target(_exclusive(run))
    of = len(view.attributes)
    return f"all {wording.count(of, noun)}" if judged == of else f"{judged} of {wording.count(of, noun)}"


def _answered(run):
    return "answered" if _exclusive(run) else "answered with yes"


def _beside(run):
    """Where most maps point beside the target, or no better than the middle of the picture."""
    view = _where(run)
    if view is None:
        return _needs_the_middle(run)
    right = {view.attributes[k]: Estimate.of(view["pointing"][k, 0]) for k in view.reported}
    wrong = {name: verdicts.unpaired(Estimate(1.0, 1.0, 1.0), one) for name, one in right.items()}
    over = {view.attributes[k]: view.gain("pointing", "blob", k) for k in view.reported}
    most = [name for name, one in wrong.items() if verdicts.verdict(one, 0.5) is Verdict.BETTER]
    middle = [name for name, gain in over.items() if verdicts.verdict(gain) in (Verdict.WORSE, Verdict.ALIKE)]
    parts = []
    if most:
        shares = (f"{wording.plain(name)} (in {100 * wrong[name].value:.0f} % of the pictures)" for name in most)
        parts.append(f"its map points mostly at another place for {verdicts.listed(shares, _NAMED)}")
    if middle:
        names = "there" if middle == most else f"for {wording.names(middle)}"
        parts.append(f"{names} it is not clearly more often right than always pointing at the middle")
    if not parts:
        worst = max(wrong, key=lambda name: wrong[name].value)
        parts.append(
            f"for no {wording.target(_exclusive(run))} of {len(wrong)} does its map point mostly at another place; it "
            f"does so most for {wording.plain(worst)}, in {wording.percent(wrong[worst], 0)} of the pictures"
        )
    return Finding("Where does it look at the wrong place?", f"{wording.begun('; '.join(parts))}.", "localisation")


def _needs_the_middle(run):
    """Without known regions: where covering the middle costs as much as covering what the map marks."""
    result = run.results.get("faithfulness")
    if result is None:
        return None
    names, arrays = result.values["attributes"], result.arrays
    gains = {name: Estimate.of(arrays["covering.difference"][k, 1]) for k, name in enumerate(names)}
    judged = verdicts.sorted_by(gains)
    weak = judged.get(Verdict.WORSE, []) + judged.get(Verdict.ALIKE, [])
    measured = len(weak) + len(judged.get(Verdict.BETTER, []))
    if not measured:
        return None
    judged = f"of the {wording.count(measured, wording.target(_exclusive(run)))} that could be judged"
    return Finding(
        "Where does it look?",
        "Nobody has marked the right places in these pictures, so that nobody can say whether its map points at them. "
        f"For {len(weak) or 'none'} {judged}, what the map marks does not matter clearly more than the middle of the "
        f"picture{f': {wording.names(weak)}' if weak else ''}.",
        "faithfulness",
    )


def _hangs(run):
    result = run.results.get("faithfulness")
    if result is None or Estimate.of(result.arrays["missed.mean"][0]).value is None:
        return None
    lost, random, centre = (100 * share for share in result.arrays["missed.mean"][:, 0])
    gains = {
        rival: Estimate.of(result.arrays["missed.difference.mean"][place])
        for place, rival in enumerate(("random places", "the middle"))
    }
    blocks, positions = result.values["positions"]
    covering = zip(result.values["attributes"], result.arrays["covering.difference"][:, 1], strict=True)
    middle = verdicts.sorted_by({name: Estimate.of(one) for name, one in covering}).get(Verdict.WORSE, ())
    but = f"; for {wording.names(middle)}, taken alone, the middle matters clearly more" if middle else ""
    return Finding(
        "Does the answer depend on what its map marks?",
        f"Covering the {100 * blocks / positions:.0f} % of a picture that its map marks loses {lost:.0f} of 100 right "
        f"answers; as much at random loses {random:.0f}, in the middle {centre:.0f}. As a guide to what decides, the "
        f"map is all in all {verdicts.against(gains)}{but}.",
        "faithfulness",
    )


def _not_trusted(run):
    found = doubts(run)
    if not found:
        return None
    told = [*(told for told, _ in found), "pictures unlike those of its training, which it answers without a warning"]
    return Finding("What not to trust it with?", f"{wording.begun('; '.join(told))}.", found[0][1])


_FINDINGS = (_good, _weak, _looks, _beside, _hangs, _not_trusted)


def _pictures(run, found):
    edge = "" if _where(run) is None else " Where the right place is known, the blue line is its edge."
    lacks = any(one.picture is None for one in found[:PICTURED])
    none = " Where it says no picture, this page keeps no such image." if lacks else ""
    return (
        f"One picture for each, on which it is rightly {_answered(run)}.{none} Orange is what the network's map marks, "
        f"the stronger the more.{edge} Open one to see all that is known of it."
    )
