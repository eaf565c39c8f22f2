"""Where pixels go: what a feature sees of the image, and which pixels a feature draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras.model.backbone import extract_features, receptive_field, reconstruct
from tests.model import equations
from tests.model.examples import random_features, random_images, randomize


def extractor(size, front_end=(4,), channels=6, dilations=(1,), normalization="none"):
    image = keras.Input((size, size, 3))
    return keras.Model(image, extract_features(image, front_end, channels, dilations, normalization))


@pytest.mark.parametrize("normalization", ["batch", "group", "none"])
@pytest.mark.parametrize("front_end, side", [((), 8), ((4,), 4), ((4, 5, 6), 1)])
def test_every_stage_of_the_front_end_halves_the_image(front_end, side, normalization):
    model = extractor(8, front_end, normalization=normalization)
    features = randomize(model)(random_images(2, 8, 8, 3)).numpy()
    assert features.shape == (2, side, side, 6)
    assert features.min() == 0
    assert features.max() > 0


def test_normalisation_is_what_the_configuration_names():
    def kinds(normalization):
        layers = extractor(8, (12, 16), 6, (1, 2), normalization).layers
        return [layer for layer in layers if "Normalization" in type(layer).__name__], layers

    batch, layers = kinds("batch")
    assert [type(layer) for layer in batch] == 4 * [keras.layers.BatchNormalization]
    assert all(layer.synchronized for layer in batch)
    assert not any(layer.use_bias for layer in layers if isinstance(layer, keras.layers.Conv2D))
    group, _ = kinds("group")
    assert [type(layer) for layer in group] == 4 * [keras.layers.GroupNormalization]
    assert [layer.groups for layer in group] == [4, 8, 2, 2]  # of 12, 16, 6 and 6 channels
    none, layers = kinds("none")
    assert none == []
    assert all(layer.use_bias for layer in layers if isinstance(layer, keras.layers.Conv2D))


def seen(position, front_end, dilations, size):
    """Coordinates along one axis that a feature's position sees, walked back from it, one convolution at a time."""
    sizes = [size // 2**stage for stage in range(len(front_end) + 1)]
    positions = {position}
    for dilation in reversed(dilations):
        positions = {p + step * dilation for p in positions for step in (-1, 0, 1)} & set(range(sizes[-1]))
    for side in reversed(sizes[:-1]):
        # "same" padding of an even side by one: behind it
        positions = {2 * p + step for p in positions for step in (0, 1, 2)} & set(range(side))
    return positions


@pytest.mark.parametrize(
    "front_end, dilations, width",
    [
        ((3,), (), 3),
        ((3,), (1,), 7),
        ((3,), (1, 1), 11),
        ((3,), (1, 2), 15),
        ((3,), (1, 2, 4), 31),
        ((3, 3), (1,), 15),
        ((3,), (1, 0, 0), 7),  # 1x1 convolutions see no more
        ((), (3,), 3),  # not dense: a single dilated convolution leaves gaps
    ],
)
def test_dilations_enlarge_what_a_feature_sees_and_no_more(front_end, dilations, width):
    size = 32
    model = extractor(size, front_end, 2, dilations)
    for weight in model.weights:  # positive throughout: nothing cancels, no ReLU closes
        weight.assign(np.full(weight.shape, 0.5))
    side = size // 2 ** len(front_end)
    middle = seen(side // 2 - 1, front_end, dilations, size)
    assert len(middle) == width
    assert receptive_field(front_end, dilations) == max(middle) - min(middle) + 1
    for row, column in ((side // 2 - 1, side // 2 - 1), (0, side - 1), (2, 5)):
        images = tf.constant(random_images(1, size, size, 3) + 0.1)
        with tf.GradientTape() as tape:
            tape.watch(images)
            feature = tf.reduce_sum(model(images)[0, row, column])
        gradient = tape.gradient(feature, images).numpy()[0]
        expected = np.zeros((size, size, 3), bool)
        for y in seen(row, front_end, dilations, size):
            expected[y, list(seen(column, front_end, dilations, size))] = True
        np.testing.assert_array_equal(gradient != 0, expected)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_every_position_draws_its_own_block(stride):
    features = random_features(2, 2, 3, 5)
    inputs = keras.Input(features.shape[1:])
    model = keras.Model(inputs, reconstruct(inputs, stride))
    kernel, bias = np.random.default_rng(0).normal(size=(5, 3 * stride**2)), np.linspace(-1, 1, 3 * stride**2)
    at_the_centre = np.zeros((3, 3, *kernel.shape))
    at_the_centre[1, 1] = kernel
    model.get_layer("reconstruction.blocks").set_weights([at_the_centre, bias])

    expected = np.empty((2, 2 * stride, 3 * stride, 3))
    for y, x in np.ndindex(expected.shape[1:3]):
        block = equations.sigmoid(features[:, y // stride, x // stride] @ kernel + bias)
        expected[:, y, x] = block.reshape(2, stride, stride, 3)[:, y % stride, x % stride]  # rows, columns, colours
    np.testing.assert_allclose(model(features), expected, atol=1e-6)


def test_blocks_are_drawn_from_the_neighbours_too():
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, reconstruct(inputs, 2))
    features = tf.constant(random_features(1, 4, 4, 2))
    with tf.GradientTape() as tape:
        tape.watch(features)
        pixels = tf.reduce_sum(model(features)[0, 2:4, 4:6])  # the block of row 1, column 2
    used = np.any(tape.gradient(pixels, features).numpy()[0] != 0, axis=-1)
    expected = np.zeros((4, 4), bool)
    expected[0:3, 1:4] = True
    np.testing.assert_array_equal(used, expected)
