"""Which images are looked at, and means over them: by hand, and against a plain loop."""

import numpy as np
import pytest

from mam_keras.analysis import true_positives
from mam_keras.evaluation import resample_weights


def test_the_first_of_each_attribute_whatever_the_batches():
    positives = np.array([[1, 0], [1, 1], [0, 1], [1, 1], [1, 1]], bool)
    expected = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 0]], bool)
    for size in (1, 2, 5):
        taken = np.zeros(2, int)
        batches = [true_positives.first(positives[i : i + size], taken, 2) for i in range(0, 5, size)]
        np.testing.assert_array_equal(np.concatenate(batches), expected)
        np.testing.assert_array_equal(taken, 2)


def test_means_and_differences_by_hand(monkeypatch):
    monkeypatch.setattr(true_positives, "LEAST", 2)
    values = np.full((3, 3, 2), np.nan)
    values[0, 0], values[1, 0] = (4, 1), (2, 2)  # the first attribute on two images
    values[0, 1], values[1, 1], values[2, 1] = (0, 0), (3, 0), (6, 0)
    values[2, 2] = (9, 9)  # too few
    each, mean, difference, mean_difference = true_positives.summary(values, np.arange(3), 10, 0)
    np.testing.assert_allclose(each[..., 0], [[3, 1.5], [3, 0], [np.nan, np.nan]])
    np.testing.assert_allclose(mean[:, 0], [3, 0.75])
    np.testing.assert_allclose(difference[..., 0], [[1.5], [3], [np.nan]])
    np.testing.assert_allclose(mean_difference[:, 0], [2.25])


def test_intervals_are_percentiles_over_resampled_groups():
    random = np.random.default_rng(0)
    values, units = random.normal(size=(60, 2, 3)), random.integers(0, 15, 60)
    values[random.random((60, 2)) < 0.3] = np.nan
    each, mean, difference, mean_difference = true_positives.summary(values, units, 50, 7)
    weights = np.concatenate(list(resample_weights(units, 50, 7)), axis=1).astype(int)
    resampled = []
    for column in weights.T:
        drawn = np.repeat(np.arange(60), column)
        resampled.append(np.nanmean(values[drawn], axis=0))
    ends = np.percentile(resampled, (2.5, 97.5), axis=0)
    np.testing.assert_allclose(each[..., 1:], np.moveaxis(ends, 0, -1))
    ends = np.percentile(np.mean(resampled, axis=1), (2.5, 97.5), axis=0)
    np.testing.assert_allclose(mean[:, 1:], ends.T)
    less = np.array(resampled)[..., :1] - np.array(resampled)[..., 1:]
    np.testing.assert_allclose(difference[..., 1:], np.moveaxis(np.percentile(less, (2.5, 97.5), axis=0), 0, -1))
    ends = np.percentile(less.mean(axis=1), (2.5, 97.5), axis=0)
    np.testing.assert_allclose(mean_difference[:, 1:], ends.T)


@pytest.mark.parametrize("shape", [(12, 0, 2), (12, 3, 1), (12, 3, 2)])
def test_nothing_to_report_is_undefined(shape):
    each, mean, difference, mean_difference = true_positives.summary(np.full(shape, np.nan), np.arange(12), 5, 0)
    assert each.shape == (*shape[1:], 3)
    assert difference.shape == (shape[1], shape[2] - 1, 3)
    assert np.isnan(each).all()
    assert np.isnan(mean).all()
    assert np.isnan(mean_difference).all()
