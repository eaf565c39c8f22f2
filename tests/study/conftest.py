import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BASE = {
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
    "analysis": {"sigmas": [0.0, 0.2], "pairs": [[1.0, 4.0]], "resamples": 20, "examples": 1},
    "tune": {"trials": 2},
}
STUDY = {
    "name": "small",
    "base": "bases/tiny.yaml",
    "set": {"training.epochs": 1},
    "baseline": "papers",
    "runs": {"papers": {}, "top": {"model.pooled_share": 0.25}},
}


@pytest.fixture(scope="session")
def write_study():
    """write_study(folder, key=value) writes a base and a study of two quick runs, and returns the study's path."""

    def write(folder, **changes):
        (folder / "bases").mkdir(exist_ok=True)
        (folder / "bases/tiny.yaml").write_text(yaml.safe_dump(BASE))
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
        return folder / "study.yaml"

    return write


@pytest.fixture(scope="session")
def start():
    """start(folder, arguments) -> a process of `mam_keras.study` that works in a folder."""
    started = []

    def process(folder, *arguments):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "mam_keras.study", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=folder, env=environment, **pipes))
        return started[-1]

    yield process
    for one in started:
        with one:
            one.kill()
