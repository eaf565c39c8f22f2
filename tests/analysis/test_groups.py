"""Four groups of a pair: against scikit-learn, by hand, with labels that are not known, and as one names the pairs."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, matthews_corrcoef

from mam_keras import config, data
from mam_keras.analysis import Unavailable, groups
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.offsets import fit_offsets
from mam_keras.predictions import Predictions

NAMES = ("Lipstick", "Makeup", "Hat")


def answered(random, n, people=None, known=None):
    """Makeup comes with lipstick in nine of ten images; lipstick is answered by makeup as much as by itself."""
    lipstick = random.random(n) < 0.5
    makeup = lipstick ^ (random.random(n) < 0.1)
    labels = np.stack([lipstick, makeup, random.random(n) < 0.3], axis=1)
    logits = 2 * labels + random.normal(-1.4, 1, labels.shape)
    logits[:, 0] += 2 * makeup
    known = np.ones(labels.shape, bool) if known is None else random.random(labels.shape) < known
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    ids = np.array([f"{n}-{i}" for i in range(n)])
    people = None if people is None else random.integers(0, people, n)
    return Predictions(ids, labels & known, people, {"attributes": probabilities}, known, Targets(NAMES))


def run(test, validation=None, pairs=None, training=None, **sections):
    values = {"name": "x", "data": {"source": "synthetic_faces"}, "analysis": {"resamples": 60}} | sections
    values["analysis"] = values["analysis"] | {"pairs_of_attributes": pairs}
    found = {"test": test, "validation": validation}
    return SimpleNamespace(
        config=config.check(values, "x"),
        attributes=NAMES,
        training=training or SimpleNamespace(labels=test.labels, known=test.known),
        training_rates=np.full(3, 0.5),
        predictions=found.get,
    )


@pytest.fixture(scope="module")
def both():
    random = np.random.default_rng(0)
    return answered(random, 400, people=90, known=0.8), answered(random, 300, known=0.9)


def question(result, attribute, other):
    asked = [(one["attribute"], one["other"]) for one in result.values["questions"]]
    return asked.index((attribute, other))


def by_label(own, other):
    return (own & other, own & ~other, ~own & other, ~own & ~other)


@pytest.mark.parametrize(("attribute", "other"), [(0, 1), (1, 0)])
def test_every_number_is_that_of_scikit_learn(both, attribute, other):
    test, validation = both
    found = groups.compute(run(test, validation, pairs=[NAMES[:2]]), "test")
    q = question(found, NAMES[attribute], NAMES[other])
    there = test.known[:, attribute] & test.known[:, other]
    labels, own = test.labels[there], test.labels[there, attribute]
    logits = np.log(test.probabilities["attributes"] / (1 - test.probabilities["attributes"]))[there, attribute]
    members = by_label(own, labels[:, other])
    assert found.values["variants"] == list(groups.VARIANTS)
    assert found.values["unfitted"] is None
    np.testing.assert_array_equal(found.arrays["count"][q], [one.sum() for one in members])
    for v, offset in enumerate(found.arrays["offset"][q]):
        says = logits + offset >= 0
        expected = [accuracy_score(own[one], says[one]) for one in members]
        np.testing.assert_allclose(found.arrays["group"][q, v, :, 0], expected)
        assert found.arrays["worst"][q, v, 0] == pytest.approx(min(expected))
        apart = own != labels[:, other]
        assert found.arrays["apart"][q, v, 0] == pytest.approx(accuracy_score(own[apart], says[apart]))
        assert found.arrays["accuracy"][q, v, 0] == pytest.approx(accuracy_score(own, says))
        assert found.arrays["balanced_accuracy"][q, v, 0] == pytest.approx(balanced_accuracy_score(own, says))
    low, high = found.arrays["group"][q, ..., 1], found.arrays["group"][q, ..., 2]
    assert (low <= found.arrays["group"][q, ..., 0]).all() and (found.arrays["group"][q, ..., 0] <= high).all()
    assert (high - low).max() > 0.05


def test_offsets_are_fitted_on_validation_and_there_alone(both):
    test, validation = both
    found = groups.compute(run(test, validation, pairs=[NAMES[:2]]), "test")
    logits = np.log(validation.probabilities["attributes"] / (1 - validation.probabilities["attributes"]))
    plain = fit_offsets(validation.labels, logits.astype(float), validation.known)["balanced_accuracy"]
    np.testing.assert_allclose(found.arrays["offset"][:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(found.arrays["offset"][:, 1], plain[:2], atol=1e-4)
    other = Predictions(test.ids, ~test.labels & test.known, None, test.probabilities, test.known, test.targets)
    again = groups.compute(run(other, validation, pairs=[NAMES[:2]]), "test")
    np.testing.assert_array_equal(again.arrays["offset"], found.arrays["offset"])
    own, makeup = validation.labels[:, 0], validation.labels[:, 1]
    there = validation.known[:, :2].all(axis=1)

    def worst(offset):
        right = (logits[:, 0] + offset >= 0) == own
        return min(right[one & there].mean() for one in by_label(own, makeup))

    tried = [worst(offset) for offset in np.linspace(-4, 4, 801)]
    assert worst(found.arrays["offset"][0, 2]) >= max(tried) - 1e-9
    assert worst(found.arrays["offset"][0, 2]) > worst(found.arrays["offset"][0, 1])


def test_without_validation_images_there_are_no_offsets_and_why(both):
    test, validation = both
    alone = groups.compute(run(test), "test")
    assert alone.values["variants"] == ["trained"] and "no validation images" in alone.values["unfitted"]
    assert alone.arrays["worst"].shape == (len(alone.values["questions"]), 1, 3)
    trained_on = run(test, validation, data={"source": "synthetic_faces", "train_on_validation": True})
    assert groups.compute(trained_on, "test").values["variants"] == ["trained"]
    reported = groups.compute(run(test, validation), "validation")
    assert "those that are answered here" in reported.values["unfitted"]


def test_a_group_without_an_image_is_undefined_and_the_worst_is_of_the_others():
    labels = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], bool)  # never the first alone
    probabilities = np.array([[0.9], [0.1], [0.2], [0.3], [0.8]]) * np.ones(3)
    test = Predictions(np.arange(5).astype(str), labels, None, {"attributes": probabilities}, None, Targets(NAMES))
    found = groups.compute(run(test, pairs=[NAMES[:2]]), "test")
    np.testing.assert_allclose(found.arrays["group"][0, 0, :, 0], [0.5, np.nan, 1, 0.5])
    assert np.isnan(found.arrays["group"][0, 0, 1]).all()
    assert found.arrays["worst"][0, 0, 0] == 0.5
    assert groups.headline(found)["apart:Lipstick:Makeup"].value == 1
    assert groups.headline(found)["worst_group:Lipstick:Makeup"].value == 0.5


def test_intervals_resample_people(both):
    test, _ = both
    alone = Predictions(test.ids, test.labels, np.zeros(len(test.ids), int), test.probabilities, test.known)
    assert np.isnan(groups.compute(run(alone), "test").arrays["group"][..., 1:]).all()  # one person says nothing


def test_the_other_attributes_are_those_that_no_pair_begins_with(both):
    test, _ = both
    found = groups.compute(run(test, pairs=[NAMES[:2]]), "test")
    says = test.probabilities["attributes"] >= 0.5
    parts = [(test.labels[test.known[:, k], k], says[test.known[:, k], k]) for k in (1, 2)]
    assert found.arrays["others.accuracy"][0] == pytest.approx(np.mean([accuracy_score(*one) for one in parts]))
    expected = np.mean([balanced_accuracy_score(*one) for one in parts])
    assert found.arrays["others.balanced_accuracy"][0] == pytest.approx(expected)


def test_pairs_are_those_that_come_together_most_in_training(both):
    test, _ = both
    found = groups.compute(run(test), "test")
    first = found.values["questions"][0]
    assert (first["attribute"], first["other"]) == NAMES[:2]
    there = test.known[:, :2].all(axis=1)
    assert first["correlation"] == pytest.approx(matthews_corrcoef(test.labels[there, 0], test.labels[there, 1]))
    opposite = SimpleNamespace(labels=test.labels ^ [False, True, False], known=np.ones(test.labels.shape, bool))
    again = groups.compute(run(test, training=opposite), "test").values["questions"][0]
    assert (again["attribute"], again["other"]) == NAMES[:2] and again["correlation"] < -0.5


def test_of_what_never_comes_together_no_pair_is_chosen_but_any_can_be_named(both):
    test, _ = both
    apart = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    training = SimpleNamespace(labels=apart, known=np.ones(apart.shape, bool))
    with pytest.raises(Unavailable, match=r"no two attributes come together in training \(correlations of at most 0"):
        groups.compute(run(test, training=training), "test")
    named = groups.compute(run(test, pairs=[("Hat", "Lipstick"), ("Hat", "Lipstick")], training=training), "test")
    asked = [(one["attribute"], one["other"], one["correlation"]) for one in named.values["questions"]]
    assert asked == [("Hat", "Lipstick", 0), ("Lipstick", "Hat", 0)]


def test_a_directed_attribute_is_paired_with_what_it_comes_with_most(both):
    test, _ = both
    made = run(test, loss={"directed": {"Makeup": [1, 5], "Hat": [2, 0]}})
    found = groups.compute(made, "test").values["questions"]
    assert [(one["attribute"], one["other"]) for one in found] == [NAMES[1::-1], NAMES[:2]]
    assert groups.settings(made.config)["directed"] == ["Makeup"]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("Lipstik", "Hat")], "did you mean 'Lipstick'? Received: 'Lipstik'"),
        ([("Hat", "Hat")], "expected two attributes in a pair. Received: 'Hat' twice"),
    ],
)
def test_a_name_that_is_none_is_told_with_the_nearest(both, pairs, message):
    with pytest.raises(UserError, match=r"^analysis\.pairs_of_attributes: ") as told:
        groups.compute(run(both[0], pairs=pairs), "test")
    assert message in str(told.value)


@pytest.mark.parametrize("pairs", [[], [["Hat"]], [["a", "b", "c"]], "Hat"])
def test_what_are_no_pairs_is_refused_with_the_settings(both, pairs):
    with pytest.raises(UserError, match=r"analysis\.pairs_of_attributes"):
        run(both[0], pairs=pairs)


def test_groups_of_real_faces_are_the_known_ones(real_faces):
    """Counts of ../shared's test part, and the pairs of 1905.00593 among what comes together most there."""
    values = {"name": "x", "data": {"source": "celeba", "directory": str(real_faces)}, "analysis": {"resamples": 20}}
    pairs = (("Wearing_Lipstick", "Heavy_Makeup"), ("High_Cheekbones", "Smiling"), ("Double_Chin", "Chubby"))
    source = data.load(config.check(values, "x").data)
    test, train = source.splits["test"], source.splits["train"]
    half = {"attributes": np.full(test.labels.shape, 0.5)}
    answers = Predictions(test.ids, test.labels, test.groups, half, test.known, source.targets)
    made = run(answers, pairs=pairs, training=train)
    made.attributes, made.training_rates = source.attributes, train.rates
    found = groups.compute(made, "test")
    counts = {one["attribute"]: found.arrays["count"][q] for q, one in enumerate(found.values["questions"])}
    assert {name: counts[name][1:3].tolist() for name, _ in pairs} == {
        "Wearing_Lipstick": [228, 16],
        "High_Cheekbones": [154, 178],
        "Double_Chin": [32, 63],
    }
    made.config = made.config.model_copy(
        update={"analysis": made.config.analysis.model_copy(update={"pairs_of_attributes": None})}
    )
    chosen = groups.compute(made, "test").values["questions"][::2]
    assert {"Wearing_Lipstick", "Heavy_Makeup"} in [{one["attribute"], one["other"]} for one in chosen]
