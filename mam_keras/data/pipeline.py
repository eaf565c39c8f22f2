"""From a split to batches: read and prepare once, keep, then shuffle and augment every epoch.

Everything random follows from (seed, epoch, index of the image), so an epoch can be drawn again exactly.
"""

import hashlib
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mam_keras.data.augmentation import mixed
from mam_keras.data.images import VERSION, prepare, reason
from mam_keras.data.source import FEW
from mam_keras.errors import UserError
from mam_keras.files import checked_json, locked, remove_partial, replacing, write_json
from mam_keras.statistics import ratio

READ_AHEAD = 64  # images decoded ahead of the one being kept
BATCHES_AHEAD = 2  # of the one being trained on


@dataclass(frozen=True)
class Prepared:
    """A split's readable images, prepared.

    Attributes:
        images: uint8 (n, S, S, 3); in memory, or mapped from the disk cache.
        ids, labels, groups, known: as in `source.Split`, of these n images.
        unreadable: what was left out, as "id: reason".
        left_out: its ids.
        changed: how many images were turned, and made square at what cost, as a sentence; "" where none was.
        contents: as `source.Split` gives them, of these n images; None where they are read from nowhere.
    """

    images: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    unreadable: tuple[str, ...]
    known: np.ndarray | None = None
    left_out: tuple[str, ...] = ()
    contents: np.ndarray | None = None
    changed: str = ""

    def __post_init__(self):
        if self.known is None:
            object.__setattr__(self, "known", np.ones(self.labels.shape, bool))

    def __len__(self):
        return len(self.ids)

    def take(self, rows):
        """These images alone, in this order: int (m,). The same object where they are all in theirs."""
        if np.array_equal(rows, np.arange(len(self))):
            return self
        of_rows = {
            name: None if (array := getattr(self, name)) is None else array[rows]
            for name in ("images", "ids", "labels", "groups", "known", "contents")
        }
        return replace(self, **of_rows)

    @property
    def units(self):
        """int (n,), what a bootstrap resamples and halves are made of: the groups where there are any, else images."""
        return np.arange(len(self)) if self.groups is None else self.groups

    @property
    def rates(self):
        """float (K,), the share of positive images among those whose label is known; NaN where none is."""
        return ratio(self.labels.sum(axis=0), self.known.sum(axis=0))

    @property
    def marked_labels(self):
        """float32 (n, K): 1, 0, and NaN where a label is not known, as losses take them."""
        return np.where(self.known, self.labels, np.float32(np.nan)).astype(np.float32)


@dataclass
class Reading:
    """What reading a split showed, besides its images.

    Attributes:
        unreadable: {index: why}.
        passing: of these, the ones whose content is not to blame, which may be read the next time.
        turned: how many images their orientation tag turned.
        unequal: how many images are no squares.
        most: of these, by which share of its longer edge one exceeds a square the most.
    """

    unreadable: dict[int, str] = field(default_factory=dict)
    passing: list[int] = field(default_factory=list)
    turned: int = 0
    unequal: int = 0
    most: float = 0.0

    def changed(self, fit, count):
        """As a sentence, of `count` images."""
        done = {
            "crop": "cropped to the centre square, at most {} of the longer edge left out",
            "pad": "padded to a square, at most {} of it black",
            "squash": "squashed to a square, the longer edge by at most {}",
        }[fit].format(f"{self.most:.0%}")
        turned = f"{self.turned:,} of {count:,} images turned by their orientation tag"
        made_square = f"{self.unequal:,} of {count:,} images {done}"
        return "; ".join([turned] * (self.turned > 0) + [made_square] * (self.unequal > 0))


def read(split, name, settings):
    """Reads and prepares a split: `source.Split` -> `Prepared`.

    Images that cannot be read are left out and named. Raises `UserError` where they are more than
    `settings.corrupt_share` of the split and more than `source.FEW`, or all of it. With `cache: disk` the prepared
    images are written beside their place and renamed, so that a killed process leaves no half-filled cache.
    """
    contents = split.contents()
    if settings.cache == "memory":
        size, found = settings.image_size, Reading()
        images = np.empty((len(split), size, size, 3), np.uint8)
        for row, image in enumerate(_readable(split, name, settings, found)):
            images[row] = image
    else:
        images, found = _disk_cache(split, contents, name, settings)
    named = _named(split, name, settings, found.unreadable)
    kept = np.setdiff1d(np.arange(len(split)), list(found.unreadable))
    return Prepared(
        images[: len(kept)],
        split.ids[kept],
        split.labels[kept],
        None if split.groups is None else split.groups[kept],
        named,
        split.known[kept],
        tuple(str(split.ids[index]) for index in found.unreadable),
        contents[kept],
        found.changed(settings.fit, len(kept)),
    )


def training_batches(
    prepared, batch_size, seed, epoch, augmentation, replicas=1, own=range(1), blocks=None, supervised=0, alone=None
):
    """One epoch of training: a `tf.data.Dataset` of (images uint8 (B, S, S, 3), labels float32 (B, K), NaN
    where not known).

    Batches are always full: what remains after shuffling is left out of this epoch. Images are changed as
    `augmentation` says.

    Where `replicas` share each batch, every one of them gets an equal part of it, and this dataset holds the parts of
    the replicas in the range `own` alone, one after the other. All parts together are the batches of one replica.

    With `blocks`, an `augmentation.Blocks`, elements have a third part: where the attributes are, float32
    (B, H, W, K), on the first `supervised` images of the split; 0 on all others. With `alone`, an
    `augmentation.RegionOnly`, so many of these images as `augmentation` says show regions alone.
    """
    count, part = len(prepared), batch_size // replicas
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(count)[: count // batch_size * batch_size]
    drawn = augmentation.draw(count, prepared.images.shape[1], random)
    rows = [order, np.roll(order, 1)] if augmentation.mixup else [order]  # of images, and of those they are mixed with
    rows = [one.reshape(-1, replicas, part)[:, own.start : own.stop].ravel() for one in rows]
    elements = tuple((one, {name: values[one] for name, values in drawn.items()}) for one in rows)
    batches = tf.data.Dataset.from_tensor_slices(elements).batch(part, drop_remainder=True)

    marked = prepared.marked_labels

    def changed(indices, drawn):
        images = tf.numpy_function(lambda rows: prepared.images[rows], [indices], tf.uint8, stateful=False)
        images.set_shape((part, *prepared.images.shape[1:]))
        labels = tf.gather(tf.constant(marked), indices)
        if alone is not None:
            images, labels = alone(images, labels, indices, drawn["alone"] & (indices < supervised))
        return augmentation.apply(images, drawn), labels

    def gather(own, *other):
        images, labels = changed(*own)
        indices, drawn = own
        if other:
            images, labels = mixed(images, labels, *changed(*other[0]), drawn["shares"])
        if blocks is None:
            return images, labels
        known = tf.cast(indices < supervised, tf.float32)[:, None, None, None]
        return images, labels, known * blocks(drawn["flips"], drawn["shifts"], indices)

    batches = batches.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return _untuned(batches.prefetch(BATCHES_AHEAD))


def ordered_batches(prepared, batch_size, rows=None):
    """Every image once, in order: a `tf.data.Dataset` as `training_batches`, the last batch as small as it comes.

    Of the images in the range `rows` where it is given.
    """
    rows = range(len(prepared)) if rows is None else rows
    marked = prepared.marked_labels
    batches_of_rows = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]

    def batches():
        for batch in batches_of_rows:
            rows = slice(batch.start, batch.stop)
            yield prepared.images[rows], marked[rows]

    image, label = prepared.images.shape[1:], prepared.labels.shape[1:]
    signature = (tf.TensorSpec((None, *image), tf.uint8), tf.TensorSpec((None, *label), tf.float32))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches_of_rows)))
    return _untuned(dataset.prefetch(BATCHES_AHEAD))


def _untuned(dataset):
    """Without the thread that tunes a dataset while it is read, and with as many parallel calls as there are cores.

    At an iterator's end that thread is waited for, and now and then it does not notice (TensorFlow 2.21) before its own
    next look, which comes after 10 ms, 20 ms, 40 ms and so on up to a minute: epochs of 112 s took 142.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _readable(split, name, settings, found):
    """Yields the images that can be read, prepared, in order; adds what it sees to `found`, a `Reading`."""

    def prepared(image, turned):
        edges = tf.shape(image)[:2]
        beyond = 1 - tf.reduce_min(edges) / tf.reduce_max(edges)
        return prepare(image, settings.image_size, settings.fit), turned, beyond

    dataset = split.images().map(prepared, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    iterator = iter(_untuned(dataset.prefetch(READ_AHEAD)))
    for index in tqdm(range(len(split)), desc=f"Reading {name} images", unit=" images", disable=None):
        try:
            image, turned, beyond = (value.numpy() for value in next(iterator))
        except tf.errors.OpError as error:  # that element alone: the dataset goes on with the next one
            found.unreadable[index] = reason(error)
            if not isinstance(error, tf.errors.InvalidArgumentError):
                found.passing.append(index)
        else:
            found.turned += int(turned)
            found.unequal += int(beyond > 0)
            found.most = max(found.most, float(beyond))
            yield image


def _named(split, name, settings, unreadable):
    """What cannot be read, as "id: reason"; refused where it is too much."""
    named = tuple(f"{split.ids[index]}: {reason}" for index, reason in unreadable.items())
    received = f"{len(named)} of {len(split)}: {'; '.join(named[:3])}" + ("; ..." if len(named) > 3 else "")
    if len(named) == len(split):
        raise UserError(f"data.source: expected a {name} image that can be read. Received: unreadable {received}")
    share = settings.corrupt_share
    if len(named) > max(share * len(split), FEW if share else 0):
        raise UserError(
            f"data.corrupt_share: expected at most {share:.2%} of the {name} images to be unreadable"
            + (f", or {FEW}" if share else "")
            + f" (raise it, or remove them). Received: {received}"
        )
    return named


def _disk_cache(split, contents, name, settings):
    """The split's images mapped from the disk cache, filled first if need be, and the `Reading` that filled it.

    Kept under what the images are made of, and how they are prepared. One process fills it at a time. What is damaged,
    or of another shape, is written again.
    """
    shape = (len(split), settings.image_size, settings.image_size, 3)
    key = hashlib.sha256(contents.tobytes() + f"{shape} {settings.fit} {VERSION}".encode()).hexdigest()[:16]
    folder = Path(settings.cache_directory)
    images_file, reading_file = folder / f"{name}-{key}.npy", folder / f"{name}-{key}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, wait=True):
            remove_partial(folder)
            try:
                return _mapped(images_file, shape), _kept(reading_file, len(split))
            except Exception:  # not there yet, or damaged: flipped bits raise many kinds
                found = _fill(images_file, reading_file, split, contents, name, settings)
                return _mapped(images_file, shape), found
    except OSError as error:
        raise UserError(
            f"data.cache_directory: expected a folder that can be written. Received: {folder} ({error.strerror})"
        ) from None


def _fill(images_file, reading_file, split, contents, name, settings):
    found, shape = Reading(), (settings.image_size, settings.image_size, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(split), *shape)}
    with replacing(images_file) as beside:
        with beside.open("wb") as file:  # not a map: where the disk is full, writing to one kills the process
            np.lib.format.write_array_header_1_0(file, header)
            for image in _readable(split, name, settings, found):
                file.write(image)
            file.write(bytes(len(found.unreadable) * math.prod(shape)))
        _named(split, name, settings, found.unreadable)
        reading_file.unlink(missing_ok=True)
        if not contents[found.passing].any():  # else it is filled again next time: a failure that may pass is not kept
            write_json(reading_file, asdict(found))
    return found


def _mapped(images_file, shape):
    images = np.load(images_file, mmap_mode="r")
    if images.dtype != np.uint8 or images.shape != shape:
        raise ValueError(f"{images.dtype} {images.shape}")
    return images


def _kept(reading_file, count):
    """The `Reading` of a file; raises `ValueError` for any other JSON."""
    found = checked_json(reading_file.read_bytes(), Reading)
    if not all(0 <= index < count for index in found.unreadable):
        raise ValueError("indices of other images")
    return found
