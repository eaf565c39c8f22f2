"""What the sections of a study's page say, against a study made up by hand."""

import itertools
import json
import re

import pytest

from mam_keras.report import figures
from mam_keras.report.blocks import Figure, Missing, Table
from mam_keras.report.page import Front, render
from mam_keras.statistics import Estimate
from mam_keras.study.plan import TESTED
from mam_keras.study.sections import asked_about
from mam_keras.study.view import View
from tests.report import markup
from tests.study import made_up

EVIL = '<script>alert("1")</script>{{ 7 * 7 }}$x_{1}$'
NAMES = (
    *("side-by-side", "choice", "runs", "directing", "localisation", "faithfulness", "robustness", "calibration"),
    *("masks", "cost", "training"),
)
SAID = {"localisation": {"papers": ("A blob does better.",), "small_field": ("Above Grad-CAM.",), "costly": ("no",)}}


def view_of(found, said=SAID):
    history = [{"epoch": float(epoch), "val_attributes_accuracy": 0.8 + epoch / 100} for epoch in (1, 2)]
    return View(found, {one["run"]: history for one in found["runs"] if one["failed"] is None}, said)


def section(name, found):
    with figures.style():
        made = asked_about(TESTED)[NAMES.index(name)](view_of(found))
    assert made.name == name
    return made


def blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def rows(table):
    titles = [column.title for column in table.columns]
    return [dict(zip(titles, row, strict=True)) for row in table.rows]


def page(found):
    front = Front("made-up", "made-up: runs", "Lead.", [("Data", "faces")], "name: made-up", "runs", "command")
    return render(front, {"": [section(name, found) for name in NAMES]})


@pytest.fixture(scope="module")
def found():
    return made_up.typical()


def test_the_choice_says_what_was_chosen_and_which_runs_could_not_be(found):
    choice = section("choice", found)
    assert choice.summary == (
        "2 of 3 settings, the baseline papers among them, lose at most 1.0 points of validation accuracy against it. "
        "Of these small_field has the highest localisation (1 is chance) on validation: 2.30 (baseline 1.10).",
        "These are means over 9 attributes of small_field and 10 of papers: each run localises what it finds.",
    )
    (table,) = blocks(choice, Table)
    assert [row["could be chosen"] for row in rows(table)] == ["yes", "yes", "loses too much accuracy"]
    assert [row["run"] for row in rows(table)] == ["papers (baseline)", "small_field (chosen)", "costly"]
    assert rows(table)[0]["accuracy"] == Estimate(0.90, 0.90 - 0.01, 0.90 + 0.01)


def test_a_baseline_that_nothing_beats_is_said_to_be_chosen():
    runs = made_up.typical()["runs"]
    (text,) = section("choice", made_up.study(runs[0], runs[2])).summary
    assert text.endswith("1.10: the baseline itself, so that no change was worth it.")


def test_a_chosen_run_that_was_told_where_attributes_are_stands_beside_the_best_that_was_not():
    papers, small, costly, _ = made_up.typical()["runs"]
    told = made_up.study(papers, small | {"aided": True}, costly)
    text = section("choice", told).summary[1]
    assert text.startswith("small_field was told in training where maps should lie: that they lie there")
    assert text.endswith("Of those that were not told, papers has the highest localisation (1 is chance), 1.10.")
    told = made_up.study(papers, small | {"aided": True}, costly, most=0.1)
    assert [one["group"] for one in view_of(told).shown] == ["papers", "costly"]
    told = made_up.study(papers, small, costly | {"aided": True}, most=0.1)
    assert [one["group"] for one in view_of(told).shown] == ["papers", "costly", "small_field"]
    assert view_of(told).name(told["runs"][1]) == "small_field (chosen unaided)"


def test_nothing_chosen_is_said_and_the_rest_of_the_page_is_about_the_baseline():
    one = made_up.run("papers", (0.90, 0.73, 0.55, None, None, None), mask_mean=None)
    alone = made_up.study(one, measures={"accuracy": ["accuracy"]})
    assert section("choice", alone).summary[0].startswith("Nothing was chosen: no run that could be has localisation")
    texts = [block.text for name in NAMES for block in blocks(section(name, alone), Missing)]
    assert "No run has masks." in texts
    assert "No run has maps on images of which regions are known." in texts


def test_runs_say_what_they_change_what_it_costs_and_which_failed(found):
    runs = section("runs", found)
    assert runs.summary == (
        "1 run failed: hot.",
        "On test small_field has accuracy 89.5 % (88.5 to 90.5) where papers has 90.0 % (89.0 to 91.0): -0.40 points "
        "(-0.60 to -0.20) on the same images, clearly worse. Which has the higher accuracy nobody can say of 1 seed: "
        "it takes 3.",
    )
    (why,) = blocks(runs, Missing)
    assert why.text == "hot (training.learning_rate 10.0) failed: the loss became infinite."
    (table,) = blocks(runs, Table)
    assert [row["changes"] for row in rows(table)][:2] == ["nothing", "model.dilations [1, 0, 0], model.channels 32"]
    assert [row["accuracy less the baseline's, in points"] for row in rows(table)] == [
        None,
        Estimate(*made_up.around(-0.004, 0.002)),
        Estimate(*made_up.around(-0.05, 0.002)),
    ]
    assert table.note.endswith("That one setting beats another needs at least 3 seeds.")


def test_verdicts_on_a_run_are_those_of_its_own_report(found):
    assert section("localisation", found).summary == ("papers: A blob does better.", "small_field: Above Grad-CAM.")
    assert section("faithfulness", found).summary == ()


def directed_study(own):
    """A baseline and a directed setting, a run for each of the latter's worst groups, as given."""
    pair, runs = ("Wearing_Lipstick", "Heavy_Makeup"), made_up.seeded()["runs"]
    runs = [one for one in runs if one["seed"] <= len(own)]
    measures = [f"{name}:{':'.join(pair)}" for name in ("worst_group", "apart", "energy")]
    for one in runs:
        worst = 0.4 if one["group"] == "g" else own[one["seed"] - 1]
        one["test"] |= dict(zip(measures, map(made_up.around, (worst, 0.7, 2.0)), strict=True))
    return made_up.study(*runs, choose_by="accuracy", measures={"directing": measures}, pairs=[pair])


def test_what_directing_did_is_said_of_every_setting_over_the_seeds():
    section_ = section("directing", directed_study((0.6, 0.62, 0.61)))
    assert section_.summary == (
        "Wearing_Lipstick beside Heavy_Makeup, the worst of the four groups: g 40.0 % (40.0 to 40.0); clearly better "
        "over 3 seeds: gM 61.0 % (58.5 to 63.5).",
        "Wearing_Lipstick beside Heavy_Makeup, where the two differ: g 70.0 % (70.0 to 70.0); not measurably different "
        "over 3 seeds: gM 70.0 % (70.0 to 70.0).",
    )
    every, over = blocks(section_, Table)
    assert every.caption.startswith("Every run on Wearing_Lipstick, the other being Heavy_Makeup")
    assert rows(every)[3]["worst group"] == Estimate(*made_up.around(0.6))
    assert rows(over)[1]["worst group less the baseline's, in points"].value == pytest.approx(0.21)
    assert rows(over)[1]["energy of its map in its region (1 is chance)"].value == 2
    text, _ = section("directing", directed_study((0.39, 0.42, 0.41))).summary
    assert "; not measurably different over 3 seeds: gM 40.7 %" in text
    text, _ = section("directing", directed_study((0.6, 0.62))).summary
    assert "; of 2 seeds, where it takes 3 to say which is better: gM 61.0 %" in text


def test_without_named_pairs_nothing_is_said_of_directing(found):
    (none,) = blocks(section("directing", found), Missing)
    assert none.text == "No pair of attributes is named (analysis.pairs_of_attributes)."


def test_a_page_has_the_sections_of_what_its_study_asks_alone(found):
    def names(*asked):
        with figures.style():
            return tuple(make(view_of(found)).name for make in asked_about(asked))

    assert names(*TESTED) == NAMES
    assert names("accuracy", "cost") == ("side-by-side", "choice", "runs", "cost", "training")
    asked = ("side-by-side", "choice", "runs", "directing", "faithfulness", "training")
    assert names("accuracy", "groups", "deletion") == asked


def test_every_run_is_a_labelled_point_of_accuracy_against_localisation(found):
    (points,) = blocks(section("localisation", found), Figure)
    for name in ("papers (baseline)", "small_field (chosen)"):
        assert f">{name}<" in points.picture
    assert points.alternative == "Localisation at accuracy: papers 1.25 at 90.0 %, small_field 2.60 at 89.5 %."


def test_the_area_of_a_point_is_what_an_answer_costs():
    runs = [
        made_up.run(f"run{n}", (0.9, 0.7, 0.5, 1.1, 9, 0.1), localisation=1 + n, answering_ms=4.0 * n) for n in (1, 4)
    ]
    (figure,) = blocks(section("localisation", made_up.study(*runs)), Figure)
    assert figure.caption.endswith("is the time that an image takes to be answered, 4.00 to 16.00 ms.")
    (partly,) = blocks(section("localisation", made_up.study(runs[0], runs[1] | {"test": runs[0]["test"]})), Figure)
    without = [one | {"test": {k: v for k, v in one["test"].items() if k != "answering_ms"}} for one in runs[:1]]
    (unknown,) = blocks(section("localisation", made_up.study(*without, runs[1])), Figure)
    assert "answered" in partly.caption
    assert "answered" not in unknown.caption


def test_all_settings_side_by_side_with_what_is_not_behind_the_best(found):
    (missing,) = blocks(section("side-by-side", found), Missing)
    assert missing.text == "Nobody can say which is best: that takes two settings of at least 3 seeds each."
    assert section("side-by-side", found).summary == ()

    several = section("side-by-side", made_up.seeded(own=(0.91, 0.92, 0.91), base=(0.90, 0.905, 0.90)))
    (table,) = blocks(several, Table)
    accuracy = rows(table)[0]
    assert accuracy["on the test images"] == "top-1 accuracy"
    assert (accuracy["g (baseline)"], accuracy["gM (chosen)"]) == ("90.2 %", "91.3 % *")
    assert several.summary[0] == (
        "For the most right answers: gM, with the highest top-1 accuracy, 91.3 %, clearly better than every other over "
        "3 seeds."
    )


def test_who_should_take_what_follows_from_the_seeds():
    settings = {
        "plain": {"localisation": (1.0, 1.1, 1.2), "deletion": (0.2, 0.3, 0.4), "answering_ms": (1.0, 1.0, 1.0)},
        "told": {"localisation": (7.0, 7.1, 7.2), "deletion": (0.1, 0.3, 0.5), "answering_ms": (2.0, 2.0, 2.1)},
        "masked": {"localisation": (3.0, 3.1, 3.3), "deletion": (0.5, 0.6, 0.7), "answering_ms": (3.0, 3.0, 3.0)},
    }
    runs = made_up.measured(settings, told=("told",))
    said = section("side-by-side", made_up.study(*runs)).summary
    assert said[2:] == (
        "For maps that lie where the attribute is: told, which was told where it is, with the highest localisation (1 "
        "is chance), 7.10, clearly better than every other over 3 seeds.",
        "Of those that nobody told where the attribute is: masked, with the highest localisation (1 is chance), 3.13, "
        "clearly better than every other over 3 seeds.",
        "For maps that mark what the answer needs: plain, with the lowest deletion, area, 0.300; not measurably "
        "different from it over 3 seeds: told (0.300). Of these plain answers fastest (1.00 ms an image).",
        "For the least time: plain, with the lowest ms of answering an image, 1.00, clearly better than every other "
        "over 3 seeds.",
    )


def test_side_by_side_names_the_best_worst_group_of_each_pair():
    moved = {"toggled_other:Hat:Tie": (3.0,) * 3}
    worst = {name: {"worst_group:Hat:Tie": (value,) * 3} for name, value in (("before", 0.4), ("directed", 0.6))}
    runs = made_up.measured({name: of | moved for name, of in worst.items()})
    made = section("side-by-side", made_up.study(*runs, pairs=[("Hat", "Tie")]))
    assert made.summary[-1] == (
        "For Hat whatever Tie is: directed, with the highest worst group, 60.0 %, clearly better than every other over "
        "3 seeds."
    )
    (table,) = blocks(made, Table)
    assert [row["on the test images"] for row in rows(table)][-2:] == [
        "worst group: Hat beside Tie",
        "logit moved by the other alone: Hat beside Tie",
    ]


def test_points_that_lie_together_have_labels_that_do_not():
    runs = [made_up.run(f"run_number_{n}", (0.9, 0.7, 0.5, 1.1, 9, 0.1), localisation=0.5) for n in range(6)]
    (figure,) = blocks(section("localisation", made_up.study(*runs)), Figure)
    heights = sorted(map(float, re.findall(r'<text[^>]* y="([\d.]+)"[^>]*>run_number', figure.picture)))
    assert len(heights) == 6
    assert min(after - before for before, after in itertools.pairwise(heights)) > 8  # the size of the letters


def test_headlines_are_rows_of_a_table_of_their_section(found):
    (table,) = blocks(section("localisation", found), Table)
    assert rows(table)[1]["localisation (1 is chance)"] == Estimate(*made_up.around(2.6))
    assert rows(table)[2]["localisation (1 is chance)"] is None
    (table,) = blocks(section("robustness", found), Table)
    assert [row["balanced accuracy under noise"] for row in rows(table)] == [
        None,
        Estimate(*made_up.around(0.57)),
        None,
    ]
    assert rows(table)[1]["identity, sigma 0.2"] == Estimate(*made_up.around(0.64))
    (table,) = blocks(section("faithfulness", found), Table)
    assert rows(table)[0]["map over random"].value == 0.9  # a measure that no page has a title for


def test_a_study_of_classes_speaks_of_no_attributes():
    several = made_up.seeded()
    with figures.style():
        made = [one(view_of(several, {})) for one in asked_about(TESTED, exclusive=True)]
    assert [one.name for one in made] == [name for name in NAMES if name != "directing"]
    drawn = markup.check(render(Front("f", "f", "Lead.", [], "name: f", "runs", "command"), {"": made}))
    assert not re.findall(r"(?i)[^.]*\b(?:attribute|face|people|person)s?\b[^.]*", drawn.all("main")[0][2])


def test_several_seeds_have_a_table_of_their_own_with_intervals_over_the_seeds():
    several = made_up.seeded()
    images, seeds = blocks(section("runs", several), Table)
    assert [row["run"] for row in rows(images)][2:4] == ["g-seed3 (baseline)", "gM-seed1 (chosen)"]
    assert images.note.endswith("There are 3 seeds for each setting.")
    base, own = rows(seeds)
    assert base["top-1 accuracy"] == Estimate(0.9, pytest.approx(0.9), pytest.approx(0.9))
    half = 4.302653 * 0.01 / 3**0.5  # t of two degrees of freedom, s = 0.01
    assert (own["setting"], own["seeds"], own["seeds shared with the baseline"]) == ("gM (chosen)", 3, 3)
    gain = own["top-1 accuracy less the baseline's, in points"]
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.02, 0.02 - half, 0.02 + half), abs=1e-7)
    assert base["top-1 accuracy less the baseline's, in points"] is None
    markup.check(page(several))


@pytest.mark.parametrize(
    ("own", "base", "verdict"),
    [
        ((0.93, 0.931, 0.932), (0.90, 0.90, 0.90), "Over 3 seeds gM is clearly better than g in top-1 accuracy."),
        ((0.89, 0.891, 0.892), (0.90, 0.90, 0.90), "Over 3 seeds gM is clearly worse than g in top-1 accuracy."),
        (
            (0.90, 0.92, 0.94),
            (0.90, 0.90, 0.90),
            "Over 3 seeds gM is not measurably different from g in top-1 accuracy.",
        ),
        ((0.95, 0.95), (0.90, 0.90), "Which has the higher top-1 accuracy nobody can say of 2 seeds: it takes 3."),
    ],
)
def test_one_setting_beats_another_only_over_three_seeds(own, base, verdict):
    several = made_up.seeded(own, base, most=0.05)
    view = view_of(several)
    assert view.beats(view.groups[1], "top1") == verdict
    if several["chosen"] == "gM":
        assert section("runs", several).summary[-1].endswith(verdict)


def test_the_page_is_whole_and_holds_every_section(found):
    drawn = markup.check(page(found))
    assert [one[1]["id"] for one in drawn.all("section")] == ["summary", *NAMES]
    assert len(drawn.all("table")) == 6
    assert all("One training run is one seed" in p[2] for p in drawn.all("p", **{"class": "note"}))
    assert not drawn.all("img")
    assert drawn.all("a", **{"class": "download"})[0][1]["download"] == "made-up-choice.csv"


def test_texts_are_escaped():
    one = made_up.run("papers", (0.9, 0.7, 0.5, 1.1, 9, 0.1), changes={"data.file": EVIL})
    drawn = markup.check(page(made_up.study(one, made_up.failed("hot", EVIL))))
    assert len(drawn.all("script")) == 1
    assert any(EVIL in p[2] for p in drawn.all("p"))


def test_results_are_plain(found):
    json.dumps(found, allow_nan=False)
