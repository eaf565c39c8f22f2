"""AlexNet (Krizhevsky, Sutskever & Hinton 2012) for images of about 64x64, the network of 1905.00593.

Five convolutions of 96, 256, 384, 384 and 256 channels; max-pooling 3x3 of stride 2 behind the first and the second. Of
images of 224x224 the last convolution has 13x13 positions. Our reading for small ones: the first convolution is 5x5 of
stride 1 instead of 11x11 of stride 4, which leaves 16x16 positions of 64x64 (8x8 with `stem_stride: 2`); one tower
instead of two that meet now and then; and normalisation behind each convolution instead of that of neighbouring
channels' responses.

The fully connected layers are left out, with the pooling and the dropout that go with them. They hold 59 of the
network's 61 million parameters, each for one place in the image; a system's own pooling stands there instead, under
which a position's part in an answer is exact. One that looks at every position alike is a 1x1 convolution: `channels`.
"""

from typing import Literal

from mam_keras.model.backbones import ForSmallImages, unchanged

STEM = 96  # channels
# The others: channels, kernel, and whether max-pooling stands before it
CONVOLUTIONS = {"2": (256, 5, True), "3": (384, 3, True), "4": (384, 3, False), "5": (256, 3, False)}


class Settings(ForSmallImages):
    """AlexNet's convolutions. Behind the last one a 1x1 convolution makes C channels, where C is not null."""

    kind: Literal["alexnet"]

    def describe(self):
        return f"AlexNet{self.widened}, normalisation {self.normalization}"


def steps(settings, trunk):
    """The convolutions, each with the pooling before it."""
    found = {"stem.1.relu": ((5, settings.stem_stride),)}
    for number, (_, size, pooled) in list(CONVOLUTIONS.items())[: 3 if trunk else 4]:
        found[f"convolution.{number}.relu"] = (*(((3, 2),) if pooled else ()), (size, 1))
    return found


def extract(settings, image, channels, passing):
    """Images (N, S, S, 3) in [0, 1] -> features (N, H, W, C), not negative; H = S / 4 / `stem_stride`."""
    from mam_keras.model.backbones.blocks import projected

    x = _convolution(settings, _trunk(settings, image, passing), "5", passing=passing)
    return projected(x, channels, settings.normalization)


def extract_trunk(settings, image, channels):
    """Output of the fourth convolution; its channels are the stage's own."""
    from keras import layers

    return layers.Identity(name="features")(_trunk(settings, image, unchanged))


def last_stage(settings, shape, channels, stride, name):
    """The fifth convolution; its channels are its own, and its stride is 1 in any case."""
    import keras

    inputs = keras.Input(shape)
    return keras.Model(inputs, _convolution(settings, inputs, "5", f"{name}."), name=name)


def _trunk(settings, image, passing):
    from mam_keras.model.backbones.blocks import stem

    x = passing("stem.1.relu", stem(settings, image, settings.wide(STEM), size=5))
    for number in ("2", "3", "4"):
        x = _convolution(settings, x, number, passing=passing)
    return x


def _convolution(settings, x, number, prefix="", passing=unchanged):
    from keras import layers

    from mam_keras.model.backbones.blocks import convolution

    (channels, size, pooled), name = CONVOLUTIONS[number], f"convolution.{number}"
    if pooled:
        x = layers.MaxPooling2D(3, 2, "same", name=f"{prefix}{name}.pooling")(x)
    x = convolution(x, settings.wide(channels), f"{prefix}{name}", settings.normalization, size=size)
    return passing(f"{name}.relu", x)
