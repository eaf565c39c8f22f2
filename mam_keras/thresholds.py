"""From which probability on an attribute is answered "yes": per attribute, chosen on validation. Knows plain arrays."""

import numpy as np

from mam_keras.errors import UserError


def fit(labels, probabilities, metric="balanced_accuracy"):
    """Per attribute, the threshold whose answers are best by `metric`.

    Answers change only between two probabilities that occur; the threshold is halfway between them, or beyond the
    last one ("never"). Of several that are as good the one nearest 0.5 is taken. (By accuracy a rare attribute is
    often best answered "never".)

    Args:
        labels: bool (n, K).
        probabilities: float (n, K) in [0, 1].
        metric: "balanced_accuracy" or "accuracy", as in `evaluation.metrics`.

    Returns:
        K numbers; None for an attribute without a positive or without a negative image.
    """
    return [_fit_one(*column, metric) for column in zip(labels.T, probabilities.T.astype("float64"), strict=True)]


def _fit_one(labels, probabilities, metric):
    if labels.all() or not labels.any():
        return None
    values, places = np.unique(probabilities, return_inverse=True)
    positives, negatives = (np.bincount(places[chosen], minlength=len(values)) for chosen in (labels, ~labels))
    # Answering "yes" from values[i] on: every image from there is answered so, every one before is not.
    hits = positives.sum() - np.concatenate([[0], np.cumsum(positives)])
    rejections = np.concatenate([[0], np.cumsum(negatives)])
    if metric == "balanced_accuracy":
        hits, rejections = hits / positives.sum(), rejections / negatives.sum()
    right = np.round(hits + rejections, 12)
    below, above = np.concatenate([[0.0], values]), np.concatenate([values, [1.0]])
    thresholds = (below + above) / 2
    thresholds = np.where(thresholds > below, thresholds, above)  # nothing is halfway between neighbouring numbers
    right[-1] = -1 if values[-1] == 1 else right[-1]  # a probability of 1 is "yes" whatever the threshold
    best = np.flatnonzero(right == right.max())
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])


def read_validation(path, heads):
    """Labels and each head's probabilities of validation in predictions.npz; None where it has no validation.

    Raises `UserError` for a file that is not what `fit` writes.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if "validation.labels" not in arrays:
                return None
            labels = arrays["validation.labels"]
            probabilities = {head: arrays[f"validation.{head}"] for head in heads}
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: expected the predictions of a finished run. Received: {reason}") from None
    for head, values in probabilities.items():
        if labels.dtype != bool or labels.ndim != 2 or values.shape != labels.shape or not np.isfinite(values).all():
            raise UserError(
                f"{path}: expected validation.{head} to be finite and of the shape of validation.labels. "
                f"Received: {values.shape} and {labels.dtype} {labels.shape}"
            )
    return labels, probabilities
