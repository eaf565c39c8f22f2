"""How good are the predictions: metrics per attribute, and how far their means would move with other images.

Takes labels and probabilities as plain arrays and gives plain values. Knows no model, no file and no plot.
"""

import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

HEADS = {"attributes": "attribute heads", "multi_label": "multi-label head"}
METRICS = ("accuracy", "balanced_accuracy", "average_precision", "f1", "majority_accuracy", "positive_rate")
THRESHOLD = 0.5  # an answer is "yes" where the probability is at least this
_BLOCK = 16  # resamples weighed at once; twice as many fall out of the processor's cache


@dataclass(frozen=True)
class Predictions:
    """What a model answered for one split of n images and K attributes.

    Attributes:
        ids: str (n,).
        labels: bool (n, K).
        groups: int (n,) or None; images of one group (one person) are not independent.
        probabilities: of each head of `HEADS` that the model has, float (n, K) in [0, 1].

    Raises `ValueError` where these do not fit together or a probability is not a number in [0, 1].
    """

    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    probabilities: dict[str, np.ndarray]

    def __post_init__(self):
        n, labels = len(self.ids), self.labels
        if labels.dtype != bool or labels.ndim != 2 or len(labels) != n or labels.size == 0:
            raise ValueError(
                f"`labels` must be bool (n, K), not empty, for n = {n} ids. Received: {labels.dtype} {labels.shape}"
            )
        if self.groups is not None and self.groups.shape != (n,):
            raise ValueError(f"`groups` must be None or of shape ({n},). Received: {self.groups.shape}")
        if not self.probabilities or not set(self.probabilities) <= set(HEADS):
            raise ValueError(
                f"`probabilities` must hold one or more of {list(HEADS)}. Received: {list(self.probabilities)}"
            )
        for head, probabilities in self.probabilities.items():
            if probabilities.shape != labels.shape:
                raise ValueError(
                    f"`probabilities['{head}']` must be of shape {labels.shape}. Received: {probabilities.shape}"
                )
            if not np.all((probabilities >= 0) & (probabilities <= 1)):
                raise ValueError(
                    f"`probabilities['{head}']` must be in [0, 1]. "
                    f"Received: {probabilities.min()} to {probabilities.max()}"
                )

    @property
    def units(self) -> np.ndarray:
        """int (n,), what the bootstrap resamples: the groups where there are any, the images otherwise."""
        return np.arange(len(self.ids)) if self.groups is None else self.groups

    @property
    def main_head(self) -> str:
        """The head whose answers are looked at closely: the attribute heads where the model has them."""
        return next(head for head in HEADS if head in self.probabilities)


def metrics(labels: np.ndarray, probabilities: np.ndarray, training_rates: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of `METRICS` for every attribute.

    With TP, FP, FN, TN the counts of an attribute where "yes" is a probability >= 0.5:

        accuracy            (TP + TN) / n
        balanced_accuracy   (TP / (TP + FN) + TN / (TN + FP)) / 2
        average_precision   sum_t (R_t - R_{t-1}) P_t over the distinct probabilities t, highest first, with R_t and
                            P_t the recall and precision of "yes where at least t": no interpolation
        f1                  2 TP / (2 TP + FP + FN)
        majority_accuracy   the accuracy of always answering "yes" where the training rate is >= 0.5, else "no"
        positive_rate       (TP + FN) / n

    A value is NaN where it is undefined: balanced accuracy and average precision of an attribute without a positive
    or without a negative image, f1 where nothing is positive and nothing is answered "yes".

    Args:
        labels: bool (n, K).
        probabilities: float (n, K).
        training_rates: float (K,), the share of positive images in the training split.

    Returns:
        float (K,) of each metric.
    """
    one_each = np.ones((len(labels), 1))
    return {name: values[0] for name, values in Scorer(labels, probabilities, training_rates)(one_each).items()}


def resample_weights(groups: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each image occurs in each bootstrap resample of whole groups: blocks of float (n, B).

    As many groups are drawn, with replacement, as there are. The same groups and seed give the same resamples.
    """
    generator = np.random.default_rng(seed)
    names, members = np.unique(groups, return_inverse=True)
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        yield counts.T[members].astype(float)


def resampled_metrics(
    predictions: Predictions, training_rates: np.ndarray, resamples: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Each attribute's metrics in each resample: float (resamples, K) of each head's each metric, NaN if undefined.

    Groups are resampled where there are any, images otherwise. Resample r is the same one for every head, so heads
    can be compared in pairs.
    """
    labels = predictions.labels
    scorers = {head: Scorer(labels, p, training_rates) for head, p in predictions.probabilities.items()}
    blocks = {head: {metric: [] for metric in METRICS} for head in scorers}
    for weights in resample_weights(predictions.units, resamples, seed):
        for head, scorer in scorers.items():
            for metric, values in scorer(weights).items():
                blocks[head][metric].append(values)
    return {head: {metric: np.concatenate(b) for metric, b in by.items()} for head, by in blocks.items()}


def bootstrap(
    predictions: Predictions, training_rates: np.ndarray, resamples: int, seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray]:
    """Each metric's mean over attributes in each resample, and how often attributes lost a class.

    The resamples are those of `resampled_metrics`. An attribute whose metric is undefined in a resample is left out
    of that mean.

    Returns:
        float (resamples,) of each head's each metric, NaN where it is undefined for every attribute; int (K,), in
        how many resamples an attribute had no positive or no negative image.
    """
    resampled = resampled_metrics(predictions, training_rates, resamples, seed)
    rates = next(iter(resampled.values()))["positive_rate"]  # of the labels: equal for all heads
    means = {head: {metric: defined_mean(values) for metric, values in by.items()} for head, by in resampled.items()}
    return means, np.isin(rates, (0, 1)).sum(axis=0)


def interval(resampled: np.ndarray) -> np.ndarray:
    """Ends of the 95 % percentile bootstrap interval: (resamples, ...) -> (2, ...).

    Resamples in which a value is undefined (NaN) are left out; NaN where it is defined in none.
    """
    ends = np.full((2, *resampled.shape[1:]), np.nan)
    defined = ~np.isnan(resampled).all(axis=0)
    ends[:, defined] = np.nanpercentile(resampled[:, defined], (2.5, 97.5), axis=0)
    return ends


def estimates(values: np.ndarray, resampled: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Values beside the ends of their intervals: (...) and (resamples, ...) -> float (..., 3).

    The ends are NaN where `units` (see `Predictions.units`) are one alone: nothing says how far it would move.
    """
    alone = len(np.unique(units)) == 1
    return np.stack([values, *(interval(resampled) * (np.nan if alone else 1))], axis=-1)


def paired_estimates(
    first: Callable, second: Callable, metrics: Sequence[str], units: np.ndarray, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Two scorings of the same images, and second minus first, all in the same resamples.

    An attribute counts only where a metric is defined in both, so that both means are over the same attributes.

    Args:
        first, second: weights (n, B) -> {metric: (B, K)}, as `Scorer` gives.
        metrics: which of them.
        units: of the images, see `Predictions.units`.
        resamples, seed: of the bootstrap.

    Returns:
        {METRIC: float (K, 3, 3), METRIC.mean: float (3, 3), over attributes}: first, second, difference; of each the
        value and the ends of its 95 % interval, see `estimates`.
    """

    def scores(weights):
        one, two = first(weights), second(weights)
        both = {metric: np.stack([one[metric], two[metric], two[metric] - one[metric]], axis=1) for metric in metrics}
        return {metric: np.where(np.isnan(values[:, 2:]), np.nan, values) for metric, values in both.items()}

    values = scores(np.ones((len(units), 1)))
    blocks = [scores(weights) for weights in resample_weights(units, resamples, seed)]
    result = {}
    for metric in metrics:
        value, resampled = values[metric][0], np.concatenate([block[metric] for block in blocks])
        result[metric] = estimates(value, resampled, units).swapaxes(0, 1)
        result[f"{metric}.mean"] = estimates(defined_mean(value), defined_mean(resampled), units)
    return result


def defined_mean(values: np.ndarray) -> np.ndarray:
    """Over the attributes (the last axis) for which the value is defined (not NaN); NaN where it is for none."""
    return ratio(np.nansum(values, axis=-1), np.sum(~np.isnan(values), axis=-1))


def evaluate(
    predictions: Predictions,
    attributes: Sequence[str],
    training_rates: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
) -> dict:
    """One split's part of `evaluation.json`, in plain Python values; what is undefined is None.

        {"images": n, "groups": how many or None, "resampled": "groups" | "images", "resamples": how many,
         "single_class_resamples": {NAME: in how many resamples it had no positive or no negative, where not 0},
         "heads": {HEAD: {"mean": {METRIC: value}, "interval": {METRIC: [low, high]},
                          "left_out": {METRIC: of how many attributes it is undefined},
                          "per_attribute": {NAME: {METRIC: value}}}}}

    The mean is over the attributes for which a metric is defined. The interval is that mean's 95 % percentile
    bootstrap interval (see `bootstrap`). It covers the choice of these images, or groups, and not training. It is
    undefined for a single image or group.

    Args:
        predictions: of the split.
        attributes: K different names.
        training_rates: float (K,), the share of positive images in the training split.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    n, K = predictions.labels.shape
    if len(attributes) != K or len(set(attributes)) != K:
        raise ValueError(f"`attributes` must be {K} different names. Received: {list(attributes)}")
    groups = None if predictions.groups is None else len(np.unique(predictions.groups))
    means, single_class = bootstrap(predictions, training_rates, resamples, seed)
    heads = {}
    for head, probabilities in predictions.probabilities.items():
        values = metrics(predictions.labels, probabilities, training_rates)
        heads[head] = {
            "mean": {metric: _plain(defined_mean(values[metric])) for metric in METRICS},
            "interval": {
                metric: [_plain(end) for end in interval(means[head][metric])] if (groups or n) > 1 else [None, None]
                for metric in METRICS
            },
            "left_out": {metric: int(np.isnan(values[metric]).sum()) for metric in METRICS},
            "per_attribute": {
                name: {metric: _plain(values[metric][k]) for metric in METRICS} for k, name in enumerate(attributes)
            },
        }
    return {
        "images": n,
        "groups": groups,
        "resampled": "images" if groups is None else "groups",
        "resamples": resamples,
        "single_class_resamples": {a: int(count) for a, count in zip(attributes, single_class, strict=True) if count},
        "heads": heads,
    }


class Scorer:
    """One head's answers, prepared so that any weighting of the images can be scored (see `metrics`).

    Weights are whole numbers: an image of weight 2 counts as two equal images, one of weight 0 is not there.
    """

    def __init__(self, labels, probabilities, training_rates):
        if np.shape(training_rates) != labels.shape[1:]:
            raise ValueError(
                f"`training_rates` must be of shape {labels.shape[1:]}. Received: {np.shape(training_rates)}"
            )
        answers, self.probabilities = probabilities >= THRESHOLD, probabilities
        self.labels, self.answers, self.hits = (a.astype(float) for a in (labels, answers, labels & answers))
        self.majority = np.asarray(training_rates) >= 0.5

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Every metric of `METRICS`: weights (n, B) -> metric -> (B, K)."""
        scores, resamples = self.count(weights), np.ascontiguousarray(weights.T)
        precision = np.stack([ranking.average_precision(resamples) for ranking in self._rankings], axis=1)
        scores["average_precision"] = np.where(scores["positive_rate"] < 1, precision, np.nan)
        return scores

    def count(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """All but average precision, which alone needs the images sorted and takes most of the time."""
        total = weights.sum(axis=0)[:, None]
        positive, answered, hits = (weights.T @ a for a in (self.labels, self.answers, self.hits))
        negative = total - positive
        rejections = negative - (answered - hits)  # TN
        return {
            "accuracy": ratio(hits + rejections, total),
            "balanced_accuracy": (ratio(hits, positive) + ratio(rejections, negative)) / 2,
            "f1": ratio(2 * hits, positive + answered),
            "majority_accuracy": ratio(np.where(self.majority, positive, negative), total),
            "positive_rate": ratio(positive, total),
        }

    @functools.cached_property
    def _rankings(self):
        return [_Ranking(*columns) for columns in zip(self.labels.T, self.probabilities.T, strict=True)]


class _Ranking:
    """One attribute's images by falling probability, sorted once for all weightings.

    Recall rises only at positive images, so average precision is the weighted mean, over the positives, of the
    precision at the end of each one's tie.
    """

    def __init__(self, labels, probabilities):
        self.order = np.argsort(-probabilities, kind="stable")
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


def ratio(numerator, denominator):
    """numerator / denominator, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)


def _plain(value):
    return None if np.isnan(value) else float(value)


# --- the table that `fit` prints at its end ---

_TABLE_WIDTH = 100
_UNDEFINED = "\N{EN DASH}"
_LABELS = {  # headings, each as wide as its column but for one space
    "positive_rate": "positive",
    "majority_accuracy": "majority",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "average_precision": "    AP",
    "f1": "    F1",
}
_COLUMNS = {
    "attributes": ("accuracy", "balanced_accuracy", "average_precision", "f1"),
    "multi_label": ("accuracy", "balanced_accuracy", "average_precision"),
}


def table(evaluation: dict) -> str:
    """The content of `evaluation.json` as text: at most 100 columns, percent with one decimal, undefined as "–"."""
    parts = [_split_table(split, values) for split, values in evaluation["splits"].items()]
    legend = (
        'An answer is "yes" where the probability is at least 50 %. positive: share of positive images; majority: '
        "accuracy of always answering the class that is the majority in training; balanced: mean of the recalls of "
        f"both classes; AP: average precision; {_UNDEFINED}: undefined."
    )
    return "\n\n".join([*parts, textwrap.fill(legend, _TABLE_WIDTH)])


def _split_table(split, values):
    heads = values["heads"]
    first = next(iter(heads))  # what depends on the labels alone is the same in every head
    bands = [("", first, ("positive_rate", "majority_accuracy"))]
    bands += [(HEADS[head], head, _COLUMNS[head]) for head in HEADS if head in heads]
    columns = [(head, metric) for _, head, band in bands for metric in band]
    name_width = _TABLE_WIDTH - sum(len(_LABELS[metric]) + 1 for _, metric in columns)
    name_width = min(name_width, max(map(len, [*heads[first]["per_attribute"], "95 % interval, from"])))

    def row(name, value):
        name = name if len(name) <= name_width else name[: name_width - 1] + "…"
        return name.ljust(name_width) + "".join(
            f" {_percent(value(head, metric)):>{len(_LABELS[metric])}}" for head, metric in columns
        )

    lines = [f"{split}: {values['images']:,} images, in percent", " " * name_width, "attribute".ljust(name_width)]
    for title, _, band in bands:
        width = sum(len(_LABELS[metric]) + 1 for metric in band) - 1
        lines[1] += f" {f' {title} ':─^{width}}" if title else " " * (width + 1)
        lines[2] += "".join(f" {_LABELS[metric]}" for metric in band)
    lines += [row(a, lambda h, m, a=a: heads[h]["per_attribute"][a][m]) for a in heads[first]["per_attribute"]]
    lines += [
        "─" * len(lines[2]),
        row("mean", lambda h, m: heads[h]["mean"][m]),
        row("95 % interval, from", lambda h, m: heads[h]["interval"][m][0]),
        row("                 to", lambda h, m: heads[h]["interval"][m][1]),
    ]
    return "\n".join(lines + [line for note in _notes(values) for line in textwrap.wrap(note, _TABLE_WIDTH)])


def _notes(values):
    """What a reader must know of the means and intervals of one split, one sentence or two each."""
    units, resamples = values[values["resampled"]], values["resamples"]
    what = f"{units:,} groups (people)" if values["resampled"] == "groups" else f"{units:,} images"
    yield (
        f"Intervals: bootstrap of the mean over attributes, {resamples:,} resamples of the {what}. They cover the "
        f"choice of these {values['resampled']}, not training: another seed may give another model."
    )
    for head, result in values["heads"].items():
        left_out = [f"{_LABELS[metric].strip()} {count}" for metric, count in result["left_out"].items() if count]
        if left_out:
            yield f"Undefined and left out of the mean, number of attributes, {HEADS[head]}: {', '.join(left_out)}."
    single = values["single_class_resamples"]
    if single:
        worst = max(single, key=single.get)
        yield (
            f"Attributes without a positive or a negative image in some resamples, and left out there: {len(single)}; "
            f"most often {worst} ({single[worst]:,} of {resamples:,})."
        )


def _percent(value):
    return _UNDEFINED if value is None else f"{100 * value:.1f}"
