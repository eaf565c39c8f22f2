"""The assembled network: its parts, its outputs' names, and equation 6 in three forms that must agree."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from mam_keras.fit.loop import Objective
from mam_keras.model.network import Batch
from mam_keras.systems.masked import output_names
from tests.model import equations
from tests.model.examples import network_of, random_images, randomize, small_config

ATTRIBUTES = ["Smiling", "Bald", "Wearing Hat"]
NAMES = ["Smiling", "Bald", "Wearing_Hat"]
IMAGES = random_images(4, 8, 8, 3)
LABELS = np.float32([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 1]])
CLASS_WEIGHTS = [(1.0, 2.0), (0.5, 3.0), (4.0, 0.25)]


def build(**sections):
    network = network_of(small_config(**sections), ATTRIBUTES)
    randomize(network.model)
    return network


def batch(network):
    return Batch(IMAGES, LABELS, network.parts.losses)


def targets(model, labels=LABELS, images=IMAGES):
    columns = {name: labels[:, k : k + 1] for k, name in enumerate(NAMES)}
    every = columns | {"multi_label": labels, "reconstruction": images}
    return {name: every[name] for name in model.output}


# --- parts ---

SHAPES = dict.fromkeys(NAMES, (4, 1)) | {"multi_label": (4, 3), "reconstruction": (4, 8, 8, 3)}
INNER = {
    "features": (4, 4, 4, 5),
    "scores": (4, 4, 4, 3),
    "attributes": (4, 3),
    "multi_label": (4, 3),
    "reconstruction": (4, 8, 8, 3),
}


@pytest.mark.parametrize(
    "off, outputs, inner",
    [
        ([], [], []),
        (["attribute_heads"], NAMES, ["scores", "attributes"]),
        (["multi_label_head"], ["multi_label"], ["multi_label"]),
        (["reconstructor"], ["reconstruction"], ["reconstruction"]),
        (
            ["multi_label_head", "reconstructor"],
            ["multi_label", "reconstruction"],
            ["multi_label", "reconstruction"],
        ),
        (
            ["attribute_heads", "reconstructor"],
            [*NAMES, "reconstruction"],
            ["scores", "attributes", "reconstruction"],
        ),
    ],
)
def test_a_part_that_is_off_leaves_no_trace(off, outputs, inner):
    network = build(model=dict.fromkeys(off, False))
    model, parts = network.model, network.parts
    expected = {name: shape for name, shape in SHAPES.items() if name not in outputs}
    values = model(IMAGES)
    assert {name: tuple(value.shape) for name, value in values.items()} == expected
    assert {value.dtype for value in values.values()} == {tf.float32}
    assert set(network.losses()["loss"]) == set(expected)
    expected = {name: shape for name, shape in INNER.items() if name not in inner}
    assert {name: tuple(value.shape) for name, value in parts(IMAGES).items()} == expected
    assert len(model.losses) == len(parts.losses) == ("attribute_heads" not in off)
    objective = Objective(network)(parts(IMAGES), batch(network))
    assert sum(float(v) for name, v in objective.items() if name.endswith("_loss")) == pytest.approx(
        float(objective["loss"]), rel=1e-6
    )


@pytest.mark.parametrize("masks", ["per_feature", "common", "none"])
@pytest.mark.parametrize("mask_offset", [0, 1])
@pytest.mark.parametrize("pooled_share", [1.0, 0.1])
def test_logits_are_contributions_and_a_bias(masks, mask_offset, pooled_share):
    network = build(model={"masks": masks, "mask_offset": mask_offset, "pooled_share": pooled_share})
    model = network.model
    inner, outputs = network.parts(IMAGES), model(IMAGES)
    scores, bias = inner["scores"].numpy(), model.get_layer("attribute_logits").bias.numpy()
    highest = np.sort(scores.reshape(4, 16, 3), axis=1)[:, -(16 if pooled_share == 1 else 2) :]
    np.testing.assert_allclose(highest.mean(axis=1) + bias, inner["attributes"], rtol=1e-5, atol=1e-5)
    for k, name in enumerate(NAMES):
        expected = equations.sigmoid(inner["attributes"][:, k : k + 1])
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-5)
    np.testing.assert_allclose(outputs["multi_label"], equations.sigmoid(inner["multi_label"]), rtol=1e-5)
    heads = model.get_layer("attribute_scores")
    assert getattr(heads, "mask_offset", None) == (None if masks == "none" else mask_offset)
    again = heads(inner["features"])
    np.testing.assert_allclose(again, scores, rtol=1e-5, atol=1e-6)


def test_the_multi_label_head_is_one_linear_unit_on_pooled_features():
    network = build()
    inner = network.parts(IMAGES)
    kernel, bias = network.model.get_layer("multi_label_logits").get_weights()
    pooled = inner["features"].numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(pooled @ kernel + bias, inner["multi_label"], rtol=1e-5, atol=1e-5)


def test_parts_share_the_models_layers():
    network = build()
    shift = np.float32([1, 2, 3])
    before = network.parts(IMAGES)["attributes"].numpy()
    network.model.get_layer("attribute_logits").bias.assign_add(shift)
    np.testing.assert_allclose(network.parts(IMAGES)["attributes"], before + shift, rtol=1e-5, atol=1e-5)


# --- names ---

DIFFICULT = {
    "reconstruction": "reconstruction_2",
    "a/b": "a_b",
    "<script>alert(1)</script>": "script_alert_1_script",
    "笑顔": "attribute",
    "メガネ": "attribute_2",
    "": "attribute_3",
    "___": "attribute_4",
    "Smiling": "Smiling",
    "smiling": "smiling_2",
    "SMILING!": "SMILING_3",
    "5_o_Clock_Shadow": "5_o_Clock_Shadow",
    "_private_": "private",
    "A b": "A_b_2",
    "A_b": "A_b_3",
    "features": "features_2",
    "image": "image_2",
    "multi_label": "multi_label_2",
    "multi_label_2": "multi_label_2_2",
    "Multi_Label": "Multi_Label_3",
    "attribute_logits": "attribute_logits_2",
    "attribute_scores": "attribute_scores_2",
    "multi_label_logits": "multi_label_logits_2",
    "front_end.1": "front_end_1",
    "loss": "loss",
}


def test_names_become_different_identifiers():
    assert output_names(DIFFICULT) == list(DIFFICULT.values())
    assert output_names(["x", "x", "x_2", "x"]) == ["x", "x_2", "x_2_2", "x_3"]


def test_a_model_with_difficult_names_trains_saves_and_loads(tmp_path):
    network = network_of(small_config(model={"dilations": [1], "masks": "none"}), DIFFICULT)
    model = network.model
    assert set(model.output) == {*DIFFICULT.values(), "multi_label", "reconstruction"}
    names = [layer.name for layer in model.layers]
    assert len({name.lower() for name in names}) == len(names)
    model.compile("sgd", **network.losses())
    labels = np.tile(LABELS[:, :1], len(DIFFICULT))
    values = model.train_on_batch(
        IMAGES,
        dict.fromkeys(DIFFICULT.values(), labels[:, :1]) | {"multi_label": labels, "reconstruction": IMAGES},
        return_dict=True,
    )
    assert {f"{name}_loss" for name in DIFFICULT.values()} < set(values)
    model.save(tmp_path / "model.keras")
    loaded, expected = keras.saving.load_model(tmp_path / "model.keras")(IMAGES), model(IMAGES)
    assert set(loaded) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(loaded[name], value)


# --- equation 6 ---

LOSS = {"alpha": 0.5, "beta": 2.0, "gamma": 3.0, "lambda": 0.01}
DIVISORS = {"sum": 1, "position_mean": 16, "mean": 192}


@pytest.mark.parametrize(
    "masks, class_weights, reconstruction, spread",
    [
        ("per_feature", CLASS_WEIGHTS, "position_mean", 0),
        ("per_feature", None, "sum", 0.5),
        ("common", None, "mean", 0.5),
        ("none", CLASS_WEIGHTS, "position_mean", 0),
        ("none", None, "mean", 0.5),
    ],
)
def test_equation_6_by_numpy_by_the_objective_and_by_keras(masks, class_weights, reconstruction, spread):
    model = {"masks": masks, "learned_positions": spread > 0}
    network = build(model=model, loss=LOSS | {"reconstruction": reconstruction, "spread": spread})
    model, inner = network.model, network.parts(IMAGES)
    outputs = model(IMAGES)

    weights = class_weights or [(1, 1)] * 3
    heads = np.concatenate([outputs[name] for name in NAMES], axis=1)
    errors = (IMAGES.astype("float64") - outputs["reconstruction"].numpy()) ** 2
    layer = model.get_layer("attribute_scores")
    masks = [layer.mask(inner["features"], k) for k in range(3)] if masks != "none" else []
    terms = {
        "attributes_loss": 0.5 * equations.crossentropy(LABELS, heads, weights).sum() / 4,
        "multi_label_loss": 2.0 * equations.crossentropy(LABELS, outputs["multi_label"], weights).sum() / 4,
        "reconstruction_loss": 3.0 * errors.sum() / 4 / DIVISORS[reconstruction],
        "mask_loss": 0.01 * np.sum(masks, dtype="float64") / 4,
    }
    if spread:
        positions = special.softmax(8 * layer.position_logits.numpy().astype(float).reshape(3, 16), axis=1)
        terms["spread_loss"] = spread * stats.entropy(positions, axis=1).sum() / np.log(16)

    inner = network.parts(IMAGES)
    objective = Objective(network, class_weights)(inner, batch(network))
    assert ("mask_loss" in objective) == bool(masks)
    for name, expected in terms.items():
        assert float(objective.get(name, 0)) == pytest.approx(expected, rel=1e-5), name
    assert float(objective["loss"]) == pytest.approx(sum(terms.values()), rel=1e-5)
    for head, probabilities in (("attributes", heads), ("multi_label", outputs["multi_label"].numpy())):
        assert float(objective[f"{head}_accuracy"]) == pytest.approx(np.mean((probabilities >= 0.5) == LABELS))

    model.compile("sgd", **network.losses(class_weights))
    values = model.test_on_batch(IMAGES, targets(model), return_dict=True)
    assert values["loss"] == pytest.approx(sum(terms.values()), rel=1e-5)
    by_attribute = equations.crossentropy(LABELS, heads, weights).mean(axis=0)
    for name, expected in zip(NAMES, by_attribute, strict=True):
        assert values[f"{name}_loss"] == pytest.approx(expected, rel=1e-5)
    assert 2.0 * values["multi_label_loss"] == pytest.approx(terms["multi_label_loss"], rel=1e-5)
    assert 3.0 * values["reconstruction_loss"] == pytest.approx(terms["reconstruction_loss"], rel=1e-5)


def test_a_training_step_of_keras_follows_the_objectives_gradient():
    network = build(loss=LOSS, model={"normalization": "group"})
    model = network.model
    with tf.GradientTape() as tape:
        outputs = network.parts(IMAGES, training=True)
        loss = Objective(network, CLASS_WEIGHTS)(outputs, batch(network))["loss"]
    gradients = tape.gradient(loss, model.trainable_weights)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.01), **network.losses(CLASS_WEIGHTS))
    model.train_on_batch(IMAGES, targets(model))
    for old, new, gradient in zip(before, model.get_weights(), gradients, strict=True):
        step = (old - new) / 0.01
        assert np.abs(step).max() > 0
        np.testing.assert_allclose(step, gradient, rtol=1e-3, atol=2e-3 * np.abs(gradient).max())


@pytest.mark.parametrize("attributes", [("zebra", "apple"), ("apple", "zebra")])
def test_named_losses_and_metrics_land_on_their_heads(attributes):
    """Keras 3.14.0 sent metrics to the wrong head (keras #22625)."""
    network = network_of(small_config(), attributes)
    model = network.model
    model.get_layer("attribute_scores").kernel.assign(np.zeros((2, 5)))
    model.get_layer("attribute_logits").bias.assign(np.log([4.0, 4.0]))  # both heads say 0.8
    model.compile(
        "sgd",
        **network.losses(),
        metrics={attributes[0]: ["accuracy"], attributes[1]: ["accuracy"], "reconstruction": ["mae"]},
    )
    labels = np.array([[1.0, 0.0]] * 4)
    columns = {name: labels[:, k : k + 1] for k, name in enumerate(attributes)}
    values = model.test_on_batch(IMAGES, columns | {"multi_label": labels, "reconstruction": IMAGES}, return_dict=True)
    always, never = attributes
    assert values[f"{always}_loss"] == pytest.approx(-np.log(0.8), rel=1e-5)
    assert values[f"{never}_loss"] == pytest.approx(-np.log(0.2), rel=1e-5)
    assert (values[f"{always}_accuracy"], values[f"{never}_accuracy"]) == (1.0, 0.0)
    expected = np.abs(IMAGES - model(IMAGES)["reconstruction"]).mean()
    assert values["reconstruction_mae"] == pytest.approx(expected, rel=1e-5)
