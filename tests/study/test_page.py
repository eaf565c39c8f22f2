"""What the sections of a study's page say, against a study made up by hand."""

import importlib
import itertools
import json
import re

import pytest

from mam_keras.report import figures
from mam_keras.report.blocks import Estimate, Figure, Missing, Table
from mam_keras.report.page import Front, render
from mam_keras.study.sections import SECTIONS
from mam_keras.study.view import View
from tests.report import markup
from tests.study import made_up

EVIL = '<script>alert("1")</script>{{ 7 * 7 }}$x_{1}$'


def view_of(found):
    history = [{"epoch": float(epoch), "val_attribute_accuracy": 0.8 + epoch / 100} for epoch in (1, 2)]
    return View(found, {one["run"]: history for one in found["runs"] if one["failed"] is None})


def section(name, found):
    with figures.style():
        return importlib.import_module(f"mam_keras.study.sections.{name}").section(view_of(found))


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def rows(table):
    titles = [column.title for column in table.columns]
    return [dict(zip(titles, row, strict=True)) for row in table.rows]


def page(found):
    front = Front("made-up", "made-up: runs", "Lead.", [("Data", "faces")], "name: made-up", "runs", "command")
    return render(front, [section(name, found) for name in SECTIONS])


@pytest.fixture(scope="module")
def found():
    return made_up.typical()


def test_the_choice_says_what_was_chosen_and_which_runs_could_not_be(found):
    choice = section("choice", found)
    assert choice.summary == (
        "2 of 3 runs, the baseline papers among them, lose at most 1.0 points of validation accuracy against it. Of "
        "these small_field localises best on validation: 2.30 times chance (baseline 1.10).",
        "These are means over 9 attributes of small_field and 10 of papers: each run localises what it finds.",
    )
    (table,) = blocks(choice, Table)
    assert [row["could be chosen"] for row in rows(table)] == ["yes", "yes", "loses too much accuracy"]
    assert [row["run"] for row in rows(table)] == ["papers (baseline)", "small_field (chosen)", "costly"]
    assert rows(table)[0]["accuracy"] == Estimate(0.90, 0.90 - 0.01, 0.90 + 0.01)
    assert rows(table)[0]["localisation (1 is chance)"] == 1.1


def test_a_baseline_that_nothing_beats_is_said_to_be_chosen():
    runs = made_up.typical()["runs"]
    (text,) = section("choice", made_up.study(runs[0], runs[2], chosen="papers", eligible=["papers"])).summary
    assert text.endswith("1.10 times chance: the baseline itself, so that no change was worth it.")


def test_a_chosen_run_that_was_told_where_attributes_are_stands_beside_the_best_that_was_not():
    papers, small, costly, _ = made_up.typical()["runs"]
    found = made_up.study(papers, small | {"aided": True}, costly, chosen="small_field", unaided="papers")
    text = section("choice", found).summary[1]
    assert text.startswith("small_field was told in training where the attributes are: that its maps lie there")
    assert text.endswith("Of the runs that were not told, papers localises best, 1.10 times chance.")
    found = made_up.study(papers, small | {"aided": True}, costly, chosen="small_field", unaided="costly")
    assert view_of(found).shown == found["runs"]
    assert view_of(found).name(found["runs"][2]) == "costly (chosen unaided)"
    markup.check(page(found))


def test_nothing_chosen_is_said_and_the_rest_of_the_page_is_about_the_baseline():
    measures = (0.90, 0.73, 0.55, None, 0, None)
    parts = {"masks": None, "robustness": made_up.robustness(0.7, 0.7, 0.7)}
    found = made_up.study(made_up.run("papers", measures, **parts), chosen=None)
    assert section("choice", found).summary[0].startswith("Nothing was chosen: no run that could be has a localisation")
    texts = [block.text for name in SECTIONS for block in blocks(section(name, found), Missing)]
    assert "No run has masks." in texts
    assert "No run has maps on images of which the attributes' regions are known." in texts
    markup.check(page(found))


def test_runs_say_what_they_change_what_it_costs_and_which_failed(found):
    runs = section("runs", found)
    assert runs.summary == (
        "1 run failed: hot.",
        "On test small_field is right in 89.5 % (88.5 to 90.5) where papers is right in 90.0 % (89.0 to 91.0): "
        "-0.40 points (-0.60 to -0.20). Balanced accuracy: -0.40 points (-0.60 to -0.20).",
    )
    (why,) = blocks(runs, Missing)
    assert why.text == "hot (training.learning_rate 10.0) failed: the loss became infinite."
    (table,) = blocks(runs, Table)
    assert [row["changes"] for row in rows(table)][:2] == ["nothing", "model.dilations [1, 0, 0], model.channels 32"]
    assert [row["accuracy less the baseline's, in points"] for row in rows(table)] == [
        None,
        Estimate(*made_up.around(-0.004, 0.002)),
        Estimate(*made_up.around(-0.05, 0.002)),
        None,
    ]
    assert all(value is None for value in table.rows[-1][3:])
    assert table.note.startswith("One training run is one seed")


def test_where_a_simple_control_wins_it_is_said(found):
    papers, small = section("localisation", found).summary
    assert papers.startswith("By part masks (2 attributes), maps of papers put 1.25 times (1.15 to 1.35) as much of")
    assert papers.endswith(
        "By energy, on the same images: a simple control does better: centre blob (1.80); no measurable difference to "
        "Grad-CAM (1.20); measurably above random weights (1.00)."
    )
    assert small.endswith(
        "By energy, on the same images: measurably above Grad-CAM (1.20), centre blob (1.80), random weights (1.00)."
    )


def test_every_run_is_a_labelled_point_of_accuracy_against_localisation(found):
    points, attributes = blocks(section("localisation", found), Figure)
    for name in ("papers (baseline)", "small_field (chosen)"):
        assert f">{name}<" in points.picture
        assert f">{name}<" in attributes.picture
    assert points.alternative == "Energy ratio at accuracy: papers 1.25 at 90.0 %, small_field 2.60 at 89.5 %."
    assert "Dashed: the blob in the middle" in points.caption
    assert attributes.alternative == "3 attributes; means: papers 1.25, small_field 2.60."


def test_points_that_lie_together_have_labels_that_do_not():
    runs = [
        made_up.run(f"run_number_{n}", (0.9, 0.7, 0.5, 1.1, 9, 0.1), localisation=made_up.localisation(1.25))
        for n in range(6)
    ]
    figure, _ = blocks(section("localisation", made_up.study(*runs, chosen="run_number_0")), Figure)
    heights = sorted(map(float, re.findall(r'<text[^>]* y="([\d.]+)"[^>]*>run_number', figure.picture)))
    assert len(heights) == 6
    assert min(after - before for before, after in itertools.pairwise(heights)) > 8  # the size of the letters


def test_tables_of_localisation_have_every_run_and_the_attributes_of_baseline_and_chosen_one(found):
    runs, attributes = blocks(section("localisation", found), Table)
    first = rows(runs)[0]
    assert first["energy ratio: centre blob"] == Estimate(*made_up.around(1.8, 0.1))
    assert first["map minus centre blob"] == Estimate(*made_up.around(1.25 - 1.8, 0.1))
    assert first["map minus Grad-CAM, in points"] == Estimate(*made_up.around(0.0, 0.1))
    assert [row["attribute"] for row in rows(attributes)] == ["Bangs", "Smiling", "Eyeglasses"]
    assert [row["images: papers (baseline)"] for row in rows(attributes)] == [20, 20, None]


def test_faithfulness_stands_beside_its_controls(found):
    papers, small = section("faithfulness", found).summary
    assert papers == (
        "papers: covering costs of the logit what the map marks 1.40, random blocks 0.50, the middle 2.50. What the "
        "map marks costs measurably more than random blocks, and measurably less than the middle of the image."
    )
    assert small.endswith("more than random blocks, and measurably more than the middle of the image.")
    (table,) = blocks(section("faithfulness", found), Table)
    assert [row["map minus centre"].value for row in rows(table)] == [1.4 - 2.5, 2.4 - 0.6]


def test_robustness_has_whatever_kinds_of_variants_the_runs_have(found):
    robust = section("robustness", found)
    assert robust.summary == (
        "On validation costly keeps the most balanced accuracy under noise, 58.0 % over all sigmas (papers: 55.0 %).",
        "papers, on test at sigma 0.2: 63.0 % (62.0 to 64.0) as it is, 65.0 % (64.0 to 66.0) with the best pair "
        "(1, 4), 73.0 % (72.0 to 74.0) with the best control (offset). Of 1 sigma the pair is measurably ahead of the "
        "control at 0 and behind at 1.",
        "small_field, on test at sigma 0.2: 64.0 % (63.0 to 65.0) as it is, 64.0 % (63.0 to 65.0) with the best pair "
        "(1, 4), 72.0 % (71.0 to 73.0) with the best control (offset). Of 1 sigma the pair is measurably ahead of the "
        "control at 0 and behind at 1.",
    )
    (table,) = blocks(robust, Table)
    assert [row["automatic"] and row["automatic"].value for row in rows(table)] == [None, None, 0.8, 0.8 - 0.1]
    assert [row["best pair less best control, in points"].value for row in rows(table)][:2] == [0.75 - 0.83] * 2
    (figure,) = blocks(robust, Figure)
    assert ">best control: balanced accuracy, %<" in figure.picture


def test_differences_that_robustness_pairs_are_shown_by_the_names_of_their_variants():
    one = made_up.run("papers", (0.9, 0.7, 0.5, 1.1, 9, 0.1), robustness=made_up.robustness(0.73, 0.75, 0.83))
    for noise in one["robustness"]:
        noise["differences"] |= {"pair_over_offset": [0.01, -0.01, 0.02], "automatic_over_control": [0.02, 0.01, 0.03]}
    robust = section("robustness", made_up.study(one, chosen="papers"))
    assert robust.summary[1].endswith(
        "In balanced accuracy: best pair less identity, both with offsets +1.0 points (-1.0 to +2.0); automatic less "
        "best control +2.0 points (+1.0 to +3.0)."
    )
    (table,) = blocks(robust, Table)
    assert rows(table)[0]["best pair less identity, both with offsets, in points"] == Estimate(0.01, -0.01, 0.02)


def test_without_anything_chosen_on_validation_there_is_no_best_pair(found):
    noise = [
        one | {"best_pair": None, "best_control": None, "differences": {}} for one in found["runs"][0]["robustness"]
    ]
    plain = made_up.run("papers", (0.90, 0.73, 0.55, 1.1, 10, 0.01), robustness=noise)
    robust = section("robustness", made_up.study(plain, chosen="papers"))
    assert robust.summary[1] == "papers, on test at sigma 0.2: 63.0 % (62.0 to 64.0) as it is."
    markup.check(page(made_up.study(plain, chosen="papers")))


def test_the_page_is_whole_and_holds_every_section(found):
    drawn = markup.check(page(found))
    assert [one[1]["id"] for one in drawn.all("section")] == ["summary", *SECTIONS]
    assert len(drawn.all("table")) == 7
    assert all("One training run is one seed" in p[2] for p in drawn.all("p", **{"class": "note"}))
    assert not drawn.all("img")
    assert drawn.all("a", **{"class": "download"})[0][1]["download"] == "made-up-choice.csv"


def test_texts_are_escaped():
    one = made_up.run(
        "papers",
        (0.9, 0.7, 0.5, 1.1, 9, 0.1),
        changes={"data.file": EVIL},
        localisation=made_up.localisation(1.2, names=(EVIL, "Bangs")),
    )
    drawn = markup.check(page(made_up.study(one, made_up.failed("hot", EVIL), chosen="papers")))
    assert len(drawn.all("script")) == 1
    assert any(EVIL in p[2] for p in drawn.all("p"))


def test_results_are_plain(found):
    json.dumps(found, allow_nan=False)
