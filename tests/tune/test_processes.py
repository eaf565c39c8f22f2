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

from mam_keras.errors import RunError, UserError
from mam_keras.tune import cluster, trial
from mam_keras.tune.search_directory import SearchDirectory

ROOT = Path(__file__).parents[2]
QUICK = Path(__file__).with_name("quick_tune.py")
STEPS = 2 * 2  # of a trial: 32 images in batches of 16, two epochs


@pytest.fixture
def start(search_settings, tmp_path):
    """start({variable: value}, step to kill at) -> a process that searches in tmp_path/search with three trials."""

    def process(environment=(), kill_at=0):
        config, _ = search_settings(trials=3)
        (tmp_path / "tiny.yaml").write_text(config.to_yaml())
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | dict(environment)
        command = [sys.executable, QUICK, str(kill_at), tmp_path / "tiny.yaml", "--run", tmp_path / "search"]
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
    killed, output = ended(start(kill_at=2 * STEPS + 3))  # in the third trial's second epoch
    assert killed == -signal.SIGKILL
    assert "trial 2: balanced_accuracy" in output
    done = {n: (directory.trial(n) / trial.OUTCOME).stat().st_mtime_ns for n in (1, 2)}
    models = {n: (directory.trial(n) / "model.keras").stat().st_mtime_ns for n in (1, 2)}

    code, output = ended(start())
    assert code == 0
    assert output.splitlines()[0] == "Carried on: 2 trials are over"
    assert "trial 2 of 3" not in output
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
    chief, *workers = (start(there | {"KERASTUNER_TUNER_ID": name}) for name in ("chief", "worker1", "worker2"))
    outputs = [output for code, output in map(ended, workers) if code == 0]
    assert len(outputs) == 2
    code, chiefs = ended(chief)
    assert code == 0
    run = [line.split(":")[0] for output in outputs for line in output.splitlines() if ": loss.lambda" in line]
    assert sorted(run) == ["trial 1 of 3", "trial 2 of 3", "trial 3 of 3"]  # each by one of them
    found = json.loads(directory.results.read_text())
    assert [one["number"] for one in found["trials"]] == [1, 2, 3]
    best = max(found["trials"], key=lambda one: one["measures"]["balanced_accuracy"])
    assert found["trials"][found["best"] - 1]["measures"] == best["measures"]
    assert chiefs.count(" best\n") == 1


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"KERASTUNER_ORACLE_IP": "a"}, r"KERASTUNER_ORACLE_PORT: expected a value beside KERASTUNER_ORACLE_IP=a\."),
        ({"KERASTUNER_ORACLE_IP": "a", "KERASTUNER_ORACLE_PORT": "1"}, r"KERASTUNER_TUNER_ID: expected a value"),
        (
            {"KERASTUNER_ORACLE_IP": "a", "KERASTUNER_ORACLE_PORT": "x", "KERASTUNER_TUNER_ID": "chief"},
            r"KERASTUNER_ORACLE_PORT: expected a number\. Received: 'x'",
        ),
    ],
)
def test_half_a_cluster_is_refused(monkeypatch, environment, line):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=line):
        cluster.role()


def test_roles_are_keras_tuners(monkeypatch):
    assert cluster.role() == "alone"
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert cluster.role() == "alone"
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    assert (cluster.role(), cluster.chief()) == ("chief", "10.0.0.1:8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker7")
    assert cluster.role() == "worker"


def test_a_worker_waits_for_the_chief_unless_the_search_is_over(monkeypatch, tmp_path):
    results = tmp_path / "tuning.json"
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(server.getsockname()[1]))
        assert cluster.await_chief(results)
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    with pytest.raises(RunError, match="does not listen"):
        cluster.await_chief(results)
    results.touch()
    assert not cluster.await_chief(results)
