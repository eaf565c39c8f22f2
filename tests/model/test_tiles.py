"""The fast form's values and gradients, against float64 differences and the plain form, at every width of a tile."""

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.model import tiles
from mam_keras.model.masks import PerFeatureMaskedHeads
from mam_keras.model.pooling import PooledLogits
from mam_keras.model.transformation import tone_curve
from tests.model import equations
from tests.model.examples import random_features, randomize, relative_error
from tests.model.plain import branches

# attributes, channels, TILE_WIDTH -> tiles, attributes of a tile
WIDTHS = {
    "one attribute": (1, 4, 256, (1, 1)),
    "two in one tile": (2, 4, 256, (1, 2)),
    "exactly one tile": (3, 4, 12, (1, 3)),
    "a prime number, too many for one tile": (5, 4, 12, (5, 1)),
    "two tiles": (4, 4, 8, (2, 2)),
    "the width is no divisor": (6, 3, 12, (2, 3)),
    "channels beyond the width": (2, 5, 4, (2, 1)),
}
widths = pytest.mark.parametrize("K, C, width", [case[:3] for case in WIDTHS.values()], ids=WIDTHS)
# How the caller runs, and whether the heads are compiled by themselves
MODES = {
    "eager": (lambda function: function, False),
    "graph with compiled heads": (tf.function, True),
    "compiled throughout": (tf.function(jit_compile=True), False),
}


@pytest.fixture
def set_width(monkeypatch):
    """Sets TILE_WIDTH, and forgets what was compiled with another."""

    def set_to(width):
        monkeypatch.setattr(tiles, "TILE_WIDTH", width)

    tiles._compiled.cache_clear()
    yield set_to
    tiles._compiled.cache_clear()


def random_weights(K, C):
    generator = np.random.default_rng(1)
    return [generator.normal(size=shape).astype("float32") for shape in ((K, C, C), (K, C), (K, C))]


@pytest.mark.parametrize("K, C, width, expected", WIDTHS.values(), ids=WIDTHS)
def test_a_tile_holds_as_many_attributes_as_fit_and_divide_them(K, C, width, expected, set_width):
    set_width(width)
    kernels, biases, weights = tiles._tiles(*random_weights(K, C))
    count, tile = expected
    assert (kernels.shape, biases.shape, weights.shape) == ((count, C, tile * C), (count, tile, C), (count, tile, C))


@widths
@pytest.mark.parametrize("run, compiled", MODES.values(), ids=MODES)
def test_sums_and_gradients_are_those_of_float64_differences(K, C, width, run, compiled, set_width):
    set_width(width)
    arrays = [random_features(2, 3, 2, C), *random_weights(K, C)]
    upstream = np.random.default_rng(2).normal(size=(2, 2, 3, 2, K))

    exact = [array.astype("float64") for array in arrays]

    def expected_sums():
        features, mask_kernel, mask_bias, kernel = exact
        masks = equations.masks(features, mask_kernel, mask_bias)
        return np.stack([equations.scores(features, kernel, masks), masks.sum(axis=-1)])

    @run
    def sums_and_gradients(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            sums = tf.stack(tiles.masked_sums(*tensors, compiled=compiled))
            objective = tf.reduce_sum(sums * upstream.astype("float32"))
        return sums, *tape.gradient(objective, tensors)

    sums, *gradients = sums_and_gradients(*map(tf.constant, arrays))
    assert relative_error(sums, expected_sums()) < 1e-6
    for array, gradient in zip(exact, gradients, strict=True):
        assert gradient.dtype == "float32"
        expected = equations.derivative(lambda: np.sum(expected_sums() * upstream), array)
        assert relative_error(gradient, expected) < 1e-5


@widths
@pytest.mark.parametrize("share, compiled", [(1.0, False), (0.4, True)])
def test_fast_heads_are_the_plain_branches(K, C, width, share, compiled, set_width):
    set_width(width)
    features = tf.constant(random_features(2, 3, 2, C))
    heads, pooling = pair(features, K, share, sparsity=0.01)
    heads.compile_training = compiled
    plain = branches(heads, pooling, features.shape)
    upstream = np.random.default_rng(5).normal(size=(2, K)).astype("float32")

    def values_and_gradients(call, losses_of, weights):
        with tf.GradientTape() as tape:
            tape.watch(features)
            logits = call(features)
            penalty = tf.add_n(losses_of.losses)
            objective = tf.reduce_sum(logits * upstream) + penalty
        return logits, penalty, *tape.gradient(objective, [features, *weights])

    fast = values_and_gradients(
        lambda x: pooling(heads(x, training=True)),
        heads,
        [heads.mask_kernel, heads.mask_bias, heads.kernel, pooling.bias],
    )
    by_branch = [
        [getattr(plain.get_layer(f"{layer}.{k}"), weight) for k in range(K)]
        for layer in ("mask", "logit")
        for weight in ("kernel", "bias")
    ]
    for actual, expected in zip(fast, values_and_gradients(plain, plain, by_branch), strict=True):
        assert relative_error(actual, np.reshape(expected, actual.shape)) < 1e-5


@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize("a, b", [(1.0, 1.0), (0.0, 1.0), (2.0, 3.0), (0.5, 0.5)])
def test_transformed_scores_are_those_of_plain_branches(a, b, share):
    features = random_features(2, 3, 2, 4)
    heads, pooling = pair(features, 3, share)
    plain = branches(heads, pooling, features.shape, lambda mask: tone_curve(mask, a, b))
    assert relative_error(pooling(heads.scores(features, a, b)), plain(features)) < 1e-5


@pytest.mark.parametrize("training", [False, True])
def test_graphs_are_optimized_without_complaint(training, capfd):
    """TensorFlow's optimiser gives up on graphs in which slices of a stack are reshaped, and only says so."""
    features = tf.constant(random_features(2, 3, 2, 4))
    heads, _ = pair(features, 3, 1.0)

    @tf.function
    def step(features):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(heads(features, training=training) ** 2)
        return tape.gradient(value, heads.trainable_weights) if training else value

    step(features)
    assert "fail" not in capfd.readouterr().err


def test_only_training_is_compiled(set_width):
    features = random_features(2, 3, 2, 4)
    heads, _ = pair(features, 3, 1.0)
    heads.compile_training = True
    forward = tiles._compiled(tiles._forward)
    heads(features), heads(features, training=False)
    assert forward.experimental_get_tracing_count() == 0
    heads(features, training=True)
    assert forward.experimental_get_tracing_count() == 1


def test_gradients_in_bfloat16_have_the_types_of_their_arguments_and_stay_near():
    features, *weights = random_features(4, 3, 2, 8), *random_weights(3, 8)

    def gradients(dtype):
        arguments = [tf.cast(features, dtype), *map(tf.constant, weights)]
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            masked, mask_sums = tiles.masked_sums(*arguments)
            objective = tf.reduce_sum(masked**2) + tf.reduce_sum(mask_sums)
        assert masked.dtype == mask_sums.dtype == tf.float32
        return tape.gradient(objective, arguments)

    half, full = gradients("bfloat16"), gradients("float32")
    assert [gradient.dtype.name for gradient in half] == ["bfloat16", "float32", "float32", "float32"]
    for actual, expected in zip(half, full, strict=True):
        assert 0 < relative_error(tf.cast(actual, "float32"), expected) < 0.03


def pair(features, K, share, **arguments):
    heads, pooling = PerFeatureMaskedHeads(K, **arguments), PooledLogits(share)
    pooling(heads(features))
    return randomize(heads, seed=3), randomize(pooling, seed=4)


# positions of a map, channels, BLOCK_SIZE -> positions of a block
BLOCKS = {
    "all positions": ((3, 2), 4, 24, 6),
    "some of them": ((3, 2), 4, 23, 3),
    "a prime number, too many for one block": ((7, 1), 4, 24, 1),
    "channels beyond the size": ((3, 2), 4, 3, 1),
}


@pytest.mark.parametrize("grid, C, size, block", BLOCKS.values(), ids=BLOCKS)
def test_several_sums_in_blocks_of_positions(grid, C, size, block, monkeypatch):
    monkeypatch.setattr(tiles, "BLOCK_SIZE", size)
    features, (mask_kernel, mask_bias, kernel) = random_features(2, *grid, C), random_weights(3, C)
    seen = []

    def transforms(logits):
        seen.append(tuple(logits.shape))
        masks = tf.sigmoid(logits)
        return [masks, masks**2]

    actual = tiles.several_sums(features, mask_kernel, mask_bias, kernel, transforms)
    masks = equations.masks(features, mask_kernel, mask_bias)
    expected = [equations.scores(features, kernel, factor) for factor in (masks, masks**2)]
    assert set(seen) == {(C, block)}
    assert relative_error(actual, np.stack(expected)) < 1e-6
