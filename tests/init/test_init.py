"""A stranger's images are looked at, and what is written goes through `fit`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mam_keras import config, data
from mam_keras.errors import UserError
from mam_keras.init.__main__ import main
from mam_keras.init.seen import look
from mam_keras.init.suggestion import suggest
from mam_keras.init.written import lines, to_yaml

ROOT = Path(__file__).parents[2]


def draw(path, seed, width=60, height=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def init(folder, *arguments):
    """The command, in a folder."""
    command = [sys.executable, "-m", "mam_keras", "init", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def table(tmp_path):
    """table(text) -> a CSV of it in a folder of its own, beside pictures 0 to 39 in images/."""

    def write(text, name="images.csv"):
        for number in range(40):
            draw(tmp_path / f"wardrobe/images/{number}.png", number)
        path = tmp_path / "wardrobe" / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def rows(header, row):
    return "\n".join([header, *(row(number) for number in range(40))]) + "\n"


def read_back(path, seen):
    """The configuration that is written, and the source that it reads."""
    text = to_yaml(suggest(seen, path), seen, "own.yaml")
    file = path.parent / "own.yaml"
    file.write_text(text, encoding="utf-8")
    settings = config.load(file)
    return settings, data.load(settings.data)


def test_a_folder_for_each_class(tmp_path):
    for place, (name, count) in enumerate({"cat": 14, "dog": 12, "Unknown": 11, "yak": 2}.items()):
        for number in range(count):
            draw(tmp_path / f"own/{name}/{number}.png", 100 * place + number, 90, 60)
    (tmp_path / "own/dog/again.png").write_bytes((tmp_path / "own/cat/0.png").read_bytes())
    (tmp_path / "own/dog/1.png").write_text("no image")
    seen = look(tmp_path / "own")
    assert seen.counts == {"cat": 14, "dog": 13, "Unknown": 11, "yak": 2}
    assert [sorted(names) for names in seen.doubles] == [["cat/0.png", "dog/again.png"]] and seen.conflicting == 1
    assert seen.unreadable == ("dog/1.png",)
    told = "\n".join(lines(seen))
    for part in ("40 images, 4 classes", "cat 14 (35%)", "left out: yak 2", "left out: Unknown 11", "39 wide, 0 tall"):
        assert part in told
    settings, source = read_back(tmp_path / "own", seen)
    assert (settings.name, settings.data.image_size, settings.data.fit) == ("own", 64, "pad")
    assert source.targets == (("cat", "dog"), True)
    assert "train" in source.splits and settings.data.shares == (0.7, 0.15, 0.15)


def test_a_table_as_people_publish_it(table):
    """Bare names, who sent it, a class as text, yes and no beside it; the folder alone is enough."""
    kinds = ["Shirt", "Hat", "Not sure"]
    path = table(rows("image,sender_id,label,kids", lambda n: f"{n},{n // 4},{kinds[n % 3]},{n % 2 == 0}"))
    for asked in (path, path.parent):
        seen = look(asked)
        assert seen.section == {
            "source": "table",
            "file": str(path),
            "image_column": "image",
            "image_template": "images/{}.png",
            "class_column": "label",
            "group_column": "sender_id",
            "shares": [0.7, 0.15, 0.15],
        }
    settings, source = read_back(path, seen)
    assert settings.name == "wardrobe"
    assert source.targets == (("Hat", "Shirt"), True)
    assert "not used: kids" in path.with_name("own.yaml").read_text()


def test_columns_of_yes_and_no_with_what_is_not_known_and_a_split(table):
    splits = ["train", "train", "valid", "test"]
    path = table(
        rows(
            "id;photo;Red;Blue;Round;note;set",
            lambda n: f"{n};images/{n}.png;{n % 2};{'' if n < 5 else 1};yes;text {n};{splits[n % 4]}",
        )
    )
    seen = look(path)
    assert seen.section["image_column"] == "photo" and seen.section["split_column"] == "set"
    assert "class_column" not in seen.section and "image_template" not in seen.section
    assert (seen.unknown, seen.counts) == (5, {"Round": 40, "Blue": 35, "Red": 20})
    assert "labels that are not known: 5" in "\n".join(lines(seen))
    settings, source = read_back(path, seen)
    assert (source.targets.exclusive, len(source.splits["validation"])) == (False, 10)
    assert settings.data.shares == (0.8, 0.1, 0.1)  # of no use here


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("image,class_id,class_name", lambda n: f"{n % 2},{'ab'[n % 2]}", {"class_column": "class_name"}),
        ("image,class_id", lambda n: f"{n % 4 + 2}", {"class_column": "class_id"}),
        ("image,smiling,age", lambda n: f"{n % 2},{n % 9 + 20}", {}),
        (
            "image,patient,finding",
            lambda n: f"p{n % 8},{'ab'[n % 2]}",
            {"class_column": "finding", "group_column": "patient"},
        ),
        (
            "image,photographer,label",
            lambda n: f"{n // 5},{'ab'[n % 2]}",
            {"class_column": "label", "group_column": "photographer"},
        ),
        ("image,id,label", lambda n: f"{n},{'ab'[n % 2]}", {"class_column": "label"}),
        ("image,a,b,c,mood", lambda n: f"1,0,{n % 2},{'uv'[n % 2]}", {}),
    ],
)
def test_what_a_column_is(table, header, row, expected):
    """An id of a class is nobody; ages are no classes where there is a yes and no."""
    seen = look(table(rows(header, lambda n: f"images/{n}.png,{row(n)}")))
    settings = dict(seen.table.settings)
    assert settings.pop("image_column") == "image"
    assert settings == expected


@pytest.mark.parametrize("form", ["{folder}/images/{n}.png", "images/{n}.png", "images\\{n}.png", "{n}"])
def test_images_may_lie_beside_the_tables_folder_or_anywhere(table, form):
    path = table("").parent / "lists/images.csv"
    path.parent.mkdir()
    path.write_text(rows("image,label", lambda n: f"{form.format(folder=path.parents[1], n=n)},{'ab'[n % 2]}"))
    settings, source = read_back(path, look(path))
    assert sum(map(len, source.splits.values())) == 40
    assert settings.data.directory == str(path.parents[1] / "images" if "folder" in form else path.parents[1])


def test_the_splits_that_are_told_are_those_of_the_configuration(table):
    path = table(rows("image,label", lambda n: f"images/{n}.png,{'ab'[n % 2]}"))
    seen = look(path)
    _, source = read_back(path, seen)
    told = ", ".join(f"{name} {len(split)}" for name, split in source.splits.items())
    assert f"40 images, 2 classes; {told}\n" in "\n".join(lines(seen))


def test_which_table_is_meant(table):
    path = table(rows("image,label", lambda n: f"images/{n}.png,{'ab'[n % 2]}"))
    path.with_name("notes.txt").write_text("of nothing")
    assert look(path.parent).section["file"] == str(path)
    path.with_name("more.csv").write_text(path.read_text())
    with pytest.raises(UserError, match=r"expected one table; which of them\? Received: .*images\.csv"):
        look(path.parent)


def test_small_images_and_small_data_get_what_they_can_bear(tmp_path):
    for name in ("a", "b"):
        for number in range(12):
            draw(tmp_path / f"digits/train/{name}/{number}.png", number, 28, 28)
            draw(tmp_path / f"digits/test/{name}/{number}.png", number + 99, 28, 28)
    settings, source = read_back(tmp_path / "digits", look(tmp_path / "digits"))
    assert (settings.data.image_size, settings.data.fit, settings.training.epochs) == (32, "crop", 100)
    assert settings.training.batch_size <= len(source.splits["train"])
    assert settings.data.shares == (0.8, 0.1, 0.1)


def test_names_that_yaml_would_read_otherwise_come_back(table):
    kinds = ["no", "1e-5", "a: b", "größe # x", "[x]"]
    path = table(rows("file,kind", lambda n: f'images/{n}.png,"{kinds[n % 4 + 1]}"'), "a: # odd.csv")
    settings, source = read_back(path, look(path))
    assert set(source.attributes) == set(kinds[1:])
    assert settings.name == "a_odd"


def test_it_says_what_it_saw_and_what_to_do_next(table):
    path = table(rows("image,label", lambda n: f"images/{n}.png,{'ab'[n % 2]}"))
    done = init(path.parent, "images.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "40 images, 2 classes" in done.stdout and "no image is there twice" in done.stdout
    assert done.stdout.endswith("Next: mam-keras fit wardrobe.yaml && mam-keras report runs/wardrobe\n")
    written = path.with_name("wardrobe.yaml").read_text()
    assert config.load(path.with_name("wardrobe.yaml")).data.class_column == "label"
    again = init(path.parent, "images.csv")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert again.stderr.startswith("error: wardrobe.yaml: expected no such file yet, or another --out.")
    assert path.with_name("wardrobe.yaml").read_text() == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,label\n", "expected a header and a row for each image"),
        (rows("image,label", lambda n: f"nowhere/{n}.png,{n % 2}"), "expected a column that names image files below"),
        (
            rows("image,text", lambda n: f"images/{n}.png,text {n}"),
            r"expected a column of classes \(two or more, .*'text', with 40 different texts in 40 cells",
        ),
        (rows("image,kind", lambda n: f"images/{n}.png,cat"), "'kind', which is 'cat' alone: add images of another"),
        (rows("image,kind", lambda n: f"images/{n}.png,{'?' * (n % 2)}"), "'kind', of which no cell is known"),
        (rows("image,wet", lambda n: f"images/{n}.png,1"), "expected images with and without .*wet"),
        ("image,label\n" + "/,b\n" * 9 + "x" * 3000 + ",a\n" + "../images/1,b\n", "names image files below"),
        (rows("images/0.png,a", lambda n: f"images/{n}.png,{'ab'[n % 2]}"), "line 1: expected a header, names of colu"),
    ],
)
def test_what_cannot_be_guessed_is_told(table, text, said):
    with pytest.raises(UserError, match=said) as refused:
        look(table(text))
    assert "\n" not in str(refused.value)


def test_neither_tensorflow_nor_keras_is_imported(table):
    path = table(rows("image,label", lambda n: f"images/{n}.png,{'ab'[n % 2]}"))
    program = (
        "import sys\n"
        "from mam_keras.init.__main__ import main\n"
        f"main([{str(path)!r}, '--out', {str(path.with_name('x.yaml'))!r}])\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(UserError, match="expected a folder with a folder for each class, or a CSV"):
        main([str(tmp_path / "nowhere")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: expected"):
        main([str(tmp_path / "empty")])


def test_real_clothes(shared):
    seen = look(shared("clothes") / "images.csv")
    assert (seen.images, len(seen.counts), seen.doubles, seen.unreadable) == (700, 20, (), ())
    assert suggest(seen, shared("clothes") / "images.csv")[0].value == "clothes"  # as the README says
    told = "\n".join(lines(seen))
    assert "left out: Not sure 23, Other 4, Skip 1" in told and "584 tall" in told


def test_celeba_is_known_by_its_list(real_faces, tmp_path):
    seen = look(real_faces)
    settings, source = read_back(tmp_path / "x", seen)
    assert (settings.data.source, settings.data.fit, settings.training.epochs) == ("celeba", "crop", 5)
    assert len(source.attributes) == 40 and len(seen.sizes) == 2000
