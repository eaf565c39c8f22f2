import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mam_keras.evaluation import (
    METRICS,
    Predictions,
    Scorer,
    bootstrap,
    estimates,
    evaluate,
    interval,
    metrics,
    paired_estimates,
    resample_weights,
    resampled_metrics,
    table,
)


def random_predictions(n=60, K=5, groups=None, seed=0):
    """Both heads, informative, on a grid of eleven probabilities (so with many ties and some exact 0.5)."""
    generator = np.random.default_rng(seed)
    labels = generator.random((n, K)) < generator.uniform(0.2, 0.7, K)

    def head(noise):
        return np.clip(np.round(0.3 + 0.4 * labels + generator.normal(0, noise, (n, K)), 1), 0, 1)

    ids = np.arange(n).astype(str)
    return Predictions(ids, labels, groups, {"attributes": head(0.2), "multi_label": head(0.4)})


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


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed):
    predictions = random_predictions(seed=seed)
    for probabilities in predictions.probabilities.values():
        result = metrics(predictions.labels, probabilities, np.full(5, 0.4))
        for k in range(5):
            label, probability = predictions.labels[:, k], probabilities[:, k]
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


# --- bootstrap ---

GROUPS = np.random.default_rng(1).integers(0, 20, 60)


def test_image_weights_count_n_draws_and_group_weights_are_those_of_the_group():
    images = np.concatenate(list(resample_weights(np.arange(60), 70, seed=0)), axis=1)
    assert images.shape == (60, 70)
    assert np.all(images.sum(axis=0) == 60)
    grouped = np.concatenate(list(resample_weights(GROUPS, 70, seed=0)), axis=1)
    names, first = np.unique(GROUPS, return_index=True)
    assert np.all(grouped[first].sum(axis=0) == len(names))  # as many groups drawn as there are
    np.testing.assert_array_equal(grouped, grouped[first][np.searchsorted(names, GROUPS)])


def test_weights_have_the_moments_of_drawing_with_replacement():
    weights = np.concatenate(list(resample_weights(np.arange(50), 4000, seed=0)), axis=1)
    np.testing.assert_allclose(weights.mean(axis=1), 1, atol=0.08)  # 5 standard errors
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.02)  # binomial(50, 1/50)


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


def test_an_interval_leaves_out_undefined_resamples():
    nan = np.nan
    resampled = np.array([[0.0, nan, nan], [1.0, nan, 2.0], [2.0, nan, 4.0]])
    np.testing.assert_allclose(interval(resampled), [[0.05, nan, 2.05], [1.95, nan, 3.95]])
    np.testing.assert_allclose(interval(resampled[:, 0]), [0.05, 1.95])
    assert np.isnan(interval(resampled[:, 1])).all()


def test_an_estimate_of_a_single_unit_has_no_interval():
    values, resampled = np.array([0.5, 0.25]), np.array([[0.0, 0.25], [1.0, 0.25]])
    np.testing.assert_allclose(estimates(values, resampled, np.array([3, 4])), [[0.5, 0.025, 0.975], [0.25] * 3])
    np.testing.assert_array_equal(
        estimates(values, resampled, np.array([3, 3])), [[0.5, np.nan, np.nan], [0.25, np.nan, np.nan]]
    )


def test_paired_estimates_worked_out_by_hand():
    # Four images, two attributes. "Right" per image; accuracy is the weighted mean. The second attribute's second
    # scoring is undefined wherever image 3 is not drawn.
    right = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], float), np.array([[1, 1], [1, 1], [1, 1], [0, 1]], float)

    def scoring(index):
        def scores(weights):
            share = weights.T @ right[index] / weights.sum(axis=0)[:, None]
            if index:
                share[weights[3] == 0, 1] = np.nan
            return {"accuracy": share}

        return scores

    found = paired_estimates(scoring(0), scoring(1), ("accuracy",), np.arange(4), resamples=200, seed=0)
    np.testing.assert_allclose(found["accuracy"][:, :, 0], [[0.5, 0.75, 0.25], [0.5, 1.0, 0.5]])
    np.testing.assert_allclose(found["accuracy.mean"][:, 0], [0.5, 0.875, 0.375])
    weights = np.concatenate(list(resample_weights(np.arange(4), 200, seed=0)), axis=1)
    both = weights[3] > 0  # in the others the second attribute counts in neither
    first, difference = weights.T @ right[0] / 4, weights.T @ (right[1] - right[0]) / 4
    ends = (2.5, 97.5)
    np.testing.assert_allclose(found["accuracy"][0, 2, 1:], np.percentile(difference[:, 0], ends))
    np.testing.assert_allclose(found["accuracy"][1, 0, 1:], np.percentile(first[both, 1], ends))
    mean = np.where(both, difference.mean(axis=1), difference[:, 0])
    np.testing.assert_allclose(found["accuracy.mean"][2, 1:], np.percentile(mean, ends))


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
        probabilities={head: p[:, :1] for head, p in predictions.probabilities.items()},
    )
    alone, _ = bootstrap(other, rates[:1], resamples=200, seed=0)
    for metric in ("balanced_accuracy", "average_precision"):
        both, first = means["attributes"][metric], alone["attributes"][metric]
        np.testing.assert_allclose(both[lacking], first[lacking], rtol=1e-12)
        assert np.all(both[~lacking] != first[~lacking])
    assert evaluate(predictions, ("A", "Rare"), rates, 200, seed=0)["single_class_resamples"] == {"Rare": lacking.sum()}


def intervals(labels, correct, groups, seed):
    """Of accuracy, from answers that are right where `correct` says so."""
    probabilities = np.where(labels == correct, 0.8, 0.2)
    predictions = Predictions(np.arange(len(labels)), labels, groups, {"attributes": probabilities})
    names, rates = [str(k) for k in range(labels.shape[1])], np.full(labels.shape[1], 0.5)
    return evaluate(predictions, names, rates, resamples=200, seed=seed)["heads"]["attributes"]["interval"]


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

NAMES = ("Smiling", "Bald", "Hat", "Young", "An_attribute_with_a_name_that_is_far_too_long_for_a_table")


def test_the_seed_alone_decides_the_intervals():
    predictions, rates = random_predictions(groups=GROUPS), np.full(5, 0.4)
    first, again, other = (evaluate(predictions, NAMES, rates, 50, seed) for seed in (0, 0, 1))
    assert first == again
    assert first["heads"]["attributes"]["interval"] != other["heads"]["attributes"]["interval"]
    assert first["heads"]["attributes"]["mean"] == other["heads"]["attributes"]["mean"]


def test_an_evaluation_holds_means_of_the_defined_attributes_and_is_strict_json():
    predictions = random_predictions(groups=GROUPS)
    predictions.labels[:, 1] = False
    result = evaluate(predictions, NAMES, np.full(5, 0.4), 50)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {key: value for key, value in result.items() if key != "heads"} == {
        "images": 60,
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
    predictions = Predictions(np.arange(4), np.zeros((4, 1), bool), None, {"attributes": np.full((4, 1), 0.1)})
    result = evaluate(predictions, ["Bald"], np.array([0.1]), 20)["heads"]["attributes"]
    for metric in ("balanced_accuracy", "average_precision", "f1"):
        assert (result["mean"][metric], result["interval"][metric]) == (None, [None, None])
    assert (result["mean"]["accuracy"], result["interval"]["accuracy"]) == (1.0, [1.0, 1.0])


def test_one_group_says_nothing_of_other_groups():
    result = evaluate(random_predictions(groups=np.zeros(60, int)), NAMES, np.full(5, 0.4), 20)
    assert result["heads"]["attributes"]["interval"] == {metric: [None, None] for metric in METRICS}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": np.zeros((60, 5))}, r"`labels` must be bool .* Received: float64 \(60, 5\)"),
        ({"labels": np.zeros((59, 5), bool)}, r"for n = 60 ids. Received: bool \(59, 5\)"),
        ({"ids": np.arange(0), "labels": np.zeros((0, 5), bool)}, r"not empty"),
        ({"groups": np.zeros(59)}, r"`groups` must be None or of shape \(60,\). Received: \(59,\)"),
        ({"probabilities": {}}, r"`probabilities` must hold one or more of .* Received: \[\]"),
        ({"probabilities": {"reconstruction": np.zeros((60, 5))}}, r"Received: \['reconstruction'\]"),
        ({"probabilities": {"attributes": np.zeros((60, 1))}}, r"of shape \(60, 5\). Received: \(60, 1\)"),
        ({"probabilities": {"attributes": np.full((60, 5), 1.5)}}, r"in \[0, 1\]. Received: 1.5 to 1.5"),
        ({"probabilities": {"attributes": np.full((60, 5), np.nan)}}, r"in \[0, 1\]. Received: nan to nan"),
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(random_predictions(), **change)


@pytest.mark.parametrize("attributes", [NAMES[:4], ("Smiling", *NAMES[:4])])
def test_names_must_be_as_many_as_attributes_and_different(attributes):
    with pytest.raises(ValueError, match="5 different names"):
        evaluate(random_predictions(), attributes, np.full(5, 0.4), 10)


def test_training_rates_must_be_one_per_attribute():
    with pytest.raises(ValueError, match=r"`training_rates` must be of shape \(5,\). Received: \(1,\)"):
        metrics(np.zeros((3, 5), bool), np.zeros((3, 5)), np.array([0.5]))


# --- the table ---


def test_the_table_shows_what_was_worked_out_by_hand():
    labels = np.array([[True, False], [False, False], [True, False], [False, False], [True, False], [False, False]])
    probabilities = np.stack([[0.9, 0.8, 0.7, 0.5, 0.4, 0.2], [0.1] * 6], axis=1)
    predictions = Predictions(np.arange(6), labels, None, {"attributes": probabilities})
    text = table({"splits": {"test": evaluate(predictions, ("Hat", "Bald"), np.array([0.25, 0.1]), 20)}})
    lines = text.splitlines()
    assert lines[0] == "test: 6 images, in percent"
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:] if line.strip()}
    assert rows["attribute"] == ["positive", "majority", "accuracy", "balanced", "AP", "F1"]
    assert rows["Hat"] == ["50.0", "50.0", "50.0", "50.0", "75.6", "57.1"]
    assert rows["Bald"] == ["0.0", "100.0", "100.0", "–", "–", "–"]  # noqa: RUF001
    assert rows["mean"] == ["25.0", "75.0", "75.0", "50.0", "75.6", "57.1"]
    assert "left out of the mean, number of attributes, attribute heads: balanced 1, AP 1, F1 1." in text
    assert "most often Bald (20 of 20)." in " ".join(text.split())


def test_the_table_fits_its_width_and_says_what_intervals_cover():
    evaluations = {
        "validation": evaluate(random_predictions(), NAMES, np.full(5, 0.4), 40),
        "test": evaluate(random_predictions(groups=GROUPS), NAMES, np.full(5, 0.4), 40),
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
    text = table({"splits": {"test": evaluate(predictions, NAMES, np.full(5, 0.4), 20)}})
    assert "multi-label head" in text
    assert "attribute heads" not in text


def test_the_module_needs_neither_tensorflow_nor_scikit_learn():
    code = (
        "import sys, mam_keras.evaluation; print([m for m in ('tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
