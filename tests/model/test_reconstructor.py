"""Which pixels a feature draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras.model.reconstructor import reconstruct
from tests.model import equations
from tests.model.examples import random_features


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
