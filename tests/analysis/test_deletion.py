"""Deletion and insertion: areas known exactly by hand, and curves image by image in plain numpy."""

import numpy as np
import pytest

from mam_keras.analysis import deletion, true_positives
from mam_keras.analysis.blocks import ranks
from mam_keras.analysis.covering import Covered
from tests.analysis import looked_at
from tests.analysis.test_faithfulness import Fourth


def test_a_classifier_that_looks_at_one_block():
    # The fourth block of four has red 0.8, the others none: the logit is 0.5, and -0.1 once the mean, 0.2, is there
    images = np.zeros((1, 4, 4, 3), np.float32)
    images[0, 2:, 2:, 0] = 0.8
    maps = np.array([[[0, 0, 0, 1], [0, 0, 2, 1], [1, 1, 1, 0]]])  # puts that block first; second; last
    counts = np.arange(5)
    found = deletion.curves(Covered(Fourth(), (2, 2), 100), images, ranks(maps), counts, 0)
    high, low = 0.5, -0.1
    gone = [[high, low, low, low, low], [high, high, low, low, low], [high, high, high, high, low]]
    back = [[low, high, high, high, high], [low, low, high, high, high], [low, low, low, low, high]]
    np.testing.assert_allclose(found[2:, 0], [gone, back], atol=1e-6)
    np.testing.assert_allclose(found[:2], 1 / (1 + np.exp(-found[2:])), rtol=1e-6)
    areas = np.trapezoid(found[2:], counts / 4, axis=-1)[:, 0]
    # one step of a quarter goes from high to low; before it all is high, after it low
    expected = [(before * high + (high + low) / 2 + (3 - before) * low) / 4 for before in (0, 1, 3)]
    np.testing.assert_allclose(areas[0], expected, atol=1e-6)
    np.testing.assert_allclose(areas[1], [high + low - area for area in expected], atol=1e-6)


@pytest.mark.parametrize("model", [{}, {"system": "attention_branch"}, {"attribute_heads": False}])
def test_areas_are_those_of_each_image_alone(monkeypatch, model):
    monkeypatch.setattr(deletion, "MOST", 4)
    monkeypatch.setattr(true_positives, "LEAST", 3)
    run = looked_at.balanced(images=30, batch_size=7, **model)
    found = deletion.compute(run, "test")
    maps = list(run.network.maps)
    assert found.values["methods"] == [*maps, "untrained", "random", "centre"]
    images, labels = looked_at.pictures(run), run.images("test").labels
    logits = np.asarray(run.network.logits(images))
    y, x = np.mgrid[:8, :8] - 3.5
    for k in range(3):
        rows = np.flatnonzero(labels[:, k] & (logits[:, k] >= 0))[:4]
        assert found.arrays["count"][k] == len(rows) >= 3
        expected = np.zeros((4, len(rows), len(maps) + 3))
        for number, row in enumerate(rows):
            shown = [np.asarray(run.network.maps[name].show(images[row : row + 1]))[0, :, :, k] for name in maps]
            shown.append(np.asarray(run.untrained.maps[maps[0]].show(images[row : row + 1]))[0, :, :, k])
            shown += [np.random.default_rng((0, row)).random(64), -(y**2 + x**2)]
            for method, one in enumerate(shown):
                order = np.argsort(-one.ravel(), kind="stable")
                covered = []
                for put_back in (False, True):
                    for step in range(17):
                        image = images[row].copy()
                        for block in order[4 * step :] if put_back else order[: 4 * step]:
                            i, j = 2 * (block // 8), 2 * (block % 8)
                            image[i : i + 2, j : j + 2] = images[row].mean(axis=(0, 1))
                        covered.append(image)
                curves = np.asarray(run.network.logits(np.stack(covered)))[:, k].reshape(2, 17)
                values = np.concatenate([1 / (1 + np.exp(-curves)), curves])
                expected[:, number, method] = ((values[:, 1:] + values[:, :-1]) / 2).mean(axis=1)
        for name, values in zip(deletion.MEASURES, expected, strict=True):
            np.testing.assert_allclose(found.arrays[name][k, :, 0], values.mean(axis=0), rtol=2e-3, atol=2e-4)
            less = values[:, :1] - values[:, 1:]
            np.testing.assert_allclose(found.arrays[f"{name}.difference"][k, :, 0], less.mean(axis=0), atol=1e-3)
            area = np.trapezoid(found.arrays[f"{name}.curve"][k], found.arrays["share"], axis=-1)
            np.testing.assert_allclose(area, found.arrays[name][k, :, 0], rtol=1e-4)
    np.testing.assert_allclose(found.arrays["share"], np.arange(17) / 16)
    headline = deletion.headline(found)
    assert headline["deletion"].value == found.arrays["deletion.mean"][0, 0]
    assert headline["insertion_random"].value == found.arrays["insertion.mean"][-2, 0]


def test_fewer_blocks_than_steps_and_targets_that_exclude_each_other(monkeypatch):
    monkeypatch.setattr(true_positives, "LEAST", 1)
    run = looked_at.run(images=30, exclusive=True, front_end=(4, 8, 8), attributes=("a", "b", "c", "d"))
    images, logits = run.images("test"), np.asarray(run.network.logits(looked_at.pictures(run)))
    images.labels[:] = np.arange(4) == np.random.default_rng(2).integers(0, 4, (30, 1))
    found = deletion.compute(run, "test")
    assert found.values["grid"] == [2, 2]
    np.testing.assert_allclose(found.arrays["share"], np.arange(5) / 4)
    expected = images.labels & (np.arange(4) == logits.argmax(axis=1)[:, None])
    np.testing.assert_array_equal(found.arrays["count"], expected.sum(axis=0))
    k = int(expected.any(axis=0).argmax())
    powers = np.exp(logits[expected[:, k]].astype(float))
    whole = (powers[:, k] / powers.sum(axis=1)).mean()
    np.testing.assert_allclose(found.arrays["deletion.curve"][k, :, 0], whole, rtol=1e-4)
    np.testing.assert_allclose(found.arrays["insertion.curve"][k, :, -1], whole, rtol=1e-4)


def test_without_true_positives_all_is_undefined():
    run = looked_at.run()
    run.images("test").labels[:] = False
    found = deletion.compute(run, "test")
    assert all(np.isnan(found.arrays[name]).all() for name in ("deletion", "insertion.mean", "deletion.curve"))
