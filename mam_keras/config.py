"""What a run is made of: sections of its own and those of the source, the system and the backbone that it names.

`load` reads a file, applies `section.key=value` overrides, and refuses whatever cannot work, naming the file, the
key, what was read and what was expected. Imports neither TensorFlow nor Keras.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mam_keras import settings, systems
from mam_keras.data import SOURCES
from mam_keras.settings import Count, Name, NonNegative, Positive, Section, Text, assignment, one_of, put, read
from mam_keras.systems import SYSTEMS


class Training(Section):
    start_from: Text | None = None  # a run whose weights it starts from, as far as they fit (fit/start.py); --from
    epochs: Count = 10
    batch_size: Count = 32
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Positive = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of sgd
    weight_decay: NonNegative = 1e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: NonNegative = 1.0  # the learning rate rises linearly from 0
    clip_norm: Positive | None = None  # of all gradients together
    start_at_rates: bool = False  # heads' biases so that training begins at the attributes' rates (fit/start.py)
    early_stopping: Count | None = None  # epochs without a better validation loss; the best epoch's weights are kept
    precision: Literal["float32", "bfloat16"] = "float32"
    xla: Literal["auto", "on", "off"] = "auto"  # auto: the masked heads only, where it pays; on: the whole step
    deterministic: bool = False  # the same weights, bit for bit, from the same command on the same machine


class Distribute(Section):
    """On which devices a run trains; each of them, a replica, takes an equal part of every batch."""

    strategy: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"  # auto: as TF_CONFIG and the GPUs suggest
    learning_rate_scale: Literal["none", "linear", "square_root"] = "none"  # by the number of replicas


class Evaluation(Section):
    batch_size: Count = 100
    resamples: Count = 1000  # of the bootstrap


class Analysis(Section):
    """What `report` computes; the papers' robustness figure is 1905.02719, figure 5."""

    split: Literal["test", "validation"] = "test"  # the images that every analysis is about
    pairs: Annotated[tuple[tuple[NonNegative, Positive], ...], Field(min_length=1)] = tuple(
        (a, b) for b in (0.5, 2.0, 4.0, 8.0) for a in (0.5, 1.0, 2.0)
    )  # (a, b) of the mask transformation, beside the identity, which is always there
    sigmas: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
    corruptions: tuple[Literal["blur", "jpeg", "occlusion", "brightness"], ...] = (
        "blur",
        "jpeg",
        "occlusion",
        "brightness",
    )  # beside the noise
    clip: bool = True  # noisy images to [0, 1], as a camera or a file would
    examples: Annotated[int, Field(ge=1, le=48)] = 12  # images shown in the explorer
    subgroups: tuple[Text, ...] | None = None  # attributes to compare accuracy within; Male and Young where there are
    pairs_of_attributes: Annotated[tuple[tuple[Text, Text], ...], Field(min_length=1)] | None = (
        None  # whose answers are compared where they come apart; those that come together most when left out
    )
    parts: Text | None = None  # folder of images with part masks (CelebAMask-HQ's classes): exact regions
    regions: Text | None = None  # YAML that says where attributes are; the package's own for CelebA when left out
    resamples: Count = 500  # of the bootstrap, wherever an interval is computed


class Range(Section):
    """Where `tune` looks for a setting's value; whole numbers where the setting is one."""

    low: Annotated[float, Field(allow_inf_nan=False)]
    high: Annotated[float, Field(allow_inf_nan=False)]
    scale: Literal["log", "linear"] = "log"


class Tune(Section):
    """What `tune` searches for, measured on the validation images by the headlines of the analyses."""

    space: Annotated[
        dict[Text, Range],
        Field(default_factory=lambda: {"loss.lambda": Range(low=1e-8, high=1e-4)}, min_length=1),
    ]
    oracle: Literal["random", "bayesian", "hyperband"] = "random"
    trials: Count | None = None  # 10 when left out; of hyperband at most so many, and all it needs when left out
    epochs: Count | None = None  # of a trial, of hyperband's longest trials; training.epochs when left out
    objective: Literal["balanced_accuracy", "noise_robustness", "localisation"] = "balanced_accuracy"

    @model_validator(mode="after")
    def _possible(self):
        for key, there in self.space.items():
            if there.low >= there.high:
                raise ValueError(
                    f"tune.space.{key}: expected low < high, or the range is empty. "
                    f"Received: {there.low:g} to {there.high:g}"
                )
            if there.scale == "log" and there.low <= 0:
                raise ValueError(
                    f"tune.space.{key}.low: expected greater than 0, or `scale: linear`. Received: {there.low:g}"
                )
        return self


class Config(Section):
    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    data: one_of(SOURCES)
    model: one_of(SYSTEMS) = Field(default_factory=dict, validate_default=True)
    loss: settings.chosen(systems.loss_of) = Field(default_factory=dict, validate_default=True)
    training: Training = Training()
    distribute: Distribute = Distribute()
    evaluation: Evaluation = Evaluation()
    analysis: Analysis = Analysis()
    tune: Tune | None = None  # lambda when left out; `fit` does not look at it

    @model_validator(mode="after")
    def _possible(self):
        """Combinations that cannot work; each message opens with the key to change."""
        self.data.require_possible()
        self.model.require_possible(self.data.image_size, self.loss)
        if self.data.train_on_validation and self.training.early_stopping is not None:
            raise ValueError(
                "training.early_stopping: expected null where data.train_on_validation is true: nothing can be "
                f"chosen on images that were trained on. Received: {self.training.early_stopping}"
            )
        if self.data.mixup and self.loss.localisation:
            raise ValueError(
                "data.mixup: expected 0 where loss.localisation is not: in a mixture attributes are at two places. "
                f"Received: {self.data.mixup:g}"
            )
        if self.training.warmup_epochs > self.training.epochs:
            raise ValueError(
                f"training.warmup_epochs: expected at most training.epochs ({self.training.epochs}). "
                f"Received: {self.training.warmup_epochs}"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved configuration; `load` reads it back to an equal one."""
        values = self.model_dump(mode="json", by_alias=True)
        if self.tune is None:
            del values["tune"]
        return settings.to_yaml(values)


def load(path: str | Path, overrides: list[str] = ()) -> Config:
    """Reads a YAML file, applies `section.key=value` overrides, and returns the checked configuration.

    Raises `UserError` for a file that cannot be read, for an unknown key (naming the nearest known one), a wrong
    type, a value out of range, or a combination that cannot work.
    """
    return changed(read(path), str(path), overrides)


def changed(values: dict[str, Any], where: str, overrides: list[str]) -> Config:
    """`check` of plain values with `section.key=value` overrides."""
    for override in overrides:
        put(values, *assignment(override), f"--set {override}")
    if overrides:
        where = f"{where} with --set {' '.join(overrides)}"
    return check(values, where)


def check(values: dict[str, Any], where: str) -> Config:
    """Checks plain values, as YAML gives them; `where` opens the message of the `UserError` that refuses them."""
    return settings.check(values, where, Config)
