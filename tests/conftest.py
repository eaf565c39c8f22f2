"""What tests of all parts need."""

import os
import warnings
from pathlib import Path

import pytest

from mam_keras import command_line, config
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.run_directory import RunDirectory

command_line.keep_freed_memory()  # as every command does

ATTRIBUTES = ("Smiling", "Eyeglasses", "Mouth_Slightly_Open", "Wearing_Hat", "Bangs")  # of the small run


def pytest_collection_modifyitems(items):
    """The longest trainings first, so that of several processes none is left alone with them at the end."""
    items.sort(key=lambda item: item.path.name not in ("test_demo.py", "test_real_faces.py"))


@pytest.fixture(scope="session")
def shared():
    """shared(name) -> this folder of ../shared; where it is missing a failure in CI, and a skip for a stranger."""

    def folder(name):
        path = Path(__file__).parents[2] / "shared" / name
        if not path.is_dir():
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"expected a folder ../shared/{name}")
        return path

    return folder


@pytest.fixture(scope="session")
def real_faces(shared) -> Path:
    """The folder of real CelebA images in the official layout."""
    return shared("celeba")


@pytest.fixture(scope="session")
def train_small(tmp_path_factory):
    """train_small(section={key: value}) trains a run with these changes and returns its path: features 8x8, C = 8."""

    def train(**changes):
        from mam_keras.fit.run import run

        values = {
            "name": "small",
            "data": {
                "source": "synthetic_faces",
                "train": 64,
                "validation": 24,
                "test": 24,
                "image_size": 32,
                "attributes": ATTRIBUTES,
            },
            "model": {"channels": 8, "front_end": (8, 8), "dilations": (1, 2)},
            "training": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2, "xla": "off"},
            "evaluation": {"resamples": 20},
            "analysis": {
                "examples": 4,
                "resamples": 20,
                "sigmas": (0.0, 0.2),
                "pairs": ((0.5, 2.0), (2.0, 2.0), (1.0, 4.0)),
            },
        }
        for section, keys in changes.items():
            changes_some = isinstance(values.get(section), dict) and "source" not in keys  # another source is all new
            values[section] = values[section] | keys if changes_some else keys
        settings = config.check(values, "train_small")
        directory = RunDirectory(tmp_path_factory.mktemp("run") / "small")
        with directory.open(settings, overwrite=False), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
            run(settings, directory)
        return directory.path

    return train


@pytest.fixture(scope="session")
def small_run(train_small):
    """The run's path; tests that write into it or change it copy it first."""
    return train_small()


@pytest.fixture
def trained(small_run):
    return TrainedRun(small_run)
