"""What training does to an image before the network sees it, and where its attributes are afterwards.

Everything random follows from (seed, epoch, index of the image), so that an epoch can be drawn again exactly, whatever
the batches are. Knows arrays; neither files nor labels.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

GREY = 128  # of what cutout covers


@dataclass(frozen=True)
class Augmentation:
    """How training images are changed; as `config.Data` has it.

    Attributes:
        flip: mirror half of them.
        shift: move each by up to so many pixels each way, its edge repeated.
        cutout: cover a grey square whose side is this share of the image's, anywhere within it (DeVries & Taylor
            2017); 0 covers nothing.
        noise: add Gaussian noise, independent for every pixel and colour, whose sigma is drawn for each image
            uniformly from [0, noise], of values in [0, 1]; then clip, and round to whole grey levels.
        mixup: mix each with another one, changed in its own way, and the labels with its (Zhang et al. 2018), its own
            share drawn from Beta(mixup, mixup); a label is not known where either is not. 0 mixes nothing.
        region_only: show of so large a share of them nothing but regions (`RegionOnly`).
    """

    flip: bool = False
    shift: int = 0
    cutout: float = 0.0
    noise: float = 0.0
    mixup: float = 0.0
    region_only: float = 0.0

    @classmethod
    def of(cls, settings):
        """As a data section of the configuration says."""
        return cls(settings.flip, settings.shift, settings.cutout, settings.noise, settings.mixup, settings.region_only)

    def draw(self, count, size, random):
        """What happens to each of `count` images of side `size`: {name: array with one row per image}."""
        covered = round(self.cutout * size)
        drawn = {
            "flips": random.integers(0, 2 if self.flip else 1, count),
            "shifts": random.integers(-self.shift, self.shift + 1, (count, 2)),
            "corners": random.integers(0, size - covered + 1, (count, 2)),
            "sigmas": random.uniform(0, self.noise, count),
            "seeds": random.integers(0, 2**63 - 1, count),  # of the noise
        }
        if self.mixup:
            drawn["shares"] = random.beta(self.mixup, self.mixup, count).astype(np.float32)
        if self.region_only:
            drawn["alone"] = random.random(count) < self.region_only
        return drawn

    def apply(self, images, drawn):
        """Changes a batch, uint8 tensor (B, S, S, 3), by its rows of `draw`."""
        if self.flip or self.shift:
            images = move(images, drawn["flips"], drawn["shifts"])
        if self.cutout:
            size = images.shape[1]
            distance = tf.range(size, dtype=tf.int64) - drawn["corners"][..., None]  # (B, 2, S): rows and columns
            inside = (distance >= 0) & (distance < round(self.cutout * size))
            covered = (inside[:, 0, :, None] & inside[:, 1, None, :])[..., None]
            images = tf.where(covered, tf.constant(GREY, tf.uint8), images)
        if self.noise:
            shape = images.shape
            images = tf.numpy_function(_noisy, [images, drawn["sigmas"], drawn["seeds"]], tf.uint8, stateful=False)
            images.set_shape(shape)
        return images


def mixed(images, labels, others, their_labels, shares):
    """Batches of images uint8 (B, S, S, 3) and labels (B, K), of which `shares` (B,) remain, with others."""
    own = shares[:, None, None, None]
    images = own * tf.cast(images, tf.float32) + (1 - own) * tf.cast(others, tf.float32)
    labels = shares[:, None] * labels + (1 - shares[:, None]) * their_labels
    return tf.cast(tf.round(images), tf.uint8), labels


class RegionOnly:
    """Shows nothing of an image but the regions of some attributes, as the baselines of 1905.00593 are trained.

    The rest has the image's mean colour. Our reading for several attributes: their regions are shown together, and
    labels of all others, which such an image does not show, are not known. An image without a region stays whole.

    Args:
        region: bool (S, S), of all attributes that are shown, in every image before it is mirrored and moved.
        shown: bool (K,), which attributes these are.
        own: {index of an image: bool (S, S) as `np.packbits` gives it}, in its place.
    """

    def __init__(self, region, shown, own=None):
        self._region, self._shown, self._own = np.asarray(region, bool), np.asarray(shown, bool), own or {}

    def __call__(self, images, labels, indices, alone):
        """Images uint8 (B, S, S, 3) and labels float32 (B, K) as they become; indices (B,), bool `alone` (B,) which."""
        regions = tf.constant(self._region[None])
        if self._own:
            regions = tf.numpy_function(self._of, [indices], tf.bool, stateful=False)
            regions = tf.ensure_shape(regions, (None, *self._region.shape))
        alone &= tf.reduce_any(regions, axis=(1, 2))
        mean = tf.round(tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2), keepdims=True))
        hidden = (alone[:, None, None] & ~regions)[..., None]
        images = tf.where(hidden, tf.cast(mean, tf.uint8), images)
        return images, tf.where(alone[:, None] & ~self._shown, np.float32(np.nan), labels)

    def _of(self, indices):
        size = self._region.shape

        def of(index):
            bits = self._own.get(int(index))
            return self._region if bits is None else np.unpackbits(bits, count=self._region.size).reshape(size)

        return np.array([of(index) for index in indices], bool)


class Blocks:
    """Where the attributes are in images that have been mirrored and moved, in blocks of pixels.

    All that can happen to the one layout is worked out beforehand: a look-up per image is all that training pays. Of
    images with regions of their own, bits are kept, of these regions alone.

    Args:
        regions: bool (S, S, K), the same in every image before.
        grid: (H, W), into blocks of as equal sides as whole pixels allow.
        augmentation: `Augmentation`.
        own: {(index of an image, k): bool (S, S) as `np.packbits` gives it}, in the place of the layout's.
    """

    def __init__(self, regions, grid, augmentation, own=None):
        self._shift, self._size = augmentation.shift, len(regions)
        self._parts = [_blocks(self._size, length) for length in grid]
        self._own = {}
        for (index, k), region in (own or {}).items():
            self._own.setdefault(index, []).append((k, region))
        moves = np.arange(-self._shift, self._shift + 1)
        table = []
        for flip in range(2 if augmentation.flip else 1):
            shifts = np.stack(np.meshgrid(moves, moves, indexing="ij"), axis=-1).reshape(-1, 2)
            for shift in shifts:
                moved = move(regions[None], np.array([flip]), shift[None])[0]
                table.append(self._shares(tf.transpose(moved, (2, 0, 1))).numpy().transpose(1, 2, 0))
        self._table = np.float32(table)

    def __call__(self, flips, shifts, indices):
        """The share of each block that is region: flips (B,), shifts (B, 2), indices (B,) -> float32 (B, H, W, K)."""
        moves = 2 * self._shift + 1
        found = tf.gather(
            self._table, (flips * moves + shifts[:, 0] + self._shift) * moves + shifts[:, 1] + self._shift
        )
        if not self._own:
            return found
        places, regions = tf.numpy_function(self._of, [indices], (tf.int64, tf.bool), stateful=False)
        places, regions = tf.ensure_shape(places, (None, 2)), tf.ensure_shape(regions, (None, self._size, self._size))
        moved = move(regions, tf.gather(flips, places[:, 0]), tf.gather(shifts, places[:, 0]))
        by_target = tf.tensor_scatter_nd_update(tf.transpose(found, (0, 3, 1, 2)), places, self._shares(moved))
        return tf.transpose(by_target, (0, 2, 3, 1))

    def _of(self, indices):
        """Regions of a batch's images' own: (place in the batch, k) int (m, 2), bool (m, S, S)."""
        found = [((place, k), bits) for place, i in enumerate(indices) for k, bits in self._own.get(int(i), ())]
        bits = np.array([bits for _, bits in found], np.uint8).reshape(len(found), -(-(self._size**2) // 8))
        regions = np.unpackbits(bits, axis=1, count=self._size**2).astype(bool)
        places = np.array([place for place, _ in found], np.int64).reshape(-1, 2)
        return places, regions.reshape(-1, self._size, self._size)

    def _shares(self, regions):
        """(m, S, S) -> float32 (m, H, W)."""
        down, across = self._parts
        counts = tf.einsum("ps,mst,qt->mpq", down, tf.cast(regions, tf.float32), across)
        return counts / (down.sum(axis=1)[:, None] * across.sum(axis=1))


def _blocks(size, length):
    """Which of so many blocks each pixel along a side belongs to: float32 (length, size), 1 where it does."""
    return np.float32(np.arange(size) * length // size == np.arange(length)[:, None])


def move(images, flips, shifts):
    """Mirrors and moves a batch by two gathers: (B, S, S, ...), flips (B,) of 0 or 1, shifts (B, 2) in pixels."""
    last = images.shape[1] - 1
    rows = tf.clip_by_value(tf.range(last + 1, dtype=tf.int64) + shifts[:, :1], 0, last)
    columns = tf.clip_by_value(tf.range(last + 1, dtype=tf.int64) + shifts[:, 1:], 0, last)
    columns = tf.where(flips[:, None] == 1, last - columns, columns)
    return tf.gather(tf.gather(images, rows, batch_dims=1, axis=1), columns, batch_dims=1, axis=2)


def _noisy(images, sigmas, seeds):
    """uint8 (B, S, S, 3), sigmas (B,), seeds int (B,) -> uint8 (B, S, S, 3)."""
    noisy = np.empty_like(images)
    for place, (image, sigma, seed) in enumerate(zip(images, sigmas, seeds, strict=True)):
        noise = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
        noisy[place] = np.rint(np.clip(image + np.float32(255 * sigma) * noise, 0, 255))
    return noisy
