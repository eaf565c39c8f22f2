"""Where an attribute's "yes" begins: thresholds of probabilities and offsets of logits, chosen on validation.

Knows plain arrays.
"""

import numpy as np
from scipy.special import expit

METRICS = ("accuracy", "balanced_accuracy")  # what they can be chosen for, as in `evaluation.metrics`
_MOST = 30  # a logit beyond it counts as so large, so that there is always a probability above the highest one


def thresholds(labels, probabilities, known=None, metric="balanced_accuracy"):
    """Per attribute, the threshold whose answers are best by `metric`.

    Answers change only between two probabilities that occur; the threshold is halfway between them, or beyond the
    last one ("never"). Of several that are as good the one nearest 0.5 is taken. (By accuracy a rare attribute is
    often best answered "never".)

    Args:
        labels: bool (n, K).
        probabilities: float (n, K) in [0, 1].
        known: bool (n, K), which labels count; all when None.
        metric: one of `METRICS`.

    Returns:
        K numbers; None for an attribute of which no positive or no negative image is known.
    """
    if known is None or known.all():
        return _of_columns(labels, probabilities, [metric])[metric]
    columns = zip(labels.T, probabilities.T, known.T, strict=True)
    parts = ((own[there, None], values[there, None]) for own, values, there in columns)
    return [_of_columns(*part, [metric])[metric][0] if len(part[0]) else None for part in parts]


def fit_offsets(labels, logits, known=None, metrics=("balanced_accuracy",)):
    """What to add to logits so that answers at 0 are best: {metric: (..., K)}, for each of `METRICS` that is asked for.

    0 for an attribute of which no positive or no negative image is known.

    Args:
        labels: bool (n, K).
        logits: float (n, K), or (n, V, K) of V answers to the same.
        known: as in `thresholds`.
    """
    shape, flat = logits.shape[1:], logits.reshape(len(logits), -1)
    probabilities = expit(np.clip(flat.astype(float), -_MOST, _MOST))
    again = flat.shape[1] // labels.shape[1]
    if known is None or known.all():
        fitted = _of_columns(np.tile(labels, again), probabilities, metrics)
    else:
        repeated = np.tile(labels, again), probabilities, np.tile(known, again)
        fitted = {metric: thresholds(*repeated, metric) for metric in metrics}
    return {metric: of_thresholds(values).reshape(shape) for metric, values in fitted.items()}


def of_thresholds(fitted):
    """log((1 - t) / t) of thresholds t, what to add to logits instead; 0 of None."""
    values = np.array([0.5 if threshold is None else threshold for threshold in fitted])
    return np.log1p(-values) - np.log(values)


def worst_group_threshold(labels, groups, probabilities):
    """The threshold of one attribute whose accuracy is highest in the group in which it is lowest.

    Chosen as in `thresholds`, of which the plain form weighs all positive images alike, and all negative ones.

    Args:
        labels: bool (n,), the same within a group.
        groups: int (n,), which group each image is of.
        probabilities: float (n,) in [0, 1].

    Returns:
        A number; None where no image is positive or none is negative.
    """
    if np.count_nonzero(labels) in (0, len(labels)):
        return None
    order, before, middle = _cuts(probabilities.astype(float))
    shares = []
    for group in np.unique(groups):
        below = np.append(0, np.cumsum(groups[order] == group))  # answered "no"
        right = below[-1] - below if labels[groups == group][0] else below
        shares.append(right[before] / below[-1])
    return _best(np.round(np.min(shares, axis=0), 12), middle)


def _of_columns(labels, probabilities, metrics):
    """Thresholds of each column, {metric: list}, each column sorted once."""
    found = {metric: [] for metric in metrics}
    for own, values in zip(labels.T, np.ascontiguousarray(probabilities.T, "float64"), strict=True):
        for metric, threshold in _of_one(own, values, metrics).items():
            found[metric].append(threshold)
    return found


def _of_one(labels, probabilities, metrics):
    positive, n = np.count_nonzero(labels), len(labels)
    if positive in (0, n):
        return dict.fromkeys(metrics)
    order, before, middle = _cuts(probabilities)
    counted = np.append(0, np.cumsum(labels[order]))[before]
    hits, rejections = positive - counted, before - counted
    right = {
        "accuracy": hits + rejections,
        "balanced_accuracy": np.round(hits / positive + rejections / (n - positive), 12),
    }
    return {metric: _best(right[metric], middle) for metric in metrics}


def _cuts(probabilities):
    """Where a threshold can part n probabilities in T ways: their rising order, how many are below, the thresholds."""
    order = np.argsort(probabilities)  # of equal ones, none is parted from the others
    rising = probabilities[order]
    begins = np.flatnonzero(np.diff(rising, prepend=-1))  # where each of the different values begins
    values = rising[begins]
    # Answering "yes" from values[i] on, or never: every image before is answered "no".
    before = np.append(begins, len(rising))
    below, above = np.append(0.0, values), np.append(values, 1.0)
    middle = (below + above) / 2
    middle = np.where(middle > below, middle, above)  # nothing is halfway between neighbouring numbers
    possible = len(before) - (values[-1] == 1)  # a probability of 1 is "yes" whatever the threshold
    return order, before[:possible], middle[:possible]


def _best(right, middle):
    """Of the thresholds that are right most often the one nearest 0.5."""
    best = np.flatnonzero(right == right.max())
    return float(middle[best[np.argmin(np.abs(middle[best] - 0.5))]])
