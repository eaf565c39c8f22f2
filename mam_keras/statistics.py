"""How far would a mean move with other images? The bootstrap, and means of what is defined. Knows plain arrays."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK = 16  # resamples weighed at once; twice as many fall out of the processor's cache


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Estimate":
        """Of three numbers as `estimates` gives them, last axis; NaN is undefined."""
        return cls(*(None if math.isnan(number) else float(number) for number in numbers))

    @property
    def measurable(self) -> bool:
        """Of a difference: whether its interval leaves out 0."""
        return self.low is not None and (self.low > 0 or self.high < 0)


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


def ratio(numerator, denominator):
    """numerator / denominator, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
