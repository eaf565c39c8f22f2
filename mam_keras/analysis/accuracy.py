"""How often is each head right, attribute by attribute, beside always answering the majority class?

Works on predictions.npz alone: opens no image and no model.
"""

from mam_keras.analysis.result import Result
from mam_keras.evaluation import defined_mean, estimates, metrics, resampled_metrics

COMPARED = ("accuracy", "balanced_accuracy", "average_precision", "f1")  # metrics that depend on the answers


def settings(config):
    """The answer depends on the split and on the bootstrap."""
    return {"split": config.analysis.split, "resamples": config.analysis.resamples, "seed": config.seed}


def compute(run):
    """Every metric of `evaluation.metrics` with its interval, and what a head gains over the majority class.

    Returns:
        `Result` with the values `attributes` (K names), `images`, `groups` (how many, or None), `heads`, and the arrays

            HEAD.METRIC       (K, 3)  value and the ends of its 95 % bootstrap interval, NaN where undefined
            HEAD.METRIC.mean  (3,)    of the mean over the attributes for which it is defined
            difference.METRIC, difference.METRIC.mean
                                      attribute heads minus multi-label head, paired, where the model has both:
                                      those of `COMPARED`

        METRIC: those of `evaluation.METRICS`, and `gain`, which is accuracy - majority_accuracy.

    Raises `Unavailable` without predictions.
    """
    predictions, rates = run.answers, run.training_rates
    resampled = resampled_metrics(predictions, rates, run.config.analysis.resamples, run.config.seed)
    scores = {
        head: (_with_gain(metrics(predictions.labels, probabilities, rates)), _with_gain(resampled[head]))
        for head, probabilities in predictions.probabilities.items()
    }
    if len(scores) == 2:
        both = zip(scores["attributes"], scores["multi_label"], strict=True)
        scores["difference"] = tuple(
            {metric: values[metric] - others[metric] for metric in COMPARED} for values, others in both
        )
    arrays = {}
    for name, (values, again) in scores.items():
        for metric in values:
            mean = defined_mean(values[metric]), defined_mean(again[metric])
            arrays[f"{name}.{metric}"] = estimates(values[metric], again[metric], predictions.units)
            arrays[f"{name}.{metric}.mean"] = estimates(*mean, predictions.units)
    values = {
        "attributes": list(run.attributes),
        "images": len(predictions.ids),
        "groups": None if predictions.groups is None else len(set(predictions.groups.tolist())),
        "heads": list(predictions.probabilities),
    }
    return Result(values, arrays)


def _with_gain(scores):
    return scores | {"gain": scores["accuracy"] - scores["majority_accuracy"]}
