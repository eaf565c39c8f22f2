"""A run's model on labelled images that are not its own: answered anew, analysed anew, kept apart.

Attributes are matched by name: labels of those that the data do not have are not known, those that the run does not
answer are left out. What is fitted or chosen is so on the validation images of these data, where they have some.
"""

import functools
import hashlib
from pathlib import Path

import numpy as np

from mam_keras import command_line, data, predictions, settings, trained_on
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.errors import UserError
from mam_keras.files import digest
from mam_keras.predictions import Predictions
from mam_keras.records import PREPARED

_EVALUATED = ("validation", "test")


def opened(path, overrides=(), file=None) -> TrainedRun:
    """The run in `path`, on its own data or on others.

    Args:
        overrides: of `report --set`. Where those of `data` lead to the run's own images, as after a move, it is the run
            on its own data; where they lead to others, a note says what differs.
        file: YAML of other data, a configuration or its section `data` alone; or None.

    Raises `UserError` as `TrainedRun` and `OtherData` do.
    """
    if file is not None:
        return OtherData(path, overrides, file)
    run = TrainedRun(path, overrides)
    if run.config.data == run.trained_with.data or run.record is None:
        return run
    command_line.import_tensorflow()
    try:
        for split in _EVALUATED:
            run.images(split)
    except trained_on.Different as error:
        print(f"note: these are not the data that the run was trained on: {error.what}")
        return OtherData(path, overrides)
    return run


class OtherData(TrainedRun):
    """A run on other data, for analysis.

    Attributes:
        name: of the data.

    Raises `UserError` where these have no images of the split that is analysed, or nothing that the run answers.
    """

    def __init__(self, path, overrides=(), file=None):
        self._own = TrainedRun(path)
        own = self._own.config.data
        section = own.model_dump(mode="json") if file is None else _section(file)
        section |= {key: getattr(own, key) for key in PREPARED} | {"train_on_validation": False}
        super().__init__(path, overrides, section, file)
        self._where = file or "--set data"
        self.name = Path(file).stem if file else self.config.data.source

    @property
    def folder(self):
        return super().folder / "other_data" / f"{self.name}-{self._digest}"

    @functools.cached_property
    def source(self):
        found, split = data.load(self.config.data, training=False), self.config.analysis.split
        if split not in found.splits:
            counts = ", ".join(f"{name} {len(one)}" for name, one in found.splits.items())
            raise UserError(f"{self._where}: expected {split} images (analysis.split). Received: {counts}")
        if found.targets.exclusive != self.targets.exclusive or not set(found.attributes) & set(self.attributes):
            raise UserError(
                f"{self._where}: expected data about what the run answers, {data.some(self.attributes)}. "
                f"Received: {data.some(found.attributes)}"
            )
        self._unmatched = [
            ("labels of what these data do not have are not known", set(self.attributes) - set(found.attributes)),
            ("left out, which the run does not answer", set(found.attributes) - set(self.attributes)),
        ]
        return data.asked_about(found, self.targets)

    @property
    def targets(self):
        return self._own.targets

    @property
    def training(self):
        return self._own.training

    @property
    def finished(self):
        return self.directory.model.exists()

    @functools.cached_property
    def answers(self):
        """Answered where they are not kept."""
        path = self.folder / "predictions.npz"
        if not path.exists():
            splits = {name: self.images(name) for name in _EVALUATED if name in self.source.splits}
            trained_on.write(path.with_name("data.npz"), self.targets, splits)
            predictions.write(path, {name: self._answered(split) for name, split in splits.items()})
        return path

    @property
    def described(self) -> str:
        """What the page says of the data."""
        there, trained = trained_on.read(self.answers.with_name("data.npz")).splits, self.record.splits.get("train")
        said = [", ".join(f"{len(images.ids):,} images of {name}" for name, images in there.items())]
        if trained is None or trained.files is None:
            said.append("the run does not say which images it was trained on, so these may be among them")
        else:
            seen = sum(images.also_in(trained) for images in there.values())
            said.append(f"the network was trained on {f'{seen:,} of them' if seen else 'none of them'}")
        said += [f"{what}: {data.some(sorted(names), 5)}" for what, names in self._unmatched if names]
        if "validation" not in there:
            said.append("nothing is fitted or chosen, for want of validation images")
        return f"{self.name} ({self.config.data.TITLE}): {'; '.join(said)}"

    def _read_images(self, split):
        from mam_keras.data import pipeline

        return pipeline.read(self.source.splits[split], split, self.config.data)

    def _answered(self, images):
        command_line.import_tensorflow()
        import tensorflow as tf

        from mam_keras.analysis.stream import stream

        network, found = self.network, {}
        model = network.computing(*(head.name for head in network.heads))

        @tf.function(reduce_retracing=True)
        def probabilities(batch):
            return {name: network.probabilities(logits) for name, logits in model(batch, training=False).items()}

        for _, batch in stream(images, self.config.evaluation.batch_size, "Answers"):
            for head, values in probabilities(batch).items():
                found.setdefault(head, []).append(values.numpy())
        heads = {head.name: np.concatenate(found[head.name]) for head in network.heads}
        return Predictions(images.ids, images.labels, images.groups, heads, images.known, self.targets)

    @functools.cached_property
    def _digest(self):
        """Of the model, and of these data wherever they are."""
        found = hashlib.sha256(f"{digest(self.directory.model)} {self.targets}".encode())
        for name in _EVALUATED:
            if split := self.source.splits.get(name):
                found.update(f"{name} {split.ids.tolist()}".encode() + split.labels.tobytes() + split.known.tobytes())
                found.update(split.contents().tobytes())
        return found.hexdigest()[:12]


def _section(file):
    """The plain values of a data section in a YAML file. Images of a table that says no split are all for testing."""
    values = settings.read(file)
    section = values.get("data", values)
    if not isinstance(section, dict):
        raise UserError(f"{file}: expected a section data. Received: {section!r}")
    source = str(section.get("source"))
    divided = section.get("split_column") or source not in data.SOURCES.modules
    if not divided and "shares" in data.SOURCES.module(source).Settings.model_fields:
        return {"shares": [0.0, 0.0, 1.0]} | section
    return dict(section)
