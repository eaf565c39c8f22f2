"""Images and maps as PNG for the page, and pixels as rectangles."""

import numpy as np
from matplotlib.colors import to_rgb

from mam_keras.report.figures import COLORS, png

LONGEST = 256  # pixels of a picture's longer side
_OPAQUE = 210  # of 255, the highest value of a map


def image(pixels) -> bytes:
    """uint8 (S, S, 3)."""
    return png(pixels, LONGEST)


def heat(values) -> bytes:
    """A map >= 0 in one colour, the more opaque the higher, its highest value alike in every map: (H, W)."""
    highest = max(float(values.max()), np.finfo(np.float32).tiny)
    colour = np.rint(255 * np.array(to_rgb(COLORS[0])))
    pixels = np.empty((*values.shape, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = colour, np.rint(_OPAQUE * values / highest)
    return png(pixels)


def rectangles(inside) -> list[list[float]]:
    """Pixels as rectangles (left, top, right, bottom) in fractions of the image: bool (S, S).

    Equal rows below each other are one, so that a union of boxes is few.
    """
    size, found, open_ = len(inside), [], {}
    for row, pixels in enumerate([*inside, np.zeros(size, bool)]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], pixels.astype(np.int8), [0]])))
        runs = set(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
        for run in open_.keys() - runs:
            found.append([run[0] / size, open_.pop(run) / size, run[1] / size, row / size])
        for run in runs - open_.keys():
            open_[run] = row
    return sorted(found)
