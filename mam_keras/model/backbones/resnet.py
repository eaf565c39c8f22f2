"""The residual networks for small images (He et al. 2016, section 4.2), as Attention Branch Network has them.

Three stages of n = (depth - 2) / 6 blocks with 16, 32 and 64 channels, at full, half and quarter resolution. Blocks are
basic, two 3x3 convolutions, below depth 44, and bottlenecks (1x1, 3x3, 1x1; four times the channels) from 44 up, where
the authors of ABN still take n = (depth - 2) / 6: so what they call ResNet-110 has 164 layers. Normalisation and ReLU
follow each convolution, and ReLU the sum (post-activation).

With `stem_stride: 2` images of 64x64 cost what 32x32 do, and with `strides: [2, 2, 2]` as well 128x128.
"""

from typing import Annotated, Literal

from pydantic import Field

from mam_keras.model.backbones import ForSmallImages, unchanged

CHANNELS = (16, 32, 64)
BOTTLENECK_FROM = 44  # depth
EXPANSION = 4  # of a bottleneck's channels


class Settings(ForSmallImages):
    """A ResNet of any depth of the family. Behind its last stage a 1x1 convolution makes C channels."""

    kind: Literal["resnet"]
    depth: Annotated[int, Field(ge=8)] = 20  # 6 n + 2
    strides: tuple[Literal[1, 2], Literal[1, 2], Literal[1, 2]] = (1, 2, 2)  # of the stages

    @property
    def blocks(self) -> int:
        """n, of a stage."""
        return (self.depth - 2) // 6

    @property
    def channels(self) -> tuple[int, int, int]:
        """Of the stages' blocks, before a bottleneck's expansion."""
        return tuple(map(self.wide, CHANNELS))

    def describe(self):
        return f"a ResNet-{self.depth}{self.widened}, normalisation {self.normalization}"

    def require_possible(self, image_size):
        if (self.depth - 2) % 6:
            near = [6 * n + 2 for n in (self.blocks, self.blocks + 1)]
            raise ValueError(
                f"model.backbone.depth: expected 6 n + 2, nearest {near[0]} and {near[1]}. Received: {self.depth}"
            )
        super().require_possible(image_size)


def steps(settings, trunk):
    """The stem, and the last block of each stage."""
    found = {"stem.1.relu": ((3, settings.stem_stride),)}
    for number, stride in enumerate(settings.strides[: 2 if trunk else 3], 1):
        first, other = (((3, stride), (3, 1)) for stride in (stride, 1))
        if settings.depth >= BOTTLENECK_FROM:
            first, other = (((1, 1), (3, stride), (1, 1)) for stride in (stride, 1))
        found[f"stage.{number}.{settings.blocks}.relu"] = first + (settings.blocks - 1) * other
    return found


def extract(settings, image, channels, passing):
    """Images (N, S, S, 3) in [0, 1] -> features (N, H, W, C), not negative; H = S / (`stem_stride` times `strides`).

    Our reading: C channels of the last stage's 64 (256 of bottlenecks) by a 1x1 convolution, normalisation and ReLU.
    """
    from mam_keras.model.backbones.blocks import projected

    x = _stage(settings, _trunk(settings, image, passing), 2, settings.strides[2], passing=passing)
    return projected(x, channels, settings.normalization)


def extract_trunk(settings, image, channels):
    """Output of the second stage; its channels are the stage's own."""
    from keras import layers

    return layers.Identity(name="features")(_trunk(settings, image, unchanged))


def last_stage(settings, shape, channels, stride, name):
    """The third stage; its channels are its own."""
    import keras

    inputs = keras.Input(shape)
    x = _stage(settings, inputs, 2, stride or settings.strides[2], f"{name}.")
    return keras.Model(inputs, x, name=name)


def _trunk(settings, image, passing):
    from mam_keras.model.backbones.blocks import stem

    x = stem(settings, image, settings.channels[0])
    x = passing("stem.1.relu", x)
    for number in range(2):
        x = _stage(settings, x, number, settings.strides[number], passing=passing)
    return x


def _stage(settings, x, number, stride, prefix="", passing=unchanged):
    for block in range(1, settings.blocks + 1):
        name = f"{prefix}stage.{number + 1}.{block}"
        x = _block(settings, x, settings.channels[number], stride if block == 1 else 1, name)
    return passing(f"{name}.relu", x)


def _block(settings, x, channels, stride, name):
    """ReLU(f(x) + x). Our reading: where f changes the shape, x passes a 1x1 convolution and normalisation."""
    from keras import layers

    from mam_keras.model.backbones.blocks import convolution, every

    kind, shortcut = settings.normalization, x
    if settings.depth < BOTTLENECK_FROM:
        y = convolution(x, channels, f"{name}.first", kind, strides=stride)
        y = convolution(y, channels, f"{name}.second", kind, activation=False)
    else:
        y = convolution(x, channels, f"{name}.first", kind, size=1)
        y = convolution(y, channels, f"{name}.second", kind, strides=stride)
        y = convolution(y, EXPANSION * channels, f"{name}.third", kind, size=1, activation=False)
    if stride != 1 or x.shape[-1] != y.shape[-1]:
        shortcut = convolution(every(x, stride, name), y.shape[-1], f"{name}.shortcut", kind, size=1, activation=False)
    return layers.ReLU(name=f"{name}.relu")(layers.Add(name=f"{name}.sum")([y, shortcut]))
