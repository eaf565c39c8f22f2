"""Pictures unlike those of training: by what rule, how often it is wrong, and what is said where none can be judged."""

from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import likeness
from mam_keras.data.pipeline import Prepared
from mam_keras.errors import UserError
from tests.analysis import untrained


def gradients(number, seed, upwards=False):
    """Smooth pictures that go from dark to light, across or upwards, with a little noise: uint8 (number, 16, 16, 3)."""
    random = np.random.default_rng(seed)
    slope = np.linspace(0, 1, 16)[:, None] if upwards else np.linspace(0, 1, 16)[None]
    light = random.uniform(0.4, 0.6, (number, 1, 1, 3)) + 0.3 * (slope[None, :, :, None] - 0.5)
    return (255 * (light + random.normal(0, 0.02, (number, 16, 16, 3)))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def run():
    """An untrained network, 200 validation images and 100 test images of one kind."""
    splits = {"validation": gradients(200, 1), "test": gradients(100, 2)}

    def images(split):
        found = splits.get(split)
        if found is None:
            return None
        return Prepared(found, np.arange(len(found)).astype(str), np.zeros((len(found), 3), bool), None, ())

    return SimpleNamespace(**vars(untrained.run()) | {"images": images})


def test_what_is_unlike_is_found_and_what_is_alike_is_not(run):
    noise = np.random.default_rng(3).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    pictures = np.concatenate([noise, 255 - 0 * noise, gradients(50, 4)])
    unlike, told = likeness.unlike(run, "test", pictures)
    assert unlike[:12].all()
    assert unlike[12:].mean() < 0.1
    assert (told["split"], told["references"], told["images"]) == ("validation", 100, 100)
    assert told["alarms"] == pytest.approx(unlike[12:].mean(), abs=0.08)  # measured on test, and so on others


def test_one_way_to_see_a_picture_knows_no_contrast(run):
    doubled = SimpleNamespace(by_stage=_doubled(run.network.by_stage))
    pictures = gradients(4, 5)
    before = likeness.Features(run)(pictures)
    after = likeness.Features(SimpleNamespace(**vars(run) | {"network": doubled}))(pictures)
    np.testing.assert_allclose(after[0], 2 * before[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-3, atol=1e-5)
    lengths = np.square(before[1]).sum(axis=1)
    np.testing.assert_allclose(lengths, len(run.network.stages) + 1, rtol=1e-4)  # each stage's, and the grid's


def _doubled(model):
    return lambda images, training: [2.0 * one for one in model(images, training=training)]


def test_what_is_not_in_its_place_changes_the_features(run):
    """The grid alone sees where: moments of a stage are the same wherever things are."""
    values = np.zeros((2, 8, 8, 3), np.float32)
    values[0, :4], values[1, 4:] = 1.0, 1.0
    network = SimpleNamespace(by_stage=lambda images, training: [values])
    moments, (first, second) = likeness.Features(SimpleNamespace(**vars(run) | {"network": network}))(gradients(2, 5))
    np.testing.assert_allclose(moments[0], moments[1], atol=1e-6)
    np.testing.assert_allclose(first[:6], second[:6], atol=1e-6)
    assert len(first) == 6 + 4 * 4 * 3 and np.abs(first[6:] - second[6:]).max() > 0.1


def test_a_wide_network_has_fewer_cells(run):
    network = SimpleNamespace(by_stage=lambda images, training: [np.ones((len(images), 8, 8, 1000), np.float32)])
    moments, found = likeness.Features(SimpleNamespace(**vars(run) | {"network": network}))(gradients(1, 5))
    assert moments.shape == (1, 2 * 1000) and found.shape == (1, 2 * 1000 + 2 * 2 * 1000)


def test_the_rate_of_false_alarms_is_what_the_bound_leaves_on_the_splits_images(run):
    _, told = likeness.unlike(run, "test", gradients(1, 5))
    look = likeness.Features(run)
    validation, test = (look(run.images(split).images) for split in ("validation", "test"))
    references, rest = [one[::2] for one in validation], [one[1::2] for one in validation]
    far = likeness.Farthest(references, rest)
    assert told["alarms"] == pytest.approx((far(test) > 1).mean())
    assert 0 < (far(rest) > 1).mean() <= 0.04
    ways = [likeness.Distance(one) for one in references]
    each = [way(one) / np.quantile(way(known), 0.99) for way, one, known in zip(ways, test, rest, strict=True)]
    np.testing.assert_allclose(far(test), np.maximum(*each))


def test_the_distance_is_mahalanobis_by_the_shrunk_covariance():
    random = np.random.default_rng(0)
    references, others = (random.normal(size=(rows, 5)) @ np.diag([1, 2, 3, 4, 0]) + 7 for rows in (20, 4))
    middle, spread = references.mean(axis=0), references.std(axis=0)[:4]
    known, asked = (((one - middle)[:, :4]) / spread for one in (references, others))  # what never varies says nothing
    covariance = 0.9 * known.T @ known / len(known) + 0.1 * np.eye(4)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", asked, np.linalg.inv(covariance), asked))
    np.testing.assert_allclose(likeness.Distance(references)(others), expected)


def test_few_images_or_other_ones_are_a_reason_not_to_judge(run):
    few = SimpleNamespace(
        **vars(run) | {"images": lambda split: None if split == "validation" else untrained.run().images("test")}
    )
    unlike, told = likeness.unlike(few, "test", gradients(3, 6))
    assert not unlike.any() and told == {"why": "fewer than 40 images to compare with"}

    def gone(split):
        raise UserError("the images are gone")

    unlike, told = likeness.unlike(SimpleNamespace(**vars(run) | {"images": gone}), "test", gradients(3, 6))
    assert not unlike.any() and told == {"why": "the images are gone"}
