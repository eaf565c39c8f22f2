"""Images from a caller's own hand, a file's path or an array: prepared as those that a network was trained on.

What is neither is refused in one line that says what to do. Knows no network.
"""

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from mam_keras.data.formats import FORMATS
from mam_keras.data.images import prepare, read_files, reason
from mam_keras.data.square import Fit
from mam_keras.errors import UserError

Given: TypeAlias = str | os.PathLike[str] | np.ndarray
_BEYOND = 1 / 510  # of [0, 1]: half a grey level, which rounding takes back, as after a resize


def prepared(image: Given, size: int, fit: Fit = "crop", name: str = "image") -> np.ndarray:
    """An image as `images.prepare` makes every other one: uint8 (size, size, 3).

    Args:
        image: a file of `formats.FORMATS` (its orientation tag is applied), or an array (height, width, 3), uint8 or
            float in [0, 1], which is rounded to whole grey levels. Grey ones, (height, width) or (height, width, 1),
            are repeated over the channels; a fourth channel, transparency, is dropped.
        name: what an array is called in messages.

    Raises `UserError` for everything else.
    """
    if not isinstance(image, (str, os.PathLike)):
        return prepare(tf.constant(_levels(image, name)), size, fit).numpy()
    try:
        return from_file(image, size, fit)
    except ValueError as why:
        raise UserError(f"{image}: expected an image ({', '.join(FORMATS)}). Received: {why}") from None


def from_file(path: str | os.PathLike[str], size: int, fit: Fit = "crop") -> np.ndarray:
    """`prepared` of a file. Raises `ValueError` that says why in a few words, where it cannot be read."""
    try:
        Path(path).open("rb").close()
        image, _ = next(iter(read_files([os.fspath(path)])))  # a dataset, as in training; by itself it would chatter
    except OSError as error:
        raise ValueError(error.strerror) from None
    except tf.errors.OpError as error:
        raise ValueError(reason(error)) from None
    return prepare(image, size, fit).numpy()


def _levels(image, name):
    """An array of whole grey levels: uint8 (height, width, 3)."""
    is_array = isinstance(image, np.ndarray)
    kinds = is_array and (image.dtype == np.uint8 or np.issubdtype(image.dtype, np.floating))
    shaped = is_array and (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))) and image.size
    if not kinds or not shaped:
        received = f"an array {image.shape} of {image.dtype}" if is_array else type(image).__name__
        raise UserError(
            f"{name}: expected a file's path, or a NumPy array (height, width, 3) of uint8 or of floats in [0, 1]. "
            f"Received: {received}"
        )
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        if not (low >= -_BEYOND and high <= 1 + _BEYOND):  # NaN is refused, too
            hint = ""
            if low >= 0 and 1 < high <= 255:
                hint = ' (divide by 255, or pass it as .astype("uint8"))'
            elif low >= -1 - _BEYOND and high <= 1 + _BEYOND:
                hint = " (add 1 and divide by 2)"
            raise UserError(f"{name}: expected floats in [0, 1]{hint}. Received: {low:g} to {high:g}")
        image = np.rint(255 * np.clip(image.astype(np.float64), 0, 1)).astype(np.uint8)
    image = image[..., None] if image.ndim == 2 else image
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., :3]
