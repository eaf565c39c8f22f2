"""The rule of choice, on numbers made up by hand."""

import pytest

from mam_keras.study.choice import choose


def measures(**runs):
    """{run: (accuracy, localisation)} as measures of validation."""
    return {name: dict(zip(("accuracy", "localisation"), values, strict=True)) for name, values in runs.items()}


@pytest.mark.parametrize(
    ("runs", "most_lost", "chosen", "eligible"),
    [
        # the best map among those that lose little; c localises best but loses 3 points
        ({"base": (0.90, 1.2), "a": (0.895, 1.5), "b": (0.89, 2.0), "c": (0.87, 9.0)}, 0.01, "b", ["base", "a", "b"]),
        # what may be lost is lost exactly
        ({"base": (0.9, 1.2), "a": (0.9 - 0.01, 1.5)}, 0.01, "a", ["base", "a"]),
        ({"base": (0.9, 1.2), "a": (0.9 - 0.0101, 1.5)}, 0.01, "base", ["base"]),
        # more accuracy than the baseline's is no fault, and no merit
        ({"base": (0.9, 1.2), "a": (0.95, 1.1)}, 0.01, "base", ["base", "a"]),
        # of equals the first; a run without maps cannot be chosen
        ({"base": (0.9, 1.2), "a": (0.9, 1.2), "b": (0.9, None)}, 0, "base", ["base", "a", "b"]),
        ({"base": (0.9, None), "a": (0.9, 0.8)}, 0.01, "a", ["base", "a"]),
        ({"base": (0.9, None), "a": (0.5, 3.0)}, 0.01, None, ["base"]),
    ],
)
def test_the_run_that_localises_best_among_those_that_lose_little(runs, most_lost, chosen, eligible):
    assert choose(measures(**runs), "base", most_lost) == (chosen, eligible)


def test_by_accuracy_the_most_accurate_is_chosen():
    found = {"base": {"top1": 0.9}, "a": {"top1": 0.91}, "b": {"top1": 0.8}}
    assert choose(found, "base", 0.01, "top1", "top1") == ("a", ["base", "a"])
