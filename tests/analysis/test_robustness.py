"""Pairs, controls and offsets under noise: against a full pass for each, metrics and choices worked out plainly."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scipy.special import expit

from mam_keras import analysis, evaluation, offsets
from mam_keras.analysis import adaptation, looks, robustness
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.looks import Looks
from mam_keras.analysis.needs import lacking
from mam_keras.analysis.scoring import COUNTED, METRICS, Scoring
from mam_keras.data.pipeline import Prepared
from mam_keras.model.noise import noise_level
from mam_keras.statistics import defined_mean, resample_weights
from tests.analysis import untrained

PAIRS = ((0.5, 2.0), (2.0, 0.5), (1.0, 1.0), (2.0, 3.0))  # the identity among them
GROUPS = np.repeat(np.arange(8), 3)
OTHERS = (  # variants, from number 5 on
    "multi_label",
    "adapted",
    "offset",
    "unmasked_offset",
    "adapted_offset",
    "pair_offset",
    "automatic_offset",
    "automatic",
)
MULTI_LABEL, ADAPTED, OFFSET, UNMASKED_OFFSET, ADAPTED_OFFSET, PAIR_OFFSET, AUTOMATIC_OFFSET, AUTOMATIC = range(5, 13)


def make_run(validation=True, analysis=(), data=(), sizes=(24, 12), batch_size=12, known=None, **arguments):
    """`untrained.run` with validation images and everything that robustness asks of a run.

    `known` is of the test images (n, K), and of the validation images among them.
    """
    run = untrained.run(images=sizes[0], batch_size=batch_size, **arguments)
    test, random = run.images("test"), np.random.default_rng(5)
    rows = random.permutation(sizes[0])[: sizes[1]]
    known = np.ones(test.labels.shape, bool) if known is None else known
    labels = test.labels & known
    splits = {"test": Prepared(test.images, test.ids, labels, arguments.get("groups"), (), known)}
    if validation:
        splits["validation"] = Prepared(test.images[rows], test.ids[rows], labels[rows], None, (), known[rows])
    changed = {
        "analysis": run.config.analysis.model_copy(
            update={"sigmas": (0.0, 0.2), "corruptions": ("blur",), "pairs": PAIRS, "resamples": 30, **dict(analysis)}
        ),
        "data": run.config.data.model_copy(update=dict(data)),
    }
    made = SimpleNamespace(
        config=run.config.model_copy(update=changed),
        targets=run.targets,
        attributes=run.attributes,
        network=run.network,
        images=splits.get,
        source=SimpleNamespace(splits=splits),
        training_rates=np.linspace(0.2, 0.8, len(run.attributes)),
    )
    made.looks = Looks(made)
    return made


@pytest.fixture(scope="module", autouse=True)
def adaptations_are_computed():
    """A run in memory keeps no adaptation: it is computed when asked for.

    On these few images nothing is measurably better than the identity, so the best pair is taken as it is; when it may
    be is tested in test_adaptation.py.
    """

    def choose(images, logits, among, seed):
        score = Scoring(images.labels, images.known, images.units, 0, seed)(adaptation.METRIC, logits)
        score = defined_mean(score[0])
        return score, adaptation.best_of(score, among, adaptation.PAIRS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis, "result_of", lambda run, name, split: adaptation.compute(run, split))
        patch.setattr(adaptation, "choose", choose)
        yield


@pytest.fixture(scope="module")
def run():
    return make_run(groups=GROUPS)


@pytest.fixture(scope="module")
def found(run):
    return robustness.compute(run, "test")


def plain_logits(run, split, condition, pair):
    """One full pass over the whole split, for one pair."""
    network, images = run.network, run.images(split).images.astype(np.float32) / np.float32(255)
    spoiled = corrupt(images, *condition, run.config.seed, 0)
    if network.masks is None:
        return np.asarray(network.logits(spoiled), float)
    return np.asarray(network.masks.logits(network.features(spoiled), *pair), float)


def means(run, split, logits):
    images = run.images(split)
    scores = evaluation.metrics(images.labels, expit(logits), run.training_rates, images.known)
    return {metric: np.nanmean(scores[metric]) for metric in METRICS}


def fitted(images, logits, metric, rows=slice(None)):
    """Offsets (K,) for the logits (n, K) of these images."""
    return offsets.fit_offsets(images.labels[rows], logits[rows], images.known[rows], [metric])[metric]


def test_variants_and_conditions(found):
    kinds = [variant["kind"] for variant in found.values["variants"]]
    assert kinds == ["identity", "pair", "pair", "pair", "unmasked", *OTHERS]
    pairs = [(variant["a"], variant["b"]) for variant in found.values["variants"][:5]]
    assert pairs == [(1, 1), (0.5, 2), (2, 0.5), (2, 3), (0, 1)]
    assert found.values["conditions"][:3] == [["noise", 0.0], ["noise", 0.2], ["blur", 0.015]]
    assert found.values["not_chosen"] is None
    assert (found.values["images"], found.values["validation_images"], found.values["groups"]) == (24, 12, 8)


@pytest.mark.parametrize("condition", [0, 1, 3])
def test_one_pass_gives_what_a_pass_for_each_pair_gives(run, found, condition):
    what = found.values["conditions"][condition]
    for split, key in (("test", "{}"), ("validation", "{}.validation")):
        for index, variant in enumerate(found.values["variants"][:5]):
            expected = means(run, split, plain_logits(run, split, what, (variant["a"], variant["b"])))
            for metric in METRICS:
                value = found.arrays[key.format(metric)][condition, index]
                reached = value if split == "validation" else value[0]
                assert reached == pytest.approx(expected[metric], abs=1e-12)


def test_what_is_chosen_on_validation(found):
    for metric in METRICS:
        validation = found.arrays[f"{metric}.validation"]
        np.testing.assert_array_equal(found.arrays[f"{metric}.best"], validation[:, :4].argmax(axis=1))
        standing = np.array([4, ADAPTED, OFFSET, UNMASKED_OFFSET, ADAPTED_OFFSET])
        best = found.arrays[f"{metric}.control"], found.arrays[f"{metric}.validation"][:, standing].max(axis=1)
        np.testing.assert_array_equal(validation[range(len(validation)), best[0]], best[1])
        assert set(best[0]) <= set(standing)
        assert np.isnan(validation[:, [AUTOMATIC_OFFSET, AUTOMATIC]]).all()
    assert any(found.arrays[f"{metric}.best"].any() for metric in METRICS)  # not the identity alone


def halved_mean(run, logits, metric):
    """With offsets of the other half, plainly: one half fitted, the other answered, and the reverse."""
    images = run.images("validation")
    permuted = np.random.default_rng(run.config.seed).permutation(len(images))
    halves = [np.flatnonzero(permuted < len(images) / 2), np.flatnonzero(permuted >= len(images) / 2)]
    shifted = logits.copy()
    for half, other in (halves, halves[::-1]):
        shifted[half] += fitted(images, logits, metric, other)
    return means(run, "validation", shifted)[metric]


@pytest.mark.parametrize("metric", COUNTED)
def test_offsets_are_fitted_on_validation_for_the_metric_and_compared_by_halves(run, found, metric):
    condition, what = 1, found.values["conditions"][1]
    pairs = [(variant["a"], variant["b"]) for variant in found.values["variants"][:5]]
    logits = [plain_logits(run, "validation", what, pair) for pair in pairs]
    images, added = run.images("validation"), found.arrays[f"{metric}.offsets"][condition]
    expected = offsets.thresholds(images.labels, expit(logits[0]), metric=metric)
    np.testing.assert_allclose(expit(-added), expected, rtol=1e-4)
    compared = [halved_mean(run, one, metric) for one in logits]
    validation, best = found.arrays[f"{metric}.validation"][condition], int(np.argmax(compared[:4]))
    np.testing.assert_allclose(
        validation[[OFFSET, UNMASKED_OFFSET, PAIR_OFFSET]], [compared[0], compared[4], compared[best]]
    )
    assert found.arrays[f"{metric}.best_offset"][condition] == best
    for index, of in ((OFFSET, 0), (UNMASKED_OFFSET, 4), (PAIR_OFFSET, best)):
        test = plain_logits(run, "test", what, pairs[of]) + fitted(images, logits[of], metric)
        assert found.arrays[metric][condition, index, 0] == pytest.approx(means(run, "test", test)[metric])


def test_the_automatic_choice_follows_the_noise_of_each_image(run, found):
    """The rule written out: the median of the estimates on validation, halfway boundaries, pair and offsets."""
    images, choices = run.images("validation"), []
    pairs = [(variant["a"], variant["b"]) for variant in found.values["variants"][:4]]
    for sigma in run.config.analysis.sigmas:
        logits = [plain_logits(run, "validation", ("noise", sigma), pair) for pair in pairs]
        best = int(np.argmax([halved_mean(run, one, "balanced_accuracy") for one in logits]))
        added = [fitted(images, logits[index], "balanced_accuracy") for index in (best, 0)]
        choices.append((np.median(levels(run, "validation", ("noise", sigma))), pairs[best], *added))
    boundary, chosen = (choices[0][0] + choices[1][0]) / 2, set()
    for condition, what in enumerate(found.values["conditions"]):
        nearest = (levels(run, "test", what) >= boundary).astype(int)
        chosen |= set(nearest)
        for index, pair, added in ((AUTOMATIC, 1, 2), (AUTOMATIC_OFFSET, None, 3)):
            answers = [
                plain_logits(run, "test", what, one[pair] if pair else (1.0, 1.0)) + one[added] for one in choices
            ]
            expected = means(run, "test", np.where(nearest[:, None], answers[1], answers[0]))
            for metric in METRICS:
                assert found.arrays[metric][condition, index, 0] == pytest.approx(expected[metric], abs=1e-12)
    assert chosen == {0, 1}


def levels(run, split, condition):
    return noise_level(corrupt(run.images(split).images.astype(np.float32) / np.float32(255), *condition, 0, 0)).numpy()


def test_offsets_leave_average_precision_as_it_is(found):
    precision = found.arrays["average_precision"]
    for index, of in ((OFFSET, 0), (UNMASKED_OFFSET, 4), (ADAPTED_OFFSET, ADAPTED)):
        np.testing.assert_array_equal(precision[:, index], precision[:, of])
    np.testing.assert_array_equal(found.arrays["average_precision.gain"][:, OFFSET], 0)
    best = found.arrays["average_precision.best"]
    np.testing.assert_array_equal(precision[:, PAIR_OFFSET], precision[range(len(best)), best])


@pytest.mark.parametrize("split", ["test", "validation"])
def test_adapted_is_the_network_with_the_statistics_of_the_batch(run, found, split):
    """Layer by layer in NumPy's float64, with the moments of these images."""
    key = "{}.validation" if split == "validation" else "{}"
    for condition in (0, 1):
        logits = adapted_logits(run, split, found.values["conditions"][condition])
        expected = means(run, split, logits)
        for metric in METRICS:
            value = found.arrays[key.format(metric)][condition, ADAPTED]
            assert (value if split == "validation" else value[0]) == pytest.approx(expected[metric], abs=1e-12)


def adapted_logits(run, split, condition, batch_size=12):
    network, images = run.network, run.images(split).images.astype(np.float32) / np.float32(255)
    layers, logits = {layer.name: layer for layer in network.model.layers}, []
    for start in range(0, len(images), batch_size):
        values = corrupt(images[start : start + batch_size], *condition, run.config.seed, start)
        for name in ("front_end.1", "context.1"):
            values = np.asarray(layers[name](values), float)
            layer = layers[f"{name}.normalization"]
            mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
            values = (values - mean) / np.sqrt(variance + layer.epsilon) * layer.gamma.numpy() + layer.beta.numpy()
            values = np.maximum(values, 0).astype(np.float32)
        logits.append(network.masks.logits(values, *network.masks.identity))
    return np.concatenate(logits).astype(float)


def test_adapted_leaves_nothing_out():
    """Some backbones have dropout, which is on in training, as batch statistics are."""
    images = keras.Input((4,))
    model = keras.Model(images, {"logits": keras.layers.Dropout(0.5)(images)})
    network = SimpleNamespace(masks=None, main_head="logits", computing=lambda _: model)
    ones = np.ones((16, 4), np.float32)
    np.testing.assert_array_equal(looks._answers_by_batch(network)(ones), ones[None])


def test_looking_by_batch_changes_no_weight(run):
    network, images = run.network, run.images("test").images.astype(np.float32) / np.float32(255)
    before = [weight.numpy() for weight in network.model.weights]
    usual = network.features(images).numpy()
    logits, _ = run.looks.look("test", ("noise", 0.0), "")
    assert logits.shape == (7, 24, 3) and logits.dtype == np.float32
    for weight, value in zip(network.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value, err_msg=weight.path)
    np.testing.assert_array_equal(network.features(images), usual)
    run.looks.look("test", ("brightness", 0.5), "")
    again, _ = run.looks.look("test", ("noise", 0.0), "")
    np.testing.assert_array_equal(again, logits)


def test_the_company_that_an_image_is_in_matters_to_adapted_alone(run):
    logits, other = (
        make_run(sizes=(24, size), batch_size=24).looks.look("validation", ("noise", 0.0), "")[0] for size in (12, 18)
    )
    changed = np.abs(logits[:, 0] - other[:, 0]).max(axis=-1)
    assert changed[ADAPTED] > 1e-3 and np.delete(changed, ADAPTED).max() < 1e-4


def variant_logits(run, found, split, condition, metric, index):
    """Of one variant, whatever it is made of, under a condition; not of the automatic ones."""
    what, kinds = found.values["conditions"][condition], ["identity", "pair", "pair", "pair", "unmasked", *OTHERS]
    if kinds[index] == "pair_offset":
        of = found.arrays[f"{metric}.best_offset"][condition]
    else:
        of = {OFFSET: 0, UNMASKED_OFFSET: 4, ADAPTED_OFFSET: ADAPTED}.get(index)
    if of is not None:
        validation = variant_logits(run, found, "validation", condition, metric, of)
        added = fitted(run.images("validation"), validation, metric)
        return variant_logits(run, found, split, condition, metric, of) + added
    if index == ADAPTED:
        return adapted_logits(run, split, what)
    variant = found.values["variants"][index]
    return plain_logits(run, split, what, (variant["a"], variant["b"]))


def test_differences_are_paired_and_intervals_resample_people(run, found):
    condition, metric = 1, "balanced_accuracy"
    labels, rates = run.images("test").labels, run.training_rates
    best, control = (found.arrays[f"{metric}.{name}"][condition] for name in ("best", "control"))
    scores = {}
    for index in {0, best, control, OFFSET, PAIR_OFFSET, ADAPTED_OFFSET}:
        logits, resampled = variant_logits(run, found, "test", condition, metric, index), []
        for block in resample_weights(GROUPS, 30, run.config.seed):
            for weights in block.T.astype(int):
                rows = np.repeat(np.arange(24), weights)
                resampled.append(np.nanmean(evaluation.metrics(labels[rows], expit(logits[rows]), rates)[metric]))
        scores[index] = np.array([means(run, "test", logits)[metric], *resampled])
    for key, expected in (
        (found.arrays[metric][condition, best], scores[best]),
        (found.arrays[metric][condition, ADAPTED_OFFSET], scores[ADAPTED_OFFSET]),
        (found.arrays[f"{metric}.gain"][condition, best], scores[best] - scores[0]),
        (found.arrays[f"{metric}.gain"][condition, OFFSET], scores[OFFSET] - scores[0]),
        (found.arrays[f"{metric}.over_control"][condition], scores[best] - scores[control]),
        (found.arrays[f"{metric}.pair_over_offset"][condition], scores[PAIR_OFFSET] - scores[OFFSET]),
    ):
        np.testing.assert_allclose(key, [expected[0], *np.percentile(expected[1:], (2.5, 97.5))], atol=1e-12)


def test_the_parts_of_a_gain_add_up(found):
    for metric in METRICS:
        value, gain = found.arrays[metric][..., 0], found.arrays[f"{metric}.gain"][..., 0]
        control = value[range(len(value)), found.arrays[f"{metric}.control"]]
        for name, difference in (
            ("pair_over_offset", gain[:, PAIR_OFFSET] - gain[:, OFFSET]),
            ("automatic_over_offset", gain[:, AUTOMATIC] - gain[:, AUTOMATIC_OFFSET]),
            ("automatic_over_control", value[:, AUTOMATIC] - control),
        ):
            np.testing.assert_allclose(found.arrays[f"{metric}.{name}"][:, 0], difference, atol=1e-12)


def test_per_attribute_and_guess(run, found):
    metric = "balanced_accuracy"
    np.testing.assert_allclose(
        np.nanmean(found.arrays[f"{metric}.per_attribute"], axis=-1), found.arrays[metric][..., 0]
    )
    labels = run.images("test").labels
    majority = np.mean(labels == (run.training_rates >= 0.5))
    assert found.values["guess"] == pytest.approx(
        {"accuracy": majority, "balanced_accuracy": 0.5, "average_precision": labels.mean()}
    )


def test_fitted_offsets_by_hand():
    labels = np.array([[0, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]], bool).T
    logits = np.array([[-4, -2, -1, 3], [-3, -2, 2, 1], [-1, 0, 1, 2]], float).T
    by_accuracy, by_recalls = (offsets.fit_offsets(labels, logits, metrics=[metric])[metric] for metric in COUNTED)
    # 1: the threshold lies between -2 and -1. 2: "never" is right in 3/4, and so is "from 1 on", which comes nearest to
    # probability 1/2 with (1 + -2) / 2 in probabilities. 3: of one class, left as it is.
    middle = (expit(-2) + expit(-1)) / 2
    assert by_accuracy[0] == by_recalls[0] == pytest.approx(np.log(1 - middle) - np.log(middle))
    np.testing.assert_array_equal((logits[:, 1] + by_recalls[1] >= 0), [False, False, True, True])
    assert by_accuracy[2] == by_recalls[2] == 0


def test_a_logit_beyond_all_numbers_can_still_be_refused():
    labels, logits = np.array([[0, 0, 1]], bool).T, np.array([[60.0, 50.0, 45.0]]).T
    offset = offsets.fit_offsets(labels, logits, metrics=["accuracy"])["accuracy"]
    assert np.isfinite(offset).all()


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["images", "people"])
def test_the_same_whatever_the_batches(groups):
    parts, whole = (
        robustness.compute(
            make_run(analysis={"pairs": PAIRS[:1]}, groups=groups, batch_size=size, normalization="group"), "test"
        )
        for size in (8, 24)
    )
    assert "adapted" not in [variant["kind"] for variant in parts.values["variants"]]  # which batches do change
    for name, array in parts.arrays.items():
        np.testing.assert_allclose(array, whole.arrays[name], atol=1e-5)


def test_the_identity_gives_the_models_own_predictions(trained):
    """And so does the multi-label head; noise of sigma 0 is none."""
    named = [variant["kind"] for variant in trained.looks.variants]
    for split in ("test", "validation"):
        logits, _ = trained.looks.look(split, ("noise", 0.0), "")
        predictions = trained.predictions(split)
        assert list(predictions.ids) == list(trained.images(split).ids)
        np.testing.assert_allclose(expit(logits[0]), predictions.probabilities["attributes"], atol=1e-6)
        np.testing.assert_allclose(
            expit(logits[named.index("multi_label")]), predictions.probabilities["multi_label"], atol=1e-6
        )


@pytest.mark.parametrize("model", [{"masks": "common"}, {"pooled_share": 0.2}, {"mask_offset": 0}], ids=str)
def test_every_kind_of_network(model):
    run = make_run(analysis={"sigmas": (0.2,)}, **model)
    found = robustness.compute(run, "test")
    for index, pair in enumerate([(1.0, 1.0), *PAIRS[:2], PAIRS[3], (0.0, 1.0)]):
        expected = means(run, "test", plain_logits(run, "test", ("noise", 0.2), pair))
        for metric in METRICS:
            assert found.arrays[metric][0, index, 0] == pytest.approx(expected[metric], abs=1e-12)


def test_without_masks_there_is_nothing_but_offsets_and_statistics():
    found = robustness.compute(make_run(masks="none", multi_label_head=False), "test")
    kinds = [variant["kind"] for variant in found.values["variants"]]
    assert kinds == ["identity", "adapted", "offset", "adapted_offset", "automatic"]
    assert set(found.arrays["accuracy.best"]) == {0} and set(found.arrays["accuracy.control"]) <= {1, 2, 3}
    assert "accuracy.pair_over_offset" not in found.arrays and "accuracy.automatic_over_control" in found.arrays


NOTHING_CHOSEN = {
    "the model was trained on the validation images": {"validation": False, "data": {"train_on_validation": True}},
    "the data have no validation split": {"validation": False},
    "the validation images are the ones reported on here": {"analysis": {"sigmas": (0.1,)}},
    "the targets exclude each other": {"exclusive": True},
}


@pytest.mark.parametrize("reason", NOTHING_CHOSEN)
def test_nothing_is_chosen_where_it_may_not_be(reason):
    run = make_run(**NOTHING_CHOSEN[reason])
    found = robustness.compute(run, "validation" if "reported on" in reason else "test")
    assert found.values["not_chosen"] == reason and found.values["validation_images"] is None
    kinds = [variant["kind"] for variant in found.values["variants"]]
    assert kinds == ["identity", "pair", "pair", "pair", "unmasked", *OTHERS[:2]]
    suffixes = {name.partition(".")[2] for name in found.arrays}
    assert suffixes == {"", "gain", "per_attribute"}


def test_one_attribute_of_one_class_in_the_split():
    run = make_run(attributes=("Hat",), sizes=(6, 4))
    for split in ("test", "validation"):
        run.images(split).labels[:] = True
    found = robustness.compute(run, "test")
    assert not np.isnan(found.arrays["accuracy"]).any()
    assert np.isnan(found.arrays["balanced_accuracy"]).all()
    assert found.values["guess"]["balanced_accuracy"] is None
    assert set(found.arrays["balanced_accuracy.best"]) == {0}


def test_of_classes_accuracy_is_top1_and_balanced_accuracy_the_mean_recall():
    run = make_run(exclusive=True)
    found = robustness.compute(run, "test")
    true = run.images("test").labels.argmax(axis=1)
    answered = plain_logits(run, "test", ("noise", 0.2), (1.0, 1.0)).argmax(axis=1)
    recalls = [np.mean(answered[true == k] == k) for k in range(3)]
    assert found.arrays["accuracy"][1, 0, 0] == pytest.approx(np.mean(answered == true))
    np.testing.assert_allclose(found.arrays["balanced_accuracy.per_attribute"][1, 0], recalls)
    assert found.arrays["balanced_accuracy"][1, 0, 0] == pytest.approx(np.mean(recalls))
    majority = np.mean(true == run.training_rates.argmax())
    assert found.values["guess"] == pytest.approx(
        {"accuracy": majority, "balanced_accuracy": 1 / 3, "average_precision": 1 / 3}
    )


def test_labels_that_are_not_known_count_nowhere():
    """Of the images whose labels are known the same is found as where they are all there are."""
    known = np.random.default_rng(2).random((24, 3)) < 0.7
    run = make_run(known=known)
    found = robustness.compute(run, "test")
    validation, images = run.images("validation"), run.images("test")
    for index, pair in ((0, (1.0, 1.0)), (4, (0.0, 1.0))):
        logits = plain_logits(run, "test", ("noise", 0.2), pair)
        expected = means(run, "test", logits)
        for metric in METRICS:
            assert found.arrays[metric][1, index, 0] == pytest.approx(expected[metric], abs=1e-12)
    shown = plain_logits(run, "validation", ("noise", 0.2), (1.0, 1.0))
    for k in range(3):
        rows = validation.known[:, k]
        (threshold,) = offsets.thresholds(validation.labels[rows, k : k + 1], expit(shown[rows, k : k + 1]))
        if threshold is not None:
            added = found.arrays["balanced_accuracy.offsets"][1, k]
            assert expit(-added) == pytest.approx(threshold, rel=1e-4)
    assert not (images.labels & ~known).any()


def test_a_system_without_masks_or_further_heads():
    run = make_run(system="plain")
    found = robustness.compute(run, "test")
    kinds = [variant["kind"] for variant in found.values["variants"]]
    assert kinds == ["identity", "adapted", "offset", "adapted_offset", "automatic"]
    expected = means(run, "test", plain_logits(run, "test", ("noise", 0.2), None))
    for metric in METRICS:
        assert found.arrays[metric][1, 0, 0] == pytest.approx(expected[metric], abs=1e-12)


def test_headline_is_balanced_accuracy_under_noise(found):
    row, metric = 1, "balanced_accuracy"
    best, control = (found.arrays[f"{metric}.{which}"][row] for which in ("best", "control"))
    places = {"identity": 0, "best_pair": best, "best_control": control, "automatic": AUTOMATIC}
    headline = robustness.headline(found)
    assert set(headline) == {f"{kind}_sigma_0.2" for kind in places}
    for kind, place in places.items():
        one = headline[f"{kind}_sigma_0.2"]
        assert [one.value, one.low, one.high] == pytest.approx(found.arrays[metric][row, place])


def test_headline_where_nothing_is_chosen():
    found = robustness.compute(make_run(validation=False, analysis={"sigmas": (0.0, 0.1, 0.4)}), "test")
    assert set(robustness.headline(found)) == {"identity_sigma_0.1", "identity_sigma_0.4"}


def test_needs():
    run = make_run()
    assert lacking(run, "test", robustness.NEEDS) is None
    assert lacking(run, "train", robustness.NEEDS) == "the data have no train split"


def test_answers_to_validation_are_kept_for_the_next_one():
    run, condition = make_run(), ("noise", 0.2)
    logits, noise = run.looks.look("validation", condition, "")
    run.images = None
    again, same = run.looks.look("validation", condition, "")
    assert again is logits and same is noise
