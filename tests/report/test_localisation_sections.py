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

MINE = ("localisation", "faithfulness", "deletion", "toggling")
SHOWN = ("localisation", "faithfulness", "toggling")
HOSTILE = "<script>alert(1)</script> $\\frac$"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """report(path, *overrides) -> `ReportedRun` with these analyses, of all attributes with a true positive."""

    def of(path, *overrides):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainedRun, "folder", tmp_path_factory.mktemp("analysis"))
            patch.setattr(true_positives, "LEAST", 1)
            run = TrainedRun(path, overrides)
            return reported(run, *analysis.compute_missing(run, names=MINE))

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
    assert [row[0] for row in means.rows] == [
        "contributions",
        "Grad-CAM of the multi-label head",
        "random weights",
        "centre blob",
        "chance",
    ]
    assert means.rows[0][1].value == arrays["exact.ratio.mean"][0, 0]
    assert means.rows[3][2].value == arrays["exact.ratio.difference.mean"][2, 0]
    for row in block(section, "localisation-exact").rows:
        k = names.index(row[0])
        assert row[1] == arrays["exact.count"][k]
        assert row[3].value == arrays["exact.ratio"][k, 0, 0]
        assert row[5] == arrays["exact.ratio"][k, 2, 0]
    assert "one of 8 x 8, and a feature sees a square of 31 pixels of an image of 32" in section.reading


def test_localisation_says_which_control_wins(small):
    arrays = small.results["localisation"].arrays
    mean, difference = arrays["exact.ratio.mean"], arrays["exact.ratio.difference.mean"]
    assert len(difference) == 4
    wins = np.stack([np.full(4, 1.0), np.full(4, 0.9), np.full(4, 1.1)], axis=1)
    blob, cam = f"centre blob ({mean[3, 0]:.1f})", f"Grad-CAM of the multi-label head ({mean[1, 0]:.1f})"
    loses = moved(moved(wins, 2, -0.5), 0, 0.05)  # worse than the blob, not told from Grad-CAM
    changes = {"exact.ratio.difference.mean": loses, "exact.pointing.difference.mean": wins}
    _, energy, pointing, *_ = localisation.section(changed(small, "localisation", **changes), []).summary
    assert energy.endswith(f"; not measurably different from {cam}; clearly worse than {blob}.")
    assert pointing.startswith("By pointing the maps are clearly better than Grad-CAM of the multi-label head (")
    assert "different" not in pointing and "worse" not in pointing  # each measure is judged by itself


def test_localisation_names_the_attributes_where_a_control_wins(small):
    found = small.results["localisation"]
    names = found.values["attributes"]
    reported = np.flatnonzero(~np.isnan(found.arrays["exact.area"]))
    better = np.zeros_like(found.arrays["exact.pointing.difference"])
    better[...] = 0.3, 0.2, 0.4
    worse = better.copy()
    worse[reported[0], 2] = -0.3, -0.4, -0.2
    section = localisation.section(changed(small, "localisation", **{"exact.pointing.difference": worse}), [])
    assert f"By pointing clearly worse than centre blob: {names[reported[0]]}." in section.summary
    section = localisation.section(changed(small, "localisation", **{"exact.pointing.difference": better}), [])
    assert not any(text.startswith("By pointing clearly worse") for text in section.summary)


def test_localisation_compares_runs_by_their_own_maps(small):
    config = small.config.model_copy(update={"model": small.config.model.model_copy(update={"masks": "common"})})
    other = replace(small, name="common", config=config)
    without = replace(small, name="gone", results={}, missing={"localisation": "no maps"})
    table = block(localisation.section(small, [other, without]), "localisation-exact-runs")
    assert [row[:5] for row in table.rows] == [
        ("small", "masked", "per_feature", "contributions", "8 x 8"),
        ("common", "masked", "common", "contributions", "8 x 8"),
    ]
    assert "Not measured: gone (no maps)." in table.note


def test_pictures_show_the_map_and_the_edge_of_the_region():
    image = np.full((64, 64, 3), 100, np.uint8)
    amount = np.zeros((16, 16), np.uint8)
    amount[0, 0] = 255
    region = np.zeros((64, 64), bool)
    region[32:40, 32:40] = True
    picture = localisation.overlay(image, amount, region)
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
    best = "the map is clearly better than random blocks and the middle of the image."
    assert faithfulness.section(good, []).summary[0].endswith(best)
    bad = changed(small, "faithfulness", **{"covering.difference.mean": moved(difference, 1, -2)})
    assert faithfulness.section(bad, []).summary[0].endswith("; clearly worse than the middle of the image.")
    equal = changed(small, "faithfulness", **{"covering.difference.mean": moved(difference, 0, 0.05)})
    assert "not measurably different from random blocks" in faithfulness.section(equal, []).summary[0]
    one = np.zeros_like(arrays["covering.difference"])
    one[...] = 1.0, 0.9, 1.1
    (k, *_) = np.flatnonzero(~np.isnan(arrays["logit"]))
    one[k, 1] = -1.0, -1.1, -0.9
    named = faithfulness.section(changed(small, "faithfulness", **{"covering.difference": one}), []).summary
    name = small.results["faithfulness"].values["attributes"][k]
    assert f"For {name} it is clearly worse than the middle of the image." in named
    for evidence, of in ((1.0, "none of them"), (-1.0, name)):
        gone = moved(np.zeros_like(one), (k, 1), evidence)
        arguments = {"covering.difference": one, "evidence.difference": gone}
        named = faithfulness.section(changed(small, "faithfulness", **arguments), []).summary
        assert any(line.endswith(f"the middle of the image costs measurably more for {of}.") for line in named)
    means = block(faithfulness.section(small, []), "faithfulness-means")
    assert [row[2].value for row in means.rows[:3]] == arrays["covering.mean"][:, 0].tolist()
    assert [row[2].value for row in means.rows[3:6]] == arrays["evidence.mean"][:, 0].tolist()
    assert means.rows[2][3].value == arrays["covering.difference.mean"][1, 0]


def test_deletion_names_the_attributes_where_a_control_wins(small):
    result = small.results["deletion"]
    names, methods = result.values["attributes"], result.values["methods"]
    assert methods == ["contributions", "grad_cam", "untrained", "random", "centre"]
    reported = np.flatnonzero(~np.isnan(result.arrays["deletion"][:, 0, 0]))
    of = f"{len(reported)} attribute" + "s" * (len(reported) > 1)
    best = result.arrays["deletion.difference"].copy()
    best[reported] = -0.3, -0.4, -0.2  # a smaller area than all others: good
    better = {"deletion.difference": best, "deletion.difference.mean": best[reported[0]]}
    section = faithfulness.section(changed(small, "deletion", **better), [])
    mean = result.arrays["deletion.mean"][:, 0]
    (first,) = [text for text in section.summary if text.startswith("Deletion by contributions")]
    assert first.startswith(f"Deletion by contributions has an area of {mean[0]:.2f} (")
    assert f"random order ({mean[3]:.2f})" in first and "clearly better than" in first and "worse" not in first
    assert f"By deletion no control is clearly better than contributions for any of {of}." in section.summary
    k = reported[0]
    worse = best.copy()
    worse[k, 3] = 0.2, 0.1, 0.3  # the centre first
    worse[k, 0] = 0.2, 0.1, 0.3  # Grad-CAM is no control
    loses = {"deletion.difference": worse, "deletion.difference.mean": worse[k]}
    section = faithfulness.section(changed(small, "deletion", **loses), [])
    assert (
        f"A control is clearly better than contributions by deletion for 1 of {of}: {names[k]} (centre first)."
        in section.summary
    )
    (first,) = [text for text in section.summary if text.startswith("Deletion by contributions")]
    rivals = f"Grad-CAM of the multi-label head ({mean[1]:.2f}) and centre first ({mean[4]:.2f})."
    assert first.endswith(f"; clearly worse than {rivals}")
    (row,) = [row for row in block(section, "faithfulness-deletion").rows if row[0] == names[k]]
    assert row[7] == "centre first"
    areas = block(section, "faithfulness-areas")
    assert [row[0] for row in areas.rows][2:] == ["random weights", "random order", "centre first"]
    assert areas.rows[4][2].value == pytest.approx(-0.2)  # by so much better the own map is
    assert (areas.rows[4][2].low, areas.rows[4][2].high) == pytest.approx((-0.3, -0.1))


def test_insertion_is_better_the_larger_it_is(small):
    result = small.results["deletion"]
    reported = np.flatnonzero(~np.isnan(result.arrays["insertion"][:, 0, 0]))
    worse = result.arrays["insertion.difference"].copy()
    worse[reported] = -0.3, -0.4, -0.2
    section = faithfulness.section(changed(small, "deletion", **{"insertion.difference": worse}), [])
    (text,) = [one for one in section.summary if "better than contributions by insertion" in one]
    assert f"for {len(reported)} of {len(reported)} attribute" in text
    assert "(random weights, random order, centre first)" in text


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
        "clearly less."
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
    values = result.values | {"exact": result.values["exact"] | {"small": []}}
    section = localisation.section(replace(small, results={"localisation": Result(values, arrays)}), [])
    assert [type(one) for one in section.blocks] == [Paragraph, Paragraph, Missing]
    assert section.summary == ()
    nothing = {}
    for name in ("faithfulness", "deletion"):
        result = small.results[name]
        arrays = {
            key: np.full_like(value, np.nan) if value.dtype.kind == "f" else value
            for key, value in result.arrays.items()
        }
        nothing[name] = Result(result.values, arrays)
    section = faithfulness.section(replace(small, results=nothing), [])
    assert [type(one) for one in section.blocks] == [Missing, Paragraph, Paragraph, Missing]
    assert section.summary == ()
    run = replace(small, results={"faithfulness": nothing["faithfulness"]}, missing={"deletion": "no maps"})
    assert faithfulness.section(run, []).blocks[-1] == Missing("No deletion and insertion: no maps.")


def test_hostile_names_are_text_everywhere(small, monkeypatch):
    results = {}
    for name, result in small.results.items():
        values = copy.deepcopy(result.values)
        values["attributes"][0] = HOSTILE
        if name == "localisation":
            values["exact"]["small"] = [HOSTILE if one == "Smiling" else one for one in values["exact"]["small"]]
        results[name] = Result(values, result.arrays)
    monkeypatch.setattr(page, "QUESTIONS", {"": SHOWN})
    html = page.page(replace(small, results=results), [])
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_a_network_whose_logits_are_no_sums_has_its_other_maps(report, train_small):
    run = report(train_small(model={"attribute_heads": False}))
    assert "channels.mean" not in run.results["faithfulness"].arrays
    assert run.results["toggling"].values["head"] == "multi_label"
    with figures.style():
        text = check(localisation.section(run, [])) + check(faithfulness.section(run, []))
    assert "(Grad-CAM of the multi-label head) put" in text
    assert "channel" not in faithfulness.section(run, []).reading
    assert [row[0] for row in faithfulness.section(run, []).blocks[1].rows] == ["covered"] * 3


def test_the_constants_that_the_page_tells_are_the_analyses(small):
    text = check(localisation.section(small, []))
    assert f"first {localisation_analysis.MOST} true positives" in text
    assert f"first {faithfulness_analysis.MOST} true positives" in faithfulness.section(small, []).reading
