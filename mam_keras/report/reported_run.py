"""A run as a page sees it: its settings, what training left, and the results. Opens neither model nor image."""

import re
from dataclasses import dataclass, field

from mam_keras import directed, records
from mam_keras.analysis.other_data import OtherData
from mam_keras.analysis.result import Result
from mam_keras.config import Config
from mam_keras.data.source import Targets
from mam_keras.directed import Directed
from mam_keras.search_directory import SearchDirectory


@dataclass(frozen=True)
class ReportedRun:
    """Everything sections are made from.

    Attributes:
        name: of the run directory.
        config: with the overrides of this report.
        environment: of environment.json, or None.
        history: rows of history.csv, numbers as float; empty before the first epoch.
        evaluation: of evaluation.json, or None before the run is finished.
        results: by analysis name.
        missing: {analysis name: why there is no result}.
        targets: what it answers, as the run says itself or its settings do; None before anything does.
        tuning: of the tuning.json of the search that the run is a trial of, or None.
        trained_with: its own `config.Config`, without what the report is told to change; `config` where it is None.
        noted: whether it says itself what its images were, as those of earlier versions do not.
        other_data: what is said of the images that it is evaluated on, where they are not its own; "" where they are.
        directed: how it was directed, `directed.Directed`, or None.
        beside: of `beside.beside`, where it was.
    """

    name: str
    config: Config
    environment: dict | None
    history: list[dict[str, float]]
    evaluation: dict | None
    results: dict[str, Result]
    missing: dict[str, str]
    targets: Targets | None = None
    tuning: dict | None = None
    trained_with: Config | None = None
    noted: bool = True
    other_data: str = ""
    directed: Directed | None = None
    beside: dict[str, "ReportedRun | str"] = field(default_factory=dict)


def reported(run, results, missing) -> ReportedRun:
    """Joins an `analysis.trained_run.TrainedRun` with what was found out about it."""
    directory = run.directory
    path = directory.path.resolve()
    tuning, chosen = SearchDirectory(path.parent).found(), run.config.data.attributes
    other, name = isinstance(run, OtherData), f"{path.parent.name}-{path.name}" if tuning else path.name
    return ReportedRun(
        name=f"{name}-on-{run.name}" if other else name,
        config=run.config,
        environment=records.environment(directory),
        history=_history(run),
        evaluation=records.evaluation(directory),
        results=results,
        missing=missing,
        targets=run.said or (Targets(chosen) if chosen else None),
        tuning=tuning,
        trained_with=run.trained_with,
        noted=directory.data.exists(),
        other_data=run.described if other and run.finished else "",
        directed=directed.read(directory.path),
    )


def _history(run):
    """The history's rows, with the column names of today: a head's were in the singular once."""
    rows = records.history(run.directory, run.config.training.early_stopping is not None)
    return [{_renamed(name): value for name, value in row.items()} for row in rows]


def _renamed(column):
    return re.sub(r"^(val_)?attribute_(loss|accuracy)$", r"\1attributes_\2", column)
