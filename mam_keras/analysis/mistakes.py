"""Where was the model most sure and wrong? The only analysis of predictions that opens images, and only those shown."""

import numpy as np

from mam_keras.analysis.result import Result

NEEDS = {"predictions", "labels", "images"}
VERSION = 2
SHOWN = 12


def settings(config):
    """The answer depends on nothing else."""
    return {}


def compute(run, split):
    """The main head's most confident errors, at most `SHOWN` (see `most_confident`).

    Of exclusive targets an image is one answer, and an error is of the class that was answered.

    Returns:
        `Result` with the values `exclusive`, `head`, `wrong` and `answers` (how many of how many answers are wrong; a
        label that is not known is no error), and one row per error in `shown`: `id`, `attribute`, `label`,
        `probability` of "yes"; of exclusive targets `true`, the class that would be right, and its `probability_true`;
        the array `images` uint8 (rows, S, S, 3), prepared as the network sees them.
    """
    predictions = run.predictions(split)
    labels, probabilities = predictions.labels, predictions.probabilities[predictions.main_head]
    answers = predictions.answers(predictions.main_head)
    wrong = (answers != labels) & predictions.known
    if predictions.exclusive:
        wrong &= answers
    errors = most_confident(wrong, np.where(labels, 1 - probabilities, probabilities), SHOWN)
    prepared = run.images(split)
    places = {name: place for place, name in enumerate(prepared.ids.tolist())}
    shown = [
        {
            "id": str(predictions.ids[row]),
            "attribute": run.attributes[k],
            "label": bool(labels[row, k]),
            "probability": float(probabilities[row, k]),
        }
        for row, k in errors
    ]
    if predictions.exclusive:
        for error, (row, _) in zip(shown, errors, strict=True):
            right = int(labels[row].argmax())
            error |= {"true": run.attributes[right], "probability_true": float(probabilities[row, right])}
    values = {
        "exclusive": predictions.exclusive,
        "head": predictions.main_head,
        "wrong": int(wrong.sum()),
        "answers": int((predictions.known & answers if predictions.exclusive else predictions.known).sum()),
        "shown": shown,
    }
    rows = [places[error["id"]] for error in shown]
    return Result(values, {"images": np.asarray(prepared.images[rows])} if rows else {})


def most_confident(wrong, confidence, most):
    """Which errors to show, as pairs (row, attribute).

    First every attribute's most confident error, by falling confidence, then every attribute's second, and so on;
    an image is shown once.

    Args:
        wrong: bool (n, K), which answers are errors.
        confidence: float (n, K), the probability given to the wrong answer.
        most: how many.
    """
    rows, attributes = np.nonzero(wrong)
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
