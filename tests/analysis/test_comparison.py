"""Two runs on the same images, and how a comparison is kept."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras import analysis
from mam_keras.analysis import Unavailable, comparison
from mam_keras.analysis.accuracy import compared
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data.source import Targets
from mam_keras.predictions import Predictions
from mam_keras.statistics import resample_weights


def run_of(ids, attributes, labels, right, groups=None, heads=("attributes",), known=None, exclusive=False):
    """As much of a `TrainedRun` as a comparison asks for: answers that are right where `right` says so."""
    labels, right = np.array(labels, bool), np.array(right, bool)
    probabilities = dict.fromkeys(heads, np.where(labels == right, 0.9, 0.1))
    groups, known = (None if given is None else np.array(given) for given in (groups, known))
    targets = Targets(tuple(attributes), exclusive)
    predictions = Predictions(np.array(ids), labels, groups, probabilities, known, targets)
    return SimpleNamespace(
        config=SimpleNamespace(analysis=SimpleNamespace(resamples=50), seed=0),
        attributes=attributes,
        predictions=lambda split: predictions,
        training_rates=np.full(len(attributes), 0.5),
    )


FIRST = run_of(
    ["a", "b", "c", "d", "e"],
    ("Hat", "Smile", "Beard"),
    [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]],
    [[1, 1, 1], [0, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 1]],
    groups=[7, 7, 8, 9, 9],
)
OTHER = run_of(  # d, c, b, x in another order of attributes; without Beard
    ["d", "c", "b", "x"],
    ("Smile", "Hat"),
    [[0, 0], [1, 1], [1, 0], [0, 0]],
    [[1, 1], [1, 1], [0, 1], [1, 1]],
    heads=("multi_label",),
)


def test_runs_are_compared_on_the_images_and_attributes_they_share():
    found = comparison.compute(FIRST, "test", OTHER)
    assert found.values == {
        "attributes": ["Hat", "Smile"],
        "exclusive": False,
        "images": 3,
        "of": [[5, 3], [4, 2]],
        "heads": ["attributes", "multi_label"],
    }
    # On b, c, d the first is right about Hat in 1 of 3 and about Smile in 2 of 3; the other in 3 of 3 and in 2 of 3.
    third = 1 / 3
    np.testing.assert_allclose(found.arrays["accuracy"][:, :, 0], [[third, 1, 2 * third], [2 * third, 2 * third, 0]])
    np.testing.assert_allclose(found.arrays["accuracy.mean"][:, 0], [0.5, 5 / 6, third])


def test_differences_are_resampled_in_pairs_and_by_the_first_runs_people():
    found = comparison.compute(FIRST, "test", OTHER)
    weights = np.concatenate(list(resample_weights(np.array([7, 8, 9]), 50, seed=0)), axis=1)  # b, c, d
    hat = weights.T @ np.array([1, 0, 1]) / weights.sum(axis=0)  # other minus first
    np.testing.assert_allclose(found.arrays["accuracy"][0, 2, 1:], np.percentile(hat, (2.5, 97.5)))


def test_a_run_does_not_differ_from_itself():
    found = comparison.compute(FIRST, "test", FIRST)
    for metric in compared(exclusive=False):
        np.testing.assert_array_equal(found.arrays[metric][:, 2], np.zeros((3, 3)))


def test_a_label_counts_where_both_runs_know_it():
    known = [[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 1]]
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 1]])  # Smile of c is not known, so False
    right = [[1, 1, 1], [0, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 1]]
    first = run_of(FIRST.predictions("test").ids, FIRST.attributes, labels, right, known=np.array(known, bool))
    found = comparison.compute(first, "test", OTHER)
    # On b, c, d: Hat of c and d, Smile of b and d.
    np.testing.assert_allclose(found.arrays["accuracy"][:, :2, 0], [[1 / 2, 1], [1, 1 / 2]])


def classes_run(names, true, answered):
    labels = np.array(true)[:, None] == np.array(names)
    run = run_of(range(len(true)), names, labels, labels, exclusive=True)
    probabilities = np.where(np.array(answered)[:, None] == np.array(names), 0.8, 0.1)
    predictions = dataclasses.replace(run.predictions("test"), probabilities={"attributes": probabilities})
    return SimpleNamespace(**vars(run) | {"predictions": lambda split: predictions})


def test_classes_are_compared_in_any_order_where_they_are_the_same_ones():
    first = classes_run(("cat", "dog", "ox"), ["cat", "cat", "dog", "ox"], ["cat", "dog", "dog", "cat"])
    other = classes_run(("ox", "cat", "dog"), ["cat", "cat", "dog", "ox"], ["cat", "cat", "dog", "cat"])
    found = comparison.compute(first, "test", other)
    np.testing.assert_allclose(found.arrays["top1.mean"][:, 0], [2 / 4, 3 / 4, 1 / 4])
    np.testing.assert_allclose(found.arrays["balanced_accuracy.mean"][:2, 0], [(1 / 2 + 1 + 0) / 3, (1 + 1 + 0) / 3])
    fewer = classes_run(("cat", "dog"), ["cat", "cat", "dog", "dog"], ["cat", "cat", "dog", "dog"])
    with pytest.raises(Unavailable, match="does not have the same classes"):
        comparison.compute(first, "test", fewer)
    with pytest.raises(Unavailable, match="exclude each other"):
        comparison.compute(FIRST, "test", first)


@pytest.mark.parametrize(
    "other, reason",
    [
        (run_of(["x"], ("Hat",), [[1]], [[1]]), "any of the same images"),
        (run_of(["a"], ("Shoe",), [[1]], [[1]]), "none of the same attributes"),
        (run_of(["a", "b"], ("Hat",), [[0], [0]], [[1], [1]]), "1 of 2 labels .* differ"),
    ],
)
def test_runs_without_anything_in_common_are_refused_with_the_reason(other, reason):
    with pytest.raises(Unavailable, match=reason):
        comparison.compute(FIRST, "test", other)


# --- how it is kept ---


@pytest.fixture(scope="module")
def other_run(train_small):
    return train_small(seed=2)


@pytest.fixture
def runs(small_run, other_run, tmp_path):
    """Copies of two finished runs, which no other analysis is made of."""
    for name, path in (("first", small_run), ("other", other_run)):
        shutil.copytree(path, tmp_path / name)
    return TrainedRun(tmp_path / "first"), TrainedRun(tmp_path / "other")


def test_a_comparison_is_kept_with_the_first_run_and_not_computed_again(runs, monkeypatch):
    first, other = runs
    results, missing = analysis.compute_missing(other, first, names=())
    assert set(results) == {"comparison"}
    assert not missing
    assert results["comparison"].values["images"] == 24
    assert len(list(first.folder.glob("comparison-*"))) == 2
    assert not other.folder.exists()
    monkeypatch.setattr(comparison, "compute", None)
    again, _ = analysis.compute_missing(other, first, names=())
    np.testing.assert_array_equal(again["comparison"].arrays["accuracy"], results["comparison"].arrays["accuracy"])


def test_a_third_run_leaves_the_comparison_with_the_second_in_place(runs, monkeypatch):
    first, other = runs
    analysis.compute_missing(other, first, names=())
    analysis.compute_missing(first, first, names=())
    assert len(list(first.folder.glob("comparison-*.json"))) == 2
    monkeypatch.setattr(comparison, "compute", None)
    analysis.compute_missing(other, first, names=())


def test_a_damaged_comparison_is_computed_again(runs):
    first, other = runs
    expected, _ = analysis.compute_missing(other, first, names=())
    (kept,) = first.folder.glob("comparison-*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    results, _ = analysis.compute_missing(other, first, names=())
    np.testing.assert_array_equal(results["comparison"].arrays["f1"], expected["comparison"].arrays["f1"])


@pytest.mark.parametrize("unfinished", [0, 1])
def test_a_run_without_predictions_is_named(runs, unfinished):
    first, other = runs
    runs[unfinished].directory.predictions.unlink()
    results, missing = analysis.compute_missing(other, first, names=())
    assert not results
    assert missing["comparison"] == f"{runs[unfinished].directory.path} has no predictions yet"
    assert not list(first.folder.glob("*"))
