"""How does another run answer the same images? From both runs' predictions.npz alone, and kept with the first run."""

import numpy as np

from mam_keras.analysis.accuracy import COMPARED
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.evaluation import Scorer, paired_estimates


def settings(config):
    """The answer depends on the split and on the bootstrap; both are those of the first run."""
    return {"split": config.analysis.split, "resamples": config.analysis.resamples, "seed": config.seed}


def compute(run, other):
    """Metrics of two runs' main heads on the images and attributes that both answered, and their differences.

    Images are the same where their ids and all their shared labels are. The differences are paired: resample r
    draws the same images, or the first run's groups, for both.

    Returns:
        `Result` with the values `attributes` (K' names), `images` (how many are shared), `of` (how many images and
        attributes the runs have: [[n, K], [n', K']]), `heads` (of each run), and for each metric of
        `accuracy.COMPARED` (see `evaluation.metrics`) the arrays

            METRIC       (K', 3, 3)  first run, other run, other minus first; each with its 95 % bootstrap interval
            METRIC.mean  (3, 3)      of the mean over the shared attributes

    Raises `Unavailable` where a run has no predictions, or where they have nothing in common.
    """
    mine, theirs = run.answers, other.predictions(run.config.analysis.split)
    if theirs is None:
        raise Unavailable(f"it left no predictions of the {run.config.analysis.split} split")
    _, rows, other_rows = np.intersect1d(mine.ids, theirs.ids, return_indices=True)
    if not len(rows):
        raise Unavailable("it was not tested on any of the same images")
    names = [name for name in run.attributes if name in other.attributes]
    if not names:
        raise Unavailable("it has none of the same attributes")
    cells = np.ix_(rows, [run.attributes.index(name) for name in names])
    other_cells = np.ix_(other_rows, [other.attributes.index(name) for name in names])
    labels = mine.labels[cells]
    if differing := int((labels != theirs.labels[other_cells]).sum()):
        raise Unavailable(
            f"{differing} of {labels.size} labels of the images with the same names differ, so that they are not "
            "the same images"
        )
    rates = run.training_rates[cells[1][0]]
    values = {
        "attributes": names,
        "images": len(rows),
        "of": [list(mine.labels.shape), list(theirs.labels.shape)],
        "heads": [mine.main_head, theirs.main_head],
    }
    arrays = paired_estimates(
        Scorer(labels, mine.probabilities[mine.main_head][cells], rates),
        Scorer(labels, theirs.probabilities[theirs.main_head][other_cells], rates),
        COMPARED,
        mine.units[rows],
        run.config.analysis.resamples,
        run.config.seed,
    )
    return Result(values, arrays)
