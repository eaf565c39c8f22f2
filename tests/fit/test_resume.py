"""A run that was stopped seven times, killed with -9 five times among them, against one that was left alone."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import mam_keras.model.layers  # noqa: F401 (registers what a saved model is made of)

ROOT = Path(__file__).parents[2]
STOPS = [  # a function of stopped_fit.py, and the signal
    ("filling_the_cache", signal.SIGKILL),
    ("in_a_step", signal.SIGKILL),
    ("half_a_checkpoint", signal.SIGKILL),
    ("in_a_step", signal.SIGTERM),
    ("between_the_checkpoints", signal.SIGKILL),
    ("saving_the_model", signal.SIGKILL),
    ("evaluating", signal.SIGINT),
]
EXIT_CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
TIMES = {"images_per_second"}


def fit(program, *arguments):
    """As a user would: whatever the tests' own environment says of TensorFlow's messages does not count."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP")}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, *map(str, program), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def arguments(tiny, stripes):
    settings = ["training.deterministic=true", "training.epochs=4", "training.early_stopping=4"]
    settings += ["loss.localisation=0.5", f"loss.regions={stripes}", "loss.directed={top: [1, 2]}"]
    settings += ["loss.localisation_by=energy", "loss.localisation_map=grad_cam"]  # a gradient of a gradient
    return [tiny, *(part for setting in settings for part in ("--set", setting))]


@pytest.fixture(scope="module")
def undisturbed(folder, arguments):
    return fit(["-m", "mam_keras.fit"], *arguments, "--run", folder / "undisturbed")


@pytest.fixture(scope="module")
def stopped(folder, arguments):
    """What each start ended with, and the environment.json it left, if any; the last start was not stopped."""
    run, cache = folder / "stopped", folder / "cache"
    arguments = [*arguments, "--run", run, "--set", "data.cache=disk", "--set", f"data.cache_directory={cache}"]
    program = Path(__file__).with_name("stopped_fit.py")
    starts = [[program, moment, number.name] for moment, number in STOPS]
    environment = run / "environment.json"
    return [
        (fit(start, *arguments), json.loads(environment.read_text()) if environment.exists() else None)
        for start in (*starts, ["-m", "mam_keras.fit"])
    ]


@pytest.mark.parametrize("index", range(len(STOPS)), ids=[f"{number.name} {moment}" for moment, number in STOPS])
def test_a_stop_has_its_exit_code_and_one_line_or_none(stopped, index):
    (done, environment), (moment, number) = stopped[index], STOPS[index]
    assert done.returncode == EXIT_CODES[number], done.stderr
    assert done.stderr == ("" if number == signal.SIGKILL else "stopped; the same command carries on\n")
    if moment == "filling_the_cache":  # a run begins when its data have been seen
        assert environment is None
    else:
        assert environment["end"] is None


def test_every_start_carried_on_where_the_checkpoint_was(stopped):
    epochs = [
        [line.split("/")[0] for line in done.stdout.splitlines() if line.startswith("epoch ")] for done, _ in stopped
    ]
    assert epochs == [
        [],
        ["epoch 1"],  # killed in epoch 2
        ["epoch 2"],  # its checkpoint was half written
        ["epoch 2"],  # terminated in epoch 3
        ["epoch 3"],
        ["epoch 4"],
        [],
        [],
    ]


def test_a_run_without_a_terminal_is_quiet(undisturbed, stopped):
    for done in (undisturbed, stopped[-1][0]):
        assert done.returncode == 0
        assert done.stderr == ""
        assert "\r" not in done.stdout
        assert done.stdout.startswith("tiny: 22 training images, 3 attributes, run directory ")
        assert "attribute heads" in done.stdout


def weights(run):
    return keras.saving.load_model(run / "model.keras").get_weights()


def history(run):
    with (run / "history.csv").open() as file:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def test_the_weights_are_those_of_the_undisturbed_run_bit_for_bit(folder, undisturbed, stopped):
    pairs = list(zip(weights(folder / "undisturbed"), weights(folder / "stopped"), strict=True))
    assert len(pairs) > 10
    for expected, found in pairs:
        np.testing.assert_array_equal(found, expected)


def test_so_are_history_predictions_and_evaluation(folder, undisturbed, stopped):
    one, other = folder / "undisturbed", folder / "stopped"
    assert history(other) == history(one)
    assert [row["epoch"] for row in history(other)] == ["1", "2", "3", "4"]
    assert (other / "evaluation.json").read_text() == (one / "evaluation.json").read_text()
    with np.load(one / "predictions.npz") as expected, np.load(other / "predictions.npz") as found:
        assert set(found.files) == set(expected.files)
        assert {
            f"{split}.{part}" for split in ("validation", "test") for part in ("ids", "labels", "attributes")
        } < set(found.files)
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])


def test_nothing_half_written_is_left(folder, undisturbed, stopped):
    files = {"config.yaml", "environment.json", "model.keras", "history.csv", "evaluation.json", "predictions.npz"}
    files.add("data.npz")
    for run in ("undisturbed", "stopped"):
        assert {entry.name for entry in (folder / run).iterdir()} == {*files, "logs"}
    names = [entry.name for entry in (folder / "cache").iterdir()]
    assert sorted(name.split("-")[0] + name[-4:] for name in names) == [
        f"{split}{end}" for split in ("test", "train", "validation") for end in (".npy", "json")
    ]


def test_the_first_start_is_kept(stopped):
    environments = [environment for _, environment in stopped if environment is not None]
    assert len({environment["start"] for environment in environments}) == 1
    assert environments[-1]["end"] > environments[-1]["start"]


def test_weights_of_a_file_are_needed_once(tiny, tmp_path):
    """A run that has a checkpoint carries on without the file that its backbone began from."""
    file = tmp_path / "begun.weights.h5"
    keras.applications.MobileNet(include_top=False, weights=None, input_shape=(224, 224, 3)).save_weights(file)
    config = tmp_path / "application.yaml"
    backbone = f"  backbone: {{kind: applications, network: MobileNet, stage: conv_pw_3_relu, weights: {file}}}\n"
    config.write_text(tiny.read_text().replace("  front_end: [4, 4]\n  dilations: [1]\n", backbone))
    arguments = [config, "--run", tmp_path / "run"]
    program = [Path(__file__).with_name("stopped_fit.py"), "in_a_step", "SIGKILL"]
    assert fit(program, *arguments).returncode == -signal.SIGKILL
    file.unlink()
    done = fit(["-m", "mam_keras.fit"], *arguments)
    assert done.returncode == 0, done.stderr
