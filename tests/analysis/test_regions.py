"""Where attributes are: drawn, marked by people, or in boxes; and files that do not say it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mam_keras import config
from mam_keras.analysis import Unavailable, regions
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data import images, places
from mam_keras.data.parts import Parts
from mam_keras.data.pipeline import Prepared
from mam_keras.data.shapes import Box, pixels
from mam_keras.data.synthetic_faces import ATTRIBUTES, Scene, region
from mam_keras.errors import UserError

PLACES = """
frame: [6, 8]
landmarks: {eye: [1, 2], chin: [4, 6]}
attributes:
  Smiling: {parts: [mouth, lip], boxes: [{around: [eye, chin], grow: [0, 0, 0.5, -3]}]}
  Hat: {parts: [hat]}
  Elsewhere: {parts: [nowhere]}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "places.yaml"
    path.write_text(PLACES)
    return path


def region_sets(run):
    return regions.region_sets(run, "test")


def run(attributes, data=None, images=None, **analysis):
    data = data or {"source": "table", "file": "x.csv"}
    values = {"name": "x", "data": data | {"image_size": 12}, "model": {"dilations": [1]}, "analysis": analysis}
    settings = config.check(values, "x")
    return SimpleNamespace(config=settings, attributes=attributes, images=lambda split: images)


def prepared(count=2):
    pictures = np.zeros((count, 12, 12, 3), np.uint8)
    return Prepared(pictures, np.array([f"{i}.png" for i in range(count)]), np.ones((count, 2), bool), None, ())


# --- boxes ---


def test_a_box_by_hand():
    # The frame's 6 x 6 square begins at row 1; prepared at 12 its first pixel's centre is (0.25, 1.25)
    box = Box(around=("eye", "chin"), grow=(0, 0, 0.5, -3))  # x from 1 to 4.5, y from 2 to 3
    found = pixels([box], {"eye": (1, 2), "chin": (4, 6)}, (6, 8), 12)
    expected = np.zeros((12, 12), bool)
    expected[2:4, 2:9] = True  # centres 2.25 and 2.75 down, 1.25 to 4.25 across
    np.testing.assert_array_equal(found, expected)
    both = pixels([box, Box(around=("chin",), grow=(0.3, 0.3, 0.3, 0.3))], {"eye": (1, 2), "chin": (4, 6)}, (6, 8), 12)
    expected[10, 7:9] = expected[9, 7:9] = True  # centres 5.75 and 6.25, 3.75 and 4.25
    np.testing.assert_array_equal(both, expected)


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("frame", [(60, 80), (80, 60), (30, 90)])
def test_a_box_goes_where_the_image_goes(fit, frame):
    width, height = frame
    landmarks = {"eye": (8, 30), "chin": (24, 50)}
    image = np.zeros((height, width, 3), np.uint8)
    image[30:50, 8:24] = 255
    shown = images.prepare(image, 40, fit).numpy()[..., 0]
    found = pixels([Box(around=("eye", "chin"))], landmarks, frame, 40, fit)
    assert shown[found].min() > 100 and shown[~found].max() < 155
    everything = pixels([Box(around=("eye", "chin"), grow=(99, 99, 99, 99))], landmarks, frame, 40, fit)
    np.testing.assert_array_equal(everything, images.prepare(np.full_like(image, 255), 40, fit)[..., 0] > 0)


def test_boxes_of_a_file_on_any_aligned_images(file):
    (boxes,) = region_sets(run(("Hat", "Smiling"), images=prepared(), regions=str(file)))
    assert boxes.name == "boxes"
    assert boxes.region(0, 1).sum() == 14
    assert not boxes.region(0, 0).any()
    assert boxes.counted(0).all()


def test_boxes_stand_around_the_mean_landmarks_of_the_split(file, tmp_path):
    header = "eye_x eye_y chin_x chin_y"
    (tmp_path / "list_landmarks_align_celeba.txt").write_text(
        f"3\n{header}\n0.png 1 1 4 6\n1.png 3 3 4 6\nx.png 9 9 9 9\n"
    )
    data = {"source": "celeba", "directory": str(tmp_path)}
    aligned = run(("Smiling",), data, prepared(), regions=str(file))
    (boxes,) = region_sets(aligned)
    moved = pixels([Box(around=("eye", "chin"), grow=(0, 0, 0.5, -3))], {"eye": (2, 2), "chin": (4, 6)}, (6, 8), 12)
    np.testing.assert_array_equal(boxes.region(0, 0), moved)
    assert moved[2, 3:9].any()
    assert not moved[:, :4].any()


# --- drawn faces ---


def test_drawn_faces_know_their_regions_by_id_whatever_was_left_out(train_small):
    data = {"attributes": ("Wearing_Hat", "Smiling"), "limit": 8, "co_occurrence": 0.9}
    trained = TrainedRun(train_small(data=data, training={"epochs": 1, "batch_size": 4}))
    images = trained.images("test")
    kept = np.array([1, 4, 7])  # as if the others could not be read
    some = Prepared(images.images[kept], images.ids[kept], images.labels[kept], None, ())
    trained.images = lambda split: some
    (exact,) = region_sets(trained)
    assert exact.name == "exact"
    from mam_keras.data import synthetic_faces

    labels = synthetic_faces.load(trained.config.data).splits["test"].labels
    for row, index in enumerate(kept):
        for k, name in enumerate(trained.attributes):
            expected = region(Scene(0, "test", index), labels[index], ATTRIBUTES.index(name), 32)
            np.testing.assert_array_equal(exact.region(row, k), expected)
            assert expected.any()


# --- part masks ---


@pytest.fixture
def parts(tmp_path):
    """Two images of 6 x 8 with parts: 0 nothing, 1 mouth, 2 lip, 3 hat, 9 outside."""
    folder = tmp_path / "parts"
    (folder / "img_align_celeba").mkdir(parents=True)
    (folder / "masks").mkdir()
    (folder / "list_attr_celeba.txt").write_text("2\nHat Young Smiling\na.jpg 1 1 -1\nb.jpg -1 1 1\n")
    (folder / "classes.json").write_text(json.dumps({"classes": ["nothing", "mouth", "lip", "hat"], "outside": 9}))
    mask = np.zeros((8, 6), np.uint8)
    mask[1], mask[2, :3], mask[2, 3:], mask[6] = 9, 1, 2, 3
    mask[0] = mask[7] = 3  # cut off by the preparation
    for name in "ab":
        Image.new("RGB", (6, 8)).save(folder / "img_align_celeba" / f"{name}.jpg")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def test_part_masks_are_prepared_as_the_images_are(parts, file):
    (marked,) = region_sets(run(("Smiling", "Bald", "Hat"), parts=str(parts), regions=str(file)))
    assert marked.name == "parts"
    assert marked.images.images.shape == (2, 12, 12, 3)
    np.testing.assert_array_equal(marked.images.labels, [[False, False, True], [True, False, False]])
    counted, lips, hat = marked.counted(0), marked.region(0, 0), marked.region(1, 2)
    np.testing.assert_array_equal(counted.sum(axis=1), [0, 0] + [12] * 10)  # row 1 of the frame is outside
    np.testing.assert_array_equal(np.flatnonzero(lips.any(axis=1)), [2, 3])
    assert lips[2:4].all()
    np.testing.assert_array_equal(np.flatnonzero(hat.any(axis=1)), [10, 11])
    assert not marked.region(0, 1).any()  # nothing is said of it
    np.testing.assert_array_equal(marked.images.known, [[True, False, True]] * 2)


def test_part_masks_fit_as_the_images_do(parts):
    marked = Parts(parts)
    padded, squashed = marked.mask("a.jpg", 16, "pad"), marked.mask("a.jpg", 12, "squash")
    np.testing.assert_array_equal(padded[0, :2], [9, 9])
    np.testing.assert_array_equal(padded[0, 2:14], [3] * 12)  # what a crop cuts off
    np.testing.assert_array_equal(padded[4, 2:14], [1] * 6 + [2] * 6)
    np.testing.assert_array_equal(squashed[3], [1] * 6 + [2] * 6)
    np.testing.assert_array_equal(squashed[[0, 11]], np.full((2, 12), 3))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda folder: (folder / "classes.json").unlink(), "classes.json: expected"),
        (lambda folder: (folder / "classes.json").write_text("[1]"), "classes.json: expected"),
        (
            lambda folder: (folder / "masks" / "b.png").unlink(),
            "masks: expected a mask for each image. Received: none for b.jpg",
        ),
        (lambda folder: (folder / "masks" / "b.png").write_text("no"), "b.png: expected a mask beside an image"),
        (
            lambda folder: Image.new("L", (6, 6)).save(folder / "masks" / "b.png"),
            "b.png: expected one number per pixel of the image, 8 x 6. Received: 6 x 6",
        ),
        (lambda folder: (folder / "list_attr_celeba.txt").unlink(), "expected list_attr_celeba.txt"),
        (lambda folder: folder.rename(folder.with_name("away")), "expected the folder of CelebA (analysis.parts)"),
    ],
)
def test_a_damaged_folder_of_parts_is_refused_in_one_line(parts, file, spoil, expected):
    spoil(parts)
    with pytest.raises(UserError) as caught:
        (marked,) = region_sets(run(("Smiling",), parts=str(parts), regions=str(file)))
        marked.region(1, 0)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_the_masks_lack_is_refused_where_the_run_asks_for_it(parts, file):
    assert region_sets(run(("Smiling",), parts=str(parts), regions=str(file)))
    with pytest.raises(UserError) as caught:
        region_sets(run(("Elsewhere",), parts=str(parts), regions=str(file)))
    assert f"{file}: attributes.Elsewhere.parts: expected classes of {parts}" in str(caught.value)


# --- files and settings ---


def test_attributes_of_a_file_are_in_one_form_of_unicode(tmp_path):
    file = tmp_path / "places.yaml"
    file.write_text("frame: [6, 8]\nattributes: {Hu\u0308te: {parts: [hat]}}\n", encoding="utf-8")
    assert list(places.read(file).attributes) == ["H\u00fcte"]


def test_every_place_of_celeba_is_known():
    known = places.read(None)
    assert len(known.attributes) == 33
    for name, place in known.attributes.items():
        assert place.parts or place.boxes, name
        inside = pixels(place.boxes, known.landmarks, known.frame, 64)
        assert bool(place.boxes) == inside.any(), name
        assert inside.mean() < 0.35


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "around: [eye, chin]",
            "around: [eye, chn]",
            "attributes.Smiling.boxes.0.around: expected landmarks of the file; did you mean 'chin'?",
        ),
        (
            "grow: [0",
            "grows: [0",
            "attributes.Smiling.boxes.0.grows: unknown key; did you mean 'grow'?",
        ),
        ("parts: [hat]", "part: [hat]", "attributes.Hat.part: unknown key; did you mean 'parts'? Received: ['hat']"),
        ("frame: [6, 8]", "frame: [6]", "frame.1: "),
        ("frame: [6, 8]", "fram: [6, 8]", "fram: unknown key; did you mean 'frame'?"),
        (
            "frame: [6, 8]",
            "",
            "frame: expected width and height of the images in which landmarks are measured, for "
            "attributes.Smiling.boxes.0. Received: nothing",
        ),
        ("[1, 2]", "[1, x]", "landmarks.eye.1: expected a valid number. Received: 'x'"),
        ("grow: [0, 0, 0.5, -3]", "grow: 3", "attributes.Smiling.boxes.0.grow: expected a valid tuple. Received: 3"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_file_and_key(file, old, new, expected):
    file.write_text(PLACES.replace(old, new))
    with pytest.raises(UserError) as caught:
        regions.settings(run((), regions=str(file)).config)
    assert str(caught.value).startswith(f"{file}: {expected}".replace("['hat']", "('hat',)"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no\.yaml: expected a readable YAML file"):
        regions.settings(run((), regions=str(tmp_path / "no.yaml")).config)


def test_settings_hold_the_places_where_they_are_read(file):
    assert regions.settings(run(()).config)["places"] is None
    held = regions.settings(run((), regions=str(file)).config)["places"]
    assert held == json.loads(json.dumps(held))
    file.write_text(PLACES.replace("[1, 2]", "[1, 1]"))
    assert regions.settings(run((), regions=str(file)).config)["places"] != held


def test_where_nothing_is_known_there_is_no_answer():
    with pytest.raises(Unavailable, match=r"analysis\.regions"):
        region_sets(run(("Smiling",), images=prepared()))
    with pytest.raises(Unavailable, match="no test split"):
        region_sets(run(("Smiling",)))
