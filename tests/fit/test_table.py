"""The table at the end of `fit`, against figures worked out by hand."""

from dataclasses import replace

import numpy as np

from mam_keras.data.source import Targets
from mam_keras.evaluation import evaluate
from mam_keras.fit.table import table
from mam_keras.predictions import Predictions

GROUPS = np.random.default_rng(1).integers(0, 20, 60)
NAMES = ("Smiling", "Bald", "Hat", "Young", "An_attribute_with_a_name_that_is_far_too_long_for_a_table")


def random_predictions(groups=None):
    generator = np.random.default_rng(0)
    labels = generator.random((60, 5)) < generator.uniform(0.2, 0.7, 5)
    heads = {
        head: np.clip(0.3 + 0.4 * labels + generator.normal(0, noise, (60, 5)), 0, 1)
        for head, noise in (("attributes", 0.2), ("multi_label", 0.4))
    }
    return Predictions(np.arange(60).astype(str), labels, groups, heads, targets=Targets(NAMES))


def rows_of(text):
    """Up to the notes."""
    lines = text[: text.index("95 % interval, from")].splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines[1:] if line.strip()}


def test_the_table_shows_what_was_worked_out_by_hand():
    labels = np.array([[True, False], [False, False], [True, False], [False, False], [True, False], [False, False]])
    probabilities = np.stack([[0.9, 0.8, 0.7, 0.5, 0.4, 0.2], [0.1] * 6], axis=1)
    targets = Targets(("Hat", "Bald"))
    predictions = Predictions(np.arange(6), labels, None, {"attributes": probabilities}, targets=targets)
    text = table({"splits": {"test": evaluate(predictions, np.array([0.25, 0.1]), 20)}})
    lines = text.splitlines()
    assert lines[0] == "test: 6 images, in percent"
    rows = rows_of(text)
    assert rows["attribute"] == ["positive", "majority", "accuracy", "balanced", "AP", "F1"]
    assert rows["Hat"] == ["50.0", "50.0", "50.0", "50.0", "75.6", "57.1"]
    assert rows["Bald"] == ["0.0", "100.0", "100.0", "–", "–", "–"]  # noqa: RUF001
    assert rows["mean"] == ["25.0", "75.0", "75.0", "50.0", "75.6", "57.1"]
    assert "left out of the mean, number of attributes, attribute heads: balanced 1, AP 1, F1 1." in text
    assert "most often Bald (20 of 20)." in " ".join(text.split())


def test_the_table_fits_its_width_and_says_what_intervals_cover():
    evaluations = {
        "validation": evaluate(random_predictions(), np.full(5, 0.4), 40),
        "test": evaluate(random_predictions(groups=GROUPS), np.full(5, 0.4), 40),
    }
    text = table({"splits": evaluations})
    assert max(map(len, text.splitlines())) == 100
    assert any(line.startswith("An_attribute_with_a_name") and "… " in line for line in text.splitlines())
    sentences = " ".join(text.split())
    assert "of the 60 images. They cover the choice of these images, not training" in sentences
    people = f"of the {len(set(GROUPS))} groups (people). They cover the choice of these groups, not training"
    assert people in sentences
    low = next(line for line in text.splitlines() if line.startswith("95 % interval, from")).split()[4:]
    heads = evaluations["validation"]["heads"]
    assert low[2] == f"{100 * heads['attributes']['interval']['accuracy'][0]:.1f}"
    assert low[-1] == f"{100 * heads['multi_label']['interval']['average_precision'][0]:.1f}"


def test_the_table_of_a_model_with_one_head_has_that_head_only():
    predictions = random_predictions()
    predictions = replace(predictions, probabilities={"multi_label": predictions.probabilities["multi_label"]})
    text = table({"splits": {"test": evaluate(predictions, np.full(5, 0.4), 20)}})
    assert "multi-label head" in text
    assert "attribute heads" not in text


def test_labels_that_are_not_known_are_counted():
    predictions = random_predictions()
    known = np.ones((60, 5), bool)
    known[:7, 1] = False
    predictions = replace(predictions, labels=predictions.labels & known, known=known)
    sentences = " ".join(table({"splits": {"test": evaluate(predictions, np.full(5, 0.4), 20)}}).split())
    assert "Labels that are not known, which count nowhere: 7 of 300." in sentences


def classes(names):
    # Classes 0, 0, 1, 2, 2 and one of unknown class; answers 0, 1, 1, 0, 2.
    labels = np.concatenate([np.eye(3, dtype=bool)[[0, 0, 1, 2, 2]], np.zeros((1, 3), bool)])
    probabilities = np.array([[6, 3, 1], [1, 8, 1], [2, 5, 3], [4, 2, 4], [2, 1, 7], [1, 1, 8]]) / 10
    heads = {"attention": probabilities, "attributes": probabilities}
    known = np.repeat(np.arange(6)[:, None] < 5, 3, axis=1)
    return Predictions(np.arange(6).astype(str), labels, None, heads, known, Targets(names, exclusive=True))


def test_the_table_of_classes_shows_what_was_worked_out_by_hand():
    text = table({"splits": {"test": evaluate(classes(("cat", "dog", "bird")), np.array([0.2, 0.3, 0.5]), 20)}})
    rows = rows_of(text)
    assert rows["class"] == ["share", "recall", "AP", "F1", "recall", "AP"]
    assert rows["cat"] == ["40.0", "50.0", "70.0", "50.0", "50.0", "70.0"]
    assert rows["dog"] == ["20.0", "100.0", "50.0", "66.7", "100.0", "50.0"]
    assert rows["bird"] == ["40.0", "50.0", "100.0", "66.7", "50.0", "100.0"]
    assert rows["mean"] == ["33.3", "66.7", "73.3", "61.1", "66.7", "73.3"]
    sentences = " ".join(text.split())
    assert "top-1, attention branch: 60.0 % of the images (95 % interval" in sentences
    assert "always answering the class most frequent in training: 40.0 %." in sentences
    assert "Images of unknown class, which count nowhere: 1 of 6." in sentences
    assert "their mean is the balanced accuracy" in sentences
    assert "at least 50 %" not in sentences


def test_the_table_of_classes_fits_its_width():
    text = table({"splits": {"test": evaluate(classes(("cat", "x" * 90, "bird")), np.full(3, 1 / 3), 20)}})
    assert max(map(len, text.splitlines())) <= 100
