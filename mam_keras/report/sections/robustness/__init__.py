"""What noise and other corruptions do to the answers, and what the transformation (a, b) does about it."""

import numpy as np

from mam_keras.report import verdicts, wording
from mam_keras.report.blocks import Missing, Section
from mam_keras.report.sections.robustness import curves, tables
from mam_keras.report.sections.robustness.view import View

NEEDS = ("robustness",)
TITLE = "Robustness against noise"
_LEVELS = "noise levels"
TYPICAL = 0.2  # the summary speaks of the sigma next to this one


def section(run, others):
    """From the analyses `robustness` and, where there is one, `adaptation`; `others` are not shown."""
    view = View(run.results["robustness"])
    blocks = [*_what_is_missing(view), curves.overview(view)]
    if view.chosen:
        blocks.append(tables.chosen_on_validation(view, view.noise, "robustness-noise", "Under Gaussian noise"))
    if "automatic" in view.kinds and "adaptation" in run.results:
        blocks.append(tables.levels(run.results["adaptation"]))
    if "pair_offset" in view.kinds:
        blocks.append(tables.parts(view))
    if view.pairs:
        blocks += [curves.pairs(view), curves.gains(view)]
    blocks.append(curves.attributes(view))
    if view.others:
        blocks.append(curves.corruptions(view))
    if view.others and view.chosen:
        spoiled = [index for name in view.others for index in view.of(name)]
        blocks.append(tables.chosen_on_validation(view, spoiled, "robustness-others", "Under other corruptions"))
    return Section("robustness", TITLE, "1905.02719, figure 5", _reading(view), tuple(blocks), tuple(_summary(view)))


def _reading(view):
    text = "Every curve is of the same spoiled images. "
    if view.pairs and view.chosen:
        text += (
            "A pair (a, b) helps only where it beats the controls: leaving out what the masks add (a = 0), adding one "
            "number to each logit of the network as it is (offset), or normalising with the statistics "
            "of the spoiled images themselves, without labels (batch statistics). Pair, control and offsets are chosen "
            "on spoiled validation images and reported on others. Automatic means that nobody says how spoiled an "
            "image is: its own noise, estimated, decides pair and offsets (our reading of the paper's side "
            "information). "
        )
    return text + (
        "Near the majority class accuracy says nothing; balanced accuracy and average precision do. "
        "One training run is one seed: intervals cover the images, not training."
    )


def _what_is_missing(view):
    reason = view.values["not_chosen"]
    if reason is not None:
        yield Missing(f"No best pair, no offsets, no automatic choice: {reason}.")
    if not view.pairs:
        yield Missing("No pairs (a, b): the network has no masks, or no pair but the identity is configured.")
    if "adapted" not in view.kinds:
        yield Missing("No batch statistics as a control: the network has no batch normalisation.")


def typical(view):
    """The condition of Gaussian noise that sentences speak of; None where no image was made noisy."""
    return min(_spoiled(view), key=lambda index: abs(view.conditions[index][1] - TYPICAL), default=None)


def _spoiled(view):
    return [index for index, sigma in zip(view.noise, view.sigmas, strict=True) if sigma > 0]


def _summary(view):
    spoiled, noisy = _spoiled(view), typical(view)
    if noisy is None:
        return
    sigma, guess = view.conditions[noisy][1], view.values["guess"]["accuracy"]
    accuracy, balanced = (view.estimate(metric, noisy, 0) for metric in ("accuracy", "balanced_accuracy"))
    clean = [100 * view.arrays[metric][view.noise[0], 0, 0] for metric in ("accuracy", "balanced_accuracy")]
    known = view.sigmas[0] == 0 and not np.isnan(clean).any()
    before = ", from {:.1f} and {:.1f} without noise".format(*clean) if known else ""
    yield (
        f"Under Gaussian noise of sigma {sigma:g} the answers keep {wording.percent(accuracy)} "
        f"{view.metrics['accuracy']} (majority class: {100 * guess:.1f}) and {wording.percent(balanced)} balanced "
        f"accuracy{before}."
    )
    if "adapted" in view.kinds:
        gain = view.estimate("balanced_accuracy.gain", noisy, view.kinds["adapted"])
        yield (
            "Batch normalisation by the statistics of the noisy images themselves, which needs no label, changes "
            f"balanced accuracy by {wording.points(gain)} at sigma {sigma:g}."
        )
    if not view.chosen:
        return
    if view.pairs:
        yield from _verdict(view, spoiled)
    gain = view.estimate("balanced_accuracy.gain", noisy, view.kinds["offset"])
    clean = ""
    if view.sigmas[0] == 0:
        offset = view.estimate("balanced_accuracy.gain", view.noise[0], view.kinds["offset"])
        clean = f", and by {wording.points(offset)} without noise"
    yield (
        f"One offset for each logit, without any transformation, changes balanced accuracy by "
        f"{wording.points(gain)} at sigma {sigma:g}{clean}."
    )
    if "automatic" in view.kinds:
        yield from _automatic(view, noisy, spoiled)


def _verdict(view, spoiled):
    """Whether pairs help, and whether a simple control does as well."""
    metric = "balanced_accuracy"
    gains = {index: view.best_gain(metric, index) for index in spoiled}
    beyond = [view.estimate(f"{metric}.over_control", index) for index in spoiled]
    yield (
        "In balanced accuracy the pair (a, b) chosen on validation is, against no transformation, "
        f"{verdicts.often(gains.values(), _LEVELS)}; against the best control {verdicts.often(beyond, _LEVELS)}."
    )
    ranked = {index: view.best_gain("average_precision", index) for index in spoiled}
    index = max(ranked, key=lambda index: ranked[index].value or 0)
    if ranked[index].value is not None:
        yield (
            "In average precision, which no offset can change, the pair chosen for it gains at most "
            f"{wording.points(ranked[index])} over no transformation (sigma {view.conditions[index][1]:g})."
        )


def _automatic(view, noisy, spoiled):
    """What the automatic choice gains, what of it a transformation has part in, and how it stands against controls."""
    metric = "balanced_accuracy"
    gain = view.estimate(f"{metric}.gain", noisy, view.kinds["automatic"])
    text = (
        "The automatic choice, pair and offsets by the noise that an image shows itself, changes it by "
        f"{wording.points(gain)} at sigma {view.conditions[noisy][1]:g}"
    )
    if "automatic_offset" in view.kinds:
        offset = view.estimate(f"{metric}.gain", noisy, view.kinds["automatic_offset"])
        beyond = view.estimate(f"{metric}.automatic_over_offset", noisy)
        text += f": {wording.points(offset)} by its offsets alone and "
        if (beyond.value, beyond.low, beyond.high) == (0, 0, 0):
            text += "nothing by the transformation, because no pair is clearly better there than none"
        else:
            text += f"{wording.points(beyond)} by the transformation on top"
    beyond = [view.estimate(f"{metric}.automatic_over_control", index) for index in spoiled]
    yield f"{text}; against the best control it is {verdicts.often(beyond, _LEVELS)}."
