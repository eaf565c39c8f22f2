"""One trial: a training run, then its measures on validation. What is done is on disk and is not done again."""

import contextlib
import json

import keras
import tensorflow as tf

from mam_keras.analysis.measures import measure
from mam_keras.errors import RunError, UserError
from mam_keras.fit import run as fit
from mam_keras.run_directory import RunDirectory, locked, write_json
from mam_keras.tune.space import with_values

OUTCOME = "outcome.json"  # in the run directory; written last
LOG = "fit.log"  # what `fit` prints, figures of the test images among it, which are no business of a search


def outcome(config, values, epochs, path) -> dict:
    """Trains `config` with {key: value} in the run directory `path`, or carries on, and measures it.

    Returns:
        What `measures.measure` gives, or {"failed": why} for values that do not go together, and for a training that
        diverged or needed too much memory; with it `values` and `epochs`. It is kept as outcome.json.

    Raises `UserError` and `RunError` where the values are not to blame; then nothing is kept.
    """
    path.mkdir(parents=True, exist_ok=True)
    with locked(path, wait=True):  # a chief that was started again may give a trial to a second worker
        pass
    found, asked = read_outcome(path), {"values": values, "epochs": epochs}
    if found is None:
        found = asked | _outcome(config, values, epochs, RunDirectory(path))
        write_json(path / OUTCOME, found)
    if asked != {name: found[name] for name in asked}:
        raise UserError(f"{path}: expected the trial of {asked}, or none. Received: that of other values")
    return found


def read_outcome(path) -> dict | None:
    """Of the trial in `path`; None where it is not over."""
    try:
        return json.loads((path / OUTCOME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _outcome(config, values, epochs, directory):
    try:
        config = with_values(config, values, epochs, directory.path.name)
    except UserError as error:
        return {"failed": str(error)}
    keras.utils.clear_session()  # the memory of the trial before, and its names, which checkpoints go by
    try:
        if not directory.finished:
            with (
                directory.open(config, overwrite=False),
                (directory.path / LOG).open("a", encoding="utf-8", buffering=1) as log,
                contextlib.redirect_stdout(log),
            ):
                fit.run(config, directory)
        return measure(directory)
    except (RunError, tf.errors.ResourceExhaustedError) as error:
        if isinstance(error.__context__, OSError):  # a full disk
            raise
        return {"failed": str(error).strip().splitlines()[0]}
