"""Are the answers as good for one half of the images as for the other? From predictions.npz alone.

A subgroup is an attribute: the images that have it against those that do not, by their labels.
"""

import numpy as np

from mam_keras.analysis.result import Result, Unavailable
from mam_keras.data import composed, nearest
from mam_keras.errors import UserError
from mam_keras.evaluation import Scorer
from mam_keras.statistics import paired_estimates

NEEDS = {"predictions", "labels", "independent"}
VERSION = 2
USUAL = ("Male", "Young")  # where the data have them and the configuration names none
METRICS = ("accuracy", "balanced_accuracy", "majority_accuracy")


def settings(config):
    """The answer depends on which subgroups are asked for, and on the bootstrap."""
    chosen = config.analysis.subgroups
    return {
        "subgroups": None if chosen is None else list(chosen),
        "resamples": config.analysis.resamples,
        "seed": config.seed,
    }


def compute(run, split):
    """Metrics of the main head among the images without an attribute g, among those with it, and their difference.

    An attribute counts only where its metric is defined in both halves, so that both means are over the same
    attributes; g itself is left out (every one of its labels is the same within a half), and so are images of which
    it is not known whether they have it.

    Returns:
        `Result` with the values `attributes` (K names), `subgroups` (G names), `images` (G pairs: without, with),
        `head`, and for each metric of `METRICS` (see `evaluation.metrics`) the arrays

            METRIC       (G, K, 3, 3)  without, with, difference; each the value and the ends of its 95 % interval
            METRIC.mean  (G, 3, 3)     of the means over attributes

    Raises `Unavailable` where there is no subgroup to look at, and `UserError` for a name that is no attribute.
    """
    names = chosen(run.config.analysis.subgroups, run.attributes)
    predictions = run.predictions(split)
    columns = [run.attributes.index(name) for name in names]
    inside = predictions.labels[:, columns]
    outside = predictions.known[:, columns] & ~inside
    divided = inside.any(axis=0) & outside.any(axis=0)
    if not divided.any():
        raise Unavailable(
            "no attribute divides the images into two groups to compare; "
            "choose some with --set analysis.subgroups=[NAME, ...]"
        )
    names = [name for name, both in zip(names, divided, strict=True) if both]
    halves = outside[:, divided], inside[:, divided]
    probabilities = predictions.probabilities[predictions.main_head]
    scorer = Scorer(predictions.labels, probabilities, run.training_rates, predictions.known)
    found = [
        paired_estimates(
            *(_within(scorer, members, run.attributes.index(name)) for members in both),
            METRICS,
            predictions.units,
            run.config.analysis.resamples,
            run.config.seed,
        )
        for name, both in zip(names, zip(*(half.T for half in halves), strict=True), strict=True)
    ]
    values = {
        "attributes": list(run.attributes),
        "subgroups": names,
        "images": np.stack([half.sum(axis=0) for half in halves], axis=1).tolist(),
        "head": predictions.main_head,
    }
    return Result(values, {name: np.stack([one[name] for one in found]) for name in found[0]})


def chosen(names, attributes):
    """The subgroups to look at, each once: those asked for, or the usual ones that are there.

    Raises `UserError` for a name that is no attribute, with the nearest one that is.
    """
    if names is None:
        return [name for name in USUAL if name in attributes]
    names = list(map(composed, names))
    for name in names:
        if name not in attributes:
            raise UserError(
                f"analysis.subgroups: expected names of attributes; did you mean {nearest(name, attributes)!r}? "
                f"Received: {name!r}"
            )
    return list(dict.fromkeys(names))


def _within(scorer, members, own):
    """Scores the images of one half, all attributes but the one that divides them."""

    def scores(weights):
        counted = scorer.count(weights * members[:, None])
        for values in counted.values():
            values[:, own] = np.nan
        return counted

    return scores
