"""From a file of regions to what a training is directed by."""

import csv
import json

import keras
import numpy as np
import pytest

from mam_keras import config
from mam_keras.data.pipeline import Prepared
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.fit import guidance
from mam_keras.fit.run import run
from mam_keras.run_directory import RunDirectory
from tests.model.examples import network_of

ATTRIBUTES = ("top", "middle", "bottom")
LIGHT = ("model.reconstructor=false", "model.multi_label_head=false", "training.xla='off'", "data.shift=0")


@pytest.fixture
def guided(tiny, stripes, draw):
    """guided(section.key=value, ...) -> the network, and the blocks of its training images."""

    def guide(*overrides, exclusive=False):
        settings = config.load(tiny, [*LIGHT, "loss.localisation=0.5", f"loss.regions={stripes}", *overrides])
        images, labels = draw(22, 0)
        train = Prepared(images, np.array([f"train{index}.png" for index in range(22)]), labels, None, ())
        guidance.require_known(settings, ATTRIBUTES)
        network = network_of(settings, ATTRIBUTES, exclusive)
        return network, guidance.guide(settings, network, train)

    return guide


def shares(blocks, *indices):
    """Of images that were not moved: (n, H, W, D)."""
    nothing = np.zeros(len(indices), np.int64)
    return blocks(nothing, np.stack([nothing, nothing], axis=1), np.array(indices)).numpy()


def test_every_attribute_with_a_region_is_drawn_there(guided, capsys):
    network, blocks = guided("loss.localisation_images=2")
    assert [term.name for term in network.terms] == ["mask", "localisation"]
    found = shares(blocks, 0, 1)
    assert found.shape == (2, *network.grid, 3)
    assert found[0, 0, :, 0].all() and not found[0, 2:, :, 0].any() and not found[..., 2].any()
    assert "note: without a region, so that their maps are left alone: bottom" in capsys.readouterr().out


def test_images_with_regions_of_their_own_are_counted_and_have_these(guided, capsys):
    _, blocks = guided()
    assert "regions of their own have 2 training images" in capsys.readouterr().out
    own, other = shares(blocks, 3, 4)
    assert own[..., 0].mean() == 0.25 and own[-1, -1, 0] == 1 and other[-1, -1, 0] == 0
    assert shares(blocks, 5)[0, 0, 0, 2] == 1  # though all others have none for it
    np.testing.assert_array_equal(own[..., 1], other[..., 1])


@pytest.mark.parametrize("map_of, side", [("own", 4), ("grad_cam", 4), ("front_end.1.relu", 8)])
def test_only_directed_attributes_are_paid_for_on_the_maps_own_grid(guided, map_of, side):
    directed = "loss.directed={middle: [2, 3], top: [0.5, 0]}"
    network, blocks = guided(directed, f"loss.localisation_map={map_of}", "loss.localisation_by=energy")
    found = shares(blocks, 0)
    assert found.shape == (1, side, side, 1)
    assert found[0, side // 2, 0, 0] > 0 and found[0, 0, 0, 0] == 0
    assert network.terms[-1].needs_tape == (map_of == "front_end.1.relu")


@pytest.mark.parametrize(
    "overrides, line",
    [
        (("loss.directed={midle: [1, 1]}",), "loss.directed: expected attributes of the data; did you mean 'middle'?"),
        (
            ("loss.directed={middle: [1, 1], bottom: [1, 1]}", "loss.localisation_images=2"),
            "loss.regions: expected a region for each attribute of loss.directed in the first 2 training images. "
            "Received: none for bottom",
        ),
        (("loss.regions=null",), "loss.localisation: expected 0, or a file that says where attributes are"),
        (("loss.regions=none.yaml",), "none.yaml: expected a readable YAML file"),
        (
            ("loss.localisation_map=front_end.9",),
            "loss.localisation_map: expected own, grad_cam or a stage (front_end.1.relu, front_end.2.relu, features); ",
        ),
    ],
)
def test_what_cannot_be_directed_is_refused_in_one_line(guided, overrides, line):
    with pytest.raises(UserError) as caught:
        guided(*overrides)
    assert line in str(caught.value) and "\n" not in str(caught.value) and "Received: " in str(caught.value)


def test_a_system_whose_map_is_decided_by_the_targets_is_refused_when_they_are_known(guided):
    model = "model={system: attention_branch, front_end: [4, 4], dilations: [1]}"
    assert guided(model)
    with pytest.raises(UserError, match=r"loss\.localisation: expected 0: this network has no map 'own'"):
        guided(model, exclusive=True)


def test_the_weights_of_cross_entropies(tiny):
    def weights(*overrides, exclusive=False):
        settings = config.load(tiny, [*LIGHT, *overrides])
        return guidance.class_weights(settings, Targets(ATTRIBUTES, exclusive), np.array([0.25, 0.5, 0.25]))

    directed = "loss.directed={middle: [2, 3], bottom: [0.5, 0]}"
    assert weights() is None
    assert weights(directed) == [[1, 1], [2, 2], [0.5, 0.5]]
    assert weights(directed, exclusive=True) == [1, 2, 0.5]
    balanced = weights(directed, "loss.class_weights=balanced")
    np.testing.assert_allclose(balanced, [[2 / 3, 2], [2, 2], [1 / 3, 1]])
    np.testing.assert_allclose(weights(directed, "loss.class_weights=balanced", exclusive=True), [4 / 3, 4 / 3, 2 / 3])


@pytest.mark.parametrize(
    "map_of, by, precision", [("front_end.1.relu", "iou", "float32"), ("grad_cam", "energy", "bfloat16")]
)
def test_a_run_is_directed(tiny, stripes, tmp_path, map_of, by, precision):
    overrides = [f"loss.localisation_map={map_of}", f"loss.localisation_by={by}", "loss.directed={top: [0.5, 2]}"]
    overrides += [f"training.precision={precision}", "training.epochs=8", "training.xla=auto"]
    settings = config.load(tiny, [*LIGHT, "loss.localisation=5", f"loss.regions={stripes}", *overrides])
    directory = RunDirectory(tmp_path / "run")
    policy = keras.config.dtype_policy()
    try:
        with directory.open(settings, overwrite=False):
            run(settings, directory)
    finally:
        keras.config.set_dtype_policy(policy)
    with directory.history.open() as file:
        losses = [float(row["localisation_loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 8 and np.isfinite(losses).all() and min(losses) > 0
    if map_of == "grad_cam":
        assert np.mean(losses[-2:]) < 0.95 * losses[0]


def test_a_run_goes_on_with_the_regions_that_it_was_begun_with(tiny, stripes, tmp_path):
    settings = config.load(tiny, [*LIGHT, "loss.localisation=1", f"loss.regions={stripes}"])
    directory = RunDirectory(tmp_path / "run")
    directory.last_checkpoint.parent.mkdir(parents=True)
    directory.last_checkpoint.write_text("")
    directory.environment.write_text(json.dumps({"versions": {"mam_keras": "0"}, "regions": "others"}))
    with pytest.raises(UserError, match=r"stripes\.yaml: expected the regions that this run was begun with"):
        run(settings, directory)


@pytest.mark.parametrize("asking", ["loss.localisation=0.5", "data.region_only=0.5"])
def test_regions_are_noted_where_something_asks_for_them(tiny, stripes, asking):
    """So that workers and a run that is carried on have the same."""
    given = f"loss.regions={stripes}"
    assert guidance.digest_of_regions(config.load(tiny, [given, asking]))
    assert guidance.digest_of_regions(config.load(tiny, [given])) is None
