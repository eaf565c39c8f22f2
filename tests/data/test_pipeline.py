import io
import os
import resource
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mam_keras.analysis.blocks import cover
from mam_keras.data import pipeline
from mam_keras.data.augmentation import GREY, Augmentation, Blocks, RegionOnly
from mam_keras.data.images import prepare, read, read_files
from mam_keras.data.source import Split, file_digests
from mam_keras.data.synthetic_faces import Settings
from mam_keras.errors import RunError, UserError
from mam_keras.files import locked

SIZE = 16


def settings(**values):
    return Settings(source="synthetic_faces", image_size=SIZE, **values)  # any source's would do


def smooth(size=SIZE, seed=0):
    """An image that JPEG hardly changes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def split_of(paths):
    names = np.array([path.name for path in paths])
    labels = np.arange(len(paths))[:, None] % 2 == [0, 1]
    return Split(
        names,
        labels,
        lambda: read_files(map(str, paths)),
        np.arange(len(paths)) // 2,
        lambda: file_digests(paths),
    )


@pytest.fixture
def ten(tmp_path):
    """Ten PNG files that differ."""
    paths = [tmp_path / f"{index}.png" for index in range(10)]
    for index, path in enumerate(paths):
        smooth(seed=index).save(path)
    return paths


def pixels(paths):
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def numbered(count, size=4, attributes=3):
    """Prepared images, the i-th of which is filled with i."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, size, size, 3))
    labels = np.random.default_rng(0).integers(0, 2, (count, attributes)).astype(bool)
    return pipeline.Prepared(images, np.arange(count).astype(str), labels, None, ())


def copies(image, count):
    image = np.asarray(image, np.uint8)
    images = np.broadcast_to(image[None, :, :, None], (count, *image.shape, 3))
    return replace(numbered(count), images=images)


def epoch(prepared, batch_size, seed=0, number=0, **changes):
    """The batches of one epoch of training: a list of (images, labels)."""
    dataset = pipeline.training_batches(prepared, batch_size, seed, number, Augmentation(**changes))
    return [(images.numpy(), labels.numpy()) for images, labels in dataset]


# --- one epoch of training ---


def test_an_epoch_is_a_permutation_in_full_batches_with_each_images_own_labels():
    prepared = numbered(22)
    batches = epoch(prepared, 4, seed=5, number=3)
    assert [images.shape for images, _ in batches] == [(4, 4, 4, 3)] * 5  # the remaining 2 are left out
    order = np.random.default_rng((5, 3)).permutation(22)[:20]
    images, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    np.testing.assert_array_equal(images, prepared.images[order])
    np.testing.assert_array_equal(labels, prepared.labels[order].astype(np.float32))
    assert images.dtype == np.uint8
    assert labels.dtype == np.float32
    assert len(np.unique(images[:, 0, 0, 0])) == 20


def test_which_images_are_left_out_changes():
    drawn = [{int(i) for images, _ in epoch(numbered(22), 4, number=n) for i in images[:, 0, 0, 0]} for n in range(12)]
    assert all(len(images) == 20 for images in drawn)
    assert set.union(*drawn) == set(range(22))
    assert len(set(map(frozenset, drawn))) > 6


def test_seed_and_epoch_alone_decide():
    images = np.random.default_rng(1).integers(0, 256, (12, 6, 6, 3)).astype(np.uint8)
    prepared = replace(numbered(12), images=images)

    def drawn(seed, number):
        return np.concatenate(
            [batch for batch, _ in epoch(prepared, 4, seed, number, flip=True, shift=2, cutout=0.4, noise=0.1)]
        )

    np.testing.assert_array_equal(drawn(1, 2), drawn(1, 2))
    assert (drawn(1, 2) != drawn(1, 3)).any()
    assert (drawn(1, 2) != drawn(2, 2)).any()
    assert (drawn(1, 2) != drawn(2, 1)).any()


def test_an_image_is_augmented_alike_whatever_the_batch_size():
    images = np.random.default_rng(1).integers(0, 256, (12, 6, 6, 3)).astype(np.uint8)
    images[..., 0] = np.arange(12)[:, None, None]  # who it is
    prepared = replace(numbered(12), images=images)

    def drawn(batch_size):
        batches = epoch(prepared, batch_size, flip=True, shift=2)
        return {int(image[0, 0, 0]): image for batch, _ in batches for image in batch}

    for index, image in (fours := drawn(4)).items():
        np.testing.assert_array_equal(image, drawn(6)[index])
    assert len(fours) == 12


def test_half_of_the_images_are_mirrored():
    batches = epoch(copies([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 400), 100, flip=True)
    rows = np.concatenate([images[:, :, :, 1] for images, _ in batches])
    same = (rows == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]).all((1, 2))
    mirrored = (rows == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]).all((1, 2))
    assert (same | mirrored).all()
    assert 160 < mirrored.sum() < 240


def test_images_are_moved_each_way_and_their_edge_is_repeated():
    batches = epoch(copies([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 400), 100, shift=1)
    drawn = {tuple(image[:, :, 2].ravel().tolist()) for images, _ in batches for image in images}
    assert drawn == {
        (1, 2, 3, 4, 5, 6, 7, 8, 9),
        (1, 1, 2, 4, 4, 5, 7, 7, 8),
        (2, 3, 3, 5, 6, 6, 8, 9, 9),
        (1, 2, 3, 1, 2, 3, 4, 5, 6),
        (4, 5, 6, 7, 8, 9, 7, 8, 9),
        (1, 1, 2, 1, 1, 2, 4, 4, 5),
        (2, 3, 3, 2, 3, 3, 5, 6, 6),
        (4, 4, 5, 7, 7, 8, 7, 7, 8),
        (5, 6, 6, 8, 9, 9, 8, 9, 9),
    }


def test_mirrored_and_moved_images_are_as_numpy_makes_them():
    image = np.random.default_rng(0).integers(0, 256, (5, 5)).astype(np.uint8)
    batches = epoch(copies(image, 900), 100, flip=True, shift=2)
    drawn = {image[:, :, 0].tobytes() for images, _ in batches for image in images}
    padded = np.pad(image, 2, mode="edge")
    moved = [padded[row : row + 5, column : column + 5] for row in range(5) for column in range(5)]
    assert drawn == {variant.tobytes() for view in moved for variant in (view, view[:, ::-1])}


def test_a_square_anywhere_is_covered():
    image = np.random.default_rng(0).integers(0, GREY, (6, 6)).astype(np.uint8)
    batches = epoch(copies(image, 600), 100, cutout=0.3)  # 1.8 of 6 pixels: 2
    corners = set()
    for drawn in np.concatenate([images for images, _ in batches]):
        covered = (drawn == GREY).all(axis=-1)
        rows, columns = np.nonzero(covered)
        corners.add((rows[0], columns[0]))
        expected = np.zeros((6, 6), bool)
        expected[rows[0] : rows[0] + 2, columns[0] : columns[0] + 2] = True
        np.testing.assert_array_equal(covered, expected)
        np.testing.assert_array_equal(drawn[~covered], np.repeat(image[~covered][:, None], 3, axis=1))
    assert corners == {(row, column) for row in range(5) for column in range(5)}


def test_noise_has_a_sigma_of_its_own_for_every_image():
    batches = epoch(copies(np.full((32, 32), 128), 400), 100, noise=0.2)
    noise = np.concatenate([images for images, _ in batches]) / 255 - 128 / 255
    sigmas = np.sort(noise.std(axis=(1, 2, 3)))
    np.testing.assert_allclose(sigmas, np.linspace(0, 0.2, 400), atol=0.02)  # uniform
    assert abs(noise.mean()) < 1e-3
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.01


def test_noise_is_clipped_and_rounded():
    batches = epoch(copies(np.full((16, 16), 250), 40), 20, noise=0.5)
    noisy = np.concatenate([images for images, _ in batches])
    assert noisy.dtype == np.uint8
    assert (noisy == 255).mean() > 0.2


def test_regions_go_where_the_pixels_go():
    """Each attribute's region is drawn into the images in a colour of its own, then both are moved."""
    regions = np.random.default_rng(0).random((8, 8, 3)) < 0.3
    images = np.broadcast_to(255 * regions.astype(np.uint8), (30, 8, 8, 3))
    prepared = replace(numbered(30), images=images)
    augmentation = Augmentation(flip=True, shift=2)
    blocks = Blocks(regions, (4, 4), augmentation)
    batches = pipeline.training_batches(prepared, 10, 3, 1, augmentation, blocks=blocks, supervised=12)
    order = np.random.default_rng((3, 1)).permutation(30)
    moved, found = (np.concatenate([batch[part].numpy() for batch in batches]) for part in (0, 2))
    expected = (moved.reshape(30, 4, 2, 4, 2, 3) / 255).mean(axis=(2, 4)) * (order < 12)[:, None, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32
    assert found[order < 12].any()


@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
def test_images_with_regions_of_their_own_have_them_moved_as_they_are(grid):
    random = np.random.default_rng(0)
    regions = random.random((8, 8, 3)) < 0.3
    own = {(index, k): random.random((8, 8)) < 0.3 for index, k in [(0, 1), (5, 0), (5, 2), (29, 1)]}
    each = np.repeat(regions[None], 30, axis=0)
    for (index, k), region in own.items():
        each[index, ..., k] = region
    augmentation = Augmentation(flip=True, shift=2)
    blocks = Blocks(regions, grid, augmentation, {place: np.packbits(region) for place, region in own.items()})
    prepared = replace(numbered(30), images=255 * each.astype(np.uint8))
    batches = pipeline.training_batches(prepared, 10, 3, 1, augmentation, blocks=blocks, supervised=30)
    moved, found = (np.concatenate([batch[part].numpy() for batch in batches]) for part in (0, 2))
    expected = np.stack([[cover(image[..., k] > 0, grid) for k in range(3)] for image in moved])
    np.testing.assert_allclose(found, np.moveaxis(expected, 1, -1), atol=1e-6)


def test_a_share_of_images_shows_regions_alone_and_says_nothing_of_what_is_not_shown():
    """Those that are drawn among the supervised ones; before they are moved, and in their own mean colour."""
    random = np.random.default_rng(0)
    images, region = random.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8), random.random((8, 8)) < 0.3
    own, shown = {index: random.random((8, 8)) < 0.5 for index in range(6)}, np.array([True, False, True])
    own[7] = np.zeros((8, 8), bool)
    prepared, augmentation = replace(numbered(40), images=images), Augmentation(flip=True, shift=1, region_only=0.6)
    alone = RegionOnly(region, shown, {index: np.packbits(one) for index, one in own.items()})
    batches = pipeline.training_batches(prepared, 10, 3, 1, augmentation, supervised=30, alone=alone)
    found, labels = (np.concatenate([batch[part].numpy() for batch in batches]) for part in (0, 1))

    random = np.random.default_rng((3, 1))
    order, drawn = random.permutation(40), augmentation.draw(40, 8, random)
    changed = drawn["alone"] & (np.arange(40) < 30)
    changed[7] = False  # it would show nothing
    assert changed[:6].any() and drawn["alone"][7] and 10 < changed.sum() < 26
    expected, marked = images.copy(), prepared.labels.astype(np.float32)
    for index in np.flatnonzero(changed):
        mean = np.rint(images[index].mean(axis=(0, 1)))
        expected[index] = np.where(own.get(index, region)[..., None], images[index], mean)
        marked[index, ~shown] = np.nan
    moved = augmentation.apply(expected[order], {name: values[order] for name, values in drawn.items()})
    np.testing.assert_array_equal(found, moved)
    np.testing.assert_array_equal(labels, marked[order])


def test_what_is_drawn_otherwise_does_not_depend_on_regions_alone():
    whole, some = (Augmentation(flip=True, noise=0.1, mixup=1, region_only=share) for share in (0, 0.5))
    first, second = (one.draw(9, 8, np.random.default_rng(1)) for one in (whole, some))
    assert set(second) - set(first) == {"alone"}
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_mixtures_are_of_the_images_next_in_the_epoch_and_of_their_labels():
    images = np.random.default_rng(1).integers(0, 256, (22, 6, 6, 3)).astype(np.uint8)
    prepared = replace(numbered(22), images=images, known=np.random.default_rng(2).random((22, 3)) < 0.8)
    batches = epoch(prepared, 4, seed=5, number=3, flip=True, shift=1, mixup=0.4)
    mixtures, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    order = np.random.default_rng((5, 3)).permutation(22)[:20]
    alone = epoch(prepared, 4, seed=5, number=3, flip=True, shift=1)  # the same random moves
    moved = np.concatenate([batch for batch, _ in alone]).astype(float)
    marked = np.where(prepared.known, prepared.labels, np.nan)[order]
    random = np.random.default_rng((5, 3))
    random.permutation(22)
    shares = Augmentation(flip=True, shift=1, mixup=0.4).draw(22, 6, random)["shares"][order]
    assert (shares < 0.2).any() and (shares > 0.8).any() and ((shares > 0.2) & (shares < 0.8)).any()
    own = shares[:, None, None, None]
    np.testing.assert_allclose(mixtures, own * moved + (1 - own) * np.roll(moved, 1, axis=0), atol=0.51)
    expected = shares[:, None] * marked + (1 - shares[:, None]) * np.roll(marked, 1, axis=0)
    np.testing.assert_allclose(labels, expected, atol=1e-6)
    assert np.isnan(labels).any() and labels.dtype == np.float32 and mixtures.dtype == np.uint8


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_the_replicas_parts_are_together_the_batches_of_one(mixup):
    """Of four replicas, two workers have two each."""
    prepared = numbered(22)
    arguments = (prepared, 8, 5, 3, Augmentation(flip=True, shift=1, cutout=0.5, noise=0.2, mixup=mixup))
    whole = [images.numpy() for images, _ in pipeline.training_batches(*arguments)]
    parts = [
        [images.numpy() for images, _ in pipeline.training_batches(*arguments, replicas=4, own=own)]
        for own in (range(0, 2), range(2, 4))
    ]
    assert [len(images) for worker in parts for images in worker] == [2] * 8
    for step, batch in enumerate(whole):
        shares = [images for worker in parts for images in worker[2 * step : 2 * step + 2]]
        np.testing.assert_array_equal(np.concatenate(shares), batch)


# --- evaluation ---


@pytest.mark.parametrize("count, sizes", [(7, [3, 3, 1]), (6, [3, 3]), (2, [2])])
def test_evaluation_has_every_image_once_and_in_order(count, sizes):
    prepared = numbered(count)
    dataset = pipeline.ordered_batches(prepared, 3)
    assert dataset.cardinality() == len(sizes)
    batches = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    assert [len(images) for images, _ in batches] == sizes
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), prepared.images)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), prepared.labels)


def test_nothing_waits_for_a_thread_that_tunes():
    """TensorFlow tunes by default; what it costs depends on chance, so that only the option is looked at."""
    batches = pipeline.training_batches(numbered(4), 2, 0, 0, Augmentation()), pipeline.ordered_batches(numbered(4), 2)
    assert [dataset.options().autotune.enabled for dataset in batches] == [False, False]
    assert tf.data.Dataset.range(1).options().autotune.enabled is None


def test_evaluation_of_some_rows_has_those_alone():
    prepared = numbered(7)
    batches = [images.numpy() for images, _ in pipeline.ordered_batches(prepared, 2, range(2, 5))]
    assert [len(images) for images in batches] == [2, 1]
    np.testing.assert_array_equal(np.concatenate(batches), prepared.images[2:5])
    assert [*pipeline.ordered_batches(prepared, 2, range(0))] == []


# --- reading ---


def test_images_are_read_in_order(ten):
    split = split_of(ten)
    prepared = pipeline.read(split, "train", settings())
    np.testing.assert_array_equal(prepared.images, pixels(ten))
    assert prepared.ids is not split.ids
    for name in ("ids", "labels", "groups"):
        np.testing.assert_array_equal(getattr(prepared, name), getattr(split, name))
    assert prepared.unreadable == ()
    assert len(prepared) == 10


def spoil(paths):
    """Makes three of the ten unreadable."""
    paths[0].write_text("this is no image")
    paths[4].unlink()
    paths[9].write_bytes(paths[9].read_bytes()[:60])


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_unreadable_images_are_named_and_left_out(ten, tmp_path, cache):
    whole = pixels(ten)
    spoil(ten)
    split = split_of(ten)
    for _ in range(2):  # the second time from the cache
        prepared = pipeline.read(
            split, "train", settings(corrupt_share=0.3, cache=cache, cache_directory=str(tmp_path / "cache"))
        )
        kept = [1, 2, 3, 5, 6, 7, 8]
        np.testing.assert_array_equal(prepared.images, whole[kept])
        np.testing.assert_array_equal(prepared.ids, split.ids[kept])
        np.testing.assert_array_equal(prepared.labels, split.labels[kept])
        np.testing.assert_array_equal(prepared.groups, split.groups[kept])
        text, missing, truncated = prepared.unreadable
        assert text == "0.png: not a JPEG, PNG, GIF, BMP or WebP"
        assert missing == f"4.png: {ten[4]}; No such file or directory"
        assert truncated.startswith("9.png: Invalid PNG")


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_too_many_unreadable_images_are_refused_with_the_first_ones(ten, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(pipeline, "FEW", 2)
    spoil(ten)
    some = settings(corrupt_share=0.29, cache=cache, cache_directory=str(tmp_path / "cache"))
    with pytest.raises(UserError) as caught:
        pipeline.read(split_of(ten), "validation", some)
    line = str(caught.value)
    assert line.startswith(
        "data.corrupt_share: expected at most 29.00% of the validation images to be unreadable, or 2 (raise it, or "
        "remove them). Received: 3 of 10: 0.png: not a JPEG, PNG, GIF, BMP or WebP"
    )
    assert "4.png: " in line
    assert "9.png: " in line
    assert "\n" not in line
    ten[1].unlink()
    with pytest.raises(
        UserError, match=r"Received: 4 of 10: 0.png: .*4.png: [^;]*; No such file or directory; \.\.\.$"
    ):
        pipeline.read(split_of(ten), "validation", some)


def test_a_handful_of_unreadable_images_does_not_stop_a_small_project(ten):
    spoil(ten)
    assert len(pipeline.read(split_of(ten), "train", settings())) == 7
    with pytest.raises(UserError, match=r"at most 0.00% of the train images to be unreadable \(raise it.* 3 of 10"):
        pipeline.read(split_of(ten), "train", settings(corrupt_share=0.0))


def test_a_split_without_any_readable_image_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"expected a test image that can be read. Received: unreadable 2 of 2: a.jpg: .*; b.jpg"
    ):
        pipeline.read(split_of([tmp_path / "a.jpg", tmp_path / "b.jpg"]), "test", settings(corrupt_share=1.0))


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_files_that_are_no_whole_image_are_unreadable(tmp_path):
    jpeg, png = encoded(smooth(64), "JPEG"), encoded(smooth(64), "PNG")
    files = {
        "half.jpg": jpeg[: len(jpeg) // 2],
        "without_end.jpg": jpeg[:-2],
        "half.png": png[: len(png) // 2],
        "text.jpg": b"<html>404</html>",
        "empty.jpg": b"",
        "image.tif": encoded(smooth(), "TIFF"),
        "good.jpg": jpeg,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.jpg").mkdir()
    paths = [tmp_path / name for name in (*files, "folder.jpg", "none.jpg")]
    prepared = pipeline.read(split_of(paths), "train", settings(corrupt_share=1.0))
    assert prepared.ids.tolist() == ["good.jpg"]
    reasons = dict(line.split(": ", 1) for line in prepared.unreadable)
    assert set(reasons) == {path.name for path in paths} - {"good.jpg"}
    for reason in reasons.values():
        assert 0 < len(reason) < 200
        assert not any(sign in reason for sign in ("{{", "[[", "[Op:", "Iterator", "\n"))


def see_through():
    image = smooth().convert("RGBA")
    image.putalpha(Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE)).astype(np.uint8)))
    return image


MOVING = {"save_all": True, "append_images": [smooth(seed=1)]}
FINE = {"quality": 95}


@pytest.mark.parametrize(
    "image, form, options, tolerance",
    [
        pytest.param(smooth(), "PNG", {}, 0, id="png"),
        pytest.param(smooth().convert("L"), "PNG", {}, 0, id="grey png"),
        pytest.param(smooth().convert("P"), "PNG", {}, 0, id="palette png"),
        pytest.param(see_through(), "PNG", {}, 0, id="transparency is dropped"),
        pytest.param(smooth(), "BMP", {}, 0, id="bmp"),
        pytest.param(smooth().convert("P"), "GIF", {}, 0, id="gif"),
        pytest.param(smooth().convert("P"), "GIF", MOVING, 0, id="first frame of a gif"),
        pytest.param(smooth(), "JPEG", FINE, 3, id="jpeg"),
        pytest.param(smooth(), "JPEG", FINE | {"progressive": True}, 3, id="progressive jpeg"),
        pytest.param(smooth().convert("L"), "JPEG", FINE, 3, id="grey jpeg"),
        pytest.param(smooth().convert("CMYK"), "JPEG", FINE, 3, id="cmyk jpeg"),
    ],
)
def test_every_form_becomes_three_channels_as_pillow_decodes_them(image, form, options, tolerance):
    data = encoded(image, form, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)
    decoded = read(data)[0].numpy()
    assert decoded.dtype == np.uint8
    assert decoded.shape == (SIZE, SIZE, 3)
    errors = np.abs(decoded - expected)
    assert errors.mean() <= tolerance  # TensorFlow decodes JPEG the fast way
    assert errors.max() <= 5 * tolerance


def test_16_bits_become_8():
    values = np.random.default_rng(0).integers(0, 2**16, (SIZE, SIZE)).astype(np.uint16)
    decoded = read(encoded(Image.fromarray(values), "PNG"))[0].numpy()
    assert decoded.shape == (SIZE, SIZE, 3)
    assert np.abs(decoded - (values / 257)[..., None]).max() < 1


# --- preparation ---


def resized(image, size):
    """Antialiased bilinear resize of a square, in float64: each output pixel is a mean of the input pixels under a
    triangle around its centre, as wide as an output pixel on either side (at least one input pixel)."""
    scale = len(image) / size
    distance = np.abs((np.arange(len(image)) + 0.5)[None, :] - (np.arange(size) + 0.5)[:, None] * scale)
    weights = np.maximum(0, 1 - distance / max(scale, 1.0))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.stack([weights @ channel @ weights.T for channel in image.transpose(2, 0, 1).astype(float)], axis=-1)


@pytest.mark.parametrize("size", [64, 128, 200])
def test_preparation_takes_celebas_square_from_row_20_and_resizes_it(size):
    image = np.random.default_rng(0).integers(0, 256, (218, 178, 3)).astype(np.uint8)
    prepared = prepare(tf.constant(image), size).numpy()
    assert prepared.dtype == np.uint8
    expected = resized(image[20:198], size).round()
    assert np.abs(prepared - expected).max() <= 1
    assert (prepared == expected).mean() > 0.99  # rounded, not cut off


@pytest.mark.parametrize("shape, square", [((8, 5), (1, 0)), ((5, 8), (0, 1)), ((9, 5), (2, 0)), ((5, 5), (0, 0))])
def test_the_square_is_in_the_middle_rounded_up_and_left(shape, square):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    top, left = square
    np.testing.assert_array_equal(prepare(tf.constant(image), 5), image[top : top + 5, left : left + 5])


# --- the disk cache ---


def from_disk(split, folder, **values):
    return pipeline.read(split, "train", settings(cache="disk", cache_directory=str(folder), **values))


def unread(split):
    def images():
        raise AssertionError("the images were read again")

    return replace(split, images=images)


def test_the_disk_cache_equals_the_memory_cache_and_is_used_again(ten, tmp_path):
    split, folder = split_of(ten), tmp_path / "a/cache"
    first = from_disk(split, folder)
    np.testing.assert_array_equal(first.images, pipeline.read(split, "train", settings()).images)
    again = from_disk(unread(split), folder)
    assert isinstance(again.images, np.memmap)
    np.testing.assert_array_equal(again.images, first.images)
    assert len(list(folder.iterdir())) == 2
    np.testing.assert_array_equal(epoch(again, 5, flip=True)[1][0], epoch(first, 5, flip=True)[1][0])


def test_the_disk_cache_is_filled_anew_for_other_images_or_another_size(ten, tmp_path):
    from_disk(split_of(ten), tmp_path / "cache")
    changed = split_of(ten[::-1])
    np.testing.assert_array_equal(from_disk(changed, tmp_path / "cache").images, pixels(ten[::-1]))
    assert from_disk(split_of(ten), tmp_path / "cache", limit=None).images.shape == (10, SIZE, SIZE, 3)
    small = pipeline.read(
        split_of(ten),
        "train",
        Settings(source="synthetic_faces", image_size=8, cache="disk", cache_directory=str(tmp_path / "cache")),
    )
    assert small.images.shape == (10, 8, 8, 3)


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "other", "missing", "of another kind", "deep"])
def test_a_damaged_cache_is_filled_again(ten, tmp_path, suffix, damage):
    from_disk(split_of(ten), tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob(f"*{suffix}")
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        small = io.BytesIO()
        np.save(small, np.zeros((5, SIZE, SIZE, 3), np.uint8))
        other = small.getvalue() if suffix == ".npy" else b'["a list"]'
        contents = {"truncated": whole[:-2], "empty": b"", "other": b"something else", "of another kind": other}
        path.write_bytes((contents | {"deep": b"[" * 100_000})[damage])
    np.testing.assert_array_equal(from_disk(split_of(ten), tmp_path / "cache").images, pixels(ten))
    assert path.read_bytes() == whole


def test_what_cannot_be_read_is_not_kept_where_it_is_too_much(ten, tmp_path, monkeypatch):
    """A network folder may be away for a minute, and the files' times are the same when it is back."""
    monkeypatch.setattr(pipeline, "FEW", 2)
    whole = pixels(ten)
    contents = [path.read_bytes() for path in ten]
    spoil(ten)
    with pytest.raises(UserError, match="Received: 3 of 10"):
        from_disk(split_of(ten), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    for path, content in zip(ten, contents, strict=True):
        path.write_bytes(content)
    np.testing.assert_array_equal(from_disk(split_of(ten), tmp_path / "cache").images, whole)


def test_the_disk_cache_goes_by_content_not_by_name_size_and_time(ten, tmp_path):
    """As two data sets that were unpacked with the same names and times, or one whose files were put in their place."""
    one, other = (np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (10, 20))
    path = tmp_path / "one.bmp"
    for image in (one, other):
        Image.fromarray(image).save(path)
        os.utime(path, (0, 0))
        np.testing.assert_array_equal(from_disk(split_of([path]), tmp_path / "cache").images, image[None])
    path.rename(tmp_path / "moved.bmp")
    np.testing.assert_array_equal(
        from_disk(unread(split_of([tmp_path / "moved.bmp"])), tmp_path / "cache").images, other[None]
    )


@pytest.mark.parametrize("away_already", [True, False], ids=["missing", "lost while it is decoded"])
def test_a_file_that_could_not_be_read_once_is_read_the_next_time(ten, tmp_path, away_already):
    """The cache was filled while a network folder was away."""
    split, away = split_of(ten), tmp_path / "away"
    contents = split.contents().copy()
    contents[3] = 0 if away_already else contents[3]
    ten[3].rename(away)
    first = from_disk(replace(split, contents=lambda: contents), tmp_path / "cache", corrupt_share=0.5)
    assert first.left_out == ("3.png",)
    np.testing.assert_array_equal(first.images, pixels([*ten[:3], *ten[4:]]))
    away.rename(ten[3])
    again = from_disk(split, tmp_path / "cache", corrupt_share=0.5)
    np.testing.assert_array_equal(again.images, pixels(ten))
    assert not again.unreadable


def test_a_kept_share_of_unreadable_images_is_judged_by_the_settings_of_today(ten, tmp_path):
    spoil(ten)
    from_disk(split_of(ten), tmp_path / "cache", corrupt_share=0.5)
    with pytest.raises(UserError, match="Received: 3 of 10"):
        from_disk(unread(split_of(ten)), tmp_path / "cache", corrupt_share=0.0)


def test_a_cache_folder_that_cannot_be_made_is_refused(ten, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"data.cache_directory: expected a folder that can be written. Received: .*file"
    ):
        from_disk(split_of(ten), tmp_path / "file/cache")


def test_a_full_disk_ends_the_filling_and_leaves_nothing(ten, tmp_path):
    """A limit on the size of files stands in for the full disk: no rights are needed to set it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(RunError, match=r"cache/train-\w+.npy: cannot be written: File too large"):
            from_disk(split_of(ten), tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_that_another_process_fills_is_waited_for(ten, tmp_path):
    (tmp_path / "cache").mkdir()
    with locked(tmp_path / "cache", wait=False):
        reader = threading.Thread(target=from_disk, args=(split_of(ten), tmp_path / "cache"))
        reader.start()
        time.sleep(0.3)
        assert not list((tmp_path / "cache").iterdir())
    reader.join(30)
    assert len(list((tmp_path / "cache").iterdir())) == 2
