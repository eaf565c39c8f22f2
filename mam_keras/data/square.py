"""How an image fits the prepared square: which part of an edge goes where in it. For images and for what lies on them.

crop     the centre square, its side the shorter edge, its offset rounded down
pad      the whole image, its longer edge the square's side, black beside it
squash   the whole image, both edges the square's side
"""

from typing import Literal

import numpy as np

Fit = Literal["crop", "pad", "squash"]


def along(length, shorter, longer, size, fit):
    """One edge of an image: `taken` pixels from `first` on become `given` pixels of the square from `at` on.

    Args:
        length: of this edge, an integer or an integer tensor, as `shorter` and `longer`, of the image's edges.
        size: side of the square.
        fit: of `Fit`.

    Returns:
        first, taken, at, given.
    """
    if fit == "crop":
        return (length - shorter) // 2, shorter, 0, size
    if fit == "squash":
        return 0, length, 0, size
    given = -(-length * size // longer)  # rounded up, so that it is never 0
    return 0, length, (size - given) // 2, given


def positions(length, edges, size, fit):
    """Where along an edge of the image the centres of the square's pixels are: float (size,), NaN beside the image.

    Args as in `along`; `edges`: the lengths of both.
    """
    first, taken, at, given = along(length, min(edges), max(edges), size, fit)
    found = first + (np.arange(size) + 0.5 - at) * taken / given
    return np.where((found >= first) & (found <= first + taken), found, np.nan)


def nearest_pixels(pixels, size, fit):
    """What lies on an image, prepared as the image is: (height, width) -> of the nearest pixel, (size, size).

    Returns:
        That, and bool (size, size): what is beside the image (`pad`), where the first row or column is repeated.
    """
    y, x = (positions(length, pixels.shape, size, fit) for length in pixels.shape)
    found = pixels[np.ix_(*(np.nan_to_num(each).astype(int) for each in (y, x)))]
    return found, np.isnan(y)[:, None] | np.isnan(x)
