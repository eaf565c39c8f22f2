"""Heatmaps by depth: every stage's maps by hand, and each measure image by image in plain numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras.analysis import Unavailable, depth, regions, true_positives
from mam_keras.analysis.maps import Depths
from mam_keras.model.maps import by_depth
from mam_keras.statistics import Estimate
from tests.analysis import looked_at
from tests.analysis.test_localisation import Squares

DEEPER = {"dilations": (1, 2)}
SYSTEMS = {
    "masked": DEEPER,
    "plain": {"system": "plain"} | DEEPER,
    "attention branch": {"system": "attention_branch"} | DEEPER,
    "shareable": {"system": "shareable", "attended": ("early", "late"), "dilations": (1, 2, 1)},
}


@pytest.mark.parametrize("model", SYSTEMS.values(), ids=SYSTEMS)
def test_a_stages_maps_are_those_of_its_output_and_its_derivative(model):
    """The derivative by a stage's output, as a difference of logits of the network behind it."""
    run = looked_at.run(images=4, **model)
    network, images = run.network, looked_at.pictures(run)[:2]
    activations, cams = by_depth(network)(tf.constant(images), tf.constant(1))
    assert len(activations) == len(cams) == len(network.stages) >= 3
    for stage, activation, cam in zip(network.stages, activations, cams, strict=True):
        if "shareable" in model.values() and stage.name in ("context.1.relu", "context.2.relu"):
            continue  # the logit depends on the image around these stages, too
        tensor = network.outputs.get(stage.name)
        tensor = network.model.get_layer(stage.name).output if tensor is None else tensor
        x = keras.Model(network.model.input, tensor)(images, training=False).numpy()
        behind = keras.Model(tensor, network.outputs[network.main_head])
        np.testing.assert_allclose(activation, np.abs(x).mean(axis=-1), rtol=1e-5)
        weights, step = np.zeros((2, x.shape[-1])), 1e-2
        for channel in range(x.shape[-1]):
            moved = [x + sign * step * (np.arange(x.shape[-1]) == channel) for sign in (1, -1)]
            above, below = (behind(array.astype("float32"), training=False).numpy()[:, 1] for array in moved)
            weights[:, channel] = (above - below) / (2 * step) / x[0, ..., 0].size
        expected = np.maximum(np.einsum("nhwc,nc->nhw", x, weights), 0)
        np.testing.assert_allclose(cam, expected, rtol=0.05, atol=0.02 * expected.max() + 1e-7)


def test_attention_is_part_of_the_way_from_the_stage_it_looks_at():
    """The early stage of shareable attention: its derivative goes through the masks of later ones, too."""
    run = looked_at.run(images=4, **SYSTEMS["shareable"])
    network, images = run.network, tf.constant(looked_at.pictures(run)[:1])
    early = network.model.get_layer(run.config.model.early).output
    behind = keras.Model(early, network.outputs[network.main_head])
    x = keras.Model(network.model.input, early)(images, training=False)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logit = behind(x, training=False)[:, 0]
    weights = tf.reduce_mean(tape.gradient(logit, x), axis=(1, 2), keepdims=True)
    place = [stage.name for stage in network.stages].index(run.config.model.early)
    _, cams = by_depth(network)(images, tf.constant(0))
    np.testing.assert_allclose(cams[place], tf.nn.relu(tf.reduce_sum(weights * x, axis=-1)), rtol=1e-4, atol=1e-8)


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth, "MOST", 4)
        patch.setattr(true_positives, "LEAST", 3)
        patch.setattr(regions, "region_sets", lambda run, split: [Squares(run)])
        run = looked_at.balanced(images=30, batch_size=7)
        return run, depth.compute(run, "test")


def test_methods_go_from_high_to_low_and_end_with_the_controls(found):
    run, result = found
    names = [stage.name for stage in run.network.stages]
    assert names[-1] == "features" and [stage["name"] for stage in result.values["stages"]] == names
    cams, activations = ([f"{kind}.{name}" for name in reversed(names)] for kind in ("grad_cam", "activation"))
    assert result.values["methods"] == [*cams, *activations, "untrained", "blob", "random"]


def test_each_measure_is_that_of_each_image_alone(found):
    run, result = found
    images, labels = looked_at.pictures(run), run.images("test").labels
    logits, maps = np.asarray(run.network.logits(images)), Depths(run)
    for k in range(3):
        rows = np.flatnonzero(labels[:, k] & (logits[:, k] >= 0))[:4]
        assert result.arrays["count"][k] == len(rows) >= 3
        concentration, deletion = np.zeros((2, len(rows), len(result.values["methods"])))
        for number, row in enumerate(rows):
            shown = maps(images[row : row + 1], k)[0]
            blob = np.exp(-(((np.mgrid[:8, :8] + 0.5) / 8 - 0.5) ** 2) / (2 * 0.15**2)).prod(axis=0)
            random = np.random.default_rng((0, row)).random((8, 8))
            for method, one in enumerate([*shown, np.round(blob, 9), random]):
                one = one.astype("float32").astype(float)
                if one.any():
                    norms = np.abs(one).sum() / np.sqrt((one**2).sum())
                    concentration[number, method] = (8 - norms) / 7
                order = np.argsort(-one.ravel(), kind="stable")
                covered = []
                for step in range(9):
                    image = images[row].copy()
                    for block in order[: 8 * step]:
                        i, j = 2 * (block // 8), 2 * (block % 8)
                        image[i : i + 2, j : j + 2] = images[row].mean(axis=(0, 1))
                    covered.append(image)
                curve = 1 / (1 + np.exp(-np.asarray(run.network.logits(np.stack(covered)))[:, k]))
                deletion[number, method] = np.trapezoid(curve, np.arange(9) / 8)
        np.testing.assert_allclose(result.arrays["concentration"][k, :, 0], concentration.mean(axis=0), atol=2e-3)
        np.testing.assert_allclose(result.arrays["deletion"][k, :, 0], deletion.mean(axis=0), rtol=5e-3)
        assert result.arrays["ids"][k] == run.images("test").ids[rows[0]]
        cams = result.arrays["maps"][k].reshape(2, -1, 8, 8)
        assert set(cams.max(axis=(2, 3)).ravel()) <= {0, 255}
    assert depth.headline(result) == {"concentration": Estimate.of(result.arrays["concentration.mean"][0])}


def test_where_regions_are_known_heat_is_measured_in_them(found):
    run, result = found
    assert result.values["sets"] == ["squares"]
    where, images, labels = Squares(run), looked_at.pictures(run), run.images("test").labels
    logits, maps = np.asarray(run.network.logits(images)), Depths(run)
    for k in range(3):
        ratios = []
        for row in np.flatnonzero(labels[:, k] & (logits[:, k] >= 0))[:4]:
            counted = where.counted(row)
            inside = where.region(row, k) & counted
            if inside.any():
                shown = maps(images[row : row + 1], k)[0].repeat(2, axis=1).repeat(2, axis=2)
                shown[shown.max(axis=(1, 2)) == 0] = 1
                heat = (shown * inside).sum(axis=(1, 2)) / (shown * counted).sum(axis=(1, 2))
                ratios.append(heat * counted.sum() / inside.sum())
        if len(ratios) >= 3:
            np.testing.assert_allclose(result.arrays["squares.ratio"][k, :-2, 0], np.mean(ratios, axis=0), rtol=1e-4)
    assert np.isfinite(result.arrays["squares.ratio.mean"]).all()


def test_without_true_positives_all_is_undefined(monkeypatch):
    monkeypatch.setattr(regions, "region_sets", lambda run, split: [Squares(run)])
    run = looked_at.run(images=12)
    run.images("test").labels[:] = False
    result = depth.compute(run, "test")
    assert all(np.isnan(result.arrays[name]).all() for name in (*depth.MEASURES, "squares.ratio"))


def test_without_regions_the_rest_is_there(monkeypatch):
    def none(run, split):
        raise Unavailable("nothing says where")

    monkeypatch.setattr(regions, "region_sets", none)
    result = depth.compute(looked_at.balanced(images=30), "test")
    assert result.values["sets"] == []
    assert not np.isnan(result.arrays["concentration.mean"]).any()
