"""Which pair (a, b) and which offsets of the logits suit how noisy an image is, so that no caller has to choose them?

1905.02719 transforms masks "depending on the side information" and does not say what that is. Our reading: it is the
noise level that the image itself shows (`model.noise`). Everything is chosen and fitted on validation images. Knows
neither the images that are reported on, nor a page, nor a served model.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mam_keras import analysis, thresholds
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.evaluation import Scorer, defined_mean, paired_estimates

METRIC = "balanced_accuracy"  # for which offsets are fitted and pairs are chosen
RESAMPLES = 400  # of the interval by which a pair has to be better
PAIRS = ("identity", "pair")  # kinds of variants that can be chosen; a = 0 is a control


def settings(config):
    """The answer depends on the noise, on the pairs, and on how the images are halved."""
    return {
        "pairs": [list(pair) for pair in config.analysis.pairs],
        "sigmas": sorted(set(config.analysis.sigmas)),
        "clip": config.analysis.clip,
        "seed": config.seed,
    }


def compute(run):
    """The best pair and its offsets under Gaussian noise of each sigma, and the level of noise that images then show.

    Variants are the attribute heads as they were trained (kind `identity`), with masks transformed by a pair of
    `analysis.pairs` (`pair`), and without what the masks add (`unmasked`, a = 0); without masks the first alone. Each
    gets one offset per attribute and sigma, added to the logits, for the highest balanced accuracy (`fit_offsets`).
    For the score of a variant the validation images are halved, whole people where they are known; each half is
    answered with the offsets fitted on the other one. The offsets that are kept are fitted on all of them. The identity
    is left for the pair of the highest score only where that is measurably better: where the interval (95 %, people
    resampled) of the pair's gain over it lies above zero (`choose`).

    Returns:
        `Result` with the values `attributes` (K names), `images` (how many of validation), `groups` (people, or None),
        `variants` (V of {"kind", "a", "b"}), `sigmas` (S, rising), `knots` (J indices of sigmas, those whose level is
        above that of the knot before: where two sigmas cannot be told apart the lower one stands for both), and the
        arrays

            noise    (S, 3)     of the images' estimates: the median, which is the level, 5th and 95th percentile
            score    (S, V)     balanced accuracy, mean over attributes; NaN where it is undefined for all
            best     (S,)       which variant is chosen
            offsets  (S, V, K)  of the logits

    Raises `Unavailable` where nothing can be chosen on validation, or the network has no attribute heads.
    """
    config = run.config
    if not config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads (model.attribute_heads is false)")
    if reason := why_nothing_is_chosen(run):
        raise Unavailable(reason)
    images, found, sigmas = run.images("validation"), [], settings(config)["sigmas"]
    among = variants(run.network, config)
    looks = run.network.answers_of_pairs([(one["a"], one["b"]) for one in among]), noise_levels(run.network)
    for number, sigma in enumerate(sigmas, 1):
        label = f"Adaptation {number}/{len(sigmas)}"
        logits, levels = look(run, images, ("noise", sigma), label, *looks)
        logits = logits[: len(among)].astype(float)
        scorers = scorers_by_halves(images, logits, METRIC, run.training_rates, config.seed)
        score, best = choose(images, scorers, among, config.seed)
        found.append(
            {
                "noise": np.percentile(levels, (50, 5, 95)),
                "score": score,
                "best": best,
                "offsets": np.stack([fit_offsets(images.labels, one, METRIC) for one in logits]),
            }
        )
    arrays = {name: np.array([one[name] for one in found]) for name in found[0]}
    values = {
        "attributes": list(run.attributes),
        "images": len(images),
        "groups": None if images.groups is None else len(np.unique(images.groups)),
        "variants": among,
        "sigmas": sigmas,
        "knots": rising(arrays["noise"][:, 0]),
    }
    return Result(values, arrays)


@dataclass(frozen=True)
class Rule:
    """What is done to an image by its estimated noise: the nearest of J levels decides.

    Attributes:
        sigmas, levels: (J,), of the noise on validation and of its estimates there, rising.
        boundaries: float32 (J - 1,), halfway between neighbouring levels.
        best: int (J,), which of the result's variants.
        pairs: float32 (J, 2), its (a, b).
        offsets: float32 (J, K), added to its logits.
        plain_offsets: float32 (J, K), the same for the identity, with which nothing is transformed.
    """

    sigmas: np.ndarray
    levels: np.ndarray
    boundaries: np.ndarray
    best: np.ndarray
    pairs: np.ndarray
    offsets: np.ndarray
    plain_offsets: np.ndarray

    def knots(self, noise):
        """Which level each image is next to: estimates (n,) -> int (n,)."""
        return np.searchsorted(self.boundaries, noise, side="right")


def rule(run):
    """The `Rule` of a run. Raises `Unavailable` where its adaptation is."""
    found = analysis.result_of(run, "adaptation")
    knots, among = found.values["knots"], found.values["variants"]
    levels, best, offsets = (found.arrays[name][knots] for name in ("noise", "best", "offsets"))
    levels = levels[:, 0]
    return Rule(
        sigmas=np.array(found.values["sigmas"])[knots],
        levels=levels,
        boundaries=np.float32((levels[:-1] + levels[1:]) / 2),
        best=best,
        pairs=np.float32([(among[index]["a"], among[index]["b"]) for index in best]),
        offsets=np.float32(offsets[range(len(knots)), best]),
        plain_offsets=np.float32(offsets[:, 0]),
    )


def rising(levels):
    """Indices of the levels that are above all kept before them: (S,) -> list, the first among them."""
    kept = [0]
    for index, level in enumerate(levels):
        if level > levels[kept[-1]]:
            kept.append(index)
    return kept


def why_nothing_is_chosen(run):
    """Why nothing can be chosen on a run's validation images; None where it can."""
    if run.config.data.train_on_validation:
        return "the model was trained on the validation images"
    if "validation" not in run.source.splits:
        return "the data have no validation split"
    return None


def variants(network, config):
    """The attribute heads under the identity (the first), and where there are masks under each pair and a = 0."""
    identity = network.identity
    pairs = [("identity", identity)]
    if network.masked:
        others = dict.fromkeys(pair for pair in config.analysis.pairs if pair != identity)
        pairs += [*(("pair", pair) for pair in others), ("unmasked", (0.0, identity[1]))]
    return [{"kind": kind, "a": a, "b": b} for kind, (a, b) in pairs]


def best_of(scores, among, kinds):
    """Index of the highest score, the first of several, among the variants of these kinds. NaN is lowest."""
    standing = [index for index, variant in enumerate(among) if variant["kind"] in kinds]
    return standing[int(np.argmax(np.nan_to_num(np.asarray(scores)[standing])))]


def noise_levels(network):
    """`model.noise.noise_level` as a function for `look`: images (n, S, S, 3) -> float32 (1, n)."""
    import tensorflow as tf

    from mam_keras.model.noise import noise_level

    size = network.image_size
    estimate = tf.function(noise_level, [tf.TensorSpec((None, size, size, 3))])
    return lambda images: estimate(images).numpy()[None]


def look(run, images, condition, label, *functions):
    """What functions say of a split under a condition, from one stream over it that keeps no image.

    Args:
        images: `Prepared`.
        condition: (corruption, severity).
        functions: images float32 (n, S, S, 3) of a batch -> array (V, n, ...), V of their own.

    Returns:
        Of each function the array (V, N, ...) of all N images.
    """
    from mam_keras.analysis.network import stream

    found = [[] for _ in functions]
    for rows, batch in stream(images, run.config.evaluation.batch_size, label):
        corrupted = corrupt(batch.numpy(), *condition, run.config.seed, rows.start, run.config.analysis.clip)
        for parts, function in zip(found, functions, strict=True):
            parts.append(function(corrupted))
    return [np.concatenate(parts, axis=1) for parts in found]


def fit_offsets(labels, logits, metric):
    """What to add to each attribute's logits so that answers at 0 are best by `metric`: (n, K) twice -> (K,).

    0 for an attribute without a positive or without a negative image. Logits beyond 30 count as 30, so that there
    is always a probability above the highest one.
    """
    fitted = thresholds.fit(labels, expit(np.clip(logits.astype(float), -30, 30)), metric)
    return np.array([0.0 if threshold is None else np.log1p(-threshold) - np.log(threshold) for threshold in fitted])


def choose(images, scorers, among, seed):
    """Which variant stands for one level of noise, and every variant's score.

    Of many pairs that do nothing, the best one is a little better than the identity by chance, and costs what chance
    gave it on the next images. So the best pair has to be better by more than people differ.

    Args:
        images: `Prepared`, of n images.
        scorers: of V variants, the identity first, see `scorers_by_halves`.
        among: the variants, V of {"kind"}.
        seed: of the resamples.

    Returns:
        float (V,), means over attributes of `METRIC`; the index of the pair that is best by them, where the 95 %
        interval of its gain over the identity is above zero, and 0 otherwise.
    """
    score = means_of(images, scorers, METRIC)
    best = best_of(score, among, PAIRS)
    if best:
        gain = paired_estimates(scorers[0].count, scorers[best].count, [METRIC], images.units, RESAMPLES, seed)
        _, low, _ = gain[f"{METRIC}.mean"][2]  # of the difference
        best = best if low > 0 else 0
    return score, best


def scorers_by_halves(images, logits, metric, rates, seed):
    """Answers of each half of the images with offsets fitted on the other half for `metric`, ready to be scored.

    So nothing is scored on what it was fitted on, and variants can be compared with each other and with what needs no
    fitting. Halves are of people where the images' `groups` are known.

    Args:
        images: `Prepared`, of n images.
        logits: float (V, n, K).
        rates: float (K,), see `evaluation.Scorer`.

    Returns:
        V of `evaluation.Scorer`.
    """
    names, members = np.unique(images.units, return_inverse=True)
    first = (np.random.default_rng(seed).permutation(len(names)) < len(names) / 2)[members]
    scorers = []
    for one in logits:
        shifted = np.empty_like(one)
        for half in (first, ~first):
            shifted[half] = one[half] + fit_offsets(images.labels[~half], one[~half], metric)
        scorers.append(Scorer(images.labels, expit(shifted), rates))
    return scorers


def means_of(images, scorers, metric):
    """Means over attributes of `metric`, any but average precision: (V,) of V scorers."""
    once = np.ones((len(images), 1))
    return np.array([defined_mean(scorer.count(once)[metric])[0] for scorer in scorers])
