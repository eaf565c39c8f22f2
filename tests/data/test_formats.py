"""Files as people and attackers have them: which way up, in which colours, and within which bounds they are read."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from mam_keras.data import formats, images, pipeline
from mam_keras.data.orientation import orientation
from mam_keras.data.synthetic_faces import Settings
from tests.data.test_pipeline import split_of
from tests.export import encoded
from tests.export.encoded import encode, exif, picture, stored, tagged

TAGS = range(1, 9)
TURNED = ("JPEG", "PNG", "WEBP")
find_tag = tf.function(orientation, [tf.TensorSpec((), tf.string)], autograph=False)
first_frame = tf.function(formats._gif_first_frame, [tf.TensorSpec((), tf.string)], autograph=False)


def pillow(content):
    """As Pillow reads it, turned: uint8 (height, width, 3)."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


# --- which way up ---


@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_brings_the_image_back(tag, big):
    upright = picture(31, 45)
    for form in ("PNG", "WEBP"):
        found, turned = images.read(tagged(upright, tag, form, big))
        np.testing.assert_array_equal(found, upright, err_msg=form)
        assert turned.numpy() == (tag > 1)
    jpeg = encode(np.ascontiguousarray(stored(upright, tag)), "JPEG")
    with_tag = encode(np.ascontiguousarray(stored(upright, tag)), "JPEG", exif=exif(tag, big))
    np.testing.assert_array_equal(stored(images.read(with_tag)[0].numpy(), tag), images.read(jpeg)[0])


@pytest.mark.parametrize("form", TURNED)
def test_pillow_turns_them_alike(form):
    for tag in TAGS:
        content = tagged(picture(31, 45), tag, form)
        errors = np.abs(images.read(content)[0].numpy().astype(int) - pillow(content))
        assert errors.max() <= (16 if form == "JPEG" else 0), tag


@pytest.mark.parametrize("form", TURNED)
@pytest.mark.parametrize(
    "wrong",
    [exif(0), exif(9), exif(6)[:30], exif(6).replace(b"II*", b"XX*"), b"Exif\0\0", exif(6)[:16], exif(300)],
    ids=["0", "9", "cut", "no order", "empty", "no directory", "300"],
)
def test_a_tag_that_says_nothing_turns_nothing(form, wrong):
    upright = picture(31, 45)
    found, turned = images.read(encode(upright, form, exif=wrong, **({"lossless": True} if form == "WEBP" else {})))
    assert not turned.numpy()
    assert found.shape == upright.shape


def test_only_the_jpegs_own_tag_counts():
    """Not one in a thumbnail, in an image after the first, in a comment, or in the pixels' bytes."""
    plain, inner = encode(picture(31, 45), "JPEG"), encode(picture(31, 45), "JPEG", exif=exif(6))
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(inner)) + inner
    for content in (plain + inner, plain[:2] + comment + plain[2:]):
        assert b"Exif\0\0" in content
        found, turned = images.read(content)
        assert found.shape == (31, 45, 3) and not turned.numpy()
    found, turned = images.read(inner[:2] + b"\xff" * 5 + comment[1:] + inner[2:])  # and what stands before it does not
    assert found.shape == (45, 31, 3) and turned.numpy()


def plain_orientation(data):
    """The tag as `orientation` defines it, read byte by byte."""
    data = data.removeprefix(b"Exif\0\0")[: 2**16]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return 1
    (start,) = struct.unpack_from(f"{order}I", data.ljust(8, b"\0"), 4)
    (count,) = struct.unpack_from(f"{order}H", data.ljust(start + 2, b"\0"), start) if start < len(data) else (0,)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if at + 12 > len(data):
            break
        tag, kind, low, high, value, _ = struct.unpack_from(f"{order}6H", data, at)
        if (tag, kind, low + high) == (0x0112, 3, 1):
            return value if 1 <= value <= 8 else 1
    return 1


def test_mutated_exif_data_are_read_as_a_plain_reader_reads_them():
    random = np.random.default_rng(0)
    found = []
    for number in range(600):
        data = bytearray(exif(1 + number % 8, big=number % 16 > 7))
        for _ in range(random.integers(4)):
            data[random.integers(len(data))] = random.choice([0, 1, 2, 3, 6, 8, 0x12, 255])
        data = bytes(data[: random.integers(len(data) // 2, len(data) + 40)])
        found.append(plain_orientation(data))
        assert find_tag(data).numpy() == found[-1], data
    assert set(found) == set(TAGS) and found.count(1) < 400


# --- through everything ---


def test_the_same_faces_stored_turned_are_trained_on_alike(tmp_path, real_faces):
    faces = [
        images.read(path.read_bytes())[0].numpy() for path in sorted((real_faces / "img_align_celeba").iterdir())[:2]
    ]
    for fit in ("crop", "pad", "squash"):
        settings = Settings(source="synthetic_faces", image_size=16, fit=fit)
        prepared = []
        for tag in TAGS:
            paths = [tmp_path / f"{number}{form}{tag}" for number, _ in enumerate(faces) for form in ("PNG", "WEBP")]
            for path, face in zip(paths, np.repeat(faces, 2, axis=0), strict=True):
                path.write_bytes(tagged(face, tag, "PNG" if "PNG" in path.name else "WEBP"))
            prepared.append(pipeline.read(split_of(paths), "train", settings))
            said = "4 of 4 images turned by their orientation tag; "
            assert prepared[-1].changed.startswith(said if tag > 1 else "4 of 4 images " + fit[:3])
        expected = np.stack([images.prepare(face, 16, fit) for face in faces]).repeat(2, axis=0)
        for one in prepared:
            np.testing.assert_array_equal(one.images, expected)


def test_what_was_turned_and_made_square_is_said_once_and_from_the_disk_cache(tmp_path):
    shapes = {"a": (20, 20), "b": (30, 20), "c": (20, 80), "d": (20, 20)}
    for name, shape in shapes.items():
        (tmp_path / name).write_bytes(tagged(picture(*shape), 6 if name == "d" else 1, "PNG"))
    for fit, text in {
        "crop": "2 of 4 images cropped to the centre square, at most 75% of the longer edge left out",
        "pad": "2 of 4 images padded to a square, at most 75% of it black",
        "squash": "2 of 4 images squashed to a square, the longer edge by at most 75%",
    }.items():
        settings = Settings(
            source="synthetic_faces", image_size=16, fit=fit, cache="disk", cache_directory=str(tmp_path / "cache")
        )
        for _ in range(2):  # the second time from the cache
            prepared = pipeline.read(split_of([tmp_path / name for name in shapes]), "train", settings)
            assert prepared.changed == f"1 of 4 images turned by their orientation tag; {text}"
    square = pipeline.read(split_of([tmp_path / "a"]), "train", Settings(source="synthetic_faces"))
    assert square.changed == ""


# --- colours ---


@pytest.mark.parametrize("colours", [2, 4, 16, 200])
@pytest.mark.parametrize("width", [1, 7, 8, 33])
def test_a_bmps_colour_table_is_looked_up(colours, width):
    image = Image.fromarray(picture(19, width)).convert("P", palette=Image.Palette.ADAPTIVE, colors=colours)
    content = bytearray(encode(image, "BMP"))
    np.testing.assert_array_equal(images.read(bytes(content))[0], pillow(bytes(content)))
    content[22:26] = struct.pack("<i", -19)  # the first row is the upper one
    np.testing.assert_array_equal(images.read(bytes(content))[0], pillow(encode(image, "BMP"))[::-1])
    del content[54 : int.from_bytes(content[10:14], "little")]
    content[10:14] = struct.pack("<I", 54)  # without a table, what it was read as before
    grey = images.read(bytes(content))[0].numpy()
    assert (grey == grey[..., :1]).all()


def packed_bmp(numbers, table, bits):
    """A BMP of numbers (height, width) below 2**bits, written bit by bit."""
    rows = b""
    for row in numbers[::-1]:
        text = "".join(f"{number:0{bits}b}" for number in row)
        text += "0" * (-len(text) % 32)
        rows += int(text, 2).to_bytes(len(text) // 8)
    height, width = numbers.shape
    colours = b"".join(bytes([*colour[::-1], 0]) for colour in table)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(rows), 0, 0, len(table), 0)
    start = 14 + 40 + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + colours + rows


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_numbers_of_any_width_are_unpacked(bits):
    random = np.random.default_rng(bits)
    table = random.integers(0, 256, (2**bits, 3)).astype(np.uint8)
    numbers = random.integers(0, 2**bits, (5, 13))
    np.testing.assert_array_equal(images.read(packed_bmp(numbers, table.tolist(), bits))[0], table[numbers])


def test_a_compressed_bmp_with_a_colour_table_is_refused():
    content = bytearray(packed_bmp(np.zeros((4, 4), int), [[1, 2, 3]], 8))
    content[30] = 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="ways of packing a BMP"):
        images.read(bytes(content))


@pytest.mark.parametrize("form, options", [("WEBP", {"lossless": True, "exact": True}), ("PNG", {}), ("BMP", {})])
def test_transparency_is_dropped(form, options):
    image = Image.fromarray(picture()).convert("RGBA")
    image.putalpha(Image.fromarray(picture(seed=1)[..., 0]))
    np.testing.assert_array_equal(images.read(encode(image, form, **options))[0], picture())


# --- bounds ---

ANIMATED = encode(picture(), "WEBP", save_all=True, append_images=[encoded.as_image(picture(seed=1))])


@pytest.mark.parametrize(
    "content, bound",
    [
        pytest.param(encoded.png(2**13, 2**12 + 1), "33,554,432 pixels", id="pixels"),
        pytest.param(encoded.scans(501), "500 scans", id="scans"),
        pytest.param(encoded.scans(21, 5784), "671,088,640 pixels times scans", id="pixels times scans"),
        pytest.param(encoded.texts(11), "10 compressed texts", id="zTXt"),
        pytest.param(encoded.texts(11, b"iTXt"), "10 compressed texts", id="iTXt"),
        pytest.param(encoded.texts(11, b"iCCP"), "10 compressed texts", id="iCCP"),
        pytest.param(encoded.huge()["gif of blocks of many lengths"], "4,096 runs", id="runs"),
        pytest.param(ANIMATED, "0 animations", id="animation"),
    ],
)
def test_a_bound_is_named_and_the_image_left_out(content, bound, tmp_path):
    (tmp_path / "a.png").write_bytes(encode(picture(), "PNG"))
    (tmp_path / "hostile").write_bytes(content)
    settings = Settings(source="synthetic_faces", image_size=16)
    prepared = pipeline.read(split_of([tmp_path / "hostile", tmp_path / "a.png"]), "train", settings)
    (reason,) = prepared.unreadable
    assert reason.startswith(f"hostile: expected at most {bound}")
    assert len(reason) < 100


@pytest.mark.parametrize(
    "content", [encoded.scans(500), encoded.scans(20, 256), encoded.texts(10), encoded.texts(1, b"iCCP")]
)
def test_within_the_bounds_it_is_read(content):
    np.testing.assert_allclose(images.read(content)[0], pillow(content), atol=2)


def plain_first_frame(data):
    """Where the first frame ends and its pixels, block by block; None where the file ends before."""
    at = 13 + (3 << 1 + data[10] % 8 if data[10] >= 128 else 0)
    while at < len(data) and data[at] == 0x21:
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    if at + 10 >= len(data):
        return None
    width, height, flags = struct.unpack_from("<HHB", data, at + 5)
    at += 11 + (3 << 1 + flags % 8 if flags >= 128 else 0)
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return (at + 1, width * height) if at < len(data) else None


def test_mutated_gifs_end_where_a_plain_reader_says():
    random = np.random.default_rng(0)
    sound = encoded.sound()
    blocks = [b"\xff" + b"-" * 255, b"\x01-", b"\xff" + b"-" * 255, b"\x02--"]
    originals = [sound["animated gif"], *(encoded.commented(sound["gif"], b"".join(blocks[:n])) for n in (1, 2, 3, 4))]
    ends = []
    for number in range(400):
        data = bytearray(originals[number % len(originals)])
        for _ in range(random.integers(3)):
            data[random.choice(np.flatnonzero(np.isin(data, (0, 1, 2, 0x21, 0x2C, 255))))] = random.choice(256)
        expected = plain_first_frame(data)
        end, steps, pixels = (value.numpy() for value in first_frame(bytes(data)))
        assert steps <= formats.MAX_GIF_STEPS + 1
        if expected is not None and steps < formats.MAX_GIF_STEPS:
            assert (end, pixels) == expected, number
            ends.append(end)
    assert len(ends) > 200 and len(set(ends)) >= 5


# --- the square ---


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_a_square_is_the_same_however_it_fits(fit):
    face = picture(40, 40)
    np.testing.assert_allclose(images.prepare(face, 16, fit), images.prepare(face, 16), atol=1)


@pytest.mark.parametrize("shape", [(60, 30), (30, 60), (300, 7), (1, 90), (31, 32)])
def test_pad_shows_all_with_black_beside_it(shape):
    prepared = images.prepare(np.full((*shape, 3), 200, np.uint8), 16, "pad").numpy()
    rows, columns = (-(-length * 16 // max(shape)) for length in shape)
    expected = np.zeros((16, 16, 3), np.uint8)
    expected[(16 - rows) // 2 :, (16 - columns) // 2 :][:rows, :columns] = 200
    np.testing.assert_array_equal(prepared, expected)


@pytest.mark.parametrize("shape", [(60, 30), (30, 60), (64, 8)])
def test_squash_shows_all_in_all_of_it(shape):
    halves = np.zeros((*shape, 3), np.uint8)
    halves[shape[0] // 2 :, :, 0] = halves[:, shape[1] // 2 :, 1] = 200
    prepared = images.prepare(halves, 16, "squash").numpy().astype(int)
    expected = np.zeros((16, 16, 3), int)
    expected[8:, :, 0] = expected[:, 8:, 1] = 200
    assert np.abs(prepared - expected)[[0, 5, 10, 15]][:, [0, 5, 10, 15]].max() <= 1


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("shape", [(1, 2**22), (2**22, 1)])
def test_a_line_of_many_pixels_does_not_become_many_lines(shape, fit):
    assert images.prepare(np.full((*shape, 3), 9, np.uint8), 512, fit).shape == (512, 512, 3)
