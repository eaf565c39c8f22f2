"""The Residual Attention Network (Wang et al. 2017, arXiv 1704.06904) for images of 32x32: RAN-92 and its relatives.

Three stages of full, half and quarter resolution, a residual unit and one, two and three attention modules, then three
more units. A module is

    unit(x) = u;    T = unit(unit(u));    M = sigmoid(1x1(ReLU(BN(1x1(ReLU(BN(hourglass(u))))))));    unit((1 + M) T)

whose hourglass goes down by two levels in the first stage, one in the second, none in the third. Units are bottlenecks
with normalisation and ReLU before each convolution. The paper prints 1.9 M parameters for RAN-92 on CIFAR and does not
say of which widths; this form, whose widths others took from the network for ImageNet, has six times as many.
"""

from typing import Annotated, Literal

from pydantic import Field

from mam_keras.model.backbones import ForSmallImages, unchanged

STEM = 32  # channels
CHANNELS = (128, 256, 512)
LAST = 1024
UNITS = 3  # behind the last stage of modules
LEVELS = (2, 1, 0)  # of a stage's hourglasses


class Settings(ForSmallImages):
    """A Residual Attention Network. Behind its last stage a 1x1 convolution makes C channels, where C is not null."""

    kind: Literal["residual_attention"]
    modules: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (1, 2, 3)

    def describe(self):
        modules = " + ".join(map(str, self.modules))
        return f"a residual attention network{self.widened}, modules {modules}, normalisation {self.normalization}"

    def require_possible(self, image_size):
        stride = 8 * self.stem_stride  # 4 of the network, and the deepest hourglass halves the third stage's once more
        if image_size % stride:
            raise ValueError(
                f"data.image_size: expected a multiple of {stride}, which the hourglasses of model.backbone can halve. "
                f"Received: {image_size}"
            )


def steps(settings, trunk):
    """The stem, the end of each stage, and the last units.

    What a module sees, it sees by way of its hourglass: at every level down pooling and a unit, up again a unit, and
    interpolation between two positions.
    """
    found = {"stem.1.relu": ((3, settings.stem_stride),)}
    for number, (count, levels) in enumerate(zip(settings.modules, LEVELS, strict=True), 1):
        glass = ((3, 1), (3, 1))
        for level in range(levels):
            units = ((3, 1),) if level else ()
            glass = ((3, 2), *units, *glass, *units, (2, 0.5))
        found[_name(number)] = ((3, 1 if number == 1 else 2), *(count * ((3, 1), *glass, (3, 1))))
    return found if trunk else found | {_name(4): UNITS * ((3, 1),)}


def extract(settings, image, channels, passing):
    """Images (N, S, S, 3) in [0, 1] -> features (N, H, W, C), not negative; H = S / 4."""
    from mam_keras.model.backbones.blocks import projected

    return projected(_last(settings, _trunk(settings, image, passing), "", passing), channels, settings.normalization)


def extract_trunk(settings, image, channels):
    """Output of the third stage of modules as it is, also negative; its channels are the stage's own."""
    from keras import layers

    return layers.Identity(name="features")(_trunk(settings, image, unchanged))


def last_stage(settings, shape, channels, stride, name):
    """The last units, with normalisation and ReLU behind them; its channels are its own, its stride 1."""
    import keras

    inputs = keras.Input(shape)
    return keras.Model(inputs, _last(settings, inputs, f"{name}.", unchanged), name=name)


def _name(number):
    """Of the layer that a stage's output is."""
    return f"stage.{number}.relu" if number == 4 else f"stage.{number}.end"


def _trunk(settings, image, passing):
    from keras import layers

    from mam_keras.model.backbones.blocks import residual_unit, stem

    kind = settings.normalization
    x = passing("stem.1.relu", stem(settings, image, settings.wide(STEM)))
    for number, (channels, count, levels) in enumerate(zip(CHANNELS, settings.modules, LEVELS, strict=True), 1):
        name = f"stage.{number}"
        x = residual_unit(x, settings.wide(channels), f"{name}.unit", kind, 1 if number == 1 else 2)
        for module in range(1, count + 1):
            x = _module(x, levels, f"{name}.module.{module}", kind)
        x = passing(_name(number), layers.Identity(name=_name(number))(x))
    return x


def _last(settings, x, prefix, passing):
    from keras import layers

    from mam_keras.model.backbones.blocks import normalized, residual_unit

    for unit in range(1, UNITS + 1):
        x = residual_unit(x, settings.wide(LAST), f"{prefix}stage.4.unit.{unit}", settings.normalization)
    x = normalized(x, f"{prefix}stage.4", settings.normalization)
    return passing(_name(4), layers.ReLU(name=f"{prefix}{_name(4)}")(x))


def _module(x, levels, name, kind):
    """An attention module: (1 + M) T between two units."""
    from mam_keras.model.attention import Weighted
    from mam_keras.model.backbones.blocks import hourglass, mask, residual_unit

    def unit(x, part):
        return residual_unit(x, x.shape[-1], f"{name}.{part}", kind)

    x = unit(x, "before")
    trunk = unit(unit(x, "trunk.1"), "trunk.2")
    own = mask(hourglass(x, levels, f"{name}.hourglass", kind), x.shape[-1], f"{name}.mask", kind)
    weighted = Weighted(1, name=f"{name}.weighted")([trunk, own])
    return unit(weighted, "after")
