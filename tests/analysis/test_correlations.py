"""Correlations of masks, logits and labels, against whole arrays and against numbers worked out by hand."""

import numpy as np
import pytest

from mam_keras import analysis
from mam_keras.analysis import Result, Unavailable, correlations
from mam_keras.analysis.needs import lacking
from tests.analysis import untrained


@pytest.fixture(autouse=True)
def masks_in_memory(monkeypatch):
    """An untrained run has no directory to keep results in: the moments of its masks, from all of them at once."""

    def result_of(run, name, split):
        if (why := lacking(run, split, {"masks"})) is not None:
            raise Unavailable(why)
        _, M = untrained.whole(run)
        return Result({}, {"mean": M.mean(axis=(0, 1, 2)), "covariance": np.cov(M.reshape(-1, M.shape[-1]).T)})

    monkeypatch.setattr(analysis, "result_of", result_of)


@pytest.fixture(scope="module")
def run():
    return untrained.run(("Smiling", "Hat", "Bangs", "Bald"))


def test_channels_correlate_over_attributes_positions_and_images(run):
    found, (_, M) = correlations.compute(run, "test"), untrained.whole(run)
    np.testing.assert_allclose(found.arrays["channels"], np.corrcoef(M.reshape(-1, 8).T), atol=1e-5)


def test_attributes_correlate_over_channels_less_each_channels_mean(run):
    found, (_, M) = correlations.compute(run, "test"), untrained.whole(run)
    means = M.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(found.arrays["attributes"], np.corrcoef(means - means.mean(axis=0)), atol=1e-5)


def test_attributes_by_hand():
    # Less the channels' means (4, 1, 4), the rows are (-3, 0, 3), (3, 0, -3) and (0, 0, 0)
    found = correlations.attribute_correlations(np.array([[1.0, 1, 7], [7, 1, 1], [4, 1, 4]]))
    np.testing.assert_allclose(found, [[1, -1, np.nan], [-1, 1, np.nan], [np.nan] * 3])


def test_pearson_by_hand():
    np.testing.assert_allclose(correlations.pearson(np.array([[0.0, 1], [1, 0], [1, 1]]))[0, 1], -0.5)
    np.testing.assert_allclose(correlations.correlation(np.array([[4.0, 3], [3, 9]])), [[1, 0.5], [0.5, 1]])


def test_pearson_counts_a_row_as_often_as_its_weight_says():
    samples, weights = np.random.default_rng(0).normal(size=(6, 3)), np.array([0, 1, 2, 3, 0, 1])
    expected = np.corrcoef(samples.repeat(weights, axis=0).T)
    np.testing.assert_allclose(correlations.pearson(samples, weights.astype(float)), expected)


def test_pearson_of_what_is_known_is_that_of_the_rows_in_which_both_are():
    random = np.random.default_rng(0)
    samples, weights, known = random.normal(size=(30, 4)), random.integers(0, 4, 30), random.random((30, 4)) < 0.6
    known[:, 3] = False
    found = correlations.pearson(samples, weights.astype(float), known)
    assert np.isnan(found[3]).all()
    for k in range(3):
        for other in range(3):
            rows = np.flatnonzero(known[:, k] & known[:, other]).repeat(weights[known[:, k] & known[:, other]])
            assert found[k, other] == pytest.approx(np.corrcoef(samples[rows, k], samples[rows, other])[0, 1])


def test_logits_of_unknown_labels_are_not_cut_to_yes():
    logits, known = np.array([[9.0], [2], [1], [0]]), np.array([[False], [True], [True], [True]])
    found = correlations.cut_at_rate(logits, np.array([[0.0], [0], [1], [0]]), known)
    np.testing.assert_array_equal(found, [[0], [1], [0], [0]])


def test_what_does_not_vary_has_no_correlation():
    samples = np.column_stack([np.full(9, 0.1), np.arange(9.0)])
    np.testing.assert_array_equal(np.isnan(correlations.pearson(samples)), [[True, True], [True, False]])


def test_logits_are_finite_and_those_of_the_probabilities():
    np.testing.assert_allclose(correlations.logit(np.float32([0.5, 0.75])), [0, np.log(3)])
    ends = correlations.logit(np.float32([0, 1]))
    np.testing.assert_allclose(ends, [-np.log(2**24 - 1), np.log(2**24 - 1)])


def test_logits_are_cut_where_they_say_yes_as_often_as_the_label():
    logits = np.array([[3.0, 0], [2, 5], [1, 0], [4, 0]])
    labels = np.array([[0, 0], [0, 0], [1, 1], [1, 1]], float)
    np.testing.assert_array_equal(correlations.cut_at_rate(logits, labels), [[1, 1], [0, 1], [0, 0], [1, 0]])


def test_nearest_by_hand():
    matrix = np.array([[1, 0.2, 0.9, np.nan], [0.2, 1, -0.5, np.nan], [0.9, -0.5, 1, np.nan], [np.nan] * 4])
    expected = [[2, 1, -1, -1, -1], [0, 2, -1, -1, -1], [0, 1, -1, -1, -1], [-1] * 5]
    np.testing.assert_array_equal(correlations.nearest(matrix), expected)


def test_leaf_order_puts_the_alike_together_and_the_undefined_last():
    groups = np.array([0, 1, -1, 0, 1, 0])
    matrix = np.where(groups[:, None] == groups, 0.9, 0.0)
    matrix[2], matrix[:, 2] = np.nan, np.nan
    order = correlations.leaf_order(matrix)
    assert order[-1] == 2
    assert sorted(order) == list(range(6))
    assert (np.diff(groups[order[:-1]]) != 0).sum() == 1


@pytest.mark.parametrize("K", [1, 2])
def test_leaf_order_of_few(K):
    np.testing.assert_array_equal(correlations.leaf_order(np.eye(K)), range(K))


def learnt_pair(images=400):
    """Independent labels; the logits are right, but those of the second attribute also follow the first one's."""
    random = np.random.default_rng(1)
    labels = random.random((images, 4)) < 0.5
    logits = 4.0 * labels - 2 + random.normal(size=labels.shape)
    logits[:, 1] += 3 * labels[:, 0]
    return labels, (1 / (1 + np.exp(-logits))).astype(np.float32)


def test_a_learnt_co_occurrence_comes_first(run):
    found = correlations.compute(untrained.answer(untrained.run(run.attributes, images=400), *learnt_pair()), "test")
    np.testing.assert_array_equal(found.arrays["pairs"][0], [0, 1])
    value, low, high = found.arrays["difference"][0]
    assert 0.1 < low < value < high < 0.8
    assert value == pytest.approx(found.arrays["cut.attributes"][0, 1] - found.arrays["labels"][0, 1])
    assert abs(found.arrays["labels"][0, 1]) < 0.15 < 0.3 < found.arrays["logits.attributes"][0, 1]


def test_rare_attributes_do_not_come_first_for_being_rare(run):
    """Labels that are cut from the logits themselves: however rare, nothing was learnt beyond them."""
    labels, probabilities = learnt_pair()
    shared = np.random.default_rng(2).normal(size=400)
    for k, rate in ((2, 0.03), (3, 0.1)):
        probabilities[:, k] = 1 / (1 + np.exp(-shared - 0.3 * np.random.default_rng(k).normal(size=400)))
        labels[:, k] = probabilities[:, k] > np.quantile(probabilities[:, k], 1 - rate)
    answered = untrained.answer(untrained.run(run.attributes, images=400), labels, probabilities)
    found = correlations.compute(answered, "test")
    np.testing.assert_array_equal(found.arrays["pairs"][0], [0, 1])
    assert found.arrays["logits.attributes"][2, 3] - found.arrays["labels"][2, 3] > 0.3
    assert found.arrays["cut.attributes"][2, 3] == pytest.approx(found.arrays["labels"][2, 3])


def test_people_are_resampled():
    labels, probabilities = learnt_pair(40)
    images, people, one = (
        correlations.compute(
            untrained.answer(untrained.run(("a", "b", "c", "d"), images=40, groups=groups), labels, probabilities),
            "test",
        ).arrays["difference"]
        for groups in (None, np.arange(40) // 10, np.zeros(40, int))
    )
    assert not np.array_equal(images[:, 1:], people[:, 1:])
    assert np.isnan(one[:, 1:]).all()
    np.testing.assert_array_equal(images[:, 0], one[:, 0])


def test_an_attribute_of_one_class_has_no_pair(run):
    labels, probabilities = learnt_pair()
    labels[:, 3] = False
    answered = untrained.answer(untrained.run(run.attributes, images=400), labels, probabilities)
    found = correlations.compute(answered, "test")
    assert np.isnan(found.arrays["difference"][-3:]).all()
    assert (found.arrays["pairs"][-3:, 1] == 3).all()


def test_one_attribute():
    found = correlations.compute(untrained.run(("Smiling",)), "test")
    assert found.arrays["pairs"].shape == (0, 2)
    assert found.arrays["difference"].shape == (0, 3)
    assert "fewer than three" in found.values["without_attributes"]
    assert found.arrays["channels"].shape == (8, 8)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"masks": "none"}, "no masks"),
        ({"masks": "common"}, "all channels share one mask"),
        ({"attribute_heads": False}, "no masks"),
    ],
)
def test_without_masks_logits_and_labels_remain(changes, reason):
    found = correlations.compute(untrained.run(**changes), "test")
    assert reason in found.values["without_channels"]
    assert reason in found.values["without_attributes"]
    assert "channels" not in found.arrays
    assert f"logits.{found.values['heads'][0]}" in found.arrays
    assert len(found.arrays["pairs"]) == 3


def test_of_exclusive_targets_logits_alone_are_correlated():
    found = correlations.compute(untrained.run(exclusive=True), "test").arrays
    assert found["logits.attributes"].shape == (3, 3)
    assert not {"labels", "cut.attributes", "pairs", "difference"} & set(found)


def test_unknown_labels_are_in_no_correlation_of_labels(run):
    labels, probabilities = learnt_pair()
    known = np.random.default_rng(4).random(labels.shape) < 0.7
    partly = untrained.answer(untrained.run(run.attributes, images=400), labels & known, probabilities, known)
    found, both = correlations.compute(partly, "test"), known[:, 0] & known[:, 1]
    assert found.arrays["labels"][0, 1] == pytest.approx(np.corrcoef(labels[both, 0], labels[both, 1])[0, 1])
    np.testing.assert_array_equal(found.arrays["pairs"][0], [0, 1])
