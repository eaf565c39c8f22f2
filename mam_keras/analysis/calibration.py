"""When a head says 80 %, is it "yes" in 80 of 100 images? From predictions.npz alone."""

import numpy as np

from mam_keras.analysis.result import Result
from mam_keras.evaluation import estimates, ratio, resample_weights

BINS = 10  # of equal width over [0, 1]
DRAWS = 100  # of labels from the probabilities, for the error that chance alone leaves


def settings(config):
    """The answer depends on the split and on the bootstrap."""
    return {"split": config.analysis.split, "resamples": config.analysis.resamples, "seed": config.seed}


def compute(run):
    """Reliability and expected calibration error of the probability of "yes".

    In bin b lie n_b of the n probabilities, with the mean p_b; a share y_b of their labels is "yes":

        ECE = sum_b n_b / n |y_b - p_b|      (Guo et al. 2017, for the probability of "yes", `BINS` equal bins)

    A perfectly calibrated head does not reach 0 on finitely many images: `by_chance` is the mean ECE of `DRAWS` sets
    of labels drawn from the probabilities themselves, each label on its own.

    Returns:
        `Result` with the values `attributes` (K names), `images`, `heads`, and for each head the arrays

            HEAD.bins           (K, BINS, 3)  n_b, p_b, y_b of every attribute; NaN where n_b = 0
            HEAD.pooled         (BINS, 5)     n_b, p_b, y_b over all attributes, and the interval of y_b
            HEAD.error          (K, 2)        ECE, and by chance
            HEAD.error.pooled   (2,)          over all attributes as one; misses errors that cancel out between them
            HEAD.error.mean     (2,)          mean over attributes

    Raises `Unavailable` without predictions.
    """
    predictions = run.answers
    arrays = {}
    for head, probabilities in predictions.probabilities.items():
        random = np.random.default_rng(run.config.seed)
        bins = Bins(probabilities.astype(float))
        positive = bins.sums(predictions.labels)
        draws = [bins.sums(random.random(probabilities.shape) < probabilities) for _ in range(DRAWS)]
        weights = resample_weights(predictions.units, run.config.analysis.resamples, run.config.seed)
        images = bins.per_image(predictions.labels)
        rates = np.concatenate([ratio(*(block.T @ counts for counts in images)) for block in weights])
        rate = ratio(positive.sum(axis=0), bins.count.sum(axis=0))
        arrays |= {
            f"{head}.bins": np.stack([bins.count, bins.means, ratio(positive, bins.count)], axis=-1),
            f"{head}.pooled": np.concatenate(
                [
                    np.stack([bins.count.sum(axis=0), ratio(bins.mass.sum(axis=0), bins.count.sum(axis=0))], axis=-1),
                    estimates(rate, rates, predictions.units),
                ],
                axis=-1,
            ),
            f"{head}.error": np.stack([bins.error(positive), np.mean([bins.error(d) for d in draws], axis=0)], axis=-1),
            f"{head}.error.pooled": np.array(
                [bins.pooled_error(positive), np.mean([bins.pooled_error(d) for d in draws])]
            ),
        }
        arrays[f"{head}.error.mean"] = arrays[f"{head}.error"].mean(axis=0)
    values = {
        "attributes": list(run.attributes),
        "images": len(predictions.ids),
        "heads": list(predictions.probabilities),
    }
    return Result(values, arrays)


class Bins:
    """Which bin every probability of one head (n, K) falls into.

    Attributes:
        count, mass, means: (K, BINS) how many, their sum, their mean.
    """

    def __init__(self, probabilities):
        self.shape = (probabilities.shape[1], BINS)
        self.bin = np.minimum((probabilities * BINS).astype(int), BINS - 1)  # 1 belongs to the last
        self.count, self.mass = self.sums(np.ones(probabilities.shape)), self.sums(probabilities)
        self.means = ratio(self.mass, self.count)

    def sums(self, values):
        """(n, K) -> (K, BINS)."""
        places = self.bin + BINS * np.arange(self.shape[0])
        return np.bincount(places.ravel(), values.ravel().astype(float), self.shape[0] * BINS).reshape(self.shape)

    def per_image(self, labels):
        """How many attributes of an image are in a bin and positive, and in a bin: labels (n, K) -> two (n, BINS)."""
        inside = self.bin[..., None] == np.arange(BINS)
        return (inside & labels[..., None]).sum(axis=1), inside.sum(axis=1)

    def error(self, positive):
        """ECE of every attribute: positives (K, BINS) -> (K,)."""
        return np.abs(positive - self.mass).sum(axis=1) / self.count.sum(axis=1)

    def pooled_error(self, positive):
        """ECE of all attributes as one."""
        return np.abs((positive - self.mass).sum(axis=0)).sum() / self.count.sum()
