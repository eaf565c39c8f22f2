"""The fast form's values and gradients, against float64 differences and the plain form, at every width of a tile."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras.model import tiles
from mam_keras.model.masks import PerFeatureMaskedHeads
from mam_keras.model.pooling import PooledLogits
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
compiled = pytest.mark.parametrize("compiled", [False, True], ids=["plain", "XLA"])


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
@compiled
def test_sums_and_gradients_are_those_of_float64_differences(K, C, width, compiled, set_width):
    set_width(width)
    arrays = [random_features(2, 3, 2, C), *random_weights(K, C)]
    upstream = np.random.default_rng(2).normal(size=(2, 2, 3, 2, K))

    exact = [array.astype("float64") for array in arrays]

    def expected_sums():
        features, mask_kernel, mask_bias, kernel = exact
        masks = equations.masks(features, mask_kernel, mask_bias)
        return np.stack([equations.scores(features, kernel, masks), masks.sum(axis=-1)])

    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        sums = tf.stack(tiles.masked_sums(*tensors, compiled=compiled))
        objective = tf.reduce_sum(sums * upstream.astype("float32"))
    assert relative_error(sums, expected_sums()) < 1e-6
    for array, gradient in zip(exact, tape.gradient(objective, tensors), strict=True):
        assert gradient.dtype == "float32"
        expected = equations.derivative(lambda: np.sum(expected_sums() * upstream), array)
        assert relative_error(gradient, expected) < 1e-5


@widths
@pytest.mark.parametrize("share", [1.0, 0.4])
@compiled
def test_fast_heads_are_the_plain_branches(K, C, width, share, compiled, set_width):
    set_width(width)
    features = tf.constant(random_features(2, 3, 2, C))
    heads, pooling = PerFeatureMaskedHeads(K, sparsity=0.01), PooledLogits(share)
    pooling(heads(features))
    randomize(heads, seed=3), randomize(pooling, seed=4)
    heads.compile_training = compiled
    plain = branches(heads, pooling, features.shape)
    upstream = np.random.default_rng(5).normal(size=(2, K)).astype("float32")

    def values_and_gradients(model, weights):
        with tf.GradientTape() as tape:
            tape.watch(features)
            logits = model(features)
            penalty = tf.add_n([loss for layer in (heads, plain) if layer in model_layers(model) for loss in layer.losses])
            objective = tf.reduce_sum(logits * upstream) + penalty
        return logits, penalty, *tape.gradient(objective, [features, *weights])

    def model_layers(model):
        return (plain,) if model is plain else (heads,)

    weights = [heads.mask_kernel, heads.mask_bias, heads.kernel, pooling.bias]
    fast = values_and_gradients(lambda x: pooling(heads(x, training=True)), weights)
    separate = [plain.get_layer(f"{kind}.{k}").weights for kind in ("mask", "logit") for k in range(K)]
    logits, penalty, features_gradient, *gradients = values_and_gradients(plain, list(itertools.chain(*separate)))
    by_branch = np.array([np.squeeze(gradient) for gradient in gradients], dtype=object)
