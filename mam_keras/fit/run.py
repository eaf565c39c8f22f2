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

from mam_keras import __version__, command_line, data, evaluation, predictions, records, systems, trained_on
from mam_keras.data import pipeline
from mam_keras.data.source import SPLITS
from mam_keras.errors import UserError
from mam_keras.files import digest_of, naming_full_disk, record, replacing, write_json, write_text
from mam_keras.fit import checkpoint, guidance
from mam_keras.fit import strategy as strategies
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from mam_keras.fit.progress import EpochLines
from mam_keras.fit.start import take, weights_of
from mam_keras.fit.strategy import from_chief
from mam_keras.fit.table import table
from mam_keras.run_directory import located


def run(config, directory, cluster=None, source=None):
    """Trains what `config` says in an opened `RunDirectory`, or carries on, and leaves the design's files in it.

    With a `cluster.Cluster`, together with its other workers; the chief alone has opened the directory and writes.
    `source` are the data of `config`, where they have been read already.
    """
    command_line.import_tensorflow()  # and Keras as the product needs it, where it is a library
    strategy = strategies.make(config.distribute.strategy, cluster)
    with strategies.naming_lost_workers(strategy), naming_full_disk(directory.path):
        _run(config, directory, strategy, source)


def _run(config, directory, strategy, source):
    training = strategies.fitted(config, strategy.num_replicas_in_sync).training
    chief, begun = strategies.is_chief(strategy), from_chief(strategy, b"" if directory.begun else None) is not None
    asked, config = config, located(config, Path.cwd(), directory.trained_in)
    if chief:
        environment = _environment(config, strategy)
        if config != asked:  # its data are still where the run was begun
            environment["directory"] = str(directory.trained_in)
        if begun and (kept := records.environment(directory)):
            environment |= {key: kept[key] for key in ("start", "started_from") if key in kept}
            if kept.get("regions", environment["regions"]) != environment["regions"]:
                raise UserError(
                    f"{config.loss.regions or 'loss.regions'}: expected the regions that this run was begun with; put "
                    "them back, or --overwrite trains anew. Received: others"
                )
    weights = None if begun or config.training.start_from is None else weights_of(config.training.start_from)
    _set_up(config)
    source, splits = _data(source or data.load(config.data), config, directory, strategy, begun)
    guidance.require_known(config, source.attributes)
    train, validation, test = map(splits.get, SPLITS)
    _check_sizes(config, train, validation)
    _check_equal(config, weights, (train, validation, test), strategy)
    kind = "classes" if source.targets.exclusive else "attributes"
    print(
        f"{config.name}: {len(train):,} training images, {len(source.attributes)} {kind}, "
        f"run directory {directory.path}"
    )

    class_weights = guidance.class_weights(config, source.targets, train.rates)
    alone = guidance.region_only(config, source.targets, train) if config.data.region_only else None
    with strategy.scope():
        network = systems.attach(config, source.targets, systems.build(config, source.targets))
        blocks = guidance.guide(config, network, train) if config.loss.localisation else None
        if not begun:  # a checkpoint holds them, and the file may be gone by then
            config.model.load_weights(network.model)
            config.model.look_at(network.model, train.images)
        said = take(network, weights) if weights else []
        network.model.compile(
            optimizer=make_optimizer(training, len(train) // config.training.batch_size),
            **network.losses(class_weights),
        )
        trainer = Trainer(network, config, Objective(network, class_weights), strategy, alone)
    print("".join(f"note: {line}\n" for line in said), end="")
    if chief:  # all that could be refused has been looked at
        if weights:
            environment["started_from"] = {"run": str(weights.path), "model": weights.model, "said": said}
        directory.begin(asked)
        write_json(directory.environment, environment)
        if not begun:
            trained_on.write(directory.data, source.targets, splits)
    del weights  # as much again as the network
    board = keras.callbacks.TensorBoard(directory.logs, write_graph=False) if chief else keras.callbacks.Callback()
    steps = len(train) // config.training.batch_size
    heads = {head.name: predictions.title(head.name, source.targets.exclusive) for head in network.heads}
    lines = EpochLines(config.training.epochs, heads, steps, directory.progress if chief else None)
    trainer.fit(train, validation, directory, [lines, board], blocks)
    if config.training.early_stopping and trainer.restore(directory.best_checkpoint) is None:
        raise UserError(f"{directory.best_checkpoint}: expected {checkpoint.WHAT}. Received: no such file")
    if chief:
        with replacing(directory.model) as beside:
            network.model.save(beside)

    del splits["train"]
    answers = {
        name: predictions.Predictions(
            split.ids, split.labels, split.groups, trainer.evaluate(split)[1], split.known, source.targets
        )
        for name, split in splits.items()
    }
    if not chief:
        print(f"This worker is done; the chief evaluates and writes {directory.path}")
        return
    predictions.write(directory.predictions, answers)
    results = {
        "splits": {
            name: evaluation.evaluate(split, train.rates, config.evaluation.resamples, config.seed)
            for name, split in answers.items()
        }
    }
    text = record(results)
    left = records.left(directory) | {directory.evaluation.name: digest_of(text)}
    write_json(directory.environment, environment | {"end": _now(), "files": left})
    write_text(directory.evaluation, text)
    directory.remove_checkpoints()
    print(table(results) if splits else "Nothing to evaluate on: the data have neither validation nor test.")
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


def _data(source, config, directory, strategy, begun):
    """The source and {split: `Prepared`}; of a run that goes on, those that it began with.

    What cannot be read is named. Raises `UserError` where anything is not as it was.
    """
    for note in source.notes:
        print(f"note: {note}")
    chief = strategies.is_chief(strategy)
    content = directory.data.read_bytes() if chief and begun and directory.data.exists() else None
    content = strategies.from_chief(strategy, content)
    record = None if content is None else trained_on.read(directory.data, content)
    if chief and begun and record is None:
        print("note: an earlier version began this run and did not note its images, which are taken to be the same")
    try:
        source = source if record is None else record.asked(source)
        splits = {name: _read(source, name, config) for name in SPLITS if name in source.splits}
        splits = splits if record is None else record.matched(splits)
    except trained_on.Different as error:
        raise trained_on.Different(error.path, error.what, "put them back, or --overwrite trains anew") from None
    return source, splits


def _read(source, name, config):
    prepared = pipeline.read(source.splits[name], name, config.data)
    if prepared.changed:
        print(f"note: {name}: {prepared.changed}")
    for unreadable in prepared.unreadable:
        print(f"note: left out of {name}: {unreadable}", file=sys.stderr)
    return prepared


def _check_sizes(config, train, validation):
    if config.training.batch_size > len(train):
        raise UserError(
            f"training.batch_size: expected at most the number of training images, {len(train)}. "
            f"Received: {config.training.batch_size}"
        )
    if config.training.early_stopping and (validation is None or not validation.known.any()):
        lack = (
            "the data have no validation split" if validation is None else "no label of the validation split is known"
        )
        raise UserError(
            f"training.early_stopping: expected null where {lack}. Received: {config.training.early_stopping}"
        )


def _check_equal(config, weights, splits, strategy):
    """All workers must train the same on the same images; what a machine calls its own are only places."""
    places = {"data": True, "training": {"start_from"}, "loss": {"regions"}}
    settings = config.model_dump(mode="json", exclude=places)
    settings |= {"data": config.data.content(), "weights": weights and weights.model}
    settings |= {"regions": guidance.digest_of_regions(config)}
    found = hashlib.sha256(f"{__version__} {json.dumps(settings)}".encode())
    for split in filter(None, splits):
        found.update(json.dumps(split.ids.tolist()).encode() + split.labels.tobytes() + split.known.tobytes())
        found.update(b"" if split.contents is None else split.contents.tobytes())
    own = np.frombuffer(found.digest(), np.int32)[None]
    different = (strategies.gather(strategy, own) != own).any(axis=1)
    if different.any():
        raise UserError(
            "--set, data: expected the same settings and the same images with the same labels on every worker. "
            f"Received: others on {'worker' if different.sum() == 1 else 'workers'} "
            f"{', '.join(map(str, np.flatnonzero(different)))} than on this one (counted from 0, the chief)"
        )


def _environment(config, strategy):
    versions = {package.__name__: package.__version__ for package in (tf, keras, np, pydantic)}
    return {
        "versions": {"mam_keras": __version__, "python": platform.python_version(), **versions},
        "platform": platform.platform(),
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "replicas": strategy.num_replicas_in_sync,
        "git_revision": _git_revision(),
        "directory": str(Path.cwd()),  # which relative paths of the configuration are relative to
        "seed": config.seed,
        "settings": records.trained(config),
        "regions": guidance.digest_of_regions(config),
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
