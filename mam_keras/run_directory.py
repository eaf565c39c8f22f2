"""The run directory: which files there are, and how they are written so that a kill leaves the old or the new one.

Knows nothing of what is in them; imports neither TensorFlow nor Keras.
"""

import contextlib
import csv
import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path

from mam_keras import config as configuration
from mam_keras.errors import UserError


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
        self.logs = self.path / "logs"
        self.checkpoints = self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.npz"
        self.best_checkpoint = self.checkpoints / "best.npz"

    @property
    def finished(self):
        """Whether training and evaluation are done; evaluation.json is written last."""
        return self.evaluation.exists()

    def open(self, config, overwrite):
        """Makes the directory ready for `config`: new, carried on, or emptied first if `overwrite`.

        Raises `UserError` for a finished run, a run of another configuration, a folder that holds something else, one
        that cannot be written, or one that another process is working in.
        """
        if not overwrite:
            self._refuse_other(config)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if overwrite:
                self._remove()
            write_text(self.config, config.to_yaml())
        except BlockingIOError:
            raise UserError(
                f"{self.path}: expected a run that nothing is working on. Received: another process holds it"
            ) from None
        except OSError as error:
            raise UserError(
                f"{self.path}: expected a directory that can be written (--run). Received: {error.strerror}"
            ) from None

    def remove_checkpoints(self):
        """A finished run needs none."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _refuse_other(self, config):
        if self.config.exists():
            present = configuration.load(self.config)
            if present != config:
                key, there, here = _difference(present, config)
                raise UserError(
                    f"{self.config}: expected the configuration of this run to go on with. Received: {key} is "
                    f"{there!r} there and {here!r} here; choose another --run, or --overwrite"
                )
            if self.finished:
                raise UserError(
                    f"{self.path}: expected an unfinished run. Received: a finished one; --overwrite trains it again"
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise UserError(
                f"{self.path}: expected a run directory, or none. Received: a folder that holds other things"
            )

    def _remove(self):
        """Removes what a run writes and nothing else."""
        for entry in (*vars(self).values(), self.path / "analysis", self.path / "saved_model"):
            if not isinstance(entry, Path) or entry == self.path:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path):
    """A path beside `path` to write to; on leaving it takes the place of `path`, after an error it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    beside = Path(beside)
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path, text):
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path, values):
    write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def write_csv(path, rows):
    """A list of dictionaries with the same keys."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _difference(there, here):
    """The first dotted key in which two configurations differ, and both values."""
    there, here = (_flat(c.model_dump(mode="json", by_alias=True)) for c in (there, here))
    key = next(k for k in {**there, **here} if there.get(k) != here.get(k))
    return key, there.get(key), here.get(key)


def _flat(values, prefix=""):
    flat = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
