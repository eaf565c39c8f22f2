"""What all sources share: the choice of attributes, the limit, training on validation, and warnings."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mam_keras import data
from mam_keras.config import SyntheticFacesData, TableData
from mam_keras.data import synthetic_faces


@pytest.fixture
def table(tmp_path, draw):
    """Five training images, three for validation and two for test, of three attributes."""
    names = [f"{number}.png" for number in range(10)]
    draw(tmp_path, names)
    splits = ["train"] * 5 + ["validation"] * 3 + ["test"] * 2
    rows = [f"{name},{n % 2},{n // 2 % 2},{n // 4 % 2},{n},{splits[n]}" for n, name in enumerate(names)]
    (tmp_path / "table.csv").write_text("image,one,two,four,person,split\n" + "\n".join(rows))
    return tmp_path / "table.csv"


def settings(path, **values):
    return TableData(source="table", file=str(path), **{"split_column": "split", "group_column": "person"} | values)


def test_attributes_are_chosen_and_ordered(table):
    source = data.load(settings(table, attributes=("four", "one")))
    assert source.attributes == ("four", "one")
    expected = [[number // 4 % 2 == 1, number % 2 == 1] for number in range(5)]
    assert source.splits["train"].labels.tolist() == expected


def test_attributes_are_chosen_of_sources_that_know_no_choice():
    small = {"train": 30, "validation": 2, "test": 2}
    everything = data.load(SyntheticFacesData(source="synthetic_faces", **small))
    chosen = data.load(SyntheticFacesData(source="synthetic_faces", **small, attributes=("Smiling", "Bangs")))
    at = [everything.attributes.index(name) for name in ("Smiling", "Bangs")]
    assert chosen.attributes == ("Smiling", "Bangs")
    np.testing.assert_array_equal(chosen.splits["train"].labels, everything.splits["train"].labels[:, at])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (("one", "Fuor"), "data.attributes: expected known names; did you mean 'four'? Received: 'Fuor'"),
        (("one", "two", "one"), "data.attributes: expected every name once. Received: 'one' 2 times"),
        ((), "data.attributes: expected at least one name, or null for all. Received: none"),
    ],
)
def test_attributes_that_cannot_be_chosen_are_refused(table, refusal, attributes, message):
    assert refusal(settings(table, attributes=attributes)) == message


def test_a_limit_takes_the_first_images_of_each_split(table, reds):
    source = data.load(settings(table, limit=3))
    assert {name: split.ids.tolist() for name, split in source.splits.items()} == {
        "train": ["0.png", "1.png", "2.png"],
        "validation": ["5.png", "6.png", "7.png"],
        "test": ["8.png", "9.png"],
    }
    train = source.splits["train"]
    assert train.labels[:, 0].tolist() == [False, True, False]
    assert train.groups.tolist() == [0, 1, 2]
    assert [reds(source.splits[name]) for name in source.splits] == [[0, 10, 20], [50, 60, 70], [80, 90]]


def test_an_unreadable_image_counts_towards_the_limit(table, reds):
    (table.parent / "1.png").write_bytes(b"no image")
    images = data.load(settings(table, limit=3)).splits["train"].images().ignore_errors()
    assert [int(image[0, 0, 0]) for image in images] == [0, 20]


def test_validation_is_joined_to_train(table, reds):
    source = data.load(settings(table, train_on_validation=True))
    assert list(source.splits) == ["train", "test"]
    train = source.splits["train"]
    assert train.ids.tolist() == [f"{number}.png" for number in range(8)]
    assert train.labels[:, 2].tolist() == [False] * 4 + [True] * 4
    assert train.groups.tolist() == list(range(8))
    assert reds(train) == [10 * number for number in range(8)]


def test_the_limit_holds_for_the_joined_split(table, reds):
    train = data.load(settings(table, train_on_validation=True, limit=6)).splits["train"]
    assert train.ids.tolist() == [f"{number}.png" for number in range(6)]
    assert reds(train) == [0, 10, 20, 30, 40, 50]


def test_training_on_validation_without_it_is_refused(table, refusal):
    table.write_text(table.read_text().replace("validation", "test"))
    assert refusal(settings(table, train_on_validation=True)) == (
        "data.train_on_validation: expected false without a validation split. Received: train 5, test 5"
    )


def test_every_selection_of_images_has_a_fingerprint_of_its_own(table):
    choices = [{}, {"limit": 3}, {"limit": 4}, {"train_on_validation": True}, {"train_on_validation": True, "limit": 3}]
    prints = [split.fingerprint for values in choices for split in data.load(settings(table, **values)).splits.values()]
    # 5 + 3 of train, 3 of validation and 2 of test; test's two images and validation's three are not cut by 3 or 4.
    assert len(set(prints)) == 5 + 1 + 1
    again = [split.fingerprint for values in choices for split in data.load(settings(table, **values)).splits.values()]
    assert again == prints


def test_a_source_without_training_images_is_refused(monkeypatch, refusal):
    whole = synthetic_faces.load(SyntheticFacesData(source="synthetic_faces", train=1, validation=2, test=3))
    splits = {name: split for name, split in whole.splits.items() if name != "train"}
    monkeypatch.setattr(synthetic_faces, "load", lambda settings: replace(whole, splits=splits))
    assert refusal(SyntheticFacesData(source="synthetic_faces")) == (
        "data.source: expected synthetic_faces to hold training images. Received: validation 2, test 3"
    )


def test_constant_attributes_are_said(table):
    (note,) = data.load(settings(table, limit=2)).notes
    assert note == "the same in all training images, so that nothing can be learnt of it: two, four"
    assert data.load(settings(table, limit=5)).notes == ()


def test_groups_in_two_splits_are_said(table):
    table.write_text(table.read_text().replace(",9,test", ",0,test").replace(",7,validation", ",0,validation"))
    (note,) = data.load(settings(table)).notes
    assert note == "groups with images in more than one split, which are then not independent: 1"
    joined = data.load(settings(table, train_on_validation=True)).splits
    assert set(joined["train"].groups) & set(joined["test"].groups) == {0}


def test_a_table_is_read_before_tensorflow_is_imported(table):
    settings = f"source='table', file={str(table)!r}, split_column='split'"
    code = (
        f"import sys; from mam_keras import config, data; data.load(config.TableData({settings}, attributes=('one',)))"
    )
    command = [sys.executable, "-c", f"{code}; assert 'tensorflow' not in sys.modules"]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True)
