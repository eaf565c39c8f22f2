"""Many answers scored at once, against scoring one after the other, and against images repeated in a row."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import average_precision_score

from mam_keras.analysis.scoring import METRICS, RANKED_RESAMPLES, Scoring, means
from mam_keras.evaluation import Scorer
from mam_keras.statistics import defined_mean, resample_weights

RANDOM = np.random.default_rng(3)
N, K, V, RESAMPLES = 60, 4, 3, RANKED_RESAMPLES + 50
GROUPS = RANDOM.integers(0, 25, N)
RATES = np.full(K, 0.5)


def answers(labels):
    """Logits (V, n, K): with ties, some of them saturated."""
    logits = np.round(RANDOM.normal(0, 1, (V, *labels.shape)) + labels, 1)
    logits[1] *= 60  # beyond 37 every probability is 1
    return logits


def plain(labels, known, units, logits, metric, exclusive=False):
    """Of every answer by itself, by `evaluation.Scorer`."""
    count = min(RESAMPLES, RANKED_RESAMPLES) if metric == "average_precision" else RESAMPLES
    weights = [np.ones((len(labels), 1)), *resample_weights(units, count, 5)]
    scores = []
    for one in logits:
        probabilities = softmax(one, axis=-1) if exclusive else expit(one)
        scorer = Scorer(labels, probabilities, RATES, known, exclusive)
        blocks = [scorer(block) for block in weights]
        name = "top1" if exclusive and metric == "accuracy" else metric
        values = np.concatenate([block[name] for block in blocks])
        scores.append(np.broadcast_to(values, (len(values), labels.shape[1])))
    return np.stack(scores, axis=1)


LABELS = RANDOM.random((N, K)) < [0.5, 0.02, 0.9, 0.3]
LABELS[:2, 1] = True
SOME = RANDOM.random((N, K)) < [0.7, 0.8, 1, 0]  # of the last attribute nothing is known


@pytest.mark.parametrize("units", [np.arange(N), GROUPS], ids=["images", "people"])
@pytest.mark.parametrize("known", [np.ones((N, K), bool), SOME], ids=["all", "some"])
@pytest.mark.parametrize("metric", METRICS)
def test_all_at_once_is_one_after_the_other(metric, known, units):
    logits = answers(LABELS)
    found = Scoring(LABELS, known, units, RESAMPLES, 5)(metric, logits)
    np.testing.assert_allclose(found, plain(LABELS & known, known, units, logits, metric), rtol=0, atol=1e-12)
    assert np.isnan(found[:, :, 1]).any() == (metric != "accuracy")  # a resample without the rare attribute


@pytest.mark.parametrize("metric", METRICS)
def test_classes(metric):
    labels = RANDOM.integers(0, K, N)[:, None] == np.arange(K)
    known = np.repeat(RANDOM.random((N, 1)) < 0.8, K, axis=1)
    logits = answers(labels)
    found = Scoring(labels, known, GROUPS, RESAMPLES, 5, exclusive=True)(metric, logits)
    expected = plain(labels & known, known, GROUPS, logits, metric, exclusive=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_average_precision_is_scikit_learns():
    logits = answers(LABELS)
    found = Scoring(LABELS, np.ones_like(LABELS), np.arange(N), 0, 5)("average_precision", logits)
    assert found.shape == (1, V, K)
    for place, k in np.ndindex(V, K):
        expected = average_precision_score(LABELS[:, k], expit(logits[place, :, k]))
        assert found[0, place, k] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("label", [True, False])
def test_of_one_class_alone_accuracy_is_defined(label):
    labels = np.full((6, 2), label)
    scoring = Scoring(labels, np.ones_like(labels), np.arange(6), 10, 0)
    right, wrong = (np.full((1, 6, 2), 1.0 if label is yes else -1.0) for yes in (True, False))
    assert scoring("accuracy", right).min() == 1 and scoring("accuracy", wrong).max() == 0
    for metric in METRICS[1:]:
        assert np.isnan(scoring(metric, right)).all()


def test_means_are_over_the_targets_for_which_it_is_defined():
    scores = np.array([[[0.2, 0.4]], [[0.6, np.nan]], [[np.nan, np.nan]]])
    value, again = means(scores)
    np.testing.assert_allclose(value, [0.3])
    np.testing.assert_allclose(again, [[0.6], [np.nan]])
    np.testing.assert_allclose(defined_mean(scores)[0], value)
