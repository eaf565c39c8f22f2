"""What does a trained model look at, and how sure may we be? One module per question.

Each module NAME of `ANALYSES` has

    NEEDS             what the network and the data must have, of `needs.NEEDS`; checked before anything is computed
    VERSION           a number that rises whenever its answer would be another
    settings(config)  the plain values that decide its answer besides the model, the data and the split
    compute(run, split) -> Result   streams over a split; raises `Unavailable` for what only looking can tell
    headline(result)  -> {MEASURE: Estimate}, what studies, searches and comparisons tabulate; {} where it is left out
    SPLIT             the only split that it can be about, whatever is reported; any where it is left out

and returns plain arrays: it knows no HTML and no plots. Results are kept per split.
"""

import importlib
import time

from mam_keras import command_line
from mam_keras.analysis import result
from mam_keras.analysis.needs import lacking
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.files import digest
from mam_keras.statistics import Estimate

ANALYSES = (
    "accuracy",
    "calibration",
    "subgroups",
    "groups",
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
    "positions",
    "region_tests",
    "pair_maps",
    "faithfulness",
    "deletion",
    "depth",
    "toggling",
    "cost",
)


def module(name):
    """Of an analysis, by its name."""
    return importlib.import_module(f"mam_keras.analysis.{name}")


def key(run, name, split):
    """What an analysis's result depends on."""
    asked = module(name)
    return {
        "version": asked.VERSION,
        "split": split,
        **run.digests,
        "data": run.config.data.content(),
        "settings": asked.settings(run.config),
    }


def compute_missing(run, first=None, photographs=None, names=ANALYSES, split=None):
    """Computes what the run's `analysis/` lacks and returns all results by name; why not, where there is none.

    Args:
        first: the run to compare this one with, or None; then "comparison" is among the names.
        photographs: the user's `photographs.Folder`, or None; then "photographs" is among the names.
        names: of the analyses, in the order in which they are computed.
        split: which images they are about; `analysis.split` of the configuration when None.

    Returns:
        {name: `Result`}, {name: why it is missing}. Without the model (still training, or removed) whatever was
        computed of this run before is taken as it is.
    """
    split = split or run.config.analysis.split
    found, trained, asked = {}, run.finished, {}
    for name in names:  # all of them first: what cannot be read is told before anything is computed
        about = getattr(module(name), "SPLIT", split)
        asked[name] = about, key(run, name, about) if trained else _known(run)
    if photographs is not None:
        found["photographs"] = _photographs(run, photographs, split, trained)
    for position, (name, (about, wanted)) in enumerate(asked.items(), 1):
        kept = f"{name}.{about}"
        found[name] = result.read(run.folder, kept, wanted)
        if found[name] is None and trained:
            start = time.time()
            found[name] = _compute(run, name, about)
            result.write(run.folder, kept, wanted, found[name])
            print(f"analysis {position}/{len(names)}: {name}, {time.time() - start:.0f} s", flush=True)
    if first is not None:
        found["comparison"] = between("comparison", first, run, split)
    results = {name: one for name, one in found.items() if one and not one.unavailable}
    missing = {name: one.unavailable if one else _lost(run, name, split) for name, one in found.items()}
    return results, {name: reason for name, reason in missing.items() if name not in results}


def _known(run):
    """What a result of the run was computed from, as far as that is still there."""
    found = {name: digest(getattr(run.directory, name)) for name in ("model", "predictions")}
    return {name: one for name, one in found.items() if one is not None}


def _lost(run, name, split):
    """Why a run without its model has no result."""
    state = "finished, but its model is gone" if run.directory.finished else "not finished"
    file = run.directory.path / "analysis" / f"{name}.{getattr(module(name), 'SPLIT', split)}.json"
    return f"the run is {state}" + (f", and {file} is damaged, or of another run" if file.exists() else "")


def result_of(run, name, split):
    """The `Result` of another analysis of a trained run, for one that builds on it: kept, or computed and kept now.

    Raises `Unavailable` where that analysis has no answer.
    """
    found = _kept(run, f"{name}.{split}", key(run, name, split), name, split)
    if found.unavailable:
        raise Unavailable(found.unavailable)
    return found


def headlines(results) -> dict[str, Estimate]:
    """{MEASURE: Estimate} of {name: `Result`}."""
    found = {}
    for name, one in results.items():
        found |= getattr(module(name), "headline", lambda _: {})(one)
    return found


def between(name, first, other, split) -> Result:
    """An analysis of two runs, "comparison" or "gains"; that it is `unavailable` is an answer, too.

    Kept with the first run, a file for every run that it is compared with; the models are not needed.
    """
    for run in (first, other):
        if not run.answers.exists():
            return Result({"unavailable": f"{run.directory.path} has no predictions yet"})
    wanted = {"first": key(first, name, split), "other": key(other, name, split)}
    return _kept(first, f"{name}-{digest(other.answers)}.{split}", wanted, name, split, other)


def _photographs(run, folder, split, trained):
    """Kept in a file for every folder, by what is in it."""
    name = f"photographs-{folder.digest}"
    if not trained:
        return result.read(run.folder, name, _known(run))
    return _kept(run, name, key(run, "photographs", split), "photographs", split, folder)


def _kept(run, name, wanted, asked, split, *others):
    """A result of the run's folder, computed and put there first where it is missing."""
    found = result.read(run.folder, name, wanted)
    if found is None:
        found = _compute(run, asked, split, *others)
        result.write(run.folder, name, wanted, found)
    return found


def _compute(run, name, split, *others):
    command_line.import_tensorflow()
    asked = module(name)
    try:
        if (why := lacking(run, split, asked.NEEDS)) is not None:
            raise Unavailable(why)
        return asked.compute(run, split, *others)
    except Unavailable as reason:
        return Result({"unavailable": str(reason)})


__all__ = ["ANALYSES", "Result", "Unavailable", "between", "compute_missing", "headlines", "key", "module", "result_of"]
