import pytest

from mam_keras import config as configuration
from mam_keras.tune import space

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
