"""The run directory: which files there are, and what may be done in it.

Knows nothing of what is in them; imports neither TensorFlow nor Keras.
"""

import contextlib
import os
from pathlib import Path

from mam_keras import config as configuration
from mam_keras import records
from mam_keras.errors import UserError
from mam_keras.files import held, marked, remove_partial, write_mark
from mam_keras.settings import difference

_CHECKPOINTS = ("checkpoints/*.npz", "checkpoints/progress.json")
_RESULTS = (
    *(f"analysis/{place}*.{kind}" for place in ("", "other_data/*/") for kind in ("json", "npz")),
    "saved_model/[0-9]*/**/*",
)
_OTHERS = ("history.csv", "environment.json", "data.npz", "logs/*/events*")


class RunDirectory:
    """Paths of one run (the files of the design's contract)."""

    def __init__(self, path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.environment = self.path / "environment.json"
        self.model = self.path / "model.keras"
        self.history = self.path / "history.csv"
        self.evaluation = self.path / "evaluation.json"
        self.predictions = self.path / "predictions.npz"
        self.data = self.path / "data.npz"
        self.logs = self.path / "logs"
        self.checkpoints = self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.npz"
        self.best_checkpoint = self.checkpoints / "best.npz"
        self.progress = self.checkpoints / "progress.json"
        self._anew = False  # whether `begin` removes what is there, though it could go on

    @property
    def begun(self):
        """Whether there is a checkpoint to go on from; one that is to be overwritten is none."""
        return not self._anew and self.last_checkpoint.exists()

    @property
    def trained_in(self):
        """The folder that `fit` was started in, which relative paths of the configuration are relative to.

        None where the run does not say, is to be overwritten, or there is no such folder any more.
        """
        folder = None if self._anew else (records.environment(self) or {}).get("directory")
        return Path(folder) if folder and Path(folder).is_dir() else None

    @property
    def finished(self):
        """Whether training and evaluation are done; evaluation.json is written last."""
        return self.evaluation.exists()

    def open(self, config, overwrite):
        """Holds the directory (`held`) for `config`: a new run, one to carry on, or one to `overwrite`.

        What is there stays until `begin`, so that nothing is lost where the data or the network are refused.

        Raises `UserError` for a finished run, a run of another configuration, and what is left of a run that could
        not be carried on.
        """
        self._anew = overwrite
        return held(self.path, "run", self._is_run, lambda: self._check(config))

    def begin(self, config):
        """Makes the opened directory that of a run of `config`, and removes what is left of one that does not go on."""
        if not self.begun:
            self._empty()
            self._anew = False
        self.write_config(config)

    def write_config(self, config):
        """The configuration of the run, which says that the folder is one."""
        write_mark(self.config, config.to_yaml())

    def remove_checkpoints(self):
        """A finished run needs none."""
        self._remove(*_CHECKPOINTS)

    def _is_run(self):
        """Whether `open` made it one; earlier versions left no mark but the environment."""
        return self.config.exists() and (marked(self.config) or _names_us(self))

    def _check(self, config):
        remove_partial(self.checkpoints)
        if self.config.exists() and not self._anew:
            self._refuse_other(config)
        if config.training.start_from and not self.begun:
            self._require_start(located(config, Path.cwd(), self.trained_in).training.start_from)

    def _refuse_other(self, config):
        present = configuration.load(self.config)
        kept = [file for file in (self.evaluation, self.model, self.predictions) if file.exists()]
        kept += self._files(*_RESULTS)
        if (same := carried_over(present, config)) != config:
            if not (self.begun or kept):
                return  # it ended before there was anything to keep, perhaps for the setting now put right
            key, there, here = difference(same, config)
            raise UserError(
                f"{self.config}: expected the configuration of this run to go on with. Received: {key} is "
                f"{there!r} there and {here!r} here; choose another --run, or --overwrite"
            )
        if self.finished:
            self.remove_checkpoints()  # a kill may have come just before
            raise UserError(
                f"{self.path}: expected an unfinished run. Received: a finished one; --overwrite trains it again"
            )
        if kept and not self.begun:
            raise UserError(
                f"{self.path}: expected an unfinished run with its checkpoint. Received: {kept[0].name}, and no "
                "checkpoint; choose another --run, or --overwrite"
            )

    def _require_start(self, start):
        if Path(start).resolve() == self.path.resolve():
            raise UserError(f"training.start_from: expected another run than the one to train. Received: {start}")
        finished_run(start, "training.start_from")

    def _empty(self):
        """Removes what a run writes and nothing else; first what says that it is finished. Its config stays."""
        whole = (file.name for file in (self.evaluation, self.model, self.predictions))
        self._remove(*whole, *_OTHERS, *_CHECKPOINTS, *_RESULTS)

    def _files(self, *patterns):
        return [path for pattern in patterns for path in self.path.glob(pattern) if not path.is_dir()]

    def _remove(self, *patterns):
        """Files, and the folders that they leave empty; other files in those, and links to folders, stay."""
        files = self._files(*patterns)
        for folder in dict.fromkeys(file.parent for file in files):
            if not os.access(folder, os.W_OK | os.X_OK):  # before anything is lost
                raise UserError(f"{folder}: expected a folder that can be written. Received: Permission denied")
        for file in files:
            file.unlink(missing_ok=True)
        for name in dict.fromkeys(Path(pattern).parts[0] for pattern in patterns):
            for folder, *_ in os.walk(self.path / name, topdown=False):
                with contextlib.suppress(OSError):  # not empty, or a link
                    Path(folder).rmdir()


def finished_run(path, key):
    """The `RunDirectory` of a finished run and its configuration, for another run to begin with.

    Raises `UserError` where there is none, opening with the `key` that names it, and for files that are damaged.
    """
    run = RunDirectory(path)
    if not run.config.exists():
        raise UserError(f"{key}: expected a run directory (with config.yaml). Received: {path}, no such run")
    config = configuration.load(run.config)
    if not run.finished:
        raise UserError(f"{key}: expected a finished run. Received: {path}, which has no {run.evaluation.name} yet")
    if not run.model.exists():
        raise UserError(f"{key}: expected a run with its model. Received: {path}, without {run.model.name}")
    records.require_whole(run, config)
    return run, config


def carried_over(there, here, sections=("analysis",)):
    """The configuration `there` with whatever of `here` changes nothing that was trained.

    That is where the same source's data are (`data.source.Data.PLACES`), and the `sections` that come after training.
    """
    update = {name: getattr(here, name) for name in sections}
    if there.data.source == here.data.source:
        places = {place: getattr(here.data, place) for place in here.data.PLACES}
        update["data"] = there.data.model_copy(update=places)
    return there.model_copy(update=update)


def located(config, *folders):
    """The configuration with relative paths where they are found: in the first of the folders that has them.

    They are relative to the first folder where none has; None among the folders is passed over.
    """
    folders, sections = [folder for folder in folders if folder is not None], {}
    places = {"data": config.data.PLACES, "analysis": ("parts", "regions"), "loss": ("regions",)}
    for name, keys in (places | {"training": ("start_from",)}).items():
        section = getattr(config, name)
        for key in keys:
            path = getattr(section, key, None)
            if path is None or key == "cache" or Path(path).is_absolute():
                continue
            folder = next((folder for folder in folders if (folder / path).exists()), folders[0])
            if folder != Path.cwd():
                section = section.model_copy(update={key: str(folder / path)})
        sections[name] = section
    return config.model_copy(update=sections)


def _names_us(run):
    try:
        found = records.environment(run)
    except UserError:
        return False
    return found is not None and "mam_keras" in found["versions"]
