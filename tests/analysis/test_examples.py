"""Which images the explorer shows, and that what it shows of them follows from the equations."""

import numpy as np
import pytest

from mam_keras.analysis import Unavailable, examples
from tests.analysis import untrained
from tests.model import equations

NAMES = ("Smiling", "Hat", "Bangs")


def test_images_are_chosen_so_that_every_attribute_that_occurs_is_shown():
    labels = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]], bool)
    # Two new ones first (row 2 before 3), then the third; from the beginning again: row 3, with two new ones, is
    # taken, so 1 and what it lacks; row 0 has nothing and comes last.
    np.testing.assert_array_equal(examples.cover(labels, 2), [2, 3])
    np.testing.assert_array_equal(examples.cover(labels, 9), [2, 3, 1, 5, 4, 0])
    np.testing.assert_array_equal(examples.cover(np.zeros((3, 1), bool), 2), [0, 1])


@pytest.mark.parametrize(
    ("pairs", "others"),
    [
        ([(0.5, 2.0), (2.0, 2.0), (1.0, 4.0), (0.0, 8.0)], [(2, 2), (1, 4)]),
        ([(a, b) for b in (0.5, 2.0, 4.0, 8.0) for a in (0.5, 1.0, 2.0)], [(2, 0.5), (2, 4), (2, 8)]),
        ([(1.0, 1.0)], []),
        ([(3.0, 1.0)], [(3, 1)]),
    ],
)
def test_the_identity_no_masks_and_the_strongest_of_a_few_b_are_shown(pairs, others):
    assert examples.shown_pairs(pairs, (1.0, 1.0)) == [(1, 1), (0, 1), *others]


@pytest.mark.parametrize(
    "model", [{}, {"masks": "common"}, {"masks": "none"}, {"mask_offset": 0, "pooled_share": 0.25}]
)
def test_everything_shown_follows_from_the_equations(model):
    run = untrained.run(NAMES, **model)
    found = examples.look(run, run.images("test").images)
    arrays, pairs = found.arrays, found.values["pairs"]
    heads, bias = run.network.heads, run.network.bias
    kernel = heads.kernel.numpy().astype(float)
    if run.network.masked:
        F, M = untrained.whole(run)
        factors = [heads.mask_offset + equations.tone_curve(M, a, b) for a, b in pairs]
    else:
        F, factors = run.network.features(run.images("test").images / np.float32(255)).numpy().astype(float), [1]
        assert pairs == [[1, 1]]
    for v, factor in enumerate(factors):
        scores = equations.scores(F, kernel, factor).transpose(0, 3, 1, 2)
        scales = arrays["scales"][:, :, v]
        np.testing.assert_allclose(scales, np.abs(scores).max(axis=(2, 3)), rtol=1e-4, atol=1e-6)
        step = scales[..., None, None] / examples.LEVELS
        assert (np.abs(step * arrays["maps"][:, :, v] - scores) <= 0.5001 * step + 1e-5).all()
        highest = -np.sort(-scores.reshape(*scores.shape[:2], -1))
        taken = highest[..., : round(run.config.model.pooled_share * highest.shape[-1])].mean(axis=-1)
        np.testing.assert_allclose(arrays["probabilities"][..., v], equations.sigmoid(taken + bias), atol=1e-5)

    parts = np.abs(kernel * factors[0] * F[:, :, :, None]).mean(axis=(1, 2))
    channels = np.argsort(-parts, axis=-1)[..., :3]
    np.testing.assert_array_equal(arrays["channels"], channels)
    shares = np.take_along_axis(parts, channels, axis=-1) / parts.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(arrays["shares"], shares, rtol=1e-4)
    assert ("masks" in arrays) == run.network.masked
    if run.network.masked:
        per_channel = M.transpose(0, 3, 4, 1, 2)
        masks = per_channel if M.shape[-1] == 1 else np.take_along_axis(per_channel, channels[..., None, None], axis=2)
        drawn = arrays["masks"] * arrays["highest"][..., None, None] / examples.LEVELS
        np.testing.assert_allclose(arrays["highest"], masks.max(axis=(3, 4)), rtol=1e-5)
        np.testing.assert_allclose(drawn, masks, atol=0.51 / examples.LEVELS)


def test_the_identity_gives_the_models_own_predictions():
    run = untrained.run(NAMES, multi_label_head=True)
    images = run.images("test").images
    found = examples.look(run, images).arrays
    outputs = run.network.model.predict(images / np.float32(255), verbose=0)
    for k, name in enumerate(NAMES):
        np.testing.assert_allclose(found["probabilities"][:, k, 0], outputs[name][:, 0], atol=1e-6)
    np.testing.assert_allclose(found["multi_label"], outputs["multi_label"], atol=1e-6)


def test_a_map_of_nothing_is_nothing():
    found = examples.look(untrained.run(NAMES, mask_offset=0), np.zeros((1, 16, 16, 3), np.uint8)).arrays
    assert (found["maps"][:, :, 1] == 0).all()  # a = 0 and no offset
    assert np.isfinite(found["probabilities"]).all()


def test_labels_and_names_are_those_of_the_images(trained):
    found = examples.compute(trained)
    prepared = trained.images("test")
    assert len(found.arrays["ids"]) == trained.config.analysis.examples
    for name, labels, pixels in zip(*(found.arrays[key] for key in ("ids", "labels", "images")), strict=True):
        row = prepared.ids.tolist().index(name)
        np.testing.assert_array_equal(labels, prepared.labels[row])
        np.testing.assert_array_equal(pixels, prepared.images[row])
    assert (found.arrays["labels"].any(axis=0) == prepared.labels.any(axis=0)).all()


def test_without_heads_or_images_there_is_nothing_to_explore():
    with pytest.raises(Unavailable, match="no attribute heads"):
        examples.compute(untrained.run(NAMES, attribute_heads=False))
    run = untrained.run(NAMES)
    run.config = run.config.model_copy(
        update={"analysis": run.config.analysis.model_copy(update={"split": "validation"})}
    )
    with pytest.raises(Unavailable, match="no validation split"):
        examples.compute(run)
