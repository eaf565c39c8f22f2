import os
import subprocess
import sys
from pathlib import Path

import pytest

from mam_keras import config as configuration
from mam_keras.tune import space

ROOT = Path(__file__).parents[2]
QUICK = Path(__file__).with_name("quick_tune.py")
VALUES = {
    "name": "tiny",
    "data": {
        "source": "synthetic_faces",
        "train": 32,
        "validation": 16,
        "test": 8,
        "image_size": 32,
        "attributes": ["Smiling", "Eyeglasses", "Bangs"],
    },
    "model": {"channels": 4, "front_end": [4, 4], "dilations": [1], "reconstructor": False},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2, "xla": "off"},
    "evaluation": {"resamples": 20},
    "analysis": {"sigmas": [0.0, 0.2], "resamples": 20, "examples": 1},
}


@pytest.fixture(scope="session")
def search_settings():
    """search_settings(key=value) -> a configuration whose trials take seconds, and its dimensions."""

    def settings(**tune):
        checked = configuration.check(VALUES | {"tune": tune}, "tiny.yaml")
        return checked, space.dimensions(checked, "tiny.yaml")

    return settings


@pytest.fixture(scope="session")
def start(search_settings):
    """start(folder, trials, {variable: value}) -> a process that searches in folder/search."""
    started = []

    def process(folder, trials, environment=()):
        config, _ = search_settings(trials=trials)
        (folder / "tiny.yaml").write_text(config.to_yaml())
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | dict(environment)
        command = [sys.executable, QUICK, folder / "tiny.yaml", "--run", folder / "search"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return started[-1]

    yield process
    for one in started:
        with one:
            one.kill()


@pytest.fixture(scope="session")
def ended():
    """ended(process) -> exit code and standard output; nothing may be on standard error."""

    def wait(process):
        output, errors = process.communicate(timeout=250)
        assert errors == ""
        return process.returncode, output

    return wait
