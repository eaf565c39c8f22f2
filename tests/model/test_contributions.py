"""Linear heads taken apart, and masks under pairs, against the equations in float64."""

import numpy as np
import pytest

from tests.analysis import looked_at, untrained
from tests.model import equations

PAIRS = [(1.0, 1.0), (0.0, 1.0), (2.0, 4.0), (0.5, 0.5), (2.0, 0.7)]
PLACED = {"learned_positions": True}
linear = pytest.mark.parametrize(
    "model",
    [
        {},
        {"masks": "common"},
        {"masks": "none"},
        {"mask_offset": 0, "pooled_share": 0.25},
        PLACED,
        PLACED | {"masks": "common", "mask_offset": 0},
        PLACED | {"masks": "none", "pooled_share": 0.25},
    ],
)


@linear
def test_every_part_of_a_logit_is_that_of_the_equations(model):
    run = untrained.run(**model)
    own, images = run.network.contributions, looked_at.pictures(run)
    features, expected = own.features(images), looked_at.contributions(run, images)
    for k in range(3):
        np.testing.assert_allclose(own.of_channels(features, k), expected[..., k, :], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(own.scores(features), expected.sum(axis=-1), rtol=1e-4, atol=1e-4)
    importances = np.abs(expected).mean(axis=(1, 2))
    np.testing.assert_allclose(own.importances(features), importances, rtol=1e-4, atol=1e-6)


@linear
def test_scores_add_up_to_the_networks_own_logits(model):
    run = untrained.run(**model)
    own, images = run.network.contributions, looked_at.pictures(run)
    features, expected = own.features(images), looked_at.logits(run, images)
    np.testing.assert_allclose(run.network.logits(images), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(own.logits(own.scores(features)), expected, rtol=1e-4, atol=1e-4)
    for k in range(3):
        np.testing.assert_allclose(own.logit(features, k), expected[:, k], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "model",
    [{}, {"masks": "common", "mask_offset": 0}, {"pooled_share": 0.25}, PLACED, PLACED | {"masks": "common"}],
)
def test_masks_under_pairs_are_those_of_the_equations(model):
    run = untrained.run(images=5, **model)
    masks, images = run.network.masks, looked_at.pictures(run)
    features, (F, M) = masks.features(images), untrained.whole(run)
    assert masks.identity == (1, 1) and masks.offset == model.get("mask_offset", 1)
    assert masks.channels == M.shape[-1]
    for k in range(3):
        np.testing.assert_allclose(masks.mask(features, k), M[:, :, :, k], rtol=1e-4, atol=1e-6)
    kernel, bias = (np.asarray(array, float) for array in (masks.heads.kernel, run.network.heads[0].bias))
    together, placed = masks.logits_of_pairs(PAIRS)(features).numpy(), 1.0
    if run.config.model.learned_positions:
        placed = equations.position_weights(masks.heads.position_logits.numpy())[..., None]
    for v, (a, b) in enumerate(PAIRS):
        factor = placed * (masks.offset + equations.tone_curve(M, a, b))
        scores = equations.scores(F, kernel, factor)
        expected = looked_at.pooled(run, scores) + bias
        for found in (masks.logits(features, a, b), together[v], masks.logits(features, np.full(5, a), np.full(5, b))):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        explained, importances = masks.explain(features, a, b)
        np.testing.assert_allclose(explained, scores, rtol=1e-4, atol=1e-4 * np.max(placed))
        parts = np.abs(kernel * factor * F[:, :, :, None]).mean(axis=(1, 2))
        np.testing.assert_allclose(importances, parts, rtol=1e-4, atol=1e-6)


def test_pairs_of_masks_that_a_stage_follows_are_worked_out_one_by_one():
    run = untrained.run(images=5, perception="stage")
    masks = run.network.masks
    features = masks.features(looked_at.pictures(run))
    together = masks.logits_of_pairs(PAIRS)(features).numpy()
    assert masks.pooling is None and together.shape == (5, 5, 3)
    for found, pair in zip(together, PAIRS, strict=True):
        np.testing.assert_allclose(found, masks.logits(features, *pair), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(together[0], run.network.logits(looked_at.pictures(run)), rtol=1e-5, atol=1e-5)
