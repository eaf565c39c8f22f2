"""Which images the explorer shows, and that what it shows of them follows from the equations."""

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.analysis import examples
from mam_keras.analysis.needs import lacking
from mam_keras.model.maps import by_depth, on_grid
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


MODELS = [
    {},
    {"masks": "common"},
    {"masks": "none"},
    {"mask_offset": 0, "pooled_share": 0.25},
    {"learned_positions": True},
    {"system": "plain"},
]


def drawn(arrays, name, v=0):
    """A map as it is kept, and half a step of it."""
    step = arrays[f"scale.{name}"][:, :, v, None, None] / examples.LEVELS
    return step * arrays[f"map.{name}"][:, :, v], 0.5001 * step + 1e-5


@pytest.mark.parametrize("model", MODELS)
def test_everything_shown_follows_from_the_equations(model):
    run = untrained.run(NAMES, **model)
    found = examples.look(run, run.images("test").images)
    arrays, pairs, network = found.arrays, found.values["pairs"], run.network
    kernel, bias = network.contributions.heads.kernel.numpy().astype(float), network.heads[0].bias.numpy()
    if network.masks:
        F, M = untrained.whole(run)
        factors = [network.masks.offset + equations.tone_curve(M, a, b) for a, b in pairs]
        if run.config.model.learned_positions:
            logits = network.contributions.heads.position_logits.numpy()
            factors = [factor * equations.position_weights(logits)[..., None] for factor in factors]
    else:
        F, factors = network.features(run.images("test").images / np.float32(255)).numpy().astype(float), [1]
        assert pairs == []
    assert arrays["map.contributions"].shape[2] == arrays["probabilities"].shape[2] == len(factors)
    for v, factor in enumerate(factors):
        scores = equations.scores(F, kernel, factor).transpose(0, 3, 1, 2)
        scales = arrays["scale.contributions"][:, :, v]
        np.testing.assert_allclose(scales, np.abs(scores).max(axis=(2, 3)), rtol=1e-4, atol=1e-6)
        shown, half = drawn(arrays, "contributions", v)
        assert (np.abs(shown - scores) <= half).all()
        highest = -np.sort(-scores.reshape(*scores.shape[:2], -1))
        taken = highest[..., : round(run.config.model.pooled_share * highest.shape[-1])].mean(axis=-1)
        np.testing.assert_allclose(arrays["probabilities"][..., v], equations.sigmoid(taken + bias), atol=1e-5)
        np.testing.assert_array_equal(arrays["answers"][..., v], taken + bias >= 0)
    assert found.values["pooled"] == [run.config.model.pooled_share, None]

    parts = np.abs(kernel * factors[0] * F[:, :, :, None]).mean(axis=(1, 2))
    channels = np.argsort(-parts, axis=-1)[..., :3]
    np.testing.assert_array_equal(arrays["channels"], channels)
    shares = np.take_along_axis(parts, channels, axis=-1) / parts.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(arrays["shares"], shares, rtol=1e-4)
    assert ("masks" in arrays) == bool(network.masks)
    if network.masks:
        per_channel = M.transpose(0, 3, 4, 1, 2)
        masks = per_channel if M.shape[-1] == 1 else np.take_along_axis(per_channel, channels[..., None, None], axis=2)
        shown = arrays["masks"] * arrays["highest"][..., None, None] / examples.LEVELS
        np.testing.assert_allclose(arrays["highest"], masks.max(axis=(3, 4)), rtol=1e-5)
        np.testing.assert_allclose(shown, masks, atol=0.51 / examples.LEVELS)


SYSTEMS = [
    {},
    {"perception": "stage"},
    {"attribute_heads": False},
    {"system": "plain"},
    {"system": "attention_branch"},
    {"system": "attention_branch", "maps": "one"},
]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("model", SYSTEMS)
def test_every_map_of_every_system_is_shown_as_it_is(model, exclusive, monkeypatch):
    monkeypatch.setattr(examples, "BATCH", 5)  # of 7 images
    run = untrained.run(NAMES, exclusive=exclusive, **model)
    network, pictures = run.network, run.images("test").images[:7]
    found, images = examples.look(run, pictures), pictures / np.float32(255)
    stages = [f"depth.{stage.name}" for stage in network.stages] if len(network.stages) > 1 else []
    assert bool(stages) == (model != {"perception": "stage"})
    assert list(found.values["maps"]) == [*network.maps, *stages]
    for k in range(3 if stages else 0):
        for name, cam in zip(stages, by_depth(network)(tf.constant(images), k)[1], strict=True):
            shown, half = drawn(found.arrays, name)
            expected = on_grid(cam, network.grid).numpy()
            assert (np.abs(shown[:, k] - expected) <= half[:, k] + 1e-4 * expected.max()).all()
    for name, one in network.maps.items():
        assert found.values["maps"][name] == {"title": one.title, "note": one.note, "signed": one.signed}
        expected = np.asarray(one.show(images)).transpose(0, 3, 1, 2)
        shown, half = drawn(found.arrays, name)
        assert shown.shape == expected.shape
        assert (np.abs(shown - expected) <= half).all()
    outputs = network.computing(*found.values["heads"])(images)
    logits = [np.asarray(outputs[head.name]) for head in network.heads]
    probability = np.asarray(network.probabilities(logits[0]))
    np.testing.assert_allclose(found.arrays["probabilities"][..., 0], probability, atol=1e-5)
    assert (probability.sum(axis=1) == pytest.approx(1)) == exclusive
    np.testing.assert_array_equal(found.arrays["answers"][..., 0], network.answers(logits[0]))
    for head, own in zip(network.heads[1:], logits[1:], strict=True):
        np.testing.assert_allclose(found.arrays[f"head.{head.name}"], network.probabilities(own), atol=1e-5)
    assert ("channels" in found.arrays) == bool(network.contributions)


def test_pairs_change_answers_where_channels_have_no_part_of_them():
    run = untrained.run(NAMES, perception="stage")
    images = run.images("test").images
    found = examples.look(run, images)
    for v, (a, b) in enumerate(found.values["pairs"]):
        expected = run.network.masks.logits(run.network.features(images / np.float32(255)), a, b)
        np.testing.assert_allclose(found.arrays["probabilities"][..., v], equations.sigmoid(expected), atol=1e-5)
    assert found.arrays["map.masks"].shape[2] == 1
    assert not {"channels", "shares", "masks", "highest"} & set(found.arrays)


def test_a_map_of_nothing_is_nothing():
    found = examples.look(untrained.run(NAMES, mask_offset=0), np.zeros((1, 16, 16, 3), np.uint8)).arrays
    assert (found["map.contributions"][:, :, 1] == 0).all()  # a = 0 and no offset
    assert np.isfinite(found["probabilities"]).all()


def test_labels_and_names_are_those_of_the_images(trained):
    found = examples.compute(trained, "test")
    prepared = trained.images("test")
    assert len(found.arrays["ids"]) == trained.config.analysis.examples
    for name, labels, pixels in zip(*(found.arrays[key] for key in ("ids", "labels", "images")), strict=True):
        row = prepared.ids.tolist().index(name)
        np.testing.assert_array_equal(labels, prepared.labels[row])
        np.testing.assert_array_equal(pixels, prepared.images[row])
    assert (found.arrays["labels"].any(axis=0) == prepared.labels.any(axis=0)).all()
    assert found.arrays["known"].all()


def test_without_images_there_is_nothing_to_explore():
    assert "no validation split" in lacking(untrained.run(NAMES), "validation", examples.NEEDS)
    assert lacking(untrained.run(NAMES, attribute_heads=False), "test", examples.NEEDS) is None
