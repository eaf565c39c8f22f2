"""The terms of equation 6, by hand."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras.data.source import Targets
from mam_keras.model.losses import (
    ClassCrossentropy,
    OutsideAttention,
    ReconstructionError,
    SummedCrossentropy,
    balanced_class_weights,
    classification,
    smoothed,
)
from mam_keras.systems.masked import mask_divisor, reconstruction_divisor
from tests.model import equations
from tests.model.examples import small_config

LABELS = np.array([[1, 0], [0, 0]])
PROBABILITIES = np.float32([[0.8, 0.4], [0.5, 0.1]])
LOGITS = np.log(PROBABILITIES) - np.log1p(-PROBABILITIES)
CLASS_WEIGHTS = [(1.0, 3.0), (0.5, 7.0)]  # of a negative, of a positive
# -log of what each label got: 0.8, 0.6; 0.5, 0.9
SUM = -np.log([0.8, 0.6, 0.5, 0.9])


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float32"])
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("class_weights, factors", [(None, [1, 1, 1, 1]), (CLASS_WEIGHTS, [3, 0.5, 1, 0.5])])
def test_crossentropy_is_summed_over_attributes(class_weights, factors, from_logits, dtype):
    loss = SummedCrossentropy(class_weights, from_logits)
    predictions = LOGITS if from_logits else PROBABILITIES
    expected = np.dot(SUM, factors) / 2  # images
    for call in (loss, tf.function(loss)):  # as Keras's own `fit` calls it
        value = call(LABELS.astype(dtype), predictions)
        assert value.dtype == tf.float32
        assert float(value) == pytest.approx(expected, rel=1e-5)


def test_crossentropy_of_many_attributes_is_the_equations():
    generator = np.random.default_rng(0)
    labels, logits = generator.random((7, 11)) < 0.3, 3 * generator.normal(size=(7, 11)).astype("float32")
    weights = generator.random((11, 2))
    expected = equations.crossentropy(labels, equations.sigmoid(logits), weights).sum() / 7
    assert float(SummedCrossentropy(weights, from_logits=True)(labels, logits)) == pytest.approx(expected, rel=1e-6)


def test_crossentropy_of_one_attribute():
    assert float(SummedCrossentropy([(2.0, 5.0)])([[1.0], [0.0]], [[0.5], [0.5]])) == pytest.approx(3.5 * np.log(2))


def test_logits_lose_nothing_where_probabilities_saturate():
    loss = SummedCrossentropy(from_logits=True)
    assert float(loss([[0.0, 1.0]], [[80.0, -60.0]])) == pytest.approx(140)
    logits = tf.constant([[80.0, -60.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss([[0.0, 1.0]], logits)
    np.testing.assert_allclose(tape.gradient(value, logits), [[1, -1]])


def test_half_precision_is_summed_in_float32():
    # each term is ln 2: in bfloat16 their sum would be off by up to 0.4 %
    value = SummedCrossentropy(from_logits=True)(tf.zeros((1, 100)), tf.zeros((1, 100), tf.bfloat16))
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(100 * np.log(2), rel=1e-6)


@pytest.mark.parametrize("setting, expected", [("sum", 5.0), ("position_mean", 5 / 16), ("mean", 5 / 192)])
def test_reconstruction_error_divides_an_images_sum(setting, expected):
    divisor = reconstruction_divisor(small_config(loss={"reconstruction": setting}))  # 8x8x3 pixels, 4x4 positions
    images, reconstructions = np.zeros((2, 8, 8, 3), "float32"), np.zeros((2, 8, 8, 3), "float32")
    reconstructions[0, 2, 3] = [1, 1, -2]  # 6 in one image,
    images[1, :4, :4, 0] = 0.5  # 4 in the other
    loss = ReconstructionError(divisor)
    assert float(loss(images, reconstructions)) == pytest.approx(expected)
    assert loss(images, reconstructions.astype("float64")).dtype == tf.float32


def test_outside_attention_by_hand():
    """Attribute 0: e^s is 1, 2, 3 and 4 of 10, of which the region has half of the 2, the 3 and the 4; 1: not known."""
    scores = np.zeros((2, 2, 2, 2), "float32")
    scores[0, :, :, 0] = np.log([[1, 2], [3, 4]])
    scores[0, :, :, 1] = [[5, 0], [0, 0]]
    regions = np.zeros_like(scores)
    regions[0, :, :, 0] = [[0, 0.5], [1, 1]]
    loss = OutsideAttention()
    np.testing.assert_allclose(loss.call(regions, scores), [-np.log(0.8), 0], rtol=1e-5)
    assert float(loss(regions, scores)) == pytest.approx(-np.log(0.8) / 2, rel=1e-5)
    np.testing.assert_allclose(loss.call(np.ones_like(scores), scores), [0, 0], atol=1e-6)


def test_outside_attention_draws_a_map_into_its_region():
    scores = np.random.default_rng(0).normal(size=(2, 3, 3, 2))
    regions = np.zeros_like(scores)
    regions[0, 1, :, 0], regions[1, :2, 0, 1] = [1, 0.25, 0], 0.75
    with tf.GradientTape() as tape:
        variable = tf.Variable(scores, dtype="float64")
        value = OutsideAttention()(regions, variable)
    found = tf.convert_to_tensor(tape.gradient(value, variable)).numpy()
    expected = equations.derivative(lambda: float(OutsideAttention()(regions, scores)), scores, step=1e-3)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert (found[0, 1, 0, 0] < 0) and (found[0, 0, :, 0] > 0).all()


def test_a_map_far_from_its_region_costs_much_but_pulls_with_a_bound():
    regions = np.zeros((1, 2, 2, 1), "float32")
    regions[0, 0, 0, 0] = 1
    with tf.GradientTape() as tape:
        scores = tf.Variable(np.float32([0, 0, 0, 12]).reshape(1, 2, 2, 1))
        value = OutsideAttention()(regions, scores)
    assert float(value) == pytest.approx(12, rel=1e-3)
    assert np.abs(tf.convert_to_tensor(tape.gradient(value, scores))).max() <= 1


@pytest.mark.parametrize(
    "norm, masks, expected", [("sum", "per_feature", 1), ("mean", "per_feature", 80), ("mean", "common", 16)]
)
def test_the_mask_norm_divides_by_an_attributes_mask_values(norm, masks, expected):
    assert mask_divisor(small_config(loss={"mask_norm": norm}, model={"masks": masks}), (None, 4, 4, 5)) == expected


@pytest.mark.parametrize(
    "loss", [SummedCrossentropy(CLASS_WEIGHTS, from_logits=True), SummedCrossentropy(), ReconstructionError(16.0)]
)
def test_losses_are_restored_from_their_configuration(loss):
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    restored = keras.saving.deserialize_keras_object(stored)
    assert json.loads(json.dumps(loss.get_config())) == json.loads(json.dumps(restored.get_config()))
    generator = np.random.default_rng(0)
    labels, predictions = (
        generator.random((2, 3, 2, 2, 2), "float32")
        if isinstance(loss, ReconstructionError)
        else (
            LABELS,
            PROBABILITIES,
        )
    )
    assert float(restored(labels, predictions)) == float(loss(labels, predictions))


def test_balanced_weights_give_both_classes_of_an_attribute_half_of_it():
    rates = np.float32([0.25, 0.5, 0.02, 0.0, 1.0])
    weights = balanced_class_weights(Targets(tuple("abcde"[: len(rates)])), rates)
    np.testing.assert_allclose(weights, [(2 / 3, 2), (1, 1), (0.5 / 0.98, 25), (1, 1), (1, 1)], rtol=1e-6)
    json.dumps(weights)  # they are saved with the model


# --- labels that are not known ---

GIVEN = np.float32([[0.9, 0.2, 0.5], [0.3, 0.6, 0.8]])
MARKED = np.float32([[1, np.nan, 0], [np.nan, np.nan, np.nan]])


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_label_that_is_not_known_adds_nothing_and_moves_nothing(from_logits):
    predictions = tf.Variable(np.log(GIVEN / (1 - GIVEN)) if from_logits else GIVEN)
    with tf.GradientTape() as tape:
        loss = SummedCrossentropy([(1, 3), (2, 2), (4, 1)], from_logits).mean(MARKED, predictions)
    assert float(loss) == pytest.approx((3 * -np.log(0.9) + 4 * -np.log(0.5)) / 2, rel=1e-5)
    gradient = tape.gradient(loss, predictions).numpy()
    np.testing.assert_array_equal(gradient == 0, np.isnan(MARKED))


def test_classes_that_exclude_each_other():
    logits = np.log(np.float32([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]]))
    labels = np.float32([[0, 1, 0], [0, 0, 1], [np.nan] * 3])
    for from_logits, predictions in ((True, logits), (False, np.exp(logits))):
        loss = ClassCrossentropy([1.0, 2.0, 3.0], from_logits).mean(labels, predictions)
        assert float(loss) == pytest.approx((2 * -np.log(0.2) + 3 * -np.log(0.8)) / 3, rel=1e-5)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = ClassCrossentropy(from_logits=True).mean(labels, variable)
    expected = (np.exp(logits) - np.nan_to_num(labels)) / 3
    expected[2] = 0
    np.testing.assert_allclose(tape.gradient(loss, variable), expected, atol=1e-6)


def test_the_kind_of_target_decides_the_loss_and_the_weights():
    rates = np.array([0.5, 0.25, 0.25])
    names = ("a", "b", "c")
    assert isinstance(classification(Targets(names)), SummedCrossentropy)
    assert isinstance(classification(Targets(names, exclusive=True)), ClassCrossentropy)
    assert balanced_class_weights(Targets(names, exclusive=True), rates) == pytest.approx([2 / 3, 4 / 3, 4 / 3])
    unknown = balanced_class_weights(Targets(names), np.array([np.nan, 0.25, 1.0]))
    assert unknown == [(1.0, 1.0), (0.5 / 0.75, 2.0), (1.0, 1.0)]


def test_smoothed_labels_by_hand():
    labels = np.float32([[1, 0, 0, np.nan], [0, 1, 0, 0]])
    expected = [[0.95, 0.05, 0.05, np.nan], [0.05, 0.95, 0.05, 0.05]]
    np.testing.assert_allclose(smoothed(labels, 0.1, exclusive=False), expected, rtol=1e-6)
    classes = smoothed(labels[1:], 0.1, exclusive=True)
    np.testing.assert_allclose(classes, [[0.025, 0.925, 0.025, 0.025]], rtol=1e-6)
    np.testing.assert_array_equal(smoothed(labels, 0.0, exclusive=False), labels)
    # What Keras's own loss does for classes
    probabilities = np.float32([[0.1, 0.6, 0.2, 0.1]])
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(labels[1:], probabilities)
    assert float(ClassCrossentropy()(classes, probabilities)) == pytest.approx(float(expected), rel=1e-6)
