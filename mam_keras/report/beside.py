"""The runs that a directed run stands beside, the one before and its control: opened and asked what it was asked.

Imports TensorFlow only to compute. That one of them is gone is an answer.
"""

import json

from mam_keras import analysis, directed
from mam_keras.analysis import directing
from mam_keras.analysis.other_data import opened
from mam_keras.data import places
from mam_keras.errors import UserError
from mam_keras.report.reported_run import ReportedRun, reported

ANALYSES = (*directing.ANALYSES, "pair_maps")


def opened_directed(path, overrides=(), data=None):
    """`opened`; where nothing else says where the attributes are, by the regions that the run was directed to."""
    run, told = opened(path, overrides, data), directed.read(path)
    where = run.config.analysis.regions or run.config.analysis.parts
    if told is None or where or run.config.data.is_drawn or places.aligned(run.config.data, None):
        return run
    return opened(path, [*overrides, _override("regions", str(told.regions))], data)


def beside(run, results, overrides=(), data=None) -> dict[str, ReportedRun | str]:
    """{"before", "control": the run, or why it is not there}; {} of a run that was not directed.

    Each is asked about the same pairs, regions and images as the directed one, and keeps its results itself. Among
    them is "gains", what the directed run is ahead by, which is kept with that one.

    Args:
        run: `TrainedRun`.
        results: of its analyses.
        overrides, data: of `report`, as the run was opened with.

    Raises `UserError` where the run's directed.json is damaged.
    """
    told = directed.read(run.directory.path)
    if told is None:
        return {}
    asked = run.config.analysis.model_dump(mode="json")
    if "groups" in results:
        questions = results["groups"].values["questions"][::2]
        asked["pairs_of_attributes"] = [[one["attribute"], one["other"]] for one in questions]
    alike = [*overrides, *(_override(key, value) for key, value in asked.items())]
    if told.before.exists() and not told.unchanged:
        before = f"{told.before} has another model than the one that was directed, or none"
    else:
        before = _opened(run, told.before, alike, data)
    return {"before": before, "control": _opened(run, told.control, alike, data)}


def _override(key, value):
    return f"analysis.{key}={json.dumps(value, ensure_ascii=False)}"


def _opened(first, path, overrides, data):
    try:
        run = opened(path, overrides, data)
        print(f"beside it: {path}", flush=True)
        results, missing = analysis.compute_missing(run, names=ANALYSES)
        gains = analysis.between("gains", first, run, run.config.analysis.split)
    except UserError as why:
        return str(why)
    if gains.unavailable:
        return reported(run, results, missing | {"gains": gains.unavailable})
    return reported(run, results | {"gains": gains}, missing)
