"""Which attributes should be directed first? Those whose decision leans on the wrong place, or on another attribute.

From what the run has already, its predictions and the results in its `analysis/`: opens no image and no model.
"""

from dataclasses import dataclass

import numpy as np

from mam_keras import analysis
from mam_keras.analysis import groups, result
from mam_keras.analysis.correlations import pearson
from mam_keras.statistics import ratio

LEAST = 8  # images, without which a group is not looked at


@dataclass(frozen=True)
class Leaning:
    """What is known of one attribute.

    Attributes:
        name: its own.
        accuracy: on the split, None where no label is known.
        ratio: the energy of its map in its region against chance, on true positives (`localisation.measure`); None
            where the report has not measured it.
        other: the attribute that its labels go together with most in training, either way; None without any.
        together: the correlation of the two.
        worst: the accuracy in the worst of the four groups that the two make; None where none is large enough.
        without: what that group is, in words.
    """

    name: str
    accuracy: float | None
    ratio: float | None
    other: str | None
    together: float | None
    worst: float | None
    without: str | None

    @property
    def lost(self) -> float | None:
        """The accuracy that the worst group lacks."""
        return None if self.worst is None else self.accuracy - self.worst


def leanings(run, split) -> list[Leaning]:
    """Of all attributes of a `TrainedRun`, first those that are worst by `ratio` or by `lost`."""
    predictions = run.predictions(split)
    right = predictions.answers(predictions.main_head) == predictions.labels
    accuracy = ratio((right & predictions.known).sum(axis=0), predictions.known.sum(axis=0))
    ratios, partner = _ratios(run), _partners(run, predictions.exclusive)
    found = []
    for k, name in enumerate(run.attributes):
        at, together = partner[k]
        worst, without = _worst(predictions, k, at, run.attributes)
        other = None if at is None else run.attributes[at]
        found.append(Leaning(name, _plain(accuracy[k]), _plain(ratios[k]), other, together, worst, without))
    measured = [[None if one.ratio is None else -one.ratio for one in found], [one.lost for one in found]]
    places = [_places(values) for values in measured]
    order = sorted(range(len(found)), key=lambda k: (min(each[k] for each in places), sum(each[k] for each in places)))
    return [found[k] for k in order]


def _ratios(run):
    """float (K,), NaN where the report has not measured it."""
    for split in ("validation", "test"):
        kept = result.read(run.folder, f"localisation.{split}", analysis.key(run, "localisation", split))
        if kept is not None and not kept.unavailable:
            return kept.arrays[f"{kept.values['sets'][0]}.ratio"][:, 0, 0]
    return np.full(len(run.attributes), np.nan)


def _partners(run, exclusive):
    """Of each attribute the one that its labels correlate with most in training, and how much; None where none is."""
    if exclusive or len(run.attributes) < 2:
        return [(None, None)] * len(run.attributes)
    together = np.nan_to_num(pearson(run.training.labels.astype(float), known=run.training.known))
    np.fill_diagonal(together, 0)
    at = np.abs(together).argmax(axis=1)
    return [
        (int(other), float(together[k, other])) if together[k].any() else (None, None) for k, other in enumerate(at)
    ]


def four_groups(predictions, k, other, names) -> list[tuple[str, int, float | None]]:
    """The groups of images that two attributes make: in words, how many, and the accuracy of attribute k in it."""
    right = predictions.answers(predictions.main_head)[:, k] == predictions.labels[:, k]
    inside = groups.members(predictions, np.array([[k, other]]))[:, 0]
    accuracy = ratio((right[:, None] & inside).sum(axis=0), inside.sum(axis=0))
    words = groups.words(names[k], names[other])
    return list(zip(words, inside.sum(axis=0).tolist(), map(_plain, accuracy), strict=True))


def _worst(predictions, k, other, names):
    """The accuracy of the worst group, and what it is."""
    if other is None:
        return None, None
    found = four_groups(predictions, k, other, names)
    large = [(accuracy, words) for words, count, accuracy in found if count >= LEAST]
    return min(large, default=(None, None), key=lambda group: group[0])


def _places(values):
    """Each one's place by falling value, from 0; those without a value share the last one."""
    ranked = sorted((value for value in values if value is not None), reverse=True)
    return [len(values) if value is None else ranked.index(value) for value in values]


def _plain(number):
    return None if np.isnan(number) else float(number)
