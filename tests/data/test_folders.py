"""A folder for each class: what is read, how splits are drawn, and what is refused in which words."""

import os

import numpy as np
import pytest

from mam_keras import data
from mam_keras.data.folders import Settings

WITHOUT_SPLITS = [f"{name}/{number}.png" for number in range(100) for name in ("dog", "cat")]


def settings(folder, **values):
    return Settings(source="folders", directory=str(folder), **values)


def ids(source):
    return {name: sorted(split.ids.tolist()) for name, split in source.splits.items()}


def test_folders_of_splits(tmp_path, draw, reds):
    names = ["train/dog/a.png", "train/cat/b.PNG", "val/dog/a.png", "val/cat/sub/c.jpeg", "Test/dog/d.png"]
    draw(tmp_path, names)
    (tmp_path / "Test/cat").mkdir()
    source = data.load(settings(tmp_path))
    assert source.targets == (("cat", "dog"), True)
    assert ids(source) == {"train": sorted(names[:2]), "validation": sorted(names[2:4]), "test": names[4:]}
    for split in source.splits.values():
        assert split.labels.tolist() == [["cat" in name, "dog" in name] for name in split.ids.tolist()]
        assert split.known.all()
        assert split.groups is None
        assert reds(split) == [10 * names.index(name) for name in split.ids.tolist()]
    assert source.notes == ()


def test_folders_without_splits_are_drawn_as_tables_are(tmp_path, draw):
    draw(tmp_path, WITHOUT_SPLITS)
    source = data.load(settings(tmp_path, shares=(0.5, 0.3, 0.2)))
    assert sorted(name for names in ids(source).values() for name in names) == sorted(WITHOUT_SPLITS)
    table = tmp_path / "table.csv"
    table.write_text("image,is\n" + "".join(f"{name},{int('dog' in name)}\n" for name in WITHOUT_SPLITS))
    as_table = data.SOURCES.module("table").Settings(source="table", file=str(table), shares=(0.5, 0.3, 0.2))
    assert ids(source) == ids(data.load(as_table))


def test_validation_is_drawn_of_train_and_stays_where_it_is(tmp_path, draw):
    names = [f"{split}/{name}" for split in ("train", "test") for name in WITHOUT_SPLITS]
    draw(tmp_path, names)
    source = data.load(settings(tmp_path, validation_share=0.25))
    drawn = ids(source)
    assert drawn["test"] == sorted(names[200:])
    assert sorted(drawn["train"] + drawn["validation"]) == sorted(names[:200])
    assert 30 < len(drawn["validation"]) < 70
    assert source.notes == (
        f"{tmp_path}: no folder of validation, so that {len(drawn['validation'])} images of train were drawn for it",
    )
    draw(tmp_path, ["train/dog/new.png"])
    again = ids(data.load(settings(tmp_path, validation_share=0.25)))
    assert set(again["validation"]) - {"train/dog/new.png"} == set(drawn["validation"])
    assert "validation" not in ids(data.load(settings(tmp_path, validation_share=0.0)))


def test_a_limit_takes_images_of_all_classes(tmp_path, draw):
    draw(tmp_path, WITHOUT_SPLITS)
    rates = data.load(settings(tmp_path, limit=40)).splits["train"].rates
    assert rates.min() > 0.2


def test_splits_of_other_names_and_classes_in_other_forms(tmp_path, draw):
    names = ["Training/Ka\u0308se/1.png", "Training/a/2.png", "DEV/K\u00e4se/3.png", "DEV/a/4.png", "testing/a/5.png"]
    draw(tmp_path, [*names, "testing/K\u00e4se/6.png"])
    source = data.load(settings(tmp_path, attributes=("a", "Ka\u0308se")))
    assert source.attributes == ("a", "K\u00e4se")
    assert ids(source)["validation"] == sorted(names[2:4])
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 2, "validation": 2, "test": 2}


def test_two_classes_of_one_name_are_refused(tmp_path, draw, refusal):
    draw(tmp_path, [f"{name}/{number}.png" for name in ("Ka\u0308se", "K\u00e4se") for number in range(9)])
    assert refusal(settings(tmp_path, shares=(1, 0, 0))) == (
        "data.source: expected every name once. Received: K\u00e4se, in two forms of Unicode"
    )


def test_classes_are_chosen_and_ordered(tmp_path, draw):
    draw(tmp_path, [f"train/{name}/{number}.png" for name in "abc" for number in range(9)])
    source = data.load(settings(tmp_path, attributes=("c", "a")))
    assert source.targets == (("c", "a"), True)
    for split in source.splits.values():
        assert split.labels.tolist() == [["/c/" in name, "/a/" in name] for name in split.ids.tolist()]
    assert not any("/b/" in name for names in ids(source).values() for name in names)


def test_what_is_no_image_is_left_out_and_said(tmp_path, draw):
    kept = ["train/cat/1.png", "train/dog/2.png"]
    draw(tmp_path, [*kept, "train/.hidden/3.png", "train/cat/._1.png", "train/cat/.thumbs/4.png", "train/loose.png"])
    for name in ("README.md", "train/cat/Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "train/loop").symlink_to("loop")
    draw(tmp_path, ["test/5.png", "extra/6.png"])
    source = data.load(settings(tmp_path, validation_share=0.0))
    assert ids(source) == {"train": kept}
    assert source.notes == (
        f"{tmp_path}: left out 10 files and folders that are no images: README.md, extra, test/5.png and 7 more",
    )


def test_a_class_may_be_called_train(tmp_path, draw):
    draw(tmp_path, ["train/1.png", "bus/2.png", "test/3.png"])
    source = data.load(settings(tmp_path, shares=(1.0, 0.0, 0.0)))
    assert source.attributes == ("bus", "test", "train")


def test_the_contents_follow_the_bytes_of_the_files_and_nothing_else(tmp_path, draw):
    draw(tmp_path, ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", "val/a/1.png", "val/b/1.png"])

    def contents():
        splits = data.load(settings(tmp_path)).splits
        return {name: dict(zip(split.ids, split.contents(), strict=True)) for name, split in splits.items()}

    before, file = contents(), tmp_path / "test/a/1.png"
    os.utime(file, ns=(0, 0))
    assert contents() == before
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    os.utime(file, ns=(0, 0))
    after = contents()
    assert after["test"].pop("test/a/1.png") != before["test"].pop("test/a/1.png")
    assert after == before


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/a/1.png", "train/b/1.png", "test/a/1.png"], "{}: expected the same classes in test as in train. "
         "Received: only in one: b"),
        (["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png", "valid/a/1.png", "valid/b/1.png"],
         "{}: expected one folder of each split. Received: val, valid"),
        (["train/a/1.png"], "data.source: expected two classes or more (add images of others). Received: a"),
        (["1.png"], "{}: expected images (.bmp, .gif, .jpeg, .jpg, .png, .webp) in a folder for each class. "
         "Received: none"),
        (["a/1.txt", "b/2.txt"], "{}: expected images (.bmp, .gif, .jpeg, .jpg, .png, .webp) in a folder for "
         "each class. Received: none"),
    ],
)  # fmt: skip
def test_folders_that_will_not_do_are_refused(tmp_path, draw, refusal, names, message):
    draw(tmp_path, names)
    assert refusal(settings(tmp_path)) == message.replace("{}", str(tmp_path))


def test_a_folder_that_is_not_there_is_refused(tmp_path, refusal):
    where = "expected a folder with a folder for each class (data.directory)"
    assert refusal(settings(tmp_path / "none")) == f"{tmp_path}/none: {where}. Received: No such file or directory"
    (tmp_path / "file").touch()
    assert refusal(settings(tmp_path / "file")) == f"{tmp_path}/file: {where}. Received: Not a directory"


def test_names_that_are_not_utf8_are_refused(tmp_path, draw, refusal):
    draw(tmp_path, ["a/1.png", "b/2.png"])
    with open(os.fsencode(tmp_path) + b"/a/\xff.png", "wb"):  # noqa: PTH123 (pathlib takes no bytes)
        pass
    assert refusal(settings(tmp_path)).startswith(f"{tmp_path}: expected names in UTF-8. Received: ")


def test_shares_must_add_up():
    with pytest.raises(ValueError, match=r"data\.shares: expected three shares that add up to 1"):
        settings("x", shares=(0.5, 0.1, 0.1)).require_possible()


def test_cifar10(shared):
    source = data.load(settings(shared("cifar10")))
    assert source.attributes[:3] == ("airplane", "automobile", "bird")
    sizes = {name: len(split) for name, split in source.splits.items()}
    assert sizes["train"] + sizes["validation"] == 12000
    assert sizes["test"] == 2000
    np.testing.assert_allclose(source.splits["train"].rates, 0.1, atol=0.01)
