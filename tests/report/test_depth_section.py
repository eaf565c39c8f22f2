"""The section on heatmaps by depth: its sentences, table and pictures follow the numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis.result import Result
from mam_keras.data.source import Targets
from mam_keras.report.blocks import Figure, Gallery, Missing, Table
from mam_keras.report.sections import depth

STAGES = ("low", "middle", "features")
METHODS = [f"{kind}.{name}" for kind in ("grad_cam", "activation") for name in reversed(STAGES)]
METHODS += ["untrained", "blob", "random"]


def made_up(sets=("exact",), exclusive=False, **means):
    """A run whose analysis found these means, {MEASURE: {METHOD: value}}, each 0.01 wide to either side; else 0.5."""
    arrays = {}
    for measure in (*depth.MEASURES, *(f"{name}.{own}" for name in sets for own in ("ratio", "pointing"))):
        given = means.get(measure.rpartition(".")[2], {})
        value = np.array([given.get(method, 0.5) for method in METHODS])
        estimates = np.stack([value, value - 0.01, value + 0.01], axis=-1)
        gains = value[:1] - value[1:]
        arrays[f"{measure}.mean"], arrays[measure] = estimates, np.stack([estimates] * 2)
        arrays[f"{measure}.difference.mean"] = np.stack([gains, gains - 0.02, gains + 0.02], axis=-1)
    arrays["concentration"][1] = np.nan
    arrays |= {"count": np.array([12, 2]), "ids": np.array(["a.png", "b.png"])}
    arrays["images"] = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    arrays["maps"] = np.random.default_rng(1).integers(0, 256, (2, 6, 4, 4)).astype(np.uint8)
    values = {
        "attributes": ["Hat <b>", "Bangs"],
        "methods": METHODS,
        "stages": [
            {"name": name, "stride": stride, "receptive_field": seen}
            for name, stride, seen in zip(STAGES, (1, 2, 4), (3, 9, None), strict=True)
        ],
        "grid": [4, 4],
        "sets": list(sets),
    }
    targets = Targets(("Hat <b>", "Bangs"), exclusive)
    return SimpleNamespace(results={"depth": Result(values, arrays)}, targets=targets)


def summary(**arguments):
    return depth.section(made_up(**arguments), ()).summary


def test_what_changes_with_depth_is_said_with_its_numbers():
    _, told, *_ = summary(concentration={"grad_cam.low": 0.2})
    assert told == (
        "From low to features Grad-CAM's concentration goes from 0.20 (0.19 to 0.21) to 0.50 (0.49 to 0.51), clearly "
        "higher."
    )
    same, *_ = summary(sets=())
    assert same == (
        "From low to features Grad-CAM's concentration goes from 0.50 (0.49 to 0.51) to 0.50 (0.49 to 0.51), not "
        "measurably different."
    )


@pytest.mark.parametrize(
    "ratios, course, at",
    [
        ((0.9, 2.0, 3.0), "rises", "more at every stage than at the one before"),
        ((0.9, 4.0, 3.0), "rises", "most at middle"),
        ((3.0, 2.0, 0.9), "falls", "less at every stage than at the one before"),
        ((3.0, 4.0, 0.9), "falls", "most at middle"),
        ((2.0, 3.0, 2.0), "does not measurably change", "most at middle"),
        ((2.0, 2.0, 2.0), "does not measurably change", "most at low"),
    ],
)
def test_whether_the_heat_in_the_region_rises_with_depth_follows_from_its_shares(ratios, course, at):
    stages = {f"grad_cam.{name}": ratio for name, ratio in zip(STAGES, ratios, strict=True)}
    told, *_ = summary(ratio=stages | {"untrained": 0.5, "blob": 3.5})
    first, middle, last = (f"{ratio:.2f}" for ratio in ratios)
    assert told.startswith(
        f"The share of Grad-CAM's heat in the region {course} with depth: from low to features it is {first} "
        f"({ratios[0] - 0.01:.2f} to {ratios[0] + 0.01:.2f}), {middle} and {last} "
        f"({ratios[2] - 0.01:.2f} to {ratios[2] + 0.01:.2f}) times that of chance, {at}. At the last stage it is "
    )
    assert told.endswith("clearly better than random weights and random heat; clearly worse than centre blob.")


def test_where_no_region_was_met_nothing_is_said_of_it():
    run = made_up(sets=("parts", "boxes"))
    run.results["depth"].arrays["parts.ratio.mean"][:] = np.nan
    section = depth.section(run, ())
    assert "Regions are known by regions marked for all images." in section.reading
    run.results["depth"].arrays["boxes.ratio.mean"][:] = np.nan
    section = depth.section(run, ())
    assert "Regions" not in section.reading and "region" not in " ".join(section.summary)


def test_the_best_stage_and_the_controls_that_win_are_named():
    *_, deletion, insertion = summary(
        deletion={"grad_cam.middle": 0.3, "blob": 0.4}, insertion={"grad_cam.low": 0.8, "untrained": 0.6, "random": 0.7}
    )
    assert deletion == (
        "By deletion the best stage's Grad-CAM is that of middle (0.30 (0.29 to 0.31), random heat 0.50 (0.49 to "
        "0.51)); the last stage has 0.50 (0.49 to 0.51), not measurably different from random weights and random heat; "
        "clearly worse than centre blob."
    )
    assert insertion.startswith("By insertion the best stage's Grad-CAM is that of low (0.80")
    assert insertion.endswith(
        "not measurably different from centre blob; clearly worse than random weights and random heat."
    )


def test_every_stage_stands_in_the_table_with_what_it_sees():
    section = depth.section(made_up(), ())
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert [row[:4] for row in table.rows[:3]] == [
        ("Grad-CAM", "low", 1, 3),
        ("Grad-CAM", "middle", 2, 9),
        ("Grad-CAM", "features", 4, None),
    ]
    assert len(table.rows) == 2 * len(STAGES) + 3 and len(table.columns) == 4 + 5
    without = depth.section(made_up(sets=()), ())
    (table,) = (block for block in without.blocks if isinstance(block, Table))
    assert len(table.columns) == 4 + 3 and "known by" not in without.reading


def test_pictures_show_the_image_and_every_stage_of_reported_targets():
    section = depth.section(made_up(), ())
    gallery, figure = section.blocks[:2]
    assert isinstance(gallery, Gallery) and isinstance(figure, Figure)
    assert [title for title, _ in gallery.rows] == ["Grad-CAM", "Mean absolute activation"]
    for _, (cell,) in gallery.rows:  # the other attribute has too few images
        assert cell.label == "Hat <b>" and "a.png" in cell.alternative
    width = int.from_bytes(gallery.rows[0][1][0].picture[16:20], "big")
    assert width == depth._TILE * (1 + len(STAGES))


@pytest.mark.parametrize("exclusive, noun", [(False, "attribute"), (True, "class")])
def test_too_few_images_are_said(exclusive, noun):
    run = made_up(exclusive=exclusive)
    run.results["depth"].arrays["concentration"][:] = np.nan
    section = depth.section(run, ())
    assert section.blocks == (Missing(f"No {noun} has 8 true positives among the first 12."),)
    assert section.summary == ()
