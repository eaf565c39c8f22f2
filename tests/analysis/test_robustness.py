"""Pairs, controls and offsets under noise: against a full pass for each, metrics and choices worked out plainly."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from mam_keras import evaluation, thresholds
from mam_keras.analysis import robustness
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.result import Unavailable
from mam_keras.data.pipeline import Prepared
from tests.analysis import untrained

PAIRS = ((0.5, 2.0), (2.0, 0.5), (1.0, 1.0), (2.0, 3.0))  # the identity among them
GROUPS = np.repeat(np.arange(8), 3)


def make_run(validation=True, analysis=(), data=(), sizes=(24, 12), batch_size=12, **arguments):
    """`untrained.run` with validation images and everything that robustness asks of a run."""
    run = untrained.run(images=sizes[0], batch_size=batch_size, **arguments)
    test, random = run.images("test"), np.random.default_rng(5)
    rows = random.permutation(sizes[0])[: sizes[1]]
    splits = {"test": Prepared(test.images, test.ids, test.labels, arguments.get("groups"), ())}
    if validation:
        splits["validation"] = Prepared(test.images[rows], test.ids[rows], test.labels[rows], None, ())
    changed = {
        "analysis": run.config.analysis.model_copy(
            update={"sigmas": (0.0, 0.2), "pairs": PAIRS, "resamples": 30, **dict(analysis)}
        ),
        "data": run.config.data.model_copy(update=dict(data)),
    }
    return SimpleNamespace(
        config=run.config.model_copy(update=changed),
        attributes=run.attributes,
        network=run.network,
        images=splits.get,
        source=SimpleNamespace(splits=splits),
        training_rates=np.linspace(0.2, 0.8, len(run.attributes)),
    )


@pytest.fixture(scope="module", autouse=True)
def two_corruptions():
    """Noise and blur are enough here."""
    few = {name: robustness.CORRUPTIONS[name] for name in ("noise", "blur")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robustness, "CORRUPTIONS", few)  # a dictionary of its own: putting items back reorders them
        yield


@pytest.fixture(scope="module")
def run():
    return make_run(groups=GROUPS)


@pytest.fixture(scope="module")
def found(run):
    return robustness.compute(run)


def plain_logits(run, split, condition, pair):
    """One full pass over the whole split, for one pair."""
    network, images = run.network, run.images(split).images.astype(np.float32) / np.float32(255)
    features = network.features(corrupt(images, *condition, run.config.seed, 0))
    return np.asarray(network.logits(network.heads.scores(features, *pair)), float)


def means(run, split, logits):
    labels = run.images(split).labels
    scores = evaluation.metrics(labels, expit(logits), run.training_rates)
    return {metric: np.nanmean(scores[metric]) for metric in robustness.METRICS}


def test_variants_and_conditions(found):
    kinds = [variant["kind"] for variant in found.values["variants"]]
    assert kinds == ["identity", "pair", "pair", "pair", "unmasked", "multi_label", "offset"]
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
            for metric in robustness.METRICS:
                value = found.arrays[key.format(metric)][condition, index]
                reached = value if split == "validation" else value[0]
                assert reached == pytest.approx(expected[metric], abs=1e-12)


def test_what_is_chosen_on_validation(found):
    for metric in robustness.METRICS:
        validation = found.arrays[f"{metric}.validation"]
        np.testing.assert_array_equal(found.arrays[f"{metric}.best"], validation[:, :4].argmax(axis=1))
        controls = validation[:, [4, 6]]
        np.testing.assert_array_equal(found.arrays[f"{metric}.control"], np.array([4, 6])[controls.argmax(axis=1)])
    assert any(found.arrays[f"{metric}.best"].any() for metric in robustness.METRICS)  # not the identity alone


@pytest.mark.parametrize("metric", robustness.THRESHOLDED)
def test_the_offsets_are_fitted_on_validation_for_the_metric(run, found, metric):
    condition, what = 1, found.values["conditions"][1]
    logits, labels = plain_logits(run, "validation", what, (1.0, 1.0)), run.images("validation").labels
    fitted = thresholds.fit(labels, expit(logits), metric)
    offsets = found.arrays[f"{metric}.offsets"][condition]
    np.testing.assert_allclose(expit(-offsets), fitted, rtol=1e-4)
    best = [(labels == (logits + step >= 0)).mean() for step in np.linspace(-20, 20, 4001)]
    if metric == "accuracy":
        assert found.arrays["accuracy.validation"][condition, 6] >= max(best)
    test = plain_logits(run, "test", what, (1.0, 1.0))
    assert found.arrays[metric][condition, 6, 0] == pytest.approx(means(run, "test", test + offsets)[metric])


def test_offsets_leave_average_precision_as_it_is(found):
    precision = found.arrays["average_precision"]
    np.testing.assert_array_equal(precision[:, 6], precision[:, 0])
    np.testing.assert_array_equal(found.arrays["average_precision.gain"][:, 6], 0)


def test_differences_are_paired_and_intervals_resample_people(run, found):
    condition, metric = 1, "balanced_accuracy"
    labels, rates = run.images("test").labels, run.training_rates
    best, control = (found.arrays[f"{metric}.{name}"][condition] for name in ("best", "control"))
    scores = []
    for index in (0, best, control):
        pair = found.values["variants"][index if index < 5 else 0]
        logits = plain_logits(run, "test", found.values["conditions"][condition], (pair["a"], pair["b"]))
        if index == 6:
            logits = logits + found.arrays[f"{metric}.offsets"][condition]
        resampled = []
        for block in evaluation.resample_weights(GROUPS, 30, run.config.seed):
            for weights in block.T.astype(int):
                rows = np.repeat(np.arange(24), weights)
                resampled.append(np.nanmean(evaluation.metrics(labels[rows], expit(logits[rows]), rates)[metric]))
        scores.append([np.nanmean(evaluation.metrics(labels, expit(logits), rates)[metric]), *resampled])
    identity, best_scores, control_scores = np.array(scores)
    for key, expected in (
        (found.arrays[metric][condition, best], best_scores),
        (found.arrays[f"{metric}.gain"][condition, best], best_scores - identity),
        (found.arrays[f"{metric}.over_control"][condition], best_scores - control_scores),
    ):
        np.testing.assert_allclose(key, [expected[0], *np.percentile(expected[1:], (2.5, 97.5))], atol=1e-12)


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
    by_accuracy, by_recalls = (robustness.fit_offsets(labels, logits, metric) for metric in robustness.THRESHOLDED)
    # 1: the threshold lies between -2 and -1. 2: "never" is right in 3/4, and so is "from 1 on", which comes nearest to
    # probability 1/2 with (1 + -2) / 2 in probabilities. 3: of one class, left as it is.
    middle = (expit(-2) + expit(-1)) / 2
    assert by_accuracy[0] == by_recalls[0] == pytest.approx(np.log(1 - middle) - np.log(middle))
    np.testing.assert_array_equal((logits[:, 1] + by_recalls[1] >= 0), [False, False, True, True])
    assert by_accuracy[2] == by_recalls[2] == 0


def test_a_logit_beyond_all_numbers_can_still_be_refused():
    labels, logits = np.array([[0, 0, 1]], bool).T, np.array([[60.0, 50.0, 45.0]]).T
    offset = robustness.fit_offsets(labels, logits, "accuracy")
    assert np.isfinite(offset).all()


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["images", "people"])
def test_the_same_whatever_the_batches(groups):
    parts, whole = (
        robustness.compute(make_run(analysis={"pairs": PAIRS[:1]}, groups=groups, batch_size=size)) for size in (7, 24)
    )
    for name, array in parts.arrays.items():
        np.testing.assert_allclose(array, whole.arrays[name], atol=1e-5)


def test_the_identity_gives_the_models_own_predictions(trained):
    """And so does the multi-label head; noise of sigma 0 is none."""
    variants = [{"kind": "identity", "a": 1.0, "b": 1.0}, {"kind": "unmasked", "a": 0.0, "b": 1.0}]
    for split in ("test", "validation"):
        logits = robustness._classifier(trained, variants)(trained.images(split), ("noise", 0.0), "")
        predictions = trained.predictions(split)
        assert list(predictions.ids) == list(trained.images(split).ids)
        np.testing.assert_allclose(expit(logits[0]), predictions.probabilities["attributes"], atol=1e-6)
        np.testing.assert_allclose(expit(logits[2]), predictions.probabilities["multi_label"], atol=1e-6)


@pytest.mark.parametrize("model", [{"masks": "common"}, {"pooled_share": 0.2}, {"mask_offset": 0}], ids=str)
def test_every_kind_of_network(model):
    run = make_run(analysis={"sigmas": (0.2,)}, **model)
    found = robustness.compute(run)
    for index, pair in enumerate([(1.0, 1.0), *PAIRS[:2], PAIRS[3], (0.0, 1.0)]):
        expected = means(run, "test", plain_logits(run, "test", ("noise", 0.2), pair))
        for metric in robustness.METRICS:
            assert found.arrays[metric][0, index, 0] == pytest.approx(expected[metric], abs=1e-12)


def test_without_masks_the_offset_is_the_only_control():
    found = robustness.compute(make_run(masks="none", multi_label_head=False))
    assert [variant["kind"] for variant in found.values["variants"]] == ["identity", "offset"]
    assert set(found.arrays["accuracy.best"]) == {0} and set(found.arrays["accuracy.control"]) == {1}


NOTHING_CHOSEN = {
    "the model was trained on the validation images": {"validation": False, "data": {"train_on_validation": True}},
    "the data have no validation split": {"validation": False},
    "the validation images are the ones reported on here": {"analysis": {"split": "validation", "sigmas": (0.1,)}},
}


@pytest.mark.parametrize("reason", NOTHING_CHOSEN)
def test_nothing_is_chosen_where_it_may_not_be(reason):
    run = make_run(**NOTHING_CHOSEN[reason])
    found = robustness.compute(run)
    assert found.values["not_chosen"] == reason and found.values["validation_images"] is None
    assert "offset" not in [variant["kind"] for variant in found.values["variants"]]
    suffixes = {name.partition(".")[2] for name in found.arrays}
    assert suffixes == {"", "gain", "per_attribute"}


def test_one_attribute_of_one_class_in_the_split():
    run = make_run(attributes=("Hat",), sizes=(6, 4))
    for split in ("test", "validation"):
        run.images(split).labels[:] = True
    found = robustness.compute(run)
    assert not np.isnan(found.arrays["accuracy"]).any()
    assert np.isnan(found.arrays["balanced_accuracy"]).all()
    assert found.values["guess"]["balanced_accuracy"] is None
    assert set(found.arrays["balanced_accuracy.best"]) == {0}


def test_unavailable_without_attribute_heads_or_split():
    with pytest.raises(Unavailable, match="attribute_heads"):
        robustness.compute(make_run(attribute_heads=False))
    run = make_run()
    run.images = lambda split: None
    with pytest.raises(Unavailable, match="no test split"):
        robustness.compute(run)
