from dataclasses import replace

import keras
import numpy as np
import pytest

from mam_keras.analysis import reconstructions
from mam_keras.analysis.needs import lacking
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.statistics import resample_weights
from tests.analysis import untrained


def test_streamed_errors_are_those_of_the_whole_array(small_run):
    run = TrainedRun(small_run)
    found = reconstructions.compute(TrainedRun(small_run, ["analysis.resamples=25"]), "test")
    images = run.images("test").images.astype(np.float64) / 255
    outputs = keras.models.load_model(run.directory.model, compile=False).predict(images, verbose=0)["reconstruction"]
    errors = ((images - outputs) ** 2).mean(axis=(1, 2, 3))
    controls = ((images - images.mean(axis=0)) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found.arrays["errors"], errors, rtol=1e-4)
    assert found.arrays["mean"][0] == pytest.approx(errors.mean(), rel=1e-4)
    assert found.arrays["control"][0] == pytest.approx(controls.mean(), rel=1e-4)
    weights = np.concatenate(list(resample_weights(np.arange(24), 25, run.config.seed)), axis=1)
    ends = np.percentile(errors @ weights / 24, (2.5, 97.5))
    np.testing.assert_allclose(found.arrays["mean"][1:], ends, rtol=1e-4)


def test_the_images_shown_stand_beside_their_own_output(small_run):
    run = TrainedRun(small_run)
    found, prepared = reconstructions.compute(run, "test"), run.images("test")
    rows = [prepared.ids.tolist().index(name) for name in found.arrays["ids"].tolist()]
    assert found.arrays["shown"].tolist() == sorted(found.arrays["shown"].tolist())
    assert found.arrays["shown"][[0, -1]].tolist() == [found.arrays["errors"].min(), found.arrays["errors"].max()]
    np.testing.assert_array_equal(found.arrays["inputs"], prepared.images[rows])
    drawn, given = found.arrays["outputs"] / 255, found.arrays["inputs"] / 255
    np.testing.assert_allclose(((drawn - given) ** 2).mean(axis=(1, 2, 3)), found.arrays["shown"], atol=2e-3)


def test_ranks_are_at_equal_steps():
    errors = np.array([5.0, 1, 4, 2, 3])
    assert reconstructions.ranks(errors, 3).tolist() == [1, 4, 0]  # least, median, largest
    assert reconstructions.ranks(errors, 9).tolist() == [1, 3, 4, 2, 0]
    assert reconstructions.ranks(errors[:1], 8).tolist() == [0]


def test_why_there_is_nothing_to_show(small_run):
    assert "no reconstructor" in lacking(untrained.run(reconstructor=False), "test", reconstructions.NEEDS)
    run = TrainedRun(small_run)
    run.source = replace(run.source, splits={"train": run.source.splits["train"]})
    assert "no validation split" in lacking(run, "validation", reconstructions.NEEDS)
