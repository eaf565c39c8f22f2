"""Images from a caller's hand are what training sees of the same pictures, or are refused with what to do."""

import numpy as np
import pytest
from PIL import Image

from mam_keras.data import given
from mam_keras.data.images import prepare, read_files
from mam_keras.errors import UserError

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A file whose orientation tag has it turned by a quarter."""
    path = tmp_path_factory.mktemp("given") / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURE).save(path, exif=exif)
    return path


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_files_and_arrays_are_prepared_as_in_training(turned, fit):
    ((image, was_turned),) = list(read_files([str(turned)]))
    assert was_turned and image.shape == (30, 40, 3)
    expected = prepare(image, 16, fit).numpy()
    upright = np.rot90(PICTURE, -1)
    floats = [(upright / 255).astype(kind) for kind in ("float32", "float64")]
    for one in (turned, str(turned), upright, *floats):
        np.testing.assert_array_equal(given.prepared(one, 16, fit), expected)


def test_grey_is_repeated_and_transparency_dropped():
    grey = PICTURE[..., 0]
    expected = given.prepared(np.repeat(grey[..., None], 3, axis=2), 16)
    for one in (grey, grey[..., None], grey / 255):
        np.testing.assert_array_equal(given.prepared(one, 16), expected)
    see_through = np.dstack([PICTURE, grey])
    np.testing.assert_array_equal(given.prepared(see_through, 16), given.prepared(PICTURE, 16))


def test_what_a_resize_leaves_beyond_the_range_is_rounded_back():
    floats = PICTURE / 255
    floats[0, 0], floats[0, 1] = -1e-3, 1 + 1e-3
    expected = PICTURE.copy()
    expected[0, 0], expected[0, 1] = 0, 255
    np.testing.assert_array_equal(given.prepared(floats, 16), given.prepared(expected, 16))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (PICTURE.astype("float32"), r'floats in \[0, 1\] \(divide by 255, or pass it as .astype\("uint8"\)\)'),
        (PICTURE / 127.5 - 1, r"\(add 1 and divide by 2\)"),
        (PICTURE / 255 * 1000, r"floats in \[0, 1\]\. Received: 0 to 1000"),
        (np.full((4, 4, 3), np.nan), "Received: nan"),
        (np.full((4, 4, 3), np.inf), "Received: inf"),
        (PICTURE.astype("int64"), r"Received: an array \(40, 30, 3\) of int64"),
        (PICTURE > 9, "of bool"),
        (PICTURE.transpose(2, 0, 1), r"an array \(3, 40, 30\) of uint8"),
        (PICTURE[None], r"\(1, 40, 30, 3\)"),
        (PICTURE[:0], r"\(0, 30, 3\)"),
        (PICTURE.tolist(), "Received: list"),
        (None, "Received: NoneType"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(image, said):
    with pytest.raises(UserError, match=f"^mine: expected .*{said}") as refused:
        given.prepared(image, 16, name="mine")
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    whole = tmp_path / "whole.jpg"
    Image.fromarray(PICTURE).save(whole)
    (tmp_path / "half.jpg").write_bytes(whole.read_bytes()[:200])
    for name, why in (
        ("text.jpg", "not a JPEG, PNG, GIF, BMP or WebP"),
        ("half.jpg", "Invalid JPEG"),
        ("none.jpg", "No such file"),
        ("", "director"),
    ):
        with pytest.raises(UserError, match=rf"^{tmp_path / name}: expected an image .*Received: .*{why}") as refused:
            given.prepared(tmp_path / name, 16)
        assert "\n" not in str(refused.value) and "{{" not in str(refused.value)
