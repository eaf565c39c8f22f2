"""Learned positions: by hand, against SciPy, and what they cost."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from mam_keras.model.masks import CommonMaskedHeads, PerFeatureMaskedHeads, PlainHeads
from mam_keras.model.positions import RATE, position_weights, spread
from tests.model import equations
from tests.model.examples import random_features, randomize

HEADS = [PlainHeads, CommonMaskedHeads, PerFeatureMaskedHeads]


def random_logits(*shape):
    return np.random.default_rng(0).normal(0, 0.5, shape).astype("float32")


def test_equal_logits_weigh_all_positions_alike():
    np.testing.assert_allclose(position_weights(tf.zeros((2, 4, 3))), np.ones((4, 3, 2)), rtol=1e-6)
    assert float(spread(tf.zeros((2, 4, 3)))) == pytest.approx(1, rel=1e-6)


def test_one_position_by_hand():
    logits = np.full((1, 4, 4), -100, "float32")
    logits[0, 1, 0] = 0
    inside = np.outer([0.25, 0.5, 0.25, 0], [0.75, 0.25, 0, 0])  # at the left edge what leaves comes back
    np.testing.assert_allclose(position_weights(logits)[..., 0], 16 * inside, atol=1e-6)
    assert float(spread(logits)) == pytest.approx(0, abs=1e-6)


def test_two_positions_alike_are_half_of_what_four_cost():
    logits = np.full((1, 2, 2), -100, "float32")
    logits[0, 0] = 0
    assert float(spread(logits)) == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 1, 3)])
def test_weights_and_spread_are_those_of_scipy(shape):
    logits = random_logits(*shape)
    weights = position_weights(logits)
    np.testing.assert_allclose(weights, equations.position_weights(logits), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.mean(weights, axis=(0, 1)), 1, rtol=1e-5)
    shares = special.softmax(RATE * logits.astype(float).reshape(shape[0], -1), axis=1)
    expected = np.mean(stats.entropy(shares, axis=1)) / np.log(shares.shape[1])
    assert float(spread(logits)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_gradients_are_those_of_differences():
    logits, upstream = random_logits(2, 3, 3), np.random.default_rng(1).normal(size=(3, 3, 2))

    def cost(values):
        shares = special.softmax(8 * values, axis=(1, 2))
        return (equations.position_weights(values) * upstream).sum() - (shares * np.log(shares)).sum()

    with tf.GradientTape() as tape:
        variable = tf.Variable(logits)
        value = tf.reduce_sum(position_weights(variable) * upstream) + spread(variable) * 2 * np.log(9)
    exact = logits.astype(float)
    expected = equations.derivative(lambda: cost(exact), exact)
    np.testing.assert_allclose(tape.gradient(value, variable), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("heads", HEADS)
def test_heads_pay_for_the_spread_of_their_positions(heads):
    layer = heads(3, learned_positions=True, spread=0.5)
    features = random_features(2, 4, 3, 5)
    layer.build(features.shape)
    randomize(layer)
    layer(features)
    shares = special.softmax(8 * layer.position_logits.numpy().astype(float).reshape(3, -1), axis=1)
    expected = 0.5 * stats.entropy(shares, axis=1).sum() / np.log(12)
    assert len(layer.losses) == 1
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-4)
    assert float(layer.spread_loss()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("heads", HEADS)
def test_nothing_is_paid_for_positions_that_are_not_learned(heads):
    with pytest.raises(ValueError, match=r"Argument `spread` must be 0 where positions are not learned. Received: 0.5"):
        heads(3, spread=0.5)
