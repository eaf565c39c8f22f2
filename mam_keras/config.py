"""What a run is made of: typed, immutable sections read from YAML. Imports neither TensorFlow nor Keras.

`load` reads a file, applies `section.key=value` overrides, and refuses whatever cannot work, naming the file, the
key, what was read and what was expected.
"""

import difflib
import re
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
import yaml
from pydantic import Field, model_validator

from mam_keras.errors import UserError

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # also of a folder


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class _Data(Section):
    """What every source has in common."""

    image_size: Annotated[int, Field(ge=8, le=2048)] = 64  # side of the prepared square, in pixels
    attributes: tuple[Text, ...] | None = None  # which, in which order; all of the source's when left out
    limit: Count | None = None  # at most this many images of each split, the first ones
    cache: Literal["memory", "disk"] = "memory"  # where prepared images (uint8) wait for the next epoch
    cache_directory: Text = "cache"  # for `cache: disk`
    corrupt_share: Share = 0.01  # unreadable images left out of a split; more than this share is fatal
    flip: bool = True  # mirror half of the training images
    shift: Annotated[int, Field(ge=0)] = 0  # move training images by up to so many pixels each way
    cutout: Annotated[float, Field(ge=0, le=0.9)] = 0.0  # cover a grey square of training images, of this share of S
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0  # of training images: each one's sigma is drawn from [0, noise]
    train_on_validation: bool = False  # as the papers did: then nothing can be chosen on validation


class CelebAData(_Data):
    """The official raw layout of CelebA (Liu et al. 2015)."""

    source: Literal["celeba"]
    directory: Text  # holds img_align_celeba/ and list_attr_celeba.txt (or .csv)


class TFDSData(_Data):
    """A builder of TensorFlow Datasets with an image and a dictionary or vector of booleans."""

    source: Literal["tfds"]
    builder: Text = "celeb_a"
    directory: Text | None = None  # tensorflow_datasets' data_dir; its own default when left out
    image: Text = "image"
    labels: Text = "attributes"


class TableData(_Data):
    """The user's own: a CSV with a column of image paths and one of 0/1 per attribute."""

    source: Literal["table"]
    file: Text
    directory: Text | None = None  # image paths are relative to this; to the CSV's own folder when left out
    image_column: Text = "image"
    split_column: Text | None = None  # train, validation or test; without it images are divided by `shares`
    group_column: Text | None = None  # who is in the picture: no group is divided, and intervals resample groups
    shares: tuple[Share, Share, Share] = (0.8, 0.1, 0.1)  # train, validation, test


class SyntheticFacesData(_Data):
    """Faces drawn by the program; nothing to download."""

    source: Literal["synthetic_faces"]
    train: Count = 6000
    validation: Count = 1000
    test: Count = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    co_occurrence: Share = 0.5  # P(Wearing_Lipstick = Heavy_Makeup) in train and validation; 0.5 = independent
    test_co_occurrence: Share | None = None  # the same in test; as in train when left out


Data = Annotated[
    Union[CelebAData, TFDSData, TableData, SyntheticFacesData],  # noqa: UP007 (pydantic's tagged union)
    Field(discriminator="source"),
]


class Model(Section):
    """The network (1904.13078, section 3)."""

    channels: Count = 128  # C, of the features and of every mask
    front_end: tuple[Count, ...] = (64, 128)  # channels of the strided stages, each of which halves the image
    dilations: tuple[Annotated[int, Field(ge=0)], ...] = (1, 1, 2, 4, 1)  # of the context's 3x3; 0 is a 1x1
    normalization: Literal["batch", "group", "none"] = "batch"
    masks: Literal["per_feature", "common", "none"] = "per_feature"
    mask_offset: Literal[0, 1] = 1  # T(M) = mask_offset + M while training; the papers: 1
    mask_bias: Annotated[float, Field(allow_inf_nan=False)] = 0.0  # of masks' logits at the start; 0: M = 0.5
    pooled_share: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of positions, highest first, a logit averages
    pooling_sharpness: Positive | None = None  # r of log-sum-exp over these positions; null: their mean
    attribute_heads: bool = True
    multi_label_head: bool = True
    reconstructor: bool = True

    def feature_size(self, image_size: int) -> int:
        """Side of the feature map for images of side `image_size`."""
        return image_size // 2 ** len(self.front_end)


class Loss(Section):
    """Equation 6: alpha L_b + beta L_m + gamma L_r + lambda |M|_1; and delta L_l, which is ours."""

    alpha: NonNegative = 1.0
    beta: NonNegative = 1.0
    gamma: NonNegative = 4.0
    lambda_: NonNegative = Field(1e-5, alias="lambda")
    mask_norm: Literal["sum", "mean"] = "sum"  # |M|_1 of an attribute: over positions and channels; the papers: sum
    reconstruction: Literal["sum", "position_mean", "mean"] = "mean"  # how L_r joins an image's squared errors
    class_weights: Literal["none", "balanced"] = "none"
    localisation: NonNegative = (
        0.0  # delta: maps that lie outside their attributes' boxes cost (losses.OutsideAttention)
    )
    localisation_images: Count | None = None  # the first so many training images have boxes; all when left out
    regions: Text | None = None  # YAML of these boxes, as analysis.regions; the package's own for CelebA when left out


class Training(Section):
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
    parts: Text | None = None  # folder of images with part masks (CelebAMask-HQ's classes): exact regions
    regions: Text | None = None  # YAML that says where attributes are; the package's own for CelebA when left out
    resamples: Count = 500  # of the bootstrap, wherever an interval is computed


class Range(Section):
    """Where `tune` looks for a setting's value; whole numbers where the setting is one."""

    low: Annotated[float, Field(allow_inf_nan=False)]
    high: Annotated[float, Field(allow_inf_nan=False)]
    scale: Literal["log", "linear"] = "log"


class Tune(Section):
    """What `tune` searches for, measured on the validation images (`analysis/measures.py`)."""

    space: Annotated[dict[Text, Range], Field(min_length=1)] = {"loss.lambda": Range(low=1e-8, high=1e-4)}
    oracle: Literal["random", "bayesian", "hyperband"] = "random"
    trials: Count | None = None  # 10 when left out; of hyperband at most so many, and all it needs when left out
    epochs: Count | None = None  # of a trial, of hyperband's longest trials; training.epochs when left out
    objective: Literal["balanced_accuracy", "noise_robustness", "localisation"] = (
        "balanced_accuracy"  # analysis/measures.py
    )

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
    data: Data
    model: Model = Model()
    loss: Loss = Loss()
    training: Training = Training()
    distribute: Distribute = Distribute()
    evaluation: Evaluation = Evaluation()
    analysis: Analysis = Analysis()
    tune: Tune | None = None  # lambda when left out; `fit` does not look at it

    @model_validator(mode="after")
    def _possible(self):
        """Combinations that cannot work; each message opens with the key to change."""
        stride, side = 2 ** len(self.model.front_end), self.model.feature_size(self.data.image_size)
        if self.data.image_size % stride:
            raise ValueError(
                f"data.image_size: expected a multiple of {stride} (model.front_end halves the image "
                f"{len(self.model.front_end)} times). Received: {self.data.image_size}"
            )
        for dilation in self.model.dilations:
            if dilation >= side:
                raise ValueError(
                    f"model.dilations: expected every dilation to be smaller than the feature map, which is "
                    f"{side} x {side}. Received: {dilation}"
                )
        if not (self.model.attribute_heads or self.model.multi_label_head):
            raise ValueError(
                "model.attribute_heads: expected attribute_heads or multi_label_head to be true: "
                "without either there is nothing to classify with. Received: False"
            )
        if self.loss.localisation and not self.model.attribute_heads:
            raise ValueError(
                "loss.localisation: expected 0 where model.attribute_heads is false: there are no maps. "
                f"Received: {self.loss.localisation:g}"
            )
        if self.data.shift >= self.data.image_size // 2:
            raise ValueError(
                f"data.shift: expected less than half of data.image_size ({self.data.image_size}). "
                f"Received: {self.data.shift}"
            )
        if self.data.train_on_validation and self.training.early_stopping is not None:
            raise ValueError(
                "training.early_stopping: expected null where data.train_on_validation is true: nothing can be "
                f"chosen on images that were trained on. Received: {self.training.early_stopping}"
            )
        if self.training.warmup_epochs > self.training.epochs:
            raise ValueError(
                f"training.warmup_epochs: expected at most training.epochs ({self.training.epochs}). "
                f"Received: {self.training.warmup_epochs}"
            )
        if self.data.source == "table" and self.data.split_column is None and abs(sum(self.data.shares) - 1) > 1e-6:
            raise ValueError(f"data.shares: expected three shares that add up to 1. Received: {self.data.shares}")
        return self

    def to_yaml(self) -> str:
        """The resolved configuration; `load` reads it back to an equal one."""
        values = self.model_dump(mode="json", by_alias=True)
        if self.tune is None:
            del values["tune"]
        return yaml.safe_dump(values, sort_keys=False)


def load(path: str | Path, overrides: list[str] = ()) -> Config:
    """Reads a YAML file, applies `section.key=value` overrides, and returns the checked configuration.

    Raises `UserError` for a file that cannot be read, for an unknown key (naming the nearest known one), a wrong
    type, a value out of range, or a combination that cannot work.
    """
    values, where = read(path), str(path)
    for override in overrides:
        put(values, *assignment(override), f"--set {override}")
        where = f"{path} with --set {' '.join(overrides)}"
    return check(values, where)


def read(path: str | Path) -> dict[str, Any]:
    """Plain values of a YAML file that holds a mapping; raises `UserError` for any other."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UserError(f"{path}: expected a readable YAML file. Received: {reason}") from None
    values = _parse(text, str(path))
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping of sections. Received: {type(values).__name__}")
    return values


def check(values: dict[str, Any], where: str, section: type[Section] = Config) -> Section:
    """Checks plain values, as YAML gives them; `where` opens the message of the `UserError` that refuses them."""
    try:
        return section.model_validate(_tuples(values))
    except pydantic.ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        message = _explain(first, section) + (f" (and {more} more)" if more else "")
        raise UserError(f"{where}: {message}") from None


def assignment(override: str) -> tuple[str, Any]:
    """The key and the value of `section.key=value`; raises `UserError` for any other text."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set: expected section.key=value. Received: {override!r}")
    return key.strip(), _parse(text, f"--set {override}")


def put(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Sets `section.key` in plain values; `where` opens the message of the `UserError` where a section is none."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected '{section}' to be a section, but it is a single value")
    values[last] = value


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, where `1e-5` is a number, `on` and `off` are texts, and a key given twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own class attribute)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key}' stands twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except (yaml.YAMLError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{where}{line}: expected YAML. Received: {problem}") from None


def _tuples(value: Any) -> Any:
    """YAML's lists as tuples, which is what immutable sections hold."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _explain(error: dict, section: type[Section]) -> str:
    """One of pydantic's errors as `key: expected ... Received: ...`."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    location = [str(part) for part in error["loc"]]
    tag = location.pop(1) if len(location) > 2 and location[0] == "data" else None
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        known = _known_keys(section, location[:-1], tag)
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}."
        return f"{key}: unknown key; {hint} Received: {error['input']!r}"
    if error["type"] == "missing":
        return f"{key}: expected a value; this key is required and was not given. Received: nothing"
    if error["type"] == "union_tag_not_found":
        return "data.source: expected one of celeba, tfds, table, synthetic_faces. Received: nothing"
    if error["type"] == "union_tag_invalid":
        return f"data.source: expected one of {error['ctx']['expected_tags']}. Received: {error['ctx']['tag']!r}"
    expected = re.sub(r"^(Input|Value|String) should (be|match) ?", "", error["msg"])
    return f"{key}: expected {expected}. Received: {error['input']!r}"


def _known_keys(annotation: Any, location: list[str], tag: str | None) -> list[str]:
    """Keys of the section that a location leads to, through sections, mappings, tuples and unions."""
    union = get_origin(annotation) in (Union, types.UnionType)
    for option in get_args(annotation) if union else (annotation,):
        fields, origin = getattr(option, "model_fields", {}), get_origin(option)
        if fields and not location:
            if tag is None or tag in get_args(fields["source"].annotation):
                return [field.alias or name for name, field in fields.items()]
        elif fields:
            inner = [field for name, field in fields.items() if location[0] in (name, field.alias)]
            return _known_keys(inner[0].annotation, location[1:], tag)
        elif origin in (dict, tuple):
            return _known_keys(get_args(option)[1 if origin is dict else 0], location[1:], tag)
    return []
