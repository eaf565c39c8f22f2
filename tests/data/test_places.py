"""A file that says where attributes are: what it may say, what of it holds for which images, and its mistakes."""

import json

import numpy as np
import pytest
from PIL import Image

from mam_keras import config
from mam_keras.data import places, synthetic_faces
from mam_keras.data.synthetic_faces import ATTRIBUTES, Scene
from mam_keras.errors import UserError

FILE = """
frame: [6, 8]
landmarks: {eye: [1, 2]}
presets:
  mouth: {rectangles: [[0.25, 0.5, 0.75, 1]]}
  brow: {boxes: [{around: [eye], grow: [0, 0, 2, 1]}]}
attributes:
  Smiling: {presets: [mouth], polygons: [[[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]]}
  Hat: {presets: [brow]}
images:
  a.png: {Smiling: {rectangles: [[0, 0, 1, 0.25]]}, Tie: {polygons: [[[0, 0.5], [1, 0.5], [1, 1], [0, 1]]]}}
  z.png: {Smiling: {rectangles: [[0, 0, 1, 1]]}}
"""
IDS = np.array(["a.png", "b.png", "sub/c.jpg"])


def settings(image_size=8, **data):
    values = {"source": "table", "file": "x.csv"} | data | {"image_size": image_size}
    return config.check({"name": "x", "data": values, "model": {"dilations": [1]}}, "x").data


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "regions.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def masks(tmp_path):
    """masks(**{name: array}) writes masks of Smiling, and a file of places beside them."""

    def write(attribute="Smiling", **arrays):
        for name, array in arrays.items():
            path = tmp_path / "masks" / attribute / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.uint8(array)).save(path)
        path = tmp_path / "regions.yaml"
        path.write_text("masks: masks\n")
        return path

    return write


# --- what holds for which image ---


def test_what_holds_for_all_images_is_the_union_of_its_kinds(file):
    smiling, hat, other = places.template(places.read(file), settings(), ("Smiling", "Hat", "Young"), IDS)
    expected = np.zeros((8, 8), bool)
    expected[4:, 2:6] = expected[:4, :4] = True
    np.testing.assert_array_equal(smiling, expected)
    assert hat.sum() == 6  # centres 1.125, 1.875 and 2.625 across; 2.125 and 2.875 down
    np.testing.assert_array_equal(np.flatnonzero(hat.any(axis=1)), [1, 2])
    assert not other.any()


def test_single_images_have_regions_of_their_own(file):
    found = dict(places.of_images(places.read(file), settings(), ("Tie", "Smiling"), IDS))
    assert set(found) == {(0, 0), (0, 1)}  # z.png is none of these images
    assert found[0, 0][4:].all() and not found[0, 0][:4].any()
    assert found[0, 1][:2].all() and not found[0, 1][2:].any()


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("scale", [1, 3])
def test_a_mask_goes_where_its_image_goes_whatever_its_size(masks, fit, scale):
    from mam_keras.data import images

    white = np.zeros((12, 8), np.uint8)
    white[3:9, 2:6] = 255
    path = masks(b=np.kron(white, np.ones((scale, scale), np.uint8)))
    data = settings(16, fit=fit)
    ((place, found),) = places.of_images(places.read(path), data, ("Smiling",), IDS)
    shown = images.prepare(np.repeat(white[..., None], 3, axis=2), 16, fit).numpy()[..., 0]
    assert place == (1, 0)
    assert shown[found].min() > 100 and shown[~found].max() < 155


def test_masks_are_found_by_id_with_and_without_its_suffix_and_shapes_come_first(masks, tmp_path):
    (tmp_path / "masks" / "Smiling" / "sub").mkdir(parents=True)
    grey = np.full((8, 8), 100)
    path = masks(**{"a": grey, "b.png": np.full((8, 8), 200), "sub/c": np.eye(8) * 255, "elsewhere": grey})
    path.write_text("masks: masks\nimages: {b.png: {Smiling: {rectangles: [[0, 0, 0.5, 1]]}}}\n")
    found = dict(places.of_images(places.read(path), settings(), ("Hat", "Smiling"), IDS))
    assert set(found) == {(0, 1), (1, 1), (2, 1)}
    assert not found[0, 1].any()  # nothing white: the attribute has no place in this image
    assert found[1, 1].sum() == 32
    np.testing.assert_array_equal(found[2, 1], np.eye(8, dtype=bool))


# --- presets ---


@pytest.mark.parametrize("data", [{"source": "celeba", "directory": "none"}, {"source": "synthetic_faces", "train": 8}])
def test_the_package_has_ten_presets_for_faces_that_a_file_may_use(data, tmp_path):
    data = config.check({"name": "x", "data": data}, "x").data
    shown = places.presets(data)
    assert len(shown) == 10
    for name, region in shown.items():
        assert 0.005 < region.mean() < 0.3, name
    path = tmp_path / "mine.yaml"
    path.write_text("presets: {eye: {rectangles: [[0, 0, 0.5, 0.5]]}}\nattributes: {Smiling: {presets: [mouth, eye]}}")
    found = places.read(path, data)
    (smiling,) = places.template(found, data, ("Smiling",), np.array([], str))
    own = places.presets(data, found)
    assert len(own) == 11
    np.testing.assert_array_equal(smiling, own["mouth"] | own["eye"])


def test_other_images_have_the_presets_of_the_file_alone(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("attributes: {Smiling: {presets: [mouth]}}")
    with pytest.raises(UserError, match=r"attributes.Smiling.presets: expected presets \(there are none\)"):
        places.read(path, settings())
    with pytest.raises(UserError, match="presets: expected 'mouth' in the file"):
        places.template(places.read(path), settings(), ("Smiling",), IDS)


def test_presets_hold_what_they_are_named_for_on_drawn_faces():
    """Of the pixels that toggling an attribute alone changes, over faces that move, nearly all are in its regions."""
    size, random = 64, np.random.default_rng(0)
    data = synthetic_faces.Settings(source="synthetic_faces", image_size=size)
    regions = places.template(places.read(places.DRAWN, data), data, ATTRIBUTES, np.array([], str))
    held, changed = np.zeros((2, len(ATTRIBUTES)))
    for index in range(24):
        scene, labels = Scene(0, "test", index), random.random(len(ATTRIBUTES)) < 0.5
        plain = synthetic_faces.draw(scene, labels, size)
        for k in range(len(ATTRIBUTES)):
            region = np.any(plain != synthetic_faces.toggled(scene, labels, k, size), axis=-1)
            held[k] += (region & regions[k]).sum()
            changed[k] += region.sum()
    shares = dict(zip(ATTRIBUTES, held / changed, strict=True))
    assert shares["Wearing_Lipstick"] > 0.95
    assert min(shares.values()) > 0.85, shares
    assert regions.mean(axis=(1, 2)).max() < 0.2


# --- mistakes, each in one line ---


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "0.25, 0.5, 0.75, 1]",
            "0.75, 0.5, 0.25, 1]",
            "presets.mouth.rectangles.0: expected left, top, right, bottom ",
        ),
        ("0.25, 0.5, 0.75, 1]", "0.25, 1, 0.75, 1]", "presets.mouth.rectangles.0: expected left, top, right, bottom "),
        ("0.25, 0.5, 0.75, 1]", "0.25, 0.5, 0.75, 1.5]", "presets.mouth.rectangles.0.3: expected less than or equal"),
        ("0.25, 0.5, 0.75, 1]", "-1, 0.5, 0.75, 1]", "presets.mouth.rectangles.0.0: expected greater than or equal"),
        ("0.25, 0.5, 0.75, 1]", ".nan, 0.5, 0.75, 1]", "presets.mouth.rectangles.0.0: expected "),
        ("0.25, 0.5, 0.75, 1]", "0.25, 0.5, 0.75]", "presets.mouth.rectangles.0.3: expected a value"),
        (
            "[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]",
            "[0, 0], [1, 1]",
            "attributes.Smiling.polygons.0: expected at least 3",
        ),
        (
            "[0.5, 0.5], [0, 0.5]",
            "[0.5, 2], [0, 0.5]",
            "attributes.Smiling.polygons.0.2.1: expected less than or equal",
        ),
        (
            "presets: [mouth]",
            "presets: [moth]",
            "attributes.Smiling.presets: expected presets; did you mean 'mouth'? Received",
        ),
        ("presets: [mouth]", "preset: [mouth]", "attributes.Smiling.preset: unknown key; did you mean 'presets'?"),
        (
            "around: [eye]",
            "around: [ear]",
            "presets.brow.boxes.0.around: expected landmarks of the file (eye). Received",
        ),
        ("{rectangles: [[0, 0, 1, 1]]}", "{boxes: []}", "images.z.png.Smiling.boxes: unknown key"),
        ("images:", "masks: nowhere\nimages:", "masks: expected a folder of masks. Received: "),
        ("frame: [6, 8]\n", "", "frame: expected width and height "),
    ],
)
def test_a_mistake_is_told_with_file_and_key(file, old, new, expected):
    assert old in FILE
    file.write_text(FILE.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        places.read(file, settings())
    assert str(caught.value).startswith(f"{file}: {expected}")
    assert "Received: " in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_says_nothing_is_refused(file):
    file.write_text("frame: [6, 8]\n")
    with pytest.raises(UserError, match=r"regions.yaml: attributes: expected where at least one attribute is"):
        places.read(file)


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("no image"), lambda path: path.write_bytes(b"")])
def test_a_mask_that_cannot_be_read_is_told_with_its_file(masks, tmp_path, spoil):
    path = masks(b=np.zeros((8, 8)))
    spoil(tmp_path / "masks" / "Smiling" / "b.png")
    with pytest.raises(UserError, match=r"b\.png: expected a mask, white where the attribute is\. Received: "):
        list(places.of_images(places.read(path), settings(), ("Smiling",), IDS))


def test_masks_are_looked_for_in_their_folder_alone(masks, tmp_path):
    path = masks(b=np.zeros((8, 8)))
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "secret.png")
    with pytest.raises(UserError, match=r"expected masks under names that stay in this folder\. Received: '\.\.'"):
        list(places.of_images(places.read(path), settings(), ("..",), np.array(["secret.png"])))


def test_what_decides_the_regions_is_plain_and_changes_with_them(masks, file):
    kept = places.settings_of(places.read(file, settings()), settings())
    assert kept == json.loads(json.dumps(kept))
    assert set(kept["presets"]) == {"mouth", "brow"}
    file.write_text(FILE.replace("0.75, 1]", "0.75, 0.9]"))
    assert places.settings_of(places.read(file, settings()), settings()) != kept
    path = masks(b=np.zeros((8, 8)))
    before = places.settings_of(places.read(path), settings())
    masks(b=np.ones((8, 8)) * 255)
    assert places.settings_of(places.read(path), settings()) != before


def test_the_settings_of_celebas_file_are_those_of_earlier_versions():
    """Kept results are compared by them."""
    kept = places.settings_of(
        places.read(None), config.check({"name": "x", "data": {"source": "celeba", "directory": "x"}}, "x").data
    )
    assert set(kept) == {"frame", "landmarks", "attributes"}
    assert all(set(place) == {"parts", "boxes"} for place in kept["attributes"].values())
