"""What it costs that a network looks elsewhere, and how it is drawn back: against numbers by hand and differences."""

import functools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras.data.source import Targets
from mam_keras.model import guidance
from mam_keras.model.backbones import Stage
from mam_keras.model.backbones.blocks import Doubled
from mam_keras.model.losses import LOCALISATION as LOSSES
from mam_keras.model.network import Batch, Head, Network
from tests.model import equations
from tests.model.examples import network_of, random_images, relative_error, small_config

NAMES = ("a", "b", "c")
IMAGES = random_images(4, 16, 16, 3)
LABELS = np.float32([[1, 0, 1], [1, 1, np.nan], [0, 1, 1], [1, np.nan, 0]])
SYSTEMS = {
    "plain": {"system": "plain"},
    "top": {"system": "plain", "pooled_share": 0.25},
    "soft": {"system": "plain", "pooling_sharpness": 2.0},
    "placed": {"system": "plain", "learned_positions": True},
    "masked": {},
    "without masks": {"masks": "none"},
    "multi-label": {"attribute_heads": False},
    "staged masks": {"perception": "stage", "masks": "common"},
    "attention": {"system": "attention_branch"},
    "one attention": {"system": "attention_branch", "maps": "one", "perception": "stage"},
    "no attention": {"system": "attention_branch", "attention": "none"},
    "shared": {"system": "shareable"},
}
CLOSED = ("plain", "top", "soft", "placed", "without masks", "multi-label", "no attention", "shared")


@functools.cache
def of_system(system):
    keras.utils.set_random_seed(1)
    found = network_of(small_config(16, model=SYSTEMS[system] | {"normalization": "batch"}), NAMES)
    random = np.random.default_rng(0)
    for weight in found.model.trainable_variables:
        weight.assign_add(0.1 * random.normal(size=weight.shape))
    return found


def smooth():
    """A network whose gradients change with its weights without jumps: no ReLU, and a head that is not linear."""
    keras.utils.set_random_seed(2)
    image = x = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="tanh", name="low")(x)
    x = keras.layers.BatchNormalization()(x)
    x = Doubled()(keras.layers.AveragePooling2D(2)(x))
    features = x = keras.layers.Conv2D(5, 3, padding="same", activation="tanh", name="high")(x)
    x = keras.layers.Dense(4, activation="tanh")(keras.layers.GlobalAveragePooling2D()(x))
    logits = keras.layers.Dense(3, name="answers")(x)
    outputs, stages = {"features": features, "answers": logits}, (Stage("low", 2, 3), Stage("features", 2, 7))
    model = keras.Model(image, logits)
    for weight in model.trainable_variables:
        weight.assign(3 * weight)
    return Network(model, Targets(NAMES), outputs, (Head("answers", 1.0),), losses=None, stages=stages)


def network(system="plain", by="iou", of="own", order="second"):
    """One of its own, so that outputs may be added, on layers that are shared."""
    loss = {"localisation": 0.5, "localisation_by": by, "localisation_map": "grad_cam", "localisation_order": order}
    loss = small_config(loss=loss).loss.model_copy(update={"localisation_map": of})
    found = smooth() if system == "smooth" else of_system(system)
    return replace(found, outputs=dict(found.outputs)), loss


def value_of(found, loss, regions, paid=(0, 1, 2), weights=None, look=None):
    """The term of a batch, as `fit` has it in training: a function without arguments."""
    look = look or guidance.look(found, loss)
    term = guidance.localisation_term(look, loss, paid, weights)
    images, labels = tf.constant(IMAGES), tf.constant(LABELS)

    @tf.function
    def value():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(images)
            return term.value(
                found.parts(images, training=True), Batch(images, labels, [], regions[..., : len(paid)], tape)
            )

    return value


def some_regions(grid, count=3, seed=0):
    random = np.random.default_rng(seed)
    return np.float32(random.random((4, *grid, count)) * (random.random((4, *grid, count)) < 0.4))


def dense(gradients, weights):
    return [
        np.zeros(weight.shape) if gradient is None else tf.convert_to_tensor(gradient).numpy()
        for gradient, weight in zip(gradients, weights, strict=True)
    ]


# --- what it costs ---


def test_the_costs_by_hand():
    """A map of 1, 2, 4 and -3, half of whose second and all of whose third position is region."""
    scores, regions = np.float32([1, 2, 4, -3]).reshape(1, 2, 2, 1), np.float32([0, 0.5, 1, 0]).reshape(1, 2, 2, 1)
    shown, region = np.array([0.25, 0.5, 1, 0]), np.array([0, 0.5, 1, 0])
    seen = 1 / (1 + np.exp(-10 * (shown - 0.5)))
    softmax = np.exp([1, 2, 4, -3]) / np.exp([1, 2, 4, -3]).sum()
    expected = {
        "outside": -np.log(region @ softmax),
        "iou": -np.log(np.minimum(seen, region).sum() / np.maximum(seen, region).sum()),
        "energy": 1 - (0.5 * 2 + 4) / 7,
        "l1": 0.25 / 4,
        "magnitude": 1 - (0.5 * 2 + 4) / 10,
    }
    for by, cost in expected.items():
        assert float(LOSSES[by]().call(regions, scores)[0]) == pytest.approx(cost, rel=1e-5), by
        both = LOSSES[by]([1.0, 3.0]).call(np.repeat(regions, 2, axis=3), scores)  # one map for both
        assert float(both[0]) == pytest.approx(4 * cost, rel=1e-5), by


@pytest.mark.parametrize("by", LOSSES)
def test_only_known_regions_cost_and_all_images_count_in_the_mean(by):
    scores, regions = np.random.default_rng(0).normal(size=(2, 3, 3, 2)), np.zeros((2, 3, 3, 2))
    regions[0, :2, 0, 1] = 1
    loss = LOSSES[by]()
    each = loss.call(regions, scores).numpy()
    assert each[0] > 0 and each[1] == 0
    assert float(loss.mean(regions, scores)) == pytest.approx(each[0] / 2)


@pytest.mark.parametrize("by", ["iou", "energy", "l1", "magnitude"])
def test_a_map_costs_least_on_its_region_and_gradients_are_those_of_differences(by):
    regions = np.zeros((1, 3, 3, 1))
    regions[0, 1:, 1:] = 1
    scores = np.random.default_rng(1).normal(size=(1, 3, 3, 1))
    worst, best = (float(LOSSES[by]().mean(regions, at * 3.0)) for at in (1 - regions, regions))
    assert best < 0.1 < worst
    assert best < float(LOSSES[by]().mean(regions, scores)) < worst
    with tf.GradientTape() as tape:
        variable = tf.Variable(scores)
        value = LOSSES[by]().mean(regions, variable)
    found = tf.convert_to_tensor(tape.gradient(value, variable)).numpy()
    expected = equations.derivative(lambda: float(LOSSES[by]().mean(regions, scores)), scores, step=1e-3)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(found).max() > 0.01


@pytest.mark.parametrize("by", LOSSES)
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-6, 0.03])
def test_a_silent_map_pulls_with_a_bound(by, size):
    regions = np.zeros((1, 4, 4, 1), "float32")
    regions[0, 0, 0] = 1
    scores = tf.Variable(np.float32(size * np.random.default_rng(0).normal(size=(1, 4, 4, 1))))
    with tf.GradientTape() as tape:
        value = LOSSES[by]().mean(regions, scores)
    gradient = tf.convert_to_tensor(tape.gradient(value, scores)).numpy()
    assert np.isfinite(float(value)) and np.isfinite(gradient).all()
    assert np.abs(gradient).max() < 11


@pytest.mark.parametrize("by", LOSSES)
def test_images_without_the_attribute_count_for_the_magnitude_alone(by):
    found, loss = network(by=by)
    look = guidance.look(found, loss)
    outputs = found.parts(IMAGES, training=False)
    regions = np.zeros((4, *look.grid, 1), "float32")
    regions[:, 0, 0] = 1
    term = guidance.localisation_term(look, loss, [1])
    without = Batch(tf.constant(IMAGES), np.zeros_like(LABELS), [], regions)
    assert (float(term.value(outputs, without)) > 0) == (by == "magnitude")


# --- which map ---


@pytest.mark.parametrize("system", CLOSED)
def test_the_closed_form_is_the_gradient_form(system):
    found, loss = network(system, of="grad_cam")
    batch = Batch(tf.constant(IMAGES), LABELS, [])
    outputs = found.parts(IMAGES, training=False)
    closed = guidance.look(found, loss)
    nested = guidance.look(replace(found, linear_scores=None), loss)
    assert (closed.each, nested.each) == (False, True)
    expected = nested.of(outputs, batch, [0, 1, 2])
    assert relative_error(closed.of(outputs, batch, [0, 1, 2]), expected) < 1e-5
    np.testing.assert_array_equal(
        closed.of(outputs, batch, [2, 0]), tf.gather(closed.of(outputs, batch, [0, 1, 2]), [2, 0], axis=3)
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_grad_cam_is_what_a_page_shows_but_for_its_sign_and_unit(system):
    """By way of `maps.grad_cam` and `maps.by_depth`, at inference; of the head that answers."""
    from mam_keras.model import maps

    found, loss = network(system, of="grad_cam")
    outputs, batch = found.parts(IMAGES, training=False), Batch(tf.constant(IMAGES), LABELS, [])
    own = np.maximum(guidance.look(found, loss).of(outputs, batch, [0, 1, 2]), 0)
    shown = maps.grad_cam(found).show(tf.constant(IMAGES)) * np.prod(found.grid)
    assert relative_error(own, shown) < 1e-4
    found, loss = network(system, of=found.stages[0].name)
    look = guidance.look(found, loss)
    with tf.GradientTape(persistent=True) as tape:
        images = tf.constant(IMAGES)
        tape.watch(images)
        outputs = found.parts(images, training=False)
        own = np.maximum(look.of(outputs, Batch(images, LABELS, [], None, tape), [1]), 0)
    depth = maps.by_depth(found)(images, 1)[1][0] * np.prod(look.grid)
    assert own.shape == (4, *look.grid, 1) and look.needs_tape
    assert relative_error(own[..., 0], depth) < 1e-4


@pytest.mark.parametrize(
    "system, channels",
    [("masked", 3), ("staged masks", 3), ("attention", 3), ("one attention", 1), ("shared", 1), ("no attention", None)],
)
def test_the_own_map_is_the_first_that_a_page_shows(system, channels):
    found, loss = network(system)
    if channels is None:
        assert guidance.look(found, loss) is None
        return
    look = guidance.look(found, loss)
    own = look.of(found.parts(IMAGES, training=False), None, [0, 1, 2])
    first = next(iter(found.maps.values())).show(tf.constant(IMAGES))
    assert own.shape == (4, *look.grid, channels)
    assert relative_error(own, first) < 1e-5


# --- learning by it ---


@pytest.mark.parametrize("by", ["iou", "energy"])
@pytest.mark.parametrize(
    "system, of",
    [
        ("plain", "grad_cam"),
        ("masked", "own"),
        ("masked", "grad_cam"),
        ("staged masks", "own"),
        ("smooth", "grad_cam"),
        ("smooth", "low"),
    ],
)
def test_gradients_of_all_weights_are_those_of_differences(system, of, by):
    """Second order included: along that gradient and a random direction of all weights together."""
    found, loss = network(system, by, of)
    weights, random = found.model.trainable_variables, np.random.default_rng(0)
    look = guidance.look(found, loss)
    value = value_of(found, loss, some_regions(look.grid), look=look)
    with tf.GradientTape() as tape:
        here = value()
    gradients = dense(tape.gradient(here, weights), weights)
    others = [random.normal(size=weight.shape) for weight in weights]
    lengths = [np.sqrt(sum(np.sum(part**2) for part in parts)) for parts in (gradients, others)]
    directions = [one / lengths[0] + other / lengths[1] for one, other in zip(gradients, others, strict=True)]
    along = sum(np.sum(gradient * direction) for gradient, direction in zip(gradients, directions, strict=True))

    def moved(step):
        for weight, direction in zip(weights, directions, strict=True):
            weight.assign_add(step * direction)
        found_there = float(value())
        for weight, direction in zip(weights, directions, strict=True):
            weight.assign_sub(step * direction)
        return found_there

    step = 5e-4
    assert (moved(step) - moved(-step)) / (2 * step) == pytest.approx(along, rel=0.02, abs=2e-3)
    assert along > 0.01


@pytest.mark.parametrize("system", ["one attention", "shared", "staged masks", "attention"])
def test_every_system_can_learn_by_grad_cam_at_a_stage(system):
    found, loss = network(system, "energy", of_system(system).stages[0].name)
    look = guidance.look(found, loss)
    value = value_of(found, loss, some_regions(look.grid), [1], look=look)
    weights = found.model.trainable_variables
    with tf.GradientTape() as tape:
        here = value()
    gradients = dense(tape.gradient(here, weights), weights)
    assert 0 < float(here) < 1.5 and all(np.isfinite(gradient).all() for gradient in gradients)
    assert sum(np.any(gradient) for gradient in gradients) > len(weights) / 3


def test_first_order_holds_the_channels_weights_constant():
    """Of a linear unit on pooled features they are its kernel, which nothing else of the map depends on."""
    values, gradients = {}, {}
    for order in ("first", "second"):
        found, loss = network("plain", "energy", "grad_cam", order)
        look = guidance.look(replace(found, linear_scores=None), loss)
        value = value_of(found, loss, some_regions(found.grid), look=look)
        weights = [found.model.get_layer("scores").kernel, found.model.trainable_variables[0]]
        with tf.GradientTape() as tape:
            values[order] = value()
        gradients[order] = dense(tape.gradient(values[order], weights), weights)
    assert float(values["first"]) == pytest.approx(float(values["second"]), rel=1e-6)
    assert not np.any(gradients["first"][0]) and np.any(gradients["second"][0])
    np.testing.assert_allclose(gradients["first"][1], gradients["second"][1], rtol=1e-4, atol=1e-6)  # of the features


def test_only_the_targets_that_are_paid_for_cost_and_as_much_as_they_weigh():
    found, loss = network("masked", "energy", "grad_cam")
    regions = some_regions(found.grid)
    each = [float(value_of(found, loss, regions[..., k : k + 1], [k])()) for k in range(3)]
    both = float(value_of(found, loss, regions[..., [2, 0]], [2, 0], [3.0, 0.5])())
    assert both == pytest.approx(3 * each[2] + 0.5 * each[0], rel=1e-4)
    term = guidance.localisation_term(guidance.look(found, loss), loss, [0])
    assert term.value({}, Batch(IMAGES, LABELS, [])) is None  # where no regions are known, as in evaluation


def test_the_term_by_hand():
    """-log of the softmax at the one position inside, for attribute 1; the others' labels are "no" or not known."""
    scores, regions = np.zeros((1, 2, 2, 3), np.float32), np.zeros((1, 2, 2, 3), np.float32)
    scores[0, ..., 0], regions[0, 0, 0, :] = [[1, 2], [-5, 0]], 1
    settings = small_config(loss={"localisation": 3.0}).loss
    look = guidance.Look((2, 2), lambda found, batch, paid: found["scores"])
    term = guidance.localisation_term(look, settings, range(3))
    found = term.value({"scores": scores}, Batch(None, np.float32([[1, np.nan, 0]]), [], regions))
    assert float(found) == pytest.approx(-3.0 * np.log(np.exp(1) / np.exp([1, 2, -5, 0]).sum()))
    smooth = term.value({"scores": scores}, Batch(None, np.float32([[0.95, np.nan, 0.05]]), [], regions))
    assert float(smooth) == float(found)  # smoothed labels say where to look as surely
