"""Networks of `keras.applications` up to a named stage, with weights of one's own or ImageNet's.

What such a network expects of its images, its preprocessing, happens inside the model: it takes images in [0, 1] as
every other does, in training and where it is served. Its layers are part of the model's own graph, each under the name
that Keras gives it behind `MARK`, so that stages are found in a loaded model.

Missing are networks whose convolutions leave the border out (Inception, Xception, NASNet), for a position of their
features is no block of the image; and those whose stages do not end in a layer of their stride that has a name
(ResNetV2, ConvNeXt). EfficientNetV2 is missing alone because nobody has written its lines of the table.
"""

import collections
import math
from pathlib import Path
from typing import Literal, NamedTuple

from mam_keras.errors import UserError
from mam_keras.model.backbones import Backbone, stages, unchanged
from mam_keras.settings import Text

MARK = "network."  # before the names of the network's layers, which attributes' names could otherwise meet
BUILT_FOR = (224, 224, 3)  # images to build a network for before it is copied; all networks know this size


class _Network(NamedTuple):
    """Attributes: preprocessing, a mode of `preprocessing.Preprocessing`; steps, as of a backbone, but for `MARK`."""

    preprocessing: str
    steps: dict[str, tuple]


def _vgg(*convolutions):
    """Poolings between the blocks, and behind the last one."""
    found = {}
    for block, (count, pooling) in enumerate(zip(convolutions, ((), *(4 * [((2, 2),)])), strict=True), 1):
        found[f"block{block}_conv{count}"] = (*pooling, *(count * ((3, 1),)))
    return _Network("caffe", found | {"block5_pool": ((2, 2),)})


def _resnet(*blocks):
    """The first convolution of a stage, 1x1, has its stride; then come the 3x3 of its blocks."""
    found = {"conv1_relu": ((7, 2),)}
    for stage, (count, before) in enumerate(zip(blocks, ((3, 2), (1, 2), (1, 2), (1, 2)), strict=True), 2):
        found[f"conv{stage}_block{count}_out"] = (before, *(count * ((3, 1),)))
    return _Network("caffe", found)


def _densenet(*blocks):
    """Poolings between the stages; then the 3x3 of their layers."""
    found = {"conv1_relu": ((7, 2),)}
    for stage, (count, pooling) in enumerate(zip(blocks, ((3, 2), (2, 2), (2, 2), (2, 2)), strict=True), 2):
        found[f"conv{stage}_block{count}_concat"] = (pooling, *(count * ((3, 1),)))
    return _Network("torch", found)


def _efficientnet(depth):
    """Every block weighs its channels by their means over the image: all see all."""
    found = {}
    for block, repeats in ((1, 1), (2, 2), (3, 2), (5, 3)):
        last = math.ceil(depth * repeats)
        found[f"block{block}{chr(96 + last)}_{'add' if last > 1 else 'project_bn'}"] = ((None, 2),)
    return _Network("none", found | {"top_activation": ((None, 2),)})


NETWORKS = {
    "VGG16": _vgg(2, 2, 3, 3, 3),
    "VGG19": _vgg(2, 2, 4, 4, 4),
    "ResNet50": _resnet(3, 4, 6, 3),
    "ResNet101": _resnet(3, 4, 23, 3),
    "ResNet152": _resnet(3, 8, 36, 3),
    "DenseNet121": _densenet(6, 12, 24, 16),
    "DenseNet169": _densenet(6, 12, 32, 32),
    "DenseNet201": _densenet(6, 12, 48, 32),
    "MobileNet": _Network(
        "tf",
        {
            "conv_pw_1_relu": ((3, 2), (3, 1)),
            "conv_pw_3_relu": ((3, 2), (3, 1)),
            "conv_pw_5_relu": ((3, 2), (3, 1)),
            "conv_pw_11_relu": ((3, 2), *(5 * ((3, 1),))),
            "conv_pw_13_relu": ((3, 2), (3, 1)),
        },
    ),
    "MobileNetV2": _Network(
        "tf",
        {
            "expanded_conv_project_BN": ((3, 2), (3, 1)),
            "block_2_add": ((3, 2), (3, 1)),
            "block_5_add": ((3, 2), (3, 1), (3, 1)),
            "block_12_add": ((3, 2), *(6 * ((3, 1),))),
            "out_relu": ((3, 2), *(3 * ((3, 1),))),
        },
    ),
    "MobileNetV3Small": _Network(
        "none",
        {
            "expanded_conv_project_bn": ((None, 4),),
            "expanded_conv_2_add": ((None, 2),),
            "expanded_conv_7_add": ((None, 2),),
            "expanded_conv_10_add": ((None, 2),),
        },
    ),
    "MobileNetV3Large": _Network(
        "none",
        {
            "expanded_conv_add": ((3, 2), (3, 1)),
            "expanded_conv_2_add": ((3, 2), (3, 1)),
            "expanded_conv_5_add": ((None, 2),),
            "expanded_conv_11_add": ((None, 2),),
            "expanded_conv_14_add": ((None, 2),),
        },
    ),
} | {
    f"EfficientNetB{number}": _efficientnet(depth)
    for number, depth in enumerate((1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1))
}


class Settings(Backbone):
    """One of `NETWORKS`, cut behind `stage`; there a 1x1 convolution makes C channels.

    A system that cuts off the last stage has the stage before `stage` for its features, with the channels that it has,
    and the layers from there to `stage` for its last stage. What the authors of Attention Branch Network have for many
    attributes is `network: ResNet101, stage: conv5_block3_out`.
    """

    kind: Literal["applications"]
    network: Literal[tuple(NETWORKS)] = "ResNet50"
    stage: Text | None = None  # layer behind which it is cut; the last but one, of stride 16, when left out
    weights: Text | None = None  # "imagenet" (downloaded by Keras), or a file of the whole network's weights, no top
    normalization: Literal["batch", "group", "none"] = "batch"  # of the 1x1 convolution

    @property
    def names(self) -> tuple[str, ...]:
        """The stages that it has, from low to high, up to the one behind which it is cut."""
        known = [*NETWORKS[self.network].steps]
        last = known[-2] if self.stage is None else self.stage
        if last not in known[1:]:  # before the first one there would be no trunk
            raise ValueError(
                f"model.backbone.stage: expected one of {', '.join(known[1:])}, stages of {self.network}. "
                f"Received: {last!r}"
            )
        return tuple(known[: known.index(last) + 1])

    def describe(self):
        start = f", started from {self.weights}" if self.weights else ""
        return f"{self.network} up to {self.names[-1]}{start}"

    def require_possible(self, image_size):
        name, stride = self.names[-1], stages(self)[-1].stride
        if image_size % stride:
            raise ValueError(
                f"data.image_size: expected a multiple of {stride}, the stride of {name}. Received: {image_size}"
            )

    def load_weights(self, model):
        """Those of `weights`, layer by layer, by name; of a last stage, in every copy that stands where it stood."""
        if self.weights is None:
            return
        import keras

        constructor = getattr(keras.applications, self.network)
        try:
            if self.weights != "imagenet" and not Path(self.weights).is_file():
                raise OSError("there is no such file")
            whole = constructor(include_top=False, weights=self.weights, input_shape=BUILT_FOR)
        except Exception as error:  # of the network, of the disk, of h5py or of Keras, each in its own way
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            remedy = f"a file of {self.network}'s weights without its top, .weights.h5 or .h5"
            if self.weights == "imagenet":
                remedy = (
                    "a connection to where Keras keeps ImageNet's weights, or the path of their file, made where there "
                    f"is one with keras.applications.{self.network}(include_top=False).save_weights(FILE)"
                )
            raise UserError(f"model.backbone.weights: expected {remedy}. Received: {self.weights} ({reason})") from None
        names = _names(whole)
        there = {names[layer.name]: layer for layer in whole.layers}
        for layer in model._flatten_layers():
            if MARK in layer.name and layer.weights:
                values = {}
                there[layer.name.rpartition(MARK)[2]].save_own_variables(values)
                layer.load_own_variables(values)  # not `set_weights`, of which `Normalization` takes no notice


def steps(settings, trunk):
    """The network's own."""
    names = settings.names[:-1] if trunk else settings.names
    return {MARK + name: NETWORKS[settings.network].steps[name] for name in names}


def extract(settings, image, channels, passing):
    """Images (N, S, S, 3) in [0, 1] -> features (N, H, W, C), not negative; weights random before `load_weights`."""
    from mam_keras.model.backbones.blocks import projected

    return projected(
        _copy(settings, image, None, settings.names[-1], passing=passing), channels, settings.normalization
    )


def extract_trunk(settings, image, channels):
    """Output of the stage before the last one as it is: where the network ends a stage without ReLU, also negative."""
    from keras import layers

    x = _copy(settings, image, None, settings.names[-2])
    return layers.Identity(name="features")(x)


def last_stage(settings, shape, channels, stride, name):
    """From the stage before the last one to the last one.

    With stride 1 its convolutions and poolings have none, and pad as the others do. On features that are not those of
    the stage before, it is the same stage with weights of its own.
    """
    import keras

    inputs = keras.Input(shape)
    x = _copy(settings, inputs, settings.names[-2], settings.names[-1], f"{name}.", unstrided=stride == 1)
    return keras.Model(inputs, x, name=name)


def _copy(settings, inputs, first, last, prefix="", unstrided=False, passing=unchanged):
    """Output of the network's layer `last`, where its layers behind `first`, or all, stand anew on a `keras.Input`."""
    import keras
    from keras import layers

    from mam_keras.model.backbones.blocks import batch_statistics
    from mam_keras.model.backbones.preprocessing import RGB_DEVIATION, Preprocessing

    image = keras.Input(BUILT_FOR)
    mode = NETWORKS[settings.network].preprocessing
    prepared = Preprocessing(mode, dtype="float32", name="preprocessing")(image)
    constructor = getattr(keras.applications, settings.network)
    whole = constructor(include_top=False, weights=None, input_tensor=prepared, input_shape=BUILT_FOR)
    start = whole.get_layer(first).output if first else image
    if start.shape[-1] == inputs.shape[-1]:
        prefix += MARK
    names = _names(whole)

    def copied(layer):
        config = layer.get_config()
        if unstrided:
            config = _unstrided(config)
        if isinstance(layer, layers.BatchNormalization):
            config |= batch_statistics()
        return type(layer).from_config(config | {"name": prefix + names[layer.name]})

    def called(layer, *arguments, **named):
        x = layer(*arguments, **named)
        if isinstance(layer, layers.Normalization):  # EfficientNet's, to which Keras adds this for ImageNet's weights
            scale = [deviation**-0.5 for deviation in RGB_DEVIATION]
            x = layers.Rescaling(scale, name=f"{prefix}deviation")(x)
        return passing(layer.name, x) if layer.name.removeprefix(MARK) in settings.names else x

    part = keras.Model(start, whole.get_layer(last).output)
    return keras.models.clone_model(part, inputs, copied, called).output


def _names(whole):
    """{name: one that is always the same}: Keras numbers layers without a name through all models of a process."""
    numbers, names = collections.Counter(), {}
    for layer in whole.operations:
        kind = type(layer).__name__.lower()
        names[layer.name] = layer.name
        if layer.name.rstrip("_0123456789").replace("_", "") == kind:
            numbers[kind] += 1
            names[layer.name] = f"{kind}.{numbers[kind]}"
    return names


def _unstrided(config):
    """A layer's, without its stride. The padding that went with it, there or in a layer before, becomes the usual."""
    if "strides" in config:
        return config | {"strides": 1, "padding": "same"}
    return config | {"padding": 0} if "padding" in config else config
