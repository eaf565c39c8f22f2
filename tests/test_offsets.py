"""Thresholds chosen on validation, against trying every one."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from mam_keras import offsets


def test_worked_out_by_hand():
    labels = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0]], bool).T
    probabilities = np.array([[0.1, 0.3, 0.5, 0.9], [0.1, 0.2, 0.6, 0.7], [0.2, 0.4, 0.6, 0.8]]).T
    # 1: apart between 0.3 and 0.5. 2: yes from 0.2 or from 0.7 on, both 3/4; 0.65 is nearer to 0.5 than 0.15.
    # 3: the wrong way round; all "yes" is best, 1/2.
    np.testing.assert_allclose(offsets.thresholds(labels, probabilities), [0.4, 0.65, 0.1])


def test_by_accuracy_worked_out_by_hand():
    labels = np.array([[0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 1, 1]], bool).T
    probabilities = np.array([[0.1, 0.3, 0.5, 0.9], [0.1, 0.2, 0.6, 0.7], [0.8, 0.4, 0.6, 0.2]]).T
    # 1: apart between 0.3 and 0.5. 2: never "yes", 3/4, is best: beyond 0.7. 3: always, 3/4: under 0.2.
    np.testing.assert_allclose(offsets.thresholds(labels, probabilities, metric="accuracy"), [0.4, 0.85, 0.1])


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_probabilities_that_leave_no_room_between_them(metric):
    column = np.array([1.0, 1.0, 1 - 2.0**-53, 0.0])
    labels = np.array([[0, 0, 0, 1], [1, 1, 0, 0]], bool).T
    fitted = offsets.thresholds(labels, np.stack([column, column], axis=1), metric=metric)
    # 1: "never" would be best by accuracy, but a probability of 1 is always "yes". 2: from 1 on.
    assert fitted[1] == 1.0
    assert (column >= fitted[0]).sum() in (2, 4)


SCORES = {"accuracy": accuracy_score, "balanced_accuracy": balanced_accuracy_score}


@pytest.mark.parametrize("metric, score_of", SCORES.items(), ids=SCORES)
def test_as_good_as_the_best_of_all(metric, score_of):
    random = np.random.default_rng(0)
    labels = random.random((60, 4)) < [0.5, 0.1, 0.9, 0.3]
    probabilities = np.round(np.clip(0.3 * labels + random.normal(0.4, 0.2, labels.shape), 0, 1), 2)  # with ties
    for k, fitted in enumerate(offsets.thresholds(labels, probabilities, metric=metric)):
        scores = {t: score_of(labels[:, k], probabilities[:, k] >= t) for t in np.linspace(0, 1, 201)}
        reached = score_of(labels[:, k], probabilities[:, k] >= fitted)
        assert reached == pytest.approx(max(scores.values()))
        assert 0 <= fitted <= 1
        nearest = min(abs(t - 0.5) for t, score in scores.items() if score == pytest.approx(reached))
        half_a_step = np.diff(np.unique([0, *probabilities[:, k], 1])).max() / 2
        assert abs(fitted - 0.5) <= nearest + half_a_step + 1e-9  # of all that are as good


def test_an_attribute_of_one_class_has_none():
    labels = np.array([[1, 0, 1], [1, 0, 0]], bool)
    assert offsets.thresholds(labels, np.full((2, 3), 0.5)) == [None, None, 0.25]


def test_labels_that_are_not_known_do_not_count():
    random = np.random.default_rng(0)
    labels, probabilities = random.random((50, 3)) < 0.4, random.random((50, 3))
    known = random.random((50, 3)) < 0.6
    expected = [
        offsets.thresholds(labels[there][:, None], values[there][:, None])[0]
        for labels, values, there in zip(labels.T, probabilities.T, known.T, strict=True)
    ]
    assert offsets.thresholds(labels, probabilities, known) == expected
    assert offsets.thresholds(labels, probabilities, np.zeros_like(known)) == [None] * 3


def test_offsets_put_the_threshold_at_a_logit_of_0():
    random = np.random.default_rng(0)
    labels, logits = random.random((40, 3)) < 0.5, random.normal(size=(40, 3))
    added = offsets.fit_offsets(labels, logits)["balanced_accuracy"]
    probabilities = 1 / (1 + np.exp(-logits))
    expected = probabilities >= offsets.thresholds(labels, probabilities)
    np.testing.assert_array_equal(logits + added >= 0, expected)
    assert offsets.fit_offsets(np.ones((2, 1), bool), np.array([[1e3], [-1e3]]))["balanced_accuracy"].tolist() == [0.0]
    extreme = offsets.fit_offsets(np.array([[True], [False]]), np.array([[1e3], [-1e3]]))
    assert np.isfinite(extreme["balanced_accuracy"]).all()


def test_several_answers_are_fitted_at_once():
    random = np.random.default_rng(0)
    labels, logits = random.random((40, 3)) < 0.5, np.round(random.normal(size=(40, 4, 3)), 1)
    for known in (None, random.random((40, 3)) < 0.8):
        found = offsets.fit_offsets(labels, logits, known, offsets.METRICS)
        for metric in offsets.METRICS:
            for place in range(4):
                alone = offsets.fit_offsets(labels, logits[:, place], known, [metric])[metric]
                np.testing.assert_array_equal(found[metric][place], alone)


def test_the_worst_group_is_as_good_as_it_can_be():
    random = np.random.default_rng(0)
    groups = random.integers(0, 4, 80)
    labels = groups < 2
    probabilities = np.round(np.clip(0.2 * labels + 0.1 * (groups % 2) + random.normal(0.4, 0.2, 80), 0, 1), 2)

    def lowest(threshold):
        right = (probabilities >= threshold) == labels
        return min(right[groups == group].mean() for group in range(4))

    fitted = offsets.worst_group_threshold(labels, groups, probabilities)
    assert lowest(fitted) == pytest.approx(max(map(lowest, np.linspace(0, 1, 201))))
    assert lowest(fitted) > lowest(offsets.thresholds(labels[:, None], probabilities[:, None], metric="accuracy")[0])


def test_a_worst_group_worked_out_by_hand():
    labels, groups = np.array([1, 1, 1, 0, 0, 0], bool), np.array([0, 0, 1, 2, 2, 3])
    probabilities = np.array([0.9, 0.8, 0.3, 0.1, 0.35, 0.2])
    # Between 0.2 and 0.3 every group but that of 0.35 is right, and that one in half of its images
    assert offsets.worst_group_threshold(labels, groups, probabilities) == pytest.approx(0.25)
    assert offsets.worst_group_threshold(labels[:3], groups[:3], probabilities[:3]) is None
