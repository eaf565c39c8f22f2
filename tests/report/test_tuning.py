"""The section of a search: what its sentences, figure and table say, against a search made up by hand."""

import types

import pytest

from mam_keras.report import tables
from mam_keras.report.blocks import Figure, Missing, Paragraph, Table
from mam_keras.report.headlines import column
from mam_keras.report.sections import tuning
from mam_keras.statistics import Estimate

NAMES = (
    "balanced_accuracy",
    "accuracy",
    "noise_robustness",
    "localisation",
    "mask_mean",
    "mask_near_zero",
    "localised",
)


def trial(number, lambda_, measures=(None,) * 7, failed=None, epochs=3, intervals=None):
    return {
        "number": number,
        "run": f"trial-{number:02d}",
        "values": {"loss.lambda": lambda_},
        "epochs": epochs,
        "failed": failed,
        "measures": dict(zip(NAMES, measures, strict=True)),
        "intervals": intervals or {},
    }


def search(*trials, best=2, space=None):
    return {
        "name": "tiny",
        "objective": "balanced_accuracy",
        "oracle": "random",
        "space": space or {"loss.lambda": {"low": 1e-8, "high": 1e-4, "scale": "log"}},
        "best": best,
        "trials": list(trials),
    }


TRIALS = (
    trial(1, 2e-7, (0.60, 0.80, 0.55, 1.5, 0.50, 0.01, 9), intervals={"balanced_accuracy": [0.58, 0.62]}),
    trial(2, 1e-6, (0.62, 0.81, 0.56, 1.2, 0.20, 0.40, 9), intervals={"balanced_accuracy": [0.59, 0.64]}),
    trial(3, 9e-5, failed="the loss became nan in epoch 1, step 3"),
    trial(4, 3e-5, (0.58, 0.79, 0.57, 1.1, 0.01, 0.98, 4), intervals={"balanced_accuracy": [0.56, 0.60]}),
)


def section(found):
    return tuning.section(types.SimpleNamespace(tuning=found), [])


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


@pytest.fixture(scope="module")
def drawn():
    return section(search(*TRIALS))


def test_the_summary_names_the_best_and_what_else_is_as_good(drawn):
    best, trade = drawn.summary
    assert best == (
        "Of 3 trials of the search, the highest balanced accuracy on validation is 62.0 %, at loss.lambda 1e-06 "
        "(95 % interval 59.0 % to 64.0 %); 1 of the other 2 lies within that interval."
    )
    assert trade.startswith(
        "At the lowest and the highest loss.lambda tried, 2e-07 and 3e-05: balanced accuracy 60.0 %"
    )
    assert "mean mask value 0.500 and 0.010" in trade


def test_all_measures_are_drawn_against_lambda_on_one_logarithmic_axis(drawn):
    (figure,) = blocks(drawn, Figure)
    for name in NAMES[:-1]:
        how = column(name)
        assert f"{how.title}{', %' if how.kind == 'percent' else ''}" in figure.picture
    assert column("localised").title not in figure.picture
    assert figure.picture.count(">loss.lambda<") == 2  # under each column
    assert "balanced accuracy, % (objective)" in figure.picture
    assert "At the best, loss.lambda 1e-06: balanced accuracy 62.0 %" in figure.alternative
    assert "papers' value" in figure.caption
    assert "Crosses are trials that failed." in figure.caption
    assert "Open dots" not in figure.caption
    assert len(figure.picture) < 120_000


def test_every_trial_is_in_the_table_and_failed_ones_say_why(drawn):
    (table,) = blocks(drawn, Table)
    assert [row[0] for row in table.rows] == [1, 2, 3, 4]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert table.rows[0][1:4] == (2e-7, 3, Estimate(0.60, 0.58, 0.62))
    assert tables.shown(table.rows[0][1], table.columns[1]) == "2e-07"
    assert table.rows[2][3:] == (None,) * 7 + ("failed: the loss became nan in epoch 1, step 3",)
    assert [row[-1] for row in table.rows[:2]] == ["done", "best"]
    (how,) = blocks(drawn, Paragraph)
    assert how.text.startswith("4 trials of 3 epochs, 1 of which failed; searched: loss.lambda from 1e-08 to 0.0001")


def test_what_no_run_has_is_named_and_left_out():
    without = [one | {"measures": one["measures"] | {"localisation": None}} for one in TRIALS]
    found = section(search(*without))
    (missing,) = blocks(found, Missing)
    assert missing.text == "These runs have no localisation (1 is chance)."
    (figure,) = blocks(found, Figure)
    assert "localisation" not in figure.picture
    (table,) = blocks(found, Table)
    assert len(table.columns) == len(table.rows[0]) == 3 + 5 + 2


def test_shorter_trials_are_told_apart_and_not_compared():
    trials = [TRIALS[0] | {"epochs": 1}, TRIALS[1], TRIALS[3] | {"epochs": 1}]
    found = section(search(*trials))
    (figure,) = blocks(found, Figure)
    assert "Open dots are shorter trials." in figure.caption
    assert blocks(found, Paragraph)[0].text.startswith("3 trials of 1 to 3 epochs;")
    assert len(found.summary) == 1


def test_each_of_several_settings_has_a_figure_of_its_own():
    space = {
        "loss.lambda": {"low": 1e-8, "high": 1e-4, "scale": "log"},
        "model.pooled_share": {"low": 0.1, "high": 1.0, "scale": "linear"},
    }
    trials = [one | {"values": one["values"] | {"model.pooled_share": 0.1 * one["number"]}} for one in TRIALS]
    one, other = blocks(section(search(*trials, space=space)), Figure)
    assert ">loss.lambda<" in one.picture
    assert ">model.pooled_share<" in other.picture
    assert one.name != other.name
    assert "papers' value" not in other.caption


def test_one_completed_trial_is_enough():
    found = section(search(*TRIALS[1:3]))
    assert len(found.summary) == 1
    assert "other" not in found.summary[0]


def test_a_run_of_no_search_says_how_to_search():
    found = section(None)
    (how,) = found.blocks
    assert "python -m mam_keras.tune" in how.text
    assert found.summary == ()
