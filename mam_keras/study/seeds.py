"""How far would a mean move with other seeds? Kept apart from intervals over images. Knows plain numbers."""

import math

from scipy import stats

from mam_keras.statistics import Estimate

LEAST = 3  # seeds that a claim needs that one setting beats another


def over_seeds(values) -> Estimate:
    """Mean of n training runs that differ by their seed, with its 95 % interval (Student's t).

        m +- t_{0.975, n - 1} s / sqrt(n),   s^2 = sum_i (x_i - m)^2 / (n - 1)

    Args:
        values: of the runs, None where undefined, which are left out. Of one value there is no interval.
    """
    values = [value for value in values if value is not None]
    if not values:
        return Estimate(None, None, None)
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Estimate(mean, None, None)
    half = stats.t.ppf(0.975, n - 1) * math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1) / n)
    return Estimate(mean, mean - half, mean + half)


def paired(values, others) -> tuple[Estimate, int]:
    """Mean over the seeds that both have of value - other, with its interval, and how many seeds these are.

    Args:
        values, others: {seed: value or None}.
    """
    shared = [seed for seed, value in values.items() if value is not None and others.get(seed) is not None]
    return over_seeds([values[seed] - others[seed] for seed in shared]), len(shared)
