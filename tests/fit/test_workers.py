"""Two workers of one run as separate processes on this machine: who writes, what a lost one leaves, how it goes on."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import mam_keras.model.layers  # noqa: F401 (registers what a saved model is made of)
from mam_keras.files import digest

ROOT = Path(__file__).parents[2]
FIT = ["-m", "mam_keras.fit"]
LOST = (
    "error: another worker ended or cannot be reached; what it said says why. Start all workers again, with the same "
    "commands, to carry on from the last epoch\n"
)
STOPPED = "stopped; the same command carries on\n"


def stopping(moment, number):
    return [str(Path(__file__).with_name("stopped_fit.py")), moment, number.name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def fit(tiny, folder):
    """fit(run, chief, worker) runs two programs as workers; of each exit code, output and errors.

    The second worker gets a run directory of its own, as on another machine, which it should not write.
    """
    settings = ("training.deterministic=true", "training.early_stopping=3", "training.xla='off'")
    settings += ("model.multi_label_head=false", "model.reconstructor=false")  # less to trace

    def call(run, *programs):
        servers = [socket.create_server(("127.0.0.1", 0)) for _ in programs]
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
        for server in servers:
            server.close()
        processes = []
        for index, program in enumerate(programs):
            task = {"type": "worker", "index": index}
            environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP")}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            environment["PYTHONPATH"] = str(ROOT)
            command = [sys.executable, *program, tiny, "--run", folder / (f"{run}-elsewhere" if index else run)]
            for setting in settings:
                command += ["--set", setting]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        try:
            said = [process.communicate(timeout=120) for process in processes]
        finally:
            for process in processes:
                process.kill()
        return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]

    return call


@pytest.fixture(scope="module")
def undisturbed(fit):
    return fit("undisturbed", FIT, FIT)


@pytest.fixture(scope="module")
def stopped(fit):
    """A worker is killed in the second epoch; then the chief is terminated in the third; then nobody."""
    return [
        fit("stopped", FIT, stopping("in_a_step", signal.SIGKILL)),
        fit("stopped", stopping("in_a_step", signal.SIGTERM), FIT),
        fit("stopped", FIT, FIT),
    ]


def epochs(output):
    return [line.split("/")[0] for line in output.splitlines() if line.startswith("epoch ")]


def test_both_train_and_the_chief_alone_writes(undisturbed, folder):
    (code, output, errors), (other_code, other_output, other_errors) = undisturbed
    assert (code, errors, other_code, other_errors) == (0, "", 0, "")
    assert epochs(output) == epochs(other_output) == ["epoch 1", "epoch 2", "epoch 3"]
    assert "95 % interval" in output  # the table
    assert output.endswith(f"Written: {folder / 'undisturbed'}\n")
    assert "95 % interval" not in other_output
    files = {"config.yaml", "environment.json", "model.keras", "history.csv", "evaluation.json", "predictions.npz"}
    assert {entry.name for entry in (folder / "undisturbed").iterdir()} == {*files, "data.npz", "logs"}
    assert not (folder / "undisturbed-elsewhere").exists()
    assert json.loads((folder / "undisturbed/environment.json").read_text())["replicas"] == 2
    splits = json.loads((folder / "undisturbed/evaluation.json").read_text())["splits"]
    assert {name: split["images"] for name, split in splits.items()} == {"validation": 7, "test": 7}


def test_a_lost_worker_ends_the_other_with_one_line(stopped):
    killed, terminated, _ = stopped
    assert [code for code, _, _ in killed] == [1, -signal.SIGKILL]
    assert killed[0][2] == LOST
    assert [code for code, _, _ in terminated] == [143, 1]
    assert [errors for _, _, errors in terminated] == [STOPPED, LOST]


def test_all_started_again_carry_on_where_the_chiefs_checkpoint_was(stopped):
    for worker in (0, 1):
        assert [epochs(start[worker][1]) for start in stopped] == [["epoch 1"], ["epoch 2"], ["epoch 3"]]
    assert [(code, errors) for code, _, errors in stopped[-1]] == [(0, ""), (0, "")]


def test_the_weights_are_those_of_the_undisturbed_run_bit_for_bit(undisturbed, stopped, folder):
    one, other = (
        keras.saving.load_model(folder / run / "model.keras").get_weights() for run in ("undisturbed", "stopped")
    )
    assert len(one) > 10
    for expected, found in zip(one, other, strict=True):
        np.testing.assert_array_equal(found, expected)
    texts = [(folder / run / "evaluation.json").read_text() for run in ("undisturbed", "stopped")]
    assert texts[0] == texts[1]


def test_all_start_from_another_run(undisturbed, fit, folder):
    starting = [*FIT, "--from", str(folder / "undisturbed"), "--set", "training.epochs=1"]
    done = fit("started", starting, starting)
    assert [(code, errors) for code, _, errors in done] == [(0, ""), (0, "")]
    assert all(f"note: taken from {folder}/undisturbed: the weights of all " in output for _, output, _ in done)
    environment = json.loads((folder / "started/environment.json").read_text())
    assert environment["started_from"]["model"] == digest(folder / "undisturbed/model.keras")


def test_a_finished_run_is_refused_before_anybody_is_waited_for(undisturbed, fit, folder):
    ((code, output, errors),) = fit("undisturbed", FIT)
    assert (code, output) == (2, "")
    assert errors == (
        f"error: {folder / 'undisturbed'}: expected an unfinished run. Received: a finished one; --overwrite trains it "
        "again\n"
    )
