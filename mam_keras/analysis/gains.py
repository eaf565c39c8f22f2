"""How much better does a run answer pairs of attributes than another one? In pairs, on the same images.

From both runs' predictions.npz alone, and kept with the first run. Intervals of two runs that answer the same images
may overlap where their difference is plain: the same images are hard for both.
"""

import numpy as np

from mam_keras.analysis import groups
from mam_keras.analysis.result import Result, Unavailable

NEEDS = groups.NEEDS
VERSION = 1


def settings(config):
    """The answer depends on what decides that of `groups`."""
    return groups.settings(config)


def compute(run, split, other):
    """`groups` of a run, as trained, less those of another run, as trained and with that one's fitted offsets.

    Resample r draws the same images, people where they are known, for both.

    Returns:
        `Result` with the values `questions` ({"attribute", "other"}, Q of them, those of `groups` of the run),
        `variants` (V, of the other run), and the arrays `group`, `worst`, `apart`, `accuracy`, `balanced_accuracy` and
        `others.METRIC` of `groups.compute`: differences, each with the ends of its 95 % interval.

    Raises `Unavailable` where the two have not answered the same images, or not about the same attributes.
    """
    mine, theirs = run.predictions(split), other.predictions(split)
    if theirs is None:
        raise Unavailable(f"it left no predictions of the {split} split")
    if list(run.attributes) != list(other.attributes):
        raise Unavailable("it has other attributes, or in another order")
    same = np.array_equal(mine.ids, theirs.ids) and np.array_equal(mine.known, theirs.known)
    if not (same and np.array_equal(mine.labels, theirs.labels)):
        raise Unavailable("it was not tested on the same images with the same labels")
    pairs = groups.pairs(run)
    both = [groups.Answers(one, split, pairs) for one in (run, other)]

    def differences(weights):
        own, its = (one.scores(weights) for one in both)
        return {name: _trained(name, own[name]) - its[name] for name in own}

    arrays = groups.scored(differences, both[0].units, run.config)
    names = [{"attribute": run.attributes[a], "other": run.attributes[b]} for a, b in pairs]
    return Result({"questions": names, "variants": both[1].variants}, arrays)


def _trained(name, scores):
    """Without offsets, of an array of `groups.Answers.scores` (B, Q, V, ...)."""
    return scores if name.startswith("others.") else scores[:, :, :1]
