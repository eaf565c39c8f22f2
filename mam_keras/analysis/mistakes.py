"""Where was the model most sure and wrong? The only analysis of predictions that opens images, and only those shown."""

import numpy as np

from mam_keras.analysis.result import Result, Unavailable
from mam_keras.evaluation import THRESHOLD

SHOWN = 12


def settings(config):
    """The answer depends on which images are looked at."""
    return {"split": config.analysis.split}


def compute(run):
    """The main head's most confident errors, at most `SHOWN` (see `most_confident`).

    Returns:
        `Result` with the values `head`, `wrong` and `answers` (how many of how many answers are wrong), and one row
        per error in `shown`: `id`, `attribute`, `label`, `probability` of "yes"; the array `images` uint8
        (rows, S, S, 3), prepared as the network sees them.

    Raises `Unavailable` without predictions, or where the data's images are no longer those of the predictions.
    """
    predictions = run.answers
    labels, probabilities = predictions.labels, predictions.probabilities[predictions.main_head]
    errors = most_confident(labels, probabilities, SHOWN)
    prepared = run.images(run.config.analysis.split)
    places = {} if prepared is None else {name: place for place, name in enumerate(prepared.ids.tolist())}
    shown = [
        {
            "id": str(predictions.ids[row]),
            "attribute": run.attributes[k],
            "label": bool(labels[row, k]),
            "probability": float(probabilities[row, k]),
        }
        for row, k in errors
    ]
    if not all(error["id"] in places for error in shown):
        raise Unavailable("the data no longer hold the images that the run was tested on")
    values = {
        "head": predictions.main_head,
        "wrong": int(((probabilities >= THRESHOLD) != labels).sum()),
        "answers": labels.size,
        "shown": shown,
    }
    rows = [places[error["id"]] for error in shown]
    return Result(values, {"images": np.asarray(prepared.images[rows])} if rows else {})


def most_confident(labels, probabilities, most):
    """Which errors to show, as pairs (row, attribute).

    First every attribute's most confident error, by falling confidence, then every attribute's second, and so on;
    an image is shown once. Confidence is the probability given to the wrong answer.

    Args:
        labels: bool (n, K).
        probabilities: float (n, K).
        most: how many.
    """
    confidence = np.where(labels, 1 - probabilities, probabilities)
    rows, attributes = np.nonzero((probabilities >= THRESHOLD) != labels)
    order = np.lexsort((rows, -confidence[rows, attributes]))
    rows, attributes = rows[order], attributes[order]
    seen, rounds = {}, np.empty(len(rows), int)  # how many more confident errors its attribute has
    for place, attribute in enumerate(attributes.tolist()):
        rounds[place] = seen[attribute] = seen.get(attribute, -1) + 1
    chosen = {}
    for place in np.argsort(rounds, kind="stable"):
        chosen.setdefault(int(rows[place]), int(attributes[place]))
        if len(chosen) == most:
            break
    return list(chosen.items())
