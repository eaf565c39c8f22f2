"""When a head says 80 %, is it "yes" in 80 of 100 images? From predictions.npz alone."""

import math

import numpy as np

from mam_keras.analysis.result import Result
from mam_keras.statistics import Estimate, defined_mean, estimates, ratio, resample_weights

NEEDS = {"predictions", "labels"}
VERSION = 2
BINS = 10  # of equal width over [0, 1]
DRAWS = 100  # of labels from the probabilities, for the error that chance alone leaves


def settings(config):
    """The answer depends on the bootstrap."""
    return {"resamples": config.analysis.resamples, "seed": config.seed}


def compute(run, split):
    """Reliability and expected calibration error of the probability of "yes", over the labels that are known.

    In bin b lie n_b of the n probabilities, with the mean p_b; a share y_b of their labels is "yes":

        ECE = sum_b n_b / n |y_b - p_b|      (Guo et al. 2017, for the probability of "yes", `BINS` equal bins)

    A perfectly calibrated head does not reach 0 on finitely many images: `by_chance` is the mean ECE of `DRAWS` sets
    of labels drawn from the probabilities themselves, each label on its own.

    Of exclusive targets each class is such a label; and `top` is the ECE as it is usually meant (Guo et al. 2017):
    p is the probability of the answer, the most probable class, and "yes" that this class is right.

    Returns:
        `Result` with the values `attributes` (K names), `exclusive`, `images`, `heads`, and for each head the arrays

            HEAD.bins           (K, BINS, 3)  n_b, p_b, y_b of every target; NaN where n_b = 0
            HEAD.pooled         (BINS, 5)     n_b, p_b, y_b over all targets, and the interval of y_b
            HEAD.error          (K, 2)        ECE, and by chance; NaN where no label is known
            HEAD.error.pooled   (2,)          over all targets as one; misses errors that cancel out between them
            HEAD.error.mean     (2,)          mean over targets
            HEAD.top.pooled, HEAD.top.error.pooled
                                              the same of the answers of exclusive targets
    """
    predictions, config = run.predictions(split), run.config
    labels, known, arrays = predictions.labels, predictions.known, {}
    for head, probabilities in predictions.probabilities.items():
        found = _reliability(probabilities, labels, known, predictions.units, config)
        arrays |= {f"{head}.{name}": array for name, array in found.items()}
        if predictions.exclusive:
            answers = predictions.answers(head)
            right = (answers & labels).any(axis=1, keepdims=True)
            highest = probabilities.max(axis=1, keepdims=True)
            found = _reliability(highest, right, known.any(axis=1, keepdims=True), predictions.units, config)
            arrays |= {f"{head}.top.{name}": found[name] for name in ("pooled", "error.pooled")}
    values = {
        "attributes": list(run.attributes),
        "exclusive": predictions.exclusive,
        "images": len(predictions.ids),
        "heads": list(predictions.probabilities),
    }
    return Result(values, arrays)


def headline(result):
    """`calibration_error` of the head that answers, and `calibration_error_chance`: what chance leaves of it.

    The mean over attributes; of exclusive targets that of the answers.
    """
    of = f"{result.values['heads'][0]}.{'top.error.pooled' if result.values['exclusive'] else 'error.mean'}"
    error, chance = result.arrays[of]
    return {
        "calibration_error": Estimate.of((error, math.nan, math.nan)),
        "calibration_error_chance": Estimate.of((chance, math.nan, math.nan)),
    }


def _reliability(probabilities, labels, known, units, config):
    """bins, pooled, error, error.pooled, error.mean of probabilities, labels and which are known, each (n, K)."""
    random = np.random.default_rng(config.seed)
    bins = Bins(probabilities.astype(float), known)
    positive = bins.sums(labels)
    draws = [bins.sums(random.random(probabilities.shape) < probabilities) for _ in range(DRAWS)]
    images = bins.per_image(labels)
    weights = resample_weights(units, config.analysis.resamples, config.seed)
    rates = np.concatenate([ratio(*(block.T @ counts for counts in images)) for block in weights])
    count = bins.count.sum(axis=0)
    rate = estimates(ratio(positive.sum(axis=0), count), rates, units)
    error = np.stack([bins.error(positive), np.mean([bins.error(d) for d in draws], axis=0)], axis=-1)
    return {
        "bins": np.stack([bins.count, bins.means, ratio(positive, bins.count)], axis=-1),
        "pooled": np.concatenate([np.stack([count, ratio(bins.mass.sum(axis=0), count)], axis=-1), rate], axis=-1),
        "error": error,
        "error.pooled": np.array([bins.pooled_error(positive), np.mean([bins.pooled_error(d) for d in draws])]),
        "error.mean": defined_mean(error.T),
    }


class Bins:
    """Which bin every probability of one head (n, K) falls into; those whose label is not known fall into none.

    Attributes:
        count, mass, means: (K, BINS) how many, their sum, their mean.
    """

    def __init__(self, probabilities, known):
        self.known, self.shape = known, (probabilities.shape[1], BINS)
        self.bin = np.minimum((probabilities * BINS).astype(int), BINS - 1)  # 1 belongs to the last
        self.count, self.mass = self.sums(np.ones(probabilities.shape)), self.sums(probabilities)
        self.means = ratio(self.mass, self.count)

    def sums(self, values):
        """(n, K) -> (K, BINS)."""
        places = self.bin + BINS * np.arange(self.shape[0])
        return np.bincount(places.ravel(), (values * self.known).ravel().astype(float), self.shape[0] * BINS).reshape(
            self.shape
        )

    def per_image(self, labels):
        """How many attributes of an image are in a bin and positive, and in a bin: labels (n, K) -> two (n, BINS)."""
        inside = (self.bin[..., None] == np.arange(BINS)) & self.known[..., None]
        return (inside & labels[..., None]).sum(axis=1), inside.sum(axis=1)

    def error(self, positive):
        """ECE of every attribute: positives (K, BINS) -> (K,); NaN where no label is known."""
        return ratio(np.abs(positive - self.mass).sum(axis=1), self.count.sum(axis=1))

    def pooled_error(self, positive):
        """ECE of all attributes as one."""
        return np.abs((positive - self.mass).sum(axis=0)).sum() / self.count.sum()
