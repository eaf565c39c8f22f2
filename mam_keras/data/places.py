"""Where do attributes show in a face? A file of places, and the boxes that it puts around landmarks.

Landmarks of aligned images hardly move from image to image, so one set of boxes serves all. Knows neither networks nor
maps.
"""

import difflib
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from mam_keras import settings
from mam_keras.data import composed
from mam_keras.data.square import positions
from mam_keras.errors import UserError
from mam_keras.settings import Count, Section, Text

CELEBA = Path(__file__).with_name("celeba_regions.yaml")

Number = Annotated[float, Field(allow_inf_nan=False)]


class Box(Section):
    """The rectangle around landmarks, grown to the left, up, to the right and down, in pixels."""

    around: Annotated[tuple[Text, ...], Field(min_length=1)]
    grow: tuple[Number, Number, Number, Number] = (0.0, 0.0, 0.0, 0.0)


class Place(Section):
    """Where one attribute is."""

    parts: tuple[Text, ...] = ()  # classes of part masks
    boxes: tuple[Box, ...] = ()


class Places(Section):
    """Where attributes are, and what that is measured in; see `celeba_regions.yaml`."""

    frame: tuple[Count, Count]  # width and height of the images of landmarks and boxes
    landmarks: Annotated[dict[Text, tuple[Number, Number]], Field(default_factory=dict)]  # mean x, y
    attributes: Annotated[dict[Text, Place], Field(min_length=1)]


def read(path):
    """The `Places` of a YAML file, of CelebA's where `path` is None. Raises `UserError` naming file and key."""
    path = path or CELEBA
    found = settings.check(settings.read(path), str(path), Places)
    for name, place in found.attributes.items():
        for number, box in enumerate(place.boxes):
            key = f"attributes.{name}.boxes.{number}.around"
            expect_known(path, key, box.around, found.landmarks, "landmarks of the file")
    return found.model_copy(update={"attributes": {composed(name): at for name, at in found.attributes.items()}})


def aligned(data, path):
    """Whether a data section's images are aligned as a file of places says.

    CelebA's are, others where the user gives a file (`path` is not None), drawn faces never.
    """
    return data.is_celeba or (path is not None and not data.is_drawn)


def expect_known(path, key, names, known, what):
    """Raises `UserError` for a name that is not among the known ones."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"{path}: {key}: expected {what}{hint}. Received: {name!r}")


def boxes(places, data, attributes, ids):
    """The boxes of K attributes in the prepared images: bool (K, S, S), none where the attribute has none.

    Args:
        places: `Places`.
        data: a data section of `config`; landmarks of its own stand in the place of the file's.
        ids: of the images whose mean landmarks are wanted, str (n,).
    """
    known = places.landmarks | data.landmarks(ids)
    return np.stack(
        [
            pixels(places.attributes.get(name, Place()).boxes, known, places.frame, data.image_size, data.fit)
            for name in attributes
        ]
    )


def pixels(boxes, landmarks, frame, size, fit="crop"):
    """Pixels of the prepared image whose centre is in one of the boxes: bool (size, size).

    Args:
        boxes: of `Box`, in pixels of the frame.
        landmarks: {name: (x, y)}, likewise.
        frame: width and height of the image that is prepared.
        fit: how, of `square.Fit`.
    """
    x, y = (positions(length, frame, size, fit) for length in frame)
    inside = np.zeros((size, size), bool)
    for box in boxes:
        points = np.array([landmarks[name] for name in box.around])
        (left, top), (right, bottom) = points.min(axis=0) - box.grow[:2], points.max(axis=0) + box.grow[2:]
        inside |= ((top <= y) & (y <= bottom))[:, None] & (left <= x) & (x <= right)
    return inside
