"""Which pixels does a position of a map stand for? Blocks of pixels, their shares in a region, and their order.

A map of H x W positions parts an image into H x W blocks as equal as whole pixels allow. Knows neither networks nor
attributes.
"""

import numpy as np

WIDTH = 0.15  # of the blob: its standard deviation, in sides of the image


def block_of(size, length):
    """Which of so many blocks each pixel along a side belongs to: int (size,)."""
    return np.arange(size) * length // size


def cover(pixels, grid):
    """The share of each block's pixels that are set: bool (S, S) -> float (H, W)."""
    shares = pixels.astype(float)
    for axis, length in enumerate(grid):
        block = block_of(pixels.shape[axis], length)
        sums = np.add.reduceat(shares, np.searchsorted(block, np.arange(length)), axis=axis)
        shares = sums / np.expand_dims(np.bincount(block), 1 - axis)
    return shares


def blob(grid):
    """A Gaussian in the middle, its standard deviation `WIDTH` of the image's side: float (H, W)."""
    y, x = ((np.arange(length) + 0.5) / length - 0.5 for length in grid)
    return np.round(np.exp(-(y[:, None] ** 2 + x**2) / (2 * WIDTH**2)), 9)  # what is equally far is equally high


def nearness(grid):
    """How near the positions are to the middle: float (H W,), the nearest highest."""
    y, x = (np.arange(length) - (length - 1) / 2 for length in grid)
    return -(y[:, None] ** 2 + x**2).ravel()


def ranks(values):
    """How many of the last axis are higher, or as high and before it: (..., P) -> int (..., P), 0 for the highest."""
    return np.argsort(np.argsort(-values, axis=-1, kind="stable"), axis=-1, kind="stable")


def highest(values, count):
    """The `count` highest of the last axis, of equal ones the first: (..., P) -> bool (..., P)."""
    return ranks(values) < count
