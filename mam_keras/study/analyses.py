"""What is asked of every run of a study, one run after the other; kept in each run's own `analysis/`."""

import logging

from mam_keras import analysis
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.errors import UserError
from mam_keras.report.reported_run import reported

# On validation first: `measures` leaves localisation and masks of the validation images, which those of test replace
ASKED = ("measures", "accuracy", "masks", "localisation", "faithfulness", "robustness")


def analyse(study, directory, names) -> dict:
    """{run: `report.reported_run.ReportedRun`} of finished runs; the analysis `comparison` is with the baseline.

    Args:
        names: of the finished runs, the baseline among them.

    Raises `UserError` for a finished run that lost its model before it was measured.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns that each run has a graph of its own
    found = {}
    for number, name in enumerate(names, 1):
        print(f"analyses of run {number}/{len(names)}: {name}", flush=True)
        run = TrainedRun(directory.run(name).path)
        baseline = None if name == study.baseline else TrainedRun(directory.run(study.baseline).path)
        results, missing = analysis.compute_missing(run, baseline, names=ASKED)
        if "measures" in missing:
            raise UserError(
                f"{run.directory.path}: expected a run that can be measured. Received: {missing['measures']}; remove "
                "the folder to train it again"
            )
        found[name] = reported(run, results, missing)
    return found
