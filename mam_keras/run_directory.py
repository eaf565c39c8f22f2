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
from mam_keras.errors import RunError, UserError

PARTIAL = ".partial-"  # how the name of a file begins that is still being written


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
        """Holds the directory (`held`), ready for `config`: new, carried on, or emptied first if `overwrite`.

        Raises `UserError` for a finished run and a run of another configuration.
        """
        return held(self.path, "run", self.config, lambda: self._make_ready(config, overwrite))

    def remove_checkpoints(self):
        """A finished run needs none."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _make_ready(self, config, overwrite):
        if self.config.exists():
            if overwrite:
                self._remove()
            else:
                self._refuse_other(config)
        remove_partial(self.checkpoints)
        write_text(self.config, config.to_yaml())

    def _refuse_other(self, config):
        present = configuration.load(self.config)
        if present != config:
            if not (self.last_checkpoint.exists() or self.model.exists()):
                self._remove()  # it ended before there was anything to keep, perhaps for the setting now put right
                return
            key, there, here = difference(present, config)
            raise UserError(
                f"{self.config}: expected the configuration of this run to go on with. Received: {key} is "
                f"{there!r} there and {here!r} here; choose another --run, or --overwrite"
            )
        if self.finished:
            self.remove_checkpoints()  # a kill may have come just before
            raise UserError(
                f"{self.path}: expected an unfinished run. Received: a finished one; --overwrite trains it again"
            )

    def _remove(self):
        """Removes what a run writes and nothing else; first what says that it is finished. Its config stays."""
        files = (self.evaluation, self.model, self.predictions, self.history, self.environment)
        for file in files:
            file.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.logs, self.path / "analysis", self.path / "saved_model"):
            if folder.exists():
                shutil.rmtree(folder)


@contextlib.contextmanager
def held(folder, what, mark, make_ready):
    """A folder to work in, made where it is missing and held for this process alone until the context ends.

    Args:
        folder: its path.
        what: is worked on in it, for the messages: "run", "search", "study".
        mark: the file that such a folder has, and one that holds other things has not.
        make_ready: called when the folder is held, without what a killed process had begun to write.

    Raises `UserError` for a folder that holds something else, one that cannot be written, or one that another process
    is working in.
    """
    with contextlib.ExitStack() as lock:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(locked(folder, wait=False))
            if not mark.exists() and any(not entry.name.startswith(PARTIAL) for entry in folder.iterdir()):
                raise UserError(
                    f"{folder}: expected the directory of a {what}, or none. Received: a folder that holds other things"
                )
            remove_partial(folder)
            make_ready()
        except BlockingIOError:
            raise UserError(
                f"{folder}: expected a {what} that nothing is working on. Received: another process holds it"
            ) from None
        except OSError as error:
            raise UserError(
                f"{folder}: expected a directory that can be written (--run). Received: {error.strerror}"
            ) from None
        yield


@contextlib.contextmanager
def locked(folder, wait):
    """Holds a folder for this process alone; the system lets go of it when the process dies.

    Raises `BlockingIOError` where another process holds it, unless `wait`.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def replacing(path):
    """A path beside `path` to write to; on leaving it takes the place of `path`, after an error it is removed.

    Raises `RunError` naming `path` where writing fails, as on a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=PARTIAL, suffix=f"-{path.name}", dir=path.parent)
    os.close(handle)
    beside = Path(beside)
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}; what was there before stays") from None
    finally:
        beside.unlink(missing_ok=True)


def remove_partial(folder):
    """Removes what a killed process had begun to write; for whoever holds the folder."""
    for file in folder.glob(f"{PARTIAL}*"):
        file.unlink()


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


def difference(there, here):
    """The first dotted key in which two configurations differ, and both values."""
    there, here = (_flat(c.model_dump(mode="json", by_alias=True)) for c in (there, here))
    key = next(k for k in {**there, **here} if there.get(k) != here.get(k))
    return key, there.get(key), here.get(key)


def _flat(values, prefix=""):
    flat = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
