"""What every source of images hands on: splits of labelled images. Knows no file format and no training."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """One split of a source.

    Attributes:
        ids: str (n,), unique; what an image is called in messages, predictions and reports.
        labels: bool (n, K), in the order of `Source.attributes`.
        images: called without arguments, gives a `tf.data.Dataset` of n elements in the order of `ids`, each one
            image, uint8 (height, width, 3). An element that cannot be read raises when it is drawn, and the
            dataset goes on with the next one.
        groups: int (n,) or None; images of one group (one person) are not independent.
        fingerprint: a string that changes whenever the images do (names, sizes and times of files, or the settings
            they are drawn from); the disk cache is kept under it.
    """

    ids: np.ndarray
    labels: np.ndarray
    images: Callable
    groups: np.ndarray | None
    fingerprint: str

    def __post_init__(self):
        if self.labels.dtype != bool or self.labels.ndim != 2 or len(self.labels) != len(self.ids):
            raise ValueError(
                f"`labels` must be bool (n, K) for n = {len(self.ids)} ids. "
                f"Received: {self.labels.dtype} {self.labels.shape}"
            )

    def __len__(self):
        return len(self.ids)


@dataclass(frozen=True)
class Source:
    """Attributes' names (display text, K of them) and the splits, of which "train" is always there and not empty."""

    attributes: tuple[str, ...]
    splits: dict[str, Split]
    notes: tuple[str, ...] = field(default=())  # what a user should know of what was read, one line each
