"""What do noise and other corruptions do to the answers, and does the transformation (a, b) help? (1905.02719, fig. 5)

Whatever is fitted or chosen is fitted and chosen on validation and reported on the analysed split. Streams over both,
one corruption at a time, and keeps no image. Knows no page.
"""

import numpy as np
from scipy.special import expit

from mam_keras.analysis import adaptation
from mam_keras.analysis.adaptation import PAIRS, best_of, fit_offsets, look, means_of, scorers_by_halves
from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.evaluation import Scorer, defined_mean, estimates, resample_weights

METRICS = ("accuracy", "balanced_accuracy", "average_precision")
THRESHOLDED = METRICS[:2]  # what an offset of the logits can change
RANKED_RESAMPLES = 200  # at most so many for average precision, which takes ten times as long as the others
CONTROLS = ("unmasked", "offset", "unmasked_offset", "adapted", "adapted_offset")  # that stand for election
OFFSET_OF = {"offset": "identity", "unmasked_offset": "unmasked", "adapted_offset": "adapted"}
# Differences of variants, each paired: what is compared, with what
DIFFERENCES = {
    "over_control": ("best", "control"),
    "pair_over_offset": ("pair_offset", "offset"),
    "automatic_over_offset": ("automatic", "automatic_offset"),
    "automatic_over_control": ("automatic", "control"),
}


def conditions(analysis):
    """(corruption, severity) of every condition of a `config.Analysis`: noise of its sigmas, then its corruptions."""
    others = ((name, severity) for name in analysis.corruptions for severity in CORRUPTIONS[name].severities)
    return [*(("noise", sigma) for sigma in analysis.sigmas), *others]


def settings(config):
    """The answer depends on the images, what is done to them, how many are seen at once, pairs and the bootstrap."""
    return {
        "split": config.analysis.split,
        "pairs": [list(pair) for pair in config.analysis.pairs],
        "conditions": [list(condition) for condition in conditions(config.analysis)],
        "clip": config.analysis.clip,
        "resamples": config.analysis.resamples,
        "seed": config.seed,
        "batch_size": config.evaluation.batch_size,  # of `adapted`
    }


def compute(run):
    """Metrics, as means over attributes, of V variants of the answers under S conditions.

    A condition is a corruption and its severity. Variants, each with its `kind`:

        identity     the attribute heads as they were trained
        pair         the same with masks transformed by a pair (a, b) of `analysis.pairs`
        unmasked     control: a = 0, without what the masks add
        multi_label  the multi-label head, on the same features
        adapted      control: the identity, with the statistics of batch normalisation taken from the spoiled images
                     themselves, `evaluation.batch_size` of them at a time in the split's order, without their labels
                     (`Network.answers_by_batch`); a batch of mixed conditions is not what is measured
        offset, unmasked_offset, adapted_offset
                     controls: identity, a = 0 and `adapted` with one offset for each attribute and condition added to
                     the logits. It is fitted on validation images under the same condition
                     (`adaptation.fit_offsets`), for accuracy and for balanced accuracy each by itself, so that each
                     metric is compared with the offsets that are best for it. It ranks images as before: average
                     precision is the same
        pair_offset  of identity and pairs, each with offsets fitted likewise, the best on validation under the same
                     condition: a transformation that has no gain from merely shifting the logits
        automatic    pair and offsets that go with the noise level that the image itself shows (`adaptation.Rule`),
                     whatever the condition is. One set of offsets, fitted for balanced accuracy: the other two metrics
                     are of these very answers
        automatic_offset
                     the same rule with the identity's offsets, which transforms nothing

    Without masks there are no pairs, no `unmasked` and nothing made of them; `automatic` then has offsets alone.
    Without batch normalisation nothing is `adapted`; where nothing can be chosen on validation, nothing has an offset.

    Returns:
        `Result` with the values `attributes` (their names), `images`, `groups` (people that are resampled, or None),
        `validation_images` (or None), `not_chosen` (why nothing is chosen on validation, or None), `variants` ({"kind"}
        with "a" and "b" where it has a pair), `conditions` ([corruption, severity]), `guess` ({METRIC: of always
        answering the class that is the majority in training; balanced accuracy 1/2, average precision of chance}),
        `resamples` ({METRIC: how many}), and for each METRIC of `METRICS` the arrays

            METRIC                (S, V, 3)  value and ends of its 95 % interval
            METRIC.gain           (S, V, 3)  less the identity's, paired
            METRIC.per_attribute  (S, V, K)
            METRIC.validation     (S, V)     on validation, with offsets of the other half of the images
                                             (`adaptation.scorers_by_halves`); NaN of what stands for no election
            METRIC.best           (S,)       which of the pairs, identity included, is best there
            METRIC.best_offset    (S,)       which is with its offsets: the pair of `pair_offset`
            METRIC.control        (S,)       which control is best there
            METRIC.over_control   (S, 3)     the best pair less the best control, paired
            METRIC.pair_over_offset, METRIC.automatic_over_offset, METRIC.automatic_over_control
                                  (S, 3)     pair_offset - offset, automatic - automatic_offset, automatic - best
                                             control, paired, as far as they are there
            METRIC.offsets        (S, K)     of the identity's logits; not for average precision

        All from METRIC.validation on are left out where nothing is chosen. NaN where a metric is undefined for every
        attribute.

    Raises `Unavailable` where the network has no attribute heads, or the data no such split.
    """
    config, rates, network = run.config, run.training_rates, run.network
    if not config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads (model.attribute_heads is false)")
    images = run.images(config.analysis.split)
    if images is None:
        raise Unavailable(f"the data have no {config.analysis.split} split")
    not_chosen = _why_nothing_is_chosen(run)
    rule, validation = (None, None) if not_chosen else (adaptation.rule(run), run.images("validation"))
    variants = _variants(network, config, not not_chosen)
    classify = _classifier(run, variants)
    levels = None if not_chosen else adaptation.noise_levels(network)
    units = images.units
    resamples = config.analysis.resamples, min(RANKED_RESAMPLES, config.analysis.resamples)
    weights = [list(resample_weights(units, count, config.seed)) for count in resamples]
    every, found = conditions(config.analysis), []
    for number, condition in enumerate(every, 1):
        label = f"Robustness {number}/{len(every)}"
        chosen, offsets, looks = {}, {}, []
        if validation is not None:
            logits, *_ = classify(validation, condition, f"{label}, validation")
            chosen = _choose(validation, logits, variants, rates, config.seed)
            offsets = {
                metric: [fit_offsets(validation.labels, one, metric) for one in logits] for metric in THRESHOLDED
            }
            looks = [levels]
        logits, *noise = classify(images, condition, f"{label}, {config.analysis.split}", *looks)
        answers = _answers(logits, variants, offsets, chosen, rule, *noise)
        scored = _scored(images.labels, answers, rates, *weights, units, variants, chosen)
        found.append(scored | chosen | {f"{metric}.offsets": values[0] for metric, values in offsets.items()})
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


def _why_nothing_is_chosen(run):
    if run.config.analysis.split == "validation" and not run.config.data.train_on_validation:
        return "the validation images are the ones reported on here"
    return adaptation.why_nothing_is_chosen(run)


def _variants(network, config, fitted):
    """First those that the network answers, in the order of `_classifier`, then what follows from them if `fitted`."""
    variants = adaptation.variants(network, config)
    answered = [("multi_label", network.has_multi_label), ("adapted", network.has_batch_normalization)]
    variants += [{"kind": kind} for kind, there in answered if there]
    kinds = [variant["kind"] for variant in variants]
    following = [kind for kind, of in OFFSET_OF.items() if of in kinds]
    following += [*(["pair_offset", "automatic_offset"] if "pair" in kinds else []), "automatic"]
    return variants + [{"kind": kind} for kind in following if fitted]


def _classifier(run, variants):
    """A function as `adaptation.look` of a split under a condition; first come the logits, float32 (V', n, K).

    They are of the V' variants that the network answers: all pairs from one look at the images, `adapted` from another.
    """
    pairs = [(variant["a"], variant["b"]) for variant in variants if "a" in variant]
    answers = [run.network.answers_of_pairs(pairs)]
    if any(variant["kind"] == "adapted" for variant in variants):
        answers.append(run.network.answers_by_batch())

    def classify(images, condition, label, *looks):
        found = look(run, images, condition, label, *answers, *looks)
        return np.concatenate(found[: len(answers)]), *found[len(answers) :]

    return classify


def _choose(validation, logits, variants, rates, seed):
    """The arrays of one condition on validation: the means, and which variants are best by them."""
    index = _indices(variants)
    logits, arrays = logits.astype(float), {}
    plain = [Scorer(validation.labels, expit(one), rates)(np.ones((len(validation), 1))) for one in logits]
    for metric in METRICS:
        means = np.full(len(variants), np.nan)
        means[: len(logits)] = [defined_mean(score[metric][0]) for score in plain]
        shifted = means
        if metric in THRESHOLDED:
            shifted = means_of(validation, scorers_by_halves(validation, logits, metric, rates, seed), metric)
        best = best_of(shifted[: len(logits)], variants[: len(logits)], PAIRS)
        for kind, of in OFFSET_OF.items():
            if kind in index:
                means[index[kind]] = shifted[index[of]]
        if "pair_offset" in index:
            means[index["pair_offset"]] = shifted[best]
        arrays |= {
            f"{metric}.validation": means,
            f"{metric}.best": best_of(means, variants, PAIRS),
            f"{metric}.best_offset": best,
            f"{metric}.control": best_of(means, variants, CONTROLS),
        }
    return arrays


def _answers(logits, variants, offsets, chosen, rule, noise=None):
    """Every variant's logits by metric, float (n, K), or the variant whose value it shares, from those answered.

    Args:
        logits: (V', n, K) of `_classifier`.
        offsets: {metric: V' of (K,)}; empty where nothing is fitted.
        chosen: of `_choose`.
        rule, noise: the `adaptation.Rule` and the images' estimates (1, n); None where nothing is fitted.
    """
    index, logits = _indices(variants), logits.astype(float)
    answers = [dict.fromkeys(METRICS, one) for one in logits]
    for variant in variants[len(logits) :]:
        kind = variant["kind"]
        if kind in ("automatic", "automatic_offset"):
            knots, rows = rule.knots(noise[0]), np.arange(logits.shape[1])
            best, added = (0, rule.plain_offsets) if kind == "automatic_offset" else (rule.best[knots], rule.offsets)
            answers.append(dict.fromkeys(METRICS, logits[best, rows] + added[knots]))
            continue
        of = {m: chosen[f"{m}.best_offset"] if kind == "pair_offset" else index[OFFSET_OF[kind]] for m in METRICS}
        shifted = {metric: logits[of[metric]] + offsets[metric][of[metric]] for metric in THRESHOLDED}
        answers.append(shifted | {"average_precision": of["average_precision"]})
    return answers


def _scored(labels, answers, rates, weights, ranked_weights, units, variants, chosen):
    """The arrays of one condition on the analysed split; `weights` are resamples, `ranked_weights` fewer of them."""
    points, resampled = [], []
    for answer in answers:
        point, again = {}, {}
        for logits in {id(one): one for one in answer.values()}.values():
            metrics = [metric for metric, one in answer.items() if one is logits]
            if isinstance(logits, int):
                found = points[logits], resampled[logits]
            else:
                found = _score(Scorer(labels, expit(logits), rates), metrics, weights, ranked_weights)
            point |= {metric: found[0][metric] for metric in metrics}
            again |= {metric: found[1][metric] for metric in metrics}
        points.append(point)
        resampled.append(again)
    index, arrays = _indices(variants), {}
    for metric in METRICS:
        values = np.stack([point[metric] for point in points])
        means, again = defined_mean(values), np.stack([one[metric] for one in resampled], axis=-1)
        arrays[metric] = estimates(means, again, units)
        arrays[f"{metric}.gain"] = estimates(means - means[0], again - again[:, :1], units)
        arrays[f"{metric}.per_attribute"] = values
        at = index | {name: chosen[f"{metric}.{name}"] for name in ("best", "control") if chosen}
        for name, (one, other) in DIFFERENCES.items():
            if one in at and other in at:
                difference = means[at[one]] - means[at[other]], again[:, at[one]] - again[:, at[other]]
                arrays[f"{metric}.{name}"] = estimates(*difference, units)
    return arrays


def _score(scorer, metrics, weights, ranked_weights):
    """{metric: (K,)}, and {metric: its means over attributes, one for each resample}."""
    once, counted = np.ones((len(scorer.labels), 1)), [scorer.count(block) for block in weights]
    blocks, score = dict.fromkeys(metrics, counted), scorer.count
    if "average_precision" in metrics:  # which is slow
        blocks["average_precision"], score = [scorer(block) for block in ranked_weights], scorer
    point = {metric: values[0] for metric, values in score(once).items()}
    return point, {m: np.concatenate([defined_mean(block[m]) for block in blocks[m]]) for m in metrics}


def _indices(variants):
    """{kind: index of the variant}, of kinds that are there once (else of the last)."""
    return {variant["kind"]: index for index, variant in enumerate(variants)}


def _guess(labels, rates):
    """Each metric without looking: the majority class of training; for average precision, any order."""
    scores = Scorer(labels, np.zeros(labels.shape), rates).count(np.ones((len(labels), 1)))
    rate = scores["positive_rate"]
    mixed = np.where((rate > 0) & (rate < 1), rate, np.nan)
    means = (scores["majority_accuracy"], np.where(np.isnan(mixed), np.nan, 0.5), mixed)
    plain = (float(defined_mean(mean)[0]) for mean in means)
    return {metric: None if np.isnan(mean) else mean for metric, mean in zip(METRICS, plain, strict=True)}
