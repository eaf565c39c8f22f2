"""What analyses start from: a finished run's settings, its predictions, its network and the images it was tested on.

Everything is read when it is first asked for, so that an analysis of predictions alone opens no image and no model.
"""

import dataclasses
import functools
import shutil
import tempfile
import weakref
from pathlib import Path

from mam_keras import command_line, data, predictions, records, trained_on
from mam_keras import config as configuration
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.files import digest, unwritable
from mam_keras.run_directory import RunDirectory, located


class TrainedRun:
    """A run directory opened for analysis.

    Args:
        path: of the run directory.
        overrides: `section.key=value` of `report --set`; only `analysis` and `data` can be changed after training.
        section: plain values that stand in the place of the run's `data`, for images of another source; None for its
            own.
        file: where `section` was read, which messages then name.

    Raises `UserError` where there is no run, or an override is not possible.
    """

    def __init__(self, path, overrides=(), section=None, file=None):
        self.directory = RunDirectory(path)
        if not self.directory.config.exists():
            raise UserError(f"{path}: expected a run directory (with config.yaml). Received: no such run")
        for override in overrides:
            if override.split(".")[0].strip() not in ("analysis", "data"):
                raise UserError(
                    f"--set {override}: expected a setting of analysis or data: the model is trained already. "
                    f"Received: {override.split('=')[0]}"
                )
        own = configuration.load(self.directory.config)
        records.require_whole(self.directory, own)
        own = located(own, self.directory.trained_in, Path.cwd())
        values, where = own.model_dump(mode="json", by_alias=True), str(file or self.directory.config)
        if section is not None:
            values["data"] = section
        self.trained_with, self.config = own, configuration.changed(values, where, list(overrides))
        for key in records.PREPARED:
            if getattr(self.config.data, key) != getattr(own.data, key):
                raise UserError(
                    f"--set data.{key}: expected {getattr(own.data, key)!r}, as {self.directory.model} was trained. "
                    f"Received: {getattr(self.config.data, key)!r}"
                )
        self._images, self._predictions = {}, {}

    @functools.cached_property
    def folder(self):
        """Where results are kept: the run's `analysis/`, or what stands in for it while this object lives, where
        nothing can be written there.
        """
        kept = self.directory.path / "analysis"
        why = unwritable(kept if kept.is_dir() else self.directory.path)
        if why is None:
            return kept
        print(f"note: {kept} cannot be written ({why}): what it lacks is computed, and not kept", flush=True)
        folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        for file in kept.glob("*.*"):
            folder.joinpath(file.name).symlink_to(file.resolve())
        return folder

    @functools.cached_property
    def source(self):
        """The run's `data.Source`, with its targets in their order. Raises `Different` where it lacks one of them."""
        noted = self.record is not None and "train" in self.record.splits
        found = data.load(self.config.data, training=not noted)
        return found if self.record is None else self.record.asked(found)

    @functools.cached_property
    def record(self):
        """The `trained_on.Record` of the run; of what it answered alone in earlier versions, and None before that."""
        found = trained_on.read(self.directory.data)
        return found or trained_on.of_predictions(self.directory.predictions, self.said)

    @functools.cached_property
    def said(self):
        """The `data.source.Targets` that the run says itself that it answers, for its data may be gone; else None.

        Runs of earlier versions left the names in evaluation.json alone, or nowhere.
        """
        return predictions.targets(self.directory.predictions) or _evaluated(records.evaluation(self.directory))

    @property
    def targets(self):
        """What the run was trained to answer; the data are asked where it does not say itself."""
        return self.said or self.source.targets

    @property
    def attributes(self):
        """The K targets' names."""
        return self.targets.names

    @functools.cached_property
    def training(self):
        """What it was trained on: `labels`, `known` and `rates`, the share of positive images, float (K,)."""
        noted = {} if self.record is None else self.record.splits
        return noted["train"] if "train" in noted else self.source.splits["train"]

    @property
    def training_rates(self):
        """Those of `training`."""
        return self.training.rates

    def images(self, split):
        """A split, as `pipeline.Prepared`, in the run's order; None where the source has no such split. Read once.

        Raises `trained_on.Different` where it is not the one that the run answered.
        """
        if split not in self.source.splits:
            return None
        if split not in self._images:
            self._images[split] = self._read_images(split)
        return self._images[split]

    def _read_images(self, split):
        from mam_keras.data import pipeline

        found = pipeline.read(self.source.splits[split], split, self.config.data)
        return found if self.record is None or not self.record.splits else self.record.matched({split: found})[split]

    @functools.cached_property
    def network(self):
        """The trained `model.network.Network`."""
        command_line.import_tensorflow()
        from mam_keras import systems

        return systems.load(self.config, self.targets, self.directory.model)

    @functools.cached_property
    def looks(self):
        """What the network answers under any condition, `looks.Looks`."""
        from mam_keras.analysis.looks import Looks

        return Looks(self)

    @functools.cached_property
    def untrained(self):
        """The same network with random weights, which follow from the run's seed: a control."""
        import keras

        from mam_keras import systems

        keras.utils.set_random_seed(self.config.seed)
        return systems.attach(self.config, self.targets, systems.build(self.config, self.targets))

    def predictions(self, split):
        """`predictions.Predictions` of a split, as `fit` left them; None where there are none. Read once.

        Raises `UserError` for a damaged file, and for answers to something else than `targets`.
        """
        if split not in self._predictions:
            self._predictions[split] = self._read(split)
        return self._predictions[split]

    @property
    def answers(self):
        """The file of the predictions."""
        return self.directory.predictions

    @property
    def finished(self):
        """Whether there is what analyses are computed from."""
        return self.directory.model.exists() and self.directory.predictions.exists()

    @functools.cached_property
    def digests(self):
        """Of the model and of the predictions, which every result follows from."""
        return {"model": digest(self.directory.model), "predictions": digest(self.answers)}

    def _read(self, split):
        found = predictions.read(self.answers, split)
        if found is None or found.targets is not None:
            return found
        try:
            return dataclasses.replace(found, targets=self.targets)
        except ValueError as error:
            raise UserError(
                f"{self.directory.predictions}: expected answers for the {len(self.attributes)} attributes of the "
                f"data. Received: answers for {found.labels.shape[1]}"
            ) from error


def _evaluated(evaluation):
    """The targets of an earlier version's evaluation; None where it names none, as with nothing to evaluate on."""
    heads = next(iter((evaluation or {"splits": {}})["splits"].values()), {"heads": {}})["heads"]
    head = next(iter(heads.values()), None)
    return head and Targets(tuple(head["per_attribute"]))
