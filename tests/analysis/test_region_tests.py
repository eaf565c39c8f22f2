"""Images that show a region alone or have it covered: by hand, and against answering every image by itself."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from mam_keras.analysis import Unavailable, region_tests, regions, true_positives
from mam_keras.analysis.trained_run import TrainedRun
from tests.analysis import looked_at


class Squares:
    """Regions that differ by image and attribute; a row of pixels does not count; one image has none."""

    name = "squares"

    def __init__(self, run):
        self.images = run.images("test")

    def region(self, row, k):
        pixels = np.zeros(self.images.images.shape[1:3], bool)
        if row != 3:
            pixels[k : k + 6, row % 5 : row % 5 + 6] = True
        return pixels

    def counted(self, row):
        pixels = np.ones(self.images.images.shape[1:3], bool)
        pixels[2] = False
        return pixels


@pytest.fixture
def least(monkeypatch):
    monkeypatch.setattr(true_positives, "LEAST", 2)


def of_squares(monkeypatch, run):
    monkeypatch.setattr(regions, "region_sets", lambda run, split: [Squares(run)])
    return region_tests.compute(run, "test")


def test_what_is_shown_by_hand():
    image = np.zeros((1, 20, 20, 3), np.uint8)
    image[0, :10] = 200
    inside = np.zeros((1, 20, 20), bool)
    inside[0, 3:6, 3:6] = True
    whole, alone, alone_blurred, covered, covered_blurred = region_tests.shown(image, inside)[0]
    np.testing.assert_array_equal(whole, image[0])
    assert (alone[inside[0]] == 200).all() and (alone[~inside[0]] == 100).all()
    assert (covered[inside[0]] == 100).all() and (covered[~inside[0]] == whole[~inside[0]]).all()
    assert (alone_blurred[inside[0]] == 200).all() and 80 < alone_blurred[10, 0, 0] < 120  # at the edge
    assert (covered_blurred[~inside[0]] == whole[~inside[0]]).all() and 180 < covered_blurred[4, 4, 0] < 201


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("batch_size", [1, 100])
def test_every_number_is_that_of_answering_each_image_by_itself(monkeypatch, least, exclusive, batch_size):
    monkeypatch.setattr(region_tests, "MOST", 4)
    run = looked_at.run(images=16, batch_size=batch_size, exclusive=exclusive)
    found, where, images = of_squares(monkeypatch, run), Squares(run), run.images("test")
    rates = images.labels.mean(axis=0)
    for k in range(3):
        rows = np.concatenate([np.flatnonzero(images.labels[:, k] == kind)[:4] for kind in (True, False)])
        rows = rows[rows != 3]
        labels = images.labels[rows, k]
        assert found.arrays["squares.count"][k].tolist() == [labels.sum(), (~labels).sum()]
        logits = []
        for row in rows:
            inside = where.region(row, k) & where.counted(row)
            seen = region_tests.shown(images.images[row][None], inside[None])[0]
            logits.append(np.asarray(run.network.logits(seen.astype(np.float32) / 255)))
        logits = np.stack(logits)  # (n, V, K)
        says = run.network.answers(logits)[..., k]
        for v in range(5):
            score = found.arrays["squares.balanced_accuracy"][k, v]
            assert score[0] == pytest.approx(balanced_accuracy_score(labels, says[:, v]))
            assert score[1] <= score[0] + 1e-9 and score[0] <= score[2] + 1e-9
            weights = np.where(labels, rates[k] / labels.sum(), (1 - rates[k]) / (~labels).sum())
            expected = accuracy_score(labels, says[:, v], sample_weight=weights)
            assert found.arrays["squares.accuracy"][k, v, 0] == pytest.approx(expected)
        change = (logits[..., k] - logits[:, :1, k])[labels].mean(axis=0)
        np.testing.assert_allclose(found.arrays["squares.change"][k, :, 0], change, atol=1e-4)
    mean = found.arrays["squares.balanced_accuracy"][..., 0].mean(axis=0)
    np.testing.assert_allclose(found.arrays["squares.balanced_accuracy.mean"][:, 0], mean)
    assert found.values["shown"] == list(region_tests.SHOWN)


def test_labels_that_are_not_known_count_nowhere_and_too_few_images_say_nothing(monkeypatch, least):
    run = looked_at.run(images=12)
    images = run.images("test")
    known = np.ones(images.labels.shape, bool)
    known[images.labels[:, 1], 1] = False
    images.known[:], images.labels[:] = known, images.labels & known
    run.images = lambda split: images
    found = of_squares(monkeypatch, run)
    assert found.arrays["squares.count"][1, 0] == 0
    assert np.isnan(found.arrays["squares.balanced_accuracy"][1]).all()
    assert not np.isnan(found.arrays["squares.balanced_accuracy"][0, :, 0]).any()
    assert not np.isnan(found.arrays["squares.balanced_accuracy.mean"]).any()


def test_on_drawn_faces_the_regions_are_the_drawn_ones(trained, least):
    found = region_tests.compute(trained, "test")
    assert found.values["sets"] == ["exact"]
    measured = region_tests.headline(found)
    assert set(measured) == {"region_alone", "region_covered"}
    expected = found.arrays["exact.balanced_accuracy.mean"][region_tests.SHOWN.index("covered_mean"), 0]
    assert measured["region_covered"].value == expected
    labels = trained.images("test").labels
    assert (found.arrays["exact.count"] <= np.stack([labels.sum(axis=0), (~labels).sum(axis=0)], axis=1)).all()


def test_without_regions_there_is_no_answer(monkeypatch):
    run = SimpleNamespace(config=looked_at.run().config, images=lambda split: None)
    with pytest.raises(Unavailable, match="no test split"):
        region_tests.compute(run, "test")


def test_a_kept_result_depends_on_the_regions(small_run):
    one, other = TrainedRun(small_run), TrainedRun(small_run, ["analysis.resamples=7"])
    assert region_tests.settings(one.config) != region_tests.settings(other.config)
    assert "regions" in region_tests.settings(one.config)
