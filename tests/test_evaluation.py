import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mam_keras.data.source import Targets
from mam_keras.evaluation import (
    METRICS,
    OVERALL,
    Scorer,
    bootstrap,
    confusion,
    evaluate,
    metrics,
    metrics_of,
    resampled_metrics,
)
from mam_keras.predictions import Predictions
from mam_keras.statistics import resample_weights

NAMES = ("Smiling", "Bald", "Hat", "Young", "An_attribute_with_a_name_that_is_far_too_long_for_a_table")


def random_predictions(n=60, K=5, groups=None, seed=0):
    """Both heads, informative, on a grid of eleven probabilities (so with many ties and some exact 0.5)."""
    generator = np.random.default_rng(seed)
    labels = generator.random((n, K)) < generator.uniform(0.2, 0.7, K)

    def head(noise):
        return np.clip(np.round(0.3 + 0.4 * labels + generator.normal(0, noise, (n, K)), 1), 0, 1)

    ids = np.arange(n).astype(str)
    heads = {"attributes": head(0.2), "multi_label": head(0.4)}
    return Predictions(ids, labels, groups, heads, targets=Targets(NAMES[:K]))


def some_known(predictions, seed=0):
    """About two thirds of the labels are; of exclusive targets, of the images."""
    generator = np.random.default_rng((seed, 1))  # not the labels' own numbers
    known = generator.random(predictions.labels.shape) < 2 / 3
    if predictions.exclusive:
        known[:] = known[:, :1]
    return replace(predictions, labels=predictions.labels & known, known=known)


def random_classes(n=80, K=4, groups=None, seed=0):
    """Exclusive targets, two heads, on a grid of probabilities, so with many ties."""
    generator = np.random.default_rng(seed)
    labels = np.eye(K, dtype=bool)[generator.choice(K, n, p=np.arange(1, K + 1) / (K * (K + 1) / 2))]

    def head(noise):
        scores = np.clip(np.round(0.3 + 0.4 * labels + generator.normal(0, noise, (n, K)), 1), 0.1, 1)
        return scores / scores.sum(axis=1, keepdims=True)

    heads = {"attributes": head(0.3), "attention": head(0.5)}
    return Predictions(np.arange(n).astype(str), labels, groups, heads, targets=Targets(NAMES[:K], exclusive=True))


def column(*values):
    return np.array(values)[:, None]


# --- metrics ---


def test_metrics_worked_out_by_hand():
    # Six images, falling probability. "Yes" for the first four (0.5 counts): TP 2, FP 2, FN 1, TN 1.
    labels = column(True, False, True, False, True, False)
    probabilities = column(0.9, 0.8, 0.7, 0.5, 0.4, 0.2)
    result = metrics(labels, probabilities, np.array([0.25]))
    assert {name: values.shape for name, values in result.items()} == dict.fromkeys(METRICS, (1,))
    assert result["accuracy"][0] == pytest.approx(3 / 6)
    assert result["balanced_accuracy"][0] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert result["average_precision"][0] == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)
    assert result["f1"][0] == pytest.approx(2 * 2 / (3 + 4))
    assert result["majority_accuracy"][0] == pytest.approx(3 / 6)
    assert result["positive_rate"][0] == pytest.approx(3 / 6)


def test_a_tie_is_one_threshold_whatever_the_order_of_its_images():
    # The tie at 0.6 holds a positive and two negatives: wherever the positive stands, precision is 2/4 at its end.
    expected = (1 / 1 + 2 / 4) / 2
    probabilities = column(0.9, 0.6, 0.6, 0.6, 0.1)
    for place in (1, 2, 3):
        labels = column(True, False, False, False, False)
        labels[place] = True
        assert metrics(labels, probabilities, np.array([0.5]))["average_precision"][0] == pytest.approx(expected)


@pytest.mark.parametrize("rate, expected", [(0.2, 0.75), (0.5, 0.25), (0.8, 0.25)])
def test_the_majority_is_that_of_training_not_of_these_images(rate, expected):
    labels, probabilities = column(True, False, False, False), column(0.1, 0.1, 0.1, 0.1)
    assert metrics(labels, probabilities, np.array([rate]))["majority_accuracy"][0] == expected


@pytest.mark.parametrize("all_known", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed, all_known):
    predictions = random_predictions(seed=seed)
    if not all_known:
        predictions = some_known(predictions, seed)
    for probabilities in predictions.probabilities.values():
        result = metrics(predictions.labels, probabilities, np.full(5, 0.4), predictions.known)
        for k in range(5):
            rows = predictions.known[:, k]
            label, probability = predictions.labels[rows, k], probabilities[rows, k]
            answer = probability >= 0.5
            expected = {
                "accuracy": sklearn_metrics.accuracy_score(label, answer),
                "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(label, answer),
                "average_precision": sklearn_metrics.average_precision_score(label, probability),
                "f1": sklearn_metrics.f1_score(label, answer),
                "majority_accuracy": sklearn_metrics.accuracy_score(label, np.zeros_like(label)),
                "positive_rate": label.mean(),
            }
            assert {name: result[name][k] for name in METRICS} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "label, probability, undefined",
    [
        (False, 0.1, {"balanced_accuracy", "average_precision", "f1"}),  # nothing positive, nothing answered "yes"
        (False, 0.9, {"balanced_accuracy", "average_precision"}),  # f1 = 0 is defined: wrong answers of "yes"
        (True, 0.9, {"balanced_accuracy", "average_precision"}),
        (True, 0.1, {"balanced_accuracy", "average_precision"}),
    ],
)
def test_what_is_undefined_is_nan(label, probability, undefined):
    result = metrics(np.full((3, 1), label), np.full((3, 1), probability), np.array([0.5]))
    assert {name for name in METRICS if np.isnan(result[name][0])} == undefined


# --- labels that are not known ---


def test_metrics_of_known_labels_worked_out_by_hand():
    # The first example above with a seventh and eighth image of unknown label, one of them answered first of all.
    labels = column(False, True, False, True, False, True, False, False)
    known = column(False, True, True, True, True, True, True, False)
    probabilities = column(1.0, 0.9, 0.8, 0.7, 0.5, 0.4, 0.2, 0.5)
    expected = metrics(labels[1:7], probabilities[1:7], np.array([0.25]))
    assert metrics(labels, probabilities, np.array([0.25]), known) == expected
    assert expected["average_precision"][0] == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)


def test_what_stands_under_an_unknown_label_does_not_matter():
    predictions = some_known(random_predictions())
    rates, probabilities = np.full(5, 0.4), predictions.probabilities["attributes"]
    weights = next(resample_weights(predictions.units, 3, seed=0))
    found = Scorer(predictions.labels, probabilities, rates, predictions.known)(weights)
    other = np.where(predictions.known, probabilities, 1 - probabilities)
    again = Scorer(predictions.labels | ~predictions.known, other, rates, predictions.known)(weights)
    for metric in METRICS:
        np.testing.assert_array_equal(found[metric], again[metric])


def test_without_a_known_label_every_metric_is_undefined():
    predictions = random_predictions()
    known = np.ones((60, 5), bool)
    known[:, 2], known[7] = False, False
    unknown = replace(predictions, labels=predictions.labels & known, known=known)
    rates = np.array([0.5, 0.5, np.nan, 0.2, 0.5])
    result = evaluate(unknown, rates, 20)
    assert result["unknown"] == 60 + 4
    assert result["single_class_resamples"] == {"Hat": 20}
    for part in result["heads"].values():
        assert part["per_attribute"]["Hat"] == dict.fromkeys(METRICS)
        assert part["left_out"] == dict.fromkeys(METRICS, 1)
    # An attribute of which training knew nothing has no majority.
    values = metrics(predictions.labels, predictions.probabilities["attributes"], rates)
    assert np.isnan(values.pop("majority_accuracy")).tolist() == [False, False, True, False, False]
    assert not any(np.isnan(value).any() for value in values.values())
    nothing = replace(predictions, labels=np.zeros((60, 5), bool), known=np.zeros((60, 5), bool))
    for part in evaluate(nothing, rates, 20)["heads"].values():
        assert part["mean"] == dict.fromkeys(METRICS)
        assert part["interval"] == {metric: [None, None] for metric in METRICS}


def test_known_labels_of_a_single_image_say_nothing_of_others():
    predictions = random_predictions(K=1)
    known = np.arange(60)[:, None] == 7
    alone = replace(predictions, labels=predictions.labels & known, known=known)
    part = evaluate(alone, np.array([0.4]), 20)["heads"]["attributes"]
    assert part["mean"]["accuracy"] in (0.0, 1.0)
    assert part["interval"] == {metric: [None, None] for metric in METRICS}


# --- exclusive targets ---


def test_metrics_of_classes_worked_out_by_hand():
    # Five images of classes 0, 0, 1, 2, 2; answers 0, 1, 1, 0 (a tie of 0 and 2: the first), 2.
    labels = np.eye(3, dtype=bool)[[0, 0, 1, 2, 2]]
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.2, 0.1, 0.7]])
    result = metrics(labels, probabilities, np.array([0.2, 0.3, 0.5]), exclusive=True)
    assert tuple(sorted(result)) == tuple(sorted(metrics_of(True)))
    expected = {
        "top1": [3 / 5],
        "majority_top1": [2 / 5],  # class 2
        "balanced_accuracy": [1 / 2, 1, 1 / 2],  # recalls
        "accuracy": [3 / 5, 4 / 5, 4 / 5],  # one against the rest
        "f1": [2 / 4, 2 / 3, 2 / 3],
        "majority_accuracy": [3 / 5, 4 / 5, 2 / 5],
        "positive_rate": [2 / 5, 1 / 5, 2 / 5],
        # Class 0 falling: .6 yes, .4 no, .2 no, .2 no, .1 yes. Class 1: .8 no, .5 yes. Class 2: .7 yes, .4 yes.
        "average_precision": [(1 + 2 / 5) / 2, 1 / 2, 1],
    }
    for metric, values in expected.items():
        np.testing.assert_allclose(result[metric], values, err_msg=metric)


@pytest.mark.parametrize("blank", [False, True], ids=["all known", "some known"])
@pytest.mark.parametrize("seed", range(3))
def test_metrics_of_classes_agree_with_scikit_learn(seed, blank):
    predictions = random_classes(seed=seed)
    if blank:
        predictions = some_known(predictions, seed)
    rates, known = np.array([0.2, 0.5, 0.2, 0.1]), predictions.known[:, 0]
    true = predictions.labels[known].argmax(axis=1)
    for head, probabilities in predictions.probabilities.items():
        result = metrics(predictions.labels, probabilities, rates, predictions.known, exclusive=True)
        answer, majority = probabilities[known].argmax(axis=1), np.ones_like(true)
        expected = {
            "top1": [sklearn_metrics.accuracy_score(true, answer)],
            "majority_top1": [sklearn_metrics.accuracy_score(true, majority)],
            "balanced_accuracy": sklearn_metrics.recall_score(true, answer, average=None),
            "f1": sklearn_metrics.f1_score(true, answer, average=None),
            "average_precision": [
                sklearn_metrics.average_precision_score(true == k, probabilities[known, k]) for k in range(4)
            ],
            "accuracy": [sklearn_metrics.accuracy_score(true == k, answer == k) for k in range(4)],
            "majority_accuracy": [sklearn_metrics.accuracy_score(true == k, majority == k) for k in range(4)],
            "positive_rate": [np.mean(true == k) for k in range(4)],
        }
        assert set(expected) == set(result)
        for metric, values in expected.items():
            np.testing.assert_allclose(result[metric], values, atol=1e-12, err_msg=metric)
        assert result["balanced_accuracy"].mean() == pytest.approx(
            sklearn_metrics.balanced_accuracy_score(true, answer), abs=1e-12
        )
        np.testing.assert_array_equal(confusion(predictions, head), sklearn_metrics.confusion_matrix(true, answer))


def test_a_confusion_is_of_classes_only():
    with pytest.raises(ValueError, match="must be exclusive"):
        confusion(random_predictions(), "attributes")


@pytest.mark.parametrize("make", [random_predictions, random_classes])
def test_resamples_of_known_labels_are_those_of_the_drawn_images(make):
    predictions = some_known(make())
    n, K = predictions.labels.shape
    rates, known, exclusive = np.linspace(0.2, 0.7, K), predictions.known, predictions.exclusive
    resampled = resampled_metrics(predictions, rates, resamples=20, seed=3)
    weights = np.concatenate(list(resample_weights(np.arange(n), 20, seed=3)), axis=1)
    for resample in (0, 15, 16, 19):
        drawn = np.repeat(np.arange(n), weights[:, resample].astype(int))
        for head, probabilities in predictions.probabilities.items():
            literal = metrics(predictions.labels[drawn], probabilities[drawn], rates, known[drawn], exclusive)
            assert set(literal) == set(metrics_of(exclusive))
            for metric, values in literal.items():
                assert resampled[head][metric].shape == (20, 1 if metric in OVERALL else K)
                np.testing.assert_allclose(resampled[head][metric][resample], values, atol=1e-12)


def test_an_evaluation_of_classes_has_top1_among_its_means():
    predictions = some_known(random_classes(groups=np.arange(80) // 2))
    labels, known = predictions.labels, predictions.known
    result = evaluate(predictions, np.array([0.1, 0.2, 0.3, 0.4]), 50)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["images"], result["groups"]) == (80, 40)
    assert result["unknown"] == (~known[:, 0]).sum()
    for head, probabilities in predictions.probabilities.items():
        part = result["heads"][head]
        assert tuple(part["mean"]) == tuple(part["interval"]) == metrics_of(True)
        assert tuple(part["left_out"]) == METRICS
        right = probabilities.argmax(axis=1) == labels.argmax(axis=1)
        assert part["mean"]["top1"] == pytest.approx(right[known[:, 0]].mean())
        low, high = part["interval"]["top1"]
        assert low < part["mean"]["top1"] < high
        assert all(tuple(values) == METRICS for values in part["per_attribute"].values())


def test_classes_of_which_nothing_is_known():
    predictions = random_classes()
    nothing = np.zeros(predictions.labels.shape, bool)
    result = evaluate(replace(predictions, labels=nothing, known=nothing), np.full(4, np.nan), 20)
    assert result["unknown"] == 80
    for head, part in result["heads"].items():
        assert part["mean"] == dict.fromkeys(metrics_of(True))
        assert not confusion(replace(predictions, labels=nothing, known=nothing), head).any()
    trained_on_nothing = evaluate(predictions, np.full(4, np.nan), 20)["heads"]["attributes"]["mean"]
    assert {metric for metric, value in trained_on_nothing.items() if value is None} == {
        "majority_accuracy",
        "majority_top1",
    }


def test_a_class_without_an_image_has_no_recall():
    predictions = random_classes()
    labels = predictions.labels.copy()
    labels[labels[:, 0]] = np.arange(4) == 1
    part = evaluate(replace(predictions, labels=labels), np.full(4, 0.25), 20)["heads"]["attributes"]
    assert part["left_out"]["balanced_accuracy"] == part["left_out"]["average_precision"] == 1
    recalls = [values["balanced_accuracy"] for values in part["per_attribute"].values()]
    assert recalls[0] is None
    assert part["mean"]["balanced_accuracy"] == pytest.approx(np.mean(recalls[1:]))


# --- bootstrap ---

GROUPS = np.random.default_rng(1).integers(0, 20, 60)


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["images", "groups"])
@pytest.mark.parametrize("K", [1, 5])
def test_the_weighted_bootstrap_is_the_literal_one(groups, K):
    predictions, rates = random_predictions(K=K, groups=groups), np.linspace(0.2, 0.7, K)
    means, _ = bootstrap(predictions, rates, resamples=40, seed=3)
    units = np.arange(60) if groups is None else groups
    weights = np.concatenate(list(resample_weights(units, 40, seed=3)), axis=1)
    for resample in (0, 1, 15, 16, 39):
        drawn = np.repeat(np.arange(60), weights[:, resample].astype(int))
        for head, probabilities in predictions.probabilities.items():
            literal = metrics(predictions.labels[drawn], probabilities[drawn], rates)
            for metric in METRICS:
                assert means[head][metric].shape == (40,)
                assert means[head][metric][resample] == pytest.approx(literal[metric].mean(), abs=1e-12)


def test_resampled_metrics_are_those_of_the_drawn_images():
    predictions, rates = random_predictions(groups=GROUPS), np.linspace(0.2, 0.7, 5)
    resampled = resampled_metrics(predictions, rates, resamples=20, seed=3)
    weights = np.concatenate(list(resample_weights(GROUPS, 20, seed=3)), axis=1)
    for resample in (0, 15, 16, 19):
        drawn = np.repeat(np.arange(60), weights[:, resample].astype(int))
        for head, probabilities in predictions.probabilities.items():
            literal = metrics(predictions.labels[drawn], probabilities[drawn], rates)
            for metric in METRICS:
                assert resampled[head][metric].shape == (20, 5)
                np.testing.assert_allclose(resampled[head][metric][resample], literal[metric], atol=1e-12)


def test_counting_alone_gives_every_metric_but_average_precision():
    predictions, rates = random_predictions(), np.full(5, 0.5)
    scorer = Scorer(predictions.labels, predictions.probabilities["attributes"], rates)
    weights = next(resample_weights(predictions.units, 3, seed=0))
    whole, counted = scorer(weights), scorer.count(weights)
    assert set(whole) - set(counted) == {"average_precision"}
    for metric, values in counted.items():
        np.testing.assert_array_equal(values, whole[metric])


def test_where_nothing_is_weighed_every_metric_is_undefined():
    predictions = random_predictions()
    scorer = Scorer(predictions.labels, predictions.probabilities["attributes"], np.full(5, 0.5))
    assert all(np.isnan(values).all() for values in scorer(np.zeros((60, 2))).values())


@pytest.mark.parametrize("rare", [True, False])
def test_an_attribute_is_left_out_of_the_resamples_that_lack_a_class(rare):
    predictions = random_predictions(K=2)
    predictions.labels[:, 1] = not rare
    predictions.labels[7, 1] = rare
    rates = np.array([0.5, 0.02])
    means, single_class = bootstrap(predictions, rates, resamples=200, seed=0)
    weights = np.concatenate(list(resample_weights(np.arange(60), 200, seed=0)), axis=1)
    lacking = weights[7] == 0
    assert 40 < lacking.sum() < 110  # (1 - 1/60)^60 = 0.365 of 200
    np.testing.assert_array_equal(single_class, [0, lacking.sum()])
    other = replace(
        predictions,
        labels=predictions.labels[:, :1],
        known=predictions.known[:, :1],
        targets=Targets(NAMES[:1]),
        probabilities={head: p[:, :1] for head, p in predictions.probabilities.items()},
    )
    alone, _ = bootstrap(other, rates[:1], resamples=200, seed=0)
    for metric in ("balanced_accuracy", "average_precision"):
        both, first = means["attributes"][metric], alone["attributes"][metric]
        np.testing.assert_allclose(both[lacking], first[lacking], rtol=1e-12)
        assert np.all(both[~lacking] != first[~lacking])
    assert evaluate(predictions, rates, 200, seed=0)["single_class_resamples"] == {"Bald": lacking.sum()}


def intervals(labels, correct, groups, seed):
    """Of accuracy, from answers that are right where `correct` says so."""
    probabilities = np.where(labels == correct, 0.8, 0.2)
    targets = Targets(NAMES[: labels.shape[1]])
    predictions = Predictions(np.arange(len(labels)), labels, groups, {"attributes": probabilities}, targets=targets)
    rates = np.full(labels.shape[1], 0.5)
    return evaluate(predictions, rates, resamples=200, seed=seed)["heads"]["attributes"]["interval"]


def test_intervals_hold_the_truth_about_95_times_in_100():
    generator, repetitions = np.random.default_rng(0), 250
    held = {"accuracy": 0, "positive_rate": 0}
    for repetition in range(repetitions):
        labels, correct = generator.random((100, 2)) < 0.3, generator.random((100, 2)) < 0.75
        result = intervals(labels, correct, None, repetition)
        for metric, truth in (("accuracy", 0.75), ("positive_rate", 0.3)):
            held[metric] += result[metric][0] <= truth <= result[metric][1]
    for count in held.values():
        assert 0.90 < count / repetitions < 0.985


def test_only_grouped_intervals_hold_the_truth_when_the_images_of_a_group_agree():
    generator, repetitions = np.random.default_rng(0), 150
    people = np.repeat(np.arange(50), 8)
    held = {"groups": 0, "images": 0}
    for repetition in range(repetitions):
        labels, correct = (generator.random((2, 50, 1)) < [[[0.4]], [[0.75]]])[:, people]
        for unit, groups in (("groups", people), ("images", None)):
            low, high = intervals(labels, correct, groups, repetition)["accuracy"]
            held[unit] += low <= 0.75 <= high
    assert 0.88 < held["groups"] / repetitions < 0.99
    assert held["images"] / repetitions < 0.7


def test_grouped_intervals_are_wider_by_the_root_of_the_group_size_when_the_images_of_a_group_agree():
    generator = np.random.default_rng(0)
    people = np.repeat(np.arange(100), 9)
    labels, correct = (generator.random((2, 100, 3)) < 0.7)[:, people]
    grouped, single = (np.ptp(intervals(labels, correct, groups, 0)["accuracy"]) for groups in (people, None))
    assert grouped / single == pytest.approx(3, rel=0.3)


def test_both_heads_share_their_resamples():
    predictions = random_predictions()
    same = replace(predictions, probabilities=dict.fromkeys(("attributes", "multi_label"), np.zeros((60, 5)) + 0.7))
    means, _ = bootstrap(same, np.full(5, 0.5), resamples=40, seed=0)
    assert np.ptp(means["attributes"]["accuracy"]) > 0
    np.testing.assert_array_equal(means["attributes"]["accuracy"], means["multi_label"]["accuracy"])
    # A head scored without the other meets the same resamples, so runs can be compared in pairs, too.
    alone = replace(predictions, probabilities={"multi_label": predictions.probabilities["multi_label"]})
    np.testing.assert_array_equal(
        bootstrap(alone, np.full(5, 0.5), 40, 0)[0]["multi_label"]["average_precision"],
        bootstrap(predictions, np.full(5, 0.5), 40, 0)[0]["multi_label"]["average_precision"],
    )


# --- the assembled evaluation ---


def test_the_seed_alone_decides_the_intervals():
    predictions, rates = random_predictions(groups=GROUPS), np.full(5, 0.4)
    first, again, other = (evaluate(predictions, rates, 50, seed) for seed in (0, 0, 1))
    assert first == again
    assert first["heads"]["attributes"]["interval"] != other["heads"]["attributes"]["interval"]
    assert first["heads"]["attributes"]["mean"] == other["heads"]["attributes"]["mean"]


def test_an_evaluation_holds_means_of_the_defined_attributes_and_is_strict_json():
    predictions = random_predictions(groups=GROUPS)
    predictions.labels[:, 1] = False
    result = evaluate(predictions, np.full(5, 0.4), 50)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {key: value for key, value in result.items() if key != "heads"} == {
        "images": 60,
        "unknown": 0,
        "groups": len(set(GROUPS)),
        "resampled": "groups",
        "resamples": 50,
        "single_class_resamples": {"Bald": 50},
    }
    for head, probabilities in predictions.probabilities.items():
        part, values = result["heads"][head], metrics(predictions.labels, probabilities, np.full(5, 0.4))
        assert list(part["per_attribute"]) == list(NAMES)
        assert part["per_attribute"]["Hat"] == {metric: values[metric][2] for metric in METRICS}
        assert part["per_attribute"]["Bald"]["balanced_accuracy"] is None
        assert part["left_out"] == dict.fromkeys(METRICS, 0) | {"balanced_accuracy": 1, "average_precision": 1}
        kept = [0, 2, 3, 4]
        assert part["mean"]["average_precision"] == pytest.approx(values["average_precision"][kept].mean())
        assert part["mean"]["accuracy"] == pytest.approx(values["accuracy"].mean())
        for metric in METRICS:
            low, high = part["interval"][metric]
            assert low < part["mean"][metric] < high


def test_what_no_attribute_defines_has_neither_mean_nor_interval():
    heads = {"attributes": np.full((4, 1), 0.1)}
    predictions = Predictions(np.arange(4), np.zeros((4, 1), bool), None, heads, targets=Targets(("Bald",)))
    result = evaluate(predictions, np.array([0.1]), 20)["heads"]["attributes"]
    for metric in ("balanced_accuracy", "average_precision", "f1"):
        assert (result["mean"][metric], result["interval"][metric]) == (None, [None, None])
    assert (result["mean"]["accuracy"], result["interval"]["accuracy"]) == (1.0, [1.0, 1.0])


def test_one_group_says_nothing_of_other_groups():
    result = evaluate(random_predictions(groups=np.zeros(60, int)), np.full(5, 0.4), 20)
    assert result["heads"]["attributes"]["interval"] == {metric: [None, None] for metric in METRICS}


def test_training_rates_must_be_one_per_attribute():
    with pytest.raises(ValueError, match=r"`training_rates` must be of shape \(5,\). Received: \(1,\)"):
        metrics(np.zeros((3, 5), bool), np.zeros((3, 5)), np.array([0.5]))


def test_the_module_needs_neither_tensorflow_nor_scikit_learn():
    code = (
        "import sys, mam_keras.evaluation; print([m for m in ('tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
