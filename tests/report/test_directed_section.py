"""What directing did, beside the run before and its controls: numbers, sentences, and runs that are gone."""

import copy
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mam_keras import analysis, directed
from mam_keras.analysis import true_positives
from mam_keras.analysis.result import Result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data.celeba import Settings as CelebA
from mam_keras.files import digest
from mam_keras.report import figures
from mam_keras.report.beside import ANALYSES, opened_directed
from mam_keras.report.beside import beside as runs_beside
from mam_keras.report.blocks import Figure, Gallery, Missing, Table
from mam_keras.report.reported_run import reported
from mam_keras.report.sections import directed as module
from tests.report import markup

PAIR = ("Smiling", "Eyeglasses")
TOLD = {"attributes": ("Smiling",), "settings": {"loss.localisation": 1.0}}


@pytest.fixture(scope="module")
def small(small_run, tmp_path_factory):
    """`ReportedRun` of a run that was not directed, with what the section is drawn from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainedRun, "folder", tmp_path_factory.mktemp("analysis"))
        patch.setattr(true_positives, "LEAST", 1)
        run = TrainedRun(small_run, [f"analysis.pairs_of_attributes=[[{', '.join(PAIR)}]]"])
        return reported(run, *analysis.compute_missing(run, names=ANALYSES))


def changed(run, name, **arrays):
    """The same run with other arrays in one result."""
    result = run.results[name]
    other = Result(copy.deepcopy(result.values), result.arrays | arrays)
    return replace(run, results=run.results | {name: other})


def scored(run, worst, fitted=None):
    """The same run with another worst group of the first question, (value, low, high), as trained and fitted."""
    array = run.results["groups"].arrays["worst"].copy()
    array[0, 0] = worst
    array[0, 2] = fitted or worst
    return changed(run, "groups", worst=array)


def told(tmp_path):
    return directed.Directed(tmp_path / "after", tmp_path / "before", "x", tmp_path / "after/control", **TOLD)


def beside(run, tmp_path, before, control):
    before, control = (replace(one, name=name) for one, name in ((before, "before"), (control, "control")))
    return replace(run, directed=told(tmp_path), beside={"before": before, "control": control})


def ahead(run, rival, by, fitted=None):
    """A rival with what the run is ahead of it by in the first question's worst group, as trained and fitted."""
    shape = {"group": (4, 3), "worst": (3,), "apart": (3,), "accuracy": (3,), "balanced_accuracy": (3,)}
    asked, variants = (run.results["groups"].values[name] for name in ("questions", "variants"))
    arrays = {name: np.zeros((len(asked), len(variants), *rest)) for name, rest in shape.items()}
    arrays["worst"][0, 0], arrays["worst"][0, 2] = by, fitted or by
    arrays |= {f"others.{name}": np.array([-0.001, -0.003, 0.001]) for name in ("accuracy", "balanced_accuracy")}
    gains = Result({"questions": asked, "variants": variants}, arrays)
    return replace(rival, results=rival.results | {"gains": gains})


def block(section, name):
    return next(one for one in section.blocks if getattr(one, "name", None) == name)


def drawn(run):
    with figures.style():
        section = module.section(run, [])
    names = [one.name for one in section.blocks if isinstance(one, Figure | Gallery | Table)]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
    for one in section.blocks:
        if isinstance(one, Table):
            assert all(len(row) == len(one.columns) for row in one.rows), one.name
    assert not re.search(r"\bnan\b", " ".join([*section.summary, *(repr(one) for one in section.blocks)]))
    return section


def row(table, first):
    return dict(
        zip((column.title for column in table.columns), next(r for r in table.rows if r[0] == first), strict=True)
    )


def test_a_run_that_was_not_directed_gives_its_own_figures(small):
    section = drawn(small)
    assert section.title == "Pairs of attributes"
    table, arrays = block(section, "directed-pairs"), small.results["groups"].arrays
    assert [r[:2] for r in table.rows] == [PAIR, PAIR[::-1]]
    own = row(table, PAIR[0])
    assert own["without the other (E2)"].value == arrays["group"][0, 0, 1, 0]
    assert own["without the other (E2): images"] == arrays["count"][0, 1]
    assert own["worst group"].value == arrays["worst"][0, 0, 0]
    assert own["worst group, offset for the worst group"].value == arrays["worst"][0, 2, 0]
    assert own["balanced accuracy, offset for balanced accuracy"].value == arrays["balanced_accuracy"][0, 1, 0]
    regions = block(section, "directed-regions-exact")
    found, k = small.results["region_tests"], small.results["region_tests"].values["attributes"].index("Smiling")
    assert row(regions, "Smiling")["region covered"].value == found.arrays["exact.balanced_accuracy"][k, 3, 0]
    assert row(regions, "Smiling")["logit moved: region covered"].value == found.arrays["exact.change"][k, 3, 0]


def test_the_worst_group_is_named_with_its_images(small):
    arrays = small.results["groups"].arrays
    group, worst = arrays["group"].copy(), arrays["worst"].copy()
    group[:, 0], worst[:, 0] = (0.5, 0.4, 0.6), (0.5, 0.4, 0.6)
    group[1, 0, 1], worst[1, 0] = (0.05, 0.01, 0.2), (0.05, 0.01, 0.2)
    text = drawn(changed(small, "groups", group=group, worst=worst)).summary[0]
    images = arrays["count"][1, 1]
    assert text.startswith("Of the pairs looked at Eyeglasses has the worst group beside Smiling: Eyeglasses without ")
    assert f"Smiling, {images} image" in text and "right in 5.0 % (1.0 to 20.0); with an offset" in text


HIGH, MIDDLE, LOW = (0.9, 0.85, 0.95), (0.8, 0.7, 0.88), (0.4, 0.3, 0.5)


@pytest.mark.parametrize(
    ("ours", "before", "fitted", "control", "said"),
    [
        (HIGH, LOW, LOW, LOW, "(clearly better here). No control does as well."),
        (HIGH, LOW, LOW, MIDDLE, "The same fine-tuning without the regions does as well, as far as these images show."),
        (HIGH, LOW, MIDDLE, LOW, "The run before with a fitted offset does as well, as"),
        (
            HIGH,
            LOW,
            HIGH,
            MIDDLE,
            "The same fine-tuning without the regions and the run before with a fitted offset do as well, as",
        ),
        (HIGH, MIDDLE, LOW, LOW, "80.0 % (70.0 to 88.0) (the intervals overlap); the same fine-tuning"),
        (LOW, HIGH, HIGH, HIGH, "90.0 % (85.0 to 95.0) (clearly worse here). That is worse than before."),
    ],
)
def test_every_verdict_follows_from_the_intervals(small, tmp_path, ours, before, fitted, control, said):
    run = beside(scored(small, ours), tmp_path, scored(small, before, fitted), scored(small, control))
    section = drawn(run)
    text = section.summary[0]
    assert text.startswith("Smiling beside Eyeglasses, the worst of the four groups: ")
    assert said in text
    assert (" as well" in text) == (ours == HIGH and before == LOW)
    assert ("No gain was measured." in text) == (before == MIDDLE)
    assert section.summary[-1].endswith("(the intervals overlap).")
    table = row(block(section, "directed-1-groups"), "the worst of the four")
    assert table["this run"].value == ours[0]
    assert table["the run before (before)"].value == before[0]
    assert table["the same fine-tuning without the regions (control)"].value == control[0]
    assert table["the run before (before), offset for the worst group"].value == fitted[0]


PLAIN, NONE, LESS = (0.05, 0.01, 0.09), (0.05, -0.01, 0.09), (-0.05, -0.09, -0.01)
PLAIN_SAID = "+5.0 points (+1.0 to +9.0) here, clearly better"


@pytest.mark.parametrize(
    ("before", "fitted", "control", "said"),
    [
        (PLAIN, PLAIN, PLAIN, f"without the regions 80.0 % (70.0 to 88.0): {PLAIN_SAID}; the run before with a fitted"),
        (PLAIN, PLAIN, PLAIN, "No control does as well."),
        (PLAIN, PLAIN, NONE, "The same fine-tuning without the regions does as well, as far as these images show."),
        (PLAIN, NONE, PLAIN, "The run before with a fitted offset does as well, as"),
        (NONE, NONE, NONE, ": +5.0 points (-1.0 to +9.0) here, not measurably different; the same"),
        (NONE, NONE, NONE, "No gain was measured."),
        (LESS, LESS, LESS, "That is worse than before."),
    ],
)
def test_on_the_same_images_every_verdict_follows_from_the_paired_difference(
    small, tmp_path, before, fitted, control, said
):
    """All intervals overlap: of them alone nothing would follow."""
    run, rival = scored(small, MIDDLE), scored(small, MIDDLE, HIGH)
    section = drawn(beside(run, tmp_path, ahead(run, rival, before, fitted), ahead(run, rival, control)))
    text = section.summary[0]
    assert text.startswith("Smiling beside Eyeglasses, the worst of the four groups: 80.0 % (70.0 to 88.0); the run")
    assert said in text and "overlap" not in text
    assert section.summary[-1].endswith(": -0.1 points (-0.3 to +0.1) here, not measurably different.")
    table = row(block(section, "directed-1-gains"), "the worst of the four")
    assert table["the run before (before)"].value == before[0]
    assert table["the run before (before), offset for the worst group"].low == fitted[1]
    assert table["the same fine-tuning without the regions (control)"].high == control[2]


def test_a_logit_that_the_other_attribute_moves_less_is_the_better_one(small, tmp_path):
    names = small.results["toggling"].values["attributes"]
    place = names.index("Eyeglasses"), names.index("Smiling")

    def moved(value):
        effects = small.results["toggling"].arrays["effects"].copy()
        effects[place] = value, value - 0.1, value + 0.1
        return changed(small, "toggling", effects=effects)

    def said(*values):
        ours, *others = map(moved, values)
        return next(one for one in drawn(beside(ours, tmp_path, *others)).summary if one.startswith("Eyeglasses put"))

    assert said(0.2, 2, 1.9).endswith("1.90 (1.80 to 2.00) (clearly better here). No control does as well.")
    assert said(0.2, 2, 0.25).endswith(
        "The same fine-tuning without the regions does as well, as far as these images show."
    )
    assert said(2, 0.2, 0.2).endswith("(clearly worse here). That is worse than before.")
    assert said(-2, 0.2, 0.2).endswith("(clearly worse here). That is worse than before.")  # whatever the sign
    assert said(-0.2, 0.2, 0.2).endswith("No gain was measured.")


def test_maps_of_all_runs_stand_on_the_same_images(small, tmp_path):
    other = changed(small, "pair_maps", maps=255 - small.results["pair_maps"].arrays["maps"])
    gallery = block(drawn(beside(small, tmp_path, other, small)), "directed-maps")
    assert gallery.cell_width == 300
    assert [title for title, _ in gallery.rows] == ["Smiling with Eyeglasses", "Smiling without Eyeglasses"]
    ids = small.results["pair_maps"].arrays["ids"][0]
    assert [cell.alternative.split(" on ")[1].split(",")[0] for cell in gallery.rows[0][1]] == [i for i in ids[0] if i]
    elsewhere = np.where(small.results["pair_maps"].arrays["ids"] == ids[0, 0], "another", ids)
    moved = changed(small, "pair_maps", ids=elsewhere.reshape(small.results["pair_maps"].arrays["ids"].shape))
    fewer = block(drawn(beside(small, tmp_path, moved, small)), "directed-maps")
    assert len(fewer.rows[0][1]) == len(gallery.rows[0][1]) - 1


def test_runs_that_are_gone_are_said_and_the_rest_is_drawn(small, tmp_path):
    run = beside(small, tmp_path, small, small)
    gone = replace(run, beside={"before": "runs/before: no such run", "control": run.beside["control"]})
    section = drawn(gone)
    (why,) = [one.text for one in section.blocks if isinstance(one, Missing)]
    assert why == "Not shown, the run before: runs/before: no such run."
    titles = [column.title for column in block(section, "directed-1-groups").columns]
    assert titles[-1] == "this run, offset for the worst group"
    unfinished = replace(small, results={}, missing={"groups": "the run is not finished"})
    section = drawn(replace(run, beside=run.beside | {"control": unfinished}))
    assert any(
        "without the regions: the run is not finished" in one.text for one in section.blocks if isinstance(one, Missing)
    )
    drawn(replace(run, beside={}))


def test_what_the_paper_prints_is_quoted_for_its_own_pairs_alone(small, tmp_path):
    asked = [{"attribute": a, "other": b, "correlation": 0.8} for a, b in (("High_Cheekbones", "Smiling"),) * 2]
    result = small.results["groups"]
    cheeks = replace(
        small,
        results={"groups": Result(result.values | {"questions": asked}, result.arrays)},
        config=small.config.model_copy(update={"data": CelebA(source="celeba", directory="celeba")}),
    )
    table = block(drawn(beside(cheeks, tmp_path, cheeks, cheeks)), "directed-1-quoted")
    assert table.rows[0] == ("Pre-trained", *map(pytest.approx, (0.6353, 0.7022, 0.4741)))
    assert "84 % of them for High_Cheekbones" in table.note and "implausibly low" in table.note
    assert "(quoted)" in table.caption
    names = [getattr(one, "name", "") for one in drawn(beside(small, tmp_path, small, small)).blocks]
    assert "directed-1-quoted" not in names


@pytest.fixture(scope="module")
def three(small_run, tmp_path_factory):
    """A directed run as `direct` leaves it, the run before beside it, and its control within; all the same network."""
    folder = tmp_path_factory.mktemp("directed")
    before, after = (shutil.copytree(small_run, folder / name) for name in ("before", "after"))
    control = shutil.copytree(small_run, after / "control")
    directed.write(directed.Directed(after, before, digest(before / "model.keras"), control, **TOLD))
    return before, after


def test_the_page_of_a_directed_run_opens_the_others_and_keeps_their_results(three, copied, reported):
    folder = copied(three[0].parent)
    before, after = folder / "before", folder / "after"
    page = reported(after)
    found = markup.check(page)
    assert "Directed: before and after" in [one[2] for one in found.all("h3")]
    for name in ("maps", "1-groups", "1-gains"):
        assert found.all("figure", id=f"figure-directed-{name}")
    for run in (before, after, after / "control"):
        kept = json.loads((run / "analysis/groups.test.json").read_text())["values"]["questions"]
        assert [(one["attribute"], one["other"]) for one in kept]
        assert (run / "analysis/pair_maps.test.json").exists()
    assert len([*after.glob("analysis/gains-*.test.json")]) == 1  # both others have the same answers
    assert "+0.0 points (+0.0 to +0.0) here, not measurably different" in page  # all three are the same network
    assert "does as well, as far" not in page
    shutil.rmtree(before)
    shutil.rmtree(after / "control")
    missing = " ".join(one[2] for one in markup.check(reported(after)).all("p", **{"class": "missing"}))
    assert "Not shown, the run before" in missing and "Not shown, the same fine-tuning" in missing


def test_a_run_before_that_was_trained_anew_is_not_taken_for_it(three, copied):
    folder = copied(three[0].parent)
    model = folder / "before/model.keras"
    model.write_bytes(model.read_bytes() + b"x")
    shutil.rmtree(folder / "after/control")
    found = runs_beside(TrainedRun(folder / "after"), {})
    assert found["before"].endswith("before has another model than the one that was directed, or none")
    assert "no such run" in found["control"]


def test_regions_of_directing_serve_where_nothing_else_says_where_attributes_are(tmp_path, classes_run):
    after = shutil.copytree(classes_run, tmp_path / "after")
    assert opened_directed(after).config.analysis.regions is None
    directed.write(replace(told(tmp_path), path=after, control=after / "control"))
    assert opened_directed(after).config.analysis.regions == str(after / "regions.yaml")
    (after / "mine.yaml").write_text("")
    named = opened_directed(after, [f"analysis.regions={after / 'mine.yaml'}"])
    assert named.config.analysis.regions == str(after / "mine.yaml")


def test_a_run_that_was_not_directed_stands_alone(trained):
    assert runs_beside(trained, {}) == {}
