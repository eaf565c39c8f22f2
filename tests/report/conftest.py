"""Whole reports, by the command's own function."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from mam_keras.report.run import run as report

HOSTILE = ("<script>alert(1)</script>", "=cmd|' /C calc'!A0", "../../etc/passwd", '$x_{1}$"onload="alert(1)')


@pytest.fixture(scope="session")
def copied(tmp_path_factory):
    """copied(path) -> a copy of a run that a test may write into."""

    def copy(path):
        return shutil.copytree(path, tmp_path_factory.mktemp("copy") / path.name)

    return copy


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """reported(path, ...) -> the page that `report` writes about a run, as text."""

    def write(path, *others, **options):
        out = tmp_path_factory.mktemp("report")
        report([path, *others], out, **options)
        return (out / "index.html").read_text(encoding="utf-8")

    return write


@pytest.fixture(scope="session")
def analysed(small_run, copied, reported):
    """A copy of the small run with all its results, and its page."""
    path = copied(small_run)
    return path, reported(path)


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory, train_small):
    """A run on a table of noise whose attributes, images and folder have hostile names."""
    folder, random = tmp_path_factory.mktemp("<b>table"), np.random.default_rng(0)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "split", *HOSTILE])
        for split, count in (("train", 24), ("validation", 12), ("test", 12)):
            for number in range(count):
                name = f"{split}<img src=x onerror=alert({number})>.png"
                Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name)
                writer.writerow([name, split, *random.integers(0, 2, len(HOSTILE))])
    data = {"source": "table", "file": str(folder / "table.csv"), "split_column": "split"}
    return train_small(data=data | {"image_size": 32})


@pytest.fixture(scope="session")
def bands(tmp_path_factory):
    """Section `data` of folders of three classes, each of which has a bright band of its own."""
    folder, random = tmp_path_factory.mktemp("folders"), np.random.default_rng(0)
    for split, count in (("train", 48), ("validation", 18), ("test", 24)):
        for number in range(count):
            name, image = ("bottom", "middle", "top")[number % 3], random.integers(0, 100, (32, 32, 3)).astype(np.uint8)
            image[10 * (number % 3) : 10 * (number % 3) + 10] += 100
            place = folder / split / name
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number}.png")
    return {"source": "folders", "directory": str(folder), "image_size": 32}


@pytest.fixture(scope="session")
def classes_run(bands, train_small):
    """A run of plain features on these classes."""
    return train_small(data=bands, model={"system": "plain"})


@pytest.fixture(scope="session")
def unknown_run(tmp_path_factory, train_small):
    """A run on a table with a third of its labels blanked; of one attribute none is known on the test images."""
    folder, random = tmp_path_factory.mktemp("unknown"), np.random.default_rng(0)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "split", "first", "second", "never"])
        for split, count in (("train", 32), ("validation", 16), ("test", 16)):
            for number in range(count):
                Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{split}{number}.png")
                labels = [random.choice(["0", "1", ""]), random.integers(0, 2), random.integers(0, 2)]
                labels[2] = "" if split == "test" else labels[2]
                writer.writerow([f"{split}{number}.png", split, *labels])
    data = {"source": "table", "file": str(folder / "table.csv"), "split_column": "split", "image_size": 32}
    return train_small(data=data)
