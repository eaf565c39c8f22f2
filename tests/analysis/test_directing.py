"""Figures of a pair, picked out of results of several analyses by name."""

import numpy as np
import pytest

from mam_keras.analysis import directing
from mam_keras.analysis.groups import VARIANTS
from mam_keras.analysis.region_tests import SHOWN
from mam_keras.analysis.result import Result
from mam_keras.report import headlines

NAMES = ["Hat", "Lipstick", "Makeup"]


def numbered(*shape):
    """Estimates that are all different: (..., 3)."""
    value = np.arange(np.prod(shape)).reshape(shape) / 1000
    return np.stack([value, value - 0.1, value + 0.1], axis=-1)


@pytest.fixture
def results():
    asked = [{"attribute": "Makeup", "other": "Lipstick"}, {"attribute": "Lipstick", "other": "Makeup"}]
    groups = {
        "group": numbered(2, 3, 4),
        "worst": numbered(2, 3) + 1,
        "apart": numbered(2, 3) + 8,
        "balanced_accuracy": numbered(2, 3) + 2,
        "others.accuracy": numbered() + 3,
        "others.balanced_accuracy": numbered() + 4,
    }
    maps = {"attributes": NAMES, "methods": ["contributions", "grad_cam", "untrained"], "sets": ["parts", "boxes"]}
    return {
        "groups": Result({"questions": asked, "variants": list(VARIANTS)}, groups),
        "localisation": Result(maps, {"parts.ratio": numbered(3, 3), "boxes.ratio": numbered(3, 3) + 5}),
        "region_tests": Result(
            {"attributes": NAMES, "sets": ["parts", "boxes"]},
            {"parts.balanced_accuracy": numbered(3, 5), "boxes.balanced_accuracy": numbered(3, 5) + 6},
        ),
        "toggling": Result({"attributes": NAMES}, {"effects": numbered(3, 3) + 7}),
    }


def test_every_figure_is_the_one_of_its_attribute(results):
    found = directing.figures(results, "Lipstick", "Makeup")
    values = {name: round(one.value, 6) for name, one in found.items()}
    assert values == {
        "own_balanced_accuracy": 2.003,
        "worst_group": 1.003,
        "apart": 8.003,
        "with_other": 0.012,
        "without_other": 0.013,
        "other_alone": 0.014,
        "neither": 0.015,
        "fitted_balanced_accuracy": 2.004,
        "worst_group_fitted": 1.005,
        "apart_fitted": 8.005,
        "others_accuracy": 3,
        "others_balanced_accuracy": 4,
        "energy": 5.003,
        "energy_grad_cam": 5.004,
        "energy_parts": 0.003,
        "region_alone": 6.006,
        "region_alone_blur": 6.007,
        "region_covered": 6.008,
        "region_covered_blur": 6.009,
        "toggled_other": 7.007,
        "toggled_own": 7.004,
    }
    assert found["energy"].low == pytest.approx(5.003 - 0.1)
    assert len(SHOWN) == 5


def test_every_figure_has_a_name_that_people_read(results):
    titles = [headlines.column(f"{name}:a:b").title for name in directing.figures(results, "Lipstick", "Makeup")]
    assert len(set(titles)) == len(titles)
    assert not [title for title in titles if "_" in title or ":" in title.removesuffix(": Grad-CAM")]


def test_what_is_not_there_is_left_out(results):
    assert directing.figures({}, "Lipstick", "Makeup") == {}
    other_way = directing.figures({"groups": results["groups"]}, "Makeup", "Lipstick")
    assert other_way["worst_group"].value == pytest.approx(1)
    assert directing.figures(results, "Nose", "Makeup") == {}
    results["groups"].values["variants"] = ["trained"]
    assert "worst_group_fitted" not in directing.figures(results, "Lipstick", "Makeup")
