"""A map over the picture that it is of. Knows neither networks nor files."""

import numpy as np
from PIL import Image

FOR, AGAINST = (59, 125, 216), (217, 119, 43)  # as on the report's page
_COLOUR, _OPACITY = 0.3, 0.8  # how much of the picture's colour stays; of a cell at the map's highest value


def overlay(picture: np.ndarray, values: np.ndarray, size: int = 512) -> Image.Image:
    """The picture, paler, under a cell for each position of the map.

    A cell is blue where the map speaks for the target and orange where it speaks against it, and as opaque as its value
    is large beside the largest of this map; so a picture says where, and never how much beside another picture.

    Args:
        picture: uint8 (S, S, 3).
        values: (H, W), of either sign.
        size: side of what is drawn, in pixels.
    """
    shown = Image.fromarray(np.asarray(picture)).resize((size, size), Image.Resampling.BICUBIC)
    shown = Image.blend(shown.convert("L").convert("RGB"), shown, _COLOUR)
    values = np.asarray(values, np.float32)
    strength = np.abs(values) / max(float(np.abs(values).max()), np.finfo(np.float32).tiny)
    colours = np.where(values[..., None] < 0, AGAINST, FOR)
    cells = np.dstack([colours, np.rint(255 * _OPACITY * strength)]).astype(np.uint8)
    layer = Image.fromarray(cells).resize((size, size), Image.Resampling.NEAREST)
    return Image.alpha_composite(shown.convert("RGBA"), layer).convert("RGB")
