"""A search from its space to its files: three real trials, and many whose outcome is worked out from lambda."""

import csv
import json
import math
import os
import shutil
import signal
import time
import types
from pathlib import Path

import numpy as np
import pytest

from mam_keras import child
from mam_keras import config as configuration
from mam_keras.errors import RunError, UntrainableError, UserError
from mam_keras.files import write_record
from mam_keras.run_directory import RunDirectory
from mam_keras.search_directory import SearchDirectory, best_trial
from mam_keras.statistics import Estimate
from mam_keras.tune import run as tune
from mam_keras.tune import search, trial
from mam_keras.tune.oracles import make_oracle

pytestmark = pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")  # Keras Tuner's lock


@pytest.fixture
def searching(search_settings, tmp_path):
    """searching(tune section) searches in tmp_path and returns the `SearchDirectory`."""

    def start(**section):
        config, dimensions = search_settings(**section)
        directory = SearchDirectory(tmp_path / "search")
        with directory.open(config):
            tune.run(config, dimensions, directory, "alone")
        return directory

    return start


@pytest.fixture
def worked_out(monkeypatch):
    """Trials without training: the objective is highest at lambda = 1e-6, and above 1e-5 they fail."""
    begun = []

    def train(config, run, asked):
        begun.append(run.path.name)
        with run.open(config, overwrite=False):
            run.begin(config)
            if config.loss.lambda_ > 1e-5:
                raise UntrainableError("the loss became nan in epoch 1, step 3")

    def measure(run, asked):
        best = 1 - abs(math.log10(configuration.load(run.config).loss.lambda_) + 6) / 10
        return {"balanced_accuracy": Estimate(best, best - 0.1, best + 0.1), "localisation": Estimate(None, None, None)}

    monkeypatch.setattr(child, "train", train)
    monkeypatch.setattr(child, "measure", measure)
    return begun


@pytest.fixture(scope="module")
def killed(start, ended, tmp_path_factory):
    """A search killed with -9 in its third trial, and so its child: its directory, and what it left of the others."""
    directory = SearchDirectory(tmp_path_factory.mktemp("real") / "search")
    process = start(directory.path.parent, 3)
    while not directory.trial(3).joinpath("checkpoints/last.npz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    code, output = ended(process)
    for one in children:
        os.kill(int(one), signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "trial 2: balanced_accuracy" in output
    return directory, written(directory)


@pytest.fixture(scope="module")
def real(killed, search_settings):
    """The directory of the same search, carried on to its end."""
    config, dimensions = search_settings(trials=3)
    directory, _ = killed
    with pytest.MonkeyPatch.context() as patch, directory.open(config):
        patch.setattr(child, "MEASURED", ("accuracy", "masks"))
        tune.run(config, dimensions, directory, "alone")
    return directory


def written(directory):
    """When the files of the first two trials were."""
    return {f: f.stat().st_mtime_ns for n in (1, 2) for f in directory.trial(n).rglob("*") if f.is_file()}


def test_a_search_killed_in_its_third_trial_repeats_no_finished_trial(killed, real):
    assert written(real) == killed[1]
    log = child.log(RunDirectory(real.trial(3))).read_text().splitlines()
    epochs = [line.split(":")[0] for line in log if line.startswith("epoch")]
    assert (epochs[0], epochs[-1]) == ("epoch 1/2", "epoch 2/2")
    assert epochs.count("epoch 1/2") == 1  # it stood, and the second was trained again unless it was there
    with (real.trial(3) / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_trials_are_runs_of_ours_each_with_its_own_configuration(real):
    found = json.loads(real.results.read_text())
    assert len(found["trials"]) == 3
    for number, one in enumerate(found["trials"], 1):
        directory = RunDirectory(real.path / one["run"])
        assert directory.path == real.trial(number)
        assert directory.finished
        assert directory.model.exists()
        config = configuration.load(directory.config)
        assert config.loss.lambda_ == one["values"]["loss.lambda"]
        assert config.training.epochs == one["epochs"] == 2
        assert "epoch 2/2" in child.log(directory).read_text()


def test_measures_are_those_of_the_validation_images(real):
    for one in json.loads(real.results.read_text())["trials"]:
        directory = RunDirectory(real.path / one["run"])
        head = json.loads(directory.evaluation.read_text())["splits"]["validation"]["heads"]["attributes"]
        assert one["measures"]["balanced_accuracy"] == head["mean"]["balanced_accuracy"]
        assert one["measures"]["accuracy"] == head["mean"]["accuracy"]
        with np.load(directory.path / "analysis" / "accuracy.validation.npz") as kept:
            assert one["intervals"]["accuracy"] == kept["attributes.accuracy.mean"][1:].tolist()
    third = json.loads(real.results.read_text())["trials"][2]["measures"]  # the others were measured in a hurry
    assert 0 < third["mask_mean"] < 1
    assert 0 <= third["mask_near_zero"] < 1


def test_the_winner_is_a_configuration_for_fit(real):
    found, winner = json.loads(real.results.read_text()), configuration.load(real.best)
    best = found["trials"][found["best"] - 1]
    assert best["measures"]["balanced_accuracy"] == max(t["measures"]["balanced_accuracy"] for t in found["trials"])
    assert winner.tune is None
    assert winner == configuration.load(RunDirectory(real.path / best["run"]).config)
    assert best_trial(real.path) == real.path / best["run"]


def test_the_table_has_a_row_for_each_trial(real):
    with real.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    for row, one in zip(rows, json.loads(real.results.read_text())["trials"], strict=True):
        assert list(row) == ["trial", "loss.lambda", "epochs", *one["measures"], "failed"]
        assert float(row["loss.lambda"]) == one["values"]["loss.lambda"]
        assert float(row["accuracy"]) == one["measures"]["accuracy"]


def test_the_report_of_a_search_is_that_of_its_best_trial(real, monkeypatch, tmp_path):
    from mam_keras.report import run as report

    drawn = []
    monkeypatch.setattr(report.analysis, "compute_missing", lambda run, first=None, **_: ({}, {}))
    monkeypatch.setattr(report, "answers", lambda run, others: {})
    monkeypatch.setattr(report, "page", lambda run, others, *_: drawn.extend([run, *others]) or "page")
    report.run([real.path, real.trial(1)], out=tmp_path)
    found = real.found()
    assert [run.name for run in drawn] == [f"search-trial-{number:02d}" for number in (found["best"], 1)]
    assert [run.tuning for run in drawn] == [found, found]


def test_failed_trials_are_shown_and_counted(searching, worked_out, capsys):
    directory = searching(trials=8)
    trials = json.loads(directory.results.read_text())["trials"]
    failed = [one for one in trials if one["values"]["loss.lambda"] > 1e-5]
    assert 0 < len(failed) < 8
    for one in trials:
        assert one["failed"] == ("the loss became nan in epoch 1, step 3" if one in failed else None)
        assert (one["measures"]["balanced_accuracy"] is None) == (one in failed)
    printed = capsys.readouterr().out
    assert printed.count("failed: the loss became nan in epoch 1, step 3") == 2 * len(failed)
    assert printed.count(" best\n") == 1
    assert f"8 trials, {len(failed)} of which failed" in printed
    assert json.loads(directory.results.read_text())["failed"] == len(failed)


def test_a_search_without_a_completed_trial_fails(searching, worked_out):
    space = {"loss.lambda": {"low": 1e-4, "high": 1e-3}}
    with pytest.raises(RunError, match=r"^none of 2 trials completed; the first failed: the loss became nan"):
        searching(trials=2, space=space)
    with pytest.raises(RunError, match="none of 2 trials completed"):  # and is no finished search
        searching(trials=2, space=space)
    assert worked_out == ["trial-01", "trial-02"]


def test_hyperbands_longer_trials_are_runs_of_their_own(searching, worked_out):
    directory = searching(oracle="hyperband", epochs=3, space={"loss.lambda": {"low": 1e-8, "high": 9e-6}})
    trials = json.loads(directory.results.read_text())["trials"]
    assert [one["epochs"] for one in trials] == [1, 1, 1, 3, 3, 3]
    epochs = [configuration.load(directory.trial(n).joinpath("config.yaml")).training.epochs for n in range(1, 7)]
    assert epochs == [1, 1, 1, 3, 3, 3]
    assert configuration.load(directory.best).training.epochs == 2  # the configuration's own


def test_values_that_do_not_go_together_are_a_failed_trial(searching, worked_out):
    space = {"data.shift": {"low": 1, "high": 15}, "data.image_size": {"low": 16, "high": 32}}  # only multiples of 4
    directory = searching(trials=8, space=space)
    failed = [one["failed"] for one in json.loads(directory.results.read_text())["trials"] if one["failed"]]
    assert failed
    assert all("data.image_size: expected a multiple of 4" in why or "data.shift: expected" in why for why in failed)


def test_what_is_not_the_values_fault_ends_the_search_and_the_trial_is_begun_again(searching, worked_out, monkeypatch):
    train = child.train
    for error in (
        RunError("model.keras: cannot be written"),
        KeyError("missing"),
        UserError("data.directory: expected"),
    ):

        def broken(*_, error=error, **__):
            raise error

        monkeypatch.setattr(child, "train", broken)
        with pytest.raises(type(error)):
            searching(trials=2, space={"loss.lambda": {"low": 1e-8, "high": 1e-6}})
    monkeypatch.setattr(child, "train", train)
    directory = searching(trials=2, space={"loss.lambda": {"low": 1e-8, "high": 1e-6}})
    assert [one["failed"] for one in json.loads(directory.results.read_text())["trials"]] == [None, None]


@pytest.mark.parametrize("objective", ["localisation", "noise_robustness"])
def test_an_objective_that_the_runs_lack_ends_the_search(searching, worked_out, objective):
    with pytest.raises(UserError, match=r"tune\.objective: expected one that these runs have"):
        searching(objective=objective, trials=2)


def test_a_trial_whose_folder_is_gone_is_trained_again(searching, worked_out):
    space = {"loss.lambda": {"low": 1e-8, "high": 1e-6}}
    directory = searching(trials=2, space=space)
    shutil.rmtree(best_trial(directory.path))
    lost = best_trial(directory.path).name
    searching(trials=3, space=space)
    assert worked_out == ["trial-01", "trial-02", lost, "trial-03"]


def test_data_that_moved_carry_a_search_on(searching, worked_out, search_settings, tmp_path):
    directory = searching(trials=2)
    config, _ = search_settings(trials=2)
    moved = config.model_copy(update={"data": config.data.model_copy(update={"cache_directory": "moved"})})
    directory.require(moved)
    with pytest.raises(UserError, match="a finished one"), directory.open(moved):
        pass


def test_a_worker_without_a_trial_asks_once_a_second(search_settings, tmp_path, monkeypatch):
    config, dimensions = search_settings(oracle="hyperband", epochs=3)
    directory = SearchDirectory(tmp_path / "search")
    one = search.Search(make_oracle(config, dimensions, directory.state), config, dimensions, directory)
    waits = []
    monkeypatch.setattr(search.time, "sleep", waits.append)
    answers = iter(["RUNNING", "IDLE", "IDLE", "RUNNING", "STOPPED"])
    monkeypatch.setattr(one.oracle, "create_trial", lambda _: types.SimpleNamespace(status=next(answers)))
    monkeypatch.setattr(one, "_objective_of", lambda _: 0.5)
    monkeypatch.setattr(one, "_try_run_and_update_trial", one.run_trial)
    monkeypatch.setattr(one, "on_trial_end", lambda _: None)
    one.search()
    assert waits == [1, 1]


def test_a_finished_search_is_refused_and_goes_on_with_more_trials(searching, worked_out):
    directory = searching(trials=2)
    with pytest.raises(UserError, match="expected an unfinished search"):
        searching(trials=2)
    done = len(worked_out)
    searching(trials=4)
    assert [one["number"] for one in json.loads(directory.results.read_text())["trials"]] == [1, 2, 3, 4]
    assert not {"trial-01", "trial-02"} & set(worked_out[done:])


def test_a_search_of_another_configuration_is_refused(searching, worked_out):
    searching(trials=2)
    with pytest.raises(UserError, match=r"Received: tune.epochs is None there and 1 here; choose another --run"):
        searching(trials=2, epochs=1)


def test_a_folder_that_is_no_search_is_refused_and_untouched(searching, tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search/thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="a folder that holds other things"):
        searching()
    assert [entry.name for entry in (tmp_path / "search").iterdir()] == ["thesis.txt"]


def test_trials_of_other_values_are_not_taken_for_these(searching, worked_out):
    space = {"loss.lambda": {"low": 1e-8, "high": 1e-6}}
    directory = searching(trials=2, space=space)
    directory.state.unlink()
    kept = trial.read_outcome(directory.trial(2))
    write_record(directory.trial(2) / trial.OUTCOME, kept | {"epochs": 7})
    with pytest.raises(UserError, match="trial-02: expected the trial of"):
        searching(trials=3, space=space)
    write_record(directory.trial(2) / trial.OUTCOME, kept)
    searching(trials=3, space=space)
    assert worked_out.count("trial-01") == 1


def test_data_without_validation_images_are_refused_before_any_trial(searching, monkeypatch):
    load = tune.data.load

    def without(config):
        source = load(config)
        del source.splits["validation"]
        return source

    monkeypatch.setattr(tune.data, "load", without)
    monkeypatch.setattr(search, "outcome", lambda *_: pytest.fail("a trial was begun"))
    with pytest.raises(UserError, match="expected data with a validation split"):
        searching()


def test_an_unfinished_search_has_no_best_trial(searching, worked_out):
    directory = searching(trials=2)
    directory.results.write_text("{")
    with pytest.raises(UserError, match=r"tuning\.json: expected the results of a finished search\. Received: "):
        best_trial(directory.path)
    directory.results.unlink()
    with pytest.raises(UserError, match="Received: it is not finished"):
        best_trial(directory.path)


def test_a_trial_that_the_chief_was_only_told_of_is_trained_by_the_next_command(searching, worked_out, monkeypatch):
    def search_and_lose(self):
        everything(self)
        (self.files.trial(2) / trial.OUTCOME).unlink()

    everything = search.Search.search
    with monkeypatch.context() as patch, pytest.raises(RunError, match=r"Received: nothing of 2, which no worker of"):
        patch.setattr(search.Search, "search", search_and_lose)
        searching(trials=3, oracle="random")
    found = json.loads(searching(trials=3, oracle="random").results.read_text())
    assert [one["number"] for one in found["trials"]] == [1, 2, 3]
    assert worked_out == ["trial-01", "trial-02", "trial-03", "trial-02"]


def test_the_best_is_the_one_that_left_the_best_whatever_the_chief_was_told(searching, worked_out, monkeypatch):
    def search_and_lie(self):
        everything(self)
        for told in self.oracle.trials.values():
            told.score = -(told.score or 0)

    everything = search.Search.search
    monkeypatch.setattr(search.Search, "search", search_and_lie)
    found = json.loads(searching(trials=4, oracle="random").results.read_text())
    completed = [one for one in found["trials"] if one["failed"] is None]
    assert len(completed) > 1
    best = max(completed, key=lambda one: one["measures"]["balanced_accuracy"])
    assert found["best"] == best["number"]


def test_a_trial_whose_folder_is_gone_is_trained_again_whether_it_was_the_best_or_not(searching, worked_out):
    directory = searching(trials=3)
    best = json.loads(directory.results.read_text())["best"]
    for number in (best, best % 3 + 1):
        shutil.rmtree(directory.trial(number))
    before = len(worked_out)
    searching(trials=4)
    assert sorted(worked_out[before:]) == sorted(f"trial-{number:02d}" for number in (best, best % 3 + 1, 4))
    assert [one["number"] for one in json.loads(directory.results.read_text())["trials"]] == [1, 2, 3, 4]


def test_damaged_files_of_keras_tuner_are_not_read(searching, worked_out):
    directory = searching(trials=2)
    for name in ("oracle.json", "tuner0.json", "trial_0/trial.json"):
        directory.keras_tuner.joinpath(name).write_text("[" * 9)
    searching(trials=3)


def test_a_state_of_another_search_is_named(searching, worked_out):
    directory = searching(trials=2)
    state = directory.state.read_bytes()
    shutil.rmtree(directory.path)
    directory = searching(trials=2, space={"loss.gamma": {"low": 1.0, "high": 2.0}})
    directory.state.write_bytes(state)
    with pytest.raises(UserError, match=r"search\.json: expected the state of this search.* Received: that of another"):
        searching(trials=3, space={"loss.gamma": {"low": 1.0, "high": 2.0}})
