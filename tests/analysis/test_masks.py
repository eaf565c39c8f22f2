"""Statistics of the masks, against whole arrays in float64 and against numbers worked out by hand."""

import numpy as np
import pytest

from mam_keras.analysis import masks
from mam_keras.analysis.needs import lacking
from tests.analysis import untrained
from tests.model import equations


@pytest.fixture(scope="module", params=[("per_feature", False), ("common", False), ("per_feature", True)], ids=str)
def example(request):
    kind, learned_positions = request.param
    run = untrained.run(masks=kind, learned_positions=learned_positions)
    return run, masks.compute(run, "test"), *untrained.whole(run)


def test_means_spread_and_covariance_are_those_of_the_whole_array(example):
    _, found, _, M = example
    values = M.transpose(3, 0, 1, 2, 4).reshape(3, -1, M.shape[-1])
    np.testing.assert_allclose(found.arrays["mean"], values.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.arrays["spread"], values.std(axis=(1, 2)), rtol=1e-4)
    flat = values.reshape(-1, M.shape[-1])
    expected = np.atleast_2d(np.cov(flat.T, bias=True))
    np.testing.assert_allclose(found.arrays["covariance"], expected, rtol=1e-4, atol=1e-7)


def test_histogram_and_shares_count_every_mask_value(example):
    _, found, _, M = example
    values = M.transpose(3, 0, 1, 2, 4).reshape(3, -1)
    histogram = found.arrays["histogram"]
    assert (histogram.sum(axis=1) == values.shape[1]).all()
    expected = np.array([np.histogram(row, bins=100, range=(0, 1))[0] for row in values])
    assert np.abs(histogram - expected).sum() <= 4  # a value that float32 rounds to the other side of an edge
    near = {"near_zero": values < 0.1, "near_half": (values >= 0.4) & (values < 0.6), "near_one": values >= 0.9}
    for name, expected in near.items():
        np.testing.assert_allclose(found.arrays[name], expected.mean(axis=1), atol=2 / values.shape[1])


def test_importance_is_the_mean_absolute_contribution(example):
    run, found, features, M = example
    heads = run.network.contributions.heads
    kernel = heads.kernel.numpy().astype(float)
    if run.config.model.learned_positions:
        features = features[:, :, :, None] * equations.position_weights(heads.position_logits.numpy())[..., None]
    else:
        features = features[:, :, :, None]
    contributions = kernel * (1 + M) * features
    expected = np.abs(contributions).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(found.arrays["importance"], expected, rtol=1e-4)
    due = np.abs(kernel * M * features).mean(axis=(0, 1, 2)).sum(axis=1) / expected.sum(axis=1)
    np.testing.assert_allclose(found.arrays["masked_share"], due, rtol=1e-4)


def test_without_an_offset_all_is_due_to_the_masks():
    found = masks.compute(untrained.run(mask_offset=0), "test")
    np.testing.assert_array_equal(found.arrays["masked_share"], 1)


def test_sparsity_is_hoyers_of_all_values(example):
    _, found, _, M = example
    for k, sparsity in enumerate(found.arrays["sparsity"]):
        values = M[:, :, :, k].ravel()
        root = np.sqrt(values.size)
        expected = (root - values.sum() / np.sqrt((values**2).sum())) / (root - 1)
        assert sparsity == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 1, 1, 1], 0), ([0, 0, 0, 2], 1), ([3, 4, 0, 0], 0.6), ([0, 0, 0, 0], np.nan), ([5], np.nan)],
)
def test_sparsity_by_hand(values, expected):
    values = np.array(values, float)
    found = masks.hoyer(values.mean(), (values**2).mean(), values.size)
    np.testing.assert_allclose(found, expected)


def test_moments_by_hand():
    moments = masks.Moments()
    # Two attributes, two channels; first the values (0, 0) and (2, 4), then (4, 2); the other one's are all (1, 1)
    moments.add(2, np.array([[1, 2], [1, 1]]), np.array([[[2, 4], [4, 8]], np.zeros((2, 2))]))
    moments.add(1, np.array([[4, 2], [1, 1]]), np.zeros((2, 2, 2)))
    np.testing.assert_allclose(moments.mean, [[2, 2], [1, 1]])
    np.testing.assert_allclose(moments.squares, [[8, 8], [0, 0]])
    np.testing.assert_allclose(moments.products, [[8, 4], [4, 8]])
    # All six: first channel 0 2 4 1 1 1, second 0 4 2 1 1 1, both with mean 1.5
    np.testing.assert_allclose(moments.covariance() * 6, [[9.5, 5.5], [5.5, 9.5]])


def test_moments_of_masks_that_hardly_vary():
    values = 0.9999 + 1e-6 * np.random.default_rng(0).normal(size=(3, 300, 4))
    moments = masks.Moments()
    for batch in np.split(values, (7, 100, 101), axis=1):
        mean = batch.mean(axis=1)
        centred = batch - mean[:, None]
        moments.add(batch.shape[1], mean, centred.transpose(0, 2, 1) @ centred)
    np.testing.assert_allclose(moments.covariance(), np.cov(values.reshape(-1, 4).T, bias=True), rtol=1e-6, atol=1e-18)


def test_how_many_channels_make_up_half():
    np.testing.assert_array_equal(masks.half(np.array([[1, 4, 2, 3], [9, 0, 0, 1], [1, 1, 1, 1]])), [2, 1, 2])


def test_one_attribute():
    found = masks.compute(untrained.run(("Smiling",)), "test")
    assert found.arrays["mean"].shape == (1, 8)


def test_masks_that_a_stage_follows_have_statistics_but_no_importance():
    run = untrained.run(perception="stage")
    found, (_, M) = masks.compute(run, "test"), untrained.whole(run)
    np.testing.assert_allclose(found.arrays["mean"], M.mean(axis=(0, 1, 2)), rtol=1e-5)
    assert not {"importance", "masked_share", "half"} & set(found.arrays)


@pytest.mark.parametrize("changes", [{"masks": "none"}, {"attribute_heads": False}, {"system": "plain"}])
def test_without_masks_there_is_no_answer(changes):
    assert "no masks" in lacking(untrained.run(**changes), "test", masks.NEEDS)


def test_without_the_split_there_is_no_answer():
    assert "no validation split" in lacking(untrained.run(), "validation", masks.NEEDS)
