"""What is done to images: by hand on small ones, and the same whatever the batches."""

import numpy as np
import pytest

from mam_keras.analysis.corruptions import CORRUPTIONS, corrupt

IMAGES = np.random.default_rng(0).random((6, 64, 64, 3), np.float32)
ALL = [(name, severity) for name, corruption in CORRUPTIONS.items() for severity in corruption.severities or (0.2,)]
FLAT = np.full((1, 8, 8, 3), 0.4, np.float32)


@pytest.mark.parametrize("name, severity", ALL)
def test_the_same_whatever_the_batches(name, severity):
    whole = corrupt(IMAGES, name, severity, 3, 0)
    parts = [corrupt(IMAGES[start : start + 4], name, severity, 3, start) for start in (0, 4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert whole.dtype == np.float32 and whole.shape == IMAGES.shape
    assert whole.min() >= 0 and whole.max() <= 1
    assert np.abs(whole - IMAGES).max() > 0.01


def test_noise_is_gaussian_of_its_sigma_and_of_no_colour():
    grey = np.full((40, 32, 32, 3), 0.5, np.float32)
    noise = corrupt(grey, "noise", 0.1, 0, 0, clip=False) - 0.5
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    assert abs(noise.mean()) < 1e-3
    assert np.mean(np.abs(noise) < 0.1) == pytest.approx(0.6827, abs=0.005)
    assert np.corrcoef(noise.reshape(-1, 3).T)[0, 1] == pytest.approx(0, abs=0.02)
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] == pytest.approx(0, abs=0.1)


def test_noise_of_sigma_zero_changes_nothing():
    np.testing.assert_array_equal(corrupt(IMAGES, "noise", 0.0, 0, 0), IMAGES)


@pytest.mark.parametrize("change", [{"seed": 4}, {"severity": 0.3}, {"first": 1}])
def test_other_noise_for_another_seed_sigma_or_place(change):
    arguments = {"severity": 0.2, "seed": 3, "first": 0}
    noises = []
    for case in (arguments, arguments | change):
        noise = corrupt(np.zeros_like(FLAT), "noise", clip=False, **case)
        noises.append(noise / case["severity"])
    assert abs(np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]) < 0.3


def test_clipped_unless_told_otherwise():
    free = corrupt(IMAGES, "noise", 0.5, 0, 0, clip=False)
    assert free.min() < 0 and free.max() > 1
    np.testing.assert_array_equal(corrupt(IMAGES, "noise", 0.5, 0, 0), np.clip(free, 0, 1))


def test_blur_is_the_normal_distribution_of_a_share_of_the_side():
    point = np.zeros((1, 32, 32, 3), np.float32)
    point[0, 16, 16] = 1
    blurred = corrupt(point, "blur", 2 / 32, 0, 0)[0, :, :, 0]
    distance = np.arange(32) - 16
    weights = np.exp(-(distance**2) / 8)
    np.testing.assert_allclose(blurred, np.outer(weights, weights) / weights.sum() ** 2, atol=1e-4)
    np.testing.assert_allclose(corrupt(FLAT, "blur", 0.1, 0, 0), FLAT, rtol=1e-6)


def test_jpeg_loses_more_at_lower_quality_and_keeps_what_is_flat():
    losses = [np.abs(corrupt(IMAGES, "jpeg", quality, 0, 0) - IMAGES).mean() for quality in (90, 30, 10)]
    assert losses == sorted(losses)
    np.testing.assert_allclose(corrupt(FLAT, "jpeg", 50, 0, 0), FLAT, atol=2 / 255)


def test_occlusion_covers_a_square_somewhere():
    places = set()
    for image in corrupt(np.repeat(FLAT, 20, axis=0), "occlusion", 0.25, 0, 0):
        rows, columns = np.nonzero((image == 0.5).all(axis=-1))
        assert len(rows) == 4 and np.ptp(rows) == np.ptp(columns) == 1  # 2 x 2 of 8 x 8
        assert (image[image != 0.5] == np.float32(0.4)).all()
        places.add((rows[0], columns[0]))
    assert len(places) > 10


def test_brightness_multiplies():
    np.testing.assert_allclose(corrupt(FLAT, "brightness", 0.25, 0, 0), FLAT / 4, rtol=1e-6)
