"""A system is one file: a sixth one is registered, trained, reported on and exported without touching another."""

import json
import re
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras import config, systems
from mam_keras.errors import UserError
from mam_keras.export.run import run as export
from mam_keras.fit.run import run as fit
from mam_keras.report.run import run as report
from mam_keras.run_directory import RunDirectory
from mam_keras.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
LINES = 60  # of a system in one file


@pytest.fixture(scope="module")
def sixth(tmp_path_factory):
    drawn = {"source": "synthetic_faces", "train": 64, "validation": 24, "test": 24, "image_size": 32}
    values = {
        "name": "sixth",
        "data": drawn | {"attributes": ("Smiling", "Eyeglasses", "Mustache", "Wearing_Hat", "Bangs")},
        "model": {"system": "sixth"},
        "training": {"epochs": 1, "batch_size": 16},
        "evaluation": {"resamples": 20},
        "analysis": {"resamples": 20, "sigmas": (0.0, 0.2), "corruptions": (), "examples": 2},
    }
    directory = RunDirectory(tmp_path_factory.mktemp("run") / "sixth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SYSTEMS.modules, "sixth", "tests.systems.sixth")
        settings = config.check(values, "test_seam")
        with directory.open(settings, overwrite=False):
            fit(settings, directory)
        yield directory.path


def test_a_system_fits_in_one_short_file():
    assert len(Path(__file__).with_name("sixth.py").read_text().splitlines()) <= LINES


def test_it_trains_and_both_heads_are_evaluated(sixth):
    evaluation = json.loads((sixth / "evaluation.json").read_text())
    assert list(evaluation["splits"]["test"]["heads"]) == ["attributes", "twin"]
    assert (sixth / "history.csv").read_text().startswith("epoch,attributes_loss,attributes_accuracy,twin_loss,")


def test_its_report_shows_its_own_map(sixth, tmp_path):
    report([sixth], tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "energy of the features" in page and "How active the features are" in page
    assert "Kimura" not in re.sub(r"<head>.*?</head>", "", page, flags=re.DOTALL).split("Settings")[0]


def test_it_is_exported_with_its_map(sixth, tmp_path):
    export(RunDirectory(sixth), tmp_path)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures
    answer = served["explain"](image=tf.zeros((2, 32, 32, 3), tf.uint8))
    assert answer["energy"].shape == (2, 1, 8, 8) and answer["twin"].shape == (2, 5)
    assert np.isfinite(answer["probabilities"]).all()


@pytest.mark.parametrize("name, value", [("image_data_format", "channels_first"), ("floatx", "float16")])
def test_a_network_is_not_built_in_another_order_or_type(name, value):
    """Where the package is a library, and Keras set by whoever uses it."""
    before = getattr(keras.config, name)()
    getattr(keras.config, f"set_{name}")(value)
    try:
        with pytest.raises(UserError, match=rf"^keras.json: expected .* Received: .*{value}"):
            systems.build(config.check({"name": "x", "data": {"source": "synthetic_faces"}}, "x"), None)
    finally:
        getattr(keras.config, f"set_{name}")(before)


def test_only_model_and_systems_name_layers():
    """Layers' names, as the systems give them, stand nowhere else in the package."""
    names = r"attribute_scores|attribute_logits|multi_label_logits|attribute\.probabilities"
    found = subprocess.run(
        ["git", "grep", "-nE", names, "--", "mam_keras", ":!mam_keras/model", ":!mam_keras/systems"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


FLOORS = (  # what imports run down through, from the ground up
    {"errors", "extras", "files", "settings", "statistics"},
    {"data"},
    {"model"},
    {"systems"},
    {"config", "offsets"},
    {"predictions", "trained_on", "records", "directed", "run_directory", "search_directory", "command_line"},
    {"evaluation"},
    {"fit"},
    {"analysis"},
    {"report", "explain", "export", "child", "init"},
    {"tune", "study", "direct", "demo"},
)


def test_imports_run_downwards_only():
    """Also those inside functions, and those by name."""
    floor = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
    upwards = []
    for path in sorted((ROOT / "mam_keras").rglob("*.py")):
        room = path.relative_to(ROOT / "mam_keras").parts[0].removesuffix(".py")
        if room.startswith("__"):  # the package itself, and the command above all rooms
            continue
        text = path.read_text()
        imported = set(re.findall(r"(?:\bfrom |\bimport |[\"'])mam_keras\.([a-z_]+)", text))
        for names in re.findall(r"from mam_keras import ([^\n(]+|\([^)]*\))", text):
            imported |= {name.split(" as ")[0].strip(" (),\n") for name in names.split(",")}
        upwards += [
            f"{path.relative_to(ROOT)} imports {name}"
            for name in sorted(imported & set(floor))
            if floor[name] > floor[room]
        ]
    assert upwards == []


def test_contributing_names_every_room_and_is_read_in_one_sitting():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert len(text.splitlines()) <= 120
    rooms = {path.parent.name for path in (ROOT / "mam_keras").glob("*/__init__.py")}
    rooms |= {path.stem for path in (ROOT / "mam_keras").glob("[!_]*.py")}
    assert rooms == set().union(*FLOORS)
    assert [room for room in sorted(rooms) if f"`{room}`" not in text and f"`{room}/`" not in text] == []
    named = re.findall(r"`((?:systems|data|fit|analysis|model|tests)/[\w/]+\.(?:py|yaml))`", text)
    missing = [name for name in named if not any((ROOT / base / name).exists() for base in ("mam_keras", "."))]
    assert named and missing == []
