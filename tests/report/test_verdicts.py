"""Words follow their numbers: every constellation of estimates, and what is to be said of it."""

import pytest

from mam_keras.report import verdicts, wording
from mam_keras.statistics import Estimate

BETTER, ALIKE, WORSE, UNKNOWN = verdicts.Verdict
NONE = Estimate(None, None, None)


@pytest.mark.parametrize(
    ("gain", "least", "said"),
    [
        ((0.1, 0.05, 0.15), 0, BETTER),
        ((0.001, 0.0005, 0.002), 0, BETTER),  # small, and yet more than the choice of images
        ((0.4, -0.1, 0.9), 0, ALIKE),  # large, and yet nothing
        ((-0.4, -0.9, 0.1), 0, ALIKE),
        ((-0.1, -0.15, -0.05), 0, WORSE),
        ((0.0, 0.0, 0.0), 0, ALIKE),  # the same answers
        ((0.1, 0.0, 0.2), 0, ALIKE),  # 0 itself is no more
        ((-0.1, -0.2, 0.0), 0, ALIKE),
        ((0.5, None, None), 0, ALIKE),  # one person, or one image
        ((-0.5, None, None), 0, ALIKE),
        ((None, None, None), 0, UNKNOWN),
        ((0.6, 0.55, 0.65), 0.5, BETTER),  # against a number that is known
        ((0.52, 0.48, 0.56), 0.5, ALIKE),
        ((0.4, 0.35, 0.45), 0.5, WORSE),
        ((1.2, 0.9, 1.5), 1, ALIKE),
    ],
)
def test_a_verdict_follows_the_interval(gain, least, said):
    assert verdicts.verdict(Estimate(*gain), least) is said


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((3.0, 2.5, 3.5), (1.0, 0.5, 1.5), "clearly more"),
        ((1.0, 0.5, 1.5), (3.0, 2.5, 3.5), "clearly less"),
        ((2.0, 1.0, 3.0), (2.5, 2.2, 2.8), "the intervals overlap"),  # one within the other
        ((2.0, 1.5, 2.5), (2.6, 2.4, 2.8), "the intervals overlap"),
        ((2.0, 1.5, 2.5), (3.0, 2.5, 3.5), "the intervals overlap"),  # they touch
        ((2.0, None, None), (9.0, None, None), "not measurably different"),
        ((2.0, 1.5, 2.5), (9.0, None, None), "not measurably different"),
        ((2.0, 1.5, 2.5), (None, None, None), "not measured"),
    ],
)
def test_two_estimates_that_were_not_paired_are_apart_or_overlap(first, second, said):
    assert verdicts.apart(Estimate(*first), Estimate(*second)) == said


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ({"a": (1, 0.5, 2)}, "clearly better than a"),
        ({"a": (1, 0.5, 2), "b": (2, 1, 3)}, "clearly better than a and b"),
        ({"a": (-1, -2, -0.5)}, "clearly worse than a"),
        ({"a": (0.1, -1, 1)}, "not measurably different from a"),
        (
            {"a": (-1, -2, -0.5), "b": (2, 1, 3), "c": (0, -1, 1), "d": (2, 1, 3), "e": (None, None, None)},
            "clearly better than b and d; not measurably different from c; clearly worse than a; not measured against "
            "e",
        ),
    ],
)
def test_rivals_are_named_by_what_is_said_of_them(gains, said):
    assert verdicts.against({name: Estimate(*gain) for name, gain in gains.items()}) == said


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        ("+++", "clearly better at all of 3 levels"),
        ("---", "clearly worse at all of 3 levels"),
        ("000", "not measurably different at any of 3 levels"),
        ("+0-", "clearly better at 1 of 3 levels, clearly worse at 1"),
        ("+00", "clearly better at 1 of 3 levels, clearly worse at none"),
        ("0--", "clearly better at none of 3 levels, clearly worse at 2"),
    ],
)
def test_how_often_is_counted(signs, said):
    gains = {"+": Estimate(1, 0.5, 2), "-": Estimate(-1, -2, -0.5), "0": Estimate(0.1, -1, 1)}
    assert verdicts.often([gains[sign] for sign in signs], "levels") == said


@pytest.mark.parametrize(
    ("right", "usual", "ends", "said"),
    [
        (0.99, 0.6, (0.38, 0.40), "very well"),
        (0.90, 0.8, (0.09, 0.11), "moderately"),  # right in 90 %, and half of that comes by itself
        (0.90, 0.5, (0.39, 0.41), "well"),
        (0.62, 0.6, (0.01, 0.03), "poorly"),
        (0.61, 0.6, (-0.01, 0.03), "no better than the usual answer, as far as these images show"),
        (0.50, 0.6, (-0.12, -0.08), "worse than the usual answer"),
        (0.50, None, (None, None), "not measured"),
    ],
)
def test_how_well_is_by_the_errors_that_are_avoided(right, usual, ends, said):
    gain = NONE if usual is None else Estimate(right - usual, *ends)
    assert verdicts.skill(Estimate(right, None, None), Estimate(usual, None, None), gain) == said


def test_a_difference_is_turned_round_with_its_interval():
    assert verdicts.turned(Estimate(0.3, 0.1, 0.6)) == Estimate(-0.3, -0.6, -0.1)
    assert verdicts.turned(Estimate(0.3, None, None)) == Estimate(-0.3, None, None)
    assert verdicts.word(Estimate(0.3, 0.1, 0.6), "higher", "lower") == "clearly higher"
    assert verdicts.word(NONE) == "not measured"


def test_long_lists_say_how_many_are_left_out():
    assert verdicts.listed("a") == "a"
    assert verdicts.listed("abc") == "a, b and c"
    assert verdicts.listed("abcdefghij") == "a, b, c, d, e, f, g and 3 others"


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((-0.009, -0.0004), "-0.5 points (-0.90 to -0.04)"),  # clearly less than 0, and so it reads
        ((-0.009, -0.00003), "-0.5 points (-0.900 to -0.003)"),
        ((-0.009, 0.0004), "-0.5 points (-0.9 to +0.0)"),
        ((-0.009, -0.001), "-0.5 points (-0.9 to -0.1)"),
    ],
)
def test_an_interval_that_leaves_out_0_does_not_read_as_if_it_held_it(ends, said):
    assert wording.points(Estimate(-0.005, *ends)).partition("(")[2] == said.partition("(")[2]
    assert verdicts.word(Estimate(-0.005, *ends)) == ("clearly worse" if ends[1] < 0 else "not measurably different")
