"""What does a trained model look at, and how sure may we be? One module per question.

Each module NAME of `ANALYSES` has `settings(config)`, the plain values that decide its answer besides the model and
the data, and `compute(run)`, which streams over a split and gives a `Result` or raises `Unavailable`. They return
plain arrays and know no HTML and no plots.
"""

import importlib
import time

from mam_keras.analysis import result
from mam_keras.analysis.result import Result, Unavailable, digest

ANALYSES = ()


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


def compute_missing(run):
    """Computes what the run's `analysis/` lacks and returns all results by name; why not, where there is none.

    Returns:
        {name: `Result`}, {name: why it is missing}. Without the model (still training, or removed) whatever was
        computed before is taken as it is.
    """
    results, missing = {}, {}
    trained = run.directory.model.exists() and run.directory.predictions.exists()
    for position, name in enumerate(ANALYSES, 1):
        wanted = key(run, name) if trained else None
        found = result.read(run.folder, name, wanted)
        if found is None and trained:
            start = time.time()
            found = _compute(run, name)
            result.write(run.folder, name, wanted, found)
            print(f"analysis {position}/{len(ANALYSES)}: {name}, {time.time() - start:.0f} s", flush=True)
        if found is None:
            state = "finished, but its model is gone" if run.directory.finished else "not finished"
            missing[name] = f"the run is {state}"
        elif found.unavailable:
            missing[name] = found.unavailable
        else:
            results[name] = found
    return results, missing


def _compute(run, name):
    try:
        return importlib.import_module(f"mam_keras.analysis.{name}").compute(run)
    except Unavailable as reason:
        return Result({"unavailable": str(reason)})


__all__ = ["ANALYSES", "Result", "Unavailable", "compute_missing", "key"]
