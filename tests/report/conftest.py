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
