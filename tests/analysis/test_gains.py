"""What a run is ahead of another one by in pairs of attributes: by hand, in pairs, and where there is no comparing."""

from dataclasses import replace

import numpy as np
import pytest

from mam_keras.analysis import Unavailable, directing, gains, groups
from mam_keras.predictions import Predictions
from tests.analysis.test_groups import NAMES, answered, run

PAIR = NAMES[:2]


def directed(predictions, share=0.5):
    """The same images, on some of which lipstick is answered rightly where it was not."""
    labels, probabilities = predictions.labels, predictions.probabilities["attributes"].copy()
    healed = np.random.default_rng(1).random(len(labels)) < share
    probabilities[healed, 0] = np.where(labels[healed, 0], 0.9, 0.1)
    return replace(predictions, probabilities={"attributes": probabilities})


@pytest.fixture(scope="module")
def runs():
    """A run and the one that it is ahead of."""
    random = np.random.default_rng(0)
    test, validation = answered(random, 300, people=90, known=0.9), answered(random, 300)
    return run(directed(test), validation, pairs=[PAIR]), run(test, validation, pairs=[PAIR])


def test_gains_are_the_differences_of_the_groups_of_both(runs):
    found = gains.compute(runs[0], "test", runs[1])
    own, its = (groups.compute(one, "test").arrays for one in runs)
    assert found.values == {
        "questions": [{"attribute": a, "other": b} for a, b in (PAIR, PAIR[::-1])],
        "variants": list(groups.VARIANTS),
    }
    for name in ("group", "worst", "apart", "accuracy", "balanced_accuracy"):
        expected = own[name][:, :1, ..., 0] - its[name][..., 0]  # of the other also with offsets
        np.testing.assert_allclose(found.arrays[name][..., 0], expected, atol=1e-12)
    for name in ("others.accuracy", "others.balanced_accuracy"):
        assert found.arrays[name][0] == pytest.approx(own[name][0] - its[name][0], abs=1e-12)


def test_the_same_images_are_drawn_for_both(runs):
    """Paired: nothing moves between a run and itself, and what each resample gains is that of the same people."""
    itself = gains.compute(runs[0], "test", runs[0])
    np.testing.assert_array_equal(itself.arrays["worst"][:, 0], 0)
    np.testing.assert_array_equal(itself.arrays["others.accuracy"], 0)
    test = runs[0].predictions("test")
    names, people = np.unique(test.units, return_inverse=True)
    found = gains.compute(runs[0], "test", runs[1]).arrays["accuracy"][0, 0]
    there = np.flatnonzero(test.known[:, :2].all(axis=1))
    before = runs[1].predictions("test").probabilities["attributes"][:, 0] >= 0.5
    now = test.probabilities["attributes"][:, 0] >= 0.5
    gained = (now == test.labels[:, 0]).astype(float) - (before == test.labels[:, 0])
    random, means = np.random.default_rng(5), []
    for _ in range(2000):
        weights = np.bincount(random.choice(len(names), len(names)), minlength=len(names))[people][there]
        means.append((weights * gained[there]).sum() / weights.sum())
    assert found[0] == pytest.approx(gained[there].mean())
    np.testing.assert_allclose(found[1:], np.percentile(means, (2.5, 97.5)), atol=0.02)


def test_a_gain_may_be_plain_where_the_intervals_overlap(runs):
    own, its = (groups.compute(one, "test").arrays["accuracy"][0, 0] for one in runs)
    assert own[1] < its[2]
    assert gains.compute(runs[0], "test", runs[1]).arrays["accuracy"][0, 0, 1] > 0


def test_figures_and_gains_have_the_same_names(runs):
    figures = [directing.figures({"groups": groups.compute(one, "test")}, *PAIR) for one in runs]
    found = directing.gains(gains.compute(runs[0], "test", runs[1]), *PAIR)
    assert set(found) < set(figures[0])
    for name, gain in found.items():
        ours = figures[0][name.replace("_fitted", "").replace("fitted_", "own_")]
        assert gain.value == pytest.approx(ours.value - figures[1][name].value, abs=1e-12)
    assert directing.gains(gains.compute(runs[0], "test", runs[1]), "Hat", "Lipstick") == {}


def test_offsets_are_those_of_the_other_run_and_there_may_be_none(runs):
    alone = run(runs[1].predictions("test"), pairs=[PAIR])
    found = gains.compute(runs[0], "test", alone)
    assert found.values["variants"] == ["trained"]
    assert not [name for name in directing.gains(found, *PAIR) if "fitted" in name]


def test_runs_of_other_images_labels_or_attributes_are_not_compared(runs):
    one = runs[0].predictions("test")
    fewer = Predictions(
        one.ids[:-1], one.labels[:-1], one.groups[:-1], {"attributes": one.probabilities["attributes"][:-1]}
    )
    for other in (fewer, replace(one, labels=~one.labels & one.known), replace(one, ids=one.ids[::-1])):
        with pytest.raises(Unavailable, match="not tested on the same images with the same labels"):
            gains.compute(runs[0], "test", run(other, pairs=[PAIR]))
    with pytest.raises(Unavailable, match="no predictions of the test split"):
        gains.compute(runs[0], "test", _without_predictions(one))
    turned = run(one, pairs=[PAIR])
    turned.attributes = NAMES[::-1]
    with pytest.raises(Unavailable, match="other attributes"):
        gains.compute(runs[0], "test", turned)


def _without_predictions(one):
    found = run(one)
    found.predictions = lambda split: None
    return found
