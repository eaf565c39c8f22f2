"""Maps of an attribute on the first images with and without another one, the same for every run."""

import numpy as np
import pytest

from mam_keras.analysis import pair_maps
from mam_keras.analysis.regions import Exact
from mam_keras.analysis.trained_run import TrainedRun

PAIRS = (("Smiling", "Bangs"), ("Eyeglasses", "Smiling"))


@pytest.fixture
def run(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainedRun, "folder", tmp_path)
    named = ", ".join(f"[{a}, {b}]" for a, b in PAIRS)
    return TrainedRun(small_run, [f"analysis.pairs_of_attributes=[{named}]"])


def test_first_images_with_and_without_whatever_is_answered(run):
    found, images = pair_maps.compute(run, "test"), run.images("test")
    assert found.values["pairs"] == [list(pair) for pair in PAIRS] and found.values["regions"]
    own = run.network.maps[next(iter(run.network.maps))]
    for p, pair in enumerate(PAIRS):
        k, other = map(run.attributes.index, pair)
        for g, there in enumerate((images.labels[:, other], ~images.labels[:, other])):
            rows = np.flatnonzero(images.labels[:, k] & there)[:3]
            assert [one for one in found.arrays["ids"][p, g] if one] == images.ids[rows].tolist()
            np.testing.assert_array_equal(found.arrays["images"][p, g, : len(rows)], images.images[rows])
            pixels = images.images[rows].astype(np.float32) / 255
            shown = np.maximum(np.asarray(own.show(pixels))[..., k], 0)
            expected = 255 * shown / shown.max(axis=(1, 2), keepdims=True)
            np.testing.assert_allclose(found.arrays["maps"][p, g, : len(rows)], expected, atol=1)
            logits = np.asarray(run.network.logits(pixels))[:, k]
            probability = found.arrays["probability"][p, g]
            np.testing.assert_allclose(probability[: len(rows)], 1 / (1 + np.exp(-logits)), rtol=1e-4)
            assert np.isnan(probability[len(rows) :]).all()
            regions = [Exact(run, images).region(row, k) for row in rows]
            np.testing.assert_array_equal(found.arrays["regions"][p, g, : len(rows)], regions)


def test_images_of_which_either_label_is_not_known_are_left_out(run):
    images = run.images("test")
    k, other = map(run.attributes.index, PAIRS[0])
    first = pair_maps.compute(run, "test").arrays["ids"][0]
    images.known[np.isin(images.ids, first[0, :1]), other] = False
    images.known[np.isin(images.ids, first[1, :1]), k] = False
    again = pair_maps.compute(run, "test").arrays["ids"][0]
    assert again[0, 0] == first[0, 1] and again[1, 0] == first[1, 1]
