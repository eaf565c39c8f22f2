"""Passes of a shared stage, a few attributes at a time, against K separate passes of plain Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mam_keras.model import perception
from mam_keras.model.perception import StagedCommonMaskedHeads, StagedPerFeatureMaskedHeads, StagePasses
from mam_keras.model.transformation import tone_curve
from tests.model.equations import sigmoid
from tests.model.examples import random_features, randomize, relative_error

SHAPE = (3, 4, 4, 5)  # N, H, W, C
ATTRIBUTES = 6
FEATURES = random_features(*SHAPE)
MAPS = random_features(*SHAPE[:3], ATTRIBUTES, seed=1)
UPSTREAM = np.random.default_rng(2).normal(size=(SHAPE[0], ATTRIBUTES)).astype("float32")


def make_stage(normalization="batch", channels=SHAPE[-1]):
    """Stride 2, then a second convolution; statistics of batches that are not those of new ones."""
    inputs = x = keras.Input((*SHAPE[1:3], channels))
    for strides in (2, 1):
        x = layers.Conv2D(7, 3, strides=strides, padding="same", use_bias=normalization == "none")(x)
        if normalization == "batch":
            x = layers.BatchNormalization(momentum=0.75, synchronized=True)(x)
        elif normalization == "group":
            x = layers.GroupNormalization(groups=1)(x)
        x = layers.ReLU()(x)
    stage = randomize(keras.Model(inputs, x), 3)
    for weight in stage.non_trainable_variables:
        weight.assign(np.random.default_rng(4).uniform(0.5, 1.5, weight.shape))
    return stage


def make_passes(normalization="batch", **arguments):
    passes = StagePasses(ATTRIBUTES, make_stage(normalization), **arguments)
    passes.build()
    for seed, weight in enumerate((passes.kernel, passes.bias)):
        weight.assign(np.random.default_rng(seed).normal(size=weight.shape))
    return passes


def separate(passes, features, factors, training=False):
    """K calls of the stage: the factors are (N, H, W, C or 1) each."""
    logits = []
    for k, factor in enumerate(factors):
        pooled = tf.reduce_mean(passes.stage(features * factor, training=training), axis=(1, 2))
        logits.append(tf.linalg.matvec(pooled, passes.kernel[k]) + passes.bias[k])
    return tf.stack(logits, axis=1)


def of_maps(offset):
    return lambda maps: [offset + maps[..., k : k + 1] for k in range(ATTRIBUTES)]


def differentiated(function, sources, weights):
    """Values and gradients of sum(UPSTREAM * function()), in a graph."""

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(sources)
            values = function()
            loss = tf.reduce_sum(UPSTREAM * values)
        return values, tape.gradient(loss, [*sources, *weights])

    return run()


def assert_same(found, expected, tolerance=1e-5):
    found, expected = keras.tree.flatten(found), keras.tree.flatten(expected)
    errors = [relative_error(*pair) for pair in zip(found, expected, strict=True)]
    assert max(errors) < tolerance, errors


@pytest.mark.parametrize("normalization", ["batch", "group", "none"])
@pytest.mark.parametrize("tile, offset", [(1, 0), (4, 1), (6, 0)])
def test_passes_of_inference_are_separate_passes(normalization, tile, offset):
    passes = make_passes(normalization, tile=tile, offset=offset)
    features, maps = tf.constant(FEATURES), tf.constant(MAPS)
    weights = passes.trainable_variables
    before = [weight.numpy() for weight in passes.non_trainable_variables]
    found = differentiated(lambda: passes([features, maps]), [features, maps], weights)
    factors = of_maps(offset)
    expected = differentiated(lambda: separate(passes, features, factors(maps)), [features, maps], weights)
    assert_same(found, expected)
    assert_same(passes([features, maps]), expected[0])  # outside of a graph
    np.testing.assert_equal(before, [weight.numpy() for weight in passes.non_trainable_variables])
    for k, factor in enumerate(factors(maps)):
        assert_same(passes.logit(features, factor, tf.constant(k)), expected[0][:, k])


@pytest.mark.parametrize("normalization", ["group", "none", "batch"])
def test_passes_of_training_are_separate_passes_where_statistics_are_the_same(normalization):
    """Under batch normalisation one attribute at a time; otherwise any number of them."""
    tile = 1 if normalization == "batch" else 4
    passes = make_passes(normalization, tile=tile, offset=1)
    features, maps = tf.constant(FEATURES), tf.constant(MAPS)
    weights = passes.trainable_variables
    state = [tf.constant(variable) for variable in passes.non_trainable_variables]
    found = differentiated(lambda: passes([features, maps], training=True), [features, maps], weights)
    after = [variable.numpy() for variable in passes.non_trainable_variables]
    factors = of_maps(1)(maps)
    expected = differentiated(lambda: separate(passes, features, of_maps(1)(maps), True), [features, maps], weights)
    assert_same(found, expected, 2e-5)
    each = []
    for factor in factors:
        new = passes.stage.stateless_call(passes.stage.trainable_variables, state, features * factor, training=True)[1]
        each.append([value.numpy() for value in new])
    if each[0]:  # one step, by the mean
        assert_same(after, [np.mean(values, axis=0) for values in zip(*each, strict=True)])


def test_batch_normalisation_sees_the_images_of_a_tile():
    passes = make_passes(tile=3)
    features, maps = tf.constant(FEATURES), tf.constant(MAPS)
    found = passes([features, maps], training=True).numpy()
    for first in (0, 3):
        folded = np.concatenate([FEATURES * MAPS[..., k : k + 1] for k in range(first, first + 3)])
        passed = passes.stage(folded, training=True).numpy().mean(axis=(1, 2)).reshape(3, SHAPE[0], -1)
        expected = np.einsum("knc,kc->nk", passed, passes.kernel.numpy()[first : first + 3])
        assert relative_error(found[:, first : first + 3], expected + passes.bias.numpy()[first : first + 3]) < 1e-5


def test_the_plain_form_is_the_same(monkeypatch):
    passes = make_passes(tile=2)
    features, maps = tf.constant(FEATURES), tf.constant(MAPS)
    sources, weights = [features, maps], passes.trainable_variables
    found = differentiated(lambda: passes([features, maps]), sources, weights)
    monkeypatch.setattr(perception, "_in_turn", perception._side_by_side)
    assert_same(found, differentiated(lambda: passes([features, maps]), sources, weights))


def test_a_gradient_of_a_gradient():
    """As fine-tuning towards regions by Grad-CAM needs it."""
    passes = make_passes("none", tile=2, offset=1)
    features, maps = tf.constant(FEATURES), tf.constant(MAPS)

    def second(logits):
        @tf.function
        def run():
            with tf.GradientTape() as outer:
                outer.watch(features)
                with tf.GradientTape() as inner:
                    inner.watch(features)
                    loss = tf.reduce_sum(tf.nn.sigmoid(logits()))
                penalty = tf.reduce_sum(tf.square(inner.gradient(loss, features)))
            return outer.gradient(penalty, [features, passes.kernel.value])

        return run()

    found = second(lambda: passes([features, maps]))
    assert_same(found[0], second(lambda: separate(passes, features, of_maps(1)(maps)))[0], 1e-4)


def make_heads(kind, **arguments):
    heads = kind(ATTRIBUTES, make_stage("none"), tile=4, **arguments)
    heads.build(SHAPE)
    return randomize(heads)


def plain_masks(heads, features):
    """M^k in float64: a list of (N, H, W, C or 1)."""
    kernel, bias = (weight.numpy().astype("float64") for weight in (heads.mask_kernel, heads.mask_bias))
    if kernel.ndim == 3:
        return [sigmoid(features @ kernel[k] + bias[k]) for k in range(ATTRIBUTES)]
    return [sigmoid(features @ kernel[k][:, None] + bias[k]) for k in range(ATTRIBUTES)]


@pytest.mark.parametrize("kind", [StagedPerFeatureMaskedHeads, StagedCommonMaskedHeads])
@pytest.mark.parametrize("mask_offset", [0, 1])
def test_masked_features_pass_the_stage(kind, mask_offset):
    heads = make_heads(kind, mask_offset=mask_offset, sparsity=0.01, initial_bias=0.5)
    features = tf.constant(FEATURES)
    masks = plain_masks(heads, FEATURES)
    for k, mask in enumerate(masks):
        assert relative_error(heads.mask(features, k), mask) < 1e-6
    own = heads.perception
    logits = separate(own, features, [np.float32(mask_offset + mask) for mask in masks])
    assert_same(heads(features), logits)
    norm = sum(mask.sum() for mask in masks) / SHAPE[0]
    assert float(heads.losses[0]) == pytest.approx(0.01 * norm, rel=1e-5)
    transformed = [np.float32(mask_offset + np.asarray(tone_curve(mask, 2.0, 3.0))) for mask in masks]
    expected = separate(own, features, transformed)
    assert_same(heads.logits(features, 2.0, 3.0), expected)
    pairs = np.float32([1.0, 2.0, 0.5]), np.float32([1.0, 3.0, 2.0])
    each = heads.logits(features, *pairs)
    assert_same(each[1], expected[1])
    assert_same(each[0], logits[0])
    assert_same(heads.logit(features, tf.constant(2)), logits[:, 2])


@pytest.mark.parametrize("kind", [StagedPerFeatureMaskedHeads, StagedCommonMaskedHeads])
def test_gradients_of_masks_are_those_of_separate_passes(kind):
    heads = make_heads(kind, sparsity=0.01)
    features, weights = tf.constant(FEATURES), heads.trainable_variables

    def plain():
        kernels = tf.unstack(tf.convert_to_tensor(heads.mask_kernel))
        wide = [kernel if kernel.shape.rank == 2 else kernel[:, None] for kernel in kernels]
        masks = [tf.sigmoid(features @ kernel + heads.mask_bias[k]) for k, kernel in enumerate(wide)]
        penalty = 0.01 * tf.add_n([tf.reduce_sum(mask) for mask in masks]) / SHAPE[0]
        return separate(heads.perception, features, [1 + mask for mask in masks]), penalty

    def ours():
        return heads(features), heads.losses[-1]

    found, expected = [], []
    for function, values in ((ours, found), (plain, expected)):
        with tf.GradientTape() as tape:
            tape.watch(features)
            logits, penalty = function()
            loss = tf.reduce_sum(UPSTREAM * logits) + penalty
        values += [loss, *tape.gradient(loss, [features, *weights])]
    assert_same(found, expected)


@pytest.mark.parametrize("kind", [StagePasses, StagedPerFeatureMaskedHeads, StagedCommonMaskedHeads])
def test_a_saved_layer_is_loaded(kind, tmp_path):
    inputs = [keras.Input(SHAPE[1:])] + [keras.Input((*SHAPE[1:3], ATTRIBUTES))] * (kind is StagePasses)
    own = {"offset": 1} if kind is StagePasses else {"mask_offset": 0, "sparsity": 0.1, "initial_bias": 0.2}
    layer = kind(ATTRIBUTES, make_stage(), tile=2, **own)
    model = randomize(keras.Model(inputs, layer(inputs if kind is StagePasses else inputs[0])))
    assert model.output.shape == (None, ATTRIBUTES)
    given = [FEATURES, MAPS][: len(inputs)]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded(given), model(given))
    configs = [one.layers[-1].get_config() | {"stage": None} for one in (loaded, model)]
    assert configs[0] == configs[1] and configs[0].items() >= {"tile": 2, **own}.items()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(given, UPSTREAM))
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


def test_mixed_precision_sums_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        passes = StagePasses(ATTRIBUTES, make_stage(), tile=2)
        passes.build()
    finally:
        keras.config.set_dtype_policy("float32")
    features, maps = tf.cast(FEATURES, tf.bfloat16), tf.constant(MAPS)
    values, gradients = differentiated(
        lambda: passes([features, maps], training=True), [features, maps], passes.trainable_variables
    )
    assert values.dtype == tf.float32
    assert [gradient.dtype for gradient in gradients] == [tf.bfloat16] + [tf.float32] * (len(gradients) - 1)
    assert all(np.isfinite(np.float32(gradient)).all() for gradient in gradients)
