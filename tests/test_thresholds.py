"""Thresholds chosen on validation, against trying every one."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from mam_keras import thresholds
from mam_keras.errors import UserError


def test_worked_out_by_hand():
    labels = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0]], bool).T
    probabilities = np.array([[0.1, 0.3, 0.5, 0.9], [0.1, 0.2, 0.6, 0.7], [0.2, 0.4, 0.6, 0.8]]).T
    # 1: apart between 0.3 and 0.5. 2: yes from 0.2 or from 0.7 on, both 3/4; 0.65 is nearer to 0.5 than 0.15.
    # 3: the wrong way round; all "yes" is best, 1/2.
    np.testing.assert_allclose(thresholds.fit(labels, probabilities), [0.4, 0.65, 0.1])


def test_by_accuracy_worked_out_by_hand():
    labels = np.array([[0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 1, 1]], bool).T
    probabilities = np.array([[0.1, 0.3, 0.5, 0.9], [0.1, 0.2, 0.6, 0.7], [0.8, 0.4, 0.6, 0.2]]).T
    # 1: apart between 0.3 and 0.5. 2: never "yes", 3/4, is best: beyond 0.7. 3: always, 3/4: under 0.2.
    np.testing.assert_allclose(thresholds.fit(labels, probabilities, "accuracy"), [0.4, 0.85, 0.1])


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_probabilities_that_leave_no_room_between_them(metric):
    column = np.array([1.0, 1.0, 1 - 2.0**-53, 0.0])
    labels = np.array([[0, 0, 0, 1], [1, 1, 0, 0]], bool).T
    fitted = thresholds.fit(labels, np.stack([column, column], axis=1), metric)
    # 1: "never" would be best by accuracy, but a probability of 1 is always "yes". 2: from 1 on.
    assert fitted[1] == 1.0
    assert (column >= fitted[0]).sum() in (2, 4)


SCORES = {"accuracy": accuracy_score, "balanced_accuracy": balanced_accuracy_score}


@pytest.mark.parametrize("metric, score_of", SCORES.items(), ids=SCORES)
def test_as_good_as_the_best_of_all(metric, score_of):
    random = np.random.default_rng(0)
    labels = random.random((60, 4)) < [0.5, 0.1, 0.9, 0.3]
    probabilities = np.round(np.clip(0.3 * labels + random.normal(0.4, 0.2, labels.shape), 0, 1), 2)  # with ties
    for k, fitted in enumerate(thresholds.fit(labels, probabilities, metric)):
        scores = {t: score_of(labels[:, k], probabilities[:, k] >= t) for t in np.linspace(0, 1, 201)}
        reached = score_of(labels[:, k], probabilities[:, k] >= fitted)
        assert reached == pytest.approx(max(scores.values()))
        assert 0 <= fitted <= 1
        nearest = min(abs(t - 0.5) for t, score in scores.items() if score == pytest.approx(reached))
        half_a_step = np.diff(np.unique([0, *probabilities[:, k], 1])).max() / 2
        assert abs(fitted - 0.5) <= nearest + half_a_step + 1e-9  # of all that are as good


def test_an_attribute_of_one_class_has_none():
    labels = np.array([[1, 0, 1], [1, 0, 0]], bool)
    assert thresholds.fit(labels, np.full((2, 3), 0.5)) == [None, None, 0.25]


BROKEN = {
    "no archive": b"not an archive",
    "another shape": {"validation.labels": np.zeros((3, 2), bool), "validation.attributes": np.zeros((3, 1))},
    "no numbers": {"validation.labels": np.zeros((3, 2), bool), "validation.attributes": np.full((3, 2), np.nan)},
    "a head missing": {"validation.labels": np.zeros((3, 2), bool)},
    "objects": {"validation.labels": np.array([{}, []], object), "validation.attributes": np.zeros(2)},
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_file_that_fit_did_not_write_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "predictions.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(UserError) as refused:
        thresholds.read_validation(path, ["attributes"])
    assert str(refused.value).startswith(f"{path}: expected ") and "\n" not in str(refused.value)


def test_without_validation_there_is_nothing_to_read(tmp_path):
    np.savez(tmp_path / "predictions.npz", **{"test.labels": np.zeros((3, 2), bool)})
    assert thresholds.read_validation(tmp_path / "predictions.npz", ["attributes"]) is None
