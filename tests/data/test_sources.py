"""What all sources share: the choice of attributes, the limit, training on validation, and warnings."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mam_keras import config as configuration
from mam_keras import data
from mam_keras.data import synthetic_faces
from mam_keras.data import table as tables
from mam_keras.data.source import Split
from mam_keras.run_directory import RunDirectory


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
    return tables.Settings(
        source="table", file=str(path), **{"split_column": "split", "group_column": "person"} | values
    )


def test_attributes_are_chosen_and_ordered(table):
    source = data.load(settings(table, attributes=("four", "one")))
    assert source.attributes == ("four", "one")
    expected = [[number // 4 % 2 == 1, number % 2 == 1] for number in range(5)]
    assert source.splits["train"].labels.tolist() == expected


def test_attributes_are_chosen_of_sources_that_know_no_choice():
    small = {"train": 30, "validation": 2, "test": 2}
    everything = data.load(synthetic_faces.Settings(source="synthetic_faces", **small))
    chosen = data.load(synthetic_faces.Settings(source="synthetic_faces", **small, attributes=("Smiling", "Bangs")))
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
    assert [int(image[0, 0, 0]) for image, _ in images] == [0, 20]


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


def test_the_contents_are_those_of_the_selected_images(table):
    whole = {name: split.contents().tolist() for name, split in data.load(settings(table)).splits.items()}
    every = [one for ones in whole.values() for one in ones]
    assert len(set(every)) == 10 and 0 not in every
    joined = whole["train"] + whole["validation"]
    for values, train in (({"limit": 3}, whole["train"][:3]), ({"train_on_validation": True}, joined)):
        assert data.load(settings(table, **values)).splits["train"].contents().tolist() == train


def test_a_source_without_training_images_is_refused(monkeypatch, refusal):
    whole = synthetic_faces.load(synthetic_faces.Settings(source="synthetic_faces", train=1, validation=2, test=3))
    splits = {name: split for name, split in whole.splits.items() if name != "train"}
    monkeypatch.setattr(synthetic_faces, "load", lambda settings: replace(whole, splits=splits))
    assert refusal(synthetic_faces.Settings(source="synthetic_faces")) == (
        "data.source: expected synthetic_faces to hold training images. Received: validation 2, test 3"
    )


def test_constant_attributes_are_said(table):
    (note,) = data.load(settings(table, limit=2)).notes
    assert note == "the same in all training images, so that nothing can be learnt of it: two, four"
    assert data.load(settings(table, limit=5)).notes == ()


def replaced(table, column, cells):
    """Writes these cells, one per image, in place of a column's."""
    header, *rows = (line.split(",") for line in table.read_text().splitlines())
    for row, cell in zip(rows, cells, strict=True):
        row[header.index(column)] = cell
    table.write_text("\n".join(map(",".join, [header, *rows])))


def test_labels_that_are_not_known_are_counted(table):
    replaced(table, "one", ["?", "1", "", "1", "0", "0", "1", "0", "1", "nan"])
    source = data.load(settings(table))
    assert source.notes == ("labels that are not known and count nowhere: train 2 of 15, test 1 of 6",)
    train = source.splits["train"]
    assert train.known.tolist() == [[number not in (0, 2), True, True] for number in range(5)]
    assert train.labels[:, 0].tolist() == [False, True, False, True, False]
    np.testing.assert_allclose(train.rates, [2 / 3, 2 / 5, 1 / 5])
    joined = data.load(settings(table, train_on_validation=True, limit=6, attributes=("four", "one"))).splits["train"]
    assert joined.known[:, 1].tolist() == [False, True, False, True, True, True]


def test_an_attribute_is_constant_by_what_is_known(table):
    replaced(table, "one", ["?", "1", "", "1", "nan", "0", "1", "0", "1", "0"])
    assert data.load(settings(table)).notes[0] == (
        "the same in all training images, so that nothing can be learnt of it: one"
    )


def test_where_no_label_is_known_is_said(table):
    replaced(table, "one", ["?"] * 10)
    replaced(table, "two", ["?"] * 5 + ["0"] * 5)
    replaced(table, "four", ["0", "1", "0", "1", "0"] + ["0"] * 3 + ["nan"] * 2)
    assert data.load(settings(table)).notes == (
        "no label is known anywhere: one",
        "no label is known in train: two",
        "no label is known in test: four",
        "labels that are not known and count nowhere: train 10 of 15, validation 3 of 9, test 4 of 6",
    )


def test_a_split_without_a_known_label_is_said(table):
    for column in ("one", "two", "four"):
        replaced(table, column, ["0", "1", "0", "1", "0"] + ["0"] * 3 + ["?"] * 2)
    assert data.load(settings(table)).notes[0] == "no label is known in test, so that it has no figures"


def test_training_images_without_a_known_label_are_refused(table, refusal):
    for column in ("one", "two", "four"):
        replaced(table, column, ["?"] * 5 + ["0"] * 5)
    assert refusal(settings(table)) == (
        "data.source: expected a known label of a training image. Received: none of train 5, validation 3, test 2"
    )


def test_a_label_that_is_not_known_is_no_yes():
    with pytest.raises(ValueError, match="`known` must be bool of the shape of `labels`, True wherever these are"):
        Split(np.array(["a"]), np.array([[True]]), None, None, None, np.array([[False]]))


def test_groups_in_two_splits_are_said(table):
    table.write_text(table.read_text().replace(",9,test", ",0,test").replace(",7,validation", ",0,validation"))
    (note,) = data.load(settings(table)).notes
    assert note == "groups with images in more than one split, which are then not independent: 1"
    joined = data.load(settings(table, train_on_validation=True)).splits
    assert set(joined["train"].groups) & set(joined["test"].groups) == {0}


def test_a_table_is_refused_before_tensorflow_is_imported_and_anything_overwritten(table, tmp_path):
    """Within a second: most of what is measured here is Python's own start and pydantic's."""
    config, run = tmp_path / "t.yaml", tmp_path / "run"
    config.write_text(f"name: t\ndata: {{source: table, file: {table}, split_column: split, group_column: person}}\n")
    with RunDirectory(run).open(configuration.load(config), overwrite=False):
        (run / "evaluation.json").touch()
    replaced(table, "one", ["1", "many", "0", "1", "0", "no idea", *"1010"])
    command = f"fit {config} --run {run} --overwrite"
    program = (
        f"import runpy, sys, time; sys.argv = {command.split()!r}\n"
        "try:\n"
        "    runpy.run_module('mam_keras.fit', run_name='__main__')\n"
        "finally:\n"
        "    print('tensorflow' in sys.modules, time.process_time() < 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "False True\n")
    assert done.stderr == (
        f"error: {table}: 2 errors: line 3, column 'one': expected yes or no, 1 or 0. Received: 'many'; "
        "line 7, column 'one': expected yes or no, 1 or 0. Received: 'no idea'\n"
    )
    assert (run / "evaluation.json").exists()
