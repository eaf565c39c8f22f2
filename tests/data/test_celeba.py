"""The official layout of CelebA: what is read, and what is refused in which words."""

import numpy as np
import pytest

from mam_keras import data
from mam_keras.data import celeba
from mam_keras.errors import UserError

NAMES = ["000001.jpg", "000002.jpg", "000005.jpg", "000006.jpg", "000009.jpg"]
LABELS = [[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
ATTRIBUTES = ("5_o_Clock_Shadow", "Bald", "Young")
TXT = """5
5_o_Clock_Shadow Bald Young 
000001.jpg -1  1 -1
000002.jpg  1  1 -1
000005.jpg -1 -1  1
000006.jpg  1 -1 -1
000009.jpg  1 -1  1
"""  # noqa: W291 (the official file has the space, too)
CSV = """image_id,5_o_Clock_Shadow,Bald,Young
000001.jpg,-1,1,-1
000002.jpg,1,1,-1
000005.jpg,-1,-1,1
000006.jpg,1,-1,-1
000009.jpg,1,-1,1
"""
PARTITION = "000001.jpg 0\n000002.jpg 0\n000005.jpg 1\n000006.jpg 2\n000009.jpg 0\n"
IDENTITY = "000001.jpg 7\n000002.jpg 12\n000003.jpg 7\n000005.jpg 3\n000006.jpg 4\n000009.jpg 7\n"


@pytest.fixture
def folder(tmp_path, draw):
    draw(tmp_path / "img_align_celeba", NAMES)
    (tmp_path / "list_attr_celeba.txt").write_text(TXT)
    (tmp_path / "list_eval_partition.txt").write_text(PARTITION)
    return tmp_path


def settings(folder, **values):
    return celeba.Settings(source="celeba", directory=str(folder), **values)


def expect_everything(source, reds):
    assert source.attributes == ATTRIBUTES
    assert {name: split.ids.tolist() for name, split in source.splits.items()} == {
        "train": ["000001.jpg", "000002.jpg", "000009.jpg"],
        "validation": ["000005.jpg"],
        "test": ["000006.jpg"],
    }
    np.testing.assert_array_equal(source.splits["train"].labels, np.array(LABELS, bool)[[0, 1, 4]])
    np.testing.assert_array_equal(source.splits["validation"].labels, np.array(LABELS, bool)[[2]])
    assert [reds(source.splits[name]) for name in ("train", "validation", "test")] == [[0, 10, 40], [20], [30]]


def test_the_official_layout(folder, reds):
    source = data.load(settings(folder))
    expect_everything(source, reds)
    assert source.notes == ()
    assert source.splits["train"].groups is None


@pytest.mark.parametrize("change", ["no last newline", "CRLF", "blank lines", "byte-order mark", "1/0"])
def test_variants_of_the_text_files_that_mean_the_same(folder, reds, change):
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        path = folder / name
        text = path.read_text()
        text = {
            "no last newline": text.rstrip("\n"),
            "CRLF": text.replace("\n", "\r\n"),
            "blank lines": text + "\n  \n",
            "byte-order mark": "\ufeff" + text,
            "1/0": text.replace("-1", "0"),
        }[change]
        path.write_text(text, encoding="utf-8", newline="")
    expect_everything(data.load(settings(folder)), reds)


@pytest.mark.parametrize("no", ["-1", "0"])
def test_kaggles_files_and_folders(tmp_path, draw, reds, no):
    draw(tmp_path / "img_align_celeba" / "img_align_celeba", NAMES)
    (tmp_path / "list_attr_celeba.csv").write_text(CSV.replace("-1", no))
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n" + PARTITION.replace(" ", ","))
    expect_everything(data.load(settings(tmp_path)), reds)


def test_identities_are_the_groups(folder):
    (folder / "identity_CelebA.txt").write_text(IDENTITY)
    splits = data.load(settings(folder)).splits
    assert {name: split.groups.tolist() for name, split in splits.items()} == {
        "train": [7, 12, 7],
        "validation": [3],
        "test": [4],
    }


def test_an_image_without_labels_is_left_out_and_said(folder, draw):
    draw(folder / "img_align_celeba", ["000003.jpg", "000004.jpg", "000007.jpg", "000008.jpg"])
    (folder / "img_align_celeba" / "Thumbs.db").touch()
    source = data.load(settings(folder))
    assert sum(map(len, source.splits.values())) == len(NAMES)
    (note,) = source.notes
    assert note == (
        f"{folder}/img_align_celeba: left out 4 images without a row in list_attr_celeba.txt: "
        "000003.jpg, 000004.jpg, 000007.jpg and 1 more"
    )


def test_a_label_without_its_image_stays(folder):
    (folder / "img_align_celeba" / "000002.jpg").unlink()
    assert "000002.jpg" in data.load(settings(folder)).splits["train"].ids


def test_a_missing_image_has_no_content(folder):
    split = data.load(settings(folder)).splits["train"]
    before = split.contents()
    (folder / "img_align_celeba" / "000002.jpg").unlink()
    assert before.all()
    after = data.load(settings(folder)).splits["train"].contents()
    np.testing.assert_array_equal(after, np.where(split.ids == "000002.jpg", 0, before))


ATTR, PART, IDENT = "list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (ATTR, "5\n", "6\n", "{}, line 1: expected the number of images, 5 rows. Received: 6"),
        (ATTR, "5\n5", "5", "{}, line 1: expected the number of images. Received: '5_o_Clock_Shadow Bald Young'"),
        (ATTR, TXT, "", "{}, line 1: expected the number of images. Received: ''"),
        (ATTR, TXT, "5", "{}, line 2: expected the attributes' names. Received: none"),
        (ATTR, "Young ", "", "{}: 5 errors: " + "; ".join(f"line {n}: expected 2 labels. Received: 3" for n in
         range(3, 8))),
        (ATTR, "-1 -1  1", "-1  1", "{}, line 5: expected 3 labels. Received: 2"),
        (ATTR, "-1 -1  1", "-1 2 1", "{}, line 5, column 'Bald': expected 1 or 0, or 1 or -1. Received: '2'"),
        (ATTR, "-1 -1  1", "-1 0 1", "{}, line 5, column 'Bald': expected no to be 0, or -1, throughout. Received: 0 "
         "after -1"),
        (ATTR, "000005", "000002", "{}, line 5: expected every image once. Received: '000002.jpg', also in line 4"),
        (ATTR, "Young", "Bald", "{}, line 2: expected every attribute to be named once. Received: 'Bald'"),
        (ATTR, "000005.jpg", "../5.jpg", "{}, line 5: expected an image's path, relative, with '/' and without '..'. "
         "Received: '../5.jpg'"),
        (ATTR, "000005.jpg", "\udcff", "{}, line 5: expected UTF-8. Received: byte 0xff"),
        (PART, "000005.jpg 1\n", "", "{/}" + ATTR + ", line 5: expected a row for each image in " + PART + " too. "
         "Received: none for 000005.jpg"),
        (PART, "000005.jpg 1\n", "000004.jpg 0\n000005.jpg 1\n", "{}, line 3: expected a row for each image in "
         + ATTR + " too. Received: none for 000004.jpg"),
        (PART, "05.jpg 1", "05.jpg 3", "{}, line 3: expected 0, 1 or 2 for '000005.jpg'. Received: '3'"),
        (PART, "05.jpg 1", "05.jpg", "{}, line 3: expected an image and 0, 1 or 2. Received: '000005.jpg'"),
        (PART, "06.jpg 2", "05.jpg 2", "{}, line 4: expected every image once. Received: '000005.jpg' again"),
        (PART, " 0", " 1", "data.source: expected celeba to hold training images. Received: validation 4, test 1"),
        (IDENT, "05.jpg 3", "05.jpg x", "{}, line 4: expected a person's number for '000005.jpg'. Received: 'x'"),
        (IDENT, "06.jpg 4", "05.jpg 4", "{}, line 5: expected one person for '000005.jpg'. Received: 4 after 3"),
        (IDENT, "000006.jpg 4\n", "", "{/}" + ATTR + ", line 6: expected a row for each image in " + IDENT + " too. "
         "Received: none for 000006.jpg"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_meant_is_refused_by_its_line(folder, refusal, name, old, new, message):
    (folder / IDENT).write_text(IDENTITY)
    path = folder / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new), errors="surrogateescape")
    assert refusal(settings(folder)) == message.replace("{}", str(path)).replace("{/}", f"{folder}/")


def test_a_csv_without_its_header_is_refused(folder, refusal):
    (folder / ATTR).unlink()
    path = folder / "list_attr_celeba.csv"
    path.write_text(CSV.partition("\n")[2])
    assert refusal(settings(folder)) == (
        f"{path}, line 1: expected a header that begins with image_id. Received: '000001.jpg -1 1 -1'"
    )


def test_a_missing_folder_is_refused(tmp_path, refusal):
    assert refusal(settings(tmp_path / "none")) == (
        f"{tmp_path}/none: expected the folder of CelebA (data.directory). Received: no such folder"
    )
    assert refusal(settings(tmp_path)) == (
        f"{tmp_path}: expected a folder img_align_celeba in it. Received: an empty folder"
    )


@pytest.mark.parametrize("name", ["list_attr_celeba", "list_eval_partition"])
def test_a_missing_list_is_refused_with_the_accepted_names(folder, refusal, name):
    (folder / f"{name}.txt").unlink()
    assert refusal(settings(folder)) == (
        f"{folder}: expected {name}.txt or {name}.csv in it. Received: neither is there"
    )


def test_a_folder_with_none_of_the_images_is_refused(folder, refusal):
    for name in NAMES:
        (folder / "img_align_celeba" / name).unlink()
    assert refusal(settings(folder)) == (
        f"{folder}/img_align_celeba: expected the images that {folder}/{ATTR} lists, such as '000001.jpg'. "
        "Received: none of 5 is there"
    )


def test_real_faces(real_faces):
    source = data.load(settings(real_faces))
    assert len(source.attributes) == 40
    assert {name: len(split) for name, split in source.splits.items()} == {
        "train": 12000,
        "validation": 2000,
        "test": 2000,
    }
    people = {name: set(split.groups.tolist()) for name, split in source.splits.items()}
    assert not people["train"] & people["validation"]
    assert not people["train"] & people["test"]
    assert not people["validation"] & people["test"]
    assert source.notes == ()
    row = next(
        line.split()
        for line in (real_faces / ATTR).read_text().splitlines()
        if line.startswith(str(source.splits["test"].ids[0]))
    )
    assert source.splits["test"].labels[0].tolist() == [value == "1" for value in row[1:]]
    assert next(iter(source.splits["test"].images()))[0].shape == (218, 178, 3)


# --- landmarks ---

LANDMARKS = "lefteye_x lefteye_y nose_x nose_y"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list_landmarks_align_celeba.txt", "3\n{}\na.jpg 1 2  3 4\nb.jpg 90 90 90 90\nc.jpg 3 2 5 8\n"),
        ("list_landmarks_align_celeba.csv", "image_id,{}\na.jpg,1,2,3,4\nb.jpg,90,90,90,90\nc.jpg,3,2,5,8\n"),
    ],
)
def test_landmarks_are_the_mean_over_the_images_asked_for(tmp_path, name, text):
    columns = LANDMARKS if name.endswith("txt") else LANDMARKS.replace(" ", ",")
    (tmp_path / name).write_text(text.format(columns))
    found = celeba.mean_landmarks(tmp_path, np.array(["c.jpg", "a.jpg"]))
    assert found == {"lefteye": (2, 2), "nose": (4, 6)}


def test_without_the_list_there_are_no_landmarks(tmp_path):
    assert celeba.mean_landmarks(tmp_path, np.array(["a.jpg"])) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1\nlefteye_x lefteye_y nose_y nose_x\na.jpg 1 2 3 4\n", ", line 2: expected x and y of each landmark"),
        (f"1\n{LANDMARKS}\na.jpg 1 2 3\n", ", line 3: expected 4 numbers. Received: '1 2 3'"),
        (f"1\n{LANDMARKS}\na.jpg 1 2 3 x\n", ", line 3: expected 4 numbers. Received: '1 2 3 x'"),
        (f"1\n{LANDMARKS}\na.jpg 1 2 3 nan\n", ", line 3: expected 4 numbers. Received: '1 2 3 nan'"),
        (f"1\n{LANDMARKS}\nb.jpg 1 2 3 4\n", ": expected a row for each image. Received: none for a.jpg"),
        (f"{LANDMARKS}\na.jpg 1 2 3 4\n", ", line 1: expected the number of images"),
        ("", ", line 1: expected the number of images"),
    ],
)
def test_malformed_landmarks_are_refused_in_one_line(tmp_path, text, expected):
    path = tmp_path / "list_landmarks_align_celeba.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        celeba.mean_landmarks(tmp_path, np.array(["a.jpg"]))
    assert str(caught.value).startswith(f"{path}{expected}")
    assert "\n" not in str(caught.value)
