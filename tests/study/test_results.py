"""What is over the seeds of a study, against numbers worked out by hand."""

import pytest

from mam_keras.statistics import Estimate
from mam_keras.study import results
from mam_keras.study.seeds import over_seeds, paired
from tests.study import made_up


def test_the_interval_over_seeds_is_students():
    # m = 2, s^2 = (1 + 0 + 1) / 2 = 1, t_{0.975, 2} = 4.302653
    found = over_seeds([1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    found = over_seeds([1.0, None, 3.0])  # t_{0.975, 1} = 12.7062, s^2 = 2, sqrt(2 / 2) = 1
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - 12.7062, 2 + 12.7062), rel=1e-5)
    assert over_seeds([0.5]) == Estimate(0.5, None, None)
    assert over_seeds([None]) == Estimate(None, None, None)


def test_differences_are_paired_by_the_seeds_that_both_have():
    found, seeds = paired({1: 3.0, 2: 5.0, 3: 9.0, 4: None}, {1: 1.0, 2: 2.0, 4: 7.0})
    assert seeds == 2
    assert (found.value, found.low) == pytest.approx((2.5, 2.5 - 12.7062 * 0.5), rel=1e-5)  # of 2 and 3


def test_a_group_is_the_mean_of_its_finished_runs():
    several = made_up.seeded()
    runs = [*several["runs"], made_up.failed("gM-seed4", group="gM", changes={"seed": 4})]
    g, own = made_up.study(*runs, choose_by="accuracy")["groups"]
    assert (g["seeds"], g["changes"], g["difference"], g["shared"]) == ([1, 2, 3], {}, {}, 0)
    assert (own["seeds"], own["changes"], own["shared"]) == ([1, 2, 3], {"model.residual": False}, 3)
    assert own["test"]["top1"][0] == pytest.approx(0.92)
    assert own["difference"]["balanced_accuracy"][0] == pytest.approx(0.02)


def test_one_seed_has_no_interval_over_seeds():
    papers, small, _, hot = made_up.typical()["groups"]
    assert papers["test"]["accuracy"] == [0.9, None, None]
    assert small["difference"]["localisation"] == [pytest.approx(1.35), None, None]
    assert (small["shared"], hot["seeds"], hot["test"]) == (1, [], {})


def test_exclusive_targets_are_chosen_by_their_top1():
    found = made_up.seeded()
    assert (found["accuracy"], found["choose_by"], found["chosen"], found["unaided"]) == ("top1", "top1", "gM", "gM")
    assert results.table(found).splitlines() == [
        "run  seeds  validation top1  test top1  test balanced_accuracy",
        "g        3           0.9000     0.9000                  0.9000  baseline",
        "gM       3           0.9200     0.9200                  0.9200  chosen",
    ]


def test_failed_runs_are_named_in_the_table():
    *_, last = results.table(made_up.typical()).splitlines()
    assert last.split() == ["hot", "0", *["\N{EN DASH}"] * 4, "failed:", "the", "loss", "became", "infinite"]
