"""From which probability on an attribute is answered "yes": per attribute, chosen on validation. Knows plain arrays."""

import numpy as np

from mam_keras.errors import UserError


def fit(labels, probabilities):
    """Per attribute, the threshold whose answers have the highest balanced accuracy.

    Answers change only between two probabilities that occur; the threshold is halfway between them. Of several with
    the same balanced accuracy the one nearest 0.5 is taken. (Accuracy would be the wrong measure: for a rare
    attribute it is highest where the answer is always "no".)

    Args:
        labels: bool (n, K).
        probabilities: float (n, K) in [0, 1].

    Returns:
        K numbers; None for an attribute without a positive or without a negative image.
    """
    return [_fit_one(*column) for column in zip(labels.T, probabilities.T.astype("float64"), strict=True)]


def _fit_one(labels, probabilities):
    if labels.all() or not labels.any():
        return None
    values, places = np.unique(probabilities, return_inverse=True)
    positives, negatives = (np.bincount(places[chosen], minlength=len(values)) for chosen in (labels, ~labels))
    # Answering "yes" from values[i] on: every image from there is answered so, every one before is not.
    recall = 1 - (np.cumsum(positives) - positives) / positives.sum()
    rejected = (np.cumsum(negatives) - negatives) / negatives.sum()
    thresholds = (values + np.concatenate([[0.0], values[:-1]])) / 2
    balanced = np.round((recall + rejected) / 2, 12)
    best = np.flatnonzero(balanced == balanced.max())
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
