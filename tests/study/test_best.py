"""Which settings are best, on numbers made up by hand."""

import pytest

from mam_keras.study.best import Best, best, lowest
from tests.study import made_up

NEAR, FAR = (0.90, 0.91, 0.92), (0.80, 0.81, 0.82)


def seeded(**values):
    return {name: dict(enumerate(of, 1)) for name, of in values.items()}


@pytest.mark.parametrize(
    ("values", "low", "expected"),
    [
        (seeded(a=NEAR, b=FAR), False, Best("a", (), None, 3)),
        (seeded(a=NEAR, b=FAR), True, Best("b", (), None, 3)),
        # half a point less in the mean, but by 1, 1 and -0.5 points: not measurably behind; c always by 10
        (seeded(a=NEAR, b=(0.89, 0.90, 0.925), c=FAR), False, Best("a", ("b",), None, 3)),
        # two seeds are too few to be best, or to be alike; an undefined value is no seed
        (seeded(a=NEAR, b=(0.99, 0.99), c=(0.99, 0.99, None), d=FAR), False, Best("a", (), None, 3)),
        (seeded(a=NEAR, b=(0.99, 0.99)), False, None),
        ({}, False, None),
        # three seeds each, of which they share none
        ({"a": {1: 0.9, 2: 0.9, 3: 0.9}, "b": {4: 0.8, 5: 0.8, 6: 0.8}}, False, None),
        (seeded(a=NEAR, b=FAR) | {"c": {4: 0.8, 5: 0.8, 6: 0.8}}, False, Best("a", ("c",), None, 3)),
    ],
)
def test_the_best_mean_and_what_is_not_measurably_behind_it(values, low, expected):
    assert best(values, low) == expected


def test_of_these_the_cheapest():
    values = seeded(a=NEAR, b=(0.89, 0.90, 0.925), c=FAR)
    assert best(values, costs={"a": 2.0, "b": 1.0, "c": 0.1}).cheapest == "b"
    assert best(values, costs={"a": 2.0, "b": None, "c": 0.1}).cheapest == "a"


def test_which_measures_are_good_or_bad():
    assert lowest("accuracy") is False
    assert lowest("worst_group:Lipstick:Makeup") is False
    assert lowest("automatic_sigma_0.2") is False
    assert lowest("calibration_error") is True
    assert lowest("calibration_error_chance") is None
    assert lowest("localisation_grad_cam") is None
    assert lowest("mask_mean") is None


def test_a_study_says_it_of_all_its_settings_and_of_those_that_were_told_nothing():
    values = {"plain": FAR, "told": (7.0, 7.1, 7.2), "masked": NEAR}
    runs = made_up.measured({name: {"localisation": of} for name, of in values.items()}, told=("told",))
    found = made_up.study(*runs)
    assert found["best"]["localisation"] == {"first": "told", "alike": (), "cheapest": None, "shared": 3}
    assert found["best_unaided"]["localisation"]["first"] == "masked"
    assert set(found["best"]["accuracy"]["alike"]) == {"told", "masked"}
