"""What is said of before and after, in plain figures; and what of the page is computed by hand here."""

import numpy as np
import pytest

from mam_keras.direct import comparison, looking, pictures
from mam_keras.direct.leaning import _places

ENERGY = {"before": 0.2, "directed": 0.6, "control": 0.25}


def worst(before, directed, control, ahead=([0.3, 0.2, 0.4], [0.2, 0.1, 0.3])):
    """And what the directed run is ahead by, of the run before and of the control."""
    runs = {"before": before, "directed": directed, "control": control}
    return {"worst": runs, "ahead": dict(zip(("before", "control"), ahead, strict=True))}


GAINED = [0.5, 0.4, 0.6], [0.8, 0.7, 0.9], [0.75, 0.65, 0.85]


@pytest.mark.parametrize(
    "found, last",
    [
        (worst(*GAINED), "fine-tuned without the region."),  # for in pairs it is plain, though intervals overlap
        (
            worst([0.5, 0.4, 0.6], [0.55, 0.45, 0.65], [0.5, 0.4, 0.6], ([0.05, -0.01, 0.1], [0.05, 0.01, 0.1])),
            "These images show no gain there for sure.",
        ),
        (
            worst(*GAINED, ([0.3, 0.2, 0.4], [0.05, -0.01, 0.1])),
            "does as well there, as far as these images can tell.",
        ),
        (worst(*GAINED, ([0.3, None, None], [0.05, None, None])), "These images show no gain there for sure."),
        (worst([None] * 3, [0.8, 0.7, 0.9], [0.6, 0.5, 0.65]), "25 % fine-tuned without it."),
        (None, "25 % fine-tuned without it."),
    ],
)
def test_a_gain_is_one_only_where_the_interval_leaves_out_what_was_and_the_control(found, last):
    said = comparison.judged("Smiling", ENERGY, found)
    assert said[0].startswith("60 % of the map's energy is in the region; 20 % before")
    assert said[-1].endswith(last)


def test_nothing_is_said_of_maps_that_show_nothing():
    assert comparison.judged("Smiling", ENERGY | {"control": None}, None) == []


def test_the_share_within_a_region_is_that_of_the_blocks():
    maps = np.array([[[1.0, 1.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    regions = np.zeros((2, 4, 4), bool)
    regions[:, :2, :2] = regions[:, 2:, 2] = True  # the first block, and half of the last one
    np.testing.assert_allclose(looking.covered(maps, regions), [0.5, np.nan])
    np.testing.assert_allclose(looking.mean_map(maps), [[0.125, 0.125], [0.0, 0.25]])


def test_pixels_are_drawn_as_few_rectangles():
    inside = np.zeros((4, 4), bool)
    inside[1:3, :2] = inside[1:3, 3] = inside[3, 1] = True
    assert pictures.rectangles(inside) == [[0, 0.25, 0.5, 0.75], [0.25, 0.75, 0.5, 1], [0.75, 0.25, 1, 0.75]]
    assert pictures.rectangles(np.zeros((4, 4), bool)) == []
    assert pictures.rectangles(np.ones((4, 4), bool)) == [[0, 0, 1, 1]]


def test_what_was_not_measured_comes_last():
    assert _places([0.1, None, 0.3, 0.1]) == [1, 4, 0, 1]
