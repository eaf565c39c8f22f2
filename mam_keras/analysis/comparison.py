"""How does another run answer the same images? From both runs' predictions.npz alone, and kept with the first run."""

import numpy as np

from mam_keras.analysis.accuracy import compared
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.evaluation import Scorer
from mam_keras.statistics import paired_estimates

NEEDS = {"predictions", "labels"}
VERSION = 2


def settings(config):
    """The answer depends on the bootstrap, which is that of the first run."""
    return {"resamples": config.analysis.resamples, "seed": config.seed}


def compute(run, split, other):
    """Metrics of two runs' main heads on the images and targets that both answered, and their differences.

    Images are the same where their ids and all their shared labels are that both know; a label counts where both know
    it. The differences are paired: resample r draws the same images, or the first run's groups, for both. Exclusive
    targets are compared where both runs have the same ones, in any order: a class less is another question.

    Returns:
        `Result` with the values `attributes` (K' names), `exclusive`, `images` (how many are shared), `of` (how many
        images and targets the runs have: [[n, K], [n', K']]), `heads` (of each run), and for each metric of
        `accuracy.compared` (see `evaluation.Scorer`) the arrays

            METRIC       (K', 3, 3)  first run, other run, other minus first; each with its 95 % bootstrap interval
            METRIC.mean  (3, 3)      of the mean over the shared targets

    Raises `Unavailable` where the other run has no predictions, or where they have nothing in common.
    """
    mine, theirs = run.predictions(split), other.predictions(split)
    if theirs is None:
        raise Unavailable(f"it left no predictions of the {split} split")
    if mine.exclusive != theirs.exclusive:
        raise Unavailable("of one run the targets exclude each other, of the other they do not")
    _, rows, other_rows = np.intersect1d(mine.ids, theirs.ids, return_indices=True)
    if not len(rows):
        raise Unavailable("it was not tested on any of the same images")
    names = [name for name in run.attributes if name in other.attributes]
    if not names:
        raise Unavailable("it has none of the same attributes")
    if mine.exclusive and not len(names) == len(run.attributes) == len(other.attributes):
        raise Unavailable("it does not have the same classes")
    cells = np.ix_(rows, [run.attributes.index(name) for name in names])
    other_cells = np.ix_(other_rows, [other.attributes.index(name) for name in names])
    labels, known = mine.labels[cells], mine.known[cells] & theirs.known[other_cells]
    if differing := int(((labels != theirs.labels[other_cells]) & known).sum()):
        raise Unavailable(
            f"{differing} of {known.sum()} labels of the images with the same names differ, so that they are not "
            "the same images"
        )
    rates = run.training_rates[cells[1][0]]
    values = {
        "attributes": names,
        "exclusive": mine.exclusive,
        "images": len(rows),
        "of": [list(mine.labels.shape), list(theirs.labels.shape)],
        "heads": [mine.main_head, theirs.main_head],
    }
    answered = mine.probabilities[mine.main_head][cells], theirs.probabilities[theirs.main_head][other_cells]
    arrays = paired_estimates(
        *(Scorer(labels & known, probabilities, rates, known, mine.exclusive) for probabilities in answered),
        compared(mine.exclusive),
        mine.units[rows],
        run.config.analysis.resamples,
        run.config.seed,
    )
    return Result(values, arrays)
