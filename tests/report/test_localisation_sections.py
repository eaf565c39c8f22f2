"""The sections on where maps fall, what the network needs and what toggling does: numbers, sentences, every run."""

import copy
import re
from dataclasses import replace

import numpy as np
import pytest

from mam_keras import analysis
from mam_keras.analysis import faithfulness as faithfulness_analysis
from mam_keras.analysis import localisation as localisation_analysis
from mam_keras.analysis import true_positives
from mam_keras.analysis.result import Result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.report import figures, page
from mam_keras.report.blocks import Figure, Gallery, Missing, Paragraph, Table
from mam_keras.report.reported_run import reported
from mam_keras.report.sections import faithfulness, localisation, toggling

MINE = ("localisation", "faithfulness", "toggling")
HOSTILE = "<script>alert(1)</script> $\\frac$"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """report(path, *overrides) -> `ReportedRun` with these analyses, of all attributes with a true positive."""

    def of(path, *overrides):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(analysis, "ANALYSES", MINE)
            patch.setattr(TrainedRun, "folder", tmp_path_factory.mktemp("analysis"))
            patch.setattr(true_positives, "LEAST", 1)
            run = TrainedRun(path, overrides)
            return reported(run, *analysis.compute_missing(run))

    return of


@pytest.fixture(scope="module")
def small(report, small_run):
    run = report(small_run)
    assert (run.results["localisation"].arrays["exact.count"] > 0).sum() >= 2
    return run


def block(section, name):
    return next(one for one in section.blocks if getattr(one, "name", None) == name)


def changed(run, name, **arrays):
    """The same run with other arrays in one result."""
    result = run.results[name]
    other = Result(copy.deepcopy(result.values), result.arrays | arrays)
    return replace(run, results=run.results | {name: other})


def moved(array, index, value):
    """A copy of means or differences with another estimate at `index`."""
    array = array.copy()
    array[index] = value, value - 0.1, value + 0.1
    return array


def check(section):
    names = [one.name for one in section.blocks if isinstance(one, Figure | Gallery | Table)]
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in [section.name, *names])
    for one in section.blocks:
        if isinstance(one, Table):
            assert all(len(row) == len(one.columns) for row in one.rows)
    text = " ".join([section.reading, *section.summary, *(repr(one) for one in section.blocks)])
    assert not re.search(r"\bnan\b", text)
    return text


@pytest.mark.parametrize("module", [localisation, faithfulness, toggling])
def test_a_section_alone_and_beside_another_run(small, module):
    with figures.style():
        check(module.section(small, []))
        check(module.section(small, [replace(small, name="other")]))


def test_localisation_gives_the_analysis_numbers(small):
    section = localisation.section(small, [])
    arrays, names = (small.results["localisation"].arrays, small.results["localisation"].values["attributes"])
    means = block(section, "localisation-exact-means")
    assert [row[0] for row in means.rows] == ["map", "Grad-CAM", "random weights", "centre blob", "chance"]
    assert means.rows[0][1].value == arrays["exact.ratio.mean"][0, 0]
    assert means.rows[3][2].value == arrays["exact.ratio.difference.mean"][2, 0]
    for row in block(section, "localisation-exact").rows:
        k = names.index(row[0])
        assert row[1] == arrays["exact.count"][k]
        assert row[3].value == arrays["exact.ratio"][k, 0, 0]
        assert row[5] == arrays["exact.ratio"][k, 2, 0]
    assert "one of 8 x 8 and sees a square of 31 pixels of an image of 32" in section.reading


def test_localisation_says_which_control_wins(small):
    arrays = small.results["localisation"].arrays
    mean, difference = arrays["exact.ratio.mean"], arrays["exact.ratio.difference.mean"]
    wins = np.stack([np.full(4, 1.0), np.full(4, 0.9), np.full(4, 1.1)], axis=1)
    first = localisation.section(changed(small, "localisation", **{"exact.ratio.difference.mean": wins}), []).summary[0]
    assert first.endswith("Every control does worse.")
    loses = moved(moved(wins, 2, -0.5), 0, 0.05)  # worse than the blob, not told from Grad-CAM
    run = changed(small, "localisation", **{"exact.ratio.difference.mean": loses})
    first = localisation.section(run, []).summary[0]
    assert f"does better: centre blob ({mean[3, 0]:.1f}); does as well: Grad-CAM ({mean[1, 0]:.1f})" in first
    assert len(difference) == 4


def test_localisation_compares_runs_by_their_own_maps(small):
    config = small.config.model_copy(update={"model": small.config.model.model_copy(update={"masks": "common"})})
    other = replace(small, name="common", config=config)
    without = replace(small, name="gone", results={}, missing={"localisation": "no maps"})
    table = block(localisation.section(small, [other, without]), "localisation-exact-runs")
    assert [row[:2] for row in table.rows] == [("small", "per_feature"), ("common", "common")]
    assert "Not measured: gone (no maps)." in table.note


def test_pictures_show_the_map_and_the_edge_of_the_region():
    image = np.full((64, 64, 3), 100, np.uint8)
    amount = np.zeros((16, 16), np.uint8)
    amount[0, 0] = 255
    region = np.zeros((64, 64), bool)
    region[32:40, 32:40] = True
    picture = localisation._overlay(image, amount, region)
    assert picture.shape == (128, 128, 3)
    assert picture[4, 4, 0] > 150 > picture[4, 4, 2]
    assert (picture[20, 20] == 75).all()
    assert (picture[64, 70] == [90, 220, 255]).all()
    assert (picture[70, 70] == 75).all()
    assert (picture[80, 70] == 75).all()


def test_faithfulness_says_when_a_control_costs_more(small):
    arrays = small.results["faithfulness"].arrays
    difference = np.array([[1.0, 0.9, 1.1], [1.0, 0.9, 1.1]])
    good = changed(small, "faithfulness", **{"covering.difference.mean": difference})
    assert "what the map points at costs more than both controls" in faithfulness.section(good, []).summary[0]
    bad = changed(small, "faithfulness", **{"covering.difference.mean": moved(difference, 1, -2)})
    assert "the middle of the image costs more than what the map points at" in faithfulness.section(bad, []).summary[0]
    equal = changed(small, "faithfulness", **{"covering.difference.mean": moved(difference, 0, 0.05)})
    assert "random blocks cost as much" in faithfulness.section(equal, []).summary[0]
    means = block(faithfulness.section(small, []), "faithfulness-means")
    assert [row[2].value for row in means.rows[:3]] == arrays["covering.mean"][:, 0].tolist()
    assert means.rows[2][3].value == arrays["covering.difference.mean"][1, 0]


def effects(run, name, **entries):
    """The run with every effect 0 but of these pairs, `j_k`=(value, low, high)."""
    result = run.results["toggling"]
    array = np.zeros_like(result.arrays["effects"])
    array[np.arange(len(array)), np.arange(len(array))] = 9, 8, 10
    for pair, estimate in entries.items():
        array[tuple(map(int, pair.removeprefix("_").split("_")))] = estimate
    return replace(changed(run, "toggling", effects=array), name=name)


def test_toggling_names_the_largest_effect_and_compares_it(small):
    names = small.results["toggling"].values["attributes"]
    here = effects(small, "here", _0_2=(0.2, 0.1, 0.3), _3_1=(-4, -5, -3))
    other = effects(small, "other", _0_2=(5, 4, 6))
    section = toggling.section(here, [other])
    assert (
        f"is {names[3]}: put into the picture alone, it moves the logit of {names[1]} by -4.00 (-5.00 to -3.00)"
        in (section.summary[0])
    )
    assert section.summary[1] == (
        f"{names[0]} alone moves {names[2]} by +0.20 (+0.10 to +0.30) here and by +5.00 (+4.00 to +6.00) in other: "
        "the intervals are apart."
    )
    rows = block(section, "toggling-pairs").rows
    assert rows[0][:2] == (names[3], names[1])
    assert (names[0], names[2]) in [row[:2] for row in rows]
    overlapping = effects(small, "other", _0_2=(0.25, 0.2, 0.4))
    assert toggling.section(here, [overlapping]).summary[1].endswith("the intervals overlap.")


def test_one_attribute_has_no_pairs(small):
    result = small.results["toggling"]
    values = result.values | {"attributes": ["Smiling"]}
    alone = Result(values, {"effects": np.array([[[3.0, 2, 4]]]), "labels": np.ones((1, 1))})
    section = toggling.section(replace(small, results={"toggling": alone}), [])
    assert [type(one) for one in section.blocks] == [Figure]
    assert section.summary == ()


def test_nothing_found_is_said(small):
    result = small.results["localisation"]
    arrays = {key: np.full_like(value, np.nan) if "ratio" in key else value for key, value in result.arrays.items()}
    arrays["exact.area"] = np.full_like(arrays["exact.area"], np.nan)
    values = result.values | {"exact": result.values["exact"] | {"small": [], "ratio": None}}
    section = localisation.section(replace(small, results={"localisation": Result(values, arrays)}), [])
    assert [type(one) for one in section.blocks] == [Paragraph, Missing]
    assert section.summary == ()
    result = small.results["faithfulness"]
    arrays = {
        key: np.full_like(value, np.nan) if value.dtype.kind == "f" else value for key, value in result.arrays.items()
    }
    section = faithfulness.section(replace(small, results={"faithfulness": Result(result.values, arrays)}), [])
    assert [type(one) for one in section.blocks] == [Missing]


def test_hostile_names_are_text_everywhere(small, monkeypatch):
    results = {}
    for name, result in small.results.items():
        values = copy.deepcopy(result.values)
        values["attributes"][0] = HOSTILE
        if name == "localisation":
            values["exact"]["small"] = [HOSTILE if one == "Smiling" else one for one in values["exact"]["small"]]
        results[name] = Result(values, result.arrays)
    monkeypatch.setattr(page, "SECTIONS", MINE)
    html = page.page(replace(small, results=results), [])
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_runs_without_maps_or_without_drawn_faces_say_why(report, train_small):
    run = report(train_small(model={"attribute_heads": False}))
    assert "no attribute heads" in run.missing["localisation"]
    assert "no attribute heads" in run.missing["faithfulness"]
    assert run.results["toggling"].values["head"] == "multi-label head"


def test_the_constants_that_the_page_tells_are_the_analyses(small):
    text = check(localisation.section(small, []))
    assert f"first {localisation_analysis.MOST} true positives" in text
    assert f"first {faithfulness_analysis.MOST} true positives" in faithfulness.section(small, []).reading
