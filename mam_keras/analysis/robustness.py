"""What do noise and other corruptions do to the answers, and does the transformation (a, b) help? (1905.02719, fig. 5)

Whatever is fitted or chosen is fitted and chosen on validation and reported on the analysed split. Streams over both,
one corruption at a time, and keeps no image. Knows no page.
"""

import numpy as np

from mam_keras.analysis import rule
from mam_keras.analysis.adaptation import PAIRS, best_of, by_halves
from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.analysis.needs import lacking
from mam_keras.analysis.result import Result
from mam_keras.analysis.scoring import COUNTED, METRICS, Scoring, means
from mam_keras.offsets import fit_offsets
from mam_keras.statistics import Estimate, defined_mean, estimates

NEEDS = ("images",)
VERSION = 3
CONTROLS = ("unmasked", "offset", "unmasked_offset", "adapted", "adapted_offset")  # that stand for election
OFFSET_OF = {"offset": "identity", "unmasked_offset": "unmasked", "adapted_offset": "adapted"}
# Differences of variants, each paired: what is compared, with what
DIFFERENCES = {
    "over_control": ("best", "control"),
    "pair_over_offset": ("pair_offset", "offset"),
    "automatic_over_offset": ("automatic", "automatic_offset"),
    "automatic_over_control": ("automatic", "control"),
}
HEADLINES = ("identity", "best_pair", "best_control", "automatic")  # under noise, of balanced accuracy


def conditions(analysis):
    """(corruption, severity) of every condition of a `config.Analysis`: noise of its sigmas, then its corruptions."""
    others = ((name, severity) for name in analysis.corruptions for severity in CORRUPTIONS[name].severities)
    return [*(("noise", sigma) for sigma in analysis.sigmas), *others]


def settings(config):
    """The answer depends on what is done to images, how many are seen at once, pairs and the bootstrap."""
    return {
        "pairs": [list(pair) for pair in config.analysis.pairs],
        "conditions": [list(condition) for condition in conditions(config.analysis)],
        "clip": config.analysis.clip,
        "resamples": config.analysis.resamples,
        "seed": config.seed,
        "batch_size": config.evaluation.batch_size,  # of `adapted`
    }


def compute(run, split):
    """Metrics, as means over attributes, of V variants of the answers under S conditions.

    A condition is a corruption and its severity. Variants, each with its `kind`:

        identity     the answering head as it was trained
        pair         the same with masks transformed by a pair (a, b) of `analysis.pairs`
        unmasked     control: a = 0, without what the masks add
        (a name)     each further head of the network, as multi_label, under its name
        adapted      control: the identity, with the statistics of batch normalisation taken from the spoiled images
                     themselves, `evaluation.batch_size` of them at a time in the split's order, without their labels
                     (`looks.Looks`); a batch of mixed conditions is not what is measured
        offset, unmasked_offset, adapted_offset
                     controls: identity, a = 0 and `adapted` with one offset for each attribute and condition added to
                     the logits. It is fitted on validation images under the same condition
                     (`offsets.fit_offsets`), for accuracy and for balanced accuracy each by itself, so that each
                     metric is compared with the offsets that are best for it. It ranks images as before: average
                     precision is the same
        pair_offset  of identity and pairs, each with offsets fitted likewise, the best on validation under the same
                     condition: a transformation that has no gain from merely shifting the logits
        automatic    pair and offsets that go with the noise level that the image itself shows (`rule.Rule`),
                     whatever the condition is. One set of offsets, fitted for balanced accuracy: the other two metrics
                     are of these very answers
        automatic_offset
                     the same rule with the identity's offsets, which transforms nothing

    Without masks there are no pairs, no `unmasked` and nothing made of them; `automatic` then has offsets alone. Of
    exclusive targets accuracy is top-1, balanced accuracy the mean of the classes' recalls, and nothing has an offset.
    Without batch normalisation nothing is `adapted`; where nothing can be chosen on validation, nothing has an offset.

    Returns:
        `Result` with the values `attributes` (their names), `exclusive`, `images`, `groups` (people that are resampled,
        or None), `validation_images` (or None), `not_chosen` (why nothing is chosen on validation, or None), `variants`
        ({"kind"} with "a" and "b" where it has a pair), `conditions` ([corruption, severity]), `guess` ({METRIC: of
        always answering the class that is the majority in training; balanced accuracy 1/2, or 1/K of classes; average
        precision of chance}), `resamples` ({METRIC: how many}), and for each METRIC of `METRICS` the arrays

            METRIC                (S, V, 3)  value and ends of its 95 % interval
            METRIC.gain           (S, V, 3)  less the identity's, paired
            METRIC.per_attribute  (S, V, K)
            METRIC.validation     (S, V)     on validation, with offsets of the other half of the images
                                             (`adaptation.by_halves`); NaN of what stands for no election
            METRIC.best           (S,)       which of the pairs, identity included, is best there
            METRIC.best_offset    (S,)       which is with its offsets: the pair of `pair_offset`
            METRIC.control        (S,)       which control is best there
            METRIC.over_control   (S, 3)     the best pair less the best control, paired
            METRIC.pair_over_offset, METRIC.automatic_over_offset, METRIC.automatic_over_control
                                  (S, 3)     pair_offset - offset, automatic - automatic_offset, automatic - best
                                             control, paired, as far as they are there
            METRIC.offsets        (S, K)     of the identity's logits; not for average precision

        All from METRIC.validation on are left out where nothing is chosen. NaN where a metric is undefined for every
        attribute. Labels that are not known count nowhere.
    """
    every, found = conditions(run.config.analysis), []
    measured = _Conditions(run, split)
    for number, condition in enumerate(every, 1):
        found.append(measured.measure(condition, f"Robustness {number}/{len(every)}"))
    images, validation = measured.images, measured.validation
    values = {
        "attributes": list(run.attributes),
        "exclusive": run.targets.exclusive,
        "images": len(images),
        "groups": None if images.groups is None else len(np.unique(images.groups)),
        "validation_images": None if validation is None else len(validation),
        "not_chosen": measured.not_chosen,
        "variants": measured.variants,
        "conditions": [list(condition) for condition in every],
        "guess": _guess(images, run.training_rates, run.targets.exclusive),
        "resamples": measured.scoring.resamples,
    }
    return Result(values, {name: np.array([one[name] for one in found]) for name in found[0]})


def headline(result):
    """KIND_sigma_S of balanced accuracy under noise, for each of `HEADLINES` that there is and each sigma."""
    values, arrays, found = result.values, result.arrays, {}
    index = {variant["kind"]: place for place, variant in enumerate(values["variants"])}
    metric = "balanced_accuracy"
    for row, (corruption, sigma) in enumerate(values["conditions"]):
        if corruption != "noise" or not sigma:
            continue
        at = dict(index)
        if f"{metric}.best" in arrays:
            at |= {"best_pair": arrays[f"{metric}.best"][row], "best_control": arrays[f"{metric}.control"][row]}
        for kind in HEADLINES:
            if kind in at:
                found[f"{kind}_sigma_{sigma:g}"] = Estimate.of(arrays[metric][row, at[kind]])
    return found


class _Conditions:
    """What is asked under every condition of the split and of validation, and how it is scored.

    Attributes:
        images, validation: `Prepared`; the latter None where nothing is chosen.
        not_chosen: why nothing is, or None.
        scoring: of `images`.
        variants: first those that the network answers (`looks.Looks`), then what follows from them.
    """

    def __init__(self, run, split):
        self._run, self._split, self._looks = run, split, run.looks
        self.images, self.validation = run.images(split), None
        self.not_chosen = _why_nothing_is_chosen(run, split)
        self.scoring = self._scoring_of(self.images, run.config.analysis.resamples)
        self.variants = list(self._looks.variants)
        if self.not_chosen is None:
            self.validation, self._rule = run.images("validation"), rule.rule(run)
            self._validation_scoring = self._scoring_of(self.validation, 0)
            kinds = [variant["kind"] for variant in self.variants]
            following = [kind for kind, of in OFFSET_OF.items() if of in kinds]
            following += [*(["pair_offset", "automatic_offset"] if "pair" in kinds else []), "automatic"]
            self.variants += [{"kind": kind} for kind in following]
        self._index = {variant["kind"]: place for place, variant in enumerate(self.variants)}  # the last of pairs

    def measure(self, condition, label):
        """The arrays of `compute` under one condition."""
        chosen, offsets, arrays = {}, {}, {}
        if self.validation is not None:
            logits, _ = self._looks.look("validation", condition, f"{label}, validation")
            chosen, offsets = self._choose(logits.astype(float))
        logits, noise = self._looks.look(self._split, condition, f"{label}, {self._split}")
        for metric in METRICS:
            answers = self._answers(metric, logits.astype(float), noise, chosen, offsets)
            arrays |= self._arrays(metric, self.scoring(metric, answers), chosen)
        return arrays | chosen | {f"{metric}.offsets": values[0] for metric, values in offsets.items()}

    def _choose(self, logits):
        """On validation: the means and which variants are best by them, and {metric: offsets (V', K)}."""
        images, answered, arrays = self.validation, len(logits), {}
        shifted = by_halves(images, logits, COUNTED, self._run.config.seed)
        for metric in METRICS:
            mean = np.full(len(self.variants), np.nan)
            mean[:answered] = with_offsets = means(self._validation_scoring(metric, logits))[0]
            if metric in COUNTED:
                with_offsets = means(self._validation_scoring(metric, shifted[metric]))[0]
            best = best_of(with_offsets, self.variants[:answered], PAIRS)
            for kind, of in OFFSET_OF.items():
                if kind in self._index:
                    mean[self._index[kind]] = with_offsets[self._index[of]]
            if "pair_offset" in self._index:
                mean[self._index["pair_offset"]] = with_offsets[best]
            arrays |= {
                f"{metric}.validation": mean,
                f"{metric}.best": best_of(mean, self.variants, PAIRS),
                f"{metric}.best_offset": best,
                f"{metric}.control": best_of(mean, self.variants, CONTROLS),
            }
        return arrays, fit_offsets(images.labels, logits.swapaxes(0, 1), images.known, COUNTED)

    def _answers(self, metric, logits, noise, chosen, offsets):
        """Every variant's logits (V, n, K), from those answered (V', n, K) and the images' estimated noise (n,)."""
        every = list(logits)
        for variant in self.variants[len(logits) :]:
            kind = variant["kind"]
            if kind.startswith("automatic"):
                every.append(self._by_rule(logits, self._rule.knots(noise), transformed=kind == "automatic"))
                continue
            of = chosen[f"{metric}.best_offset"] if kind == "pair_offset" else self._index[OFFSET_OF[kind]]
            every.append(logits[of] + offsets[metric][of] if metric in offsets else logits[of])
        return np.stack(every)

    def _by_rule(self, logits, knots, transformed):
        if transformed:
            return logits[self._rule.best[knots], np.arange(len(knots))] + self._rule.offsets[knots]
        return logits[0] + self._rule.plain_offsets[knots]

    def _arrays(self, metric, scores, chosen):
        """The arrays of one metric on the analysed split, of scores (1 + resamples, V, K)."""
        (mean, again), units = means(scores), self.images.units
        arrays = {
            metric: estimates(mean, again, units),
            f"{metric}.gain": estimates(mean - mean[0], again - again[:, :1], units),
            f"{metric}.per_attribute": scores[0],
        }
        at = self._index | {name: chosen[f"{metric}.{name}"] for name in ("best", "control") if chosen}
        for name, (one, other) in DIFFERENCES.items():
            if one in at and other in at:
                difference = mean[at[one]] - mean[at[other]], again[:, at[one]] - again[:, at[other]]
                arrays[f"{metric}.{name}"] = estimates(*difference, units)
        return arrays

    def _scoring_of(self, images, resamples):
        run = self._run
        return Scoring(images.labels, images.known, images.units, resamples, run.config.seed, run.targets.exclusive)


def _why_nothing_is_chosen(run, split):
    if split == "validation" and not run.config.data.train_on_validation:
        return "the validation images are the ones reported on here"
    return lacking(run, "validation", ("choice", "independent"))


def _guess(images, rates, exclusive):
    """Each metric without looking: the majority class of training; for average precision, any order."""
    rate = images.rates
    mixed = np.where((rate > 0) & (rate < 1), rate, np.nan)
    if exclusive:
        accuracy, balanced = rate[np.argmax(rates)], 1 / len(rate)
    else:
        accuracy = defined_mean(np.select([rates >= 0.5, rates < 0.5], [rate, 1 - rate], np.nan))
        balanced = defined_mean(np.where(np.isnan(mixed), np.nan, 0.5))
    guesses = map(float, (accuracy, balanced, defined_mean(mixed)))
    return {metric: None if np.isnan(guess) else guess for metric, guess in zip(METRICS, guesses, strict=True)}
