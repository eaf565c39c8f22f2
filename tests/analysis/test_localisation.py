"""Where maps fall: by hand on 4 x 4 positions, against whole arrays of pixels, and for every kind of network."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.analysis import Unavailable, localisation, regions
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.config import Evaluation
from tests.analysis import untrained

# A map on 4 x 4 positions and the shares of their blocks that lie in a region
MAP = np.array([[0, 0, 0, 0], [0, 6, 2, 0], [0, 1, 1, 0], [0, 0, 0, 0]], float)
INSIDE = np.array([[0, 0, 0, 0], [0, 0.5, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
EVERYWHERE = np.ones((4, 4))


def test_a_map_and_a_region_by_hand():
    ratio, pointing, peak = localisation.measure(MAP, INSIDE, EVERYWHERE)
    assert ratio == pytest.approx((6 * 0.5 + 2) / 10 / (1.5 / 16))  # half of the energy on 3/32 of the area
    assert (pointing, peak) == (1, 0.5)  # the highest block meets the region, and half of it lies inside


def test_maps_side_by_side_are_measured_one_by_one():
    elsewhere = np.rot90(MAP, 2)  # its highest position is outside
    ratio, pointing, peak = localisation.measure(np.stack([MAP, elsewhere]), INSIDE, EVERYWHERE)
    np.testing.assert_allclose(ratio, [16 / 3, (1 * 0.5 + 1 * 1) / 10 / (1.5 / 16)])
    np.testing.assert_allclose(pointing, [1, 0])
    np.testing.assert_allclose(peak, [0.5, 0])


def test_an_empty_map_counts_as_uniform_and_equally_high_positions_as_one_each():
    for nothing in (0 * MAP, EVERYWHERE):
        ratio, pointing, peak = localisation.measure(nothing, INSIDE, EVERYWHERE)
        assert ratio == pytest.approx(1)
        assert pointing == pytest.approx(2 / 16)
        assert peak == pytest.approx(1.5 / 16)


def test_what_nobody_annotated_counts_for_nothing():
    counted = EVERYWHERE.copy()
    counted[0], counted[1, 1], counted[3, 3] = 0, 0.5, 0  # of the highest block the half inside the region counts
    loud = MAP.copy()
    loud[0] = 100
    ratio, pointing, peak = localisation.measure(loud, INSIDE, counted)
    assert ratio == pytest.approx((6 * 0.5 + 2) / (6 * 0.5 + 2 + 1 + 1) / (1.5 / 10.5))
    assert (pointing, peak) == (1, 1)


def test_blocks_of_pixels():
    pixels = np.zeros((4, 4), bool)
    pixels[0, 0] = pixels[2:, 2:] = True
    np.testing.assert_array_equal(localisation.cover(pixels, (2, 2)), [[0.25, 0], [0, 1]])


def test_the_blob_is_highest_in_the_middle_and_has_its_width():
    blob = localisation.blob((40, 40))
    assert (blob == blob.max()).sum() == 4
    np.testing.assert_array_equal(blob, np.rot90(blob))
    along = blob[20] / blob[20, 20]
    assert along[26] == pytest.approx(np.exp(-((6.5 / 40) ** 2 - (0.5 / 40) ** 2) / (2 * 0.15**2)), rel=1e-6)


def test_grad_cam_is_that_of_the_gradient():
    network = untrained.run(seed=3).network
    images = tf.constant(np.random.default_rng(1).random((2, 16, 16, 3), np.float32))
    head = network.model.get_layer("multi_label_logits")
    for k in range(3):
        with tf.GradientTape() as tape:
            features = network.features(images)
            tape.watch(features)
            logit = head(tf.reduce_mean(features, axis=(1, 2)))[:, k]
        weights = tf.reduce_mean(tape.gradient(logit, features), axis=(1, 2), keepdims=True)
        expected = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1)).numpy()
        found = localisation.grad_cam(features, head.kernel)[..., k].numpy() / 64
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
        assert found.max() > 0


class Squares:
    """Regions that differ by image and attribute; a quarter of the pixels does not count; one image has none."""

    name = "squares"

    def __init__(self, run):
        self.images = run.images("test")

    def region(self, row, k):
        inside = np.zeros((16, 16), bool)
        inside[row % 7 : row % 7 + 5, 2 * k : 2 * k + 7] = row != 3
        return inside

    def counted(self, row):
        counted = np.ones((16, 16), bool)
        counted[12:] = False
        return counted


def localise(run, monkeypatch):
    monkeypatch.setattr(regions, "region_sets", lambda _: [Squares(run)])
    return localisation.compute(run)


@pytest.mark.parametrize("masks", ["per_feature", "common"])
def test_streamed_is_whole_in_pixels(monkeypatch, masks):
    monkeypatch.setattr(localisation, "MOST", 15)
    run = untrained.balanced(untrained.run(masks=masks, images=60, batch_size=7, groups=np.arange(60) // 3))
    found = localise(run, monkeypatch)
    features, M = untrained.whole(run)
    kernel = run.network.heads.kernel.numpy().astype(float)
    scores = (kernel * (1 + M) * features[:, :, :, None, :]).sum(axis=-1)
    logits = scores.mean(axis=(1, 2)) + run.network.bias
    labels, where = run.images("test").labels, Squares(run)
    ratios, pointing = [], []
    for k in range(3):
        rows = np.flatnonzero((logits[:, k] >= 0) & labels[:, k])[:15]
        rows = rows[rows != 3]
        assert found.arrays["squares.count"][k] == len(rows)
        counted = where.counted(0)
        pixels = np.maximum(scores[rows, :, :, k], 0).repeat(2, axis=1).repeat(2, axis=2) * counted
        inside = np.stack([where.region(row, k) & counted for row in rows])
        share = (pixels * inside).sum(axis=(1, 2)) / pixels.sum(axis=(1, 2))
        ratios.append((share / (inside.sum(axis=(1, 2)) / counted.sum())).mean())
        highest = [divmod(one.argmax(), 16) for one in pixels]
        hits = [one[y : y + 2, x : x + 2].any() for one, (y, x) in zip(inside, highest, strict=True)]
        pointing.append(np.mean(hits))
    assert np.isfinite(ratios).all()
    np.testing.assert_allclose(found.arrays["squares.ratio"][:, 0, 0], ratios, rtol=1e-4)
    np.testing.assert_allclose(found.arrays["squares.pointing"][:, 0, 0], pointing, atol=1e-6)
    run.config = run.config.model_copy(update={"evaluation": Evaluation(batch_size=60)})
    again = localise(run, monkeypatch)
    for name, array in found.arrays.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(again.arrays[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(again.arrays[name], array, err_msg=name)


def test_the_headline_is_about_the_attributes_with_small_regions(monkeypatch):
    run = untrained.balanced(untrained.run(images=60))
    found = localise(run, monkeypatch)
    values, ratio = found.values["squares"], found.arrays["squares.ratio"][:, 0, 0]
    small = [run.attributes.index(name) for name in values["small"]]
    assert small == np.flatnonzero(found.arrays["squares.area"] < 0.4).tolist() != []
    assert values["ratio"] == pytest.approx(ratio[small].mean())
    assert values["least_ratio"] == pytest.approx(ratio[small].min())
    assert values["pointing"] == pytest.approx(found.arrays["squares.pointing"][small, 0, 0].mean())
    uniform = found.values["methods"].index("uniform")
    np.testing.assert_allclose(found.arrays["squares.ratio"][small, uniform], 1)


def test_pictures_are_of_the_first_image_with_a_region(monkeypatch):
    run = untrained.balanced(untrained.run(images=60))
    found = localise(run, monkeypatch)
    features, M = untrained.whole(run)
    scores = (run.network.heads.kernel.numpy() * (1 + M) * features[:, :, :, None, :]).sum(axis=-1)
    positives = (scores.mean(axis=(1, 2)) + run.network.bias >= 0) & run.images("test").labels
    positives[3] = False
    for k in range(3):
        row = positives[:, k].argmax()
        assert found.arrays["squares.ids"][k] == f"{row}.png"
        np.testing.assert_array_equal(found.arrays["squares.images"][k], run.images("test").images[row])
        expected = np.maximum(scores[row, :, :, k], 0)
        np.testing.assert_allclose(found.arrays["squares.maps"][k, 0] / 255, expected / expected.max(), atol=0.003)


@pytest.mark.parametrize(
    ("model", "methods"),
    [
        ({"masks": "none"}, ["map", "grad_cam", "untrained", "blob", "uniform"]),
        ({"mask_offset": 0, "pooled_share": 0.25}, ["map", "grad_cam", "untrained", "blob", "uniform"]),
        ({"multi_label_head": False, "reconstructor": False}, ["map", "untrained", "blob", "uniform"]),
    ],
)
def test_every_kind_of_network(monkeypatch, model, methods):
    run = untrained.balanced(untrained.run(images=60, attributes=("Smiling",), **model))
    found = localise(run, monkeypatch)
    assert found.values["methods"] == methods
    assert found.arrays["squares.ratio"].shape == (1, len(methods), 3)
    assert np.isfinite(found.arrays["squares.ratio"]).all()
    assert found.arrays["squares.maps"].shape == (1, len(methods) - 3, 8, 8)


def test_without_true_positives_nothing_is_reported(monkeypatch):
    run = untrained.run()
    run.images("test").labels[:] = False
    found = localise(run, monkeypatch)
    assert found.values["squares"] == {"images": 12, "small": [], "ratio": None, "least_ratio": None, "pointing": None}
    assert np.isnan(found.arrays["squares.ratio"]).all()


def test_without_attribute_heads_there_are_no_maps():
    with pytest.raises(Unavailable, match="no attribute heads"):
        localisation.compute(untrained.run(attribute_heads=False))


def test_drawn_faces_are_localised_by_their_exact_regions(small_run):
    run = TrainedRun(small_run)
    found = localisation.compute(run)
    assert found.values["sets"] == ["exact"]
    assert found.values["seen"] == 1 + 2 * 3 + 2 * 4 * 3
    assert found.arrays["exact.count"].max() > 0


def test_a_split_that_is_not_there(small_run):
    run = TrainedRun(small_run)
    missing = SimpleNamespace(
        config=run.config, attributes=run.attributes, network=run.network, images=lambda split: None
    )
    with pytest.raises(Unavailable, match="no test split"):
        localisation.compute(missing)
