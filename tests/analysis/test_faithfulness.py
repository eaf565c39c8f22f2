"""What is lost without a part of the image or of the channels: by hand, and image by image in plain numpy."""

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.analysis import faithfulness, needs
from mam_keras.analysis.covering import Covered
from mam_keras.analysis.result import Result
from mam_keras.config import Evaluation
from mam_keras.model.maps import fields
from mam_keras.model.network import Map
from tests.analysis import looked_at


class Fourth:
    """A network of 4 x 4 images in 2 x 2 blocks: logit k is the red, green or blue of the fourth block, less 0.3."""

    image_size = 4
    logit_of = None

    def __init__(self, exclusive=False):
        self.targets = type("Targets", (), {"exclusive": exclusive, "names": "rgb"})

    def features(self, images):
        return images

    def logits(self, images):
        return tf.reduce_mean(images[:, 2:, 2:], axis=(1, 2)) - 0.3

    def logit(self, images, features, k):
        return self.logits(images)[:, k]

    def probabilities(self, logits):
        return (tf.nn.softmax if self.targets.exclusive else tf.sigmoid)(logits)

    def answers(self, logits):
        return np.arange(3) == logits.argmax(axis=-1)[:, None] if self.targets.exclusive else logits >= 0


@pytest.mark.parametrize("most", [1, 2, 100])
def test_covered_blocks_have_the_images_mean_colour(most):
    images = np.zeros((2, 4, 4, 3), np.float32)
    images[:, 2:, 2:] = 0.8, 0.4, 0  # of the whole the mean is a fourth of it
    images[1] *= 0.5
    hidden = np.zeros((2, 3, 4), bool)
    hidden[:, 1, 3] = hidden[1, 2, :3] = hidden[0, 2] = True
    found = Covered(Fourth(), (2, 2), most)(images, hidden, 0)
    np.testing.assert_allclose(found.logits, [[0.5, -0.1, -0.1], [0.1, -0.2, 0.1]], atol=1e-6)
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp(-found.logits)), rtol=1e-6)
    np.testing.assert_array_equal(found.found, [[True, False, False], [True, False, True]])


def test_of_targets_that_exclude_each_other_the_highest_is_found():
    images = np.zeros((1, 4, 4, 3), np.float32)
    images[:, 2:, 2:], images[:, :2, :2] = (0.8, 0.4, 0), (0, 0, 1)
    hidden = np.array([[[False] * 4, [False, False, False, True]]])  # then (0.2, 0.1, 0.25)
    found = Covered(Fourth(True), (2, 2), 100)(images, hidden, 0)
    np.testing.assert_array_equal(found.found, [[True, False]])
    powers = np.exp([[0.8, 0.4, 0], [0.2, 0.1, 0.25]])
    np.testing.assert_allclose(found.probabilities, [powers[:, 0] / powers.sum(axis=1)], rtol=1e-6)


def plain_logits(run, images):
    return looked_at.logits(run, images.astype(np.float32))


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"masks": "common"},
        {"masks": "none"},
        {"mask_offset": 0, "pooled_share": 0.25},
        {"learned_positions": True},
        {"dilations": (0,)},  # a position sees 3 of 16 pixels: its map "seen" says what is covered
    ],
)
def test_losses_are_those_of_each_image_alone(monkeypatch, model):
    monkeypatch.setattr(faithfulness, "MOST", 9)
    monkeypatch.setattr(faithfulness, "DRAWS", 400)
    run = looked_at.balanced(images=40, batch_size=6, **model)
    found = faithfulness.compute(run, "test")
    images, labels = run.images("test").images / 255, run.images("test").labels
    contributions, logits = looked_at.contributions(run, images.astype(np.float32)), plain_logits(run, images)
    scores = shown = contributions.sum(axis=-1)
    if "dilations" in model:
        assert found.values["map"] == run.network.maps["seen"].title
        shares = fields(16, 8, 3)
        shown = np.einsum("ip,npqk,jq->nijk", shares, scores, shares)
    y, x = np.mgrid[:8, :8] - 3.5
    middle = np.argsort((y**2 + x**2).ravel(), kind="stable")[:6]
    for k in range(3):
        rows = np.flatnonzero(labels[:, k] & (logits[:, k] >= 0))[:9]
        assert found.arrays["count"][k] == len(rows)
        expected, missed, gone = [], [], []
        for row in rows:
            losses = []
            for blocks in (np.argsort(-shown[row, :, :, k].ravel(), kind="stable")[:6], middle):
                image = images[row].copy()
                for block in blocks:
                    i, j = divmod(block, 8)
                    image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = images[row].mean(axis=(0, 1))
                losses.append(logits[row, k] - plain_logits(run, image[None])[0, k])
                after = looked_at.contributions(run, image[None].astype(np.float32))[0, :, :, k].sum(axis=-1)
                gone.append(np.maximum(scores[row, :, :, k], 0).mean() - np.maximum(after, 0).mean())
            importance = np.abs(contributions[row, :, :, k]).mean(axis=(0, 1))
            kept = np.ones(8)
            kept[importance.argmax()] = 0  # a tenth of 8 channels is one
            without = looked_at.pooled(run, (contributions[row, :, :, k] * kept).sum(axis=-1)[None, :, :, None])[0, 0]
            fewer = [np.delete(contributions[row, :, :, k], c, axis=-1).sum(axis=-1) for c in range(8)]
            alone = looked_at.pooled(run, np.stack(fewer)[..., None])[:, 0]
            before = logits[row, k] - run.network.heads[0].bias.numpy()[k]
            expected.append([*losses, before - without, before - np.mean(alone)])
            missed.append([losses[0] > logits[row, k], losses[1] > logits[row, k]])
        mean = np.mean(expected, axis=0)
        np.testing.assert_allclose(found.arrays["covering"][k, [0, 2], 0], mean[:2], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.arrays["missed"][k, [0, 2], 0], np.mean(missed, axis=0), atol=1e-6)
        if "pooled_share" in model:  # then scores do not add up to the logit
            assert "evidence" not in found.arrays
        else:
            gone = np.reshape(gone, (-1, 2)).mean(axis=0)
            np.testing.assert_allclose(found.arrays["evidence"][k, [0, 2], 0], gone, rtol=1e-3, atol=1e-4)
        assert found.arrays["channels"][k, 0, 0] == pytest.approx(mean[2], rel=1e-3, abs=1e-4)
        spread = np.std([np.abs(one).max() for one in contributions[rows, :, :, k].mean(axis=(1, 2))]) + 1
        assert found.arrays["channels"][k, 1, 0] == pytest.approx(mean[3], abs=0.1 * spread)
        assert found.arrays["logit"][k] == pytest.approx(logits[rows, k].mean(), rel=1e-4)
    assert np.isfinite(found.arrays["covering.mean"]).all()
    assert found.values["positions"] == [6, 64]
    assert found.values["channels"] == [1, 8]


def test_streamed_is_whole_with_what_is_drawn_at_random():
    run = looked_at.balanced(images=40, batch_size=7)
    first = faithfulness.compute(run, "test")
    run.config = run.config.model_copy(update={"evaluation": Evaluation(batch_size=40)})
    whole = faithfulness.compute(run, "test")
    assert first.values == whole.values
    for name, array in first.arrays.items():
        np.testing.assert_allclose(whole.arrays[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
    difference = first.arrays["covering"][:, :1] - first.arrays["covering"][:, 1:]
    np.testing.assert_allclose(first.arrays["covering.difference"][..., 0], difference[..., 0], atol=1e-6)


def test_any_map_can_be_covered_by(monkeypatch):
    run = looked_at.balanced(images=40)
    brightness = Map("brightness", "How bright.", False, lambda images: tf.reduce_mean(images[:, ::4, ::4], -1, True))
    run.network.maps, run.network.contributions = {"brightness": brightness, **run.network.maps}, None
    found = faithfulness.compute(run, "test")
    assert found.values["map"] == "brightness"
    assert found.values["positions"] == [2, 16]
    assert found.values["channels"] is None
    assert "channels.mean" not in found.arrays
    assert "evidence.mean" not in found.arrays
    assert np.isfinite(found.arrays["covering"]).all()
    headline = faithfulness.headline(found)
    assert headline["covering"].value == found.arrays["covering.mean"][0, 0]
    assert headline["covering_random"].value == found.arrays["covering.mean"][1, 0]
    assert headline["covering_centre"].value == found.arrays["covering.mean"][2, 0]


def test_counts_the_attributes_of_which_a_control_costs_more():
    nothing = np.full((1, 2, 3), np.nan)
    by_attribute = np.array([  # the map less random blocks and less the middle: value and interval
        [[1.0, 0.5, 1.5], [0.2, -0.1, 0.5]],
        [[1.0, 0.5, 1.5], [-0.3, -0.5, -0.1]],
        [[-0.2, -0.3, -0.1], [-0.3, -0.5, -0.1]],
        [[-0.2, -0.5, 0.1], [0.3, 0.1, 0.5]],
    ])  # fmt: skip

    def wins(difference):
        arrays = {"covering.mean": np.ones((3, 3)), "covering.difference": difference}
        return faithfulness.headline(Result({}, arrays))["control_wins"].value

    assert wins(np.concatenate([by_attribute, nothing])) == 2
    assert wins(by_attribute[[0, 3]]) == 0
    assert wins(nothing) is None


def test_without_true_positives_all_is_undefined():
    run = looked_at.run()
    run.images("test").labels[:] = False
    found = faithfulness.compute(run, "test")
    assert all(np.isnan(found.arrays[name]).all() for name in ("logit", "covering", "channels.mean"))


def test_what_cannot_be_answered():
    run = looked_at.run()
    run.network.maps = {}
    run.source = type("Source", (), {"splits": {"test": None}})
    assert "no maps" in needs.lacking(run, "test", faithfulness.NEEDS)
    assert "no validation split" in needs.lacking(run, "validation", faithfulness.NEEDS)
