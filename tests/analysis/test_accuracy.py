"""The analyses of predictions alone: accuracy, calibration, subgroups, and the most confident errors."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from mam_keras.analysis import Unavailable, accuracy, calibration, comparison, correlations, mistakes, subgroups
from mam_keras.analysis.mistakes import most_confident
from mam_keras.analysis.needs import lacking
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.predictions import Predictions
from mam_keras.statistics import Estimate, resample_weights


def column(*values):
    return np.array(values)[:, None]


def run_of(labels, probabilities, groups=None, attributes=None, chosen=None, rates=None, known=None, exclusive=False):
    """As much of a `TrainedRun` as analyses of predictions ask for; `probabilities` by head."""
    n, K = labels.shape
    ids = np.array([f"image {row}" for row in range(n)])
    settings = SimpleNamespace(resamples=30, subgroups=chosen)
    targets = Targets(attributes or tuple("ABCDEFGH"[:K]), exclusive)
    predictions = Predictions(ids, labels, groups, probabilities, known, targets)
    return SimpleNamespace(
        config=SimpleNamespace(analysis=settings, seed=5),
        attributes=targets.names,
        targets=targets,
        predictions=lambda split: predictions if split == "test" else None,
        training_rates=np.full(K, 0.4) if rates is None else np.array(rates),
    )


def random_run(groups=None, heads=("attributes", "multi_label")):
    generator = np.random.default_rng(0)
    labels = generator.random((50, 3)) < (0.2, 0.5, 0.6)
    noise = {head: generator.normal(0, 0.3, labels.shape) for head in heads}
    return run_of(labels, {head: np.clip(0.3 + 0.4 * labels + noise[head], 0, 1) for head in heads}, groups)


# --- accuracy ---


def of_scikit_learn(label, probability):
    answer = probability >= 0.5
    accuracy_score = sklearn_metrics.accuracy_score(label, answer)
    return {
        "accuracy": accuracy_score,
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(label, answer),
        "average_precision": sklearn_metrics.average_precision_score(label, probability),
        "f1": sklearn_metrics.f1_score(label, answer),
        "gain": accuracy_score - (1 - label.mean()),
    }


def test_every_metric_agrees_with_scikit_learn_and_the_gain_is_over_the_majority_class():
    run = random_run()
    found = accuracy.compute(run, "test")
    for head, probabilities in run.predictions("test").probabilities.items():
        for k in range(3):
            expected = of_scikit_learn(run.predictions("test").labels[:, k], probabilities[:, k])
            assert {m: found.arrays[f"{head}.{m}"][k, 0] for m in expected} == pytest.approx(expected, abs=1e-12)
        assert found.arrays[f"{head}.f1.mean"][0] == pytest.approx(found.arrays[f"{head}.f1"][:, 0].mean())


@pytest.mark.parametrize("groups", [None, np.random.default_rng(1).integers(0, 15, 50)], ids=["images", "people"])
def test_intervals_are_those_of_drawing_images_or_people_again(groups):
    run = random_run(groups)
    found = accuracy.compute(run, "test")
    units = np.arange(50) if groups is None else groups
    weights = np.concatenate(list(resample_weights(units, 30, seed=5)), axis=1)
    right = {
        head: (p >= 0.5) == run.predictions("test").labels for head, p in run.predictions("test").probabilities.items()
    }
    drawn = {head: weights.T @ hits / weights.sum(axis=0)[:, None] for head, hits in right.items()}
    difference = drawn["attributes"] - drawn["multi_label"]
    for name, resampled in [
        *((f"{head}.accuracy", drawn[head]) for head in drawn),
        ("difference.accuracy", difference),
    ]:
        ends = np.percentile(resampled, (2.5, 97.5), axis=0).T
        np.testing.assert_allclose(found.arrays[name][:, 1:], ends, atol=1e-12)
        ends = np.percentile(resampled.mean(axis=1), (2.5, 97.5))
        np.testing.assert_allclose(found.arrays[f"{name}.mean"][1:], ends, atol=1e-12)
    assert found.values["groups"] == (None if groups is None else len(set(groups)))


def partly_known_run():
    run = random_run(np.random.default_rng(1).integers(0, 15, 50), heads=("attributes",))
    answers, known = run.predictions("test"), np.random.default_rng(2).random((50, 3)) < 0.7
    return run_of(answers.labels & known, answers.probabilities, answers.groups, known=known)


def test_metrics_of_the_labels_that_are_known_agree_with_scikit_learn():
    run = partly_known_run()
    found, answers = accuracy.compute(run, "test"), run.predictions("test")
    assert found.values["unknown"] == (~answers.known).sum(axis=0).tolist()
    for k in range(3):
        rows = answers.known[:, k]
        expected = of_scikit_learn(answers.labels[rows, k], answers.probabilities["attributes"][rows, k])
        assert {m: found.arrays[f"attributes.{m}"][k, 0] for m in expected} == pytest.approx(expected, abs=1e-12)


def classes_run(unknown=(), images=60):
    random = np.random.default_rng(3)
    true = random.choice(4, images, p=(0.1, 0.5, 0.3, 0.1))
    given = random.random((images, 4)) + 0.7 * np.eye(4)[true]
    labels, known = np.eye(4, dtype=bool)[true], np.ones((images, 4), bool)
    labels[list(unknown)], known[list(unknown)] = False, False
    probabilities = {"attributes": given / given.sum(axis=1, keepdims=True)}
    return run_of(labels, probabilities, known=known, exclusive=True, rates=(0.1, 0.5, 0.3, 0.1)), true


def test_classes_agree_with_scikit_learn_beside_the_most_frequent_one_of_training():
    run, true = classes_run(unknown=(0, 7))
    found, seen = accuracy.compute(run, "test"), np.delete(np.arange(60), (0, 7))
    true, answered = true[seen], run.predictions("test").probabilities["attributes"].argmax(axis=1)[seen]
    expected = {
        "top1": sklearn_metrics.accuracy_score(true, answered),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(true, answered),
        "f1": sklearn_metrics.f1_score(true, answered, average="macro"),
        "majority_top1": (true == 1).mean(),
        "gain": sklearn_metrics.accuracy_score(true, answered) - (true == 1).mean(),
    }
    assert {m: found.arrays[f"attributes.{m}.mean"][0] for m in expected} == pytest.approx(expected, abs=1e-12)
    np.testing.assert_array_equal(found.arrays["confusion"], sklearn_metrics.confusion_matrix(true, answered))
    assert (found.values["majority"], found.values["unknown"]) == ("B", [2] * 4)
    headline = accuracy.headline(found)
    assert list(headline) == ["top1", "balanced_accuracy", "average_precision"]
    assert headline["top1"].low < headline["top1"].value < headline["top1"].high


def test_the_headline_is_of_the_head_that_answers():
    found = accuracy.compute(random_run(), "test")
    assert accuracy.headline(found) == {
        metric: Estimate.of(found.arrays[f"attributes.{metric}.mean"])
        for metric in ("accuracy", "balanced_accuracy", "average_precision")
    }


def test_heads_that_answer_the_same_do_not_differ():
    labels = np.random.default_rng(0).random((20, 2)) < 0.5
    found = accuracy.compute(
        run_of(labels, dict.fromkeys(("attributes", "multi_label"), np.where(labels, 0.7, 0.4))), "test"
    )
    np.testing.assert_array_equal(found.arrays["difference.f1.mean"], np.zeros(3))


def test_one_head_one_attribute_and_one_image():
    found = accuracy.compute(run_of(column(True), {"multi_label": column(0.9)}), "test")
    assert found.values["heads"] == ["multi_label"]
    np.testing.assert_array_equal(found.arrays["multi_label.accuracy"], [[1.0, np.nan, np.nan]])
    assert np.isnan(found.arrays["multi_label.balanced_accuracy.mean"]).all()
    assert not any(name.startswith("difference") for name in found.arrays)


def test_a_trained_run_gives_what_fit_wrote(trained):
    found = accuracy.compute(trained, "test")
    written = json.loads(trained.directory.evaluation.read_text())["splits"]["test"]["heads"]
    for head in ("attributes", "multi_label"):
        for metric, value in written[head]["mean"].items():
            assert found.arrays[f"{head}.{metric}.mean"][0] == pytest.approx(value, abs=1e-12)


def test_without_predictions_there_is_no_answer(trained, monkeypatch):
    monkeypatch.setattr(trained, "predictions", {"validation": "those of another split"}.get)
    for analysis in (accuracy, calibration, subgroups, mistakes):
        assert lacking(trained, "test", analysis.NEEDS) == "the run left no predictions of the test split"


def test_what_reads_kept_results_imports_no_tensorflow():
    code = (
        "import sys\n"
        "from mam_keras.analysis import accuracy, calibration, comparison, mistakes, reconstructions, subgroups\n"
        "print([name for name in ('tensorflow', 'keras', 'matplotlib', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("analysis", [accuracy, calibration, subgroups, mistakes, correlations, comparison])
def test_where_no_label_is_known_there_is_no_figure(analysis):
    labels = np.zeros((4, 2), bool)
    run = run_of(labels, {"attributes": np.full((4, 2), 0.6)}, known=labels)
    expected = None if analysis is correlations else "no label of the test images is known"
    assert lacking(run, "test", analysis.NEEDS & {"predictions", "labels"}) == expected


# --- calibration ---


def test_reliability_and_error_worked_out_by_hand():
    labels = column(False, True, True, True, False)
    found = calibration.compute(run_of(labels, {"attributes": column(0.05, 0.05, 0.95, 1.0, 0.9)}), "test")
    bins = found.arrays["attributes.bins"][0]
    np.testing.assert_allclose(bins[[0, 9]], [[2, 0.05, 1 / 2], [3, 2.85 / 3, 2 / 3]])  # 1 belongs to the last bin
    np.testing.assert_array_equal(bins[1:9, 0], 0)
    assert np.isnan(bins[1:9, 1:]).all()
    error = 2 / 5 * (1 / 2 - 0.05) + 3 / 5 * (0.95 - 2 / 3)
    assert found.arrays["attributes.error"][0, 0] == pytest.approx(error)
    assert found.arrays["attributes.error.pooled"][0] == pytest.approx(error)


def test_bins_agree_with_scikit_learn_for_every_attribute_and_pooled():
    run = random_run()
    found = calibration.compute(run, "test")
    for head, probabilities in run.predictions("test").probabilities.items():
        pairs = [
            (run.predictions("test").labels[:, k], probabilities[:, k], found.arrays[f"{head}.bins"][k])
            for k in range(3)
        ]
        pairs.append(
            (run.predictions("test").labels.ravel(), probabilities.ravel(), found.arrays[f"{head}.pooled"][:, :3])
        )
        for label, probability, bins in pairs:
            rate, mean = calibration_curve(label, probability, n_bins=10)
            filled = bins[:, 0] > 0
            np.testing.assert_allclose(bins[filled, 1:], np.stack([mean, rate], axis=1))


def test_errors_that_cancel_out_show_only_attribute_by_attribute():
    labels = np.stack([np.arange(40) < 30, np.arange(40) < 10], axis=1)  # 75 % and 25 %, where 50 % is said
    found = calibration.compute(run_of(labels, {"attributes": np.full((40, 2), 0.5)}), "test")
    assert found.arrays["attributes.error.mean"][0] == pytest.approx(0.25)
    assert found.arrays["attributes.error.pooled"][0] == pytest.approx(0)
    headline = calibration.headline(found)
    assert headline["calibration_error"].value == pytest.approx(0.25)
    assert headline["calibration_error_chance"].value == found.arrays["attributes.error.mean"][1]


def test_what_chance_alone_leaves():
    generator = np.random.default_rng(0)
    probabilities = generator.random((400, 20))
    found = calibration.compute(run_of_many(generator.random((400, 20)) < probabilities, probabilities), "test")
    error, by_chance = found.arrays["attributes.error.mean"]  # the labels are such a draw themselves
    assert error == pytest.approx(by_chance, rel=0.1)
    certain = calibration.compute(run_of(column(True, False), {"attributes": column(1.0, 0.0)}), "test")
    np.testing.assert_array_equal(certain.arrays["attributes.error"], [[0, 0]])


def test_unknown_labels_are_in_no_bin_and_in_no_error():
    run = partly_known_run()
    found, answers = calibration.compute(run, "test"), run.predictions("test")
    for k in range(3):
        rows = answers.known[:, k]
        alone = run_of(answers.labels[rows][:, [k]], {"attributes": answers.probabilities["attributes"][rows][:, [k]]})
        expected = calibration.compute(alone, "test").arrays
        np.testing.assert_allclose(found.arrays["attributes.bins"][k], expected["attributes.bins"][0])
        np.testing.assert_allclose(found.arrays["attributes.error"][k, 0], expected["attributes.error"][0, 0])
    assert found.arrays["attributes.pooled"][:, 0].sum() == answers.known.sum()
    others = np.array([False, True, True])
    unknown = run_of(answers.labels & others, answers.probabilities, known=answers.known & others)
    errors = calibration.compute(unknown, "test").arrays
    assert np.isnan(errors["attributes.error"][0]).all()
    np.testing.assert_allclose(errors["attributes.error.mean"], errors["attributes.error"][1:].mean(axis=0))


def test_the_error_of_the_answer_among_classes_by_hand():
    # Answers: A 0.8 right, A 0.8 wrong, B 0.6 right; one image is of an unknown class.
    probabilities = np.array([[0.8, 0.2, 0], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0, 0, 1]])
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
    known = np.array([True, True, True, False])[:, None] & np.ones((1, 3), bool)
    found = calibration.compute(run_of(labels, {"attributes": probabilities}, known=known, exclusive=True), "test")
    assert found.arrays["attributes.top.error.pooled"][0] == pytest.approx((2 * (0.8 - 0.5) + 1 * (1 - 0.6)) / 3)
    assert calibration.headline(found)["calibration_error"].value == found.arrays["attributes.top.error.pooled"][0]
    np.testing.assert_allclose(found.arrays["attributes.top.pooled"][[6, 8], :3], [[1, 0.6, 1], [2, 0.8, 0.5]])
    assert found.arrays["attributes.error"][1, 0] == pytest.approx((0.1 + 0.2 + 0.4) / 3)  # B: 0.2, 0.1 no; 0.6 yes


def run_of_many(labels, probabilities):
    names = tuple(f"attribute {k}" for k in range(labels.shape[1]))
    return run_of(labels, {"attributes": probabilities}, attributes=names)


def test_pooled_intervals_are_those_of_drawing_people_again():
    groups = np.random.default_rng(1).integers(0, 15, 50)
    run = random_run(groups)
    found = calibration.compute(run, "test")
    weights = np.concatenate(list(resample_weights(groups, 30, seed=5)), axis=1)
    inside = (run.predictions("test").probabilities["attributes"] * 10).astype(int) == 3
    positive, count = (weights.T @ (inside & chosen).sum(axis=1) for chosen in (run.predictions("test").labels, True))
    expected = np.nanpercentile(positive / count, (2.5, 97.5))
    np.testing.assert_allclose(found.arrays["attributes.pooled"][3, 3:], expected)


# --- subgroups ---


def test_subgroups_worked_out_by_hand():
    # A divides six images into two without and four with. B: right in 1 of 2 and in 3 of 4. C has no positive
    # image without A, so its balanced accuracy is undefined there, and compared nowhere.
    labels = np.array([[0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 1]], bool)
    right = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 0, 0]], bool)
    run = run_of(labels, {"attributes": np.where(labels == right, 0.9, 0.1)}, chosen=("A",))
    found = subgroups.compute(run, "test")
    assert found.values["subgroups"] == ["A"]
    assert found.values["images"] == [[2, 4]]
    nan = np.nan
    values = found.arrays["accuracy"][0, :, :, 0]
    np.testing.assert_allclose(values, [[nan, nan, nan], [0.5, 0.75, 0.25], [1.0, 0.75, -0.25]])
    np.testing.assert_allclose(found.arrays["accuracy.mean"][0, :, 0], [0.75, 0.75, 0])
    balanced = found.arrays["balanced_accuracy"][0, :, :, 0]
    np.testing.assert_allclose(balanced, [[nan, nan, nan], [0.5, 0.75, 0.25], [nan, nan, nan]])
    np.testing.assert_allclose(found.arrays["majority_accuracy"][0, 1, :, 0], [0.5, 0.5, 0])  # "no", as in training


def test_the_difference_of_subgroups_is_resampled_in_pairs():
    run = random_run(np.random.default_rng(1).integers(0, 15, 50))
    run.config.analysis.subgroups = ("B",)
    found = subgroups.compute(run, "test")
    weights = np.concatenate(list(resample_weights(run.predictions("test").groups, 30, seed=5)), axis=1)
    right = (run.predictions("test").probabilities["attributes"] >= 0.5) == run.predictions("test").labels
    inside = run.predictions("test").labels[:, 1]
    halves = [
        weights[half].T @ right[half][:, [0, 2]] / weights[half].sum(axis=0)[:, None] for half in (~inside, inside)
    ]
    difference = np.percentile(halves[1] - halves[0], (2.5, 97.5), axis=0).T
    np.testing.assert_allclose(found.arrays["accuracy"][0, [0, 2], 2, 1:], difference)
    mean = np.percentile((halves[1] - halves[0]).mean(axis=1), (2.5, 97.5))
    np.testing.assert_allclose(found.arrays["accuracy.mean"][0, 2, 1:], mean)


def test_images_of_an_unknown_group_are_in_neither():
    run = partly_known_run()
    run.config.analysis.subgroups = ("B",)
    found, answers = subgroups.compute(run, "test"), run.predictions("test")
    inside, asked = answers.labels[:, 1], answers.known[:, [0, 2]]
    right = ((answers.probabilities["attributes"] >= 0.5) == answers.labels)[:, [0, 2]]
    outside = answers.known[:, 1] & ~inside
    assert found.values["images"] == [[outside.sum(), inside.sum()]]
    for place, half in enumerate((outside, inside)):
        expected = (right & asked)[half].sum(axis=0) / asked[half].sum(axis=0)
        np.testing.assert_allclose(found.arrays["accuracy"][0, [0, 2], place, 0], expected)


def test_which_subgroups_are_looked_at():
    attributes = ("Smiling", "Young", "Male")
    assert subgroups.chosen(None, attributes) == ["Male", "Young"]
    assert subgroups.chosen(("Young", "Smiling", "Young"), attributes) == ["Young", "Smiling"]
    assert subgroups.chosen(None, ("Smiling",)) == []
    assert subgroups.chosen(("u\u0308",), ("\u00fc",)) == ["\u00fc"]  # one name in two forms of Unicode
    with pytest.raises(UserError, match=r"analysis.subgroups: .* did you mean 'Male'\? Received: 'male '"):
        subgroups.chosen(("male ",), attributes)


@pytest.mark.parametrize("chosen", [None, ("A",)], ids=["no usual one", "all alike"])
def test_without_a_subgroup_the_reason_says_how_to_choose(chosen):
    labels = np.array([[True, False], [True, True]])
    run = run_of(labels, {"attributes": np.full((2, 2), 0.6)}, chosen=chosen)
    with pytest.raises(Unavailable, match=r"--set analysis.subgroups=\[NAME, \.\.\.\]"):
        subgroups.compute(run, "test")


# --- the most confident errors ---


def test_which_errors_are_shown():
    # Wrong: A in rows 0 (0.9 for a no), 1 (0.2 for a yes), 3 (0.6); B in rows 0 (0.99), 2 (0.5 for a no).
    labels = np.array([[False, False], [True, True], [True, False], [False, True]])
    probabilities = np.array([[0.9, 0.99], [0.2, 0.8], [0.7, 0.5], [0.6, 0.9]])
    wrong, confidence = (probabilities >= 0.5) != labels, np.where(labels, 1 - probabilities, probabilities)
    # The worst: B in 0 (0.99), A in 0, which is shown already. The seconds: A in 1 (0.8), B in 2. The third: A in 3.
    assert most_confident(wrong, confidence, 10) == [(0, 1), (1, 0), (2, 1), (3, 0)]
    assert most_confident(wrong, confidence, 2) == [(0, 1), (1, 0)]
    assert most_confident(np.zeros_like(wrong), confidence, 10) == []


def test_the_pictures_are_those_of_the_errors(trained):
    found = mistakes.compute(trained, "test")
    prepared, answers = trained.images("test"), trained.predictions("test")
    assert 0 < len(found.values["shown"]) <= mistakes.SHOWN
    assert found.values["answers"] == answers.labels.size
    assert found.values["wrong"] == ((answers.probabilities["attributes"] >= 0.5) != answers.labels).sum()
    for error, image in zip(found.values["shown"], found.arrays["images"], strict=True):
        row, k = answers.ids.tolist().index(error["id"]), trained.attributes.index(error["attribute"])
        assert error["label"] == answers.labels[row, k] != (error["probability"] >= 0.5)
        assert error["probability"] == pytest.approx(answers.probabilities["attributes"][row, k])
        np.testing.assert_array_equal(image, prepared.images[prepared.ids.tolist().index(error["id"])])


def test_a_label_that_is_not_known_is_no_error():
    run = partly_known_run()
    answers = run.predictions("test")
    run.images = lambda split: SimpleNamespace(ids=answers.ids, images=np.zeros((50, 2, 2, 3), np.uint8))
    found = mistakes.compute(run, "test").values
    wrong = ((answers.probabilities["attributes"] >= 0.5) != answers.labels) & answers.known
    assert (found["wrong"], found["answers"]) == (wrong.sum(), answers.known.sum())
    for error in found["shown"]:
        assert wrong[answers.ids.tolist().index(error["id"]), run.attributes.index(error["attribute"])]


def test_an_error_among_classes_names_the_answer_and_what_is_right():
    run, true = classes_run(unknown=(0, 7))
    answers = run.predictions("test")
    run.images = lambda split: SimpleNamespace(ids=answers.ids, images=np.zeros((60, 2, 2, 3), np.uint8))
    found, answered = mistakes.compute(run, "test").values, answers.probabilities["attributes"].argmax(axis=1)
    assert (found["wrong"], found["answers"]) == ((np.delete(answered != true, (0, 7))).sum(), 58)
    first = found["shown"][0]
    row = answers.ids.tolist().index(first["id"])
    assert (first["attribute"], first["true"]) == ("ABCD"[answered[row]], "ABCD"[true[row]])
    assert first["probability"] == answers.probabilities["attributes"][row].max() > first["probability_true"]
    others = np.delete(np.arange(60), (0, 7))[(answered != true)[np.delete(np.arange(60), (0, 7))]]
    assert first["probability"] == answers.probabilities["attributes"][others].max()
