"""What a run is measured by on validation, against the run's own evaluation and plain numpy."""

import json

import numpy as np
import pytest

from mam_keras.analysis import measures
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.run_directory import RunDirectory

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def run_with(path, sigmas):
    return TrainedRun(path, ["analysis.split=validation", f"analysis.sigmas={sigmas}", "analysis.resamples=30"])


def balanced_accuracy(labels, answers):
    """Mean over attributes that have both classes."""
    recalls = [[(answers[:, k] == y)[labels[:, k] == y].mean() for y in (True, False)] for k in range(labels.shape[1])]
    return np.mean(recalls)


def test_without_noise_the_curve_is_the_runs_own_balanced_accuracy(small_run):
    head = json.loads((small_run / "evaluation.json").read_text())["splits"]["validation"]["heads"]["attributes"]
    value, low, high = measures.noise_robustness(run_with(small_run, "[0.0]"))
    assert value == pytest.approx(head["mean"]["balanced_accuracy"], abs=1e-12)
    assert low <= value <= high


def test_robustness_is_the_area_under_the_curve_over_its_span(small_run):
    run, sigmas, curve = run_with(small_run, "[0.5, 0.0, 0.1]"), (0.0, 0.1, 0.5), []
    images = run.images("validation")
    for sigma in sigmas:
        noisy = corrupt(np.asarray(images.images, np.float32) / 255, "noise", sigma, run.config.seed, 0)
        curve.append(balanced_accuracy(images.labels, run.network.parts(noisy)["attribute_logits"].numpy() >= 0))
    assert len(set(curve)) == 3
    expected = (0.1 * (curve[0] + curve[1]) / 2 + 0.4 * (curve[1] + curve[2]) / 2) / 0.5
    value, low, high = measures.noise_robustness(run)
    assert value == pytest.approx(expected, abs=1e-12)
    assert low <= value <= high


def test_a_run_is_measured_on_validation_and_parts_of_other_images_are_left_out(small_run):
    found = measures.measure(RunDirectory(small_run))
    assert set(found["measures"]) == set(measures.MEASURES)
    assert set(found["intervals"]) <= set(measures.MEASURES[:4])
    assert all(low <= found["measures"][name] <= high for name, (low, high) in found["intervals"].items())
    json.dumps(found, allow_nan=False)


def test_what_a_network_without_attribute_heads_does_not_have_is_none(train_small):
    found = measures.measure(RunDirectory(train_small(model={"attribute_heads": False})))["measures"]
    missing = {name for name, value in found.items() if value is None}
    assert missing == {"localisation", "localised", "mask_mean", "mask_near_zero"}
