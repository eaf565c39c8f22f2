"""Which images and channels are shown, and that what is shown are the masks."""

import dataclasses
import shutil

import numpy as np
import pytest

from mam_keras import analysis
from mam_keras.analysis import Unavailable, correlations, mask_grids, masks
from mam_keras.analysis.trained_run import TrainedRun
from tests.analysis import untrained

PAPERS = ("Mouth_Slightly_Open", "Hat", "Smiling")


@pytest.fixture(autouse=True)
def results_in_memory(monkeypatch, request):
    """An untrained run has no directory to keep results in."""
    if "small_run" not in request.fixturenames:
        modules = {"masks": masks, "correlations": correlations}
        monkeypatch.setattr(analysis, "result_of", lambda run, name, split: modules[name].compute(run, split))


def test_the_first_positives_that_were_found_then_those_that_were_missed():
    labels = np.array([1, 0, 1, 1, 0, 1], bool)
    answers = np.array([0, 1, 1, 0, 0, 1], bool)
    every = [(2, True), (5, True), (0, False), (3, False)]
    for count in (1, 3, 6):
        assert mask_grids.choose(labels, answers, count) == every[:count]


def test_shared_channels_by_hand():
    found = mask_grids.compare(np.array([[4, 3, 1, 0, 2], [5, 0, 2, 0, 3]], float), 2)
    np.testing.assert_array_equal(found["pair.channels"], [0, 1, 4])  # of both, of the first, of the second
    np.testing.assert_array_equal(found["pair.ranks"], [[1, 1], [2, 4], [3, 2]])
    np.testing.assert_allclose(found["pair.shares"], [[0.4, 0.5], [0.3, 0], [0.2, 0.3]])


@pytest.mark.parametrize("kind", ["per_feature", "common"])
def test_what_is_shown_are_the_masks_of_the_most_important_channels(kind):
    run = untrained.run(PAPERS, images=40, masks=kind)
    found, (_, M) = mask_grids.compute(run, "test"), untrained.whole(run)
    arrays = found.arrays
    importance = masks.compute(run, "test").arrays["importance"]
    if kind == "common":
        np.testing.assert_array_equal(arrays["channels"], -np.ones((3, 1)))
        channels = np.zeros((3, 1), int)
    else:
        channels = arrays["channels"]
        np.testing.assert_array_equal(channels, np.argsort(-importance, axis=1)[:, :3])
    ids, labels = list(run.predictions("test").ids), run.predictions("test").labels
    pixels = run.images("test").images.astype(np.float32) / 255
    np.testing.assert_array_equal(arrays["attribute"], [0, 0, 1, 1, 2, 2, 2, 0, 2, 0, 2, 0])
    np.testing.assert_array_equal(arrays["of_pair"], 6 * [False] + 6 * [True])
    for look, (k, shown) in enumerate(zip(arrays["attribute"], arrays["image"], strict=True)):
        image = ids.index(arrays["ids"][shown])
        assert labels[image, [0, 2] if look >= 6 else k].all()
        np.testing.assert_array_equal(arrays["images"][shown], run.images("test").images[image])
        expected = M[image, :, :, k].transpose(2, 0, 1)[channels[k]]
        drawn = arrays["masks"][look] / 255 * arrays["highest"][look][:, None, None]
        np.testing.assert_allclose(drawn, expected, atol=0.5 / 255 + 1e-5)
        whole = run.network.masks.explain(run.network.features(pixels[image : image + 1]), 1, 1)[0].numpy()[0, :, :, k]
        whole = np.maximum(whole, 0) / max(whole.max(), 1e-30)
        np.testing.assert_allclose(arrays["maps"][look] / 255, whole, atol=0.5 / 255 + 1e-5)
    assert found.values["pair"] == [2, 0]
    assert found.values["pair_by"] == "papers"
    assert ("pair.channels" in arrays) == (kind == "per_feature")


def test_where_channels_have_no_importance_the_most_open_masks_are_shown():
    run = untrained.run(PAPERS, perception="stage")
    found, (_, M) = mask_grids.compute(run, "test"), untrained.whole(run)
    assert found.values["first"] == "open" and "maps" not in found.arrays
    means = M.mean(axis=(0, 1, 2))
    np.testing.assert_array_equal(found.arrays["channels"], np.argsort(-means, axis=1, kind="stable")[:, :3])
    assert found.values["pair"] == [2, 0]
    assert not any(name.startswith("pair.") for name in found.arrays)


def test_classes_are_compared_by_their_channels_and_share_no_image():
    found = mask_grids.compute(untrained.run(("a", "b", "c"), exclusive=True, images=20), "test")
    assert found.values["pair"] is not None and "pair.channels" in found.arrays
    assert not found.arrays["of_pair"].any()


def test_without_the_papers_attributes_the_most_correlated_are_a_pair():
    run = untrained.run(("a", "b", "c", "d"))
    found = mask_grids.compute(run, "test")
    between = correlations.compute(run, "test").arrays["attributes"] - 2 * np.eye(4)
    assert sorted(found.values["pair"]) == sorted(np.unravel_index(between.argmax(), between.shape))
    assert found.values["pair_by"] == "correlation"


@pytest.mark.parametrize("kind", ["per_feature", "common"])
def test_two_attributes_are_the_pair(kind):
    found = mask_grids.compute(untrained.run(("a", "b"), masks=kind), "test")
    assert found.values["pair"] == [0, 1]
    assert found.values["pair_by"] == "only"


@pytest.mark.parametrize(("names", "kind"), [(("a",), "per_feature"), (("a", "b", "c"), "common")])
def test_without_correlations_there_is_no_pair(names, kind):
    found = mask_grids.compute(untrained.run(names, masks=kind), "test")
    assert found.values["pair"] is None
    assert not any(name.startswith("pair.") for name in found.arrays)
    assert not found.arrays["of_pair"].any()


def test_an_attribute_without_positives_is_left_out():
    run = untrained.run()
    answers = run.predictions("test")
    labels, probabilities = answers.labels.copy(), answers.probabilities["attributes"]
    labels[:, 1] = False
    found = mask_grids.compute(untrained.answer(run, labels, probabilities), "test")
    assert 1 not in found.arrays["attribute"][~found.arrays["of_pair"]]
    labels[:] = False
    with pytest.raises(Unavailable, match="the split has no positive image"):
        mask_grids.compute(untrained.answer(run, labels, probabilities), "test")


def test_images_and_answers_are_joined_by_their_ids():
    run = untrained.run(images=12)
    reference = mask_grids.compute(run, "test")
    answers, order = run.predictions("test"), np.random.default_rng(0).permutation(12)
    changed = dataclasses.replace(
        answers,
        ids=answers.ids[order],
        labels=answers.labels[order],
        probabilities={head: values[order] for head, values in answers.probabilities.items()},
    )
    run.predictions = lambda split: changed
    found = mask_grids.compute(run, "test")
    for name, array in reference.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    others = dataclasses.replace(answers, ids=np.array([f"other {name}" for name in answers.ids]))
    run.predictions = lambda split: others
    with pytest.raises(Unavailable, match="no image of the split"):
        mask_grids.compute(run, "test")


def test_on_a_trained_run_results_of_other_analyses_are_kept(small_run, tmp_path):
    path = shutil.copytree(small_run, tmp_path / "run")
    shutil.rmtree(path / "analysis", ignore_errors=True)
    found = analysis.result_of(TrainedRun(path), "mask_grids", "test")
    assert found.values["pair"] == [0, 2]
    assert {file.stem for file in (path / "analysis").glob("*.json")} == {"masks.test", "mask_grids.test"}
    kept = analysis.result_of(TrainedRun(path), "masks", "test")
    np.testing.assert_array_equal(
        np.argsort(-kept.arrays["importance"], axis=1, kind="stable")[:, :3], found.arrays["channels"]
    )
