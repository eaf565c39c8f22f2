"""What every source of images has in common: its settings, and what it hands on, splits of labelled images.

Knows no file format and no training.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from mam_keras.data.square import Fit
from mam_keras.settings import Count, NonNegative, Section, Share, Text
from mam_keras.statistics import ratio

SPLITS = ("train", "validation", "test")
FEW = 5  # unreadable images of a split that stop nothing, whatever share of it they are


class Data(Section):
    """The settings that every source has; its module's `Settings` adds its own, `source` first among them."""

    TITLE: ClassVar[str]  # how a page calls the source
    SHOWS: ClassVar[str] = "a picture"  # what every image is, as a page calls it
    PLACES: ClassVar[tuple[str, ...]] = ("cache", "cache_directory")  # where things are, which changes nothing trained
    NEEDS_TENSORFLOW: ClassVar[bool] = False  # to read labels; of all others mistakes are told before it is imported

    image_size: Annotated[int, Field(ge=8, le=2048)] = 64  # side of the prepared square, in pixels
    fit: Fit = "crop"  # the centre square; or pad: all, with black beside it; or squash: all, whatever its shape
    attributes: tuple[Text, ...] | None = None  # which, in which order; all of the source's when left out
    limit: Count | None = None  # at most this many images of each split, the first ones
    cache: Literal["memory", "disk"] = "memory"  # where prepared images (uint8) wait for the next epoch
    cache_directory: Text = "cache"  # for `cache: disk`
    corrupt_share: Share = 0.01  # of a split; more unreadable images than that, and than 5, are fatal (0: one is)
    flip: bool = True  # mirror half of the training images
    shift: Annotated[int, Field(ge=0)] = 0  # move training images by up to so many pixels each way
    cutout: Annotated[float, Field(ge=0, le=0.9)] = 0.0  # cover a grey square of training images, of this share of S
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0  # of training images: each one's sigma is drawn from [0, noise]
    region_only: Share = 0.0  # of training images show the regions of loss.directed alone (augmentation.RegionOnly)
    mixup: NonNegative = 0.0  # training images mixed with another, and their labels: shares by Beta(mixup, mixup)
    train_on_validation: bool = False  # as the papers did: then nothing can be chosen on validation

    @property
    def is_celeba(self) -> bool:
        """Whether the images are CelebA's own, aligned as its landmarks say."""
        return False

    def landmarks(self, ids: np.ndarray) -> dict[str, tuple[float, float]]:
        """Where the source itself says that each landmark is on average over images, (x, y) in pixels."""
        return {}

    @property
    def is_drawn(self) -> bool:
        """Whether an image can be drawn again with one attribute changed and nothing else."""
        return False

    def content(self) -> dict:
        """The settings that decide which images and labels there are: all but `PLACES`, as plain values."""
        return self.model_dump(mode="json", exclude=set(self.PLACES))

    def require_possible(self) -> None:
        """Raises `ValueError`, opening with the key to change, for settings that do not go together."""
        if self.shift >= self.image_size // 2:
            raise ValueError(
                f"data.shift: expected less than half of data.image_size ({self.image_size}). Received: {self.shift}"
            )


def digests(contents: Iterable[bytes]) -> np.ndarray:
    """uint64 (n,), a hash of each content."""
    found = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(found, np.uint64)


def file_digests(paths: Iterable) -> np.ndarray:
    """`digests` of files, uint64 (n,), 0 of one that cannot be read.

    Every byte is read: names, sizes and times are equal where a data set was unpacked, copied or replaced. 16,000 files
    of CelebA take 0.3 s.
    """
    found = []
    for path in paths:
        try:
            with open(path, "rb") as file:  # noqa: PTH123 (pathlib is slower, on 200,000 files)
                found.append(digests([file.read()])[0])
        except OSError:
            found.append(0)
    return np.array(found, np.uint64)


class Targets(NamedTuple):
    """What is asked about every image.

    Attributes:
        names: K of them, as they are displayed.
        exclusive: whether exactly one of them holds (classes: one softmax), or each by itself (K sigmoids).
    """

    names: tuple[str, ...]
    exclusive: bool = False


@dataclass(frozen=True)
class Split:
    """One split of a source.

    Attributes:
        ids: str (n,), unique; what an image is called in messages, predictions and reports.
        labels: bool (n, K), in the order of `Source.targets`; False where not known.
        images: called without arguments, gives a `tf.data.Dataset` of n elements in the order of `ids`: an image as
            it is meant to be seen, uint8 (height, width, 3), and bool, whether its orientation tag had it turned. An
            element that cannot be read raises when it is drawn, and the dataset goes on with the next one.
        groups: int (n,) or None; images of one group (one person) are not independent.
        contents: called without arguments, gives a digest of what each image is read from, uint64 (n,), 0 where there
            is nothing to read: its file's bytes, or the settings it is drawn from. Neither names, places nor times
            count; the disk cache is kept under it.
        known: bool (n, K), whether a label is; all are where it is left out. A label that is not known is in no loss
            and in no figure.
    """

    ids: np.ndarray
    labels: np.ndarray
    images: Callable
    groups: np.ndarray | None
    contents: Callable
    known: np.ndarray | None = None

    def __post_init__(self):
        if self.known is None:
            object.__setattr__(self, "known", np.ones(self.labels.shape, bool))
        if self.labels.dtype != bool or self.labels.ndim != 2 or len(self.labels) != len(self.ids):
            raise ValueError(
                f"`labels` must be bool (n, K) for n = {len(self.ids)} ids. "
                f"Received: {self.labels.dtype} {self.labels.shape}"
            )
        if self.known.dtype != bool or self.known.shape != self.labels.shape or (self.labels & ~self.known).any():
            raise ValueError("`known` must be bool of the shape of `labels`, True wherever these are.")

    def __len__(self):
        return len(self.ids)

    @property
    def rates(self) -> np.ndarray:
        """float (K,), the share of positive images among those whose label is known; NaN where none is."""
        return ratio(self.labels.sum(axis=0), self.known.sum(axis=0))


@dataclass(frozen=True)
class Source:
    """What is asked (K targets) and the splits, of which "train" is always there and not empty."""

    targets: Targets
    splits: dict[str, Split]
    notes: tuple[str, ...] = field(default=())  # what a user should know of what was read, one line each

    @property
    def attributes(self) -> tuple[str, ...]:
        """The targets' names."""
        return self.targets.names
