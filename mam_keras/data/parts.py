"""Images whose every pixel is marked with the part of the face that it shows (CelebAMask-HQ, Lee et al. 2020).

img_align_celeba/*.jpg, list_attr_celeba.txt   as `celeba` reads them; no partition is needed
masks/*.png                                    one per image, of its size: the number of each pixel's class
classes.json                                   {"classes": [names, from number 0 on], "outside": number or null},
                                               outside marking pixels that nobody has annotated
"""

import json
from pathlib import Path

import numpy as np
import pydantic
from PIL import Image

from mam_keras.data import some
from mam_keras.data.celeba import load_undivided
from mam_keras.data.square import Fit, nearest_pixels
from mam_keras.errors import UserError
from mam_keras.settings import Section, Text


class _Classes(Section):
    classes: list[Text]
    outside: int | None = None


class Parts:
    """The images of a folder and their parts.

    Attributes:
        attributes: the names, in the order of the split's labels.
        split: all images, as a `source.Split`.
        classes: the parts' names.
        outside: the number of pixels that nobody has annotated, or None.

    Raises `UserError` where a list is missing or malformed, or an image has no mask.
    """

    def __init__(self, directory: str | Path):
        directory = Path(directory)
        self._images, self.attributes, self.split = load_undivided(directory, "analysis.parts")
        self._masks = directory / "masks"
        path = directory / "classes.json"
        try:
            found = _Classes.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else str(error)
            raise UserError(f'{path}: expected {{"classes": [names], "outside": number}}. Received: {reason}') from None
        self.classes, self.outside = tuple(found.classes), found.outside
        missing = [name for name in self.split.ids.tolist() if not self._path(name).exists()]
        if missing:
            raise UserError(f"{self._masks}: expected a mask for each image. Received: none for {some(missing)}")

    def mask(self, identifier: str, size: int, fit: Fit = "crop") -> np.ndarray:
        """The class of each pixel of an image, prepared as the image is: int (size, size), of the nearest pixel.

        Beside the image (`pad`) it is `outside`, or -1 where there is no such number.

        Raises `UserError` for a file that is no mask of the image.
        """
        path = self._path(identifier)
        try:
            with Image.open(path) as image:
                classes = np.asarray(image)
            with Image.open(self._images / identifier) as image:
                width, height = image.size
        except OSError:
            raise UserError(f"{path}: expected a mask beside an image. Received: one that cannot be read") from None
        if classes.shape != (height, width):
            raise UserError(
                f"{path}: expected one number per pixel of the image, {height} x {width}. "
                f"Received: {' x '.join(map(str, classes.shape))}"
            )
        found, beside = nearest_pixels(classes, size, fit)
        return np.where(beside, -1 if self.outside is None else self.outside, found.astype(int))

    def _path(self, identifier):
        return (self._masks / identifier).with_suffix(".png")
