"""The bootstrap, against its definition: weights, intervals, differences in pairs."""

import numpy as np
import pytest

from mam_keras.statistics import defined_mean, estimates, interval, paired_estimates, ratio, resample_weights

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


def test_what_is_undefined_has_no_ratio_and_is_left_out_of_means():
    nan = np.nan
    np.testing.assert_array_equal(ratio(np.array([1.0, 0.0, 3.0]), np.array([2, 0, 4])), [0.5, nan, 0.75])
    np.testing.assert_array_equal(defined_mean(np.array([[1.0, nan, 2.0], [nan, nan, nan]])), [1.5, nan])
