"""Inception-v1 (Szegedy et al. 2015) for images of 32x32, the base network of 1901.10042.

A 3x3 convolution to 192 channels, and nine modules in three stages of full, half and quarter resolution. The paper does
not say how it brings the network to small images; our reading, and a common one: one convolution stands for the strided
beginning, each 5x5 is two 3x3, normalisation follows every convolution, and there are neither auxiliary classifiers nor
dropout. Pooling, 3x3 of stride 2, stands between the stages.

With `atrous` (the paper's "atrous convolution", our reading) pooling has no stride, and the 3x3 of the later stages
reach as far as before by dilation: 2 in the middle stage, 4 in the last. Maps stay as large as the image.
"""

from typing import Literal, NamedTuple

from mam_keras.model.backbones import ForSmallImages, unchanged

STEM = 192  # channels


class _Module(NamedTuple):
    """Channels of a module's four branches; of the two longer ones before and in their 3x3."""

    one: int
    three: tuple[int, int]
    five: tuple[int, int]
    pool: int


STAGES = {  # Szegedy et al. 2015, table 1
    "3": {"a": _Module(64, (96, 128), (16, 32), 32), "b": _Module(128, (128, 192), (32, 96), 64)},
    "4": {
        "a": _Module(192, (96, 208), (16, 48), 64),
        "b": _Module(160, (112, 224), (24, 64), 64),
        "c": _Module(128, (128, 256), (24, 64), 64),
        "d": _Module(112, (144, 288), (32, 64), 64),
        "e": _Module(256, (160, 320), (32, 128), 128),
    },
    "5": {"a": _Module(256, (160, 320), (32, 128), 128), "b": _Module(384, (192, 384), (48, 128), 128)},
}


class Settings(ForSmallImages):
    """Inception-v1. Behind its last stage a 1x1 convolution makes C channels, where C is not null."""

    kind: Literal["inception_v1"]
    atrous: bool = False  # dilation instead of stride in the later stages

    def describe(self):
        return (
            f"Inception-v1{self.widened}{' with atrous convolution' * self.atrous}, normalisation {self.normalization}"
        )


def steps(settings, trunk):
    """The stem, and the last module of each stage; its longest branch has two 3x3."""
    found = {"stem.1.relu": ((3, settings.stem_stride),)}
    for number, modules in list(STAGES.items())[: 2 if trunk else 3]:
        pooling = ((3, 1 if settings.atrous else 2),) if number != "3" else ()
        reach = 2 * _dilation(settings, number) + 1
        found[_name(number)] = pooling + 2 * len(modules) * ((reach, 1),)
    return found


def extract(settings, image, channels, passing):
    """Images (N, S, S, 3) in [0, 1] -> features (N, H, W, C), not negative; H = S / 4, or S with `atrous`."""
    from mam_keras.model.backbones.blocks import projected

    x = _stage(settings, _trunk(settings, image, passing), "5", passing=passing)
    return projected(x, channels, settings.normalization)


def extract_trunk(settings, image, channels):
    """Output of module 4e; its channels are the stage's own."""
    from keras import layers

    return layers.Identity(name="features")(_trunk(settings, image, unchanged))


def last_stage(settings, shape, channels, stride, name):
    """Pooling and modules 5a and 5b; its channels are its own."""
    import keras

    inputs = keras.Input(shape)
    return keras.Model(inputs, _stage(settings, inputs, "5", f"{name}.", stride), name=name)


def _name(number):
    """Of the layer that a stage's output is."""
    return f"inception.{number}{list(STAGES[number])[-1]}"


def _dilation(settings, number):
    return {"3": 1, "4": 2, "5": 4}[number] if settings.atrous else 1


def _trunk(settings, image, passing):
    from mam_keras.model.backbones.blocks import stem

    x = passing("stem.1.relu", stem(settings, image, settings.wide(STEM)))
    for number in ("3", "4"):
        x = _stage(settings, x, number, passing=passing)
    return x


def _stage(settings, x, number, prefix="", stride=None, passing=unchanged):
    """Pooling, but for the first stage, and modules. A stride of 1 leaves out that of the pooling."""
    from keras import layers

    if number != "3":
        stride = stride or (1 if settings.atrous else 2)
        x = layers.MaxPooling2D(3, stride, "same", name=f"{prefix}inception.{number}.pooling")(x)
    for letter, module in STAGES[number].items():
        x = _module(settings, x, module, f"{prefix}inception.{number}{letter}", _dilation(settings, number))
    return passing(f"{prefix}{_name(number)}", x)


def _module(settings, x, module, name, dilation):
    """Four branches of a module, one behind the other in channels."""
    from keras import layers

    from mam_keras.model.backbones.blocks import convolution

    def convolved(x, width, branch, size):
        taps = {"dilation_rate": dilation} if size > 1 else {}
        return convolution(x, settings.wide(width), f"{name}.{branch}", settings.normalization, size=size, **taps)

    (before, three), (reduced, five) = module.three, module.five
    pooled = layers.MaxPooling2D(3, 1, "same", name=f"{name}.pooling")(x)
    branches = [
        convolved(x, module.one, "one", 1),
        convolved(convolved(x, before, "three.reduced", 1), three, "three", 3),
        convolved(convolved(convolved(x, reduced, "five.reduced", 1), five, "five.first", 3), five, "five", 3),
        convolved(pooled, module.pool, "pooled", 1),
    ]
    return layers.Concatenate(name=name)(branches)
