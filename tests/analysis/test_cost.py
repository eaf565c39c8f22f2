import shutil

import keras
import numpy as np
import pytest

from mam_keras.analysis import cost
from mam_keras.analysis.trained_run import TrainedRun


def test_parameters_and_times_are_those_of_the_run(small_run):
    run = TrainedRun(small_run)
    found = cost.compute(run, "test").values
    model = keras.models.load_model(run.directory.model, compile=False)
    assert found["parameters"] == sum(np.prod(weight.shape) for weight in model.trainable_weights)
    rows = run.directory.history.read_text().splitlines()
    speeds = [float(row.split(",")[rows[0].split(",").index("images_per_second")]) for row in rows[1:]]
    assert found["trained"] == pytest.approx(1000 / np.median(speeds))
    assert 0 < found["answered"] < 1000 and found["batch"] == min(100, len(run.images("test")))


def test_a_run_without_history_says_nothing_of_training(small_run, tmp_path):
    run = TrainedRun(shutil.copytree(small_run, tmp_path / "run"))
    run.directory.history.unlink()
    found = cost.compute(run, "test")
    assert found.values["trained"] is None
    assert set(cost.headline(found)) == {"parameters", "answering_ms"}
