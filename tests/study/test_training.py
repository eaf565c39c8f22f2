"""Which runs of a study are trained, carried on, left alone or refused. The real `fit` is in `test_study.py`."""

import json
import threading
import time

import pytest

from mam_keras import child
from mam_keras import config as configuration
from mam_keras.errors import RunError, UntrainableError, UserError
from mam_keras.files import digest, locked
from mam_keras.run_directory import RunDirectory
from mam_keras.study import plan, training
from mam_keras.study import run as study_run
from mam_keras.study.study_directory import StudyDirectory


def evaluated(means):
    """An evaluation.json, as far as a study looks at it."""
    head = {"mean": means, "per_attribute": {}}
    return {"splits": {"validation": {"images": 1, "heads": {"attributes": head}}}}


EVALUATION = evaluated({"accuracy": 0.8, "balanced_accuracy": 0.7})
RUNS = {"papers": {}, "top": {"model.pooled_share": 0.25}, "few": {"model.channels": 2}}


@pytest.fixture
def fits(monkeypatch):
    """Runs that a process was started for; `fits.errors` says with what one ends instead of being finished."""

    class Fits(list):
        errors = {}  # noqa: RUF012

        def __call__(self, config, run, overwrite):
            child.await_other(run)
            if run.finished:
                return
            self.append((run.path.name, overwrite))
            with run.open(config, overwrite):
                run.begin(config)
                run.last_checkpoint.parent.mkdir(exist_ok=True)
                run.last_checkpoint.touch()
            if start := config.training.start_from:
                model = digest(RunDirectory(start).model)
                started = {"run": start, "model": model, "said": []}
                run.environment.write_text(json.dumps({"versions": {}, "started_from": started}))
            if error := self.errors.get(run.path.name):
                raise error("the loss became nan in epoch 1")
            run.model.write_text(f"model {len(self)}")
            run.evaluation.write_text(json.dumps(EVALUATION))

    monkeypatch.setattr(child, "train", found := Fits())
    return found


@pytest.fixture
def study(write_study, tmp_path):
    """study(overrides, key=value) trains three runs in tmp_path/small-study; `study.failed` says which failed."""

    def go(overrides=(), **changes):
        planned = plan.load(write_study(tmp_path, **({"runs": RUNS} | changes)), overrides)
        directory = StudyDirectory(tmp_path / "small-study")
        with directory.open(planned):
            go.failed = study_run.train(planned, directory)
        return directory

    return go


@pytest.mark.parametrize(
    "means, line",
    [
        ({"top1": 0.5, "accuracy": 0.9, "balanced_accuracy": None}, "validation accuracy 50.0 %, balanced undefined"),
        ({"accuracy": 0.9, "balanced_accuracy": 0.7}, "validation accuracy 90.0 %, balanced 70.0 %"),
    ],
    ids=["classes, one of them absent", "attributes"],
)
def test_a_run_is_judged_in_one_line(tmp_path, means, line):
    run = RunDirectory(tmp_path)
    run.evaluation.write_text(json.dumps(evaluated(means)))
    assert training._validation(run) == line


def test_every_run_is_trained_once(study, fits, capsys):
    directory = study()
    assert fits == [("papers", False), ("top", False), ("few", False)]
    assert configuration.load(directory.run("top").config).model.pooled_share == 0.25
    printed = capsys.readouterr().out
    assert "run 1/3: papers: changes nothing; " in printed
    assert "run 2/3: top: changes model.pooled_share 0.25, about 0 min left; " in printed
    assert "run 3/3: few: validation accuracy 80.0 %, balanced 70.0 %; 0 s\n" in printed
    study()
    assert len(fits) == 3
    assert capsys.readouterr().out == ""


def test_runs_that_the_file_gained_are_trained(study, fits, capsys):
    study(runs={"papers": {}})
    study()
    assert "run 1/3: papers: validation accuracy 80.0 %, balanced 70.0 %; finished before" in capsys.readouterr().out
    assert [name for name, _ in fits] == ["papers", "top", "few"]


def test_runs_that_the_file_lost_are_left_alone(study, fits):
    directory = study()
    study(runs={"papers": {}})
    assert directory.run("few").finished


def test_a_finished_run_of_other_settings_is_refused_before_any_training(study, fits):
    study(runs={"papers": {}, "few": {"model.channels": 2}})
    changed = {"papers": {}, "top": {"model.pooled_share": 0.25}, "few": {"model.channels": 3}}
    with pytest.raises(
        UserError, match=r"config.yaml: expected the settings of the study's run few\. Received: model\."
    ) as it:
        study(runs=changed)
    assert "model.channels is 2 there and 3 in the study" in str(it.value)
    assert [name for name, _ in fits] == ["papers", "few"]


def test_an_unfinished_run_of_other_settings_begins_anew(study, fits, capsys):
    fits.errors = {"few": RunError}
    study()
    fits.errors = {}
    directory = study(runs=RUNS | {"few": {"model.channels": 3}})
    assert fits[3:] == [("few", True)]
    assert "begun with other settings and never finished: it begins anew" in capsys.readouterr().out
    assert configuration.load(directory.run("few").config).model.channels == 3


def test_what_comes_after_training_may_change(study, fits):
    fits.errors = {"few": RunError}
    study()
    fits.errors = {}
    directory = study(["analysis.resamples=30", "data.cache_directory=elsewhere"])
    assert fits[3:] == [("few", False)]  # carried on
    for name in RUNS:
        assert configuration.load(directory.run(name).config).analysis.resamples == 30
        assert configuration.load(directory.run(name).config).data.cache_directory == "elsewhere"


def test_failed_runs_are_shown_and_counted_and_tried_again(study, fits, capsys):
    fits.errors = {"top": RunError, "few": UntrainableError}
    study()
    printed = capsys.readouterr().out
    assert "run 2/3: top failed, and the next command tries it again: the loss became nan in epoch 1\n" in printed
    assert study.failed == {"top": "the loss became nan in epoch 1", "few": "the loss became nan in epoch 1"}
    fits.errors = {}
    study()
    assert [name for name, _ in fits[3:]] == ["top", "few"]


def test_a_full_disk_ends_the_study_and_the_next_command_carries_on(study, fits):
    line = "few/checkpoints/last.npz: cannot be written: No space left on device"
    fits.errors = {"few": lambda _: RunError(line)}
    with pytest.raises(RunError, match=f"^{line}$"):
        study(runs={"papers": {}, "few": RUNS["few"], "top": RUNS["top"]})
    assert [name for name, _ in fits] == ["papers", "few"]
    fits.errors = {}
    study(runs={"papers": {}, "few": RUNS["few"], "top": RUNS["top"]})
    assert [name for name, _ in fits[2:]] == ["few", "top"]


def test_a_study_without_its_baseline_or_without_any_run_fails(study, fits):
    fits.errors = {"papers": RunError}
    with pytest.raises(RunError, match=r"^the baseline papers, which all are compared with, failed: the loss became"):
        study()
    assert [name for name, _ in fits] == ["papers", "top", "few"]
    fits.errors = {"papers": RunError, "many": RunError}
    with pytest.raises(RunError, match=r"^none of 2 runs completed; the first failed: the loss became nan"):
        study(runs={"papers": {}, "many": {"model.channels": 5}})


def test_input_that_fit_finds_at_fault_ends_the_study(study, fits):
    fits.errors = {"top": UserError}
    with pytest.raises(UserError, match=r"^the loss became nan in epoch 1$"):
        study()
    assert [name for name, _ in fits] == ["papers", "top"]


def test_another_studys_directory_and_other_folders_are_refused(study, fits, tmp_path):
    study()
    with pytest.raises(UserError, match=r"study\.yaml: expected the study 'other'\. Received: 'small'"):
        study(name="other")
    (tmp_path / "small-study/study.yaml").unlink()
    with pytest.raises(UserError, match="a folder that holds other things"):
        study()
    with locked(tmp_path / "small-study", wait=False), pytest.raises(UserError, match="another process holds it"):
        study()


def test_data_without_validation_images_are_refused_before_any_training(study, fits, monkeypatch):
    load = study_run.data.load

    def without(config):
        source = load(config)
        del source.splits["validation"]
        return source

    monkeypatch.setattr(study_run.data, "load", without)
    with pytest.raises(UserError, match="run papers: data: expected a validation split"):
        study()
    assert fits == []


def test_a_run_that_nobody_tells_where_attributes_are_is_refused_before_any_training(study, fits):
    with pytest.raises(UserError, match=r"run told: loss.localisation: expected 0, or a file .*loss.regions"):
        study(runs={"papers": {}, "told": {"loss.localisation": 0.1}})
    assert fits == []


def test_a_run_that_a_killed_studys_process_still_trains_is_waited_for(study, fits, capsys):
    fits.errors = {"few": RunError}
    directory = study()
    fits.errors = {}
    held = threading.Event()

    def orphan():
        with locked(directory.run("few").path, wait=False):
            held.set()
            time.sleep(0.5)
            directory.run("few").evaluation.write_text(json.dumps(EVALUATION))

    thread = threading.Thread(target=orphan)
    thread.start()
    held.wait()
    study()
    thread.join()
    assert len(fits) == 3
    assert "another process is training it; waiting" in capsys.readouterr().out


def test_a_baseline_one_of_whose_seeds_failed_is_still_one(study, fits):
    fits.errors = {"papers-seed1": RunError}
    study(runs={"papers": {}, "top": {"model.pooled_share": 0.25}}, seeds=[1, 2])
    assert list(study.failed) == ["papers-seed1"]
    assert [name for name, _ in fits] == ["papers-seed1", "papers-seed2", "top-seed1", "top-seed2"]


# --- runs that start from others ---

STARTED = {"papers": {}, "tuned": {"from": "papers", "training.epochs": 2}, "few": {"model.channels": 2}}


def test_a_run_starts_from_the_studys_own(study, fits):
    directory = study(runs=STARTED)
    assert [name for name, _ in fits] == ["papers", "tuned", "few"]
    assert configuration.load(directory.run("tuned").config).training.start_from == str(directory.run("papers").path)
    study(runs=STARTED)
    assert len(fits) == 3


def test_what_starts_from_a_failed_run_fails_with_it_and_is_trained_with_it(study, fits, capsys):
    runs = {"few": {"model.channels": 2}} | STARTED | {"further": {"from": "tuned"}}
    fits.errors = {"papers": RunError}
    study(runs=runs, baseline="few")
    assert [name for name, _ in fits] == ["few", "papers"]
    why = "papers, which it starts from, failed: the loss became nan in epoch 1"
    assert study.failed["tuned"] == why and study.failed["further"] == f"tuned, which it starts from, failed: {why}"
    assert f"tuned: {why}" in capsys.readouterr().out
    fits.errors = {}
    study(runs=runs, baseline="few")
    assert [name for name, _ in fits[2:]] == ["papers", "tuned", "further"] and study.failed == {}


def test_a_finished_run_whose_start_is_another_now_is_refused(study, fits):
    directory = study(runs=STARTED)
    directory.run("papers").model.write_text("another")
    with pytest.raises(UserError, match=r"/tuned: expected a run that started from papers of this study\. Received: "):
        study(runs=STARTED)
    assert len(fits) == 3


def test_an_unfinished_run_whose_start_is_another_now_begins_anew(study, fits):
    fits.errors = {"tuned": RunError}
    directory = study(runs=STARTED)
    fits.errors = {}
    study(runs=STARTED)
    directory.run("tuned").evaluation.unlink()
    directory.run("tuned").model.unlink()
    directory.run("papers").model.write_text("another")
    study(runs=STARTED)
    assert fits[3:] == [("tuned", False), ("tuned", True)]


def test_a_study_that_was_moved_goes_on(study, fits, tmp_path):
    directory = study(runs=STARTED)
    directory.path.rename(tmp_path / "moved")
    planned = plan.load(tmp_path / "study.yaml")
    moved = StudyDirectory(tmp_path / "moved")
    with moved.open(planned):
        assert study_run.train(planned, moved) == {}
    assert len(fits) == 3
    assert configuration.load(moved.run("tuned").config).training.start_from == f"{tmp_path}/moved/papers"
