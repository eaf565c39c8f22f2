"""One report: computes what the runs' `analysis/` lack, then writes the page. Imports TensorFlow only to compute."""

from pathlib import Path

from mam_keras import analysis
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.report.page import page
from mam_keras.report.reported_run import reported
from mam_keras.run_directory import write_text
from mam_keras.tune.search_directory import best_trial


def run(paths, out=None, images=None, overrides=()):
    """Draws the page of the first run, compared with the others.

    Args:
        paths: of run directories, or of searches, for the run that each found best.
        out: the folder of the page; reports/<name of the first run's directory> when None.
        images: a folder of the user's photographs, or None.
        overrides: `section.key=value`, of analysis or data.

    Raises `UserError` for a path that is no run, for an override that cannot be, and for damaged predictions.
    """
    first, *others = [TrainedRun(best_trial(path), overrides) for path in paths]
    others = [reported(other, *analysis.compute_missing(other, first)) for other in others]
    first = reported(first, *analysis.compute_missing(first))
    path = Path(out or Path("reports") / first.name) / "index.html"
    write_text(path, page(first, others))
    print(f"Written: {path}")
