"""Which pair (a, b) and which offsets of the logits suit how noisy an image is, so that no caller has to choose them?

1905.02719 transforms masks "depending on the side information" and does not say what that is. Our reading: it is the
noise level that the image itself shows (`model.noise`). Everything is chosen and fitted on validation images, whichever
split is reported. Knows neither a page nor a served model; what is done by its answer says `rule`.
"""

import numpy as np

from mam_keras.analysis.result import Result
from mam_keras.analysis.rule import rising
from mam_keras.analysis.scoring import Scoring, means
from mam_keras.offsets import fit_offsets
from mam_keras.statistics import defined_mean, estimates

NEEDS = ("choice", "independent")
VERSION = 2
SPLIT = "validation"
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


def compute(run, split):
    """The best pair and its offsets under Gaussian noise of each sigma, and the level of noise that images then show.

    Variants are the answering head as it was trained (kind `identity`), with masks transformed by a pair of
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
    """
    images, found, sigmas = run.images(split), [], settings(run.config)["sigmas"]
    among = [variant for variant in run.looks.variants if "a" in variant]
    for number, sigma in enumerate(sigmas, 1):
        logits, levels = run.looks.look(split, ("noise", sigma), f"Adaptation {number}/{len(sigmas)}")
        logits = logits[: len(among)].astype(float)
        score, best = choose(
            images, by_halves(images, logits, [METRIC], run.config.seed)[METRIC], among, run.config.seed
        )
        fitted = fit_offsets(images.labels, logits.swapaxes(0, 1), images.known, [METRIC])
        found.append(
            {"noise": np.percentile(levels, (50, 5, 95)), "score": score, "best": best, "offsets": fitted[METRIC]}
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


def best_of(scores, among, kinds):
    """Index of the highest score, the first of several, among the variants of these kinds. NaN is lowest."""
    standing = [index for index, variant in enumerate(among) if variant["kind"] in kinds]
    return standing[int(np.argmax(np.nan_to_num(np.asarray(scores)[standing])))]


def choose(images, logits, among, seed):
    """Which variant stands for one level of noise, and every variant's score.

    Of many pairs that do nothing, the best one is a little better than the identity by chance, and costs what chance
    gave it on the next images. So the best pair has to be better by more than people differ.

    Args:
        images: `Prepared`, of n images.
        logits: float (V, n, K), of which "yes" begins at 0, the identity first, see `by_halves`.
        among: the variants, V of {"kind"}.
        seed: of the resamples.

    Returns:
        float (V,), means over attributes of `METRIC`; the index of the pair that is best by them, where the 95 %
        interval of its gain over the identity is above zero, and 0 otherwise.
    """
    scored = Scoring(images.labels, images.known, images.units, RESAMPLES, seed)(METRIC, logits)
    score, _ = means(scored)
    best = best_of(score, among, PAIRS)
    gain = defined_mean(scored[:, best] - scored[:, 0])
    _, low, _ = estimates(gain[0], gain[1:], images.units)
    return score, best if low > 0 else 0


def by_halves(images, logits, metrics, seed):
    """Answers of each half of the images with offsets fitted on the other half: {metric: logits (V, n, K)}.

    So nothing is scored on what it was fitted on, and variants can be compared with each other and with what needs no
    fitting. Halves are of people where the images' `groups` are known.

    Args:
        images: `Prepared`, of n images.
        logits: float (V, n, K).
        metrics: what offsets are fitted for, of `offsets.METRICS`.
    """
    names, members = np.unique(images.units, return_inverse=True)
    first = (np.random.default_rng(seed).permutation(len(names)) < len(names) / 2)[members]
    shifted = {metric: np.empty_like(logits) for metric in metrics}
    for half in (first, ~first):
        fitted = fit_offsets(images.labels[~half], logits[:, ~half].swapaxes(0, 1), images.known[~half], metrics)
        for metric, offsets in fitted.items():
            shifted[metric][:, half] = logits[:, half] + offsets[:, None]
    return shifted
