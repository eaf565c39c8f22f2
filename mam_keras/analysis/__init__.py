"""What does a trained model look at, and how sure may we be? One module per question.

Each module NAME of `ANALYSES` has `settings(config)`, the plain values that decide its answer besides the model and
the data, and `compute(run)`, which streams over a split and gives a `Result` or raises `Unavailable`. They return
plain arrays and know no HTML and no plots.
"""

import importlib
import time

from mam_keras import command_line
from mam_keras.analysis import result
from mam_keras.analysis.result import Result, Unavailable, digest

ANALYSES = (
    "accuracy",
    "calibration",
    "subgroups",
    "mistakes",
    "masks",
    "correlations",
    "mask_grids",
    "transformation",
    "examples",
    "reconstructions",
    "adaptation",
    "robustness",
    "localisation",
    "faithfulness",
    "toggling",
)


def key(run, name):
    """What an analysis's result depends on."""
    module = importlib.import_module(f"mam_keras.analysis.{name}")
    config = run.config
    return {
        "model": digest(run.directory.model),
        "predictions": digest(run.directory.predictions),
        "data": config.data.model_dump(mode="json", exclude={"cache", "cache_directory", "directory", "file"}),
        "settings": module.settings(config),
    }


def compute_missing(run, first=None, photographs=None, names=None):
    """Computes what the run's `analysis/` lacks and returns all results by name; why not, where there is none.

    Args:
        first: the run to compare this one with, or None; then "comparison" is among the names.
        photographs: the user's `photographs.Folder`, or None; then "photographs" is among the names.
        names: of the analyses, in the order in which they are computed; `ANALYSES` when None.

    Returns:
        {name: `Result`}, {name: why it is missing}. Without the model (still training, or removed) whatever was
        computed before is taken as it is.
    """
    found = {}
    trained = run.directory.model.exists() and run.directory.predictions.exists()
    if photographs is not None:
        found["photographs"] = _photographs(run, photographs, trained)
    names = ANALYSES if names is None else names
    for position, name in enumerate(names, 1):
        wanted = key(run, name) if trained else None
        found[name] = result.read(run.folder, name, wanted)
        if found[name] is None and trained:
            start = time.time()
            found[name] = _compute(run, name)
            result.write(run.folder, name, wanted, found[name])
            print(f"analysis {position}/{len(names)}: {name}, {time.time() - start:.0f} s", flush=True)
    if first is not None:
        found["comparison"] = _comparison(first, run)
    state = "finished, but its model is gone" if run.directory.finished else "not finished"
    results = {name: one for name, one in found.items() if one and not one.unavailable}
    missing = {name: one.unavailable if one else f"the run is {state}" for name, one in found.items()}
    return results, {name: reason for name, reason in missing.items() if name not in results}


def result_of(run, name):
    """The `Result` of another analysis of a trained run, for one that builds on it: kept, or computed and kept now.

    Raises `Unavailable` where that analysis has no answer.
    """
    found = _kept(run, name, key(run, name), name)
    if found.unavailable:
        raise Unavailable(found.unavailable)
    return found


def _comparison(first, other):
    """Kept with the first run, a file for every run that it is compared with; the model is not needed."""
    for run in (first, other):
        if not run.directory.predictions.exists():
            return Result({"unavailable": f"{run.directory.path} has no predictions yet"})
    name = f"comparison-{digest(other.directory.predictions)}"
    wanted = {"first": key(first, "comparison"), "other": key(other, "comparison")}
    return _kept(first, name, wanted, "comparison", other)


def _photographs(run, folder, trained):
    """Kept in a file for every folder, by what is in it."""
    name = f"photographs-{folder.digest}"
    if not trained:
        return result.read(run.folder, name)
    return _kept(run, name, key(run, "photographs"), "photographs", folder)


def _kept(run, name, wanted, module, *others):
    """A result of the run's folder, computed and put there first where it is missing."""
    found = result.read(run.folder, name, wanted)
    if found is None:
        found = _compute(run, module, *others)
        result.write(run.folder, name, wanted, found)
    return found


def _compute(run, name, *others):
    command_line.import_tensorflow()
    try:
        return importlib.import_module(f"mam_keras.analysis.{name}").compute(run, *others)
    except Unavailable as reason:
        return Result({"unavailable": str(reason)})


__all__ = ["ANALYSES", "Result", "Unavailable", "compute_missing", "key", "result_of"]
