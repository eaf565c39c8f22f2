"""On which images is an attribute looked for? Its first true positives; and means over them, with intervals.

What localisation and faithfulness share. Knows neither maps nor networks.
"""

import numpy as np

from mam_keras.evaluation import defined_mean, estimates, resample_weights

LEAST = 8  # true positives, without which an attribute is not reported


def first(positives, taken, most):
    """Which true positives of a batch are among the first `most` of their attribute.

    Args:
        positives: bool (n, K), the true positives of the batch.
        taken: int (K,), how many there were before; the batch's are added in place.

    Returns:
        bool (n, K).
    """
    chosen = positives & (taken + np.cumsum(positives, axis=0) <= most)
    taken += chosen.sum(axis=0)
    return chosen


def named(measure):
    """What the arrays of `summary` are called in a result, for a measure."""
    return [measure + suffix for suffix in ("", ".mean", ".difference", ".difference.mean")]


def summary(values, units, resamples, seed):
    """Means over each attribute's images, and over attributes, of M methods, and the first method less the others.

    Attributes with fewer than `LEAST` images are undefined (NaN) and are not in the mean over attributes.

    Args:
        values: float (n, K, M), NaN on images that an attribute is not looked for on.
        units: int (n,), of which the bootstrap resamples whole ones (people, or images).

    Returns:
        Four arrays, each with its value and the ends of its 95 % interval last: float (K, M, 3) of the methods,
        (M, 3) their means over attributes, (K, M - 1, 3) the differences first method - other method, and (M - 1, 3)
        theirs. Differences are paired: the same images, the same resamples.
    """
    n, attributes, methods = values.shape
    there = (~np.isnan(values[:, :, 0])).astype(float)
    reported = there.sum(axis=0) >= LEAST
    filled = np.nan_to_num(values).astype(float).reshape(n, attributes * methods)

    def means(weights):
        """weights (n, B) -> float (B, K, 2 M - 1): of the methods, and of the differences."""
        counts = weights.T @ there
        sums = (weights.T @ filled).reshape(weights.shape[1], attributes, methods)
        defined = (counts > 0) & reported
        found = np.divide(sums, counts[..., None], out=np.full_like(sums, np.nan), where=defined[..., None])
        return np.concatenate([found, found[..., :1] - found[..., 1:]], axis=-1)

    def over_attributes(each):
        return defined_mean(np.moveaxis(each, 1, -1))

    value = means(np.ones((n, 1)))
    resampled = np.concatenate([means(weights) for weights in resample_weights(units, resamples, seed)])
    each = estimates(value[0], resampled, units)
    mean = estimates(over_attributes(value)[0], over_attributes(resampled), units)
    return each[:, :methods], mean[:methods], each[:, methods:], mean[methods:]
