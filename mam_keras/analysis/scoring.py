"""Many answers to the same images scored at once, in the same resamples. Knows plain arrays.

`evaluation.Scorer`, its plain form, scores one. Here one matrix product counts for all answers what each resample
holds; images of one unit (one person) are added up before, since a resample holds all of them or none.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax

from mam_keras.predictions import answers
from mam_keras.statistics import defined_mean, ratio, resample_weights

COUNTED = ("accuracy", "balanced_accuracy")
RANKED = "average_precision"
METRICS = (*COUNTED, RANKED)
RANKED_RESAMPLES = 200  # at most so many for average precision, which takes ten times as long as the others


class Scoring:
    """Scores of any number of answers to n images by `evaluation.metrics`, of labels that are known.

    Args:
        labels, known: bool (n, K).
        units: (n,), what is resampled.
        resamples: how many; `RANKED_RESAMPLES` of them, the first ones, for average precision.
        seed: of the resamples.
        exclusive: whether the targets exclude each other.
    """

    def __init__(self, labels, known, units, resamples, seed, exclusive=False):
        self._labels, self._known, self._exclusive = labels & known, known, exclusive
        ranked = min(resamples, RANKED_RESAMPLES)
        self.resamples = dict.fromkeys(COUNTED, resamples) | {RANKED: ranked}
        weights = [np.ones((len(labels), 1)), *resample_weights(units, resamples, seed)]
        self._weights = np.concatenate(weights, axis=1, dtype=np.float32)[:, : 1 + ranked]
        _, first, unit = np.unique(units, return_index=True, return_inverse=True)
        self._unit_weights = np.concatenate([block[first].T for block in weights], dtype=np.float32)
        self._units = sparse.csr_array((np.ones(len(unit), np.float32), (unit, np.arange(len(unit)))))
        positive, every = self._count(self._labels)[:, None], self._count(known)[:, None]
        self._positive, self._negative, self._every = positive, every - positive, every

    def __call__(self, metric, logits):
        """One of `METRICS` of V answers: logits (V, n, K) -> (1 + resamples, V, K), all images once before resamples.

        Of exclusive targets accuracy is top-1, the same for each of them, and balanced accuracy a class's recall. NaN
        where it is undefined.
        """
        probabilities = softmax(logits, axis=-1) if self._exclusive else expit(logits)
        return self._ranked(probabilities) if metric == RANKED else self._counted(metric, probabilities)

    def _counted(self, metric, probabilities):
        says = np.stack([answers(one, self._exclusive) for one in probabilities], axis=1) & self._known[:, None]
        yes, hits = self._count(says), self._count(says & self._labels[:, None])
        if self._exclusive:
            right = hits.sum(axis=-1, keepdims=True)
            numerator, denominator = (right, self._every) if metric == "accuracy" else (hits, self._positive)
            return ratio(*np.broadcast_arrays(numerator, denominator, hits)[:2])
        rejections = self._negative - (yes - hits)
        if metric == "accuracy":
            return ratio(hits + rejections, np.broadcast_to(self._every, hits.shape))
        recalls = (hits, self._positive), (rejections, self._negative)
        return sum(ratio(there, np.broadcast_to(of, hits.shape)) for there, of in recalls) / 2

    def _ranked(self, probabilities):
        import joblib

        with ThreadPoolExecutor(joblib.cpu_count()) as threads:
            found = threads.map(self._ranked_one, range(len(self._known.T)), np.moveaxis(probabilities, 2, 0))
            return np.stack(list(found), axis=2)

    def _ranked_one(self, k, probabilities):
        """Average precision of one target: (V, n) -> (1 + ranked resamples, V)."""
        known = self._known[:, k]
        labels, weights = self._labels[known, k], self._weights[known]
        positive = weights[labels].sum(axis=0, dtype=float)
        mixed = np.where(positive < weights.sum(axis=0, dtype=float), positive, 0)  # without a negative it is undefined
        sums = [_precisions(one, labels, weights) for one in np.ascontiguousarray(probabilities[:, known])]
        return ratio(np.stack(sums, axis=1), np.repeat(mixed[:, None], len(sums), axis=1))

    def _count(self, there):
        """How many of the units' images are there in each resample: bool (n, ...) -> float64 (1 + resamples, ...).

        Whole numbers below 2^24, which float32 holds exactly.
        """
        by_unit = self._units @ there.reshape(len(there), -1).astype(np.float32)
        return (self._unit_weights @ by_unit).reshape(-1, *there.shape[1:]).astype(float)


def means(scores):
    """Means over targets of (1 + resamples, V, K): the value (V,), and of each resample (resamples, V)."""
    over = defined_mean(scores)
    return over[0], over[1:]


def _precisions(probabilities, labels, weights):
    """The weighted sum, over positives, of the precision at the end of each one's tie: (n,), (n,), (n, B) -> (B,)."""
    order = np.argsort(-probabilities, kind="stable")
    falling = -probabilities[order]
    at = np.flatnonzero(labels[order])  # places of the positives
    behind = np.searchsorted(falling, falling[at], side="right")  # each one's tie
    ends, first = np.unique(behind, return_index=True)
    answered = np.cumsum(_sums(weights, order, np.append(0, ends)), axis=0)
    positive = _sums(weights, order[at], np.append(first, len(at)))
    hits = np.cumsum(positive, axis=0)
    # Where nobody is answered the positive's own weight is 0 as well
    return (positive * np.divide(hits, np.maximum(answered, 1), dtype=float)).sum(axis=0)


def _sums(weights, order, bounds):
    """Of the rows in that order, between bounds (T + 1,): (n, B) -> (T, B)."""
    order = order[: bounds[-1]]
    picked = np.ones(len(order), weights.dtype), order, bounds
    return sparse.csr_array(picked, shape=(len(bounds) - 1, len(weights))) @ weights
