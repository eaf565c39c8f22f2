"""One answer about one image, in Python and by the command: what the network says, and its maps over the picture."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mam_keras
from mam_keras.errors import UserError
from mam_keras.explain.overlay import AGAINST, FOR, overlay
from tests.conftest import ATTRIBUTES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def classifier(small_run):
    return mam_keras.load(small_run)


@pytest.fixture(scope="module")
def pictures(small_run):
    """Prepared test images, and what the run answered about them."""
    from mam_keras.analysis.trained_run import TrainedRun

    run = TrainedRun(small_run)
    return np.asarray(run.images("test").images), run.predictions("test").probabilities


def command(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "mam_keras", "explain", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False, **options)


def test_it_answers_as_the_run_did(classifier, pictures):
    images, answered = pictures
    found = classifier.explain(images)
    assert classifier.targets == ATTRIBUTES and len(found) == len(images)
    for head, values in answered.items():
        probabilities = [one.probabilities if head == "attributes" else one.heads[head] for one in found]
        np.testing.assert_allclose(probabilities, values, atol=1e-5)
    for one in found:
        assert set(one.answered) == {name for name, p in zip(ATTRIBUTES, one.probabilities, strict=True) if p >= 0.5}


def test_one_or_several_paths_uint8_and_floats_are_the_same(classifier, pictures, tmp_path):
    image = pictures[0][3]
    Image.fromarray(image).save(tmp_path / "face.png")
    expected = classifier.explain(image)
    for one in (tmp_path / "face.png", str(tmp_path / "face.png"), image / 255, (image / 255).astype("float32")):
        found = classifier.explain(one)
        np.testing.assert_array_equal(found.image, image)
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    several = classifier.explain([tmp_path / "face.png", image, pictures[0][4] / 255])
    assert [one.name for one in several] == [str(tmp_path / "face.png"), "image 1", "image 2"]
    np.testing.assert_allclose(several[1].probabilities, expected.probabilities, atol=1e-6)
    assert classifier.explain([]) == []
    with pytest.raises(UserError, match=r"^image 1: expected floats in \[0, 1\] \(divide by 255"):
        classifier.explain([image, image.astype("float32")])


def test_contributions_are_the_logit_and_every_map_is_there(classifier, pictures):
    found = classifier.explain(pictures[0][0])
    assert list(found.maps) == list(classifier.maps) == list(classifier.network.maps)
    bias = np.asarray(classifier.network.contributions.pooling.bias)
    logits = [found.map(name, "contributions").mean() + bias[k] for k, name in enumerate(ATTRIBUTES)]
    np.testing.assert_allclose(1 / (1 + np.exp(-np.array(logits))), found.probabilities, atol=1e-5)
    likeliest = ATTRIBUTES[found.probabilities.argmax()]
    np.testing.assert_array_equal(found.map(), found.map(likeliest, "contributions"))
    assert found.overlay("Smiling", size=64).size == (64, 64)
    with pytest.raises(UserError, match=r"^smiling: expected a target of this network; did you mean 'Smiling'"):
        found.overlay("smiling")
    with pytest.raises(UserError, match=r"^mask: expected a map"):
        found.map("Smiling", "mask")


def test_an_overlay_is_blue_where_it_speaks_for_and_orange_where_against():
    drawn = np.asarray(overlay(np.full((8, 8, 3), 128, np.uint8), np.array([[1.0, -1.0], [0.5, 0.0]]), 8), float)
    strong, against, half, none = drawn[1, 1], drawn[1, 6], drawn[6, 1], drawn[6, 6]
    np.testing.assert_array_equal(none, 128)
    np.testing.assert_allclose(strong, 0.2 * 128 + 0.8 * np.array(FOR), atol=1)
    np.testing.assert_allclose(against, 0.2 * 128 + 0.8 * np.array(AGAINST), atol=1)
    np.testing.assert_allclose(half, 0.6 * 128 + 0.4 * np.array(FOR), atol=1)
    np.testing.assert_array_equal(overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((2, 2)), 8), 0)


def test_the_command_writes_json_and_every_map(small_run, classifier, pictures, tmp_path):
    (tmp_path / "a").mkdir()
    paths = ["face.png", "a/face.png", "gr\u00f6\u00dfe.png"]
    for path, image in zip(paths, pictures[0], strict=False):
        Image.fromarray(image).save(tmp_path / path)
    (tmp_path / "broken.jpg").write_text("no image")
    done = command(small_run, *paths, "broken.jpg", "--targets", "all", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: broken.jpg: expected an image") and "(1 of 4 left out)" in done.stderr
    written = json.loads((tmp_path / "explained/explanations.json").read_text())
    assert written["targets"] == list(ATTRIBUTES) and set(written["maps"]) == set(classifier.maps)
    assert [one["image"] for one in written["images"]] == paths
    for one, image in zip(written["images"], pictures[0], strict=False):
        found = classifier.explain(image)
        assert one["answers"] == list(found.answered)
        np.testing.assert_allclose(list(one["probabilities"].values()), found.probabilities, atol=1e-6)
        assert set(one["pictures"]) == set(classifier.maps)
        for name, files in one["pictures"].items():
            assert list(files) == list(ATTRIBUTES)
            with Image.open(tmp_path / "explained" / files["Bangs"]) as drawn:
                np.testing.assert_array_equal(drawn, found.overlay("Bangs", name))
    files = [file for one in written["images"] for drawn in one["pictures"].values() for file in drawn.values()]
    assert len(set(files)) == len(files) == 3 * 5 * len(classifier.maps)


def test_the_readmes_three_lines(small_run, pictures, tmp_path, monkeypatch, capsys):
    section = (ROOT / "README.md").read_text().partition("## Ask about an image")[2]
    snippet = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    Image.fromarray(pictures[0][0]).save(tmp_path / "face.jpg")
    monkeypatch.chdir(tmp_path)
    exec(snippet.replace("runs/demo", str(small_run)))
    assert "(8, 8, 5)" in capsys.readouterr().out
    with Image.open("smiling.png") as drawn:
        assert drawn.size == (512, 512)


def test_pictures_are_of_what_is_answered_with_yes(small_run, classifier, pictures, tmp_path):
    Image.fromarray(pictures[0][0]).save(tmp_path / "face.png")
    done = command(small_run, "face.png", "--out", "there", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (one,) = json.loads((tmp_path / "there/explanations.json").read_text())["images"]
    found = classifier.explain(pictures[0][0])
    expected = found.answered or (ATTRIBUTES[found.probabilities.argmax()],)
    assert tuple(one["pictures"]["contributions"]) == expected


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["nowhere", "a.jpg"],
            "error: nowhere: expected the directory of a finished run. Received: no model.keras in it",
        ),
        (["{run}", "a.jpg"], "error: a.jpg: expected an image's file. Received: no such file"),
        (["{run}", "{root}"], "error: {root}: expected an image's file. Received: a folder"),
        (
            ["{run}", "{root}/reports/example/page.png", "--targets", "Smilin"],
            "error: Smilin: expected a target of this ",
        ),
        (["{run}", "a.jpg", "--targets", ""], "error: --targets: expected names, separated by commas. Received: ''"),
    ],
)
def test_what_cannot_be_explained_is_told_in_one_line(small_run, tmp_path, arguments, line):
    done = command(*(part.format(run=small_run, root=ROOT) for part in arguments), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(line.format(root=ROOT))
    assert not (tmp_path / "explained").exists()


@pytest.mark.parametrize("images", [None, Image.new("RGB", (8, 8))])
def test_a_picture_of_another_kind_is_refused_with_what_to_do(classifier, images):
    with pytest.raises(UserError, match=r"image: expected a file's path, or a NumPy array .* Received: (None|Image)"):
        classifier.explain(images)
