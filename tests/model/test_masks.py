"""What the heads compute, against the equations in float64."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.model.masks import CommonMaskedHeads, PerFeatureMaskedHeads, PlainHeads
from mam_keras.model.transformation import FAMILIES, Family
from tests.model import equations
from tests.model.examples import random_features, randomize, relative_error, weights_of

FEATURES = random_features(3, 4, 2, 5)
MASKED = {PerFeatureMaskedHeads: equations.masks, CommonMaskedHeads: equations.common_masks}
PAIRS = [
    (1.0, 1.0),
    (0.0, 2.0),
    (2.5, 0.5),
    (np.float32([0, 1, 2]), 3.0),
    (1.5, np.float32([0.5, 1, 4])),
    (np.float32([0, 1, 2]), np.float32([0.5, 1, 4])),
]

masked_heads = pytest.mark.parametrize("layer_class", MASKED)


@functools.cache
def heads(layer_class, mask_offset=1, sparsity=0.0, K=3):
    layer = layer_class(K, mask_offset=mask_offset, sparsity=sparsity)
    layer.build(FEATURES.shape)
    return randomize(layer)


def expected_masks(layer):
    weights = weights_of(layer)
    return MASKED[type(layer)](FEATURES, weights["mask_kernel"], weights["mask_bias"])


def expected_scores(layer, transform):
    return equations.scores(FEATURES, weights_of(layer)["kernel"], layer.mask_offset + transform(expected_masks(layer)))


def column(value):
    """One value per image, against masks (N, H, W, K, C)."""
    return np.reshape(value, (-1, 1, 1, 1, 1)).astype("float64")


@pytest.mark.parametrize("mask_offset", [0, 1])
@pytest.mark.parametrize("training", [False, True])
@masked_heads
def test_call_sums_masked_features_over_channels(layer_class, mask_offset, training):
    layer = heads(layer_class, mask_offset)
    actual = layer(FEATURES, training=training)
    assert relative_error(actual, expected_scores(layer, lambda masks: masks)) < 1e-6


def test_two_channels_worked_out_by_hand():
    layer = PerFeatureMaskedHeads(1, sparsity=2.0)
    features = np.float32([1, 2]).reshape(1, 1, 1, 2)
    layer.build(features.shape)
    # logits of the mask: (0, ln 3), so M = (1/2, 3/4); it is channel 1 that opens mask 2
    for weight, values in (
        (layer.mask_kernel, [[[0, np.log(6)], [0, 0]]]),
        (layer.mask_bias, [[0, -np.log(2)]]),
        (layer.kernel, [[1, -1]]),
    ):
        weight.assign(np.float32(values))
    np.testing.assert_allclose(layer.mask(features, 0)[0, 0, 0], [0.5, 0.75], rtol=1e-6)
    np.testing.assert_allclose(layer.base(features), [[[[1 - 2]]]], rtol=1e-6)
    np.testing.assert_allclose(layer(features), [[[[1.5 * 1 - 1.75 * 2]]]], rtol=1e-6)
    np.testing.assert_allclose(layer.losses, [2 * 1.25], rtol=1e-6)
    # t_2(1/2) = 1/2 and t_2(3/4) = 1 - 1/2 (1/2)^2 = 7/8
    np.testing.assert_allclose(layer.gain(features, 3, 2), [[[[3 * (0.5 * 1 - 0.875 * 2)]]]], rtol=1e-6)


@masked_heads
def test_mask_is_the_one_of_its_attribute(layer_class):
    layer = heads(layer_class)
    masks = expected_masks(layer)
    for k in range(3):
        assert layer.mask(FEATURES, k).dtype == "float32"
        np.testing.assert_allclose(layer.mask(FEATURES, k), masks[..., k, :], atol=1e-6)


@pytest.mark.parametrize("layer_class", [*MASKED, PlainHeads])
def test_base_is_the_heads_without_masks(layer_class):
    layer = heads(layer_class) if layer_class in MASKED else randomize(built(PlainHeads(3)))
    expected = equations.scores(FEATURES, weights_of(layer)["kernel"], 1.0)
    assert relative_error(layer.base(FEATURES), expected) < 1e-6
    if layer_class is PlainHeads:
        np.testing.assert_array_equal(layer(FEATURES), layer.base(FEATURES))
        assert layer.losses == []


def built(layer):
    layer.build(FEATURES.shape)
    return layer


@pytest.mark.parametrize("mask_offset", [0, 1])
@pytest.mark.parametrize("a, b", PAIRS)
@masked_heads
def test_scores_transform_the_masks(layer_class, a, b, mask_offset):
    layer = heads(layer_class, mask_offset)
    expected = expected_scores(layer, lambda masks: equations.tone_curve(masks, column(a), column(b)))
    actual = layer.scores(FEATURES, a, b)
    assert actual.dtype == "float32"
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@masked_heads
def test_gain_is_what_the_masks_add(layer_class):
    layer = heads(layer_class, mask_offset=0)
    expected = expected_scores(layer, lambda masks: equations.tone_curve(masks, 2.0, 3.0))
    assert relative_error(layer.gain(FEATURES, 2.0, 3.0), expected) < 3e-6


@pytest.mark.parametrize("mask_offset", [0, 1])
@masked_heads
def test_all_values_of_a_follow_from_one_evaluation(layer_class, mask_offset):
    layer = heads(layer_class, mask_offset)
    base, gain = layer.base(FEATURES), layer.gain(FEATURES, 1.0, 2.0)
    for a in (0.0, 0.5, 3.0):
        np.testing.assert_allclose(mask_offset * base + a * gain, layer.scores(FEATURES, a, 2.0), rtol=1e-5, atol=1e-6)


MANY_PAIRS = [(1.0, 1.0), (0.5, 2.0), (2.0, 2.0), (1.0, 0.3), (0.0, 1.0), (1.0, 4.0), (0.0, 7.0)]


@pytest.mark.parametrize(
    "run", [lambda f: f, tf.function, tf.function(jit_compile=True)], ids=["eager", "graph", "xla"]
)
@pytest.mark.parametrize("mask_offset", [0, 1])
@masked_heads
def test_many_pairs_from_one_evaluation_of_the_masks(layer_class, mask_offset, run):
    layer = heads(layer_class, mask_offset)
    actual = run(lambda features: layer.scores_of_pairs(features, MANY_PAIRS))(FEATURES)
    for (a, b), scores in zip(MANY_PAIRS, actual, strict=True):
        expected = expected_scores(layer, lambda masks, a=a, b=b: equations.tone_curve(masks, a, b))
        assert scores.dtype == "float32"
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


@masked_heads
def test_many_pairs_of_a_family_that_is_not_linear_in_a(layer_class, monkeypatch):
    monkeypatch.setitem(FAMILIES, "bent", Family(lambda mask, a, b: mask**a + b, (1.0, 0.0), False))
    layer = randomize(built(layer_class(3, family="bent")))
    pairs = [(1.0, 0.0), (2.0, 1.0), (3.0, 1.0)]
    for (a, b), scores in zip(pairs, layer.scores_of_pairs(FEATURES, pairs), strict=True):
        np.testing.assert_allclose(scores, layer.scores(FEATURES, a, b), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mask_offset", [0, 1])
@pytest.mark.parametrize("a, b", PAIRS)
@masked_heads
def test_explain_gives_the_scores_and_the_mean_magnitude_of_every_channel(layer_class, a, b, mask_offset):
    layer = heads(layer_class, mask_offset)
    scores, importances = layer.explain(FEATURES, a, b)
    np.testing.assert_allclose(scores, layer.scores(FEATURES, a, b), rtol=1e-5, atol=1e-5)
    factor = mask_offset + equations.tone_curve(expected_masks(layer), column(a), column(b))
    products = weights_of(layer)["kernel"] * factor * FEATURES[:, :, :, None]
    assert (tuple(importances.shape), importances.dtype) == ((3, 3, 5), "float32")
    np.testing.assert_allclose(importances, np.abs(products).mean(axis=(1, 2)), rtol=1e-5, atol=1e-5)


def test_importances_of_heads_without_masks():
    layer = randomize(built(PlainHeads(3)))
    products = weights_of(layer)["kernel"] * FEATURES[:, :, :, None]
    np.testing.assert_allclose(layer.importances(FEATURES), np.abs(products).mean(axis=(1, 2)), rtol=1e-5)


@masked_heads
def test_the_identity_pair_gives_what_training_sees(layer_class):
    layer = heads(layer_class)
    identity = layer.scores(FEATURES, *FAMILIES[layer.family].identity)
    np.testing.assert_allclose(identity, layer(FEATURES, training=True), rtol=1e-5, atol=1e-6)


@masked_heads
def test_pairs_per_image_equal_images_alone(layer_class):
    layer = heads(layer_class)
    a, b = np.float32([0.5, 1, 3]), np.float32([4, 1, 0.25])
    together = layer.scores(FEATURES, a, b)
    for i in range(3):
        for values in ((a[i], b[i]), (a[i : i + 1], b[i : i + 1])):  # scalars, and a batch of one
            np.testing.assert_allclose(
                layer.scores(FEATURES[i : i + 1], *values), together[i : i + 1], rtol=1e-5, atol=1e-6
            )


@masked_heads
def test_scores_serve_batches_of_unknown_size(layer_class):
    layer = heads(layer_class)
    vector = tf.TensorSpec([None], tf.float32)
    serve = tf.function(layer.scores, input_signature=[tf.TensorSpec([None, 4, 2, 5], tf.float32), vector, vector])
    for size in (1, 3):
        a, b = np.float32([0.5, 1, 3])[:size], np.float32([4, 1, 0.25])[:size]
        np.testing.assert_allclose(
            serve(FEATURES[:size], a, b), layer.scores(FEATURES[:size], a, b), rtol=1e-5, atol=1e-6
        )


@masked_heads
def test_sparsity_adds_summed_masks_meant_over_the_batch(layer_class):
    layer = heads(layer_class, sparsity=0.25)
    layer(FEATURES)
    expected = 0.25 * expected_masks(layer).sum() / 3  # a common map counts once, not once per channel
    assert len(layer.losses) == 1
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-6)
    layer.scores(FEATURES, 2.0, 2.0)
    assert len(layer.losses) == 1


@masked_heads
def test_without_sparsity_there_is_no_loss(layer_class):
    layer = heads(layer_class)
    layer(FEATURES)
    assert layer.losses == []


@masked_heads
def test_another_family_is_another_transformation(layer_class, monkeypatch):
    monkeypatch.setitem(FAMILIES, "power", Family(lambda mask, a, b: a * mask**b, (1.0, 1.0), True))
    layer = randomize(built(layer_class(3, family="power")))
    expected = expected_scores(layer, lambda masks: 2 * masks**3)
    assert relative_error(layer.scores(FEATURES, 2.0, 3.0), expected) < 3e-6


@masked_heads
def test_an_unknown_family_is_refused(layer_class):
    with pytest.raises(ValueError, match=r"`family` must be one of \['tone_curve'\]. Received: 'other'"):
        layer_class(3, family="other")


@pytest.mark.parametrize("layer_class", [PerFeatureMaskedHeads, CommonMaskedHeads, PlainHeads])
def test_initial_weights_are_glorots_of_one_attribute(layer_class):
    layer = layer_class(40)
    layer.build((1, 2, 2, 50))
    limits = {"kernel": np.sqrt(6 / 51)}
    limits["mask_kernel"] = np.sqrt(6 / 100) if layer_class is PerFeatureMaskedHeads else np.sqrt(6 / 51)
    for name, values in weights_of(layer).items():
        if name == "mask_bias":
            assert not values.any()
        else:
            assert 0.98 * limits[name] < np.abs(values).max() <= limits[name] * (1 + 1e-6)
            assert values.std() == pytest.approx(limits[name] / np.sqrt(3), rel=0.05)
