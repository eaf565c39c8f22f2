"""The masked system where masked features pass a stage that all attributes share (`perception: stage`)."""

import numpy as np
import pytest
import tensorflow as tf

from mam_keras import systems
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.model.maps import of_target
from mam_keras.model.transformation import tone_curve
from tests.model.examples import network_of, random_images, randomize, relative_error, small_config

NAMES = ("a", "b", "c")
IMAGES = random_images(4, 8, 8, 3)
PAIRS = [(1.0, 1.0), (2.0, 3.0), (0.5, 1.0)]


def settings(**model):
    return small_config(model={"perception": "stage", "dilations": [1, 2, 1], "normalization": "group"} | model)


@pytest.fixture(scope="module", params=["per_feature", "common"])
def given(request):
    config = settings(masks=request.param)
    network = network_of(config, NAMES)
    randomize(network.model)
    return config, network


def test_masks_are_transformed_before_the_stage(given):
    network = given[1]
    features = network.features(IMAGES)
    heads = network.model.get_layer("attribute_logits")
    passes = heads.perception
    of_pairs = network.masks.logits_of_pairs(PAIRS)(features)
    for index, (a, b) in enumerate(PAIRS):
        expected = []
        for k in range(3):
            factors = network.masks.offset + np.asarray(tone_curve(network.masks.mask(features, k), a, b))
            pooled = tf.reduce_mean(passes.stage(features * factors, training=False), axis=(1, 2))
            expected.append(tf.linalg.matvec(pooled, passes.kernel[k]) + passes.bias[k])
        expected = tf.stack(expected, axis=1)
        assert relative_error(network.masks.logits(features, a, b), expected) < 1e-5
        assert relative_error(of_pairs[index], expected) < 1e-5
    assert relative_error(network.logits(IMAGES), of_pairs[0]) < 1e-5


def test_a_pair_is_more_than_a_shift_of_the_logit(given):
    """With a linear head the logit is L_0 + a S_b; behind a stage with a ReLU it is not."""
    network = given[1]
    features = network.features(IMAGES)
    none, one, two = (network.masks.logits(features, a, 2.0).numpy() for a in (0.0, 1.0, 2.0))
    assert np.abs((two - one) - (one - none)).max() > 1e-3


def test_what_it_shows(given):
    network, images = given[1], tf.constant(IMAGES)
    assert list(network.maps) == ["masks", "grad_cam"] and network.contributions is None
    features = network.features(images)
    for shown in network.maps.values():
        values = shown.show(images).numpy()
        assert values.shape == (4, 4, 4, 3) and values.min() >= 0
        for k in range(3):
            np.testing.assert_allclose(of_target(shown, images, features, tf.constant(k)), values[..., k], atol=1e-5)
    above = network.model.__class__(network.outputs["features"], network.outputs["attributes"])
    with tf.GradientTape() as tape:
        tape.watch(features)
        logit = above(features, training=False)[:, 1]
    weights = tf.reduce_mean(tape.gradient(logit, features), axis=(1, 2), keepdims=True)
    assert relative_error(values[..., 1], np.maximum(np.sum(features * weights, axis=-1), 0)) < 1e-4


def test_a_loaded_network_answers_the_same(given, tmp_path):
    config, network = given
    network.model.save(tmp_path / "model.keras")
    loaded = systems.load(config, Targets(NAMES), tmp_path / "model.keras")
    expected = network.parts(IMAGES, training=False)
    for name, value in loaded.parts(IMAGES, training=False).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize(
    "key, model, loss",
    [
        ("model.masks", {"masks": "none"}, {}),
        ("model.attribute_heads", {"attribute_heads": False}, {}),
        ("model.pooled_share", {"pooled_share": 0.5}, {}),
        ("model.pooling_sharpness", {"pooling_sharpness": 2.0}, {}),
        ("loss.localisation", {}, {"localisation": 0.1}),
    ],
)
def test_what_passes_leave_no_room_for_is_refused(key, model, loss):
    with pytest.raises(UserError, match=rf"{key}: expected .* where model\.perception is stage: .*Received: "):
        small_config(model={"perception": "stage"} | model, loss=loss)


def test_it_trains(train_small):
    path = train_small(model={"perception": "stage"}, training={"epochs": 1})
    assert (path / "model.keras").exists()
