"""One report: computes what the runs' `analysis/` lack, then writes the page. Imports TensorFlow only to compute."""

import re
from dataclasses import asdict, replace
from pathlib import Path

from mam_keras import analysis
from mam_keras.analysis import photographs
from mam_keras.data import some
from mam_keras.files import write_json, write_text
from mam_keras.report import archive
from mam_keras.report.beside import beside, opened_directed
from mam_keras.report.page import answers, page
from mam_keras.report.reported_run import reported
from mam_keras.search_directory import best_trial

NAMED = 10  # files of a folder of photographs that are left out for the same reason


def run(paths, out=None, images=None, overrides=(), data=None):
    """Draws the page of the first run, compared with the others.

    Beside it stand `figures.json`, the runs' headlines, and NAME.zip, all tables and arrays.

    Args:
        paths: of run directories, or of searches, for the run that each found best.
        out: the folder of the page; reports/<name of the first run's directory> when None.
        images: a folder of the user's photographs, or None.
        overrides: `section.key=value`, of analysis or data.
        data: YAML of other labelled images, which the models are evaluated on instead of their own; or None.

    Raises `UserError` for a path that is no run, for an override that cannot be, for a folder without photographs,
    and for damaged predictions.
    """
    first, *others = [opened_directed(best_trial(path), overrides, data) for path in paths]
    folder = None if images is None else photographs.folder(images)
    results, missing = analysis.compute_missing(first, photographs=folder)
    others = [reported(other, *analysis.compute_missing(other, first)) for other in others]
    first = replace(reported(first, results, missing), beside=beside(first, results, overrides, data))
    if "photographs" in results:
        for why, names in photographs.by_reason(results["photographs"].values["left_out"]).items():
            print(f"note: left out of {folder.path}: {some(names, NAMED)}: {why}")
    path = Path(out or Path("reports") / first.name) / "index.html"
    questions, everything = answers(first, others), f"{re.sub(r'[^A-Za-z0-9_.-]', '_', first.name)}.zip"
    write_text(path, page(first, others, questions, everything))
    archive.write(path.with_name(everything), first, [one for sections in questions.values() for one in sections])
    write_json(path.with_name("figures.json"), [_figures(one) for one in (first, *others)])
    print(f"Written: {path}")


def _figures(run):
    """The headlines of a run's analyses, for whoever quotes them."""
    return {"run": run.name, "figures": {name: asdict(one) for name, one in analysis.headlines(run.results).items()}}
