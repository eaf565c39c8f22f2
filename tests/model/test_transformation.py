"""The tone curve: values worked out by hand, and the properties equations 7 and 8 are known by."""

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.model.transformation import FAMILIES, Family, tone_curve
from tests.model import equations

MASKS = np.linspace(0, 1, 201, dtype="float32")
EXPONENTS = [0.1, 0.5, 1.0, 2.0, 3.7, 10.0]


def curve(mask, a, b):
    return tone_curve(tf.constant(mask, tf.float32), a, b).numpy()


@pytest.mark.parametrize(
    "mask, a, b, expected",
    [
        (0.25, 1, 2, 0.125),  # 1/2 (1/2)^2
        (0.75, 1, 2, 0.875),  # 1 - 1/2 (1/2)^2
        (0.125, 1, 0.5, 0.25),  # 1/2 (1/4)^(1/2)
        (0.875, 1, 0.5, 0.75),
        (0.25, 3, 3, 0.1875),  # 3/16
        (0.5, 4, 7, 2.0),
        (0.3, 1, 1, 0.3),
        (0.9, 0, 5, 0.0),
    ],
)
def test_values_worked_out_by_hand(mask, a, b, expected):
    assert curve(mask, a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("b", EXPONENTS)
def test_ends_and_middle_stay_where_they_are(b):
    np.testing.assert_array_equal(curve([0.0, 0.5, 1.0], 1, b), [0.0, 0.5, 1.0])


@pytest.mark.parametrize("b", EXPONENTS)
def test_symmetric_about_the_middle(b):
    np.testing.assert_allclose(curve(MASKS, 1, b) + curve(1 - MASKS, 1, b), 1, atol=1e-6)


@pytest.mark.parametrize("b", EXPONENTS)
def test_monotone_and_within_zero_and_one(b):
    values = curve(MASKS, 1, b)
    assert np.all(np.diff(values) >= 0)
    assert values.min() == 0
    assert values.max() == 1


@pytest.mark.parametrize("b, sign", [(2.0, 1), (0.5, -1)])
def test_b_above_one_pushes_apart_and_below_one_together(b, sign):
    low, high = MASKS[(MASKS > 0) & (MASKS < 0.5)], MASKS[(MASKS > 0.5) & (MASKS < 1)]
    assert np.all(sign * (low - curve(low, 1, b)) > 0)
    assert np.all(sign * (curve(high, 1, b) - high) > 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_family_says_of_itself(name):
    family = FAMILIES[name]
    np.testing.assert_allclose(family.function(MASKS, *family.identity), MASKS, atol=1e-7)
    follows = family.function(MASKS, 2.5, 3.0), 2.5 * family.function(MASKS, 1.0, 3.0)
    assert np.allclose(*follows, rtol=1e-6) == family.linear_in_a


@pytest.mark.parametrize("name", FAMILIES)
def test_several_pairs_from_logits(name):
    family = FAMILIES[name]
    logits = np.float32([-200, -20, -3, -1e-3, 0, 0.5, 4, 20, 200])
    pairs = [(1.0, 1.0), (2.0, 0.5), (0.0, 1.0), (1.0, 2.0), (0.5, 8.0), (1.0, 0.3), (3.0, 4.0), (1.0, 0.6)]
    for (a, b), actual in zip(pairs, family.each(tf.constant(logits), pairs), strict=True):
        if name == "tone_curve":
            expected = equations.tone_curve(equations.sigmoid(logits), a, b)
            np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7)
        # Of masks; near 1 there are no float32 to tell them apart, which logits do.
        one_by_one = family.function(tf.sigmoid(logits), a, b)
        np.testing.assert_allclose(actual[2:7], one_by_one[2:7], rtol=2e-5)


def test_a_family_without_a_form_for_several_pairs_is_asked_for_each():
    family = Family(lambda mask, a, b: mask**a - b, (1.0, 0.0), False)
    logits = np.float32([0, np.log(3)])  # masks 1/2 and 3/4
    square, root = family.each(logits, [(2.0, 1.0), (0.5, 0.0)])
    np.testing.assert_allclose(square, [-0.75, -7 / 16], rtol=1e-6)
    np.testing.assert_allclose(root, np.sqrt([0.5, 0.75]), rtol=1e-6)


def test_pairs_broadcast_against_masks():
    masks = np.float32([[0.25, 0.75], [0.25, 0.75]])
    np.testing.assert_allclose(
        curve(masks, np.float32([[1], [2]]), np.float32([[2], [1]])), [[0.125, 0.875], [0.5, 1.5]], rtol=1e-6
    )
