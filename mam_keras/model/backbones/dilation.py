"""The Dilation Network (Yu & Koltun 2016), the extractor of 1904.13078, section 3.1."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mam_keras.model.backbones import Backbone, unchanged
from mam_keras.settings import Count


class Settings(Backbone):
    """A strided front end of 3x3 convolutions, each halving the image, then a context module with growing dilation."""

    OWN_CHANNELS: ClassVar[bool] = False

    kind: Literal["dilation"] = "dilation"
    front_end: tuple[Count, ...] = (64, 128)  # channels of the strided stages, each of which halves the image
    dilations: tuple[Annotated[int, Field(ge=0)], ...] = (1, 1, 2, 4, 1)  # of the context's 3x3; 0 is a 1x1
    normalization: Literal["batch", "group", "none"] = "batch"

    def describe(self):
        return f"a dilation network, normalisation {self.normalization}"

    def lines(self):
        channels, dilations = (", ".join(map(str, values)) for values in (self.front_end, self.dilations))
        return f"front end: {channels} channels", f"context: dilations {dilations}"

    def require_possible(self, image_size):
        stride, side = 2 ** len(self.front_end), self.feature_size(image_size)
        if image_size % stride:
            raise ValueError(
                f"data.image_size: expected a multiple of {stride} (model.front_end halves the image "
                f"{len(self.front_end)} times). Received: {image_size}"
            )
        for dilation in self.dilations:
            if dilation >= side:
                raise ValueError(
                    f"model.dilations: expected every dilation to be smaller than the feature map, which is "
                    f"{side} x {side}. Received: {dilation}"
                )


def steps(settings, trunk):
    """The front end's strided convolutions, then the context's."""
    front = {f"front_end.{number}.relu": ((3, 2),) for number in range(1, len(settings.front_end) + 1)}
    dilations = settings.dilations[:-1] if trunk else settings.dilations
    return front | {f"context.{number}.relu": ((2 * dilation + 1, 1),) for number, dilation in enumerate(dilations, 1)}


def extract(settings, image, channels, passing):
    """f_f: images (N, S, S, 3) in [0, 1] -> features (N, H, W, C), not negative.

    A Dilation Network (Yu & Koltun 2016): a strided front end of 3x3 convolutions, one per entry of `front_end`, each
    halving the image, then a context module of 3x3 convolutions whose dilation grows, C channels throughout. Our
    reading: every convolution is followed by normalisation and ReLU. Of dilation 0 all taps fall on one place, which
    makes it a 1x1 convolution: the way to a small receptive field.
    """
    return _extract(settings, image, channels, settings.dilations, passing)


def extract_trunk(settings, image, channels):
    """All but the last convolution of the context, which is what this network has for a last stage: our reading."""
    return _extract(settings, image, channels, settings.dilations[:-1])


def last_stage(settings, shape, channels, stride, name):
    """The last convolution of the context; its stride is 1 in any case."""
    import keras

    inputs = keras.Input(shape)
    x = _context(settings, inputs, channels, settings.dilations[-1:], f"{name}.context")
    return keras.Model(inputs, x, name=name)


def _extract(settings, image, channels, dilations, passing=unchanged):
    from keras import layers

    from mam_keras.model.backbones.blocks import convolution

    x = image
    for stage, width in enumerate(settings.front_end, 1):
        x = convolution(x, width, f"front_end.{stage}", settings.normalization, strides=2)
        x = passing(f"front_end.{stage}.relu", x)
    x = _context(settings, x, channels, dilations, "context", passing)
    return layers.Identity(name="features")(x)


def _context(settings, x, channels, dilations, name, passing=unchanged):
    from mam_keras.model.backbones.blocks import convolution

    for number, dilation in enumerate(dilations, 1):
        taps = {"dilation_rate": dilation} if dilation else {"size": 1}
        x = convolution(x, channels, f"{name}.{number}", settings.normalization, **taps)
        x = passing(f"{name}.{number}.relu", x)
    return x
