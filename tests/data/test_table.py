"""The user's own CSV: what is read, how splits are drawn, and what is refused in which words."""

import csv
import functools
import time
import unicodedata

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
        ("\n", "\r"),
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


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", ("Training", "TRAIN")),
        ("validation", ("VALIDATION", "Dev", "val", "valid")),
        ("test", ("Testing", "TEST")),
    ],
)
def test_what_splits_are_called(table, split, names):
    rows = "".join(f"{number}.png,1,{name},x\n" for number, name in enumerate(names))
    table.write_text("image,smiling,split,person\na.png,0,train,x\n" + rows)
    assert len(data.load(settings(table)).splits[split]) == len(names) + (split == "train")


def test_minus_one_is_no_too(table):
    table.write_text("image,smiling,split,person\na.png,1,train,x\nd.png,-1,train,y\n")
    assert data.load(settings(table)).splits["train"].labels.tolist() == [[True], [False]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_separators_and_encodings_are_recognised(table, separator, encoding):
    before = data.load(settings(table))
    text = CSV.replace(",", separator).replace("ann", "Änne").replace("hat", "Hüte")
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    table.write_bytes((mark + text).encode(encoding))
    source = data.load(settings(table))
    assert (source.attributes, source.notes) == (("smiling", "Hüte"), before.notes)
    for name, split in before.splits.items():
        assert source.splits[name].ids.tolist() == split.ids.tolist()
        assert source.splits[name].labels.tolist() == split.labels.tolist()
        assert source.splits[name].groups.tolist() == split.groups.tolist()


def test_latin_1_is_read_and_said(table):
    table.write_bytes(CSV.replace("hat", "Hüte \x96").encode("latin-1"))  # 0x96 is a dash in Windows-1252
    source = data.load(settings(table))
    assert source.attributes == ("smiling", "Hüte \u2013")
    assert source.notes[0] == f"{table}: read as Latin-1 (Windows-1252), for it is not UTF-8"
    table.write_bytes(CSV.replace("hat", "Hüte \x81").encode("latin-1"))  # which Windows-1252 does not have
    assert data.load(settings(table)).attributes == ("smiling", "Hüte \x81")


def test_a_separator_in_quotes_or_in_other_cells_is_none(table):
    table.write_text('image;"a;b, c";split\na.png;1;train\nd.png;0,0;test\n')
    source = data.load(settings(table, group_column=None))
    assert source.attributes == ("a;b, c",)
    assert source.splits["test"].labels.tolist() == [[False]]


@pytest.mark.parametrize(
    ("yes", "no"),
    [("True", "False"), ("yes", "No"), ("1.0", "0.0"), ("1", "-1.0"), ("t", "F"), (" y ", "n"), ("1,0", "-1,0")],
)
def test_how_yes_and_no_are_written(table, yes, no):
    before = data.load(settings(table)).splits
    table.write_text(CSV.replace(",", ";").replace(";1", f";{yes}").replace(";0", f";{no}"))
    source = data.load(settings(table))
    assert source.attributes == ("smiling", "hat")
    for name, split in before.items():
        assert source.splits[name].labels.tolist() == split.labels.tolist()


OTHERS = """,image,split,shines,age,sender,note,when
0,a.png,train,yes,41,1,,2020-01-01
1,d.png,train,,1,204,,2020-01-02
2,e.png,train,no,7,204,new,2020-01-02
3,sub/b.png,test,?,30,31,old,
"""


def test_columns_of_something_else_are_left_out_and_said(table):
    table.write_text(OTHERS)
    source = data.load(settings(table, group_column=None))
    assert source.attributes == ("shines",)
    assert source.notes[:2] == (
        f"{table}: left out a column without a name",
        f"{table}: left out the columns that do not hold labels: age, sender, note and 1 more",
    )


def test_a_chosen_column_has_to_hold_labels(table, refusal):
    table.write_text(OTHERS)
    assert refusal(settings(table, group_column=None, attributes=("note", "shines"))) == (
        f"{table}: 2 errors: line 4, column 'note': expected yes or no, 1 or 0. Received: 'new'; "
        "line 5, column 'note': expected yes or no, 1 or 0. Received: 'old'"
    )


def test_a_table_without_labels_is_refused(table, refusal):
    table.write_text("image,split,colour\na.png,train,red\nd.png,train,blue\n")
    assert refusal(settings(table, group_column=None)) == (
        f"{table}: expected a column of labels for each attribute. Received: none, but colour"
    )


def test_a_separator_at_the_end_of_all_lines_is_no_column(table):
    before = data.load(settings(table)).splits["train"]
    table.write_text(CSV.replace("\n", ",\n"))
    source = data.load(settings(table))
    assert source.attributes == ("smiling", "hat")
    assert source.splits["train"].labels.tolist() == before.labels.tolist()


def test_all_errors_are_told_at_once(table, refusal):
    table.write_text(
        "image,smiling,split,hat,person\na.png,1,train,0,ann\nsub/b.png,0,trial,-1,\n../c.png,0,val,no,ann\n"
        "d.png,1,test,1\na.png,perhaps,train,1,eve\ne.png,1,train,1,eve\n"
    )
    assert refusal(settings(table)) == (
        f"{table}: 7 errors: line 3, column 'hat': expected no to be 0, or -1, throughout. Received: -1 after 0; "
        "line 3, column 'person': expected a group. Received: an empty cell; "
        "line 3, column 'split': expected train, validation or test. Received: 'trial'; "
        f"line 4: {PATH}. Received: '../c.png'; "
        "line 5: expected 5 cells, as in the header. Received: 4; "
        "line 6, column 'smiling': expected yes or no, 1 or 0. Received: 'perhaps'; "
        "line 6: expected every image once. Received: 'a.png', also in line 2"
    )


def test_the_first_ten_errors_are_told_and_all_counted(table, refusal):
    rows = "".join(f"{n}.png,{'1' if n % 3 else 'maybe'},train,1,ann\n" for n in range(100, 199))
    table.write_text("image,smiling,split,hat,person\na.png,1,train,1,ann\n" + rows)
    line = refusal(settings(table))
    assert line.startswith(f"{table}: 33 errors: line 5, column 'smiling': expected yes or no, 1 or 0.")
    assert (line.count("Received"), line.endswith("; and 23 more")) == (10, True)


def test_two_hundred_thousand_rows_are_refused_as_fast_as_csv_reads_them_a_few_times(tmp_path, refusal):
    table = tmp_path / "table.csv"
    rows = "".join(f"{n}.png,{n % 2},{n % 3 % 2},{n % 5 % 2},train,a note of its own {n}\n" for n in range(200_000))
    table.write_text("image,one,two,three,split,note\n" + rows + "last.png,1,1,0,nowhere,\n")
    begin = time.process_time()
    with table.open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == 200_001
    read = time.process_time()
    line = refusal(settings(table, group_column=None))
    assert time.process_time() - read < 5 * (read - begin)  # about 3.5 are needed
    assert line == (f"{table}, line 200002, column 'split': expected train, validation or test. Received: 'nowhere'")


@pytest.mark.parametrize("names", [["sub\\\\c.png", "{/}/d.png"], [".\\sub/c.png", "{/}//./d.png"]])
def test_windows_and_absolute_paths_into_the_folder(table, names, reds):
    table.write_text(CSV.replace("sub/c.png", names[0]).replace("d.png", names[1].replace("{/}", str(table.parent))))
    source = data.load(settings(table))
    assert source.splits["test"].ids.tolist() == ["d.png"]
    assert source.splits["validation"].ids.tolist() == ["sub/c.png", "e.png"]
    assert (reds(source.splits["validation"]), reds(source.splits["test"])) == ([20, 40], [30])


def test_absolute_paths_through_a_link_and_from_another_folder(table, tmp_path, refusal, reds, monkeypatch):
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "t.csv").write_text(CSV.replace("d.png", f"{tmp_path}/d.png"))
    assert refusal(settings(elsewhere / "t.csv")) == (
        f"{elsewhere}/t.csv, line 5: expected an image's path inside {elsewhere}, or another data.directory. "
        f"Received: '{tmp_path}/d.png'"
    )
    monkeypatch.chdir(tmp_path)
    for directory in (str(tmp_path), str(link), ".", "link/."):
        assert reds(data.load(settings(elsewhere / "t.csv", directory=directory)).splits["test"]) == [30]


def test_a_name_with_a_backslash_is_a_file_of_its_own_where_there_is_one(table, draw, reds):
    draw(table.parent, ["a.png", "sub\\c.png"])
    table.write_text(CSV.replace("sub/c.png", "sub\\c.png"))
    validation = data.load(settings(table)).splits["validation"]
    assert (validation.ids.tolist(), reds(validation)) == (["sub\\c.png", "e.png"], [10, 40])


def test_names_without_what_their_files_have_in_common(table, refusal, reds):
    bare = "image,smiling,split\nb,1,train\nc,0,train\n"
    table.write_text(bare)
    source = data.load(settings(table, group_column=None, image_template="sub/{}.png"))
    assert (source.splits["train"].ids.tolist(), reds(source.splits["train"])) == (["sub/b.png", "sub/c.png"], [10, 20])
    assert refusal(settings(table, group_column=None)) == (
        f"{table.parent}: expected the images that {table} lists, such as 'b' (is data.image_template "
        "'sub/{}.png'?). Received: none of 2 is there"
    )
    table.write_text(bare.replace("c,0", "../c,0"))
    assert refusal(settings(table, group_column=None, image_template="sub/{}.png")) == (
        f"{table}, line 3: {PATH}. Received: '../c'"
    )


@pytest.mark.parametrize("template", ["images/.jpg", "{}/{}.jpg", "{0}.jpg", "{{}}.jpg", "../{}.jpg", "/a/{}", "a\\{}"])
def test_templates_that_make_no_path_are_refused(template):
    with pytest.raises(ValueError, match=r"image_template: expected a relative path with \{\} once"):
        settings("x", image_template=template, split_column="split").require_possible()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_unicode_forms_are_alike(table, draw, refusal, reds, form):
    one = functools.partial(unicodedata.normalize, form)
    other = functools.partial(unicodedata.normalize, {"NFC": "NFD", "NFD": "NFC"}[form])
    draw(table.parent, [one("Größe/") + other("é.png"), "a.png", other("ü.png")])
    rows = f"{other('Größe/é.png')},1,train,{one('Zoë')}\na.png,0,train,{other('Zoë')}\n{other('ü.png')},1,train,x\n"
    table.write_text(f"image,{one('Hüte')},split,{other('Wär')}\n{rows}")
    source = data.load(settings(table, attributes=(other("Hüte"),), group_column=one("Wär")))
    assert source.attributes == ("Hüte",)
    train = source.splits["train"]
    assert (train.ids[0], reds(train), train.groups.tolist()) == (other("Größe/é.png"), [0, 10, 20], [0, 0, 1])
    table.write_text(f"image,hat,split\n{one('Größe/é.png')},1,train\n{other('Größe/é.png')},1,train\n")
    assert refusal(settings(table, group_column=None)).endswith("in two forms of Unicode")


def test_images_may_lie_in_another_folder(table, draw, tmp_path, reds):
    draw(tmp_path / "elsewhere", ["e.png", *NAMES[:4]])  # e.png is the darkest here
    source = data.load(settings(table, directory=str(tmp_path / "elsewhere")))
    assert reds(source.splits["validation"]) == [30, 0]


def test_columns_that_are_not_chosen_may_hold_anything(table):
    table.write_text(CSV.replace("hat", "age").replace(",0,ann", ",41,ann").replace(",1,bob", ",,bob"))
    source = data.load(settings(table, attributes=("smiling",)))
    assert source.attributes == ("smiling",)
    assert source.splits["train"].labels.tolist() == [[True], [False]]


@pytest.mark.parametrize("unknown", ["", "?", "nan", "NaN", "NAN", "NA", "null"])
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


def test_an_attribute_for_each_class(table):
    source = data.load(of_classes(table, exclusive=False, attributes=("dog",)))
    assert source.targets == (("dog",), False)
    train, test = source.splits["train"], source.splits["test"]
    assert train.labels.tolist() == [[False], [True], [False]]
    assert train.known.tolist() == [[True], [True], [False]]
    assert (test.ids.tolist(), test.known.tolist()) == (["d.png", "e.png"], [[False], [True]])
    assert data.load(of_classes(table, exclusive=False)).targets == (("Cat", "cat", "dog"), False)


def test_columns_of_classes_that_will_not_do_are_refused(table, refusal):
    assert refusal(of_classes(table, attributes=("bird", "cat"))) == (
        "data.attributes: expected known names; did you mean 'dog'? Received: 'bird'"
    )
    assert refusal(of_classes(table, attributes=("cat",))) == (
        "data.source: expected two classes or more (add images of others). Received: cat"
    )
    assert refusal(of_classes(table, class_column="split")) == (
        "data.class_column: expected a column of its own. Received: 'split', which has another use too"
    )
    assert refusal(of_classes(table, class_column="anima")) == (
        f"{table}, line 1: expected a column 'anima' (is data.class_column 'animal'?). Received: 4 other columns"
    )
    table.write_text("image,animal\na.png,?\n")
    assert refusal(settings(table, split_column=None, group_column=None, class_column="animal", shares=(1, 0, 0))) == (
        "data.source: expected two classes or more (add images of others). Received: none"
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
INSIDE = "expected an image's path inside {/}, or another data.directory"
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
        (",", "|", "{}, line 1: expected columns divided by commas, semicolons or tabs, 'image' among them. Received: "
         "'image|smiling|split|hat|person'"),
        (CSV, "image,split,person\na.png,train,ann", "{}, line 1: expected a column for each attribute. Received: "
         "['image', 'split', 'person'] and no more"),
        (ROW, "a.png,1,train,0", "{}, line 2: expected 5 cells, as in the header. Received: 4"),
        (ROW, ROW + ",", "{}, line 2: expected 5 cells, as in the header. Received: 6"),
        (ROW, "a.png,happy,train,0,ann", "{}, line 2, column 'smiling': expected yes or no, 1 or 0. Received: "
         "'happy'"),
        (ROW, "a.png,1,train,N/A,ann", "{}, line 2, column 'hat': expected yes or no, 1 or 0. Received: 'N/A'"),
        (ROW, "a.png,1,train,-1,ann", "{}, line 3, column 'smiling': expected no to be 0, or -1, throughout. "
         "Received: 0 after -1"),
        (ROW, "a.png,1,trial,0,ann", "{}, line 2, column 'split': expected train, validation or test. Received: "
         "'trial'"),
        (ROW, "a.png,1,train,0,", "{}, line 2, column 'person': expected a group. Received: an empty cell"),
        (",train,", ",test,", "data.source: expected table to hold training images. Received: validation 2, test 3"),
        (CSV, "image,smiling,split,person\n", "{}: expected a row for each image. Received: none"),
        ("d.png", "sub/../a.png", f"{{}}, line 5: {PATH}. Received: 'sub/../a.png'"),
        ("d.png", "..", f"{{}}, line 5: {PATH}. Received: '..'"),
        ("d.png", "sub\\..\\d.png", f"{{}}, line 5: {PATH}. Received: 'sub\\\\..\\\\d.png'"),
        ("d.png", "/etc/d.png", f"{{}}, line 5: {INSIDE}. Received: '/etc/d.png'"),
        ("d.png", "C:d.png", f"{{}}, line 5: {INSIDE}. Received: 'C:d.png'"),
        ("d.png", "\\\\disk\\d.png", f"{{}}, line 5: {INSIDE}. Received: '\\\\\\\\disk\\\\d.png'"),
        ("d.png", "{/}/../d.png", f"{{}}, line 5: {PATH}. Received: '{{/}}/../d.png'"),
        ("d.png", "{/}x/d.png", f"{{}}, line 5: {INSIDE}. Received: '{{/}}x/d.png'"),
        ("d.png", "", f"{{}}, line 5: {PATH}. Received: ''"),
        ("d.png", "./a.png", "{}, line 5: expected every image once. Received: 'a.png', also in line 2"),
        ("d.png", '"d.png', "{}, line 6: expected comma-separated values. Received: unexpected end of data"),
        ("d.png", "éé\udcff.png", "{}, line 5: expected UTF-8. Received: byte 0xff"),
        ("d.png", "a\0.png", "{}, line 5: expected text, such as a spreadsheet saved as CSV. Received: a byte 0"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_meant_is_refused_by_its_line(table, refusal, old, new, message):
    assert old in CSV
    table.write_text(CSV.replace(old, new.replace("{/}", str(table.parent))), "utf-8", errors="surrogateescape")
    expected = message.replace("{}", str(table)).replace("{/}", str(table.parent))
    assert refusal(settings(table)) == expected


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
        "data.source: expected table to hold training images. Received: validation 1"
    )
