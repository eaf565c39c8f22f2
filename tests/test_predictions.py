"""What heads answered: what fits together, what is written is read, and no damage is taken for an answer."""

import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest

from mam_keras import predictions
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.predictions import Predictions

NAMES = ("Smiling", "Bald", "Hat", "Young", "5_o'Clock, \N{LATIN SMALL LETTER E WITH ACUTE}")


def random_predictions(n=60, exclusive=False, seed=0, **values):
    generator = np.random.default_rng(seed)
    known = generator.random((n, 5)) < 0.7
    heads = {head: generator.random((n, 5)).astype(np.float32) for head in ("attributes", "multi_label")}
    parts = {
        "ids": np.array([f"{number}.png" for number in range(n)]),
        "labels": (generator.random((n, 5)) < 0.5) & known,
        "groups": generator.integers(0, 9, n),
        "probabilities": heads,
        "known": known,
        "targets": Targets(NAMES, exclusive),
    }
    return Predictions(**parts | values)


def expect_equal(found, written):
    for name in (field.name for field in fields(Predictions)):
        one, other = getattr(found, name), getattr(written, name)
        if name == "targets":
            assert one == other
        elif name == "probabilities":
            assert list(one) == list(other)
            np.testing.assert_array_equal(list(one.values()), list(other.values()))
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_an_answer_is_yes_from_a_half_on_and_of_classes_the_first_most_probable():
    probabilities = np.array([[0.5, 0.49, 0.9, 0, 1], [0.3, 0.3, 0.2, 0.1, 0.1], [0, 0, 0, 0, 0]])
    three = random_predictions(3, probabilities={"attributes": probabilities})
    assert three.answers("attributes").astype(int).tolist() == [[1, 0, 1, 0, 1], [0] * 5, [0] * 5]
    classes = replace(three, targets=Targets(NAMES, exclusive=True))
    assert classes.answers("attributes").argmax(axis=1).tolist() == [4, 0, 0]
    assert classes.answers("attributes").sum(axis=1).tolist() == [1, 1, 1]


def test_what_is_left_out():
    plain = random_predictions(known=None, groups=None, targets=None)
    assert plain.known.all()
    assert not plain.exclusive
    assert plain.main_head == "attributes"
    np.testing.assert_array_equal(plain.units, np.arange(60))
    np.testing.assert_array_equal(random_predictions().units, random_predictions().groups)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": np.zeros((60, 5))}, r"`labels` must be bool .* Received: float64 \(60, 5\)"),
        ({"labels": np.zeros((59, 5), bool)}, r"for n = 60 ids. Received: bool \(59, 5\)"),
        ({"ids": np.arange(0), "labels": np.zeros((0, 5), bool)}, r"not empty"),
        ({"groups": np.zeros(59)}, r"`groups` must be None or of shape \(60,\). Received: \(59,\)"),
        ({"known": np.ones((60, 5))}, r"`known` must be bool \(60, 5\). Received: float64 \(60, 5\)"),
        ({"known": np.ones((60, 1), bool)}, r"`known` must be bool \(60, 5\). Received: bool \(60, 1\)"),
        ({"targets": Targets(("A", "B"))}, r"`targets` must be 5. Received: 2"),
        ({"probabilities": {}}, r"`probabilities` must hold one head or more. Received: none"),
        ({"probabilities": {"attributes": np.zeros((60, 1))}}, r"of shape \(60, 5\). Received: \(60, 1\)"),
        ({"probabilities": {"attributes": np.full((60, 5), 1.5)}}, r"in \[0, 1\]. Received: 1.5 to 1.5"),
        ({"probabilities": {"attributes": np.full((60, 5), np.nan)}}, r"in \[0, 1\]. Received: nan to nan"),
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(random_predictions(), **change)


# --- the file ---


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_is_written_is_read(tmp_path, exclusive):
    path = tmp_path / "predictions.npz"
    splits = {
        "validation": random_predictions(7, exclusive, groups=None),
        "test": random_predictions(9, exclusive, seed=1),
    }
    predictions.write(path, splits)
    for name, split in splits.items():
        expect_equal(predictions.read(path, name), split)
    assert predictions.read(path, "train") is None
    assert predictions.targets(path) == Targets(NAMES, exclusive)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["predictions.npz"]


def test_where_there_is_no_file_there_is_nothing(tmp_path):
    assert predictions.read(tmp_path / "none.npz", "test") is None
    assert predictions.targets(tmp_path / "none.npz") is None


def test_files_of_earlier_versions_are_read(tmp_path):
    """They had neither the names nor what is known."""
    path, split = tmp_path / "predictions.npz", random_predictions(9)
    np.savez_compressed(
        path,
        **{"test.ids": split.ids, "test.labels": split.labels, "test.groups": split.groups},
        **{f"test.{head}": array for head, array in split.probabilities.items()},
    )
    expect_equal(predictions.read(path, "test"), replace(split, known=np.ones((9, 5), bool), targets=None))
    assert predictions.targets(path) is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "predictions.npz"
    predictions.write(path, {"test": random_predictions(9)})
    return path.read_bytes()


def expect_refusal(path):
    with pytest.raises(UserError) as caught:
        predictions.read(path, "test")
    message = str(caught.value)
    assert message.startswith(f"{path}: expected the predictions of a finished run. Received: ")
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "predictions.npz"
    path.write_bytes(content)
    expect_refusal(path)


def test_a_folder_is_refused(tmp_path):
    expect_refusal(tmp_path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(tmp_path, whole, share):
    path = tmp_path / "predictions.npz"
    path.write_bytes(whole[: int(share * len(whole))])
    expect_refusal(path)


@pytest.mark.parametrize("name", ["ids", "labels", "attributes"])
@pytest.mark.parametrize(
    "array", [None, np.zeros((9, 4)), np.array([{}] * 9), np.array(["x"] * 9), np.full((9, 5), np.nan)]
)
def test_arrays_that_do_not_fit_together_are_refused(tmp_path, name, array):
    split = random_predictions(9)
    arrays = {"ids": split.ids, "labels": split.labels, "attributes": split.probabilities["attributes"], name: array}
    if name == "ids" and array is not None and array.dtype.kind != "O":
        array = arrays["ids"] = split.ids[:8]
    path = tmp_path / "predictions.npz"
    np.savez(path, **{f"test.{key}": value for key, value in arrays.items() if value is not None})
    expect_refusal(path)


def test_a_header_of_terabytes_is_refused(tmp_path):
    path = tmp_path / "predictions.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("test.labels.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    expect_refusal(path)


def test_flipped_bits_are_refused_or_change_nothing(tmp_path, whole):
    path, written = tmp_path / "predictions.npz", random_predictions(9)
    generator, refused = np.random.default_rng(0), 0
    for _ in range(400):
        content = bytearray(whole)
        for at in generator.integers(0, 8 * len(content), generator.integers(1, 4)).tolist():
            content[at // 8] ^= 1 << at % 8
        path.write_bytes(content)
        try:
            found = predictions.read(path, "test")
        except UserError as error:
            assert str(error).startswith(f"{path}: expected the predictions of a finished run. Received: ")
            refused += 1
        else:
            expect_equal(found, written)
    assert refused > 300


def test_an_archive_that_unfolds_to_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "predictions.npz"
    header = b"{'descr': '|b1', 'fortran_order': False, 'shape': (400000000,), }".ljust(117) + b"\n"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("test.known.npy", "w") as one,
    ):
        one.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        for _ in range(400):
            one.write(bytes(10**6))
    expect_refusal(path)
