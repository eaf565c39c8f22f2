"""What features see of the image; networks of every kind, cut where they are asked to be, with their weights."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from mam_keras import settings
from mam_keras.errors import UserError
from mam_keras.model import backbones
from mam_keras.model.backbones import BACKBONES, preprocessing
from mam_keras.model.backbones.applications import NETWORKS
from mam_keras.model.backbones.blocks import Doubled
from mam_keras.model.backbones.dilation import Settings as Dilation
from mam_keras.model.backbones.preprocessing import Preprocessing
from tests.model.examples import random_images, randomize


def extractor(size, front_end=(4,), channels=6, dilations=(1,), normalization="none"):
    image = keras.Input((size, size, 3))
    checked = Dilation(front_end=front_end, dilations=dilations, normalization=normalization)
    return keras.Model(image, backbones.extract(checked, image, channels))


@pytest.mark.parametrize("normalization", ["batch", "group", "none"])
@pytest.mark.parametrize("front_end, side", [((), 8), ((4,), 4), ((4, 5, 6), 1)])
def test_every_stage_of_the_front_end_halves_the_image(front_end, side, normalization):
    model = extractor(8, front_end, normalization=normalization)
    features = randomize(model)(random_images(2, 8, 8, 3)).numpy()
    assert features.shape == (2, side, side, 6)
    assert features.min() == 0
    assert features.max() > 0


def test_normalisation_is_what_the_configuration_names():
    def kinds(normalization):
        layers = extractor(8, (12, 16), 6, (1, 2), normalization).layers
        return [layer for layer in layers if "Normalization" in type(layer).__name__], layers

    batch, layers = kinds("batch")
    assert [type(layer) for layer in batch] == 4 * [keras.layers.BatchNormalization]
    assert all(layer.synchronized for layer in batch)
    assert not any(layer.use_bias for layer in layers if isinstance(layer, keras.layers.Conv2D))
    group, _ = kinds("group")
    assert [type(layer) for layer in group] == 4 * [keras.layers.GroupNormalization]
    assert [layer.groups for layer in group] == [4, 8, 2, 2]  # of 12, 16, 6 and 6 channels
    none, layers = kinds("none")
    assert none == []
    assert all(layer.use_bias for layer in layers if isinstance(layer, keras.layers.Conv2D))


def seen(position, front_end, dilations, size):
    """Coordinates along one axis that a feature's position sees, walked back from it, one convolution at a time."""
    sizes = [size // 2**stage for stage in range(len(front_end) + 1)]
    positions = {position}
    for dilation in reversed(dilations):
        positions = {p + step * dilation for p in positions for step in (-1, 0, 1)} & set(range(sizes[-1]))
    for side in reversed(sizes[:-1]):
        # "same" padding of an even side by one: behind it
        positions = {2 * p + step for p in positions for step in (0, 1, 2)} & set(range(side))
    return positions


@pytest.mark.parametrize(
    "front_end, dilations, width",
    [
        ((3,), (), 3),
        ((3,), (1,), 7),
        ((3,), (1, 1), 11),
        ((3,), (1, 2), 15),
        ((3,), (1, 2, 4), 31),
        ((3, 3), (1,), 15),
        ((3,), (1, 0, 0), 7),  # 1x1 convolutions see no more
        ((), (3,), 3),  # not dense: a single dilated convolution leaves gaps
    ],
)
def test_dilations_enlarge_what_a_feature_sees_and_no_more(front_end, dilations, width):
    size = 32
    model = extractor(size, front_end, 2, dilations)
    for weight in model.weights:  # positive throughout: nothing cancels, no ReLU closes
        weight.assign(np.full(weight.shape, 0.5))
    side = size // 2 ** len(front_end)
    middle = seen(side // 2 - 1, front_end, dilations, size)
    assert len(middle) == width
    last = backbones.stages(Dilation(front_end=front_end, dilations=dilations))[-1]
    assert last == ("features", 2 ** len(front_end), max(middle) - min(middle) + 1)
    for row, column in ((side // 2 - 1, side // 2 - 1), (0, side - 1), (2, 5)):
        images = tf.constant(random_images(1, size, size, 3) + 0.1)
        with tf.GradientTape() as tape:
            tape.watch(images)
            feature = tf.reduce_sum(model(images)[0, row, column])
        gradient = tape.gradient(feature, images).numpy()[0]
        expected = np.zeros((size, size, 3), bool)
        for y in seen(row, front_end, dilations, size):
            expected[y, list(seen(column, front_end, dilations, size))] = True
        np.testing.assert_array_equal(gradient != 0, expected)


# --- any kind ---


def of(size=16, channels=4, **values):
    """A backbone's settings, and the model of its features."""
    checked = settings.check(values, "test", BACKBONES.settings(values))
    checked.require_possible(size)
    image = keras.Input((size, size, 3))
    return checked, keras.Model(image, backbones.extract(checked, image, channels))


KINDS = {
    "dilation": {"kind": "dilation", "front_end": (4, 4), "dilations": (1, 2)},
    "alexnet": {"kind": "alexnet", "width": 0.04},
    "resnet": {"kind": "resnet", "depth": 8, "width": 0.25},
    "bottlenecks": {"kind": "resnet", "depth": 14, "width": 0.125, "stem_stride": 2, "strides": (1, 2, 1)},
    "inception": {"kind": "inception_v1", "width": 0.03},
    "atrous": {"kind": "inception_v1", "width": 0.03, "atrous": True, "stem_stride": 2},
    "residual attention": {"kind": "residual_attention", "width": 0.03, "modules": (1, 1, 0)},
    "application": {"kind": "applications", "network": "MobileNet", "stage": "conv_pw_5_relu"},
}


@pytest.fixture
def shallow_bottlenecks(monkeypatch):
    """Bottlenecks from depth 14 up, for which as many layers do as the tests need."""
    monkeypatch.setattr(BACKBONES.module("resnet"), "BOTTLENECK_FROM", 14)


@pytest.mark.usefixtures("shallow_bottlenecks")
@pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)
def test_a_backbone_is_what_its_settings_say_and_is_found_again_in_a_saved_model(values, tmp_path):
    checked, model = of(32, **values)
    side = checked.feature_size(32)
    assert model.output_shape == (None, side, side, 4)
    assert all("." in layer.name for layer in model.layers[1:-1])  # which no attribute's output has in its name
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = random_images(2, 32, 32, 3)
    np.testing.assert_array_equal(loaded(images), model(images))
    found = backbones.stages(checked)
    assert found[-1].name == "features"
    for stage in found:
        assert loaded.get_layer(stage.name).output.shape[1] == 32 // stage.stride
    projection = {"projection.1", "projection.1.normalization", "projection.1.relu"}
    own = {layer.name for layer in loaded.layers} - projection
    assert {layer.name for layer in backbones.layers_of(loaded)} == own


def test_normalisation_of_frozen_layers_keeps_to_its_statistics():
    _, model = of(**KINDS["resnet"])
    frozen = backbones.layers_of(model)
    for layer in frozen:
        layer.trainable = False
    before = {weight.path: weight.numpy() for weight in model.weights}
    model(random_images(4, 16, 16, 3), training=True)
    moved = {weight.path for weight in model.weights if np.any(before[weight.path] != weight.numpy())}
    assert moved == {f"projection.1.normalization/moving_{name}" for name in ("mean", "variance")}
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {
        "projection.1",
        "projection.1.normalization",
    }


@pytest.mark.usefixtures("shallow_bottlenecks")
@pytest.mark.parametrize("values", [values for kind, values in KINDS.items() if kind != "application"])
def test_a_stage_sees_as_much_as_it_says(values):
    checked, _ = of(64, **values, normalization="none")
    image = keras.Input((64, 64, 3))
    model = keras.Model(image, backbones.extract(checked, image, 2))
    for weight in model.weights:  # positive throughout: nothing cancels, no ReLU closes
        weight.assign(np.full(weight.shape, 0.05))
    for stage in backbones.stages(checked):
        images = tf.constant(random_images(8, 64, 64, 3) + 0.1)  # pooling passes on the highest, another in each
        cut = keras.Model(image, model.get_layer(stage.name).output)
        with tf.GradientTape() as tape:
            tape.watch(images)
            middle = cut.output_shape[1] // 2
            value = tf.reduce_sum(cut(images)[:, middle, middle])
        rows = np.flatnonzero(np.any(tape.gradient(value, images).numpy() != 0, axis=(0, 2, 3)))
        assert rows.max() - rows.min() + 1 == min(stage.receptive_field, 64 - rows.min()), stage


@pytest.mark.usefixtures("shallow_bottlenecks")
@pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)
def test_trunk_and_last_stage_are_parts_of_the_same_network(values):
    checked, _ = of(32, **values)
    image = keras.Input((32, 32, 3))
    trunk = backbones.extract_trunk(checked, image, 4)
    assert trunk.shape[1] == 32 // backbones.stages(checked, trunk=True)[-1].stride
    branch = backbones.last_stage(checked, trunk.shape[1:], 4, 1, "branch")
    assert branch.output_shape[1:3] == trunk.shape[1:3]
    own = backbones.last_stage(checked, trunk.shape[1:], 4, None, "own")
    assert own.output_shape[1] == checked.feature_size(32)
    assert not {layer.name for layer in branch.layers} & {layer.name for layer in own.layers}
    assert backbones.stages(checked, trunk=True)[-1].name == "features"


def test_a_context_without_convolutions_has_no_last_stage_to_speak_of():
    checked = Dilation(front_end=(4,), dilations=())
    assert backbones.stages(checked) == backbones.stages(checked, trunk=True) == (("features", 2, 3),)
    features = random_images(1, 4, 4, 4)
    np.testing.assert_array_equal(backbones.last_stage(checked, (4, 4, 4), 4, None, "own")(features), features)


def test_neither_tensorflow_nor_keras_is_imported_to_read_settings():
    program = (
        "import sys; from mam_keras.model import backbones as b\n"
        "for kind in b.BACKBONES.modules:\n"
        "    settings = b.BACKBONES.module(kind).Settings(kind=kind)\n"
        "    settings.require_possible(64), settings.describe(), settings.lines(), b.stages(settings)\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- ResNet ---


@pytest.mark.parametrize("depth, millions", [(20, 0.27), (32, 0.46)])
def test_resnets_have_the_papers_number_of_parameters(depth, millions):
    """With 10 classes, as He et al. count; their shortcuts have no parameters, ours have."""
    _, model = of(32, 64, kind="resnet", depth=depth)
    behind = 64 * 64 + 2 * 64  # the 1x1 convolution to C channels
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable - behind - shortcuts + 64 * 10 + 10 == _counted(depth)
    assert _counted(depth) / 1e6 == pytest.approx(millions, abs=0.01)


def _counted(depth):
    """Convolutions without bias, two numbers per channel of a normalisation, and the classifier, by hand."""
    n, total, before = (depth - 2) // 6, 3 * 9 * 16 + 2 * 16, 16
    for channels in (16, 32, 64):
        for _ in range(n):
            total += 9 * before * channels + 9 * channels**2 + 4 * channels
            before = channels
    return total + 64 * 10 + 10


def test_bottlenecks_have_the_parameters_that_their_convolutions_have():
    _, model = of(8, 4, kind="resnet", depth=44, width=0.125)
    total, before = 3 * 9 * 2 + 2 * 2, 2
    for channels in (2, 4, 8):
        total += before * 4 * channels + 2 * 4 * channels  # the shortcut
        for _ in range(7):
            total += before * channels + 9 * channels**2 + channels * 4 * channels + 2 * (1 + 1 + 4) * channels
            before = 4 * channels
    total += before * 4 + 2 * 4
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == total


def test_resnet_110_of_attention_branch_networks_has_164_layers():
    checked = BACKBONES.module("resnet").Settings(kind="resnet", depth=110)
    steps = BACKBONES.module("resnet").steps(checked, trunk=False)
    assert sum(map(len, steps.values())) + 1 == 164  # and the classifier


@pytest.mark.parametrize("block, stride", [("stage.1.1", 1), ("stage.2.1", 2)])
def test_a_residual_block_is_relu_of_f_and_x(block, stride):
    _, model = of(8, kind="resnet", depth=8, width=0.25, normalization="none")
    randomize(model)
    images = random_images(1, 8, 8, 3)
    before = {"stage.1.1": "stem.1.relu", "stage.2.1": "stage.1.1.relu"}[block]
    inner = keras.Model(model.input, [model.get_layer(name).output for name in (before, f"{block}.relu")])
    x, found = (array.numpy().astype(float) for array in inner(images))

    def convolved(array, name, step=1):
        """Of an even side: padding of one on either side with step 1, behind it with step 2."""
        kernel, bias = (weight.astype(float) for weight in model.get_layer(name).get_weights())
        around = {(3, 1): (1, 1), (3, 2): (0, 1), (1, step): (0, 0)}[len(kernel), step]
        padded = np.pad(array, ((0, 0), around, around, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))[:, ::step, ::step]
        return np.einsum("nhwcij,ijcd->nhwd", windows, kernel) + bias

    first = np.maximum(convolved(x, f"{block}.first", stride), 0)
    shortcut = x if stride == 1 else convolved(x, f"{block}.shortcut", stride)
    expected = np.maximum(convolved(first, f"{block}.second") + shortcut, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "values, line",
    [
        ({"kind": "resnet", "depth": 21}, "model.backbone.depth: expected 6 n + 2, nearest 20 and 26. Received: 21"),
        ({"kind": "resnet", "stem_stride": 2}, "data.image_size: expected a multiple of 8"),
        ({"kind": "applications", "stage": "x"}, "model.backbone.stage: expected one of conv2_block3_out, conv3_"),
        ({"kind": "applications", "stage": "conv5_block3_out"}, "data.image_size: expected a multiple of 32"),
    ],
)
def test_what_cannot_be_built_is_refused(values, line):
    with pytest.raises(ValueError, match=f"^{re.escape(line)}") as refused:
        of(36, **values)
    assert " Received: " in str(refused.value)


# --- AlexNet, Inception-v1 and residual attention networks ---


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_alexnet_has_the_parameters_of_its_five_convolutions():
    """3.7 million; without bias, and with two numbers per channel of a normalisation, or with a bias and without."""
    kernels = 25 * 3 * 96 + 25 * 96 * 256 + 9 * 256 * 384 + 9 * 384 * 384 + 9 * 384 * 256
    channels = 96 + 256 + 384 + 384 + 256
    for normalization, each in (("batch", 2), ("none", 1)):
        _, model = of(64, None, kind="alexnet", normalization=normalization)
        assert (trainable(model), model.output_shape) == (kernels + each * channels, (None, 16, 16, 256))
    assert kernels / 1e6 == pytest.approx(3.7, abs=0.02)


def test_alexnet_is_five_convolutions_and_two_poolings():
    checked, model = of(16, None, kind="alexnet", width=0.04, normalization="none")
    assert [stage.name for stage in backbones.stages(checked)] == [
        "stem.1.relu",
        *(f"convolution.{number}.relu" for number in "234"),
        "features",
    ]
    randomize(model)
    images = random_images(2, 16, 16, 3)
    x = relu(convolved(model, images.astype(float), "stem.1"))
    for name, pooled in (("2", True), ("3", True), ("4", False), ("5", False)):
        if pooled:  # 3x3, every other position, of an even side: one more row and column behind
            padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
            x = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(-2, -1))
        x = relu(convolved(model, x, f"convolution.{name}"))
    assert x.shape == (2, 4, 4, 10) and x.any()
    np.testing.assert_allclose(model(images), x, rtol=1e-4, atol=1e-5)


def test_inception_has_the_parameters_that_its_table_says():
    """Convolutions without bias and two numbers per channel of a normalisation: 6.2 million with a classifier of 10."""
    module = BACKBONES.module("inception_v1")
    total, before = 27 * 192 + 2 * 192, 192
    for modules in module.STAGES.values():
        for one, (reduced, three), (narrow, five), pool in modules.values():
            pointwise = one + reduced + narrow + pool
            spatial = 9 * reduced * three + 9 * narrow * five + 9 * five * five
            total += before * pointwise + spatial + 2 * (pointwise + three + 2 * five)
            before = one + three + five + pool
    for atrous in (False, True):
        _, model = of(32, None, kind="inception_v1", atrous=atrous)
        assert (trainable(model), model.output_shape[-1]) == (total, 1024)
    assert (total + 1024 * 10 + 10) / 1e6 == pytest.approx(6.2, abs=0.05)


def test_ran_92_has_the_parameters_that_its_units_have():
    """12.2 million with a classifier of 10; its paper prints 1.9 and no widths."""

    def unit(before, channels):
        inner, shortcut = channels // 4, before * channels * (before != channels)
        return before * inner + 9 * inner**2 + inner * channels + 2 * (before + 2 * inner) + shortcut

    def module(channels, levels):
        masks = 2 * (channels * channels) + 4 * channels + channels  # two 1x1, two normalisations, the last one's bias
        inside = {0: 2, 1: 2, 2: 5}[levels]  # units of the hourglass
        return (4 + inside) * unit(channels, channels) + masks

    total, before = 27 * 32 + 2 * 32, 32
    for channels, count, levels in ((128, 1, 2), (256, 2, 1), (512, 3, 0)):
        total += unit(before, channels) + count * module(channels, levels)
        before = channels
    total += unit(512, 1024) + 2 * unit(1024, 1024) + 2 * 1024
    _, model = of(32, None, kind="residual_attention")
    assert (trainable(model), model.output_shape) == (total, (None, 8, 8, 1024))
    assert (total + 1024 * 10 + 10) / 1e6 == pytest.approx(12.2, abs=0.05)


@pytest.mark.parametrize("width", [1.0, 0.05])
def test_atrous_convolution_keeps_the_size_of_maps(width):
    checked, model = of(32, None, kind="inception_v1", atrous=True, width=width)
    assert model.output_shape[1:3] == (32, 32)
    assert [stage.stride for stage in backbones.stages(checked)] == [1, 1, 1, 1]
    dilations = {layer.name: layer.dilation_rate[0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}
    assert [dilations[f"inception.{module}.three"] for module in ("3b", "4a", "4e", "5a", "5b")] == [1, 2, 2, 4, 4]
    assert all(dilations[name] == 1 for name in dilations if name.endswith((".one", ".reduced", ".pooled")))


def convolved(model, x, name, dilation=1):
    """A 1x1 or 3x3 convolution of stride 1, in float64."""
    kernel, *bias = (weight.astype(float) for weight in model.get_layer(name).get_weights())
    around = len(kernel) // 2 * dilation
    padded = np.pad(x, ((0, 0), (around, around), (around, around), (0, 0)))
    total = bias[0] if bias else 0
    for row, column in np.ndindex(kernel.shape[:2]):
        down, right = dilation * row, dilation * column
        total = total + padded[:, down : down + x.shape[1], right : right + x.shape[2]] @ kernel[row, column]
    return total


def relu(x):
    return np.maximum(x, 0)


def highest(x, size=3):
    """Of 3x3, stride 1."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2)).max(axis=(-2, -1))


@pytest.mark.parametrize("atrous, dilation", [(False, 1), (True, 2)])
def test_an_inception_module_is_four_branches(atrous, dilation):
    _, model = of(8, None, kind="inception_v1", width=0.03, atrous=atrous, normalization="none")
    randomize(model)
    parts = [model.get_layer(name).output for name in ("inception.4a", "inception.4b")]
    x, found = (array.numpy().astype(float) for array in keras.Model(model.input, parts)(random_images(2, 8, 8, 3)))

    def branch(x, *names):
        for name in names:
            own = dilation if name in ("three", "five.first", "five") else 1
            x = relu(convolved(model, x, f"inception.4b.{name}", own))
        return x

    branches = [
        branch(x, "one"),
        branch(x, "three.reduced", "three"),
        branch(x, "five.reduced", "five.first", "five"),
        branch(highest(x), "pooled"),
    ]
    np.testing.assert_allclose(found, np.concatenate(branches, axis=-1), atol=1e-5)


def resized(x):
    """Twice the side, bilinear, centres of positions half a step in."""
    for axis in (1, 2):
        x = np.moveaxis(x, axis, 0)
        padded = np.concatenate([x[:1], x, x[-1:]])
        fine = np.stack([0.25 * padded[:-2] + 0.75 * padded[1:-1], 0.75 * padded[1:-1] + 0.25 * padded[2:]], axis=1)
        x = np.moveaxis(fine.reshape(-1, *x.shape[1:]), 0, axis)
    return x


def halved(x):
    """Max-pooling 3/2 of an even side: padding of one behind it."""
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(-2, -1))


def test_an_attention_module_weighs_its_trunk_by_the_hourglass():
    _, model = of(16, None, kind="residual_attention", width=0.06, modules=(1, 0, 0), normalization="none")
    randomize(model)
    parts = [model.get_layer(name).output for name in ("stage.1.unit.sum", "stage.1.module.1.after.sum")]
    x, found = (array.numpy().astype(float) for array in keras.Model(model.input, parts)(random_images(2, 16, 16, 3)))

    def unit(x, name):
        y = x
        for part in ("first", "second", "third"):
            y = convolved(model, relu(y), f"stage.1.module.1.{name}.{part}")
        return x + y

    u = unit(x, "before")
    trunk = unit(unit(u, "trunk.1"), "trunk.2")
    down = unit(halved(u), "hourglass.2.down")
    bottom = unit(unit(halved(down), "hourglass.bottom.1"), "hourglass.bottom.2")
    up = unit(resized(bottom) + unit(down, "hourglass.2.skip"), "hourglass.2.up")
    hidden = relu(convolved(model, relu(resized(up)), "stage.1.module.1.mask.hidden"))
    mask = 1 / (1 + np.exp(-convolved(model, hidden, "stage.1.module.1.mask")))
    np.testing.assert_allclose(found, unit((1 + mask) * trunk, "after"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["resnet", "inception_v1", "residual_attention"])
def test_images_are_standardised_by_those_that_were_looked_at(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(preprocessing, "AT_ONCE", 3)  # of 7 images
    values = {"kind": kind, "width": 0.06, "standardize": True, "normalization": "none"}
    checked, model = of(16, None, **values)
    stem = keras.Model(model.input, model.get_layer("stem.1").output)
    images = np.random.default_rng(0).integers(20, 200, (7, 16, 16, 3)).astype(np.uint8)
    seen, kernel = images / np.float32(255), model.get_layer("stem.1").kernel
    np.testing.assert_allclose(stem(seen), keras.ops.conv(seen, kernel, padding="same"), atol=1e-5)
    checked.look_at(model, images)
    expected = (seen - seen.mean(axis=(0, 1, 2))) / seen.std(axis=(0, 1, 2))
    np.testing.assert_allclose(stem(seen), keras.ops.conv(expected, kernel, padding="same"), atol=1e-4)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(seen), model(seen))


# --- networks of keras.applications ---


def walked(tensor, known):
    """(pixels across, stride) that a tensor of a Keras graph sees, by its layers' kernels; infinite for all of them."""
    layer = tensor._keras_history.operation
    if layer.name not in known:
        inputs = [walked(one, known) for one in layer._inbound_nodes[0].input_tensors]
        seen, stride = (max(values) for values in zip(*inputs, strict=True)) if inputs else (1, 1)
        kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or (1, 1)
        step = getattr(layer, "strides", None) or 1
        seen += (kernel[0] - 1) * stride if "Global" not in type(layer).__name__ else np.inf
        known[layer.name] = seen, stride * (step if isinstance(step, int) else step[0])
    return known[layer.name]


@pytest.mark.parametrize(
    "network",
    ["VGG16", "ResNet50", "DenseNet121", "MobileNet", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB1"],
)
def test_stages_are_where_the_table_says(network):
    last = [*NETWORKS[network].steps][-1]
    checked, model = of(32, kind="applications", network=network, stage=last)
    known = {}
    walked(model.output, known)
    for stage in backbones.stages(checked):
        output = model.get_layer(stage.name).output
        assert output.shape[1] == 32 // stage.stride, stage
        assert known[stage.name] == (stage.receptive_field or np.inf, stage.stride), stage


@pytest.mark.parametrize(
    "network, pixels", [("VGG16", 212), ("ResNet50", 483), ("ResNet101", 1027), ("ResNet152", 1507), ("MobileNet", 315)]
)
def test_receptive_fields_are_the_published_ones(network, pixels):
    """Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019."""
    last = [*NETWORKS[network].steps][-1]
    checked = BACKBONES.module("applications").Settings(kind="applications", network=network, stage=last)
    assert backbones.stages(checked)[-1].receptive_field == pixels


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_preprocessing_is_that_of_keras(mode):
    images = random_images(2, 4, 4, 3)
    expected = keras.applications.imagenet_utils.preprocess_input(255 * images, mode=mode)
    np.testing.assert_allclose(Preprocessing(mode)(images), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(Preprocessing("none")(images), 255 * images, rtol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_table_has_the_preprocessing_of_each_network(network):
    module = network.lower() if not network.startswith("ResNet") else "resnet"
    module = re.sub(r"mobilenetv(\d).*", r"mobilenet_v\1", re.sub(r"(densenet|efficientnet)\w+", r"\1", module))
    levels = 255 * random_images(1, 2, 2, 3)
    expected = getattr(keras.applications, module).preprocess_input(levels.copy())
    np.testing.assert_allclose(Preprocessing(NETWORKS[network].preprocessing)(levels / 255), expected, atol=1e-3)


def with_weights(network, seed=0):
    """A network as Keras makes it, with weights under which something is left of the image in the end."""
    whole = getattr(keras.applications, network)(include_top=False, weights=None, input_shape=(64, 64, 3))
    generator = np.random.default_rng(seed)
    for layer in whole.layers:
        values = {}
        layer.save_own_variables(values)
        for key, value in values.items():
            shape = tuple(value.shape)
            if isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Normalization)):
                values[key] = generator.uniform(0.5, 1.5, shape).astype("float32")
        layer.load_own_variables(values)
    return whole


def raw(model, stage):
    """What a stage of the network gives, before the projection."""
    return keras.Model(model.input, model.get_layer(f"network.{stage}").output)


@pytest.mark.parametrize(
    "network, stage, weights",
    [
        ("MobileNet", "conv_pw_5_relu", "file"),
        ("EfficientNetB0", "block3b_add", "imagenet"),  # Keras builds it in another way for these weights
    ],
)
def test_with_a_file_of_weights_stages_are_those_of_keras(network, stage, weights, tmp_path, monkeypatch):
    file = tmp_path / "whole.weights.h5"
    with_weights(network).save_weights(file)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(file))
    weights = str(file) if weights == "file" else weights
    checked, model = of(64, kind="applications", network=network, stage=stage, weights=weights)
    checked.load_weights(model)
    whole = getattr(keras.applications, network)(include_top=False, weights=weights, input_shape=(64, 64, 3))
    images = random_images(2, 64, 64, 3)
    module = {"MobileNet": "mobilenet", "EfficientNetB0": "efficientnet"}[network]
    levels = getattr(keras.applications, module).preprocess_input(255 * images)
    expected = keras.Model(whole.input, whole.get_layer(stage).output)(levels).numpy()
    assert expected.std() > 0.01
    found = raw(model, stage)(images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    file.unlink()  # a run that is over needs it no more
    np.testing.assert_array_equal(raw(loaded, stage)(images), found)


def test_weights_arrive_in_every_copy_of_the_last_stage_that_stands_where_it_stood(tmp_path):
    with_weights("MobileNet").save_weights(tmp_path / "whole.weights.h5")
    values = KINDS["application"] | {"weights": str(tmp_path / "whole.weights.h5")}
    checked, straight = of(32, **values)
    image = keras.Input((32, 32, 3))
    trunk = backbones.extract_trunk(checked, image, 4)
    own, same = (backbones.last_stage(checked, trunk.shape[1:], 4, stride, f"s{stride}") for stride in (None, 1))
    other = backbones.last_stage(checked, (*trunk.shape[1:3], 5), 4, 1, "other")
    model = keras.Model(image, [own(trunk), same(trunk), other(trunk[..., :5])])
    before = other.get_weights()
    for one in (straight, model):
        checked.load_weights(one)
    images = random_images(2, 32, 32, 3)
    found = model(images)
    np.testing.assert_allclose(found[0], raw(straight, "conv_pw_5_relu")(images), rtol=1e-4, atol=1e-5)
    assert found[1].shape == (2, *trunk.shape[1:3], found[0].shape[-1])
    for there, here in zip(own.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)
    for there, here in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("weights", ["missing.weights.h5", "other.weights.h5", "text.h5", "imagenet"])
def test_weights_that_cannot_be_had_are_told_in_one_line(weights, tmp_path, monkeypatch):
    def unreachable(name, address, **_):
        raise OSError(f"URL fetch failure on {address}: None -- [Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", unreachable)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.h5").write_text("no weights")
    image = keras.Input((4,))
    keras.Model(image, keras.layers.Dense(2)(image)).save_weights("other.weights.h5")
    checked = settings.check(
        KINDS["application"] | {"weights": weights}, "test", BACKBONES.module("applications").Settings
    )
    with pytest.raises(UserError, match=r"^model\.backbone\.weights: expected .* Received: ") as refused:
        checked.load_weights(None)
    line = str(refused.value)
    assert "\n" not in line
    assert f"Received: {weights} (" in line
    assert ("save_weights(FILE)" in line) == (weights == "imagenet")


def test_a_doubled_map_is_that_of_keras_and_has_gradients_of_gradients():
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    expected = keras.layers.UpSampling2D(2, interpolation="bilinear")(values)
    np.testing.assert_allclose(Doubled()(values), expected, atol=1e-6)
    x, w = tf.Variable(values), tf.Variable(2.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            total = w * tf.reduce_sum(Doubled()(x) ** 2)
        size = tf.reduce_sum(inner.gradient(total, x) ** 2)
    assert float(outer.gradient(size, w)) == pytest.approx(float(size), rel=1e-4)  # size is w^2 times what it is at 1
