"""The settings that every system has. Knows none of them."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from mam_keras.data import composed
from mam_keras.model.backbones import BACKBONES, Stage, layers_of, stages
from mam_keras.settings import Count, NonNegative, Positive, Section, Text, one_of

OFFSETS = {"residual": 1, "multiply": 0}  # o in (o + M) x, as a setting `attention` says; none without attention


class Branch(NamedTuple):
    """What a network makes of its features, as a page draws it: texts, K standing in for how many targets there are.

    Attributes:
        title: what it is called.
        does: what it does, a line.
        gives: what comes out; None for an image of the input's size.
        words: the same for who cannot see the drawing.
    """

    title: str
    does: str
    gives: str | None
    words: str


class Weighing(NamedTuple):
    """A `Branch` that weighs the features before it pools them.

    Attributes:
        title, words: as there.
        repeated: whether there is one for each target.
        weights: what features are multiplied by: its name, its shape and the factor made of it; or a text alone that
            says that they are not.
        does: pooling, and the unit behind it.
        gives: what comes out.
    """

    title: str
    repeated: bool
    weights: tuple[str, str, str] | tuple[str]
    does: tuple[str, str]
    gives: str
    words: str


class Drawing(NamedTuple):
    """A network as a page draws it: an image, stages, features, and what is made of them.

    Attributes:
        stages: from low to high, the last one gives the features.
        extractor: them in words.
        lines: what stands beneath them.
        features: their shape.
        branches: from top to bottom.
    """

    stages: tuple[Stage, ...]
    extractor: str
    lines: tuple[str, ...]
    features: str
    branches: tuple[Branch | Weighing, ...]


class Paper(NamedTuple):
    """Where a system is from."""

    authors: str
    title: str
    year: int
    arxiv: str


class System(Section):
    """A network; its module's `Settings` adds its own, `system` first among them."""

    TITLE: ClassVar[str]  # how a page calls the system, with its paper
    PAPERS: ClassVar[tuple[Paper, ...]] = ()

    def describe(self, image_size: int) -> str:
        """The network in a few words, for the head of a page."""
        return self.TITLE

    def drawing(self, image_size: int) -> Drawing | None:
        """The network as a page draws it; None where it is not drawn."""

    def require_possible(self, image_size: int, loss: "CommonLoss") -> None:
        """Raises `ValueError`, opening with the key to change, for settings that do not go together."""

    def load_weights(self, model: Any) -> None:
        """Gives a fresh model the weights that it is to start from, if any. Raises `UserError` where it cannot."""

    def look_at(self, model: Any, images: np.ndarray) -> None:
        """Gives a fresh model what it takes of the training images themselves, uint8 (n, S, S, 3), if anything."""

    def frozen(self, model: Any, epoch: int) -> list:
        """The layers of a model that are left alone in an epoch, counted from 0."""
        return []


class OnBackbone(System):
    """A network on the features of one of the backbones."""

    backbone: one_of(BACKBONES) = Field(default_factory=dict, validate_default=True)
    channels: Count | None = 128  # C, of the features; null: as many as the backbone has

    @model_validator(mode="before")
    @classmethod
    def _flat_backbone(cls, values):
        """A backbone's settings may stand in the section itself, as they did when there was one backbone."""
        if not isinstance(values, dict):
            return values
        backbone = values.get("backbone", {})
        if not isinstance(backbone, dict) or backbone.get("kind", BACKBONES.default) not in BACKBONES.modules:
            return values  # the field says what is wrong with it
        settings = BACKBONES.settings(backbone)
        moved = set(settings.model_fields) - set(cls.model_fields)
        flat = {key: value for key, value in values.items() if key in moved}
        if twice := sorted(flat.keys() & backbone.keys()):
            raise ValueError(f"model.{twice[0]}: expected once, here or in model.backbone. Received: both")
        return {key: value for key, value in values.items() if key not in flat} | {"backbone": backbone | flat}

    @property
    def staged(self) -> bool:
        """Whether the features are those before the backbone's last stage, which stands elsewhere in the network."""
        return False

    def feature_size(self, image_size: int) -> int:
        """Side of the feature map for images of side `image_size`."""
        return image_size // stages(self.backbone, self.staged)[-1].stride

    def describe(self, image_size):
        return f"{self.TITLE}: features {self.shape(image_size)} of {self.backbone.describe()}"

    def shape(self, image_size: int) -> str:
        """Of the features, in words; without their channels where these are the backbone's own."""
        side = self.feature_size(image_size)
        return f"{side} x {side}" + ("" if self.staged or self.channels is None else f" x {self.channels}")

    def branches(self, image_size: int) -> tuple[Branch | Weighing, ...]:
        """What is made of the features, for `drawing`."""
        return ()

    def drawing(self, image_size):
        return Drawing(
            stages(self.backbone, self.staged),
            self.backbone.describe(),
            self.backbone.lines(),
            self.shape(image_size),
            self.branches(image_size),
        )

    def require_possible(self, image_size, loss):
        if self.channels is None and not self.backbone.OWN_CHANNELS:
            raise ValueError(
                "model.channels: expected a number: this backbone has features of as many channels as it is told. "
                "Received: null"
            )
        self.backbone.require_possible(image_size)
        known = "own", "grad_cam", *(stage.name for stage in stages(self.backbone, self.staged))
        if loss.localisation_map not in known:
            near = difflib.get_close_matches(loss.localisation_map, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(
                f"loss.localisation_map: expected own, grad_cam or a stage ({', '.join(known[2:])}){hint} "
                f"Received: {loss.localisation_map!r}"
            )

    def load_weights(self, model):
        self.backbone.load_weights(model)

    def look_at(self, model, images):
        self.backbone.look_at(model, images)

    def frozen(self, model, epoch):
        return layers_of(model) if epoch < self.backbone.freeze_epochs else []


class Pooled(OnBackbone):
    """Its scores at the positions are pooled to logits (`model.pooling.PooledLogits`)."""

    pooled_share: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of positions, highest first, a logit averages
    pooling_sharpness: Positive | None = None  # r of log-sum-exp over these positions; null: their mean
    learned_positions: bool = False  # whether an attribute learns which positions count, in all images (`positions`)

    @property
    def pooling(self) -> str:
        """In a few words."""
        mean = "mean" if self.pooling_sharpness is None else "soft max"
        mean = f"learned positions, {mean}" if self.learned_positions else mean
        return mean if self.pooled_share == 1 else f"{mean}, top {100 * self.pooled_share:g} %"

    def require_possible(self, image_size, loss):
        super().require_possible(image_size, loss)
        if loss.spread and not self.learned_positions:
            raise ValueError(
                "loss.spread: expected 0 where model.learned_positions is false: all positions count the same. "
                f"Received: {loss.spread:g}"
            )


class CommonLoss(Section):
    """The settings of the loss that every system has."""

    WEIGHTS: ClassVar[dict[str, str]] = {"localisation": "localisation"}  # of heads and terms, the key of each

    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  # in training: 1 becomes 1 - e + e / K, or 1 - e / 2
    localisation: NonNegative = 0.0  # delta: what it costs that maps are not where their attributes are (`losses`)
    localisation_by: Literal["outside", "iou", "energy", "l1", "magnitude"] = "outside"  # `losses.LOCALISATION`
    localisation_map: Text = "own"  # the system's own map; grad_cam: at the features; or the name of a stage: there
    localisation_order: Literal["second", "first"] = "second"  # first: Grad-CAM's weights of channels held constant
    localisation_images: Count | None = None  # the first so many training images have regions; all when left out
    regions: Text | None = None  # YAML of these regions, as analysis.regions; the package's own for CelebA
    directed: dict[Text, tuple[NonNegative, NonNegative]] | None = (
        None  # by attribute, (w_a, w_g): of its cross-entropy, of its map; (1, 0) for others; null: (1, 1) for all
    )

    @model_validator(mode="after")
    def _directs_something(self):
        if self.localisation and self.directed is not None and not any(of_map for _, of_map in self.directed.values()):
            raise ValueError(
                "loss.directed: expected an attribute whose second weight is above 0 where loss.localisation is. "
                f"Received: {self.directed}"
            )
        return self

    def attribute_weights(self, names: Sequence[str]) -> np.ndarray:
        """(w_a, w_g) of K targets: float (K, 2)."""
        if self.directed is None:
            return np.ones((len(names), 2))
        directed = {composed(name): weights for name, weights in self.directed.items()}
        return np.array([directed.get(name, (1.0, 0.0)) for name in names])


class PooledLoss(CommonLoss):
    """Of a `Pooled` system."""

    WEIGHTS: ClassVar[dict[str, str]] = CommonLoss.WEIGHTS | {"spread": "spread"}

    spread: NonNegative = 0.0  # what it costs an attribute that its learned positions are many (`positions.spread`)
