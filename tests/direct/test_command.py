"""`python -m mam_keras.direct RUN_DIR --regions FILE`: two trainings, killed with -9 and carried on."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest

import mam_keras.model.layers  # noqa: F401 (registers what a saved model is made of)
from mam_keras import child, command_line, config, directed, extras
from mam_keras.direct import __main__, plan, run
from mam_keras.errors import UserError
from mam_keras.files import locked
from mam_keras.fit import cluster
from mam_keras.run_directory import RunDirectory

ROOT = Path(__file__).parents[2]
PATIENCE = 400  # seconds, on a machine that does much else
SETTINGS = ("training.deterministic=true", "training.epochs=3", "training.xla='off'")


def command(module, *arguments):
    return [sys.executable, "-m", f"mam_keras.{module}", *map(str, arguments)]


def environment():
    found = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP")}
    return found | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def arguments(before, regions):
    chosen = ["--attributes", "Smiling,Eyeglasses", *(f"--set={setting}" for setting in SETTINGS)]
    return [before, "--regions", regions, "--run", before.with_name("after"), *chosen]


@pytest.fixture(scope="module")
def killed(arguments, before):
    """The command and its child are killed in the second epoch; what they left."""
    process = subprocess.Popen(command("direct", *arguments), env=environment(), stdout=subprocess.DEVNULL)
    checkpoint, until = before.with_name("after") / "checkpoints/last.npz", time.monotonic() + PATIENCE
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        os.kill(one.pid, signal.SIGKILL)
    process.wait()
    return {file.name for file in before.with_name("after").iterdir()}


@pytest.fixture(scope="module")
def after(killed, arguments, before):
    """The same command again, left alone; its output and the directory."""
    done = subprocess.run(command("direct", *arguments), env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return before.with_name("after"), done.stdout


def test_a_killed_command_left_no_finished_run(killed):
    assert {"config.yaml", "directed.json", "regions.yaml", "checkpoints", "fit"} < killed
    assert "evaluation.json" not in killed


def test_the_same_command_carries_on_and_trains_the_control(after):
    path, output = after
    printed = (path / "fit/directed.log").read_text()
    epochs = [line.split(":")[0] for line in printed.splitlines() if line.startswith("epoch ")]
    assert epochs == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "directed: trained in" in output and "control: trained in" in output
    assert RunDirectory(path).finished and RunDirectory(path / "control").finished
    assert not (path / "checkpoints").exists()


def weights(path):
    return keras.saving.load_model(path / "model.keras", compile=False).get_weights()


def test_a_killed_run_equals_an_undisturbed_one_bit_for_bit(after, tmp_path):
    path, _ = after
    done = subprocess.run(
        command("fit", path / "config.yaml", "--run", tmp_path / "undisturbed"),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pairs = list(zip(weights(path), weights(tmp_path / "undisturbed"), strict=True))
    assert len(pairs) > 10
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)


def test_directed_and_control_differ_from_the_run_before_and_from_each_other(after, before):
    path, _ = after
    of_runs = [weights(one) for one in (before, path, path / "control")]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert any((a != b).any() for a, b in zip(of_runs[one], of_runs[other], strict=True))


def test_the_run_says_how_it_was_directed(after, before, regions):
    told = directed.read(after[0])
    assert (told.before.resolve(), told.attributes) == (before.resolve(), ("Smiling", "Eyeglasses"))
    assert told.unchanged
    assert told.settings["training.epochs"] == 3
    assert config.settings.read(told.regions) == config.settings.read(regions)


def call(monkeypatch, capsys, *arguments):
    """In this process, as what is refused needs no TensorFlow: exit code and errors."""
    monkeypatch.setattr(sys, "argv", ["direct", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command_line.run(__main__.main)
    return ended.value.code, capsys.readouterr().err


def test_a_finished_run_is_refused(after, arguments, monkeypatch, capsys):
    code, errors = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert errors == (
        f"error: {after[0]}: expected an unfinished run. Received: a finished one; --overwrite directs it again\n"
    )


@pytest.mark.parametrize(
    "changed, line",
    [
        (["--set=training.epochs=4"], "config.yaml: expected the configuration of this run to go on with. Received: "),
        (["--attributes", "Wearing_Hat"], "configuration of this run to go on with. Received: loss.directed"),
    ],
)
def test_other_settings_than_those_of_a_finished_run_are_refused(after, arguments, monkeypatch, capsys, changed, line):
    code, errors = call(monkeypatch, capsys, *arguments, *changed)
    assert code == 2 and line in errors and errors.count("\n") == 1


def test_other_regions_than_those_it_was_told_are_refused(after, arguments, monkeypatch, capsys, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("attributes: {Smiling: {presets: [mouth]}, Eyeglasses: {presets: [eyes]}}")
    code, errors = call(monkeypatch, capsys, *arguments, "--regions", other)
    assert code == 2
    assert "regions.yaml: expected the regions of --regions to go on with. Received: others; choose another" in errors


def test_a_directory_that_another_process_directs_in_is_refused(after, arguments, monkeypatch, capsys):
    with locked(after[0] / "fit", wait=False):
        code, errors = call(monkeypatch, capsys, *arguments, "--overwrite")
    assert code == 2
    assert errors.endswith("expected a run that nothing is working on. Received: another process directs it\n")


@pytest.mark.parametrize("flag", [["--attributes", "Smiling"], ["--set", "training.epochs=1"], ["--overwrite"]])
def test_flags_of_the_command_without_the_page_want_its_regions(before, monkeypatch, capsys, flag):
    code, errors = call(monkeypatch, capsys, before, *flag)
    assert (code, errors.count("\n")) == (2, 1)
    assert errors.startswith(f"error: {flag[0]}: expected --regions with it")


def test_a_page_whose_packages_are_missing_says_which_to_install(before, monkeypatch, capsys):
    monkeypatch.setitem(extras.EXTRAS, "direct", ("not_installed",))
    code, errors = call(monkeypatch, capsys, before)
    assert code == 2
    assert "pip install 'mam_keras[direct]'" in errors and errors.count("\n") == 1


@pytest.fixture
def trained(monkeypatch):
    """Trainings that a process was to be started for, of which each is finished at once."""
    found = []

    def train(config, run, kept, together):
        found.append((run.path.name, kept.name, together))
        run.evaluation.write_text("{}")

    monkeypatch.setattr(child, "train", train)
    return found


@pytest.fixture
def planned(before, regions, tmp_path):
    return plan.make(plan.opened(before), tmp_path / "after", regions, ["Smiling"])


def test_workers_train_together_once_the_chief_has_made_the_directory_ready(planned, trained, monkeypatch):
    """As on two machines that share the directory; each worker starts both trainings."""
    chief, worker = (cluster.Cluster(("a:1", "b:1"), index) for index in (0, 1))

    def meet(met):
        assert directed.read(planned.told.path) == planned.told
        trained.append(met.index)

    monkeypatch.setattr(cluster, "meet", meet)
    run.run(planned, workers=chief)
    assert trained == [0, ("after", "directed-worker0", True), ("control", "control-worker0", True)]
    trained.clear()
    for name in ("evaluation.json", "control/evaluation.json"):
        (planned.told.path / name).unlink()
    run.run(planned, workers=worker)
    assert trained == [1, ("after", "directed-worker1", True), ("control", "control-worker1", True)]


@pytest.mark.parametrize("there", [False, True])
def test_a_training_that_is_refused_leaves_nothing_of_its_own(planned, monkeypatch, there):
    def refuse(config, run, kept, together):
        kept.with_suffix(".log").write_text("error: ...")
        raise UserError("run after: data: ...")

    monkeypatch.setattr(child, "train", refuse)
    if there:
        run.prepare(planned)
    with pytest.raises(UserError, match=r"^run after: data"):
        run.run(planned)
    assert planned.told.path.exists() == there


def test_nothing_is_overwritten_where_the_data_are_gone(planned, trained):
    run.run(planned)
    gone = planned.config.data.model_copy(update={"source": "folders", "directory": "gone"})
    with pytest.raises(UserError, match="gone"):
        run.run(dataclasses.replace(planned, config=planned.config.model_copy(update={"data": gone})), overwrite=True)
    assert all(directory.finished for directory, _ in planned.runs.values())


def test_a_worker_without_the_shared_directory_says_so(planned, trained, monkeypatch):
    monkeypatch.setattr(cluster, "meet", lambda _: None)
    with pytest.raises(UserError, match="expected a folder that all workers share"):
        run.run(planned, workers=cluster.Cluster(("a:1", "b:1"), 1))
    assert trained == []


def test_a_control_that_is_missing_alone_is_trained_alone(planned, trained):
    run.run(planned)
    RunDirectory(planned.told.control).evaluation.unlink()
    trained.clear()
    run.run(planned)
    assert trained == [("control", "control", False)]


def test_a_run_before_that_was_trained_anew_is_not_gone_on_with(planned, trained):
    run.run(planned)
    told = planned.told
    other = dataclasses.replace(planned, told=dataclasses.replace(told, model="other"))
    RunDirectory(told.control).evaluation.unlink()
    with pytest.raises(UserError, match=r"directed\.json: expected a run that started from the model of "):
        run.run(other)
