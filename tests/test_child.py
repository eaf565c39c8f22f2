"""A training as a process of its own: what is made of how it ended, and of a stop. Real runs: tests of `tune`."""

import signal
import subprocess
import sys

import pytest

from mam_keras import child, config
from mam_keras.errors import RunError, UntrainableError, UserError
from mam_keras.run_directory import RunDirectory

VALUES = {
    "name": "tiny",
    "data": {"source": "synthetic_faces", "train": 16, "validation": 4, "test": 4, "image_size": 16},
    "model": {"channels": 2, "front_end": [2, 2], "dilations": [1], "reconstructor": False},
    "training": {"epochs": 1, "batch_size": 8, "xla": "off", "warmup_epochs": 0},
}


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "some/one")


@pytest.mark.parametrize(
    ("code", "error", "line"),
    [
        (2, UserError, r"^run one: said at last$"),
        (child.UNTRAINABLE, UntrainableError, r"^said at last$"),
        (1, RunError, r"^said at last$"),
        (
            -signal.SIGKILL,
            UntrainableError,
            r"^fit was killed, as the system does where memory runs out; see .*one\.log$",
        ),
    ],
)
def test_how_a_process_ended_is_an_error_of_its_own(run, monkeypatch, code, error, line):
    def end(command, log):
        log.write(b"error: said first\nerror: said at last\nepoch 1/2: said late\n")
        return code

    monkeypatch.setattr(child, "_run", end)
    with pytest.raises(error, match=line) as raised:
        child.train(config.check(VALUES, "here"), run)
    assert raised.type is error


def test_an_end_without_a_word_names_the_log_and_no_older_error(run, monkeypatch):
    monkeypatch.setattr(child, "_run", lambda command, log: 1)
    child.log(run).parent.mkdir(parents=True)
    child.log(run).write_text("error: of another time\n")
    with pytest.raises(RunError, match=r"^fit ended with 1, see .*fit/one\.log$"):
        child.train(config.check(VALUES, "here"), run)


def test_what_a_process_is_started_with(run, monkeypatch):
    commands = []
    monkeypatch.setattr(child, "_run", lambda command, log: commands.append(command) or 0)
    child.train(settings := config.check(VALUES, "here"), run, overwrite=True, asked=("accuracy", "masks"))
    assert commands[0][1:3] == ["-m", "mam_keras.child"]
    assert commands[0][4:] == [run.path, "--overwrite", "accuracy", "masks"]
    assert config.load(commands[0][3]) == settings


def test_a_loss_that_is_no_number_is_the_settings_fault_and_a_full_disk_is_not(run):
    values = VALUES | {"training": VALUES["training"] | {"learning_rate": 1e30, "schedule": "constant"}}
    with pytest.raises(UntrainableError, match=r" became .* in epoch 1, step .*: try a lower training\.learning_rate"):
        child.train(config.check(values, "here"), run)
    limited = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000)); "
    limited += "sys.argv = sys.argv[1:]; runpy.run_module('mam_keras.child', run_name='__main__')"
    settings = run.path.parent / "fit/one.yaml"
    settings.write_text(config.check(VALUES, "here").to_yaml())
    done = subprocess.run(
        [sys.executable, "-c", limited, "child", settings, run.path, "--overwrite"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr


STOPPED = """
import sys
from mam_keras import child, command_line
program = "import sys, time, signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\\n"
program += "signal.signal(signal.SIGINT, lambda *_: sys.exit(130)); print('ready', flush=True); time.sleep(50)"
command_line.run(lambda: child._run([sys.executable, "-c", program], sys.stdout))
"""


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stop_ends_the_run_first(number, code):
    command = [sys.executable, "-c", STOPPED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)  # ends only once both have closed their output
    assert (process.returncode, output, errors) == (code, "", "stopped; the same command carries on\n")
