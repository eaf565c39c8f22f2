"""Shapes in a prepared image: which pixels have their centres in them? Knows neither attributes nor files."""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mam_keras.data.square import positions
from mam_keras.settings import Section, Share, Text

Number = Annotated[float, Field(allow_inf_nan=False)]


class Box(Section):
    """The rectangle around landmarks, grown to the left, up, to the right and down, in pixels."""

    around: Annotated[tuple[Text, ...], Field(min_length=1)]
    grow: tuple[Number, Number, Number, Number] = (0.0, 0.0, 0.0, 0.0)


def _with_an_inside(edges):
    left, top, right, bottom = edges
    if left >= right or top >= bottom:
        raise PydanticCustomError("rectangle", "left, top, right, bottom with left < right and top < bottom")
    return edges


def _with_an_area(points):
    if len(points) < 3:
        raise PydanticCustomError("polygon", "at least 3 points")
    return points


Rectangle = Annotated[tuple[Share, Share, Share, Share], AfterValidator(_with_an_inside)]
Polygon = Annotated[tuple[tuple[Share, Share], ...], AfterValidator(_with_an_area)]


class Shapes(Section):
    """Some rectangles (left, top, right, bottom) and polygons of points (x, y), in fractions of the prepared image."""

    rectangles: tuple[Rectangle, ...] = ()
    polygons: tuple[Polygon, ...] = ()


def inside(shapes: Shapes, size: int) -> np.ndarray:
    """Pixels whose centre is in one of the shapes: bool (size, size).

    In a polygon is what a ray to the left leaves through an odd number of edges, whichever way round its points go.
    """
    centres = (np.arange(size) + 0.5) / size
    found = np.zeros((size, size), bool)
    for left, top, right, bottom in shapes.rectangles:
        found |= ((top <= centres) & (centres <= bottom))[:, None] & (left <= centres) & (centres <= right)
    for points in shapes.polygons:
        crossed = np.zeros((size, size), bool)
        for (x, y), (next_x, next_y) in zip(points, points[1:] + points[:1], strict=True):
            rows = np.flatnonzero((y <= centres) != (next_y <= centres))
            if len(rows):
                edge = x + (centres[rows] - y) / (next_y - y) * (next_x - x)
                crossed[rows] ^= edge[:, None] <= centres
        found |= crossed
    return found


def pixels(boxes, landmarks, frame, size, fit="crop"):
    """Pixels of the prepared image whose centre is in one of the boxes: bool (size, size).

    Args:
        boxes: of `Box`, in pixels of the frame.
        landmarks: {name: (x, y)}, likewise.
        frame: width and height of the image that is prepared.
        fit: how, of `square.Fit`.
    """
    x, y = (positions(length, frame, size, fit) for length in frame)
    found = np.zeros((size, size), bool)
    for box in boxes:
        points = np.array([landmarks[name] for name in box.around])
        (left, top), (right, bottom) = points.min(axis=0) - box.grow[:2], points.max(axis=0) + box.grow[2:]
        found |= ((top <= y) & (y <= bottom))[:, None] & (left <= x) & (x <= right)
    return found
