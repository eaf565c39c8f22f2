"""Which images are looked at, and means over them: by hand, and against a plain loop."""

from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import true_positives
from mam_keras.data.pipeline import Prepared
from mam_keras.predictions import Predictions
from mam_keras.statistics import resample_weights

NAMED = ("x", "x.mean", "x.difference", "x.difference.mean")
FOUND = np.array([[1, 0], [1, 1], [0, 1], [1, 1], [1, 1]], bool)
FIRST = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 0]], bool)


def make_run(batch_size=2, kept=None):
    """Images of which a network finds `FOUND`, and their run."""
    pictures = np.zeros((5, 2, 2, 3), np.uint8)
    pictures[:, 0, 0, :2] = 255 * FOUND
    images = Prepared(pictures, np.arange(5).astype(str), np.ones((5, 2), bool), None, ())
    network = SimpleNamespace(logits=lambda batch: batch[:, 0, 0, :2] - 0.5, answers=lambda logits: logits >= 0)
    config = SimpleNamespace(evaluation=SimpleNamespace(batch_size=batch_size))
    return images, SimpleNamespace(network=network, config=config, predictions=lambda split: kept)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_first_of_each_attribute_whatever_the_batches(batch_size):
    images, run = make_run(batch_size)
    np.testing.assert_array_equal(true_positives.first(run, images, "test", 2), FIRST)


def test_labels_have_to_be_there_and_known():
    images, run = make_run()
    images.labels[0, 0], images.known[1, 1] = False, False
    expected = [[0, 0], [1, 0], [0, 1], [1, 1], [0, 0]]
    np.testing.assert_array_equal(true_positives.first(run, images, "test", 2), np.array(expected, bool))


def test_predictions_of_the_same_images_are_taken_instead():
    images, _ = make_run()
    answers = np.where(FOUND[::-1], 0.5, 0.4)
    for ids, expected in ((images.ids, FOUND[::-1]), (np.array(list("abcde")), FOUND)):
        _, run = make_run(kept=Predictions(ids, images.labels, None, {"attributes": answers}))
        np.testing.assert_array_equal(true_positives.first(run, images, "test", 9), expected)


def test_means_and_differences_by_hand(monkeypatch):
    monkeypatch.setattr(true_positives, "LEAST", 2)
    values = np.full((3, 3, 2), np.nan)
    values[0, 0], values[1, 0] = (4, 1), (2, 2)  # the first attribute on two images
    values[0, 1], values[1, 1], values[2, 1] = (0, 0), (3, 0), (6, 0)
    values[2, 2] = (9, 9)  # too few
    other = {"twice": 2 * values[:, :, :1]}  # another measure on the same images
    only = {"second": np.array([False, True, False])}
    found = true_positives.summary({"x": values, **other}, np.arange(3), 10, 0, only)
    each, mean, difference, mean_difference = (found[name] for name in NAMED)
    np.testing.assert_allclose(each[..., 0], [[3, 1.5], [3, 0], [np.nan, np.nan]])
    np.testing.assert_allclose(mean[:, 0], [3, 0.75])
    np.testing.assert_allclose(difference[..., 0], [[1.5], [3], [np.nan]])
    np.testing.assert_allclose(mean_difference[:, 0], [2.25])
    np.testing.assert_allclose(found["second.x.mean"][:, 0], [3, 0])
    np.testing.assert_allclose(found["second.x.difference.mean"][:, 0], [3])
    np.testing.assert_allclose(found["twice"][:, 0], 2 * each[:, 0])
    assert found["twice.difference"].shape == (3, 0, 3)


def test_intervals_are_percentiles_over_resampled_groups():
    random = np.random.default_rng(0)
    values, units = random.normal(size=(60, 2, 3)), random.integers(0, 15, 60)
    values[random.random((60, 2)) < 0.3] = np.nan
    each, mean, difference, mean_difference = (
        true_positives.summary({"x": values}, units, 50, 7)[name] for name in NAMED
    )
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
    found = true_positives.summary({"x": np.full(shape, np.nan)}, np.arange(12), 5, 0)
    each, mean, difference, mean_difference = (found[name] for name in NAMED)
    assert each.shape == (*shape[1:], 3)
    assert difference.shape == (shape[1], shape[2] - 1, 3)
    assert np.isnan(each).all()
    assert np.isnan(mean).all()
    assert np.isnan(mean_difference).all()
