"""The user's own CSV: what is read, how splits are drawn, and what is refused in which words."""

import numpy as np
import pytest

from mam_keras import data
from mam_keras.data.table import Settings

CSV = """image,smiling,split,hat,person
a.png,1,train,0,ann
sub/b.png,0,train,1,bob
sub/c.png,0,val,0,ann
d.png,1,test,1,eve
e.png,1,valid,0,eve
"""
NAMES = ["a.png", "sub/b.png", "sub/c.png", "d.png", "e.png"]


@pytest.fixture
def table(tmp_path, draw):
    draw(tmp_path, NAMES)
    path = tmp_path / "table.csv"
    path.write_text(CSV)
    return path


def settings(path, **values):
    return Settings(source="table", file=str(path), **{"split_column": "split", "group_column": "person"} | values)


def test_a_table(table, reds):
    source = data.load(settings(table))
    assert source.attributes == ("smiling", "hat")
    assert {name: split.ids.tolist() for name, split in source.splits.items()} == {
        "train": ["a.png", "sub/b.png"],
        "validation": ["sub/c.png", "e.png"],
        "test": ["d.png"],
    }
    assert source.splits["train"].labels.tolist() == [[True, False], [False, True]]
    assert source.splits["validation"].labels.tolist() == [[False, False], [True, False]]
    assert [reds(source.splits[name]) for name in ("train", "validation", "test")] == [[0, 10], [20, 40], [30]]
    people = {name: split.groups.tolist() for name, split in source.splits.items()}
    assert people == {"train": [0, 1], "validation": [0, 2], "test": [2]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("image,", "\ufeffimage,"),
        ("e.png", "\n,,,,\n./e.png"),
        (",", " , "),
        (",val,", ",Validation,"),
        ("sub/b.png", '"sub//b.png"'),
    ],
)
def test_spellings_that_mean_the_same(table, old, new):
    before = data.load(settings(table)).splits
    table.write_text(CSV.replace(old, new), encoding="utf-8", newline="")
    after = data.load(settings(table)).splits
    for name, split in before.items():
        assert after[name].ids.tolist() == split.ids.tolist()
        assert after[name].labels.tolist() == split.labels.tolist()
        assert after[name].contents().tolist() == split.contents().tolist()


def test_minus_one_is_no_too(table):
    table.write_text("image,smiling,split,person\na.png,1,train,x\nd.png,-1,train,y\n")
    assert data.load(settings(table)).splits["train"].labels.tolist() == [[True], [False]]


def test_images_may_lie_in_another_folder(table, draw, tmp_path, reds):
    draw(tmp_path / "elsewhere", ["e.png", *NAMES[:4]])  # e.png is the darkest here
    source = data.load(settings(table, directory=str(tmp_path / "elsewhere")))
    assert reds(source.splits["validation"]) == [30, 0]


def test_columns_that_are_not_chosen_may_hold_anything(table):
    table.write_text(CSV.replace("hat", "age").replace(",0,ann", ",41,ann").replace(",1,bob", ",,bob"))
    source = data.load(settings(table, attributes=("smiling",)))
    assert source.attributes == ("smiling",)
    assert source.splits["train"].labels.tolist() == [[True], [False]]


@pytest.mark.parametrize("unknown", ["", "?", "nan", "NaN", "NAN"])
def test_a_label_may_be_unknown(table, unknown):
    table.write_text(CSV.replace("sub/c.png,0", f"sub/c.png,{unknown}").replace("1,train,0", f"1,train, {unknown} "))
    splits = data.load(settings(table)).splits
    assert splits["train"].known.tolist() == [[True, False], [True, True]]
    assert splits["train"].labels.tolist() == [[True, False], [False, True]]
    assert splits["validation"].known.tolist() == [[False, True], [True, True]]
    assert splits["validation"].labels.tolist() == [[False, False], [True, False]]


CLASSES = """image,animal,split,weight
a.png,cat,train,3
sub/b.png, dog,train,x
sub/c.png,?,train,
d.png,,test,7
e.png,Cat,test,1
"""


def of_classes(table, **values):
    table.write_text(CLASSES)
    return settings(table, **{"group_column": None, "class_column": "animal"} | values)


def test_a_column_of_classes(table):
    source = data.load(of_classes(table))
    assert source.targets == (("Cat", "cat", "dog"), True)
    train, test = source.splits["train"], source.splits["test"]
    assert train.labels.tolist() == [[False, True, False], [False, False, True], [False] * 3]
    assert train.known.tolist() == [[True] * 3, [True] * 3, [False] * 3]
    assert test.labels.tolist() == [[False] * 3, [True, False, False]]
    assert test.known.tolist() == [[False] * 3, [True] * 3]
    assert source.notes == (
        f"{table}: left out the columns beside animal: weight",
        "the same in all training images, so that nothing can be learnt of it: Cat",
        "images' classes that are not known and count nowhere: train 1 of 3, test 1 of 2",
    )


def test_classes_are_chosen_and_images_of_others_left_out(table, reds):
    source = data.load(of_classes(table, attributes=("dog", "cat")))
    assert source.targets == (("dog", "cat"), True)
    train, test = source.splits["train"], source.splits["test"]
    assert train.labels.tolist() == [[False, True], [True, False], [False] * 2]
    assert (test.ids.tolist(), reds(test)) == (["d.png"], [30])
    assert f"{table}: left out 1 images of classes that are not chosen: Cat" in source.notes
    without = data.load(of_classes(table, attributes=("Cat", "cat"))).splits
    assert {name: split.ids.tolist() for name, split in without.items()} == {
        "train": ["a.png", "sub/c.png"],
        "test": ["d.png", "e.png"],
    }


def test_columns_of_classes_that_will_not_do_are_refused(table, refusal):
    assert refusal(of_classes(table, attributes=("bird", "cat"))) == (
        "data.attributes: expected known names; did you mean 'dog'? Received: 'bird'"
    )
    assert refusal(of_classes(table, attributes=("cat",))) == (
        "data.source: expected two classes or more. Received: cat"
    )
    assert refusal(of_classes(table, class_column="split")) == (
        "data.class_column: expected a column of its own. Received: 'split', which has another use too"
    )
    assert refusal(of_classes(table, class_column="anima")) == (
        f"{table}, line 1: expected a column 'anima' (is data.class_column 'animal'?). Received: 4 other columns"
    )
    table.write_text("image,animal\na.png,?\n")
    assert refusal(settings(table, split_column=None, group_column=None, class_column="animal", shares=(1, 0, 0))) == (
        "data.source: expected two classes or more. Received: none"
    )


def drawn(path, rows, **values):
    """The split of each image, where none is given; `rows` are (image, group)."""
    text = "".join(f"{name},{number % 2},{group}\n" for number, (name, group) in enumerate(rows))
    path.write_text("image,smiling,person\n" + text)
    splits = data.load(settings(path, split_column=None, **values)).splits
    return {name: split for split in splits for name in splits[split].ids.tolist()}


def test_drawn_splits_keep_to_the_shares_and_never_divide_a_group(table):
    rows = [("a.png", "0")] + [(f"{number}.png", str(number % 997)) for number in range(1, 2991)]
    split_of = drawn(table, rows, shares=(0.6, 0.3, 0.1))
    of_group = {}
    for name, group in rows:
        of_group.setdefault(group, set()).add(split_of[name])
    assert all(len(splits) == 1 for splits in of_group.values())
    # Each of 997 groups is drawn by itself: a share's standard deviation is at most 0.016.
    for split, share in (("train", 0.6), ("validation", 0.3), ("test", 0.1)):
        assert np.mean([split_of[name] == split for name, _ in rows]) == pytest.approx(share, abs=0.05)


def test_a_drawn_split_does_not_change_when_rows_are_added_or_moved(table):
    rows = [("a.png", "x"), *((f"{number}.png", "") for number in range(200))]
    before = drawn(table, rows, group_column=None, attributes=("smiling",))
    more = [(f"new{number}.png", "") for number in range(50)]
    after = drawn(table, [*more, *reversed(rows)], group_column=None, attributes=("smiling",))
    assert {name: after[name] for name in before} == before
    assert len(set(before.values())) == 3


def test_the_draw_is_the_same_in_every_process(table):
    rows = [("a.png", "ann"), ("0.png", "bob"), ("1.png", "eve")]
    # `printf ann | sha256sum` begins 49915e0d, which is 0.287 of 2^32; bob 0.506, eve 0.520; 0.png 0.059, 1.png 0.579.
    assert drawn(table, rows, shares=(0.4, 0.11, 0.49)) == {"a.png": "train", "0.png": "validation", "1.png": "test"}
    of_path = drawn(table, rows, group_column=None, attributes=("smiling",), shares=(0.1, 0.4, 0.5))
    assert (of_path["0.png"], of_path["1.png"]) == ("train", "test")


def test_a_draw_that_leaves_a_split_empty_is_said(table):
    table.write_text("image,smiling\na.png,1\nd.png,0\n")
    source = data.load(settings(table, split_column=None, group_column=None, shares=(0.9999, 0.0001, 0.0)))
    assert source.notes == (f"{table}: the draw put none of its 2 images into validation",)
    assert list(source.splits) == ["train"]


ONCE = "expected every column to have a name of its own"
PATH = "expected an image's path, relative, with '/' and without '..'"
ROW = "a.png,1,train,0,ann"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("smiling", "hat", f"{{}}, line 1: {ONCE}. Received: 'hat'"),
        ("smiling", "", f"{{}}, line 1: {ONCE}. Received: ''"),
        ("image,", "Images,", "{}, line 1: expected a column 'image' (is data.image_column 'Images'?). Received: 5 "
         "other columns"),
        ("person", "people", "{}, line 1: expected a column 'person' (is data.group_column 'people'?). Received: 5 "
         "other columns"),
        (CSV, "", "{}, line 1: expected a column 'image'. Received: no header"),
        (CSV, "image,split,person\na.png,train,ann", "{}, line 1: expected a column for each attribute. Received: "
         "['image', 'split', 'person'] and no more"),
        (ROW, "a.png,1,train,0", "{}, line 2: expected 5 cells, as in the header. Received: 4"),
        (ROW, ROW + ",", "{}, line 2: expected 5 cells, as in the header. Received: 6"),
        (ROW, "a.png,yes,train,0,ann", "{}, line 2, column 'smiling': expected 1 or 0, or 1 or -1. Received: 'yes'"),
        (ROW, "a.png,1,train,N/A,ann", "{}, line 2, column 'hat': expected 1 or 0, or 1 or -1. Received: 'N/A'"),
        (ROW, "a.png,1,train,-1,ann", "{}, line 3, column 'smiling': expected no to be 0, or -1, throughout. "
         "Received: 0 after -1"),
        (ROW, "a.png,1,training,0,ann", "{}, line 2, column 'split': expected train, validation or test. Received: "
         "'training'"),
        (ROW, "a.png,1,train,0,", "{}, line 2, column 'person': expected a group. Received: an empty cell"),
        (",train,", ",test,", "{}, column 'split': expected at least one training image. Received: none among 5 rows"),
        (CSV, "image,smiling,split,person\n", "{}, column 'split': expected at least one training image. Received: "
         "none among 0 rows"),
        ("d.png", "sub/../a.png", f"{{}}, line 5: {PATH}. Received: 'sub/../a.png'"),
        ("d.png", "..", f"{{}}, line 5: {PATH}. Received: '..'"),
        ("d.png", "/etc/d.png", f"{{}}, line 5: {PATH}. Received: '/etc/d.png'"),
        ("d.png", "C:d.png", f"{{}}, line 5: {PATH}. Received: 'C:d.png'"),
        ("d.png", "sub\\d.png", f"{{}}, line 5: {PATH}. Received: 'sub\\\\d.png'"),
        ("d.png", "", f"{{}}, line 5: {PATH}. Received: ''"),
        ("d.png", "./a.png", "{}, line 5: expected every image once. Received: 'a.png', also in line 2"),
        ("d.png", '"d.png', "{}, line 6: expected comma-separated values. Received: unexpected end of data"),
        ("d.png", "\udcff.png", "{}, line 5: expected UTF-8. Received: byte 0xff"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_meant_is_refused_by_its_line(table, refusal, old, new, message):
    assert old in CSV
    table.write_text(CSV.replace(old, new), errors="surrogateescape")
    assert refusal(settings(table)) == message.replace("{}", str(table))


def test_a_table_that_is_not_there_is_refused(tmp_path, refusal):
    path = tmp_path / "none.csv"
    assert refusal(settings(path)) == f"{path}: expected a readable file. Received: No such file or directory"
    assert refusal(settings(tmp_path)) == f"{tmp_path}: expected a readable file. Received: Is a directory"


def test_a_column_cannot_have_two_uses(table, refusal):
    assert refusal(settings(table, group_column="split")) == (
        "data.split_column: expected a column of its own. Received: 'split', which has another use too"
    )


def test_a_folder_with_none_of_the_images_is_refused(table, tmp_path, refusal):
    assert refusal(settings(table, directory=str(tmp_path / "none"))) == (
        f"{tmp_path}/none: expected the images that {table} lists, such as 'a.png'. Received: none of 5 is there"
    )


def test_a_draw_without_training_images_is_refused(table, refusal):
    table.write_text("image,smiling\na.png,1\n")
    assert refusal(settings(table, split_column=None, group_column=None, shares=(0.0, 1.0, 0.0))) == (
        f"{table}: data.shares: expected at least one training image. Received: none among 1 rows"
    )
