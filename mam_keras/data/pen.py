"""A pen that draws shapes in coordinates of its own, complex numbers x + iy, y pointing down. Knows no faces."""

import numpy as np

_ANGLES = 2 * np.pi * np.arange(20) / 20
_COSINE, _SINE = np.cos(_ANGLES), 1j * np.sin(_ANGLES)
_STEPS = np.arange(5)[:, None] / 5
_CATMULL_ROM = np.concatenate([_STEPS**3, _STEPS**2, _STEPS, _STEPS**0], axis=1) @ np.array(
    [[-0.5, 1.5, -1.5, 0.5], [1, -2.5, 2, -0.5], [-0.5, 0, 0.5, 0], [0, 1, 0, 0]]
)
_NEIGHBOURS = np.array([[-1], [0], [1], [2]])


class Pen:
    """Draws in face coordinates: `origin` is where 0 lies and `unit` what 1 is, both in pixels."""

    def __init__(self, surface, origin, unit):
        self.surface, self.origin, self.unit = surface, origin, unit

    def moved(self, x):
        return Pen(self.surface, self.origin + x * self.unit, self.unit)

    def _pixels(self, points):
        return (self.origin + self.unit * np.asarray(points, complex)).view(float).tolist()

    def fill(self, points, colour, alpha=255):
        self.surface.polygon(self._pixels(points), fill=(*colour, alpha))

    def fill_both(self, points, colour, alpha=255):
        """The points, and their mirror image on the other side of the face."""
        self.fill(points, colour, alpha)
        self.fill(mirrored(points), colour, alpha)

    def ring(self, outline, centre, hole, colour):
        """Between an outline around `centre` and the same one `hole` times as large."""
        around = np.append(outline, outline[0])
        self.fill(centre + np.concatenate([around, hole * around[::-1]]), colour)

    def line(self, points, width, colour):
        self.surface.line(self._pixels(points), fill=colour, width=max(1, round(width * abs(self.unit))))

    def line_both(self, points, width, colour):
        self.line(points, width, colour)
        self.line(mirrored(points), width, colour)


def ellipse(centre, half_width, half_height):
    return centre + half_width * _COSINE + half_height * _SINE


def mirrored(points):
    return -np.conj(points)


def both_sides(points):
    """A closed outline from its right half, given from top to bottom or the other way."""
    return np.concatenate([points, mirrored(points)[::-1]])


def smooth(points):
    """A closed Catmull-Rom curve through the points, five steps from each to the next."""
    points = np.asarray(points)
    return (_CATMULL_ROM @ points[(np.arange(len(points)) + _NEIGHBOURS) % len(points)]).T.ravel()
