"""How often is each head right, target by target, beside always answering the majority class?

Works on predictions.npz alone: opens no image and no model.
"""

import numpy as np

from mam_keras.analysis.result import Result
from mam_keras.evaluation import confusion, metrics, resampled_metrics
from mam_keras.statistics import Estimate, defined_mean, estimates

NEEDS = {"predictions", "labels"}
VERSION = 2
_HEADLINE = ("top1", "accuracy", "balanced_accuracy", "average_precision")


def settings(config):
    """The answer depends on the bootstrap."""
    return {"resamples": config.analysis.resamples, "seed": config.seed}


def compared(exclusive):
    """The metrics that depend on the answers; the first one is what "right" means."""
    return ("top1" if exclusive else "accuracy", "balanced_accuracy", "average_precision", "f1")


def compute(run, split):
    """Every metric of `evaluation.metrics` with its interval, and what a head gains over the majority class.

    Returns:
        `Result` with the values `attributes` (K names), `exclusive`, `images`, `groups` (how many, or None), `unknown`
        (K, labels that are not known), `heads`, `majority` (of exclusive targets the name that was the most frequent
        in training, else None), and the arrays

            HEAD.METRIC       (K, 3)  value and the ends of its 95 % bootstrap interval, NaN where undefined
            HEAD.METRIC.mean  (3,)    of the mean over the targets for which it is defined
            difference.METRIC, difference.METRIC.mean
                                      the first head minus the second, paired, where there are two: those of `compared`
            confusion         (K, K)  of exclusive targets, see `evaluation.confusion`

        METRIC: those of `evaluation.metrics_of`, and `gain`, which is accuracy - majority_accuracy; of exclusive
        targets it is top1 - majority_top1, which like these is one for all of them, (1, 3).
    """
    predictions, rates = run.predictions(split), run.training_rates
    exclusive = predictions.exclusive
    resampled = resampled_metrics(predictions, rates, run.config.analysis.resamples, run.config.seed)
    scores = {}
    for head, probabilities in predictions.probabilities.items():
        values = metrics(predictions.labels, probabilities, rates, predictions.known, exclusive)
        scores[head] = tuple(_with_gain(found, exclusive) for found in (values, resampled[head]))
    if len(scores) > 1:
        first, second, *_ = scores.values()
        scores["difference"] = tuple(
            {metric: values[metric] - others[metric] for metric in compared(exclusive)}
            for values, others in zip(first, second, strict=True)
        )
    arrays = {"confusion": confusion(predictions, predictions.main_head)} if exclusive else {}
    for name, (values, again) in scores.items():
        for metric in values:
            mean = defined_mean(values[metric]), defined_mean(again[metric])
            arrays[f"{name}.{metric}"] = estimates(values[metric], again[metric], predictions.units)
            arrays[f"{name}.{metric}.mean"] = estimates(*mean, predictions.units)
    values = {
        "attributes": list(run.attributes),
        "exclusive": exclusive,
        "images": len(predictions.ids),
        "groups": None if predictions.groups is None else len(set(predictions.groups.tolist())),
        "unknown": (~predictions.known).sum(axis=0).tolist(),
        "heads": list(predictions.probabilities),
        "majority": run.attributes[int(np.nanargmax(rates))] if exclusive else None,
    }
    return Result(values, arrays)


def headline(result):
    """Means over targets of the head that answers."""
    head = result.values["heads"][0]
    found = {metric: result.arrays.get(f"{head}.{metric}.mean") for metric in _HEADLINE}
    if result.values["exclusive"]:
        del found["accuracy"]  # of a class against all others, which is high whatever is answered
    return {metric: Estimate.of(numbers) for metric, numbers in found.items() if numbers is not None}


def _with_gain(scores, exclusive):
    right, majority = ("top1", "majority_top1") if exclusive else ("accuracy", "majority_accuracy")
    return scores | {"gain": scores[right] - scores[majority]}
