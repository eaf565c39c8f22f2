"""Which pixels are in a shape: by their centres."""

import numpy as np
import pytest

from mam_keras.data.shapes import Shapes, inside


def test_a_rectangle_by_hand():
    found = inside(Shapes(rectangles=((0.25, 0.5, 0.625, 1.0),)), 4)  # centres 0.125, 0.375, 0.625 and 0.875
    np.testing.assert_array_equal(found, [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]])


def test_shapes_are_joined():
    both = Shapes(rectangles=((0, 0, 0.2, 0.2), (0.8, 0.8, 1, 1)), polygons=(((0.5, 0), (1, 0), (1, 0.5)),))
    found = inside(both, 4)
    assert found[0, 0] and found[3, 3] and found[0, 2:].all() and not found[3, 0]


def test_a_triangle_by_hand():
    corner = inside(Shapes(polygons=(((0, 0), (1, 0), (0, 1)),)), 4)  # below x + y = 1, whose centres are x + y = 1
    expected = np.add.outer(np.arange(4), np.arange(4)) < 3
    np.testing.assert_array_equal(corner | np.eye(4, dtype=bool)[::-1], expected | np.eye(4, dtype=bool)[::-1])


def test_a_polygon_is_the_rectangle_that_it_draws_whichever_way_round():
    corners = ((0.1, 0.2), (0.7, 0.2), (0.7, 0.9), (0.1, 0.9))
    expected = inside(Shapes(rectangles=((0.1, 0.2, 0.7, 0.9),)), 33)
    for points in (corners, corners[::-1], corners[2:] + corners[:2]):
        np.testing.assert_array_equal(inside(Shapes(polygons=(points,)), 33), expected)


def test_a_polygon_that_meets_itself_leaves_out_what_it_surrounds_twice():
    around = (
        (0, 0),
        (1, 0),
        (1, 1),
        (0, 1),
        (0, 0),
        (0.25, 0.25),
        (0.75, 0.25),
        (0.75, 0.75),
        (0.25, 0.75),
        (0.25, 0.25),
    )
    found = inside(Shapes(polygons=(around,)), 8)
    assert not found[2:6, 2:6].any()
    assert found.sum() == 64 - 16


@pytest.mark.parametrize("seed", range(3))
def test_a_polygon_against_the_winding_of_each_point(seed):
    """Convex: a centre is inside where it is on the same side of all edges."""
    angles = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, 7))
    points = np.stack([0.5 + 0.45 * np.cos(angles), 0.5 + 0.4 * np.sin(angles)], axis=1)
    y, x = np.meshgrid(*[(np.arange(20) + 0.5) / 20] * 2, indexing="ij")
    sides = [
        (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True)
    ]
    expected = np.all(np.array(sides) > 0, axis=0)
    found = inside(Shapes(polygons=(tuple(map(tuple, points.tolist())),)), 20)
    np.testing.assert_array_equal(found, expected)
