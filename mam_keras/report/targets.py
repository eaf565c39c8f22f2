"""What is known of each target by itself: its picture, how often it is right, where its map lies, what it is taken for.

Gathers from the results of all analyses what the sections show for all targets side by side.
"""

import numpy as np

from mam_keras.report import figures, verdicts, wording
from mam_keras.report.blocks import Cell, Finding, Target
from mam_keras.report.sections import accuracy, classes, robustness
from mam_keras.report.sections.localisation import WHERE, View
from mam_keras.statistics import Estimate

PICTURED = 48  # targets at most that have a picture
_SIDE, _COLORS = 96, 48  # of a picture, in pixels; of its palette
_NAMED = 4  # other targets at most in one sentence


def targets(run) -> tuple[Target, ...]:
    """Of every target of a `ReportedRun` that has been evaluated, in their order."""
    if "accuracy" not in run.results:
        return ()
    values = run.results["accuracy"].values
    return tuple(_target(run, k, name) for k, name in enumerate(values["attributes"]))


def _target(run, k, name):
    facts = []
    for section, title, tell in _FACTS:
        if section in run.results and (text := tell(run.results[section], k, name)):
            facts.append(Finding(title, f"{wording.begun(text)}.", section))
    return Target(name, _picture(run, k, name) if k < PICTURED else None, tuple(facts), tuple(_errors(run, name)))


def _estimate(result, key, k):
    return Estimate.of(result.arrays[f"{result.values['heads'][0]}.{key}"][k])


def _answers(result, k, name):
    if result.values["exclusive"]:
        found, ranked = (_estimate(result, metric, k) for metric in ("balanced_accuracy", "average_precision"))
        return f"of its images {wording.percent(found)} are found; average precision {wording.percent(ranked)}"
    right, gain, balanced = (_estimate(result, metric, k) for metric in ("accuracy", "gain", "balanced_accuracy"))
    if right.value is None:
        return "no label is known"
    usual, majority = accuracy.usual_answers(result)[k], _estimate(result, "majority_accuracy", k).value
    return (
        f"right in {wording.percent(right)}, {verdicts.verdict(gain).value} always answering {usual} "
        f"({100 * majority:.1f} %); balanced accuracy {wording.percent(balanced)}"
    )


def _confused(result, k, name):
    if not result.values["exclusive"]:
        return ""
    pairs = [(other, count) for true, other, count, _ in classes.confusions(result) if true == name][:_NAMED]
    wrong = [(true, count) for true, other, count, _ in classes.confusions(result) if other == name][:_NAMED]
    texts = (
        f"{how} {', '.join(f'{other} ({count})' for other, count in found)}"
        for how, found in (("taken for", pairs), ("answered for", wrong))
        if found
    )
    return "; ".join(texts) or "never confused"


def _moved(result, k, name):
    effects = result.arrays["effects"]
    others = [j for j in np.argsort(-np.abs(effects[:, k, 0])) if j != k][:_NAMED]
    told = ", ".join(f"{result.values['attributes'][j]} {effects[j, k, 0]:+.2f}" for j in others)
    return f"put into a picture alone, it moves its own logit by {effects[k, k, 0]:+.2f}; others move it: {told}"


def _map(result, k, name):
    for view in (View(result, where) for where in result.values["sets"]):
        if k not in view.reported:
            continue
        ratio, pointing = (Estimate.of(view[measure][k, 0]) for measure in ("ratio", "pointing"))
        judged = (verdicts.verdict(view.gain(measure, "blob", k)).value for measure in ("ratio", "pointing"))
        by_energy, by_pointing = judged
        return (
            f"its highest point is on it in {wording.percent(pointing, 0)} of the images, {by_pointing} a blob in the "
            f"middle; {ratio.value:.1f} times as much of the map as by chance is on it, {by_energy} a blob "
            f"({WHERE[view.name]})"
        )
    return ""


def _needs(result, k, name):
    if np.isnan(result.arrays["logit"][k]):
        return ""
    lost, random, centre = (100 * share for share in result.arrays["missed"][k, :, 0])
    judged = verdicts.verdict(Estimate.of(result.arrays["covering.difference"][k, 1])).value
    return (
        f"of images on which it is found {lost:.0f} % are lost when what the map marks is covered, {random:.0f} % when "
        f"random blocks are, {centre:.0f} % when the middle is; by what it costs, {judged} the middle"
    )


def _together(result, k, name):
    names, told = result.values["attributes"], []
    if "attributes" in result.arrays:
        near = [other for other in result.arrays["attributes.nearest"][k] if other >= 0][:_NAMED]
        if near:
            matrix = result.arrays["attributes"]
            told.append("by masks with " + ", ".join(f"{names[j]} ({matrix[k, j]:.2f})" for j in near))
    logits = result.arrays.get(f"logits.{result.values['heads'][0]}")
    if logits is not None and len(names) > 1:
        strength = np.where(np.arange(len(names)) == k, 0, np.nan_to_num(np.abs(logits[k])))
        near = np.argsort(-strength)[: min(_NAMED, len(names) - 1)]
        told.append("by logits with " + ", ".join(f"{names[j]} ({logits[k, j]:.2f})" for j in near))
    return "; ".join(told)


def _noise(result, k, name):
    view = robustness.View(result)
    noisy = robustness.typical(view)
    if noisy is None:
        return ""
    clean, after = (result.arrays["balanced_accuracy.per_attribute"][index, 0, k] for index in (view.noise[0], noisy))
    if np.isnan(after):
        return ""
    what, guess = ("recall" if view.values["exclusive"] else "balanced accuracy"), view.values["guess"]
    before = f", {100 * clean:.1f} % without noise" if view.sigmas[0] == 0 else ""
    return (
        f"{what} {100 * after:.1f} % under noise of sigma {view.conditions[noisy][1]:g}{before} "
        f"({100 * guess['balanced_accuracy']:.0f} % is guessing)"
    )


def _calibrated(result, k, name):
    error, chance = 100 * result.arrays[f"{result.values['heads'][0]}.error"][k]
    return "" if np.isnan(error) else f"probabilities are off by {error:.1f} points, {chance:.1f} of them by chance"


def _groups(result, k, name):
    told = []
    for group, numbers in zip(result.values["subgroups"], result.arrays["balanced_accuracy"][:, k], strict=True):
        difference = Estimate.of(numbers[2])
        if difference.value is not None:
            told.append(f"with {group} {wording.points(difference)}, {verdicts.word(difference)}")
    return "balanced accuracy " + "; ".join(told) if told else ""


_FACTS = (  # (analysis and section, what it is called, how it is told)
    ("accuracy", "Answers", _answers),
    ("accuracy", "Confused", _confused),
    ("localisation", "Map", _map),
    ("faithfulness", "What it needs", _needs),
    ("toggling", "What moves it", _moved),
    ("correlations", "Goes together", _together),
    ("robustness", "Noise", _noise),
    ("calibration", "Probability", _calibrated),
    ("subgroups", "Groups", _groups),
)


def _errors(run, name):
    """The target's most confident errors, of those that the section about them shows."""
    if "mistakes" not in run.results:
        return
    result = run.results["mistakes"]
    pictures = result.arrays.get("images", ())  # none where nothing is wrong
    for error, pixels in zip(result.values["shown"], pictures, strict=True):
        if name in (error["attribute"], error.get("true")):
            answer = error["attribute"] if "true" in error else "no" if error["label"] else "yes"
            said = f"answered {answer}"
            label = f"{said}, {100 * error['probability']:.0f} %"
            yield Cell(figures.png(pixels, _SIDE, colors=_COLORS), label, f"{error['id']}: {said}")


def _picture(run, k, name):
    """The target's own map on a true positive, from the first analysis that has kept one; None where none has."""
    for tell in (_localised, _explored, _gridded, _deep):
        if (found := tell(run, k)) is not None:
            identifier, image, heat, region, what = found
            picture = figures.glowing(image, heat, region, _SIDE)
            y, x = np.unravel_index(heat.argmax(), heat.shape)
            where = f"row {y + 1}, column {x + 1} of {heat.shape[0]} x {heat.shape[1]}"
            return Cell(
                figures.png(picture, colors=_COLORS), name, f"{name} on {identifier}: {what} highest at {where}"
            )
    return None


def _localised(run, k):
    result = run.results.get("localisation")
    for view in [] if result is None else (View(result, where) for where in result.values["sets"]):
        if k in view.reported:
            return view["ids"][k], view["images"][k], view["maps"][k][0], view["regions"][k], view.title(view.own)
    return None


def _explored(run, k):
    result = run.results.get("examples")
    if result is None:
        return None
    arrays, (own, told) = result.arrays, next(iter(result.values["maps"].items()))
    for row in np.flatnonzero(arrays["labels"][:, k] & arrays["known"][:, k] & arrays["answers"][:, k, 0]):
        shown = arrays[f"map.{own}"][row]
        heat = np.maximum(shown[k if len(shown) > 1 else 0, 0], 0)
        return arrays["ids"][row], arrays["images"][row], heat, None, told["title"]
    return None


def _gridded(run, k):
    result = run.results.get("mask_grids")
    if result is None or "maps" not in result.arrays:
        return None
    arrays = result.arrays
    for look in np.flatnonzero((arrays["attribute"] == k) & arrays["correct"] & ~arrays["of_pair"]):
        row = arrays["image"][look]
        return arrays["ids"][row], arrays["images"][row], arrays["maps"][look].astype(float), None, "the map"
    return None


def _deep(run, k):
    result = run.results.get("depth")
    if result is None or np.isnan(result.arrays["concentration"][k, 0, 0]):
        return None
    arrays = result.arrays
    last = len(result.values["stages"]) - 1
    return arrays["ids"][k], arrays["images"][k], arrays["maps"][k][last], None, "Grad-CAM at the last stage"
