"""From scores to logits: which positions count, and that contributions add up."""

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.model.pooling import Column, PooledLogits


def pooled(scores, share, bias=0.0):
    layer = PooledLogits(share)
    layer.build(scores.shape)
    layer.bias.assign(np.full(scores.shape[-1], bias, "float32"))
    return layer(scores)


@pytest.mark.parametrize(
    "share, expected",
    [(1, 3.0), (1.0, 3.0), (0.5, 4.5), (0.75, 11 / 3), (0.25, 6.0), (0.3, 6.0), (0.45, 4.5), (0.01, 6.0), (1e-9, 6.0)],
)
def test_the_highest_of_four_positions(share, expected):
    scores = np.float32([2, 6, 1, 3]).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(pooled(scores, share, bias=0.5), [[expected + 0.5]], rtol=1e-6)


@pytest.mark.parametrize("share, positions", [(1.0, 20), (0.1, 2), (0.6, 12), (0.001, 1)])
def test_each_image_and_attribute_takes_its_own_positions(share, positions):
    scores = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype("float32")
    expected = np.sort(scores.reshape(3, 20, 2), axis=1)[:, -positions:].mean(axis=1) - 2
    actual = pooled(scores, share, bias=-2)
    assert (tuple(actual.shape), actual.dtype) == ((3, 2), tf.float32)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_equal_scores_share_one_mean_and_a_gradient_of_one(share):
    scores = tf.fill((2, 2, 2, 3), 7.0)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        logits = pooled(scores, share)
        total = tf.reduce_sum(logits)
    np.testing.assert_allclose(logits, np.full((2, 3), 7.0), rtol=1e-6)
    gradient = tape.gradient(total, scores).numpy()
    np.testing.assert_allclose(gradient.sum(axis=(1, 2)), 1, rtol=1e-6)
    assert np.all((gradient > 0).sum(axis=(1, 2)) == 4 * share)


@pytest.mark.parametrize("share, scores", [(1, [2, 6, 1, 3]), (0.5, [6, 3])])
@pytest.mark.parametrize("sharpness", [0.5, 4.0])
def test_log_sum_exp_by_hand(share, scores, sharpness):
    layer = PooledLogits(share, sharpness)
    layer.build((1, 2, 2, 1))
    expected = np.log(np.mean(np.exp(sharpness * np.float64(scores)))) / sharpness
    np.testing.assert_allclose(layer(np.float32([2, 6, 1, 3]).reshape(1, 2, 2, 1)), [[expected]], rtol=1e-6)


def test_log_sum_exp_lies_between_mean_and_maximum():
    scores = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype("float32")

    def at(sharpness):
        layer = PooledLogits(sharpness=sharpness)
        layer.build(scores.shape)
        return layer(scores).numpy()

    np.testing.assert_allclose(at(1e-3), scores.mean(axis=(1, 2)), atol=2e-3)
    np.testing.assert_allclose(at(1e3), scores.max(axis=(1, 2)), atol=4e-3)
    assert (at(1e-3) < at(1.0)).all()
    assert (at(1.0) < at(1e3)).all()


def test_pool_leaves_the_bias_out():
    scores = np.float32([2, 6, 1, 3]).reshape(1, 2, 2, 1)
    layer = PooledLogits(0.5)
    layer.build(scores.shape)
    layer.bias.assign([10.0])
    np.testing.assert_allclose(layer.pool(scores), [[4.5]])
    np.testing.assert_allclose(layer(scores), [[14.5]])


def test_scores_keep_their_precision_under_a_mixed_policy():
    scores = np.full((1, 2, 2, 1), 1 + 2**-12, "float32")  # 1 in bfloat16
    layer = PooledLogits(dtype="mixed_bfloat16")
    assert float(layer(scores)[0, 0]) == 1 + 2**-12


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_other_shares_are_refused(share):
    with pytest.raises(ValueError, match=r"`share` must be in \(0, 1\]. Received: "):
        PooledLogits(share)


@pytest.mark.parametrize("sharpness", [0, -1, float("nan")])
def test_other_sharpnesses_are_refused(sharpness):
    with pytest.raises(ValueError, match=r"`sharpness` must be positive or None. Received: "):
        PooledLogits(sharpness=sharpness)


def test_column_is_one_attribute_of_every_image():
    np.testing.assert_array_equal(Column(1)(np.float32([[1, 2, 3], [4, 5, 6]])), [[2], [5]])
