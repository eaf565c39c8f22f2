"""The model card says what the run's figures say, and no more."""

import copy

import pytest
import yaml

from mam_keras import records
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.export import card as room
from mam_keras.export.card import card
from tests.export.conftest import ATTRIBUTES


@pytest.fixture(scope="module")
def run(run_directory, network):
    return TrainedRun(run_directory.path)


@pytest.fixture
def figures(run, monkeypatch):
    """figures(change) -> the card where `change` was made to the head that answers, in evaluation.json."""
    found = records.evaluation(run.directory)

    def with_change(change):
        changed = copy.deepcopy(found)
        change(changed["splits"])
        monkeypatch.setattr(room.records, "evaluation", lambda _: changed)
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
    def right(value):
        def change(splits):
            splits["test"]["heads"]["attributes"]["mean"] |= {"accuracy": value, "majority_accuracy": 0.8}

        return change

    assert "right in 90.0 %, more than always giving training's most frequent answer (80.0 %)." in figures(right(0.9))
    assert "right in 79.0 %, no more than always" in figures(right(0.79))

    def poor(splits):
        per = splits["test"]["heads"]["attributes"]["per_attribute"]
        for name in ATTRIBUTES:
            per[name]["balanced_accuracy"] = 0.55 if name == "Bangs" else 0.95

    assert "(balanced accuracy under 60.0 %), not to be relied on: Bangs." in figures(poor)
    assert "Hardly better" not in figures(
        lambda splits: [one.update(balanced_accuracy=0.9) for one in _per_attribute(splits)]
    )


def _per_attribute(splits):
    return splits["test"]["heads"]["attributes"]["per_attribute"].values()


def test_what_was_not_measured_is_said_to_be_unknown(figures):
    text = figures(lambda splits: splits.clear())
    assert "How good it is, is unknown." in text and "model-index" not in text
    assert "How noise changes its answers was not measured." in text


def test_it_travels_with_the_model(exported):
    text = (exported.path / "assets.extra/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "# tiny" in text and "Covering" not in text  # that analysis was not asked for
    assert "Model card: assets.extra/MODEL_CARD.md" in exported.printed
