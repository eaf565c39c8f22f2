import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mam_keras import config
from mam_keras.errors import RunError, UserError
from mam_keras.files import MARK, locked, replacing, write_csv, write_json, write_text
from mam_keras.run_directory import RunDirectory, carried_over

ROOT = Path(__file__).parents[1]


def settings(**training):
    return config.check({"name": "tiny", "data": {"source": "table", "file": "a.csv"}, "training": training}, "here")


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "runs/tiny")


def ready(directory, run_settings, overwrite=False):
    with directory.open(run_settings, overwrite):
        directory.begin(run_settings)
        return {entry.relative_to(directory.path).as_posix() for entry in directory.path.rglob("*")}


def trained(directory, run_settings, finished=False):
    """Leaves what an unfinished or a finished run leaves."""
    ready(directory, run_settings)
    for path in (directory.last_checkpoint, directory.best_checkpoint, directory.logs / "train/events"):
        write_text(path, "old")
    write_text(directory.history, "old")
    write_json(directory.environment, {"versions": {"mam_keras": "0.1"}})
    if finished:
        results = [directory.path / name for name in ("analysis/masks.test.json", "saved_model/1/variables/a.index")]
        for path in (directory.model, directory.predictions, *results, directory.evaluation):
            write_text(path, "old")


def refused(directory, run_settings, overwrite=False):
    with pytest.raises(UserError) as caught:
        ready(directory, run_settings, overwrite)
    return str(caught.value)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_directory_holds_the_configuration(directory):
    assert ready(directory, settings(epochs=3)) == {"config.yaml"}
    assert config.load(directory.config) == settings(epochs=3)
    assert not directory.finished


def test_nothing_is_written_or_removed_before_a_run_begins(directory):
    """What is refused in between, as a batch that is too large, leaves nothing behind and loses nothing."""
    with pytest.raises(UserError), directory.open(settings(), overwrite=False):
        assert not any(directory.path.iterdir())
        raise UserError("training.batch_size: ...")
    assert not directory.path.parent.exists()
    directory.path.parent.mkdir()
    refused(directory, settings(start_from="nowhere"))
    assert not any(directory.path.parent.iterdir())
    trained(directory, settings(), finished=True)
    before = content(directory.path)
    with pytest.raises(UserError), directory.open(settings(epochs=3), overwrite=True):
        assert not directory.begun and directory.trained_in is None
        raise UserError("training.batch_size: ...")
    assert content(directory.path) == before


def test_the_same_configuration_carries_on(directory):
    trained(directory, settings())
    before = content(directory.path)
    ready(directory, settings())
    assert content(directory.path) == before


def test_a_finished_run_is_refused_and_left_alone(directory):
    trained(directory, settings(), finished=True)
    directory.remove_checkpoints()
    before = content(directory.path)
    assert directory.finished
    assert refused(directory, settings()) == (
        f"{directory.path}: expected an unfinished run. Received: a finished one; --overwrite trains it again"
    )
    assert content(directory.path) == before


def test_checkpoints_that_a_kill_left_in_a_finished_run_go(directory):
    trained(directory, settings(), finished=True)
    refused(directory, settings())
    assert not directory.checkpoints.exists()


def test_a_run_of_another_configuration_is_refused_with_the_first_key_that_differs(directory):
    trained(directory, settings(epochs=3, batch_size=8))
    before = content(directory.path)
    line = refused(directory, settings(epochs=4, batch_size=9))
    assert line == (
        f"{directory.config}: expected the configuration of this run to go on with. Received: training.epochs is "
        "3 there and 4 here; choose another --run, or --overwrite"
    )
    assert content(directory.path) == before


def test_a_run_that_had_nothing_to_keep_takes_another_configuration(directory):
    ready(directory, settings(batch_size=1000))  # say, more than there are images
    write_text(directory.environment, "old")
    assert ready(directory, settings(batch_size=8)) == {"config.yaml"}
    assert config.load(directory.config) == settings(batch_size=8)


def test_overwrite_removes_everything_of_the_old_run_and_nothing_else(directory):
    trained(directory, settings(epochs=3), finished=True)
    write_text(directory.path / "notes.txt", "mine")
    assert ready(directory, settings(epochs=4), overwrite=True) == {"config.yaml", "notes.txt"}
    assert config.load(directory.config) == settings(epochs=4)


def test_overwrite_leaves_what_a_user_put_into_the_runs_folders(directory):
    trained(directory, settings(), finished=True)
    mine = {"logs/diary.txt", "analysis/my.ipynb", "checkpoints/readme", "saved_model/notes/a"}
    for name in mine:
        write_text(directory.path / name, "mine")
    ready(directory, settings(), overwrite=True)
    assert set(content(directory.path)) == {"config.yaml", *mine}


def test_overwrite_empties_a_folder_that_is_a_link_and_keeps_the_link(directory, tmp_path):
    trained(directory, settings(), finished=True)
    directory.logs.rename(tmp_path / "elsewhere")
    directory.logs.symlink_to(tmp_path / "elsewhere")
    assert ready(directory, settings(), overwrite=True) == {"config.yaml", "logs"}
    assert directory.logs.is_symlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_overwrite_removes_nothing_where_it_may_not_remove_everything(directory, monkeypatch):
    trained(directory, settings(), finished=True)
    before = content(directory.path)
    monkeypatch.setattr("os.access", lambda folder, _: folder != directory.checkpoints)
    assert refused(directory, settings(), overwrite=True) == (
        f"{directory.checkpoints}: expected a folder that can be written. Received: Permission denied"
    )
    assert content(directory.path) == before


@pytest.mark.parametrize("lost", [{"model.keras"}, {"evaluation.json"}, {"model.keras", "evaluation.json"}])
@pytest.mark.parametrize("epochs", [3, 4])
def test_a_finished_run_that_lost_a_file_loses_no_other(directory, lost, epochs):
    trained(directory, settings(epochs=3), finished=True)
    directory.remove_checkpoints()
    for name in lost:
        (directory.path / name).unlink()
    before = content(directory.path)
    refused(directory, settings(epochs=epochs))
    assert content(directory.path) == before


def test_what_is_left_of_a_run_without_its_checkpoint_is_named(directory):
    trained(directory, settings(), finished=True)
    directory.remove_checkpoints()
    directory.evaluation.unlink()
    assert refused(directory, settings()) == (
        f"{directory.path}: expected an unfinished run with its checkpoint. Received: model.keras, and no checkpoint; "
        "choose another --run, or --overwrite"
    )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_users_own_folder_with_a_configuration_is_no_run(directory, overwrite):
    write_text(directory.config, "# my notes\n" + settings(epochs=3).to_yaml())
    write_text(directory.path / "logs/train/events", "mine")
    write_text(directory.environment, '{"versions": [], "mam_keras": 1}')
    before = content(directory.path)
    assert refused(directory, settings(), overwrite).endswith("Received: a folder that holds other things")
    assert content(directory.path) == before


def test_a_run_of_an_earlier_version_is_one_by_its_environment(directory):
    trained(directory, settings())
    write_text(directory.config, settings().to_yaml())
    ready(directory, settings())
    assert directory.last_checkpoint.exists()
    assert directory.config.read_text().startswith(MARK)


def test_places_and_what_comes_after_training_may_change_on_the_way(directory):
    trained(directory, settings())
    values = {"name": "tiny", "data": {"source": "table", "file": "moved/b.csv", "cache": "disk"}}
    moved = config.check(values | {"analysis": {"resamples": 7}}, "here")
    ready(directory, moved)
    assert directory.last_checkpoint.exists()
    assert config.load(directory.config) == moved
    assert carried_over(settings(), moved) == moved
    assert carried_over(settings(), moved, ()).analysis == settings().analysis
    other = config.check(values | {"data": {"source": "synthetic_faces"}}, "here")
    assert carried_over(settings(), other).data == settings().data
    line = refused(directory, settings(epochs=3))
    assert "Received: training.epochs is 10 there and 3 here" in line


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_things_is_refused_and_untouched(directory, overwrite):
    write_text(directory.path / "logs/mine.txt", "mine")
    write_text(directory.path / "model.keras", "mine")
    write_text(directory.path / ".partial-mine", "mine")
    line = refused(directory, settings(), overwrite)
    reason = "Received: a folder that holds other things"
    assert line == f"{directory.path}: expected the directory of a run, or none. {reason}"
    assert content(directory.path) == dict.fromkeys(("logs/mine.txt", "model.keras", ".partial-mine"), b"mine")


def test_a_damaged_configuration_is_refused_and_can_be_overwritten(directory):
    trained(directory, settings())
    directory.config.write_text("name: [")  # the environment says what the folder is
    assert refused(directory, settings()).startswith(f"{directory.config}, line 1: expected YAML. Received: ")
    assert ready(directory, settings(), overwrite=True) == {"config.yaml"}


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path, reason in ((tmp_path / "file/run", "Not a directory"), (tmp_path / "file", "File exists")):
        line = refused(RunDirectory(path), settings())
        assert line == f"{path}: expected a directory that can be written (--run). Received: {reason}"


def test_a_directory_that_cannot_be_written_is_refused(directory, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)  # nothing is denied to root, whom tests may run as
    line = refused(directory, settings())
    assert line == f"{directory.path}: expected a directory that can be written (--run). Received: Permission denied"


def test_a_directory_that_another_process_works_in_is_refused(directory):
    program = (
        "import sys, time\n"
        "from mam_keras.files import locked\n"
        "with locked(sys.argv[1], wait=False):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    directory.path.mkdir(parents=True)
    command = [sys.executable, "-c", program, directory.path]
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout.readline() == "held\n"
        for overwrite in (False, True):
            line = refused(directory, settings(), overwrite)
            assert line == (
                f"{directory.path}: expected a run that nothing is working on. Received: another process holds it"
            )
        other.kill()
    ready(directory, settings())  # a killed process holds nothing


def test_a_folder_is_held_until_it_is_left(tmp_path):
    with locked(tmp_path, wait=False), pytest.raises(BlockingIOError), locked(tmp_path, wait=False):
        pass
    with locked(tmp_path, wait=True):
        pass


@pytest.mark.parametrize("begun", [False, True])
def test_what_a_kill_left_half_written_goes(directory, begun):
    if begun:
        trained(directory, settings())
    files = (directory.config, directory.last_checkpoint) if begun else (directory.config,)
    halves = [half_written(file) for file in files]
    assert all(half.exists() for half in halves)
    ready(directory, settings())
    assert not any(half.exists() for half in halves)
    assert begun == directory.last_checkpoint.exists()


def half_written(file):
    """What a kill leaves: a file under the name that `replacing` writes to first."""
    with pytest.raises(KeyboardInterrupt), replacing(file) as beside:
        raise KeyboardInterrupt
    beside.write_text("half")
    return beside


def test_a_file_is_replaced_at_once(tmp_path):
    path = tmp_path / "new/model.keras"
    write_text(path, "old")
    with replacing(path) as beside:
        assert beside.parent == path.parent
        assert beside.suffix == ".keras"
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert content(tmp_path) == {"new/model.keras": b"new"}


def test_after_an_error_the_old_file_stays(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as beside:
        beside.write_text("new")
        raise KeyboardInterrupt
    assert content(tmp_path) == {"a.txt": b"old"}


def test_a_full_disk_is_named_with_the_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    message = f"{path}: cannot be written: No space left on device; what was there before stays"
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"), replacing(path):
        raise OSError(28, "No space left on device")
    assert content(tmp_path) == {"a.txt": b"old"}


def test_written_files_are_readable_by_others(tmp_path):
    write_text(tmp_path / "a", "")
    assert os.stat(tmp_path / "a").st_mode & 0o777 == 0o644  # noqa: PTH116


def test_json_and_csv_come_back(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1.5, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    write_csv(tmp_path / "a.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    with (tmp_path / "a.csv").open() as file:
        assert list(csv.reader(file)) == [["epoch", "loss"], ["1", "0.5"], ["2", "0.25"]]
