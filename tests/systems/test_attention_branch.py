"""The attention branch network in its authors' two forms and in ours, against its equations written out."""

import csv
import functools

import numpy as np
import pytest
import tensorflow as tf

from mam_keras import config, systems
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.fit.loop import Objective
from mam_keras.model.maps import of_target
from mam_keras.model.network import Batch
from tests.model.examples import network_of, random_images, randomize, relative_error, small_config

NAMES = ("a", "b", "c")
IMAGES = random_images(4, 8, 8, 3)
LABELS = {
    False: np.float32([[1, 0, 1], [0, np.nan, 1], [1, 1, 0], [0, 1, 1]]),
    True: np.eye(3, dtype="float32")[[0, 2, 1, 0]],
}
FORMS = {  # of the authors: whether the targets exclude each other, and settings beside the defaults
    "classification": (True, {"perception": "stage"}),
    "attributes": (False, {"perception": "stage", "attention": "multiply", "map": "raw", "pool": "max"}),
    "port": (False, {"perception": "stage"}),
    "linear, classification": (True, {}),
    "linear, attributes": (False, {}),
    "linear, one map": (False, {"maps": "one", "attention": "multiply", "map": "raw", "pool": "max"}),
}


def settings(loss=None, **model):
    model = {"system": "attention_branch", "normalization": "group", "dilations": [1, 2, 1]} | model
    return small_config(model=model, loss=loss or {})


@functools.cache
def network_in(form):
    exclusive, model = FORMS[form]
    network = network_of(settings(**model), NAMES, exclusive)
    randomize(network.model)
    for variable in network.model.non_trainable_variables:
        variable.assign(np.random.default_rng(1).uniform(0.5, 1.5, variable.shape))
    return network


def plain(network, form, images, training):
    """Scores and maps of the branch, and both branches' logits: 1812.10025, section 3, K passes one by one."""
    exclusive, changes = FORMS[form]
    model, one_map = settings(**changes).model, exclusive or "maps" in changes
    layers = {layer.name: layer for layer in network.model.layers}

    def normalised(x, name):
        layer = layers[name]
        mean, variance = tf.nn.moments(x, (0, 1, 2)) if training else (layer.moving_mean, layer.moving_variance)
        return (x - mean) / tf.sqrt(variance + layer.epsilon) * layer.gamma + layer.beta

    features = network.computing("features")(images)["features"]
    x = layers["attention_stage"](features)
    if one_map:
        x = normalised(x, "attention.normalization")
        x = x @ layers["attention.responses"].kernel[0, 0]
        x = tf.maximum(normalised(x, "attention.responses.normalization"), 0)
        logits = tf.nn.conv2d(x, tf.convert_to_tensor(layers["attention.map"].kernel), 1, "SAME")
        maps = normalised(logits, "attention.map.normalization")
    scores = x @ layers["attention_scores"].kernel[0, 0]
    maps = maps if one_map else scores
    maps = maps if model.map == "raw" else 1 / (1 + tf.exp(-maps))
    attention = {"mean": tf.reduce_mean, "max": tf.reduce_max}[model.pool](scores, (1, 2))
    logits = []
    for k in range(len(NAMES)):
        own = maps[..., k : k + 1] if not one_map else maps
        x = features * (own + 1 if model.attention == "residual" else own)
        x = layers["perception_stage"](x) if model.perception == "stage" and one_map else x
        x = layers["logits"].stage(x) if model.perception == "stage" and not one_map else x
        head = layers["unweighted_scores" if model.perception == "linear" else "logits"]
        kernel = head.kernel[:, k] if head is layers["logits"] and one_map else head.kernel[k]
        logits.append(tf.linalg.matvec(tf.reduce_mean(x, (1, 2)), kernel) + layers["logits"].bias[k])
    return scores, maps, attention, tf.stack(logits, axis=1)


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_their_equations(form):
    network = network_in(form)
    scores, maps, attention, logits = plain(network, form, IMAGES, training=False)
    found = network.parts(IMAGES, training=False)
    assert relative_error(found["attributes"], logits) < 1e-5
    assert relative_error(found["attention"], attention) < 1e-5
    assert ("scores" in found) == (maps.shape[-1] == 3)
    if "scores" in found:
        assert relative_error(found["scores"], scores) < 1e-5
    outputs = network.model(IMAGES)
    assert list(outputs) == ["probabilities", "attention"]
    assert relative_error(outputs["probabilities"], network.probabilities(logits)) < 1e-5
    assert relative_error(network.maps["attention"].show(tf.constant(IMAGES)), np.maximum(maps, 0)) < 1e-5
    assert next(iter(network.maps)) == "attention"


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_the_equations(form):
    network, labels = network_in(form), tf.constant(LABELS[FORMS[form][0]])
    weights = network.model.trainable_variables
    objective = Objective(network)
    state = [variable.numpy() for variable in network.model.non_trainable_variables]

    def outputs():
        return network.parts(IMAGES, training=True)

    def equations():
        scores, _, attention, logits = plain(network, form, IMAGES, training=True)
        return {"attributes": logits, "attention": attention, "scores": scores}

    results = []
    for function in (outputs, equations):
        with tf.GradientTape() as tape:
            values = objective(function(), Batch(IMAGES, labels, []))
        results.append((values["loss"], tape.gradient(values["loss"], weights)))
    for variable, value in zip(network.model.non_trainable_variables, state, strict=True):
        variable.assign(value)
    (loss, found), (expected_loss, expected) = results
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-5)
    largest = max(np.abs(gradient).max() for gradient in expected)
    for weight, own, other in zip(weights, found, expected, strict=True):
        assert np.abs(own - other).max() < 2e-5 * largest, weight.path


def test_classes_share_a_map_and_attributes_do_not_unless_told():
    model = settings().model
    assert model.one_map(Targets(NAMES, True)) and not model.one_map(Targets(NAMES, False))
    for maps, shared in (("one", True), ("per_target", False)):
        assert {settings(maps=maps).model.one_map(Targets(NAMES, exclusive)) for exclusive in (True, False)} == {shared}


def test_heads_answer_in_their_order_with_their_weights():
    network = network_of(settings(loss={"alpha": 2.0, "beta": 0.5}), NAMES)
    assert [(head.name, head.weight) for head in network.heads] == [("attributes", 2.0), ("attention", 0.5)]
    assert network.main_head == "attributes" and network.heads[1].bias is None
    losses = network.losses([(1.0, 2.0)] * 3)
    assert losses["loss_weights"] == {"probabilities": 2.0, "attention": 0.5}
    assert set(losses["loss"]) == set(network.model.output)


@pytest.mark.parametrize("perception", ["linear", "stage"])
def test_g_of_x_alone_is_without_a_branch(perception):
    network = network_of(settings(attention="none", perception=perception), NAMES)
    assert [head.name for head in network.heads] == ["attributes"]
    assert set(network.model.output) == {"probabilities"} == set(network.losses()["loss"])
    assert "attention" not in network.maps
    assert not [layer.name for layer in network.model.layers if "attention" in layer.name]


@pytest.mark.parametrize("form", [form for form in FORMS if "linear" in form])
def test_contributions_add_up_where_they_are_exact(form):
    network = network_in(form)
    own, features = network.contributions, network.features(IMAGES)
    scores = own.scores(features)
    bias = network.heads[0].bias
    np.testing.assert_allclose(scores.numpy().mean((1, 2)) + bias, network.logits(IMAGES), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(own.logits(scores), network.logits(IMAGES), rtol=1e-4, atol=1e-5)
    for k in range(3):
        of_channels = own.of_channels(features, k).numpy()
        np.testing.assert_allclose(of_channels.sum(-1), scores[..., k], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            own.importances(features)[:, k], np.abs(of_channels).mean((1, 2)), rtol=1e-4, atol=1e-6
        )
    assert relative_error(network.maps["contributions"].show(tf.constant(IMAGES)), scores) < 1e-6


@pytest.mark.parametrize("form", [form for form in FORMS if "linear" not in form])
def test_nothing_is_called_a_contribution_after_a_stage(form):
    network = network_in(form)
    assert network.contributions is None and network.masks is None and "contributions" not in network.maps


@pytest.mark.parametrize("form", FORMS)
def test_grad_cam_is_by_gradients_at_the_features(form):
    network = network_in(form)
    tensor = network.outputs["features"]
    above = network.model.__class__(tensor, network.outputs["attributes"])
    features = network.features(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        logits = tf.unstack(above(features, training=False), axis=1)
    weights = [tf.reduce_mean(tape.gradient(logit, features), (1, 2), keepdims=True) for logit in logits]
    expected = np.stack([np.maximum(np.sum(features * weight, -1), 0) for weight in weights], -1)
    shown = network.maps["grad_cam"]
    assert relative_error(tf.function(shown.show)(tf.constant(IMAGES)), expected) < 1e-4


@pytest.mark.parametrize("form", FORMS)
def test_maps_of_one_target_are_those_of_all(form):
    network, images = network_in(form), tf.constant(IMAGES)
    features = network.features(images)
    for name, shown in network.maps.items():
        assert network.map_size(name) == (4, 4)
        for k in range(3):
            own = of_target(shown, images, features, tf.constant(k))
            expected = shown.show(images)[..., k if name != "attention" or "scores" in network.outputs else 0]
            np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)
    for k in range(3):
        expected = network.logits(images)[:, k]
        np.testing.assert_allclose(network.logit(images, features, tf.constant(k)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_loaded_network_answers_the_same(form, tmp_path):
    network, (exclusive, model) = network_in(form), FORMS[form]
    network.model.save(tmp_path / "model.keras")
    loaded = systems.load(settings(**model), Targets(NAMES, exclusive), tmp_path / "model.keras")
    expected = network.parts(IMAGES, training=False)
    for name, value in loaded.parts(IMAGES, training=False).items():
        np.testing.assert_array_equal(value, expected[name])
    assert set(loaded.outputs) == set(network.outputs) and list(loaded.maps) == list(network.maps)
    for name, shown in loaded.maps.items():
        np.testing.assert_allclose(
            shown.show(tf.constant(IMAGES)), network.maps[name].show(tf.constant(IMAGES)), atol=1e-6
        )


@pytest.mark.parametrize("model", [{"attention": "none"}, {"maps": "one"}])
def test_maps_are_drawn_into_regions_only_where_there_are_k(model):
    with pytest.raises(UserError, match=r"loss\.localisation: expected 0 where model\.(attention|maps) is"):
        settings(loss={"localisation": 0.1}, **model)
    assert settings(loss={"localisation": 0.1})
    assert settings(loss={"localisation": 0.1, "localisation_by": "energy"}, maps="one")
    assert settings(loss={"localisation": 0.1, "localisation_map": "grad_cam"}, **model)


@pytest.mark.parametrize("perception", ["linear", "stage"])
def test_it_trains_and_both_heads_are_evaluated(perception, train_small):
    model = {"system": "attention_branch", "perception": perception, "channels": 8, "front_end": (8, 8)}
    path = train_small(model=model | {"dilations": (1, 2)}, loss={"beta": 0.5})
    with (path / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    losses = [float(row["loss"]) for row in history]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert {"attributes_loss", "attention_loss", "val_attention_accuracy"} <= set(history[0])
    run = TrainedRun(path)
    network, images = run.network, np.float32(run.images("test").images[:5]) / 255
    logits = network.logits(tf.constant(images))
    found = run.predictions("test").probabilities
    assert list(found) == ["attributes", "attention"]
    np.testing.assert_allclose(network.probabilities(logits), found["attributes"][:5], atol=1e-3)


@pytest.mark.parametrize("name", ["celeba_attention_branch", "cifar10_attention_branch", "demo_attention_branch"])
def test_configurations_are_possible(name):
    assert config.load(f"configs/{name}.yaml").model.system == "attention_branch"
