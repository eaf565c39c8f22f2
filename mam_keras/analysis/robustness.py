"""What do noise and other corruptions do to the answers, and does the transformation (a, b) help? (1905.02719, fig. 5)

Whatever is fitted or chosen is fitted and chosen on validation and reported on the analysed split. Streams over both,
one corruption at a time, and keeps no image. Knows no page.
"""

import numpy as np
from scipy.special import expit

from mam_keras import thresholds
from mam_keras.analysis.corruptions import CORRUPTIONS, corrupt
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.evaluation import Scorer, defined_mean, estimates, resample_weights

METRICS = ("accuracy", "balanced_accuracy", "average_precision")
THRESHOLDED = METRICS[:2]  # what an offset of the logits can change
RANKED_RESAMPLES = 200  # at most so many for average precision, which takes ten times as long as the others
PAIRS, CONTROLS = ("identity", "pair"), ("unmasked", "offset")  # kinds of variants that stand for election


def conditions(analysis):
    """(corruption, severity) of every condition: noise of the sigmas of a `config.Analysis`, then all others."""
    others = ((name, severity) for name, corruption in CORRUPTIONS.items() for severity in corruption.severities)
    return [*(("noise", sigma) for sigma in analysis.sigmas), *others]


def settings(config):
    """The answer depends on the images, on what is done to them, on the pairs, and on the bootstrap."""
    return {
        "split": config.analysis.split,
        "pairs": [list(pair) for pair in config.analysis.pairs],
        "conditions": [list(condition) for condition in conditions(config.analysis)],
        "clip": config.analysis.clip,
        "resamples": config.analysis.resamples,
        "seed": config.seed,
    }


def compute(run):
    """Metrics, as means over attributes, of V variants of the answers under S conditions.

    A condition is a corruption and its severity. Variants, each with its `kind`:

        identity     the attribute heads as they were trained
        pair         the same with masks transformed by a pair (a, b) of `analysis.pairs`
        unmasked     control: a = 0, without what the masks add
        multi_label  the multi-label head, on the same features
        offset       control: the identity with one offset for each attribute and condition added to the logits. It is
                     fitted on validation images under the same condition (`thresholds.fit`), for accuracy and for
                     balanced accuracy each by itself, so that each metric is compared with the offsets that are best
                     for it. It ranks images as the identity does: average precision is the same

    Without masks there are no pairs and no `unmasked`; where nothing can be chosen on validation, no `offset`.

    Returns:
        `Result` with the values `attributes` (their names), `images`, `groups` (people that are resampled, or None),
        `validation_images` (or None), `not_chosen` (why nothing is chosen on validation, or None), `variants` ({"kind"}
        with "a" and "b" where it has a pair), `conditions` ([corruption, severity]), `guess` ({METRIC: of always
        answering the class that is the majority in training; balanced accuracy 1/2, average precision of chance}),
        `resamples` ({METRIC: how many}), and for each METRIC of `METRICS` the arrays

            METRIC                (S, V, 3)  value and ends of its 95 % interval
            METRIC.gain           (S, V, 3)  less the identity's, paired
            METRIC.per_attribute  (S, V, K)
            METRIC.validation     (S, V)     on validation, where the offsets were fitted on these very images
            METRIC.best           (S,)       which of the pairs, identity included, is best there
            METRIC.control        (S,)       which control is best there
            METRIC.over_control   (S, 3)     the best pair less the best control, paired
            METRIC.offsets        (S, K)     of the logits; not for average precision

        The last five are left out where nothing is chosen. NaN where a metric is undefined for every attribute.

    Raises `Unavailable` where the network has no attribute heads, or the data no such split.
    """
    config, rates = run.config, run.training_rates
    if not config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads (model.attribute_heads is false)")
    images = run.images(config.analysis.split)
    if images is None:
        raise Unavailable(f"the data have no {config.analysis.split} split")
    not_chosen = _why_nothing_is_chosen(run)
    validation = None if not_chosen else run.images("validation")
    variants = _variants(run.network, config, with_offset=not not_chosen)
    classify = _classifier(run, variants)
    units = np.arange(len(images)) if images.groups is None else images.groups
    resamples = config.analysis.resamples, min(RANKED_RESAMPLES, config.analysis.resamples)
    weights = [list(resample_weights(units, count, config.seed)) for count in resamples]
    every, found = conditions(config.analysis), []
    for number, condition in enumerate(every, 1):
        label = f"Robustness {number}/{len(every)}"
        chosen, offsets = {}, {}
        if validation is not None:
            logits = classify(validation, condition, f"{label}, validation")
            offsets = {metric: fit_offsets(validation.labels, logits[0], metric) for metric in THRESHOLDED}
            chosen = _choose(_scorers(validation.labels, logits, offsets, rates), variants, len(validation))
        logits = classify(images, condition, f"{label}, {config.analysis.split}")
        scored = _scored(_scorers(images.labels, logits, offsets, rates), *weights, units, chosen)
        found.append(scored | chosen | {f"{metric}.offsets": values for metric, values in offsets.items()})
    values = {
        "attributes": list(run.attributes),
        "images": len(images),
        "groups": None if images.groups is None else len(np.unique(units)),
        "validation_images": None if validation is None else len(validation),
        "not_chosen": not_chosen,
        "variants": variants,
        "conditions": [list(condition) for condition in every],
        "guess": _guess(images.labels, rates),
        "resamples": dict(zip(METRICS, (resamples[0], *resamples), strict=True)),
    }
    return Result(values, {name: np.array([one[name] for one in found]) for name in found[0]})


def fit_offsets(labels, logits, metric):
    """What to add to each attribute's logits so that answers at 0 are best by `metric`: (n, K) twice -> (K,).

    0 for an attribute without a positive or without a negative image. Logits beyond 30 count as 30, so that there
    is always a probability above the highest one.
    """
    fitted = thresholds.fit(labels, expit(np.clip(logits.astype(float), -30, 30)), metric)
    return np.array([0.0 if threshold is None else np.log1p(-threshold) - np.log(threshold) for threshold in fitted])


def _why_nothing_is_chosen(run):
    if run.config.data.train_on_validation:
        return "the model was trained on the validation images"
    if run.config.analysis.split == "validation":
        return "the validation images are the ones reported on here"
    if "validation" not in run.source.splits:
        return "the data have no validation split"
    return None


def _variants(network, config, with_offset):
    """In the order in which `_classifier` answers; the offset, which follows from the identity, last."""
    identity = network.identity
    pairs = [("identity", identity)]
    if network.masked:
        others = dict.fromkeys(pair for pair in config.analysis.pairs if pair != identity)
        pairs += [*(("pair", pair) for pair in others), ("unmasked", (0.0, identity[1]))]
    variants = [{"kind": kind, "a": a, "b": b} for kind, (a, b) in pairs]
    single = [("multi_label", network.has_multi_label), ("offset", with_offset)]
    return variants + [{"kind": kind} for kind, there in single if there]


def _classifier(run, variants):
    """A function that streams a split under a condition: `Prepared` -> logits float32 (variants but offset, n, K)."""
    from mam_keras.analysis.network import stream

    pairs = [(variant["a"], variant["b"]) for variant in variants if "a" in variant]
    answer = run.network.answers_of_pairs(pairs)

    def classify(images, condition, label):
        logits = []
        for rows, batch in stream(images, run.config.evaluation.batch_size, label):
            corrupted = corrupt(batch.numpy(), *condition, run.config.seed, rows.start, run.config.analysis.clip)
            logits.append(answer(corrupted))
        return np.concatenate(logits, axis=1)

    return classify


class _Shifted:
    """Scores as `Scorer`, of logits to which each metric's own offsets have been added."""

    def __init__(self, labels, logits, offsets, rates):
        self.ranked = Scorer(labels, expit(logits), rates)
        self.scorers = {metric: Scorer(labels, expit(logits + offset), rates) for metric, offset in offsets.items()}

    def __call__(self, weights):
        return self.count(weights) | {"average_precision": self.ranked(weights)["average_precision"]}

    def count(self, weights):
        return {metric: scorer.count(weights)[metric] for metric, scorer in self.scorers.items()}


def _scorers(labels, logits, offsets, rates):
    """Every variant's `Scorer`, one after the other."""
    for one in logits.astype(float):
        yield Scorer(labels, expit(one), rates)
    if offsets:
        yield _Shifted(labels, logits[0].astype(float), offsets, rates)


def _scored(scorers, weights, ranked_weights, units, chosen):
    """The arrays of one condition on the analysed split; `weights` are resamples, `ranked_weights` fewer of them."""
    points, resampled = [], []
    for scorer in scorers:
        points.append(scorer(np.ones((len(units), 1))))
        counted, ranked = [scorer.count(block) for block in weights], [scorer(block) for block in ranked_weights]
        blocks = dict.fromkeys(THRESHOLDED, counted) | {"average_precision": ranked}
        resampled.append({m: np.concatenate([defined_mean(block[m]) for block in blocks[m]]) for m in METRICS})
    arrays = {}
    for metric in METRICS:
        values = np.concatenate([point[metric] for point in points])
        means, again = defined_mean(values), np.stack([one[metric] for one in resampled], axis=-1)
        arrays[metric] = estimates(means, again, units)
        arrays[f"{metric}.gain"] = estimates(means - means[0], again - again[:, :1], units)
        arrays[f"{metric}.per_attribute"] = values
        if chosen:
            best, control = chosen[f"{metric}.best"], chosen[f"{metric}.control"]
            difference = means[best] - means[control], again[:, best] - again[:, control]
            arrays[f"{metric}.over_control"] = estimates(*difference, units)
    return arrays


def _choose(scorers, variants, count):
    """The arrays of one condition on `count` validation images: the means, and which variants are best by them."""
    points = [scorer(np.ones((count, 1))) for scorer in scorers]
    arrays = {}
    for metric in METRICS:
        means = np.array([defined_mean(point[metric][0]) for point in points])
        arrays[f"{metric}.validation"] = means
        for name, kinds in (("best", PAIRS), ("control", CONTROLS)):
            standing = [index for index, variant in enumerate(variants) if variant["kind"] in kinds]
            arrays[f"{metric}.{name}"] = standing[np.argmax(np.nan_to_num(means[standing]))]
    return arrays


def _guess(labels, rates):
    """Each metric without looking: the majority class of training; for average precision, any order."""
    scores = Scorer(labels, np.zeros(labels.shape), rates).count(np.ones((len(labels), 1)))
    rate = scores["positive_rate"]
    mixed = np.where((rate > 0) & (rate < 1), rate, np.nan)
    means = (scores["majority_accuracy"], np.where(np.isnan(mixed), np.nan, 0.5), mixed)
    plain = (float(defined_mean(mean)[0]) for mean in means)
    return {metric: None if np.isnan(mean) else mean for metric, mean in zip(METRICS, plain, strict=True)}
