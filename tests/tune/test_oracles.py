"""What comes next, and that a kill changes nothing of it. Nothing is trained: a score is worked out from lambda."""

import json
import math

import pytest
from keras_tuner.engine.trial import TrialStatus

from mam_keras.errors import UserError
from mam_keras.tune.oracles import make_oracle

pytestmark = pytest.mark.filterwarnings(
    "ignore:(currentThread|getName):DeprecationWarning",  # Keras Tuner's lock
    "ignore::sklearn.exceptions.ConvergenceWarning",
)


@pytest.fixture
def make(search_settings, tmp_path):
    """make(tune section) -> an oracle that keeps its state in tmp_path."""

    def oracle(folder="search", **tune):
        config, dimensions = search_settings(**tune)
        found = make_oracle(config, dimensions, tmp_path / folder / "search.json")
        found._set_project_dir(tmp_path / folder, "keras_tuner")
        return found

    return oracle


def begin(oracle, tuner="tuner0"):
    return oracle.create_trial(tuner)


def end(oracle, trial, status=TrialStatus.COMPLETED):
    score = -abs(math.log10(trial.hyperparameters.values["loss.lambda"]) + 6)  # best at 1e-6
    oracle.update_trial(trial.trial_id, {"balanced_accuracy": score})
    trial.status = status
    oracle.end_trial(trial)


def run(oracle, trials):
    """The values of so many trials, or of all that there are."""
    found = []
    while len(found) < trials and (trial := begin(oracle)).status == TrialStatus.RUNNING:
        found.append(dict(trial.hyperparameters.values))
        end(oracle, trial)
    return found


def test_hyperband_gives_few_epochs_to_many_and_more_to_the_best(make):
    oracle = make(oracle="hyperband", epochs=3)
    found = run(oracle, 100)
    # Two brackets: three trials of one epoch, the best of which goes on; then two of three epochs.
    assert [values["tuner/epochs"] for values in found] == [1, 1, 1, 3, 3, 3]
    first = [values["loss.lambda"] for values in found[:3]]
    assert found[3]["loss.lambda"] == min(first, key=lambda value: abs(math.log10(value) + 6))
    assert len({values["loss.lambda"] for values in found}) == 5


def test_trials_are_at_most_as_many_as_said(make):
    assert len(run(make("random", oracle="random", trials=3), 100)) == 3
    assert len(run(make("default"), 100)) == 10
    assert len(run(make("hyperband", oracle="hyperband", epochs=3, trials=4), 100)) == 4


@pytest.mark.parametrize("kind", ["random", "hyperband"])
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(make, kind):
    tune = {"oracle": kind, "epochs": 3, "trials": 6}
    expected = run(make("undisturbed", **tune), 6)
    before = make(**tune)
    found = run(before, 2)
    killed = begin(before)  # the third
    after = make(**tune)
    after.reload()
    assert sorted(trial.status for trial in after.trials.values()) == ["COMPLETED", "COMPLETED", "RUNNING"]
    again = begin(after)
    assert again.trial_id == killed.trial_id
    assert again.hyperparameters.values == killed.hyperparameters.values
    end(after, again)
    found += [again.hyperparameters.values, *run(after, 6)]
    assert found == expected


def test_the_bayesian_oracle_nears_the_best_value_also_after_a_stop(make):
    tune = {"oracle": "bayesian", "trials": 7}
    run(make(**tune), 4)  # three at random
    oracle = make(**tune)
    oracle.reload()
    assert len(run(oracle, 9)) == 3
    best = oracle.get_best_trials(1)[0]
    print([t.hyperparameters.values for t in oracle.trials.values()])
    assert abs(math.log10(best.hyperparameters.values["loss.lambda"]) + 6) < 0.3


def test_a_trial_that_ended_as_the_process_was_killed_is_not_begun_again(make):
    oracle = make(trials=3)
    trial = begin(oracle)
    kept = oracle.state_file.read_text()
    end(oracle, trial)
    assert json.loads(oracle.state_file.read_text())["oracle"]["ongoing_trials"]  # Keras Tuner saves, then takes it out
    after = make(trials=3)
    after.reload()
    assert begin(after).trial_id == "1"
    oracle.state_file.write_text(kept)  # killed before its end was kept
    after = make(trials=3)
    after.reload()
    assert begin(after).trial_id == trial.trial_id


def test_failed_trials_are_neither_repeated_nor_the_end_of_a_search(make):
    oracle = make(trials=5)
    for _ in range(4):
        end(oracle, begin(oracle), TrialStatus.FAILED)
    last = begin(oracle)
    end(oracle, last)
    assert begin(oracle).status == TrialStatus.STOPPED
    assert oracle.get_best_trials(1)[0].trial_id == last.trial_id


def test_keras_tuners_own_half_written_files_are_no_matter(make, tmp_path):
    oracle = make(trials=3)
    run(oracle, 2)
    for file in (tmp_path / "search/keras_tuner").glob("trial_*/trial.json"):
        file.write_text(file.read_text()[:50])
    after = make(trials=3)
    after.reload()
    assert begin(after).trial_id == "2"


@pytest.mark.parametrize("damage", [lambda text: text[:200], lambda _: "[]", lambda _: "{}", lambda _: '{"oracle": 1}'])
def test_a_damaged_state_is_one_line(make, damage):
    oracle = make(trials=3)
    run(oracle, 2)
    oracle.state_file.write_text(damage(oracle.state_file.read_text()))
    with pytest.raises(UserError, match=r"search\.json: expected the state of this search [^\n]*\. Received: [^\n]*$"):
        make(trials=3).reload()


def test_without_a_state_the_same_values_come_again(make):
    assert run(make("one", trials=3), 3) == run(make("other", trials=3), 3)
