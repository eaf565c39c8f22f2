"""Maps: Grad-CAM by hand, closed and by gradients, at the features and at a stage; grids; what speaks for an answer."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras.data.source import Targets
from mam_keras.model import maps
from mam_keras.model.backbones import Stage
from mam_keras.model.network import Head, Map, Network
from tests.analysis import looked_at
from tests.model.examples import network_of, random_images, small_config

IMAGE = np.array([[[1, 0, 0], [0, 2, 0]], [[0, 0, 0], [1, 1, 0]]], np.float32)[None]  # 2 x 2 pixels


@keras.saving.register_keras_serializable("tests")
class Squared(keras.Layer):
    """logit_1 = (mean of channel 1)^2 - mean of channel 2, logit_2 = the product of both means."""

    def call(self, features):
        first, second = (keras.ops.mean(features[..., c], axis=(1, 2)) for c in (0, 1))
        return keras.ops.stack([first**2 - second, first * second], axis=1)


def squared_network():
    image = keras.Input((2, 2, 3))
    low = keras.layers.Rescaling(2.0, name="low")(image)
    features = keras.layers.Rescaling(2.0, name="features")(low)  # 4 times the image
    logits = Squared(name="logits")(features)
    model = keras.Model(image, logits)
    outputs = {"features": features, "attributes": logits}
    return Network(model, Targets(("a", "b")), outputs, (Head("attributes", 1.0),), losses=None)


def test_grad_cam_by_hand():
    # Features 4 x: channel 1 is [[4, 0], [0, 4]], channel 2 [[0, 8], [0, 4]]; their means are 2 and 3.
    # d logit_1 / d F_{p,1} = 2 * 2 / 4 = 1, by channel 2 -1/4; of logit_2 they are 3/4 and 2/4, the same at every p.
    show = maps.grad_cam(squared_network()).show
    expected = [
        [[4 * 1, 0], [0, 4 * 1 - 4 / 4]],  # -8/4 is cut off
        [[4 * 3 / 4, 8 / 2], [0, 4 * 3 / 4 + 4 / 2]],
    ]
    np.testing.assert_allclose(np.moveaxis(show(IMAGE).numpy()[0], -1, 0), expected, rtol=1e-6)


def test_grad_cam_at_a_stage_by_hand():
    # At "low", 2 x the image, every derivative is twice as large and every activation half: the same map
    network = squared_network()
    network.stages = Stage("low", 1, 1), Stage("features", 1, 1)
    for k in range(2):
        activations, cams = maps.by_depth(network)(tf.constant(IMAGE), k)
        expected = maps.grad_cam(network).show(IMAGE)[..., k]
        assert len(cams) == 2
        for found in cams:
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        for found, times in zip(activations, (2, 4), strict=True):
            np.testing.assert_allclose(found, times * IMAGE.mean(axis=-1), rtol=1e-6)


def by_gradient(network, images, k):
    """Equations 1 and 2 of Selvaraju et al. as they stand: (N, H, W)."""
    features = tf.constant(network.features(images))
    above = keras.Model(network.outputs["features"], network.outputs[network.main_head])
    with tf.GradientTape() as tape:
        tape.watch(features)
        logit = above(features, training=False)[:, k]
    weights = tf.reduce_mean(tape.gradient(logit, features), axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * features, axis=-1)).numpy()


@pytest.mark.parametrize("told_apart", [True, False])
@pytest.mark.parametrize(
    "model", [{"masks": "per_feature"}, {"masks": "common", "pooled_share": 0.25}, {"learned_positions": True}]
)
def test_every_form_of_grad_cam_is_that_of_the_gradient(model, told_apart):
    run = looked_at.run(images=3, multi_label_head=False, reconstructor=False, **model)
    network, images = run.network, tf.constant(looked_at.pictures(run))
    if not told_apart:
        network.logit_of = None
    one = maps.grad_cam(network)
    shown, traced = one.show(images).numpy(), tf.function(one.show)(images).numpy()
    assert shown.max() > 0
    of = tf.function(lambda k: maps.of_target(one, images, network.features(images), k))
    for k in range(3):
        expected = by_gradient(network, images, k)
        for found in (shown[..., k], traced[..., k], of(tf.constant(k)).numpy()):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "pooling", [{}, {"pooled_share": 0.25}, {"pooling_sharpness": 3.0}, {"learned_positions": True}]
)
def test_the_closed_form_is_that_of_the_gradient_however_a_linear_unit_is_pooled(pooling):
    run = looked_at.run(images=3, system="plain", **pooling)
    images, closed = tf.constant(looked_at.pictures(run)), run.network.maps["grad_cam"]
    shown = closed.show(images).numpy() / 64  # positions
    for k in range(3):
        expected = by_gradient(run.network, images, k)
        np.testing.assert_allclose(shown[..., k], expected, rtol=1e-4, atol=1e-6)
        one = maps.of_target(closed, images, run.network.features(images), tf.constant(k))
        np.testing.assert_allclose(one.numpy() / 64, expected, rtol=1e-4, atol=1e-6)


def test_the_closed_form_of_the_multi_label_head_is_that_of_the_gradient():
    run = looked_at.run(images=2, attribute_heads=False)  # then that head answers
    images = tf.constant(looked_at.pictures(run))
    shown = run.network.maps["grad_cam"].show(images).numpy() / 64
    for k in range(3):
        np.testing.assert_allclose(shown[..., k], by_gradient(run.network, images, k), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"masks": "common"},
        {"masks": "none"},
        {"pooled_share": 0.3},
        {"pooling_sharpness": 2.0},
        {"learned_positions": True},
    ],
)
def test_one_target_alone_is_one_of_all(model):
    run = looked_at.run(images=3, **model)
    network, images = run.network, tf.constant(looked_at.pictures(run))
    features = network.features(images)
    own = network.maps["contributions"]
    one = tf.function(lambda k: (network.logit(images, features, k), own.of(images, features, k)))
    for k in range(3):
        logit, shown = one(tf.constant(k))
        np.testing.assert_allclose(logit, network.logits(images)[:, k], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(shown, own.show(images)[..., k], rtol=1e-4, atol=1e-5)


def test_one_map_serves_all_targets():
    one = Map("one", "", False, lambda images: images[..., :1])
    images = tf.constant(np.random.default_rng(0).random((2, 4, 4, 3), np.float32))
    for k in range(3):
        np.testing.assert_array_equal(maps.of_target(one, images, None, k), images[..., 0])


def test_shares_of_what_a_position_sees_by_hand():
    # Blocks of 2 pixels, positions in their middles, 1, 3 and 5; a field of 4 pixels is 3 at the edges of the image.
    np.testing.assert_allclose(maps.fields(6, 3, 4), [[2 / 3, 1 / 4, 0], [1 / 3, 2 / 4, 1 / 3], [0, 1 / 4, 2 / 3]])
    np.testing.assert_array_equal(maps.fields(6, 3, 2), np.eye(3))


@pytest.mark.parametrize("system", ["plain", "masked"])
def test_contributions_are_shared_among_the_pixels_that_are_seen(system):
    sizes = {"channels": 3, "front_end": [4], "dilations": [1]}  # a position sees 7 pixels of 24
    settings = small_config(24, model={"system": system, "learned_positions": True, **sizes})
    network = network_of(settings, ["a", "b"])
    assert list(network.maps) == ["contributions", "seen", "grad_cam"]
    images = random_images(3, 24, 24, 3)
    given, found = (np.asarray(network.maps[name].show(images)) for name in ("contributions", "seen"))
    expected = np.zeros_like(given)
    for i, j in np.ndindex(12, 12):  # pixel by pixel, in halves of them, since middles lie between two
        rows, columns = (np.arange(max(0, 4 * p + 2 - 7), min(48, 4 * p + 2 + 7)) // 4 for p in (i, j))
        share = given[:, i, j] / (len(rows) * len(columns))
        for row, column in itertools.product(rows, columns):
            expected[:, row, column] += share
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.mean(axis=(1, 2)) + network.heads[0].bias, network.logits(images), atol=1e-5)
    features = network.features(images)
    for k in range(2):
        np.testing.assert_allclose(network.maps["seen"].of(images, features, k), found[..., k], atol=1e-6)


def test_only_positions_that_see_little_have_such_a_map():
    wide = small_config(24, model={"system": "plain", "front_end": [4], "dilations": [1, 1]})  # 11 of 24 pixels
    assert "seen" not in network_of(wide, ["a"]).maps
    small = {"front_end": [4], "dilations": [1], "system": "attention_branch", "perception": "linear"}
    assert "seen" not in network_of(small_config(24, model=small), ["a", "b"]).maps  # its attention sees more
    assert "seen" in network_of(small_config(24, model=small | {"attention": "none"}), ["a", "b"]).maps
    shared = {"front_end": [4], "dilations": [1], "system": "shareable"}
    assert "seen" not in network_of(small_config(24, model=shared), ["a", "b"]).maps  # so do its masks
    assert "seen" in network_of(small_config(24, model=shared | {"attended": []}), ["a", "b"]).maps


def test_another_grid():
    values = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    assert maps.on_grid(values, (4, 4)).shape == (1, 4, 4)
    np.testing.assert_array_equal(maps.on_grid(values, (4, 4)), values)
    np.testing.assert_allclose(maps.on_grid(np.full((2, 3, 3), 5.0), (8, 8)), 5)
    up = np.asarray(maps.on_grid(np.array([[[0.0, 4.0]]]), (1, 4)))  # centres at 1/4 and 3/4; a fourth at 1/8, 3/8, ...
    np.testing.assert_allclose(up[0, 0], [0, 1, 3, 4])
    down = np.asarray(maps.on_grid(values, (2, 2)))[0]
    assert down.mean() == pytest.approx(values.mean())
    assert (np.diff(down, axis=0) > 0).all()


@pytest.mark.parametrize(
    "model",
    [
        {"system": "attention_branch"},
        {"system": "attention_branch", "perception": "stage", "dilations": (1, 1)},
        {"perception": "stage", "dilations": (1, 1), "multi_label_head": False, "reconstructor": False},
    ],
)
def test_maps_and_logits_of_one_target_in_other_systems(model):
    run = looked_at.run(images=2, **model)
    network, images = run.network, tf.constant(looked_at.pictures(run))
    features = network.features(images)

    @tf.function
    def one(k):
        shown = [maps.of_target(one, images, features, k) for one in network.maps.values()]
        return network.logit(images, features, k), shown

    everything = [np.asarray(one.show(images)) for one in network.maps.values()]
    for k in range(3):
        logit, shown = one(tf.constant(k))
        np.testing.assert_allclose(logit, network.logits(images)[:, k], rtol=1e-3, atol=1e-4)
        for found, expected in zip(shown, everything, strict=True):
            assert found.dtype == tf.float32
            np.testing.assert_allclose(found, expected[..., k], rtol=1e-3, atol=1e-4)
