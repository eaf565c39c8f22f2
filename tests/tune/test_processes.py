"""Searches in processes of their own: killed with -9 and started again; a chief and two workers."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mam_keras.tune import trial
from mam_keras.tune.search_directory import SearchDirectory

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TUNE = ["-m", "mam_keras.tune"]
STEPS = 2 * 2  # of a trial: 32 images in batches of 16, two epochs


@pytest.fixture
def start(search_settings, tmp_path):
    """start(program, {variable: value}, trials) -> a process that searches in tmp_path/search."""

    def process(program, environment=(), trials=3):
        config, _ = search_settings(trials=trials)
        (tmp_path / "tiny.yaml").write_text(config.to_yaml())
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | dict(environment)
        command = [sys.executable, *map(str, program), str(tmp_path / "tiny.yaml"), "--run", str(tmp_path / "search")]
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return process


def ended(process):
    """(exit code, standard output); nothing may be on standard error."""
    with process:
        output, errors = process.communicate(timeout=200)
    assert errors == ""
    return process.returncode, output


def test_a_search_killed_in_its_third_trial_repeats_no_finished_trial(start, tmp_path):
    directory = SearchDirectory(tmp_path / "search")
    killed, output = ended(start([HERE / "killed_tune.py", 2 * STEPS + 3]))  # in the third trial's second epoch
    assert killed == -signal.SIGKILL
    assert "trial 2: balanced_accuracy" in output
    done = {n: (directory.trial(n) / trial.OUTCOME).stat().st_mtime_ns for n in (1, 2)}
    models = {n: (directory.trial(n) / "model.keras").stat().st_mtime_ns for n in (1, 2)}

    code, output = ended(start(TUNE))
    assert code == 0
    assert output.splitlines()[0] == "Carried on: 2 trials are over"
    assert "trial 2: " not in output
    assert {n: (directory.trial(n) / trial.OUTCOME).stat().st_mtime_ns for n in (1, 2)} == done
    assert {n: (directory.trial(n) / "model.keras").stat().st_mtime_ns for n in (1, 2)} == models
    log = [line for line in (directory.trial(3) / trial.LOG).read_text().splitlines() if line.startswith("epoch")]
    assert [line.split(":")[0] for line in log] == ["epoch 1/2", "epoch 2/2"]  # the second went on, the first stood
    with (directory.trial(3) / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert len(json.loads(directory.results.read_text())["trials"]) == 3


def test_a_chief_and_two_workers_finish_one_search(start, tmp_path):
    directory = SearchDirectory(tmp_path / "search")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    chief = start([HERE / "impatient_chief.py"], there | {"KERASTUNER_TUNER_ID": "chief"})
    workers = [start(TUNE, there | {"KERASTUNER_TUNER_ID": f"worker{n}"}) for n in (1, 2)]
    outputs = [output for code, output in map(ended, workers) if code == 0]
    assert len(outputs) == 2
    code, chiefs = ended(chief)
    assert code == 0
    run = [line.split(":")[0] for output in outputs for line in output.splitlines() if ": loss.lambda" in line]
    assert sorted(run) == ["trial 1", "trial 2", "trial 3"]  # each by one of them
    found = json.loads(directory.results.read_text())
    assert [one["number"] for one in found["trials"]] == [1, 2, 3]
    best = max(found["trials"], key=lambda one: one["measures"]["balanced_accuracy"])
    assert found["trials"][found["best"] - 1]["measures"] == best["measures"]
    assert chiefs.count(" best\n") == 1


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"KERASTUNER_ORACLE_IP": "127.0.0.1"}, "KERASTUNER_ORACLE_PORT: expected a value beside KERASTUNER_ORACLE_IP"),
        ({"KERASTUNER_ORACLE_IP": "a", "KERASTUNER_ORACLE_PORT": "1"}, "KERASTUNER_TUNER_ID: expected a value"),
        (
            {"KERASTUNER_ORACLE_IP": "a", "KERASTUNER_ORACLE_PORT": "x", "KERASTUNER_TUNER_ID": "chief"},
            "KERASTUNER_ORACLE_PORT: expected a number. Received: 'x'",
        ),
    ],
)
def test_half_a_cluster_is_refused_in_one_line(start, environment, line, tmp_path):
    process = start(TUNE, environment)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert errors.startswith(f"error: {line}")
    assert errors.count("\n") == 1
    assert not (tmp_path / "search").exists()
