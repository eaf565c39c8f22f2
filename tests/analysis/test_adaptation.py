"""Pair and offsets by the level of noise: worked out plainly, by hand, and refused where nothing may be chosen."""

import numpy as np
import pytest
from scipy.special import expit

from mam_keras import analysis
from mam_keras.analysis import adaptation
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.looks import variants
from mam_keras.analysis.needs import lacking
from mam_keras.analysis.result import Result
from mam_keras.analysis.rule import rising, rule
from mam_keras.analysis.scoring import Scoring
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data.pipeline import Prepared
from mam_keras.evaluation import metrics
from mam_keras.model.noise import noise_level
from mam_keras.statistics import defined_mean, resample_weights
from tests.analysis.test_robustness import fitted, make_run, means, plain_logits

METRIC = "balanced_accuracy"
RATES = np.full(3, 0.5)  # of training; balanced accuracy does not ask
SIGMAS = (0.3, 0.0, 0.1)  # in any order
GROUPS = np.repeat(np.arange(6), 2)


@pytest.fixture(scope="module")
def run():
    return make_run(analysis={"sigmas": SIGMAS})


@pytest.fixture(scope="module")
def found(run):
    return adaptation.compute(run, "validation")


def test_levels_are_medians_of_the_estimates(run, found):
    assert found.values["sigmas"] == [0.0, 0.1, 0.3]
    images = run.images("validation").images.astype(np.float32) / np.float32(255)
    for row, sigma in enumerate(found.values["sigmas"]):
        levels = noise_level(corrupt(images, "noise", sigma, run.config.seed, 0))
        np.testing.assert_allclose(found.arrays["noise"][row], np.percentile(levels, (50, 5, 95)), rtol=1e-5)


def plain_choice(run, sigma):
    """The rule written out, every resample as images in a row: best where 97.5 % are above zero."""
    images, answers = run.images("validation"), []
    permuted = np.random.default_rng(run.config.seed).permutation(12) < 6
    for variant in variants(run.network, run.config)[:4]:
        logits = plain_logits(run, "validation", ("noise", sigma), (variant["a"], variant["b"]))
        shifted = logits.copy()
        for half in (permuted, ~permuted):
            shifted[half] += fitted(images, logits, METRIC, ~half)
        answers.append(shifted)
    best = int(np.argmax([means(run, "validation", answer)[METRIC] for answer in answers]))
    gains = []
    for block in resample_weights(np.arange(12), adaptation.RESAMPLES, run.config.seed):
        for weights in block.T.astype(int):
            one, other = (
                metrics(np.repeat(images.labels, weights, axis=0), np.repeat(expit(answer), weights, axis=0), RATES)
                for answer in (answers[0], answers[best])
            )
            difference = other[METRIC] - one[METRIC]
            gains.append(np.nan if np.isnan(difference).all() else np.nanmean(difference))
    return best if np.nanpercentile(gains, 2.5) > 0 else 0


def test_every_pair_gets_its_offsets_and_is_scored_by_halves(run, found):
    kinds = [variant["kind"] for variant in found.values["variants"]]
    assert kinds == ["identity", "pair", "pair", "pair", "unmasked"]
    images = run.images("validation")
    permuted = np.random.default_rng(run.config.seed).permutation(12) < 6
    for index, variant in enumerate(found.values["variants"]):
        logits = plain_logits(run, "validation", ("noise", 0.3), (variant["a"], variant["b"]))
        offsets = fitted(images, logits, METRIC)
        np.testing.assert_allclose(found.arrays["offsets"][2, index], offsets, atol=1e-4)
        shifted = logits.copy()
        for half in (permuted, ~permuted):
            shifted[half] += fitted(images, logits, METRIC, ~half)
        expected = means(run, "validation", shifted)[METRIC]
        assert found.arrays["score"][2, index] == pytest.approx(expected)
    assert found.arrays["best"].tolist() == [plain_choice(run, sigma) for sigma in found.values["sigmas"]]


def test_people_are_never_in_both_halves():
    labels = np.array([[0, 1], [1, 0], [0, 0], [1, 1], [0, 1], [1, 0]], bool).repeat(2, axis=0)
    halves, fit = [], adaptation.fit_offsets

    def seen(labels, logits, known, metrics):
        halves.append(set(logits[:, 0, 0].astype(int)))
        return fit(labels, logits, known, metrics)

    images = images_of(labels, GROUPS)
    logits = np.repeat(GROUPS[:, None], 2, axis=1)[None].astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptation, "fit_offsets", seen)
        adaptation.by_halves(images, logits, [METRIC], 0)
    assert halves[0] & halves[1] == set() and halves[0] | halves[1] == set(range(6))
    assert len(halves[0]) == 3


def images_of(labels, groups=None):
    return Prepared(None, np.arange(len(labels)), labels, groups, ())


def score_by_halves(images, logits):
    """Of (V, n, K) logits: the means (V,)."""
    shifted = adaptation.by_halves(images, logits, [METRIC], 0)[METRIC]
    return defined_mean(Scoring(images.labels, images.known, images.units, 0, 0)(METRIC, shifted)[0])


def test_what_fits_one_half_only_does_not_win():
    """Labels at random: offsets fitted on all images look good on them, those of the other half do not."""
    random = np.random.default_rng(0)
    images = images_of(random.random((200, 30)) < 0.5)
    logits, rates = random.normal(size=(200, 30)), np.full(30, 0.5)
    shifted = logits + fitted(images, logits, METRIC)
    (honest,) = score_by_halves(images, logits[None])
    assert metrics(images.labels, expit(shifted), rates)[METRIC].mean() > 0.53
    assert honest == pytest.approx(0.5, abs=0.015)


def test_the_identity_is_preferred_and_a_control_is_never_chosen():
    among = [{"kind": kind} for kind in ("identity", "pair", "pair", "unmasked")]
    assert adaptation.best_of([0.6, 0.6, 0.5, 0.9], among, adaptation.PAIRS) == 0
    assert adaptation.best_of([0.6, 0.6, 0.7, 0.9], among, adaptation.PAIRS) == 2
    assert adaptation.best_of([np.nan, 0.2, np.nan, 0.9], among, adaptation.PAIRS) == 1
    assert adaptation.best_of([np.nan] * 4, among, adaptation.PAIRS) == 0


def answers_right_at(rows, labels):
    """Logits of one attribute, right with confidence in these rows and wrong elsewhere."""
    return np.where(np.isin(np.arange(len(labels)), rows)[:, None], 1.0, -1.0) * np.where(labels, 1.0, -1.0)


def chosen(images, *answers):
    """The choice among the identity and pairs with these answers, as they are: no offset is fitted."""
    among = [{"kind": "identity"}, *[{"kind": "pair"}] * (len(answers) - 1)]
    return adaptation.choose(images, np.stack(answers), among, 0)


def test_a_pair_has_to_be_measurably_better_than_the_identity():
    """One right answer more of 100 is chance: in a third of the resamples it is drawn not once. Ten more are not."""
    images = images_of((np.arange(100) % 2 == 0)[:, None])
    identity, one_more, ten_more = (answers_right_at(range(right), images.labels) for right in (60, 61, 70))
    score, best = chosen(images, identity, one_more)
    np.testing.assert_allclose(score, [0.6, 0.61])
    assert best == 0
    assert chosen(images, identity, one_more, ten_more)[1] == 2
    assert chosen(images, ten_more, identity, one_more)[1] == 0


def test_images_of_one_person_are_one_piece_of_evidence():
    """The ten more are of one person of ten, who is drawn not once in a third of the resamples."""
    labels = (np.arange(100) % 2 == 0)[:, None]
    identity, ten_more = (answers_right_at(range(right), labels) for right in (60, 70))
    assert chosen(images_of(labels, np.arange(100) // 10), identity, ten_more)[1] == 0
    assert chosen(images_of(labels, np.arange(100) % 10), identity, ten_more)[1] == 1


def test_levels_that_do_not_rise_are_merged_with_the_lower_sigma():
    assert rising([0.1, 0.2, 0.3]) == [0, 1, 2]
    assert rising([0.1, 0.1, 0.05, 0.3, 0.3, 0.2]) == [0, 3]
    assert rising([0.2]) == [0]


def made_up(knots=(0, 2)):
    variants = [("identity", 1.0, 1.0), ("pair", 2.0, 4.0), ("unmasked", 0.0, 1.0)]
    values = {
        "variants": [dict(zip(("kind", "a", "b"), variant, strict=True)) for variant in variants],
        "sigmas": [0.0, 0.1, 0.2],
        "knots": list(knots),
    }
    arrays = {
        "noise": np.array([[0.01, 0, 0.02], [0.01, 0, 0.02], [0.15, 0.1, 0.2]]),
        "best": np.array([0, 1, 1]),
        "offsets": np.arange(18.0).reshape(3, 3, 2),
    }
    return Result(values, arrays)


def test_the_rule_by_hand(monkeypatch):
    monkeypatch.setattr(analysis, "result_of", lambda run, name, split: made_up())
    found = rule(None)
    np.testing.assert_allclose(found.boundaries, [0.08])
    np.testing.assert_array_equal(found.sigmas, [0, 0.2])
    np.testing.assert_array_equal(found.pairs, [[1, 1], [2, 4]])
    np.testing.assert_array_equal(found.offsets, [[0, 1], [14, 15]])
    np.testing.assert_array_equal(found.plain_offsets, [[0, 1], [12, 13]])
    np.testing.assert_array_equal(found.knots(np.float32([0, 0.07, 0.08, 0.09, 3])), [0, 0, 1, 1, 1])


def test_with_one_level_there_is_no_boundary(monkeypatch):
    monkeypatch.setattr(analysis, "result_of", lambda run, name, split: made_up(knots=(1,)))
    found = rule(None)
    assert found.boundaries.shape == (0,)
    np.testing.assert_array_equal(found.knots(np.float32([0, 1])), [0, 0])


def test_without_masks_there_are_offsets_alone():
    found = adaptation.compute(make_run(masks="none", analysis={"sigmas": (0.1,)}), "validation")
    assert found.values["variants"] == [{"kind": "identity", "a": 1.0, "b": 1.0}]
    assert found.arrays["offsets"].shape == (1, 1, 3) and found.arrays["best"].tolist() == [0]


def test_labels_that_are_not_known_count_nowhere():
    known = np.random.default_rng(2).random((24, 3)) < 0.7
    run = make_run(known=known, analysis={"sigmas": (0.3,)})
    found, images = adaptation.compute(run, "validation"), run.images("validation")
    logits = plain_logits(run, "validation", ("noise", 0.3), (1.0, 1.0))
    for k in range(3):
        rows = images.known[:, k]
        own = Prepared(None, images.ids[rows], images.labels[rows, k : k + 1], None, ())
        expected = fitted(own, logits[rows, k : k + 1], METRIC)
        np.testing.assert_allclose(found.arrays["offsets"][0, 0, k], expected[0], atol=1e-4)


@pytest.mark.parametrize(
    "reason, changes",
    [
        ("the model was trained on the validation images", {"data": {"train_on_validation": True}}),
        ("the data have no validation split", {"validation": False}),
        ("the targets exclude each other", {"exclusive": True}),
    ],
)
def test_needs(reason, changes):
    assert lacking(make_run(**changes), "test", adaptation.NEEDS) == reason
    assert lacking(make_run(), "test", adaptation.NEEDS) is None


def test_it_is_kept_and_does_not_ask_which_split_is_reported(small_run, tmp_path, monkeypatch):
    run = TrainedRun(small_run, ["analysis.split=validation", "analysis.sigmas=[0.2]"])
    monkeypatch.setattr(TrainedRun, "folder", tmp_path)
    found = rule(run)
    assert found.offsets.shape == (1, 5) and (tmp_path / "adaptation.validation.npz").exists()
    monkeypatch.setattr(adaptation, "compute", None)
    again = rule(TrainedRun(small_run, ["analysis.sigmas=[0.2]"]))
    np.testing.assert_array_equal(again.offsets, found.offsets)


def test_it_is_about_validation_whatever_is_reported(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainedRun, "folder", tmp_path)
    run = TrainedRun(small_run, ["analysis.sigmas=[0.2]"])
    found, missing = analysis.compute_missing(run, names=("adaptation",), split="test")
    assert not missing and found["adaptation"].values["images"] == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "adaptation.validation.json",
        "adaptation.validation.npz",
    ]
