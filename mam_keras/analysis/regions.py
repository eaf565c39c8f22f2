"""Where are the attributes in the prepared images? Three answers, of which a run may have several.

"exact" for drawn faces: the pixels that change when the attribute alone is toggled. "parts": pixels of the part masks'
classes that a file of `Places` names. "boxes": around landmarks that hardly move from image to image. Knows neither
networks nor maps.
"""

import difflib
import functools
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from mam_keras import config as configuration
from mam_keras.analysis.result import Unavailable
from mam_keras.config import Count, Section, Text
from mam_keras.data import celeba
from mam_keras.data.parts import Parts
from mam_keras.errors import UserError

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


def settings(config):
    """What decides the regions besides the data: the folder of part masks, and the file of places where it is read.

    Raises `UserError` for a file of places that is not one.
    """
    used = config.analysis.parts is not None or _has_boxes(config)
    return {"parts": config.analysis.parts, "places": places(config).model_dump(mode="json") if used else None}


def places(config):
    """The `Places` of `analysis.regions`, or of CelebA. Raises `UserError` naming file and key."""
    path = config.analysis.regions or CELEBA
    found = configuration.check(configuration.read(path), str(path), Places)
    for name, place in found.attributes.items():
        for number, box in enumerate(place.boxes):
            _expect(
                path, f"attributes.{name}.boxes.{number}.around", box.around, found.landmarks, "landmarks of the file"
            )
    return found


def region_sets(run):
    """The regions that a run can be measured against.

    Each has `name`; `images`, a `pipeline.Prepared` with labels in the order of the run's attributes; `region(row, k)`,
    bool (S, S), the pixels of attribute k on an image where it is present, none where that is not known; and
    `counted(row)`, bool (S, S), the pixels that count at all.

    Raises `Unavailable` where there are none, `UserError` for files that cannot be read.
    """
    config, sets = run.config, []
    images = run.images(config.analysis.split)
    if images is not None and config.data.source == "synthetic_faces":
        sets.append(Exact(run, images))
    if config.analysis.parts is not None:
        sets.append(PartMasks(run, places(config)))
    if images is not None and _has_boxes(config):
        sets.append(Boxes(run, images, places(config)))
    if not sets and images is None:
        raise Unavailable(f"the data have no {config.analysis.split} split")
    if not sets:
        raise Unavailable(
            "nothing says where the attributes are in these images: give a file of places (analysis.regions) or a "
            "folder of part masks (analysis.parts)"
        )
    return sets


class Exact:
    """Of drawn faces: the pixels that change when the attribute alone is toggled."""

    name = "exact"

    def __init__(self, run, images):
        from mam_keras.data import synthetic_faces

        self.images, self._attributes = images, run.attributes
        self._scenes = synthetic_faces.Scenes(run.config.data)

    def region(self, row, k):
        toggled = self._scenes.toggled(self.images.ids[row], self._attributes[k])
        return np.any(self.images.images[row] != toggled, axis=-1)

    def counted(self, row):
        return np.ones(self.images.images.shape[1:3], bool)


class PartMasks:
    """Of images with part masks, a data set of its own: the pixels of the attribute's classes, as far as annotated."""

    name = "parts"

    def __init__(self, run, where):
        from mam_keras.data import pipeline

        self._parts = Parts(run.config.analysis.parts)
        read = pipeline.read(self._parts.split, self.name, run.config.data)
        labels = np.zeros((len(read), len(run.attributes)), bool)
        for k, name in enumerate(run.attributes):
            if name in self._parts.attributes:
                labels[:, k] = read.labels[:, self._parts.attributes.index(name)]
        self.images = pipeline.Prepared(read.images, read.ids, labels, read.groups, read.unreadable)
        path, self._classes = run.config.analysis.regions or CELEBA, []
        for name in run.attributes:
            parts, known = where.attributes.get(name, Place()).parts, self._parts.classes
            _expect(path, f"attributes.{name}.parts", parts, known, f"classes of {run.config.analysis.parts}")
            self._classes.append([known.index(part) for part in parts])

    def region(self, row, k):
        return np.isin(self._mask(row), self._classes[k])

    def counted(self, row):
        return self._mask(row) != self._parts.outside

    @functools.lru_cache(maxsize=1)  # noqa: B019 (rows are asked for one after the other)
    def _mask(self, row):
        return self._parts.mask(self.images.ids[row], self.images.images.shape[1])


class Boxes:
    """Of images that are all aligned: boxes around the landmarks, the same on every image."""

    name = "boxes"

    def __init__(self, run, images, where):
        self.images = images
        known = dict(where.landmarks)
        if run.config.data.source == "celeba":
            known |= celeba.mean_landmarks(Path(run.config.data.directory), images.ids)
        self._regions = [
            pixels(where.attributes.get(name, Place()).boxes, known, where.frame, images.images.shape[1])
            for name in run.attributes
        ]

    def region(self, row, k):
        return self._regions[k]

    def counted(self, row):
        return np.ones(self.images.images.shape[1:3], bool)


def pixels(boxes, landmarks, frame, size):
    """Pixels of the prepared image whose centre is in one of the boxes: bool (size, size).

    Args:
        boxes: of `Box`, in pixels of the frame.
        landmarks: {name: (x, y)}, likewise.
        frame: width and height of the image whose centre square is prepared.
    """
    side = min(frame)
    x, y = ((length - side) // 2 + (np.arange(size) + 0.5) * side / size for length in frame)
    inside = np.zeros((size, size), bool)
    for box in boxes:
        points = np.array([landmarks[name] for name in box.around])
        (left, top), (right, bottom) = points.min(axis=0) - box.grow[:2], points.max(axis=0) + box.grow[2:]
        inside |= ((top <= y) & (y <= bottom))[:, None] & (left <= x) & (x <= right)
    return inside


def _has_boxes(config):
    """Whether the images are aligned as the file of places says: CelebA's are, others where the user gives a file."""
    data = config.data
    aligned = data.source == "celeba" or (data.source == "tfds" and data.builder == "celeb_a")
    return aligned or (config.analysis.regions is not None and data.source != "synthetic_faces")


def _expect(path, key, names, known, what):
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"{path}: {key}: expected {what}{hint}. Received: {name!r}")
