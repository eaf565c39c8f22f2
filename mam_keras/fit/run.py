"""One run from its configuration to `evaluation.json`: reads the data, trains, evaluates, writes the run directory."""

import datetime
import hashlib
import json
import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pydantic
import tensorflow as tf

from mam_keras import __version__, data, evaluation, model
from mam_keras.data import pipeline, places, some
from mam_keras.data.augmentation import Augmentation, Blocks
from mam_keras.errors import UserError
from mam_keras.fit import strategy as strategies
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from mam_keras.fit.progress import EpochLines
from mam_keras.model.losses import balanced_class_weights
from mam_keras.run_directory import replacing, write_json


def run(config, directory, cluster=None):
    """Trains what `config` says in an opened `RunDirectory`, or carries on, and leaves the design's files in it.

    With a `cluster.Cluster`, together with its other workers; the chief alone has opened the directory and writes.
    """
    strategy = strategies.make(config.distribute.strategy, cluster)
    with strategies.naming_lost_workers(strategy):
        _run(strategies.fitted(config, strategy.num_replicas_in_sync), directory, strategy)


def _run(config, directory, strategy):
    chief = strategies.is_chief(strategy)
    if chief:
        environment = _environment(config, strategy)
        if directory.environment.exists():  # carried on
            environment["start"] = json.loads(directory.environment.read_text())["start"]
        write_json(directory.environment, environment)
    _set_up(config)
    source = data.load(config.data)
    for note in source.notes:
        print(f"note: {note}")
    train, validation = (_read(source, name, config) for name in ("train", "validation"))
    test = _read(source, "test", config)
    _check_sizes(config, train, validation)
    _check_equal(config, (train, validation, test), strategy)
    print(
        f"{config.name}: {len(train):,} training images, {len(source.attributes)} attributes, "
        f"run directory {directory.path}"
    )

    blocks = _blocks(config, source.attributes, train) if config.loss.localisation else None
    class_weights = None
    if config.loss.class_weights == "balanced":
        class_weights = balanced_class_weights(train.labels.mean(axis=0))
    with strategy.scope():
        network = model.build(config, source.attributes)
        network.compile(
            optimizer=make_optimizer(config.training, len(train) // config.training.batch_size),
            **model.compile_losses(network, config, source.attributes, class_weights),
        )
        trainer = Trainer(network, config, Objective(config, class_weights), strategy)
    board = keras.callbacks.TensorBoard(directory.logs, write_graph=False) if chief else keras.callbacks.Callback()
    trainer.fit(train, validation, directory, [EpochLines(config.training.epochs), board], blocks)
    if config.training.early_stopping:
        trainer.restore(directory.best_checkpoint)
    if chief:
        with replacing(directory.model) as beside:
            network.save(beside)

    splits = {"validation": validation, "test": test}
    splits = {name: split for name, split in splits.items() if split is not None}
    predictions = {
        name: evaluation.Predictions(split.ids, split.labels, split.groups, trainer.evaluate(split)[1])
        for name, split in splits.items()
    }
    if not chief:
        print(f"This worker is done; the chief evaluates and writes {directory.path}")
        return
    _write_predictions(directory.predictions, predictions)
    rates = train.labels.mean(axis=0)
    results = {
        "splits": {
            name: evaluation.evaluate(p, source.attributes, rates, config.evaluation.resamples, config.seed)
            for name, p in predictions.items()
        }
    }
    write_json(directory.environment, environment | {"end": _now()})
    write_json(directory.evaluation, results)
    directory.remove_checkpoints()
    print(evaluation.table(results) if splits else "Nothing to evaluate on: the data have neither validation nor test.")
    print(f"Written: {directory.path}")


def _set_up(config):
    keras.utils.set_random_seed(config.seed)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    if config.training.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
        if not tf.config.list_physical_devices("GPU"):
            print(
                "note: training.precision: bfloat16 is meant for accelerators; on this CPU it is several times slower"
            )


def _read(source, name, config):
    """A split of the source, prepared; None where there is no such split. What cannot be read is named."""
    if name not in source.splits:
        return None
    prepared = pipeline.read(source.splits[name], name, config.data)
    for unreadable in prepared.unreadable:
        print(f"note: left out of {name}: {unreadable}", file=sys.stderr)
    return prepared


def _blocks(config, attributes, train):
    """Where attributes are in training images, for `loss.localisation`; says for which of them that is not known."""
    if not places.aligned(config.data, config.loss.regions):
        raise UserError(
            "loss.localisation: expected 0, or a file that says where attributes are in these images (loss.regions). "
            f"Received: {config.loss.localisation:g}"
        )
    regions = places.boxes(places.read(config.loss.regions), config.data, attributes, train.ids)
    placed = regions.any(axis=(1, 2))
    if not placed.any():
        raise UserError(
            "loss.regions: expected boxes for at least one of the data's attributes. "
            f"Received: none for {some(attributes)}"
        )
    if not placed.all():
        print(f"note: without boxes, so that their maps are left alone: {some(np.array(attributes)[~placed].tolist())}")
    side = config.model.feature_size(config.data.image_size)
    return Blocks(np.moveaxis(regions, 0, -1), side, Augmentation.of(config.data))


def _check_sizes(config, train, validation):
    if config.training.batch_size > len(train):
        raise UserError(
            f"training.batch_size: expected at most the number of training images, {len(train)}. "
            f"Received: {config.training.batch_size}"
        )
    if config.training.early_stopping and validation is None:
        raise UserError(
            "training.early_stopping: expected null where the data have no validation split. "
            f"Received: {config.training.early_stopping}"
        )


def _check_equal(config, splits, strategy):
    """All workers must train the same on the same images; what a machine calls its own are only places."""
    places = {"directory", "file", "cache", "cache_directory"}
    settings = config.model_dump(mode="json", exclude={"data": places})
    found = hashlib.sha256(f"{__version__} {json.dumps(settings)}".encode())
    for split in filter(None, splits):
        found.update(json.dumps(split.ids.tolist()).encode() + split.labels.tobytes())
    own = np.frombuffer(found.digest(), np.int32)[None]
    different = (strategies.gather(strategy, own) != own).any(axis=1)
    if different.any():
        raise UserError(
            "--set, data: expected the same settings and the same images with the same labels on every worker. "
            f"Received: others on {'worker' if different.sum() == 1 else 'workers'} "
            f"{', '.join(map(str, np.flatnonzero(different)))} than on this one (counted from 0, the chief)"
        )


def _write_predictions(path, predictions):
    """One array per split and kind: SPLIT.ids, SPLIT.labels, SPLIT.groups (if any), SPLIT.HEAD (probabilities)."""
    arrays = {}
    for name, split in predictions.items():
        arrays |= {f"{name}.ids": split.ids.astype(str), f"{name}.labels": split.labels}
        if split.groups is not None:
            arrays[f"{name}.groups"] = split.groups
        arrays |= {f"{name}.{head}": probabilities for head, probabilities in split.probabilities.items()}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _environment(config, strategy):
    versions = {package.__name__: package.__version__ for package in (tf, keras, np, pydantic)}
    return {
        "versions": {"mam_keras": __version__, "python": platform.python_version(), **versions},
        "platform": platform.platform(),
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "replicas": strategy.num_replicas_in_sync,
        "git_revision": _git_revision(),
        "seed": config.seed,
        "start": _now(),
        "end": None,
    }


def _git_revision():
    """Of the checkout this package runs from; None where it was installed without one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
