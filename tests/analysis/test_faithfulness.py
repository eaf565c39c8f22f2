"""What is lost without a part of the image or of the channels: by hand, and image by image in plain numpy."""

import numpy as np
import pytest

from mam_keras.analysis import Unavailable, faithfulness
from mam_keras.config import Evaluation
from tests.analysis import untrained


def test_blocks_get_the_images_mean_colour():
    images = np.zeros((1, 4, 4, 3), np.float32)
    images[0, :2, :2] = 0.8, 0.4, 0
    covered = faithfulness.cover(images, np.array([[True, False, False, True]]), (2, 2))
    expected = images[0].copy()
    expected[:2, :2] = expected[2:, 2:] = 0.2, 0.1, 0
    np.testing.assert_allclose(covered[0], expected, rtol=1e-6)


def test_the_highest_of_equal_ones_are_the_first():
    np.testing.assert_array_equal(
        faithfulness.highest(np.array([[1, 3, 3, 2], [0, 0, 0, 0]]), 2),
        [[False, True, True, False], [True, True, False, False]],
    )


def test_the_middle_by_hand():
    nearest = faithfulness.highest(faithfulness.nearness((4, 4)), 4).reshape(4, 4)
    np.testing.assert_array_equal(np.argwhere(nearest), [[1, 1], [1, 2], [2, 1], [2, 2]])


def plain_logits(run, images):
    features = run.network.features(images.astype(np.float32)).numpy().astype(float)
    heads = run.network.heads
    gain = 1.0
    if run.network.masked:
        kernel, bias = heads.mask_kernel.numpy().astype(float), heads.mask_bias.numpy().astype(float)
        from tests.model import equations

        masks = equations.common_masks if run.config.model.masks == "common" else equations.masks
        gain = heads.mask_offset + masks(features, kernel, bias)
    contributions = heads.kernel.numpy() * gain * features[:, :, :, None, :]
    return contributions, pooled(run, contributions.sum(axis=-1)) + run.network.bias


def pooled(run, scores):
    flat = np.sort(scores.reshape(len(scores), -1, scores.shape[-1]), axis=1)
    return flat[:, -max(1, round(run.config.model.pooled_share * flat.shape[1])) :].mean(axis=1)


@pytest.mark.parametrize(
    "model", [{}, {"masks": "common"}, {"masks": "none"}, {"mask_offset": 0, "pooled_share": 0.25}]
)
def test_losses_are_those_of_each_image_alone(monkeypatch, model):
    monkeypatch.setattr(faithfulness, "MOST", 9)
    monkeypatch.setattr(faithfulness, "DRAWS", 400)
    run = untrained.balanced(untrained.run(images=40, batch_size=6, **model))
    found = faithfulness.compute(run)
    images, labels = run.images("test").images / 255, run.images("test").labels
    contributions, logits = plain_logits(run, images)
    scores = contributions.sum(axis=-1)
    y, x = np.mgrid[:8, :8] - 3.5
    middle = np.argsort((y**2 + x**2).ravel(), kind="stable")[:6]
    for k in range(3):
        rows = np.flatnonzero(labels[:, k] & (logits[:, k] >= 0))[:9]
        assert found.arrays["count"][k] == len(rows)
        expected, missed = [], []
        for row in rows:
            losses = []
            for blocks in (np.argsort(-scores[row, :, :, k].ravel(), kind="stable")[:6], middle):
                image = images[row].copy()
                for block in blocks:
                    i, j = divmod(block, 8)
                    image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = images[row].mean(axis=(0, 1))
                losses.append(logits[row, k] - plain_logits(run, image[None])[1][0, k])
            importance = np.abs(contributions[row, :, :, k]).mean(axis=(0, 1))
            kept = np.ones(8)
            kept[importance.argmax()] = 0  # a tenth of 8 channels is one
            without = pooled(run, (contributions[row, :, :, k] * kept).sum(axis=-1)[None, :, :, None])[0, 0]
            alone = [
                pooled(run, np.delete(contributions[row, :, :, k], c, axis=-1).sum(axis=-1)[None, :, :, None])[0, 0]
                for c in range(8)
            ]
            before = logits[row, k] - run.network.bias[k]
            expected.append([*losses, before - without, before - np.mean(alone)])
            missed.append([losses[0] > logits[row, k], losses[1] > logits[row, k]])
        mean = np.mean(expected, axis=0)
        np.testing.assert_allclose(found.arrays["covering"][k, [0, 2], 0], mean[:2], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.arrays["missed"][k, [0, 2], 0], np.mean(missed, axis=0), atol=1e-6)
        assert found.arrays["channels"][k, 0, 0] == pytest.approx(mean[2], rel=1e-3, abs=1e-4)
        spread = np.std([np.abs(one).max() for one in contributions[rows, :, :, k].mean(axis=(1, 2))]) + 1
        assert found.arrays["channels"][k, 1, 0] == pytest.approx(mean[3], abs=0.1 * spread)
        assert found.arrays["logit"][k] == pytest.approx(logits[rows, k].mean(), rel=1e-4)
    assert np.isfinite(found.arrays["covering.mean"]).all()
    assert found.values["positions"] == [6, 64]
    assert found.values["channels"] == [1, 8]


def test_streamed_is_whole_with_what_is_drawn_at_random():
    run = untrained.balanced(untrained.run(images=40, batch_size=7))
    first = faithfulness.compute(run)
    run.config = run.config.model_copy(update={"evaluation": Evaluation(batch_size=40)})
    whole = faithfulness.compute(run)
    assert first.values == whole.values
    for name, array in first.arrays.items():
        np.testing.assert_allclose(whole.arrays[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
    difference = first.arrays["covering"][:, :1] - first.arrays["covering"][:, 1:]
    np.testing.assert_allclose(first.arrays["covering.difference"][..., 0], difference[..., 0], atol=1e-6)


def test_without_true_positives_all_is_undefined():
    run = untrained.run()
    run.images("test").labels[:] = False
    found = faithfulness.compute(run)
    assert all(np.isnan(found.arrays[name]).all() for name in ("logit", "covering", "channels.mean"))


def test_what_cannot_be_answered():
    with pytest.raises(Unavailable, match="no attribute heads"):
        faithfulness.compute(untrained.run(attribute_heads=False))
    run = untrained.run()
    run.images = lambda split: None
    with pytest.raises(Unavailable, match="no test split"):
        faithfulness.compute(run)
