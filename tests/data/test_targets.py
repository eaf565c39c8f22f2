"""Targets from the source to the evaluation: what is not known is trained on nowhere, and nothing breaks for it."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from mam_keras import predictions
from mam_keras.data import pipeline
from mam_keras.data.augmentation import Augmentation
from mam_keras.run_directory import RunDirectory

ATTRIBUTES = ("top", "middle", "bottom", "never")


def bands(labels, seed):
    """Images uint8 (n, 16, 16, 3) with a bright band for each of the first three columns of labels that is True."""
    images = np.random.default_rng(seed).integers(0, 100, (len(labels), 16, 16, 3)).astype(np.uint8)
    for k in range(3):
        images[labels[:, k], 5 * k : 5 * k + 5] += 100
    return images


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A third of the labels are unknown: all of `never` in train, all of one image, all of validation."""
    folder, generator = tmp_path_factory.mktemp("table"), np.random.default_rng(0)
    rows = [["image", *ATTRIBUTES, "split"]]
    for split, count in (("train", 48), ("validation", 9), ("test", 18)):
        labels = generator.random((count, 4)) < 0.5
        cells = labels.astype(int).astype(object)
        cells[generator.random((count, 4)) < 1 / 3] = "?"
        cells[0] = ""
        cells[:, 3 if split == "train" else slice(0)] = "nan"
        if split == "validation":
            cells[:] = "?"
        for number, image in enumerate(bands(labels, count)):
            Image.fromarray(image).save(folder / f"{split}{number}.png")
            rows.append([f"{split}{number}.png", *cells[number], split])
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "table.csv"


def history(run):
    with RunDirectory(run).history.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def evaluated(run):
    return json.loads(RunDirectory(run).evaluation.read_text())["splits"]


def test_a_run_on_labels_that_are_partly_unknown(train_small, table, capsys):
    run = train_small(
        data={"source": "table", "file": str(table), "split_column": "split", "image_size": 16, "shift": 1},
        loss={"class_weights": "balanced"},
        training={"epochs": 4, "start_at_rates": True},
    )
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert notes[:2] == [
        "note: no label is known in train: never",
        "note: no label is known in validation, so that it has no figures",
    ]
    assert notes[2].startswith("note: labels that are not known and count nowhere: train ")
    rows = history(run)
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert rows[-1]["attributes_loss"] < rows[0]["attributes_loss"]
    assert all(row["val_attributes_loss"] == 0 for row in rows)
    validation, test = evaluated(run)["validation"], evaluated(run)["test"]
    assert validation["unknown"] == 36
    assert set(validation["heads"]["attributes"]["mean"].values()) == {None}
    never = test["heads"]["attributes"]["per_attribute"]["never"]
    assert never["majority_accuracy"] is None
    assert never["accuracy"] is not None
    found = predictions.read(RunDirectory(run).predictions, "test")
    assert (~found.known).sum() == test["unknown"] > 18
    assert not found.known[0].any()
    assert all(np.isfinite(array).all() for array in found.probabilities.values())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    for split, count in (("train", 25), ("test", 7)):
        for k, name in enumerate(ATTRIBUTES[:3]):
            (folder / split / name).mkdir(parents=True)
            for number, image in enumerate(bands(np.tile(np.arange(3) == k, (count, 1)), count + k)):
                Image.fromarray(image).save(folder / split / name / f"{number}.png")
    return folder


def test_a_run_on_folders_of_classes(train_small, folders, capsys):
    run = train_small(
        data={"source": "folders", "directory": str(folders), "image_size": 16, "flip": False},
        model={"system": "plain"},
        training={"epochs": 6, "batch_size": 8, "start_at_rates": True},
    )
    out = capsys.readouterr().out
    assert "training images, 3 classes, run directory" in out
    assert "top-1, " in out
    test = evaluated(run)["test"]
    (head,) = test["heads"].values()
    assert (test["images"], test["unknown"]) == (21, 0)
    assert head["mean"]["top1"] > 0.9 > head["mean"]["majority_top1"] == pytest.approx(1 / 3)
    found = predictions.read(RunDirectory(run).predictions, "test")
    assert found.exclusive
    assert found.targets.names == ("bottom", "middle", "top")
    np.testing.assert_allclose(found.probabilities["attributes"].sum(axis=1), 1, rtol=1e-5)
    rows = history(run)
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]


def test_unknown_labels_are_nan_in_batches():
    labels = np.array([[True, False], [False, False], [False, True], [True, True]])
    known = np.array([[True, True], [False, False], [False, True], [True, True]])
    images = np.broadcast_to(np.arange(4, dtype=np.uint8)[:, None, None, None], (4, 8, 8, 3))
    prepared = pipeline.Prepared(images, np.arange(4).astype(str), labels & known, None, (), known)
    expected = np.array([[1, 0], [np.nan, np.nan], [np.nan, 1], [1, 1]], np.float32)
    np.testing.assert_array_equal(prepared.marked_labels, expected)
    assert prepared.marked_labels.dtype == np.float32
    np.testing.assert_allclose(prepared.rates, [1, 2 / 3])
    (ordered,) = [batch[1].numpy() for batch in pipeline.ordered_batches(prepared, 4)]
    np.testing.assert_array_equal(ordered, expected)
    for images, batch in pipeline.training_batches(prepared, 2, 0, 0, Augmentation()):
        np.testing.assert_array_equal(batch.numpy(), expected[images.numpy()[:, 0, 0, 0]])
