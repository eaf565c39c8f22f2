"""What is asked of every run of a study, one run after the other; kept in each run's own `analysis/`."""

import logging
from dataclasses import dataclass

from mam_keras import analysis, child
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.report.reported_run import ReportedRun, reported
from mam_keras.statistics import Estimate


@dataclass(frozen=True)
class Looked:
    """What was found out about a run.

    Attributes:
        reported: with results on the test images, the analysis `comparison` with the baseline among them.
        validation: {MEASURE: `Estimate`} of `child.measure`.
    """

    reported: ReportedRun
    validation: dict[str, Estimate]


def analyse(study, directory, names) -> dict[str, Looked]:
    """{run: `Looked`} of the finished runs `names`, one of the baseline's among them.

    Raises `UserError` as `child.measure` does, as for a finished run that lost its model before it was measured.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns that each run has a graph of its own
    chosen_by, found = [name for name in child.MEASURED if name in study.asked], {}
    for number, name in enumerate(names, 1):
        print(f"analyses of run {number}/{len(names)}: {name}", flush=True)
        run, other = TrainedRun(directory.run(name).path), study.opposite(name, names)
        compared = None if study.group(name) == study.baseline else TrainedRun(directory.run(other).path)
        validation = child.measure(run.directory, chosen_by)
        results, missing = analysis.compute_missing(run, compared, names=study.asked, split="test")
        found[name] = Looked(reported(run, results, missing), validation)
    return found
