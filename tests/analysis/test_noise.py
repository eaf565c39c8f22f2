"""Balanced accuracy under noise as one figure, against the run's own evaluation and plain numpy."""

import json

import numpy as np
import pytest

from mam_keras.analysis import noise
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.trained_run import TrainedRun


def run_with(path, sigmas):
    return TrainedRun(path, [f"analysis.sigmas={sigmas}", "analysis.resamples=30"])


def balanced_accuracy(labels, answers):
    """Mean over attributes that have both classes."""
    recalls = [[(answers[:, k] == y)[labels[:, k] == y].mean() for y in (True, False)] for k in range(labels.shape[1])]
    return np.mean(recalls)


def test_without_noise_the_curve_is_the_runs_own_balanced_accuracy(small_run):
    head = json.loads((small_run / "evaluation.json").read_text())["splits"]["validation"]["heads"]["attributes"]
    found = noise.headline(noise.compute(run_with(small_run, "[0.0]"), "validation"))["noise_robustness"]
    assert found.value == pytest.approx(head["mean"]["balanced_accuracy"], abs=1e-12)
    assert found.low <= found.value <= found.high


def test_robustness_is_the_area_under_the_curve_over_its_span(small_run):
    run, sigmas, curve = run_with(small_run, "[0.5, 0.0, 0.1]"), (0.0, 0.1, 0.5), []
    images = run.images("validation")
    for sigma in sigmas:
        noisy = corrupt(np.asarray(images.images, np.float32) / 255, "noise", sigma, run.config.seed, 0)
        curve.append(balanced_accuracy(images.labels, run.network.logits(noisy).numpy() >= 0))
    assert len(set(curve)) == 3
    expected = (0.1 * (curve[0] + curve[1]) / 2 + 0.4 * (curve[1] + curve[2]) / 2) / 0.5
    result = noise.compute(run, "validation")
    np.testing.assert_array_equal(result.arrays["sigmas"], sigmas)
    np.testing.assert_allclose(result.arrays["balanced_accuracy"], curve, atol=1e-12)
    assert noise.headline(result)["noise_robustness"].value == pytest.approx(expected, abs=1e-12)
