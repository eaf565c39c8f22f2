"""Shareable attention against its equations, on several backbones, and through fit, report and export."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras import config
from mam_keras.errors import UserError
from mam_keras.export.run import run as export
from mam_keras.report.run import run as report
from mam_keras.run_directory import RunDirectory
from tests.model.examples import network_of, random_images, randomize

NAMES = ("a", "b", "c")
IMAGES = random_images(3, 16, 16, 3)
INCEPTION = {"kind": "inception_v1", "width": 0.03, "normalization": "group"}


def settings(image_size=16, **model):
    values = {
        "name": "shareable",
        "data": {"source": "synthetic_faces", "image_size": image_size},
        "model": {"system": "shareable", "channels": None, "backbone": INCEPTION} | model,
    }
    return config.check(values, "test_shareable")


def network(exclusive=True, **model):
    found = network_of(settings(**model), NAMES, exclusive)
    randomize(found.model)
    return found


def outputs(found, *names):
    model = keras.Model(found.model.input, {name: found.model.get_layer(name).output for name in names})
    shown = model(IMAGES, training=False)
    return [shown[name].numpy().astype(float) for name in names]


def test_each_stage_passes_on_what_its_mask_leaves():
    """From the early stage's output on: x + hourglass(x), blocks' means, mask, and (1 + M) x."""
    found = network()
    assert found.model.name == "shareable"
    names = ("inception.3b", "inception.4e", "inception.5b")
    seen, looked = outputs(found, "attention.sum", "attention.hourglass.2.resized")
    np.testing.assert_allclose(seen, outputs(found, names[0])[0] + looked, rtol=1e-5, atol=1e-6)
    for name, place, blocks in zip(names, ("early", "middle", "late"), (1, 2, 4), strict=True):
        x, grid, mask, weighted = outputs(
            found, name, f"attention.{place}.grid", f"attention.{place}", f"attention.{place}.weighted"
        )
        side = 16 // blocks
        np.testing.assert_allclose(
            grid, seen.reshape(3, side, blocks, side, blocks, -1).mean(axis=(2, 4)), rtol=1e-4, atol=1e-5
        )
        assert mask.shape == x.shape and mask.min() > 0 and mask.max() < 1
        np.testing.assert_allclose(weighted, (1 + mask) * x, rtol=1e-5)
    np.testing.assert_allclose(outputs(found, "features")[0], weighted, rtol=1e-6)


def test_the_next_stage_begins_with_what_was_passed_on():
    found = network(attended=["early"])
    weighted, pooled = outputs(found, "attention.early.weighted", "inception.4.pooling")
    np.testing.assert_allclose(pooled, tf.nn.max_pool2d(tf.constant(weighted), 3, 2, "SAME"), rtol=1e-6)


def test_multiplied_masks_leave_no_more_than_they_let_through():
    found = network(attention="multiply", attended=["late"])
    x, mask, weighted = outputs(found, "inception.5b", "attention.late", "attention.late.weighted")
    np.testing.assert_allclose(weighted, mask * x, rtol=1e-5)
    assert list(found.maps) == ["mask_late", "contributions", "grad_cam"]


def test_without_stages_it_is_plain():
    found = network(attended=[])
    plain = network_of(settings(attended=[]).model_copy(update={"model": _plain()}), NAMES, True)
    plain.model.set_weights(found.model.get_weights())
    np.testing.assert_array_equal(found.logits(IMAGES), plain.logits(IMAGES))
    assert list(found.maps) == list(plain.maps)


def _plain():
    values = {"system": "plain", "channels": None, "backbone": INCEPTION}
    return config.check({"name": "p", "data": {"source": "synthetic_faces"}, "model": values}, "plain").model


def test_contributions_are_exact_parts_of_the_logit():
    found = network(exclusive=False)
    scores = found.contributions.scores(found.features(IMAGES)).numpy()
    np.testing.assert_allclose(
        scores.mean(axis=(1, 2)) + found.model.get_layer("logits").bias.numpy(), found.logits(IMAGES), atol=1e-5
    )


def test_maps_are_the_means_of_the_masks():
    found = network()
    (mask,) = outputs(found, "attention.middle")
    np.testing.assert_allclose(found.maps["mask_middle"].show(IMAGES)[..., 0], mask.mean(axis=-1), rtol=1e-5)
    assert found.map_size("mask_early") == (16, 16) and found.map_size("mask_late") == (4, 4)


@pytest.mark.parametrize(
    "backbone, places",
    [
        (
            {"kind": "dilation", "front_end": [4, 4], "dilations": [1, 2]},
            ["front_end.2.relu", "context.1.relu", "context.2.relu"],
        ),
        ({"kind": "dilation", "front_end": [4], "dilations": [1]}, ["context.1.relu"]),
        ({"kind": "resnet", "depth": 8, "width": 0.25}, ["stage.1.1.relu", "stage.2.1.relu", "stage.3.1.relu"]),
        (
            {"kind": "residual_attention", "width": 0.03, "modules": [1, 0, 0]},
            ["stage.1.end", "stage.2.end", "stage.4.relu"],
        ),
        (
            {"kind": "applications", "network": "MobileNet", "stage": "conv_pw_5_relu"},
            ["network.conv_pw_3_relu", "network.conv_pw_5_relu"],
        ),
    ],
    ids=["dilation", "one stage", "resnet", "residual attention", "applications"],
)
def test_any_backbone_can_have_it_and_is_found_again(backbone, places, tmp_path):
    own = settings(backbone=backbone, channels=4 if backbone["kind"] == "dilation" else None)
    assert list(own.model.places) == places
    found = network_of(own, NAMES)
    found.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES)["probabilities"], found.model(IMAGES)["probabilities"])
    frozen = {layer.name for layer in own.model.frozen(found.model, 0)}
    assert not frozen  # freeze_epochs: 0
    assert not any(name.startswith("attention") for name in _backbone(found.model))


def _backbone(model):
    from mam_keras.model.backbones import layers_of

    return [layer.name for layer in layers_of(model)]


def test_stages_can_be_called_by_the_backbones_names():
    own = settings(attended=["inception.5b", "early"]).model
    assert own.places == {"inception.3b": "early", "inception.5b": "inception.5b"}
    assert next(iter(network(attended=["inception.5b"]).maps)) == "mask_inception_5b"


@pytest.mark.parametrize(
    "model, line",
    [
        ({"attended": ["first"]}, r"model\.attended: expected some of early, middle, late, inception\.3b, .*'first'"),
        ({"attended": ["stem.1.relu"]}, r"model\.attended: expected some of early"),
        ({"backbone": {"kind": "dilation"}}, r"model\.channels: expected a number: .* Received: null"),
        ({"attention": "none"}, r"model\.attention: expected "),
    ],
)
def test_what_cannot_be_is_refused(model, line):
    with pytest.raises(UserError, match=line):
        settings(**model)


def test_it_is_trained_reported_on_and_exported(train_small, tmp_path):
    trained = train_small(model={"system": "shareable"})
    report([trained], tmp_path / "page")
    page = (tmp_path / "page" / "index.html").read_text()
    assert "mask, early" in page and "Deep Features Analysis" in page
    export(RunDirectory(trained), tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures
    answer = served["explain"](image=tf.zeros((2, 32, 32, 3), tf.uint8))
    assert answer["mask_early"].shape == answer["mask_late"].shape == (2, 1, 8, 8)
    assert np.isfinite(answer["probabilities"]).all()
