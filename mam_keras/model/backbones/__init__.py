"""Feature extractors, one module each: its settings, and its layers. They know images and features, no attributes.

A module NAME has the section `Settings(Backbone)`, the functions `extract`, `extract_trunk` and `last_stage` below, for
its own settings alone, and

    steps(settings, trunk) -> {layer: ((kernel, stride), ...)}

its stages from low to high, each with what makes it of the one before: kernels across, or None for what looks
everywhere. Reading a module imports neither TensorFlow nor Keras.

A system may cut a backbone before its last stage: the trunk gives the features then, and the stage is a network of its
own, which a branch can copy and attributes can share.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from mam_keras.settings import Positive, Registry, Section

BACKBONES = Registry(
    "kind",
    {
        name: f"mam_keras.model.backbones.{name}"
        for name in ("dilation", "alexnet", "resnet", "inception_v1", "residual_attention", "applications")
    },
    default="dilation",
)


_NEW = ("projection", "attention")  # how the names of layers begin that are no part of a backbone


class Backbone(Section):
    """A feature extractor; its module's `Settings` adds its own, `kind` first among them."""

    OWN_CHANNELS: ClassVar[bool] = True  # whether it has features without being told how many channels these have

    freeze_epochs: Annotated[int, Field(ge=0)] = 0  # the first ones, in which only what follows it is trained

    def feature_size(self, image_size: int) -> int:
        """Side of the feature map for images of side `image_size`."""
        return image_size // stages(self)[-1].stride

    @abstractmethod
    def describe(self) -> str:
        """It in a few words, for the head of a page."""

    def lines(self) -> tuple[str, ...]:
        """It in a few short lines, for a drawing."""
        return tuple(self.describe().split(", "))

    def require_possible(self, image_size: int) -> None:
        """Raises `ValueError`, opening with the key to change (model.backbone.KEY), for what cannot be built."""

    def load_weights(self, model: Any) -> None:
        """Gives a fresh model that stands on it the weights that it is to start from, if any.

        Raises `UserError` where they cannot be had.
        """

    def look_at(self, model: Any, images: np.ndarray) -> None:
        """Gives a fresh model what it takes of the training images themselves, uint8 (n, S, S, 3), if anything."""


class ForSmallImages(Backbone):
    """A network made for images of 32x32; its module's `Settings` adds its own.

    Larger images cost as many times more as they have pixels, with `stem_stride: 2` a quarter of that.
    """

    width: Positive = 1.0  # times the channels that it was published with
    stem_stride: Literal[1, 2] = 1  # of the first convolution; 2 for images larger than 32x32
    normalization: Literal["batch", "group", "none"] = "batch"
    standardize: bool = False  # images less the training images' mean, over their deviation, of each colour

    @property
    def widened(self) -> str:
        """The width in words, behind a network's name."""
        return "" if self.width == 1 else f" of {self.width:g} times the width"

    def wide(self, channels: int) -> int:
        """So many channels, times the width."""
        return max(1, round(self.width * channels))

    def require_possible(self, image_size):
        stride = stages(self)[-1].stride
        if image_size % stride:
            raise ValueError(
                f"data.image_size: expected a multiple of {stride}, the product of model.backbone's strides. "
                f"Received: {image_size}"
            )

    def look_at(self, model, images):
        if self.standardize:
            model.get_layer("standardization.1").adapt(images)


class Stage(NamedTuple):
    """One of the places, from low to high, at which a network can be looked into or cut.

    Attributes:
        name: of the layer whose output it is, which is how a loaded model finds it again.
        stride: pixels of the image between neighbouring positions.
        receptive_field: side of the square of pixels that a position can see, as far as the image reaches; None where
            that is all. Kernels with gaps leave pixels out within it.
    """

    name: str
    stride: int
    receptive_field: int | None


def unchanged(name: str, output: Any) -> Any:
    """What stages pass on where nobody looks."""
    return output


def extract(settings: Backbone, image: Any, channels: int | None, passing: Callable = unchanged) -> Any:
    """The features of a `keras.Input` of images: (N, S, S, 3) in [0, 1] -> (N, H, W, C), a layer called "features".

    Args:
        channels: C; None for as many as the backbone has.
        passing: called with the name of each of `steps` and its output, from low to high: what goes on in its place.
    """
    return BACKBONES.module(settings.kind).extract(settings, image, channels, passing)


def extract_trunk(settings: Backbone, image: Any, channels: int | None) -> Any:
    """The features before the last stage, a layer called "features"; how many channels is the backbone's own matter."""
    return BACKBONES.module(settings.kind).extract_trunk(settings, image, channels)


def last_stage(settings: Backbone, shape: tuple, channels: int, stride: int | None, name: str) -> Any:
    """The last stage as a `keras.Model` of its own, for features of (H, W, C); stride 1, or None for its own."""
    return BACKBONES.module(settings.kind).last_stage(settings, shape, channels, stride, name)


def stages(settings: Backbone, trunk: bool = False) -> tuple[Stage, ...]:
    """The stages, from low to high, of the backbone or of its trunk; the last one is the features.

    A kernel k across on positions s pixels apart sees k - 1 of these more than a position does: receptive fields grow
    by (k - 1) s, from the 1 pixel of the image. Interpolation has a stride below 1.
    """
    found, stride, seen = [], 1, 1
    for name, steps in BACKBONES.module(settings.kind).steps(settings, trunk).items():
        for kernel, step in steps:
            seen = None if None in (kernel, seen) else seen + (kernel - 1) * stride
            stride *= step
        stride, seen = int(stride), seen and int(seen)
        found.append(Stage(name, stride, seen))
    return (*found[:-1], Stage("features", stride, seen))


def names(settings: Backbone) -> tuple[str, ...]:
    """What the backbone calls its stages, from low to high."""
    return tuple(BACKBONES.module(settings.kind).steps(settings, False))


def layers_of(model: Any) -> list:
    """The layers of a fresh or a loaded model that its features come from, which `freeze_epochs` leaves alone.

    A projection to C channels and attention between stages are not among them: they are new even where everything else
    was trained elsewhere.
    """
    import keras

    extractor = keras.Model(model.input, model.get_layer("features").output)
    return [layer for layer in extractor.layers if layer.name.split(".")[0] not in _NEW]
