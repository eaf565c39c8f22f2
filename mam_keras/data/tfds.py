"""Data sets that TensorFlow Datasets has prepared: `celeb_a`, or any with images and yes-or-no labels or classes.

Reads prepared files only: runs no builder's code, downloads nothing.
"""

import contextlib
import functools
import logging
import shlex
from typing import ClassVar, Literal

import numpy as np

from mam_keras.data import attribute_positions, nearest, some
from mam_keras.data.source import Data, Source, Split, Targets, digests
from mam_keras.data.table import SPLIT_NAMES, one_hot
from mam_keras.errors import UserError
from mam_keras.extras import require
from mam_keras.settings import Text

_ID_FEATURES = ("id", "image_id", "file_name", "filename", "image/filename")


class Settings(Data):
    """A builder of TensorFlow Datasets with an image and a dictionary or vector of booleans, or a class."""

    TITLE: ClassVar[str] = "TensorFlow Datasets"
    PLACES: ClassVar[tuple[str, ...]] = (*Data.PLACES, "directory")
    NEEDS_TENSORFLOW: ClassVar[bool] = True

    source: Literal["tfds"]
    builder: Text = "celeb_a"
    directory: Text | None = None  # tensorflow_datasets' data_dir; its own default when left out
    image: Text = "image"
    labels: Text = "attributes"

    @property
    def is_celeba(self):
        return self.builder.split(":")[0] == "celeb_a"


def load(settings: Settings) -> Source:
    """Reads the labels of all splits; images are read when they are drawn, and decoded as those in files are.

    `settings.labels` names a dictionary of booleans, whose keys are the attributes, a vector of booleans (K,), whose
    attributes are called attribute_0, attribute_1, ..., or a ClassLabel, whose names are exclusive classes; -1 is not
    known, and images of classes that `settings.attributes` does not choose are left out. Splits may be
    called as in a table (`SPLIT_NAMES`). An image is called by its id or file name where the data set has one that is
    unique, or else by its split and running number. The feature `identity`, which `celeb_a` has, makes the groups.

    Raises `UserError` if the extra `tfds` is not installed, the data set is not prepared (naming the command to run),
    has no such features, or cannot be read.
    """
    require("tfds", "data.source: tfds")
    with _quiet():
        builder = _prepared(settings)
        features = builder.info.features
        _expect_image(settings.image, features)
        targets = _targets(settings.labels, features)
        # The later name wins, so "validation" does if there is also a "val" or "valid".
        names = {
            SPLIT_NAMES[name]: name
            for name, split in sorted(builder.info.splits.items())
            if name in SPLIT_NAMES and split.num_examples
        }
        read = {split: _read(builder, name, settings.labels, targets) for split, name in names.items()}
    given = [name for _, ids, _ in read.values() for name in ids]
    unique = len(set(given)) == len(given)
    splits, left_out = {}, 0
    chosen = targets.names
    if targets.exclusive:
        chosen = tuple(targets.names[position] for position in attribute_positions(settings.attributes, targets.names))
    for split, (labels, ids, groups) in read.items():
        if not (unique and len(ids)):
            ids = [f"{split}-{number:06}" for number in range(len(labels))]
        known, rows = np.ones(labels.shape, bool), np.ones(len(labels), bool)
        if targets.exclusive:
            known = np.repeat(labels.any(axis=1, keepdims=True), len(chosen), axis=1)
            labels = labels[:, [targets.names.index(name) for name in chosen]]
            rows = labels.any(axis=1) | ~known.any(axis=1)
            left_out += np.count_nonzero(~rows)
        splits[split] = Split(
            ids=np.array(ids)[rows],
            labels=labels[rows],
            images=functools.partial(_images, builder, names[split], settings.image, rows),
            groups=None if groups is None else groups[rows],
            contents=functools.cache(functools.partial(_contents, builder, names[split], settings.image, rows)),
            known=known[rows],
        )
    others = [name for name in targets.names if name not in chosen]
    note = f"{settings.builder}: left out {left_out} images of classes that are not chosen: {some(others)}"
    return Source(targets._replace(names=chosen), splits, (note,) if left_out else ())


@contextlib.contextmanager
def _quiet():
    """Keeps what TFDS logs about a folder it does not know from the user, who gets an error that says what to do."""
    import tensorflow_datasets  # noqa: F401 (with it comes absl, which has to make its own logger)

    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _prepared(settings):
    import tensorflow_datasets as tfds

    name, directory = settings.builder, settings.directory
    try:
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=directory)
    except tfds.core.DatasetNotFoundError:
        pass
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"data.builder: expected NAME[/CONFIG][:VERSION] of one data set. Received: {reason}") from None
    where = "TensorFlow Datasets' own folder" if directory is None else directory
    command = f"tfds build {shlex.quote(name)}" + (f" --data_dir {shlex.quote(directory)}" if directory else "")
    known = tfds.list_builders(with_community_datasets=False)
    hint = ""
    if name.split("/")[0].split(":")[0] not in known:
        hint = f" (or did you mean {nearest(name, known)!r}?)"
    raise UserError(
        f"data.builder: expected {name!r} to be prepared in {where}; run `{command}` once{hint}. Received: no such data"
    )


def _expect_image(name, features):
    import tensorflow_datasets as tfds

    feature = _feature("image", name, features)
    if not isinstance(feature, tfds.features.Image) or np.issubdtype(feature.np_dtype, np.floating):
        raise UserError(f"data.image: expected a feature of images of integers. Received: {name!r}, {_kind(feature)}")


def _targets(name, features) -> Targets:
    import tensorflow_datasets as tfds

    feature = _feature("labels", name, features)
    parts = feature.items() if isinstance(feature, tfds.features.FeaturesDict) else ()
    if parts and all(_is_scalar(part, np.bool_) for _, part in parts):
        return Targets(tuple(sorted(name for name, _ in parts)))  # their order in TFDS's files means nothing
    is_vector = isinstance(feature.shape, tuple) and len(feature.shape) == 1 and feature.shape[0]  # None: it varies
    if is_vector and feature.np_dtype == np.bool_:
        return Targets(tuple(f"attribute_{number}" for number in range(feature.shape[0])))
    if isinstance(feature, tfds.features.ClassLabel) and (feature.num_classes or 0) > 1:
        return Targets(tuple(feature.names), exclusive=True)
    raise UserError(
        f"data.labels: expected a dictionary or a vector of booleans, or classes. Received: {name!r}, {_kind(feature)}"
    )


def _feature(key, name, features):
    if name not in features:
        raise UserError(
            f"data.{key}: expected one of the data set's features; did you mean {nearest(name, features.keys())!r}? "
            f"Received: {name!r}"
        )
    return features[name]


def _kind(feature) -> str:
    return " ".join(repr(feature).split())[:120]


def _is_scalar(feature, *kinds) -> bool:
    return feature.shape == () and any(np.issubdtype(feature.np_dtype, kind) for kind in kinds)


def _read(builder, name, labels, targets):
    """labels bool (n, K), ids (n strings, or none), groups int (n,) or None of one split, without its images."""
    import tensorflow as tf

    features = builder.info.features
    id_name = next(
        (key for key in _ID_FEATURES if key in features and _is_scalar(features[key], np.integer, np.object_)), None
    )
    has_groups = "identity" in features and _is_scalar(_only(features["identity"]), np.integer)
    wanted = {labels: True} | ({id_name: True} if id_name else {}) | ({"identity": True} if has_groups else {})

    def columns(batch):
        vector = batch[labels]
        if isinstance(vector, dict):
            vector = tf.stack([vector[attribute] for attribute in targets.names], axis=-1)
        found = {"labels": vector}
        if id_name:
            found["ids"] = batch[id_name]
        if has_groups:
            found["groups"] = _only(batch["identity"])
        return found

    try:
        batches = list(_in_order(builder, name, wanted).batch(1024).map(columns).as_numpy_iterator())
    except tf.errors.OpError as error:
        reason = str(error.message).splitlines()[0]
        raise UserError(f"{builder.data_path}: expected readable records of {name!r}. Received: {reason}") from None
    found = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    ids = [each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in found.get("ids", ())]
    if targets.exclusive:
        found["labels"] = one_hot(found["labels"], len(targets.names))
    return found["labels"], ids, found.get("groups")


def _only(value):
    """What a dictionary of one thing holds (`celeb_a` has {"Identity_No": 12}); anything else as it is."""
    import tensorflow_datasets as tfds

    is_one = isinstance(value, (dict, tfds.features.FeaturesDict)) and len(value) == 1
    return next(iter(value.values())) if is_one else value


def _images(builder, name, image, rows):
    import tensorflow as tf

    from mam_keras.data import images

    return _encoded(builder, name, image, rows).map(
        images.read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def _encoded(builder, name, image, rows):
    """The encoded images of a split, those alone where `rows`, bool (n,), says so."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    with _quiet():
        encoded = _in_order(builder, name, {image: True}, {image: tfds.decode.SkipDecoding()})
    if not rows.all():
        encoded = tf.data.Dataset.zip(tf.data.Dataset.from_tensor_slices(rows), encoded)
        encoded = encoded.filter(lambda kept, _: kept).map(lambda _, example: example)
    return encoded.map(lambda example: example[image])


def _in_order(builder, name, wanted, decoders=None):
    """The wanted features of a split's examples, in the order of its files."""
    import tensorflow_datasets as tfds

    return builder.as_dataset(
        split=name,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(wanted, decoders=decoders),
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )


def _contents(builder, name, image, rows) -> np.ndarray:
    return digests(_encoded(builder, name, image, rows).as_numpy_iterator())
