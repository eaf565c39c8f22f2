"""The first screen: what a classifier does, how well, where it looks and what not to trust it with, in plain sentences.

For someone who decides and has never seen the code. Every sentence is made from the run's numbers by `verdicts`, and
leads to the section that has them; what was not measured is not spoken of.
"""

from mam_keras.report import verdicts, wording
from mam_keras.report.blocks import Finding, Opening
from mam_keras.report.sections import accuracy, classes, robustness
from mam_keras.report.sections.localisation import WHERE, View
from mam_keras.report.targets import targets
from mam_keras.report.verdicts import Verdict
from mam_keras.statistics import Estimate

_NAMED = 4  # targets at most in a sentence


def opening(run) -> Opening | None:
    """Of a `ReportedRun`; None before anything is measured."""
    if "accuracy" not in run.results:
        return None
    findings = [finding for find in _FINDINGS if (finding := find(run)) is not None]
    return Opening(_lead(run), _numbers(run), tuple(findings), targets(run), _pictures(run))


def _score(run, metric):
    result = run.results["accuracy"]
    right = metric.format("top1" if result.values["exclusive"] else "accuracy")
    return Estimate.of(result.arrays[f"{result.values['heads'][0]}.{right}.mean"])


def _lead(run):
    values = run.results["accuracy"].values
    names = verdicts.listed(map(_plain, values["attributes"]), _NAMED)
    what = f"says which of {len(values['attributes'])} classes a picture shows"
    if not values["exclusive"]:
        what = f"answers {wording.count(len(values['attributes']), 'yes-or-no question')} about a picture"
    people = "" if values["groups"] is None else f" of {values['groups']:,} people"
    split = run.config.analysis.split
    new = ", none of which it was trained with" if split == "test" else ""
    if run.other_data:
        new = " of other data than it was trained with"
    skill = verdicts.skill(*(_score(run, metric) for metric in ("{}", "majority_{}", "gain")))
    return (
        f"This classifier {what} ({names}). It was examined on {wording.count(values['images'], f'{split} image')}"
        f"{people}{new}, and answers {skill}."
    )


def _numbers(run):
    """Three of them: (what is shown, what it is)."""
    exclusive = run.results["accuracy"].values["exclusive"]
    right, usual, balanced = (_score(run, metric) for metric in ("{}", "majority_{}", "balanced_accuracy"))
    always = "naming the most frequent class" if exclusive else "giving each question's usual answer"
    guessing = 100 / len(run.results["accuracy"].values["attributes"]) if exclusive else 50
    numbers = [
        (_percent(right), "of its answers are right"),
        (_percent(usual), f"would be right by always {always}"),
    ]
    if (view := _where(run)) is not None:
        pointing = view.mean("pointing", view.own)
        numbers.append((_percent(pointing), "of its maps have their highest point on what was asked for"))
    else:
        alike = "all classes" if exclusive else "yes and no"
        numbers.append((_percent(balanced), f"are right where {alike} count alike; guessing gives {guessing:.0f} %"))
    return tuple(numbers)


def _percent(estimate):
    return "undefined" if estimate.value is None else f"{100 * estimate.value:.1f} %"


def _plain(name):
    return name.replace("_", " ")


def _names(names):
    return verdicts.listed(map(_plain, names), _NAMED)


def _where(run):
    """The first regions by which maps were measured; None where there are none."""
    result = run.results.get("localisation")
    views = [] if result is None else [View(result, name) for name in result.values["sets"]]
    return next((view for view in views if len(view.reported)), None)


def _good(run):
    right, usual, gain = (_score(run, metric) for metric in ("{}", "majority_{}", "gain"))
    if gain.value is None:
        return None
    avoided = gain.value / (1 - usual.value) if usual.value < 1 else 0.0
    told = f"It is right in {wording.percent(right)}, {verdicts.verdict(gain).value} always giving the usual answer"
    if verdicts.verdict(gain) is Verdict.BETTER:
        told += f": of 100 errors that this would make it avoids {100 * avoided:.0f}"
    return Finding("How good is it?", f"{told}.", "accuracy")


def _weak(run):
    result = run.results["accuracy"]
    values, head = result.values, result.values["heads"][0]
    title = "Which answers are weak?"
    if values["exclusive"]:
        pairs = classes.confusions(result)
        if not pairs:
            return None
        true, answered, count, share = pairs[0]
        recalls = zip(values["attributes"], result.arrays[f"{head}.balanced_accuracy"], strict=True)
        recall = {name: found for name, numbers in recalls if (found := Estimate.of(numbers)).value is not None}
        least = min(recall, key=lambda name: recall[name].value)
        return Finding(
            title,
            f"{wording.begun(_plain(least))} is found in {wording.percent(recall[least])} of its images, the least of "
            f"all; the most frequent error is to take {_plain(true)} for {_plain(answered)} "
            f"({wording.count(count, 'image')}, {100 * share:.0f} % of its own).",
            "accuracy",
        )
    if weak := accuracy.weak_targets(result):
        return Finding(title, f"Of {wording.count(len(values['attributes']), 'attribute')} {_plain(weak)}.", "accuracy")
    gains = {name: Estimate.of(result.arrays[f"{head}.gain"][k]) for k, name in enumerate(values["attributes"])}
    judged = verdicts.sorted_by(gains)
    if Verdict.BETTER not in judged:
        return None
    least = min(judged[Verdict.BETTER], key=lambda name: gains[name].value)
    return Finding(
        title,
        f"None of {len(gains)} is answered as badly as by always saying the same; the least is gained for "
        f"{_plain(least)} ({wording.points(gains[least])}).",
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
        f"The highest point of its map lies on what was asked for in {wording.percent(pointing, 0)} of the pictures "
        f"that it answers rightly with yes, {judged} the middle of the picture ({100 * blob.value:.0f} %); "
        f"{ratio.value:.1f} times as much of the map as by chance lies there (by {WHERE[view.name]}).",
        "localisation",
    )


def _beside(run):
    """Where most maps point beside the target, or no better than the middle of the picture."""
    view = _where(run)
    if view is None:
        return _needs_the_middle(run)
    pointing = {view.attributes[k]: Estimate.of(view["pointing"][k, 0]) for k in view.reported}
    over = {view.attributes[k]: view.gain("pointing", "blob", k) for k in view.reported}
    most = [name for name, one in pointing.items() if verdicts.verdict(one, 0.5) is Verdict.WORSE]
    middle = [name for name, gain in over.items() if verdicts.verdict(gain) in (Verdict.WORSE, Verdict.ALIKE)]
    parts = []
    if most:
        shares = {name: f"{_plain(name)} ({100 * pointing[name].value:.0f} %)" for name in most}
        parts.append(f"less than half of its maps point at {verdicts.listed(shares.values(), _NAMED)}")
    if middle:
        parts.append(f"for {_names(middle)} it points there no better than the middle of the picture would")
    if not parts:
        least = min(pointing, key=lambda name: pointing[name].value)
        parts.append(
            f"for none of {len(pointing)} most of the time; least often it points at {_plain(least)} "
            f"({wording.percent(pointing[least], 0)} of the pictures)"
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
    told = (
        f"for {len(weak)} of {measured} the middle of the picture matters as much as what its map marks, or more: "
        f"{_names(weak)}"
        if weak
        else f"for none of {measured} does the middle of the picture matter as much as what its map marks"
    )
    told += "; where the right places are nobody has marked in these pictures"
    return Finding("Where does it look at the wrong place?", f"{wording.begun(told)}.", "faithfulness")


def _hangs(run):
    result = run.results.get("faithfulness")
    if result is None or Estimate.of(result.arrays["missed.mean"][0]).value is None:
        return None
    lost, random, centre = (100 * share for share in result.arrays["missed.mean"][:, 0])
    gains = {
        rival: Estimate.of(result.arrays["missed.difference.mean"][place])
        for place, rival in enumerate(("covering as much at random", "covering the middle"))
    }
    blocks, positions = result.values["positions"]
    covering = zip(result.values["attributes"], result.arrays["covering.difference"][:, 1], strict=True)
    middle = verdicts.sorted_by({name: Estimate.of(one) for name, one in covering}).get(Verdict.WORSE, ())
    but = f"; for {_names(middle)} the middle matters clearly more" if middle else ""
    return Finding(
        "Does the answer hang on that place?",
        f"Covering the {100 * blocks / positions:.0f} % of a picture that its map marks loses {lost:.0f} of 100 right "
        f"answers, at random {random:.0f}, in the middle {centre:.0f}: as a pointer the map is "
        f"{verdicts.against(gains)}{but}.",
        "faithfulness",
    )


def _not_trusted(run):
    """Noise under which it only guesses, and the group that it answers worse."""
    parts, section = [], "subgroups"
    result = run.results.get("robustness")
    if result is not None and (noisy := robustness.typical(view := robustness.View(result))) is not None:
        section = "robustness"
        balanced = view.estimate("balanced_accuracy", noisy, 0)
        guess = view.values["guess"]["balanced_accuracy"]
        clean = view.estimate("balanced_accuracy", view.noise[0], 0)
        parts.append(
            f"noisy pictures: with noise of sigma {view.conditions[noisy][1]:g} its balanced accuracy is "
            f"{wording.percent(balanced)}, {verdicts.verdict(balanced, guess).value} guessing ({100 * guess:.0f} %)"
            + (f", where it is {100 * clean.value:.1f} % without noise" if view.sigmas[0] == 0 and clean.value else "")
        )
    groups = run.results.get("subgroups")
    if groups is not None:
        for name, numbers in zip(groups.values["subgroups"], groups.arrays["balanced_accuracy.mean"], strict=True):
            difference = Estimate.of(numbers[2])
            if verdicts.verdict(difference) in (Verdict.WORSE, Verdict.BETTER):
                than = "with" if difference.value < 0 else "without"
                parts.append(f"pictures {than} {_plain(name)}, which it answers worse ({wording.points(difference)})")
    if not parts:
        return None
    parts.append("pictures unlike those of its training, which it answers all the same")
    return Finding("What not to trust it with?", f"{wording.begun('; '.join(parts))}.", section)


_FINDINGS = (_good, _weak, _looks, _beside, _hangs, _not_trusted)


def _pictures(run):
    answered = "answered" if run.results["accuracy"].values["exclusive"] else "answered with yes"
    view = _where(run)
    edge = "" if view is None else f" The blue line is the edge of where it is ({WHERE[view.name]})."
    return (
        f"One picture for each, on which it is rightly {answered}. Orange is what the network's map marks, the "
        f"stronger the more.{edge} Open one to see all that is known of it."
    )
