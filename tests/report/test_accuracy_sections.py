"""The sections made from predictions, reconstructions and history: numbers, sentences, and every kind of run."""

import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from mam_keras import analysis
from mam_keras.analysis.result import Result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data.celeba import Settings as CelebA
from mam_keras.data.source import Targets
from mam_keras.predictions import Predictions
from mam_keras.report import quoted
from mam_keras.report.blocks import Figure, Gallery, Missing, Paragraph, Table
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
from mam_keras.report.sections import classes as class_blocks
from mam_keras.statistics import Estimate

MINE = ("accuracy", "calibration", "subgroups", "mistakes")
SECTIONS = (accuracy, comparison, calibration, subgroups, mistakes, training)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """report(path, *overrides, first=None) -> `ReportedRun` with these analyses; results are kept outside the run."""

    def of(path, *overrides, first=None, names=MINE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainedRun, "folder", tmp_path_factory.mktemp("analysis"))
            run, first = TrainedRun(path, overrides), None if first is None else TrainedRun(first)
            return reported(run, *analysis.compute_missing(run, first, names=names))

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
    data = CelebA(source="celeba", directory="celeba")
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


def test_quoted_rows_are_those_of_both_papers(shared):
    papers = shared("papers")
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
    values = {"attributes": names, "exclusive": False, "images": 2000, "groups": 880, "heads": list(heads)}
    return Result(values | {"unknown": [0] * len(names), "majority": None}, arrays)


def test_the_summary_says_where_the_majority_class_does_as_well(small):
    found = result_of([[0.3, 0.2, 0.4], [0.01, -0.01, 0.02], [0.0, 0.0, 0.0]])
    section = accuracy.section(replace(small, results={"accuracy": found}), [])
    assert section.summary == (
        "On 2,000 test images from 880 people the attribute heads are right in 70.3 % (66.3 to 74.0), clearly better "
        "than always answering the majority class (60.0 %, +10.3 points (+6.3 to +14.0)).",
        "Of 3 attributes 2 are not measurably different from always answering no: Name1 and Name2.",
    )
    clearly = result_of([[0.3, 0.2, 0.4], [-0.1, -0.2, -0.05], [0.0, -0.1, 0.1]])
    clearly.arrays["attributes.positive_rate"][2] = 0.6  # then the majority answer is yes
    summary = accuracy.section(replace(small, results={"accuracy": clearly}), []).summary
    assert summary[1] == (
        "Of 3 attributes 1 is clearly worse than always answering no: Name1; 1 is not measurably different from always "
        "answering yes: Name2."
    )
    worse = accuracy.section(replace(small, results={"accuracy": result_of([[0.01, -0.1, 0.1]])}), [])
    assert "61.0 % (50.0 to 70.0), not measurably different from always answering" in worse.summary[0]
    assert "the choice of the people tested, not training" in worse.reading


@pytest.mark.parametrize(
    "difference, ending",
    [((0.01, -0.01, 0.02), "+1.00 points (-1.00 to +2.00), not measurably different."),
     ((-0.01, -0.02, -0.005), "-1.00 points (-2.00 to -0.50), clearly worse.")],
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
    assert means.rows[1][1].startswith("masked heads (Kimura & Tanaka 2019): features 8 x 8 x 8")
    assert means.rows[1][1].endswith("masks per feature; 32 px, seed 0")
    assert means.rows[1][2:5] == ("attribute heads", 24, 5)
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
    none = Result({"exclusive": False, "head": "multi_label", "wrong": 0, "answers": 10, "shown": []})
    section = mistakes.section(replace(small, results={"mistakes": none}), [])
    assert section.blocks == (Paragraph("The multi-label head is wrong in 0 of 10 answers (0.0 %)."),)


def test_reconstructions_stand_beside_the_mean_image(report, small_run):
    small = report(small_run, names=("reconstructions",))
    section = reconstructions.section(small, [])
    check(section)
    (_, inputs), (_, outputs) = block(section, "reconstructions").rows
    assert len(inputs) == len(outputs) == 8
    found = small.results["reconstructions"]
    no_better = Result(found.values, found.arrays | {"control": np.array([0.0, np.nan, np.nan])})
    section = reconstructions.section(replace(small, results={"reconstructions": no_better}), [])
    assert section.summary[0].endswith("the mean image 0.00000: not measurably different.")


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
    assert terms.rows[3][1:] == ("gamma = 4", last["reconstruction_loss"], last["val_reconstruction_loss"])
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
    settings = small.config.model_copy(update={"data": data})
    run = replace(small, config=settings, trained_with=settings, history=history[:1], evaluation=None)
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
        {"model": {"system": "attention_branch"}},
        {"model": {"system": "plain"}},
    ],
    ids=["one attribute", "one head", "an attention branch", "plain"],
)
def test_every_kind_of_run_has_its_page(report, train_small, monkeypatch, changes):
    run = report(train_small(**changes))
    monkeypatch.setattr("mam_keras.report.page.QUESTIONS", {"": [one.__name__.split(".")[-1] for one in SECTIONS]})
    html = page(run, [])
    assert "analysis.subgroups=[NAME" in html
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
    monkeypatch.setattr("mam_keras.report.page.QUESTIONS", {"": [one.__name__.split(".")[-1] for one in SECTIONS]})
    html = page(run, [replace(run, name=evil)])
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


# --- exclusive targets ---

NAMES = ("cat", "dog", "ox", "pig")


@pytest.fixture(scope="module")
def classes(small, tmp_path_factory):
    """As if four classes had been answered: 40 images, 2 of an unknown class, of a run of that kind."""
    random = np.random.default_rng(0)
    true = random.choice(4, 40, p=(0.1, 0.5, 0.3, 0.1))
    given = random.random((40, 4)) + 0.7 * np.eye(4)[true]
    labels, known = np.eye(4, dtype=bool)[true], np.ones((40, 4), bool)
    labels[:2], known[:2] = False, False
    targets, ids = Targets(NAMES, exclusive=True), np.array([f"{row}.png" for row in range(40)])
    heads = {"attributes": given / given.sum(axis=1, keepdims=True)}
    heads["attention"] = np.roll(heads["attributes"], 1, axis=1)
    answers = Predictions(ids, labels, None, heads, known, targets)
    run = SimpleNamespace(
        config=small.config,
        targets=targets,
        attributes=NAMES,
        predictions=lambda split: answers,
        training_rates=np.array([0.1, 0.5, 0.3, 0.1]),
        images=lambda split: SimpleNamespace(ids=ids, images=np.zeros((40, 8, 8, 3), np.uint8)),
    )
    results = {name: analysis.module(name).compute(run, "test") for name in ("accuracy", "calibration", "mistakes")}
    results["comparison"] = analysis.module("comparison").compute(run, "test", run)
    return replace(small, results=results, missing={}, targets=targets)


def test_classes_stand_beside_the_most_frequent_one(classes):
    section = accuracy.section(classes, [])
    check(section)
    arrays, text = classes.results["accuracy"].arrays, text_of(section)
    right = 100 * arrays["attributes.top1.mean"][0]
    assert section.summary[0].startswith(f"On 40 test images the answer is right in {right:.1f} %")
    assert "always answering dog, the most frequent class of training" in section.summary[0]
    assert "attention branch is right in" in section.summary[-1]
    assert "The class of 2 of 40 images (5.0 %) is not known" in section.blocks[0].text
    assert " attribute" not in text
    assert block(section, "accuracy-means").rows[0][:2] == (
        "top-1 accuracy",
        Estimate.of(arrays["attributes.top1.mean"]),
    )


def test_every_class_has_its_row_and_its_confusions(classes):
    section, counts = accuracy.section(classes, []), classes.results["accuracy"].arrays["confusion"]
    row = block(section, "accuracy-classes").rows[1]
    assert row[:3] == ("dog", counts[1].sum(), counts[:, 1].sum())
    assert row[3] == pytest.approx(counts[1, 1] / counts[:, 1].sum())
    assert row[4].value == pytest.approx(counts[1, 1] / counts[1].sum())
    assert block(section, "accuracy-confusion-counts").rows[2] == ("ox", *counts[2])
    figure = block(section, "accuracy-confusion")
    assert f"{100 * np.trace(counts) / counts.sum():.1f} % of the images on the diagonal" in figure.alternative
    assert all(name in figure.picture for name in NAMES)


def test_of_many_classes_the_most_frequent_confusions_are_listed():
    counts = np.zeros((30, 30), int)
    counts[3, 4], counts[5, 6], counts[5, 5] = 9, 2, 6
    names = [f"name {k}" for k in range(30)]
    found = Result({"attributes": names}, {"confusion": counts})
    table = block(SimpleNamespace(blocks=[class_blocks._confusion(found)]), "accuracy-confusions")
    assert table.rows == (("name 3", "name 4", 9, 1.0), ("name 5", "name 6", 2, 0.25))


def test_the_answers_of_classes_are_calibrated(classes):
    section, arrays = calibration.section(classes, []), classes.results["calibration"].arrays
    check(section)
    assert f"answer is off by {100 * arrays['attributes.top.error.pooled'][0]:.1f} points" in section.summary[0]
    assert "the most probable class of each image" in block(section, "calibration-pooled").caption
    assert [row[0] for row in block(section, "calibration-errors").rows] == list(NAMES)
    assert " attribute" not in text_of(section)


def test_an_error_among_classes_shows_the_answer_and_what_is_right(classes):
    section, shown = mistakes.section(classes, []), classes.results["mistakes"].values["shown"]
    check(section)
    row = block(section, "mistakes-shown").rows[0]
    assert row[:3] == (shown[0]["id"], shown[0]["attribute"], shown[0]["true"])
    ((_, cells),) = block(section, "mistakes").rows
    assert cells[0].alternative.endswith(f"answered {row[1]}, labelled {row[2]}")
    assert " attribute" not in text_of(section)


def test_runs_of_the_same_classes_are_compared(classes):
    section = comparison.section(classes, [classes])
    check(section)
    assert "(40 shared images, 4 classes)" in section.summary[0]
    assert block(section, "comparison-means").columns[5].title == "top-1 accuracy"
    assert block(section, "comparison-attributes").caption.startswith("Recall of every class")


# --- runs of the version before ---


def as_before(path, run):
    """Makes a copy of a run look like one of the version before."""
    shutil.copytree(run, path)
    settings = yaml.safe_load((path / "config.yaml").read_text())
    del settings["model"]["system"]
    settings["model"] |= settings["model"].pop("backbone")
    del settings["model"]["kind"], settings["model"]["perception"]
    (path / "config.yaml").write_text(yaml.safe_dump(settings))
    header, *rows = (path / "history.csv").read_text().splitlines()
    (path / "history.csv").write_text("\n".join([header.replace("attributes_", "attribute_"), *rows]))
    evaluation = json.loads((path / "evaluation.json").read_text())
    for split in evaluation["splits"].values():
        split.pop("unknown", None)
    for name, found in (
        ("evaluation.json", evaluation),
        ("environment.json", json.loads((path / "environment.json").read_text())),
    ):
        for key in ("digest", "files", "settings"):
            found.pop(key, None)
        (path / name).write_text(json.dumps(found))
    with np.load(path / "predictions.npz") as file:
        arrays = {name: file[name] for name in file if name not in ("names", "exclusive") and ".known" not in name}
    np.savez(path / "predictions.npz", **arrays)
    return path


def test_a_run_of_the_version_before_has_the_same_sections(report, small, small_run, tmp_path):
    old = report(as_before(tmp_path / "small", small_run), "analysis.subgroups=[Smiling, Bangs]")
    assert old.targets == small.targets
    assert old.history == small.history
    for module in SECTIONS:
        assert module.section(old, []) == module.section(small, [])
