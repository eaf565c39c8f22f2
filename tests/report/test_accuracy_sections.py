"""The sections made from predictions, reconstructions and history: numbers, sentences, and every kind of run."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mam_keras import analysis
from mam_keras.analysis.result import Result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.config import CelebAData
from mam_keras.report import quoted
from mam_keras.report.blocks import Estimate, Figure, Gallery, Missing, Paragraph, Table
from mam_keras.report.page import page
from mam_keras.report.reported_run import reported
from mam_keras.report.sections import (
    accuracy,
    calibration,
    comparison,
    mistakes,
    reconstructions,
    subgroups,
    training,
)

MINE = ("accuracy", "calibration", "subgroups", "mistakes", "reconstructions")
SECTIONS = (accuracy, comparison, calibration, subgroups, mistakes, reconstructions, training)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """report(path, *overrides, first=None) -> `ReportedRun` with these analyses; results are kept outside the run."""

    def of(path, *overrides, first=None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(analysis, "ANALYSES", MINE)
            patch.setattr(TrainedRun, "folder", tmp_path_factory.mktemp("analysis"))
            run = TrainedRun(path, overrides)
            return reported(run, *analysis.compute_missing(run, None if first is None else TrainedRun(first)))

    return of


@pytest.fixture(scope="module")
def small(report, small_run):
    return report(small_run, "analysis.subgroups=[Smiling, Bangs]")


@pytest.fixture(scope="module")
def other(report, train_small, small_run):
    """Another run, without multi-label head and reconstructor, compared with the small one."""
    return report(train_small(model={"multi_label_head": False, "reconstructor": False}), first=small_run)


def block(section, name):
    return next(one for one in section.blocks if getattr(one, "name", None) == name)


def celeba(run):
    data = CelebAData(source="celeba", directory="celeba")
    return replace(run, config=run.config.model_copy(update={"data": data}))


def text_of(section):
    return " ".join([section.reading, *section.summary, *(repr(one) for one in section.blocks)])


def check(section):
    """What holds of every section."""
    names = [one.name for one in section.blocks if isinstance(one, Figure | Gallery | Table)]
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in [section.name, *names])
    for one in section.blocks:
        if isinstance(one, Table):
            assert all(len(row) == len(one.columns) for row in one.rows)
    assert not re.search(r"\bnan\b", text_of(section))


# --- the quoted figures ---


def test_the_printed_average_does_not_follow_from_the_printed_rows():
    means = np.mean([row[1:] for row in quoted.ACCURACY.values()], axis=0)
    assert len(quoted.ACCURACY) == 40
    assert means[0] == pytest.approx(90.17, abs=0.005)
    assert quoted.PRINTED_AVERAGE[0] == 92.05
    np.testing.assert_allclose(means[1:], quoted.PRINTED_AVERAGE[1:], atol=0.5)  # printed without decimals


def test_quoted_rows_are_those_of_both_papers():
    papers = Path(__file__).parents[3] / "shared" / "papers"
    if not papers.is_dir():
        pytest.skip("the papers are not beside the repository")
    for file, divider in (
        ("multi-channel-attentional-sub-networks.1904.13078.txt", "\t"),
        ("intentional-attention-mask-transformation.1905.02719.txt", "|"),
    ):
        text = (papers / file).read_text(encoding="utf-8").replace("<b>", "").replace("</b>", "")
        lines = ([cell.strip() for cell in line.strip("|").split(divider)][:5] for line in text.splitlines())
        printed = [line for line in lines if len(line) == 5 and re.fullmatch(r"\d\d\.\d\d", line[1])]
        rows = [[name, *map(float, values)] for name, *values in printed]
        expected = [list(row) for row in quoted.ACCURACY.values()]
        assert rows == [*expected, ["Average", *quoted.PRINTED_AVERAGE]]
    ablation = dict(re.findall(r"^(Ours[^|]*?) \| ([\d.]+) \|$", text, re.MULTILINE))
    assert {name: float(value) for name, value in ablation.items()} == dict(quoted.ABLATION.values())


def test_quoted_columns_stand_beside_runs_on_celeba_alone(small):
    assert "quoted" not in text_of(accuracy.section(small, []))
    section = accuracy.section(celeba(small), [])
    check(section)
    rows = {row[0]: row for row in block(section, "accuracy-attributes").rows}
    assert rows["Mouth_Slightly_Open"][-4:] == pytest.approx((0.9367, 0.82, 0.92, 0.87))
    means = block(section, "accuracy-quoted-means")
    own = [quoted.ACCURACY[name][1] for name in small.results["accuracy"].values["attributes"]]
    assert means.rows[0][1:] == pytest.approx((0.9205, 0.901733, np.mean(own) / 100), abs=1e-5)
    assert "5 of the 40" in means.caption
    assert "whose 40 rows average 90.17" in means.note


# --- accuracy ---


def result_of(gains, heads=("attributes",), difference=None):
    """What the analysis found: attributes of these gains (value, low, high) over a majority class of 60 %."""
    gains = np.array(gains, float)
    arrays = {}
    for head in heads:
        accuracies = 0.6 + gains
        arrays |= {f"{head}.{m}": accuracies for m in ("accuracy", "balanced_accuracy", "average_precision", "f1")}
        arrays |= {f"{head}.majority_accuracy": np.full(gains.shape, 0.6), f"{head}.gain": gains}
        arrays[f"{head}.positive_rate"] = np.full(gains.shape, 0.4)
    if difference is not None:
        arrays |= {f"difference.{m}": np.array([difference] * len(gains)) for m in ("accuracy", "f1")}
    arrays |= {f"{name}.mean": values.mean(axis=0) for name, values in arrays.items()}
    names = [f"Name{k}" for k in range(len(gains))]
    return Result({"attributes": names, "images": 2000, "groups": 880, "heads": list(heads)}, arrays)


def test_the_summary_says_where_the_majority_class_does_as_well(small):
    found = result_of([[0.3, 0.2, 0.4], [0.01, -0.01, 0.02], [0.0, 0.0, 0.0]])
    section = accuracy.section(replace(small, results={"accuracy": found}), [])
    assert section.summary == (
        "On 2,000 test images of 880 people the attribute heads are right in 70.3 % (66.3 to 74.0), 10.3 points above "
        "always answering the majority class (60.0 %).",
        "Of 3 attributes 2 are not measurably better answered than by the majority class: Name1, Name2.",
    )
    worse = accuracy.section(replace(small, results={"accuracy": result_of([[0.01, -0.1, 0.1]])}), [])
    assert "61.0 % (50.0 to 70.0), not measurably better than always answering" in worse.summary[0]
    assert "the choice of the people tested, not training" in worse.reading


@pytest.mark.parametrize(
    "difference, ending",
    [((0.01, -0.01, 0.02), "+1.00 points (-1.00 to +2.00), no difference that these images could show."),
     ((-0.01, -0.02, -0.005), "-1.00 points (-2.00 to -0.50).")],
)  # fmt: skip
def test_the_summary_compares_the_heads(small, difference, ending):
    found = result_of([[0.3, 0.2, 0.4]], ("attributes", "multi_label"), difference)
    section = accuracy.section(replace(small, results={"accuracy": found}), [])
    assert section.summary[-1].endswith(f"attribute heads minus multi-label head: {ending}")
    check(section)


def test_the_tables_hold_the_analysis_numbers(small):
    section, arrays = accuracy.section(small, []), small.results["accuracy"].arrays
    check(section)
    row = block(section, "accuracy-attributes").rows[1]
    assert row[:2] == ("Eyeglasses", arrays["attributes.majority_accuracy"][1, 0])
    assert [cell.value for cell in row[2:]] == [
        arrays[f"{name}"][1, 0] for name in ("attributes.accuracy", "multi_label.accuracy", "attributes.gain")
    ]
    beyond = block(section, "accuracy-beyond")
    assert len(beyond.columns) == 8
    assert beyond.rows[4][7] == Estimate.of(arrays["multi_label.f1"][4])
    assert beyond.rows[0][1] == arrays["attributes.positive_rate"][0, 0]


def test_many_attributes_are_drawn_in_part_and_listed_in_full(small):
    found = result_of([[k / 1000, 0, 0.3] for k in range(80)])
    section = accuracy.section(replace(small, results={"accuracy": found}), [])
    picture = block(section, "accuracy-by-attribute")
    assert "60 with the largest and the smallest gain of 80" in picture.caption
    assert picture.picture.count("Name") == 60
    assert len(block(section, "accuracy-attributes").rows) == 80


# --- several runs ---


def test_a_single_run_says_how_to_compare(small):
    section = comparison.section(celeba(small), [])
    assert isinstance(section.blocks[0], Paragraph)
    assert "python -m mam_keras.report RUN OTHER" in section.blocks[0].text
    assert "1905.02719, table 1" in section.blocks[0].text


def test_every_other_run_has_its_column_and_its_paired_difference(small, other):
    section = comparison.section(small, [other, other])
    check(section)
    table, arrays = block(section, "comparison-attributes"), other.results["comparison"].arrays
    assert [column.title for column in table.columns[:4]] == [
        "attribute",
        "small",
        "small #2",
        "small #2 minus small, in points",
    ]
    assert table.rows[2][1:4] == tuple(map(Estimate.of, arrays["accuracy"][2]))
    assert table.rows[2][2:4] == table.rows[2][4:6]
    means = block(section, "comparison-means")
    assert means.rows[1][1:5] == ("masks per_feature, C = 8, 32 px, seed 0", "attribute heads", 24, 5)
    assert means.rows[1][7] == Estimate.of(arrays["accuracy.mean"][2])
    assert len(section.summary) == 2
    assert "(24 shared images, 5 attributes)" in section.summary[0]


def test_an_attribute_that_one_of_the_others_lacks_is_undefined_there(small, other):
    found = other.results["comparison"]
    fewer = Result(
        found.values | {"attributes": found.values["attributes"][1:]},
        found.arrays | {"accuracy": found.arrays["accuracy"][1:]},
    )
    section = comparison.section(small, [replace(other, results={"comparison": fewer}), other])
    rows = {row[0]: row for row in block(section, "comparison-attributes").rows}
    assert rows["Smiling"][2:4] == (None, None)
    assert rows["Smiling"][4] == Estimate.of(found.arrays["accuracy"][0, 1])


def test_the_papers_ablation_stands_beside_the_runs_made_so(small, other):
    assert "comparison-ablation" not in text_of(comparison.section(small, [other]))
    section = comparison.section(celeba(small), [other])
    rows = block(section, "comparison-ablation").rows
    assert [row[1] for row in rows] == pytest.approx([0.9205, 0.8914, 0.8812, 0.8658])
    assert [row[2] for row in rows] == ["small", None, None, "small #2"]
    assert rows[3][3] == Estimate.of(other.results["comparison"].arrays["accuracy.mean"][1])
    assert section.answers == "1905.02719, table 1"


def test_a_run_that_cannot_be_compared_is_named_with_the_reason(small, other):
    apart = replace(other, name="apart", results={}, missing={"comparison": "it has none of the same attributes"})
    section = comparison.section(small, [apart])
    assert section.blocks == (Missing("apart: it has none of the same attributes."),)
    assert not section.summary
    assert len(comparison.section(small, [apart, other]).blocks) == 3


# --- the others ---


def test_calibration_says_what_chance_alone_leaves(small):
    section, arrays = calibration.section(small, []), small.results["calibration"].arrays
    check(section)
    error, chance = arrays["attributes.error.mean"]
    assert f"off by {100 * error:.1f} points" in section.summary[0]
    assert f"{100 * chance:.1f} by chance alone" in section.summary[0]
    assert block(section, "calibration-errors").rows[3][1:3] == tuple(arrays["attributes.error"][3])


def test_subgroups_stand_beside_the_majority_class(small):
    section, arrays = subgroups.section(small, []), small.results["subgroups"].arrays
    check(section)
    assert [one.name for one in section.blocks] == ["subgroups", "subgroups-1", "subgroups-2"]
    means = block(section, "subgroups").rows
    assert [row[:2] for row in means[:2]] == [("Smiling", "accuracy"), ("Smiling", "majority class")]
    assert means[1][4:] == tuple(map(Estimate.of, arrays["majority_accuracy.mean"][0]))
    assert "Smiling" not in [row[0] for row in block(section, "subgroups-1").rows]
    assert section.summary[0].startswith("With Smiling the attribute heads answer right in")


def test_mistakes_are_shown_by_what_was_answered(small):
    section, shown = mistakes.section(small, []), small.results["mistakes"].values["shown"]
    check(section)
    cells = [cell for _, row in block(section, "mistakes").rows for cell in row]
    assert len(cells) == len(shown)
    assert all(cell.picture.startswith(b"\x89PNG") for cell in cells)
    none = Result({"head": "multi_label", "wrong": 0, "answers": 10, "shown": []})
    section = mistakes.section(replace(small, results={"mistakes": none}), [])
    assert section.blocks == (Paragraph("The multi-label head is wrong in 0 of 10 answers (0.0 %)."),)


def test_reconstructions_stand_beside_the_mean_image(small):
    section = reconstructions.section(small, [])
    check(section)
    (_, inputs), (_, outputs) = block(section, "reconstructions").rows
    assert len(inputs) == len(outputs) == 8
    found = small.results["reconstructions"]
    no_better = Result(found.values, found.arrays | {"control": np.array([0.0, np.nan, np.nan])})
    section = reconstructions.section(replace(small, results={"reconstructions": no_better}), [])
    assert "the mean image does no worse" in section.summary[0]


def test_training_shows_every_term_and_which_weights_were_kept(small):
    section = training.section(small, [])
    check(section)
    terms = block(section, "training-terms")
    last = small.history[-1]
    assert [row[0].partition(",")[0] for row in terms.rows[1:]] == [
        "attribute heads",
        "multi-label head",
        "reconstruction",
        "masks",
    ]
    assert terms.rows[3][1:] == ("4", last["reconstruction_loss"], last["val_reconstruction_loss"])
    assert sum(row[2] for row in terms.rows[1:]) == pytest.approx(terms.rows[0][2])
    stopped = small.config.model_copy(
        update={"training": small.config.training.model_copy(update={"early_stopping": 1})}
    )
    rows = [{**last, "epoch": 1.0, "val_loss": 2.0}, {**last, "epoch": 2.0, "val_loss": 3.0}]
    section = training.section(replace(small, config=stopped, history=rows), [])
    assert "weights of epoch 1," in section.blocks[0].text
    assert "in epoch 1," in block(section, "training-terms").caption


def test_training_without_validation_or_unfinished_or_not_begun(small):
    data = small.config.data.model_copy(update={"train_on_validation": True})
    history = [{name: value for name, value in row.items() if not name.startswith("val_")} for row in small.history]
    run = replace(small, config=small.config.model_copy(update={"data": data}), history=history[:1], evaluation=None)
    section = training.section(run, [])
    check(section)
    assert section.blocks[0] == Paragraph("Training is not finished: 1 of 2 epochs.")
    assert section.blocks[1] == Missing(
        "There are no curves of validation images: they were trained on (data.train_on_validation)."
    )
    assert isinstance(training.section(replace(small, history=[]), []).blocks[0], Missing)


# --- kinds of runs ---


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"attributes": ("Bangs",)}},
        {"model": {"attribute_heads": False, "reconstructor": False}},
    ],
    ids=["one attribute", "one head"],
)
def test_every_kind_of_run_has_its_page(report, train_small, monkeypatch, changes):
    run = report(train_small(**changes))
    monkeypatch.setattr("mam_keras.report.page.SECTIONS", tuple(module.__name__.split(".")[-1] for module in SECTIONS))
    html = page(run, [])
    assert "analysis.subgroups=[NAME" in html
    assert ("without a reconstructor" in html) == ("model" in changes)
    for module in SECTIONS:
        if not set(module.NEEDS) & set(run.missing):
            check(module.section(run, []))


def test_names_are_never_markup(small, other, monkeypatch):
    evil = "<script>alert('$x$')</script>/../$\\frac{"
    results = {}
    for name, found in {**small.results, **other.results}.items():
        values = {
            key: [evil if one == "Smiling" else one for one in value] if isinstance(value, list) else value
            for key, value in found.values.items()
        }
        if name == "mistakes":
            values["shown"] = [error | {"attribute": evil, "id": evil} for error in values["shown"]]
        results[name] = Result(values, found.arrays)
    run = replace(small, results=results)
    monkeypatch.setattr("mam_keras.report.page.SECTIONS", tuple(module.__name__.split(".")[-1] for module in SECTIONS))
    html = page(run, [replace(run, name=evil)])
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
