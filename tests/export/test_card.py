"""The model card says what the run's figures say, and no more."""

import copy

import numpy as np
import pytest
import yaml

from mam_keras import records
from mam_keras.analysis.result import Result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data.source import Targets
from mam_keras.export import card as room
from mam_keras.export.card import card
from tests.export.conftest import ATTRIBUTES


@pytest.fixture(scope="module")
def run(run_directory, network):
    return TrainedRun(run_directory.path)


@pytest.fixture
def figures(run, monkeypatch):
    """figures(change, gains, gain) -> the card's text, where `change` was made to the splits of evaluation.json, and
    the accuracy's gain over the majority class is `gains` (5, 3), in the mean `gain`."""
    found = records.evaluation(run.directory)

    def with_change(change=lambda _: None, gains=None, gain=(0.1, 0.05, 0.15)):
        changed = copy.deepcopy(found)
        change(changed["splits"])
        arrays = {"attributes.gain": np.array(gains or [gain] * 5), "attributes.gain.mean": np.array(gain)}
        monkeypatch.setattr(room.records, "evaluation", lambda _: changed)
        monkeypatch.setattr(room.analysis, "result_of", lambda *_: Result({"heads": ["attributes"]}, arrays))
        return " ".join(card(run).split())

    return with_change


def test_hugging_face_reads_its_front_matter(run):
    text = card(run)
    assert text.startswith("---\n")
    values = yaml.safe_load(text.split("---\n")[1])
    assert (values["library_name"], values["pipeline_tag"]) == ("keras", "image-classification")
    (result,) = values["model-index"][0]["results"]
    mean = records.evaluation(run.directory)["splits"]["test"]["heads"]["attributes"]["mean"]
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        name: round(mean[name], 4) for name in ("accuracy", "balanced_accuracy", "average_precision", "f1")
    }
    assert result["dataset"] == {"name": run.config.data.TITLE, "type": "synthetic_faces", "split": "test"}
    sections = ["## Intended use", "## Limits", "## Evaluation", "## What it looks at", "## Use"]
    assert [line for line in text.splitlines() if line.startswith("## ")] == sections
    for part in (*ATTRIBUTES, "on 64 images", "Trained for 2 epochs", "On 16 test images", "Kimura", "not stated here"):
        assert part in text


def test_sentences_follow_their_figures(figures):
    def right(splits):
        splits["test"]["heads"]["attributes"]["mean"] |= {"accuracy": 0.9, "majority_accuracy": 0.8}

    usual = "always giving training's most frequent answer (80.0 %)."
    for gain, words in (
        ((0.1, 0.05, 0.15), "clearly better than"),
        ((0.1, -0.05, 0.25), "not measurably different from"),
        ((-0.1, -0.2, -0.05), "clearly worse than"),
    ):
        assert f"Right in 90.0 % of the answers, {words} {usual}" in figures(right, gain=gain)
    gains = [(0.1, 0.05, 0.15), (0.1, -0.1, 0.2), (0.1, 0.05, 0.15), (-0.1, -0.2, -0.05), (np.nan,) * 3]
    assert (
        "Not to be relied on, for no gain over the usual answer was measured: Eyeglasses, Wearing_Hat and Bangs."
    ) in figures(gains=gains)
    assert "Not to be relied on" not in figures()
    assert "Shown by fewer than 10 test images" in figures()
    assert "nothing here says what it does on photographs" in figures()


def test_of_classes_those_that_are_not_found_are_named(figures, run, monkeypatch):
    def found(splits):
        per = splits["test"]["heads"]["attributes"]["per_attribute"]
        for name, recall in zip(ATTRIBUTES, (0.0, 0.49, 0.5, 1.0, None), strict=True):
            per[name]["balanced_accuracy"] = recall
        splits["test"]["heads"]["attributes"]["mean"] |= {"top1": 0.3, "majority_top1": 0.2}

    monkeypatch.setattr(type(run), "targets", Targets(ATTRIBUTES, exclusive=True))
    text = figures(found)
    assert "for fewer than half of their images are found: Smiling and Eyeglasses." in text
    assert "Right in 30.0 % of the images, clearly better than" in text
    assert "| target | share of images | recall |" in text


def test_what_was_not_measured_is_said_to_be_unknown(figures):
    text = figures(lambda splits: splits.clear())
    assert "How good it is, is unknown." in text and "model-index" not in text
    assert "How noise changes its answers was not measured." in text


def test_it_travels_with_the_model(exported):
    text = (exported.path / "assets.extra/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "# tiny" in text and "Covering" not in text  # that analysis was not asked for
    assert "Model card: assets.extra/MODEL_CARD.md" in exported.printed
