"""Data sets that TensorFlow Datasets prepared: `celeb_a` with its true features, and others' shapes of labels."""

import io
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mam_keras import data
from mam_keras.data.tfds import Settings

SPLITS = {"train": range(5), "validation": range(5, 8), "test": range(8, 10)}


def encoded(number):
    """An image of one grey, 10 times the number."""
    file = io.BytesIO()
    Image.new("L", (6, 8), 10 * number).save(file, "PNG")
    return file.getvalue()


def greys(split):
    return [int(image[0, 0, 2]) for image, _ in split.images()]


def prepare(folder, name, features, example, splits=SPLITS):
    """Writes a data set as TFDS does, shuffled and in two files a split; `example` makes one from its number."""
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: [(number, example(number)) for number in numbers] for split, numbers in splits.items()},
        data_dir=str(folder),
        download_config=tfds.download.DownloadConfig(num_shards=2),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    features = tfds.builder("celeb_a", data_dir=folder).info.features
    prepare(
        folder,
        "celeb_a",
        dict(features.items()),
        lambda number: {
            "image": encoded(number),
            "attributes": {name: name == "Smiling" and number % 2 == 1 for name in features["attributes"]},
            "identity": {"Identity_No": number // 2},
            "landmarks": dict.fromkeys(features["landmarks"], 0),
        },
    )
    prepare(
        folder,
        "vector",
        {
            "picture": tfds.features.Image(shape=(None, None, 1)),
            "tags": tfds.features.Tensor(shape=(2,), dtype=np.bool_),
            "numbers": tfds.features.Tensor(shape=(2,), dtype=np.int64),
            "some": tfds.features.Sequence(np.bool_),
            "pairs": tfds.features.Sequence({"a": np.bool_}),
            "file_name": tfds.features.Text(),
            "identity": tfds.features.Sequence({"number": np.int64}),  # several people: no groups
        },
        lambda number: {
            "picture": np.full((8, 6, 1), 10 * number, np.uint8),
            "tags": [number % 2 == 1, number > 2],
            "numbers": [0, 1],
            "some": [True] * number,
            "pairs": [{"a": True}] * number,
            "file_name": f"{number}.png",
            "identity": [{"number": number}] * number,
        },
        {"train": range(5), "valid": range(5, 8)},
    )
    return folder


def settings(folder, **values):
    return Settings(source="tfds", directory=str(folder), **values)


def test_celeb_a(folder):
    source = data.load(settings(folder))
    assert len(source.attributes) == 40
    assert source.attributes[:2] == ("5_o_Clock_Shadow", "Arched_Eyebrows")
    smiling = source.attributes.index("Smiling")
    for name, split in source.splits.items():
        numbers = [grey // 10 for grey in greys(split)]
        assert sorted(numbers) == list(SPLITS[name])
        assert split.labels[:, smiling].tolist() == [number % 2 == 1 for number in numbers]
        assert not np.delete(split.labels, smiling, axis=1).any()
        assert split.groups.tolist() == [number // 2 for number in numbers]
        assert split.ids.tolist() == [f"{name}-{number:06}" for number in range(len(split))]
    assert next(iter(source.splits["train"].images()))[0].shape == (8, 6, 3)


def test_a_vector_of_labels_an_id_and_a_split_called_valid(folder):
    source = data.load(settings(folder, builder="vector", image="picture", labels="tags"))
    assert source.attributes == ("attribute_0", "attribute_1")
    assert list(source.splits) == ["train", "validation"]
    for split in source.splits.values():
        numbers = [grey // 10 for grey in greys(split)]
        assert split.labels.tolist() == [[number % 2 == 1, number > 2] for number in numbers]
        assert split.ids.tolist() == [f"{number}.png" for number in numbers]
        assert split.groups is None


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """0 dog, 1 cat, 2 unknown, 3 bird, 4 dog, ..."""
    folder = tmp_path_factory.mktemp("animals")
    features = {
        "image": tfds.features.Image(),
        "label": tfds.features.ClassLabel(names=["dog", "cat", "bird"]),
        "id": np.int64,
        "identity": np.int64,
    }
    kinds = [0, 1, -1, 2]
    prepare(
        folder,
        "animals",
        features,
        lambda n: {"image": encoded(n), "label": kinds[n % 4], "id": n, "identity": n // 2},
    )
    return folder


def test_a_class_label(animals):
    source = data.load(settings(animals, builder="animals", labels="label"))
    assert source.targets == (("dog", "cat", "bird"), True)
    for name, split in source.splits.items():
        numbers = [grey // 10 for grey in greys(split)]
        assert sorted(numbers) == list(SPLITS[name])
        assert split.ids.tolist() == list(map(str, numbers))
        assert split.known.tolist() == [[number % 4 != 2] * 3 for number in numbers]
        assert split.labels.tolist() == [[number % 4 == kind for kind in (0, 1, 3)] for number in numbers]
    assert source.notes[0] == "images' classes that are not known and count nowhere: train 1 of 5, validation 1 of 3"


def test_images_of_classes_that_are_not_chosen_are_left_out(animals):
    whole = data.load(settings(animals, builder="animals", labels="label")).splits
    source = data.load(settings(animals, builder="animals", labels="label", attributes=("bird", "dog")))
    assert source.targets == (("bird", "dog"), True)
    for name, split in source.splits.items():
        numbers = [grey // 10 for grey in greys(split)]
        assert sorted(numbers) == [number for number in SPLITS[name] if number % 4 != 1]
        assert split.ids.tolist() == list(map(str, numbers))
        assert split.groups.tolist() == [number // 2 for number in numbers]
        assert split.labels.tolist() == [[number % 4 == kind for kind in (3, 0)] for number in numbers]
        assert split.contents().tolist() == whole[name].contents()[np.isin(whole[name].ids, split.ids)].tolist()
    assert source.notes[0] == "animals: left out 3 images of classes that are not chosen: cat"


@pytest.fixture
def small(tmp_path):
    """A data set of its own for each test, whose number 4 is no image and whose ids repeat."""
    prepare(
        tmp_path,
        "small",
        {"image": tfds.features.Image(), "attributes": {"odd": np.bool_}, "id": np.int64},
        lambda number: {
            "image": b"no image" if number == 4 else encoded(number),
            "attributes": {"odd": number % 2 == 1},
            "id": number % 3,
        },
    )
    return tmp_path


def test_ids_that_are_not_unique_are_not_used(small):
    splits = data.load(settings(small, builder="small")).splits
    assert splits["test"].ids.tolist() == ["test-000000", "test-000001"]


def test_an_unreadable_image_raises_and_the_next_one_is_read(small):
    split = data.load(settings(small, builder="small")).splits["train"]
    assert sorted(int(image[0, 0, 0]) for image, _ in split.images().ignore_errors()) == [0, 10, 20, 30]


def test_contents_are_those_of_the_encoded_images_wherever_they_are(small, tmp_path):
    def contents(folder):
        splits = data.load(settings(folder, builder="small")).splits
        return {name: split.contents().tolist() for name, split in splits.items()}

    before = contents(small)
    assert len(set(before["train"])) == 5 and 0 not in before["train"]
    moved = shutil.copytree(small, tmp_path / "moved")
    assert contents(moved) == before


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_files_are_refused(small, refusal, damage):
    path, _ = small.glob("small/1.0.0/small-test.*")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    else:
        path.unlink()
    assert refusal(settings(small, builder="small")).startswith(
        f"{small}/small/1.0.0: expected readable records of 'test'. Received: "
    )


def test_nothing_is_downloaded(tmp_path, refusal, capfd):
    assert refusal(settings(tmp_path / "my data")) == (
        f"data.builder: expected 'celeb_a' to be prepared in {tmp_path}/my data; run `tfds build celeb_a --data_dir "
        f"'{tmp_path}/my data'` once. Received: no such data"
    )
    assert refusal(settings(tmp_path, builder="celeba")) == (
        f"data.builder: expected 'celeba' to be prepared in {tmp_path}; run `tfds build celeba --data_dir {tmp_path}` "
        "once (or did you mean 'celeb_a'?). Received: no such data"
    )
    assert refusal(settings(tmp_path, builder="../celeb_a")).startswith(
        "data.builder: expected NAME[/CONFIG][:VERSION] of one data set. Received: "
    )
    assert not any(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image": "picures"}, "data.image: expected one of the data set's features; did you mean 'picture'? "
         "Received: 'picures'"),
        ({"image": "tags"}, "data.image: expected a feature of images of integers. Received: 'tags', "
         "Tensor(shape=(2,), dtype=bool)"),
        ({"labels": "tag"}, "data.labels: expected one of the data set's features; did you mean 'tags'? "
         "Received: 'tag'"),
        ({"labels": "numbers"}, "data.labels: expected a dictionary or a vector of booleans, or classes. "
         "Received: 'numbers', Tensor(shape=(2,), dtype=int64)"),
        ({"labels": "some"}, "data.labels: expected a dictionary or a vector of booleans, or classes. "
         "Received: 'some', Sequence(bool)"),
        ({"labels": "pairs"}, "data.labels: expected a dictionary or a vector of booleans, or classes. "
         "Received: 'pairs', Sequence({ 'a': bool, })"),
    ],
)  # fmt: skip
def test_features_that_will_not_do_are_refused(folder, refusal, values, message):
    assert refusal(settings(folder, **{"builder": "vector", "image": "picture", "labels": "tags"} | values)) == message
