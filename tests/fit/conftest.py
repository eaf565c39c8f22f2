import csv

import numpy as np
import pytest
from PIL import Image

ATTRIBUTES = ("top", "middle", "bottom")

TINY = """
name: tiny
seed: 1
data:
  source: table
  file: {table}
  split_column: split
  image_size: 16
  shift: 1
model:
  channels: 4
  front_end: [4, 4]
  dilations: [1]
training:
  epochs: 3
  batch_size: 4
  learning_rate: 1e-2
evaluation:
  batch_size: 3
  resamples: 20
"""


@pytest.fixture(scope="session")
def draw():
    """draw(count, seed) -> images uint8 (count, 16, 16, 3) and labels bool (count, 3): a bright band for each."""

    def images_and_labels(count, seed):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 2, (count, 3)).astype(bool)
        images = random.integers(0, 100, (count, 16, 16, 3)).astype(np.uint8)
        for k in range(3):
            images[labels[:, k], 5 * k : 5 * k + 5] += 100
        return images, labels

    return images_and_labels


@pytest.fixture(scope="session")
def stripes(tmp_path_factory):
    """A file of regions: where two of the bands are, and of two images of their own."""
    path = tmp_path_factory.mktemp("regions") / "stripes.yaml"
    path.write_text(
        """
attributes:
  top: {rectangles: [[0, 0, 1, 0.3125]]}
  middle: {rectangles: [[0, 0.3125, 1, 0.625]]}
images:
  train3.png: {top: {rectangles: [[0.5, 0.5, 1, 1]]}}
  train5.png: {bottom: {rectangles: [[0, 0, 1, 1]]}}
"""
    )
    return path


@pytest.fixture(scope="session")
def make_table(draw):
    """make_table(folder, train=22, ...) writes so many images of each split and returns the CSV that lists them."""

    def make(folder, **counts):
        rows = []
        for seed, (split, count) in enumerate(counts.items()):
            for index, (image, labels) in enumerate(zip(*draw(count, seed), strict=True)):
                Image.fromarray(image).save(folder / f"{split}{index}.png")
                rows.append([f"{split}{index}.png", *labels.astype(int), split])
        with (folder / "table.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["image", *ATTRIBUTES, "split"], *rows])
        return folder / "table.csv"

    return make


@pytest.fixture(scope="session")
def table(make_table, tmp_path_factory):
    return make_table(tmp_path_factory.mktemp("table"), train=22, validation=7, test=7)


@pytest.fixture(scope="session")
def tiny(table, tmp_path_factory):
    """A configuration that trains in seconds: 22 images of 16x16, five steps an epoch."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(TINY.format(table=table))
    return path
