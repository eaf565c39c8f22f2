"""How good are the predictions: metrics per target, and how far their means would move with other images.

Takes labels and probabilities as plain arrays and gives plain values. Labels that are not known count nowhere. Knows
no model, no file and no plot.
"""

import functools

import numpy as np

from mam_keras import predictions as answered
from mam_keras.predictions import Predictions
from mam_keras.statistics import defined_mean, interval, ratio, resample_weights

METRICS = ("accuracy", "balanced_accuracy", "average_precision", "f1", "majority_accuracy", "positive_rate")
OVERALL = ("top1", "majority_top1")  # of exclusive targets together


def metrics_of(exclusive: bool) -> tuple[str, ...]:
    """The names of all metrics: `METRICS` are of each target, `OVERALL` of all classes together."""
    return METRICS + OVERALL * exclusive


def metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    training_rates: np.ndarray,
    known: np.ndarray | None = None,
    exclusive: bool = False,
) -> dict[str, np.ndarray]:
    """Every metric of `metrics_of(exclusive)`, each over the images for which the target's label is known.

    With TP, FP, FN, TN the counts of an attribute where "yes" is a probability >= 0.5:

        accuracy            (TP + TN) / n
        balanced_accuracy   (TP / (TP + FN) + TN / (TN + FP)) / 2
        average_precision   sum_t (R_t - R_{t-1}) P_t over the distinct probabilities t, highest first, with R_t and
                            P_t the recall and precision of "yes where at least t": no interpolation
        f1                  2 TP / (2 TP + FP + FN)
        majority_accuracy   the accuracy of always answering "yes" where the training rate is >= 0.5, else "no"
        positive_rate       (TP + FN) / n

    Of exclusive targets the most probable class is answered, and the counts are those of one class against the rest:

        balanced_accuracy   TP / (TP + FN), the class's recall. Its mean over classes is the balanced accuracy of many
                            classes, as scikit-learn defines it
        majority_accuracy   the accuracy, one class against the rest, of always answering the class that is most
                            frequent in training
        top1                sum_k TP_k / n, the share of images whose class is answered
        majority_top1       the same of always answering that class

    A value is NaN where it is undefined: any without a known label; balanced accuracy and average precision of an
    attribute without a positive or without a negative image, likewise a class's recall without a positive one; f1 where
    nothing is positive and nothing is answered "yes"; the majority's accuracy where no training label is known.

    Args:
        labels: bool (n, K).
        probabilities: float (n, K).
        training_rates: float (K,), the share of positive images in the training split; NaN where none is known.
        known: bool (n, K), which labels are; all where it is left out. Of exclusive targets an image's are known
            together or not at all.
        exclusive: whether exactly one target holds.

    Returns:
        float (K,) of each metric, (1,) of those of `OVERALL`.
    """
    scorer = Scorer(labels, probabilities, training_rates, known, exclusive)
    return {name: values[0] for name, values in scorer(np.ones((len(labels), 1))).items()}


def resampled_metrics(
    predictions: Predictions, training_rates: np.ndarray, resamples: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Each target's metrics in each resample: float (resamples, K) of each head's each metric, NaN if undefined.

    Those of `OVERALL` are (resamples, 1). Groups are resampled where there are any, images otherwise. Resample r is
    the same one for every head, so heads can be compared in pairs.
    """
    labels, known, exclusive = predictions.labels, predictions.known, predictions.exclusive
    scorers = {
        head: Scorer(labels, probabilities, training_rates, known, exclusive)
        for head, probabilities in predictions.probabilities.items()
    }
    blocks = {head: {metric: [] for metric in metrics_of(exclusive)} for head in scorers}
    for weights in resample_weights(predictions.units, resamples, seed):
        for head, scorer in scorers.items():
            for metric, values in scorer(weights).items():
                blocks[head][metric].append(values)
    return {head: {metric: np.concatenate(b) for metric, b in by.items()} for head, by in blocks.items()}


def bootstrap(
    predictions: Predictions, training_rates: np.ndarray, resamples: int, seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray]:
    """Each metric's mean over targets in each resample, and how often targets lost a class.

    The resamples are those of `resampled_metrics`. A target whose metric is undefined in a resample is left out of
    that mean.

    Returns:
        float (resamples,) of each head's each metric, NaN where it is undefined for every target; int (K,), in how
        many resamples a target had no positive or no negative image whose label is known.
    """
    resampled = resampled_metrics(predictions, training_rates, resamples, seed)
    rates = next(iter(resampled.values()))["positive_rate"]  # of the labels: equal for all heads
    means = {head: {metric: defined_mean(values) for metric, values in by.items()} for head, by in resampled.items()}
    return means, (~((rates > 0) & (rates < 1))).sum(axis=0)


def evaluate(
    predictions: Predictions,
    training_rates: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
) -> dict:
    """One split's part of `evaluation.json`, in plain Python values; what is undefined is None.

        {"images": n, "unknown": of how many labels (of exclusive targets: images) nothing is known,
         "groups": how many or None, "resampled": "groups" | "images", "resamples": how many,
         "single_class_resamples": {NAME: in how many resamples it had no positive or no negative, where not 0},
         "heads": {HEAD: {"mean": {METRIC: value}, "interval": {METRIC: [low, high]},
                          "left_out": {METRIC: of how many targets it is undefined},
                          "per_attribute": {NAME: {METRIC: value}}}}}

    The mean is over the targets for which a metric is defined; those of `OVERALL` stand among the means as they are.
    The interval is that mean's 95 % percentile bootstrap interval (see `bootstrap`). It covers the choice of these
    images, or groups, and not training. It is undefined where labels are known of a single image or group.

    Args:
        predictions: of the split, with its `targets`.
        training_rates: float (K,), the share of positive images in the training split; NaN where none is known.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    names, known, exclusive = predictions.targets.names, predictions.known, predictions.exclusive
    groups = None if predictions.groups is None else len(np.unique(predictions.groups))
    several = len(np.unique(predictions.units[known.any(axis=1)])) > 1
    means, single_class = bootstrap(predictions, training_rates, resamples, seed)
    heads = {}
    for head, probabilities in predictions.probabilities.items():
        values = metrics(predictions.labels, probabilities, training_rates, known, exclusive)
        heads[head] = {
            "mean": {metric: _plain(defined_mean(values[metric])) for metric in metrics_of(exclusive)},
            "interval": {
                metric: [_plain(end) for end in interval(means[head][metric])] if several else [None, None]
                for metric in metrics_of(exclusive)
            },
            "left_out": {metric: int(np.isnan(values[metric]).sum()) for metric in METRICS},
            "per_attribute": {
                name: {metric: _plain(values[metric][k]) for metric in METRICS} for k, name in enumerate(names)
            },
        }
    return {
        "images": len(known),
        "unknown": int((~known).all(axis=1).sum() if exclusive else (~known).sum()),
        "groups": groups,
        "resampled": "images" if groups is None else "groups",
        "resamples": resamples,
        "single_class_resamples": {name: int(count) for name, count in zip(names, single_class, strict=True) if count},
        "heads": heads,
    }


def confusion(predictions: Predictions, head: str) -> np.ndarray:
    """How many images of each class are answered as each class: int (K, K), the true class down, the answer across.

    Images of unknown class are not counted. Raises `ValueError` where targets are not exclusive.

    Args:
        predictions: of a split.
        head: whose answers.
    """
    if not predictions.exclusive:
        raise ValueError("`predictions.targets` must be exclusive: only then is one class mistaken for another.")
    known = predictions.known.all(axis=1)
    return predictions.labels[known].T.astype(int) @ predictions.answers(head)[known]


class Scorer:
    """One head's answers, prepared so that any weighting of the images can be scored (see `metrics`).

    Weights are whole numbers: an image of weight 2 counts as two equal images, one of weight 0 is not there.
    """

    def __init__(self, labels, probabilities, training_rates, known=None, exclusive=False):
        training_rates = np.asarray(training_rates)
        if training_rates.shape != labels.shape[1:]:
            raise ValueError(f"`training_rates` must be of shape {labels.shape[1:]}. Received: {training_rates.shape}")
        known = np.ones(labels.shape, bool) if known is None else known
        answers = answered.answers(probabilities, exclusive) & known
        labels = labels & known
        self.probabilities, self.exclusive = probabilities, exclusive
        self.labels, self.answers, self.hits = (a.astype(float) for a in (labels, answers, labels & answers))
        self.known = known
        # One column serves all targets where their labels are known of the same images.
        self.counted = (known[:, :1] if (known == known[:, :1]).all() else known).astype(float)
        self.has_majority = ~np.isnan(training_rates)
        if exclusive:
            self.majority = np.arange(len(training_rates)) == np.argmax(training_rates)
        else:
            self.majority = training_rates >= 0.5

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Every metric of `metrics_of(exclusive)`: weights (n, B) -> metric -> (B, K), (B, 1) of `OVERALL`."""
        scores, resamples = self.count(weights), np.ascontiguousarray(weights.T)
        precision = np.stack([ranking.average_precision(resamples) for ranking in self._rankings], axis=1)
        scores["average_precision"] = np.where(scores["positive_rate"] < 1, precision, np.nan)
        return scores

    def count(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """All but average precision, which alone needs the images sorted and takes most of the time."""
        total, positive, answered, hits = (weights.T @ a for a in (self.counted, self.labels, self.answers, self.hits))
        negative = total - positive
        rejections = negative - (answered - hits)  # TN
        majority = ratio(np.where(self.majority, positive, negative), total)
        recall = ratio(hits, positive)
        scores = {
            "accuracy": ratio(hits + rejections, total),
            "balanced_accuracy": recall if self.exclusive else (recall + ratio(rejections, negative)) / 2,
            "f1": ratio(2 * hits, positive + answered),
            "majority_accuracy": np.where(self.has_majority, majority, np.nan),
            "positive_rate": ratio(positive, total),
        }
        if self.exclusive:
            scores["top1"] = ratio(hits.sum(axis=1, keepdims=True), total)
            scores["majority_top1"] = scores["majority_accuracy"][:, self.majority]
        return scores

    @functools.cached_property
    def _rankings(self):
        columns = zip(self.labels.T, self.probabilities.T, self.known.T, strict=True)
        return [_Ranking(*column) for column in columns]


class _Ranking:
    """One target's images whose label is known, by falling probability, sorted once for all weightings.

    Recall rises only at positive images, so average precision is the weighted mean, over the positives, of the
    precision at the end of each one's tie.
    """

    def __init__(self, labels, probabilities, known):
        images = np.flatnonzero(known)
        self.order = images[np.argsort(-probabilities[images], kind="stable")]
        falling = -probabilities[self.order]
        at = np.flatnonzero(labels[self.order])  # places of the positives
        self.positives = self.order[at]
        self.last = np.searchsorted(falling, falling[at], side="right") - 1  # place where each one's tie ends
        self.last_positive = np.searchsorted(at, self.last, side="right") - 1  # and the last positive within it

    def average_precision(self, weights):
        """weights (B, n) -> (B,), NaN without a positive."""
        positives = weights.take(self.positives, axis=1)
        hits = np.cumsum(positives, axis=1).take(self.last_positive, axis=1)
        answered = np.cumsum(weights.take(self.order, axis=1), axis=1).take(self.last, axis=1)
        precision = hits / np.maximum(answered, 1)  # nobody answered: then the positive's own weight is 0 as well
        return ratio((positives * precision).sum(axis=1), positives.sum(axis=1))


def _plain(value):
    return None if np.isnan(value) else float(value)
