"""One trial: a training run, then its measures on validation. What is done is on disk and is not done again."""

from typing import NotRequired

from typing_extensions import TypedDict

from mam_keras import child
from mam_keras.errors import UntrainableError, UserError
from mam_keras.files import read_json, write_record
from mam_keras.run_directory import RunDirectory
from mam_keras.tune.space import with_values

OUTCOME = "outcome.json"  # in the run directory; written last


class _Outcome(TypedDict):
    values: dict[str, int | float]
    epochs: int
    failed: NotRequired[str]
    measures: NotRequired[dict[str, int | float | None]]
    intervals: NotRequired[dict[str, list[int | float | None]]]


def outcome(config, values, epochs, path) -> dict:
    """Trains `config` with {key: value} in the run directory `path`, or carries on, and measures it.

    Returns:
        {"measures": {MEASURE: value or None}, "intervals": {MEASURE: [low, high]} of some} of `child.measure`, or
        {"failed": why} for values that do not go together, and for a training that diverged or needed too much memory;
        with it `values` and `epochs`. It is kept as outcome.json.

    Raises `UserError` and `RunError` where the values are not to blame; then nothing is kept.
    """
    run = RunDirectory(path)
    child.await_other(run)  # a chief that was started again may give a trial to a second worker
    found, asked = read_outcome(path), {"values": values, "epochs": epochs}
    if found is None:
        found = asked | _outcome(config, values, epochs, run)
        write_record(path / OUTCOME, found)
    if asked != {name: found[name] for name in asked}:
        raise UserError(f"{path}: expected the trial of {asked}, or none. Received: that of other values")
    return found


def read_outcome(path) -> dict | None:
    """Of the trial in `path`; None where it is not over. Raises `UserError` for a damaged file."""
    return read_json(path / OUTCOME, "the outcome of a trial (without this file it is measured again)", _Outcome)


def _outcome(config, values, epochs, run):
    try:
        config = with_values(config, values, epochs, run.path.name)
    except UserError as error:
        return {"failed": str(error)}
    try:
        child.train(config, run, asked=child.MEASURED)
    except UntrainableError as error:
        return {"failed": str(error)}
    found = child.measure(run, child.MEASURED)
    return {
        "measures": {name: one.value for name, one in found.items()},
        "intervals": {name: [one.low, one.high] for name, one in found.items() if one.low is not None},
    }
