"""Does an answer hold where what usually comes with it is missing? Pairs of attributes, from predictions.npz alone.

Of two attributes that come together in training a classifier may learn one by way of the other. That shows where they
come apart: accuracy over all images hardly moves, and accuracy of an attribute with and without the other (E1 and E2
of 1905.00593) is of positive images alone, so that any shift of the logit raises both. Hence all four groups, the worst
of them, and beside them what an offset of the logit does, fitted on validation.
"""

import numpy as np

from mam_keras.analysis.correlations import pearson
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.data import composed, nearest
from mam_keras.errors import UserError
from mam_keras.evaluation import Scorer
from mam_keras.offsets import of_thresholds, thresholds, worst_group_threshold
from mam_keras.predictions import THRESHOLD
from mam_keras.statistics import Estimate, defined_mean, estimates, ratio, resample_weights

NEEDS = {"predictions", "labels", "independent"}
VERSION = 2
MOST = 5  # pairs that are chosen where none is named
LEAST = 0.1  # their correlation in training, of either sign: Cohen's small effect
GROUPS = ("both", "own", "other", "neither")  # of the attribute that is answered and the other one: which are there
VARIANTS = ("trained", "balanced_accuracy", "worst_group")  # as it answers, and with offsets fitted for these
OTHERS = ("accuracy", "balanced_accuracy")  # of the attributes that are not answered first in any pair


def settings(config):
    """The answer depends on which pairs are asked for, on which attributes were directed, and on the bootstrap."""
    named = config.analysis.pairs_of_attributes
    return {
        "pairs": None if named is None else [list(pair) for pair in named],
        "directed": _directed(config),
        "resamples": config.analysis.resamples,
        "seed": config.seed,
    }


def compute(run, split):
    """How the head that answers is right about an attribute with and without another one, for P pairs in both ways.

    Each pair (a, b) gives two questions: a answered, in the groups of images that have a and b, a without b, b without
    a, and neither; and b answered likewise. Images of which one of the two labels is not known are in no group. An
    offset is one number added to the attribute's logit: for the highest balanced accuracy, or for the highest accuracy
    in the worst of the four groups, both on the validation images.

    Returns:
        `Result` with the values `attributes` (K names), `questions` (Q = 2 P of {"attribute": answered, "other",
        "correlation": of the two labels in training, the phi coefficient, or None}), `variants` (V of `VARIANTS`),
        `unfitted` (why there are no offsets, or None), `images`, `head`, and the arrays

            count              (Q, 4)        images of each of `GROUPS`
            group              (Q, V, 4, 3)  accuracy in each; all of these with the ends of its 95 % interval, people
                                             (groups of images) resampled where they are known; NaN without an image
            worst              (Q, V, 3)     the lowest of them. In resamples it is the lowest of that resample, so that
                                             the interval lies rather below the value
            apart              (Q, V, 3)     accuracy where one of the two is without the other, whichever
            accuracy           (Q, V, 3)     over the four groups together
            balanced_accuracy  (Q, V, 3)     likewise, (recall + specificity) / 2
            offset             (Q, V)        added to the logit
            others.METRIC      (3,)          of `OTHERS`: mean over the attributes that no pair begins with

    Raises `Unavailable` where no two attributes come together, `UserError` for a name that is no attribute.
    """
    attributes, together = list(run.attributes), _together(run)
    answers = Answers(run, split, pairs(run))
    arrays = {"count": answers.inside.sum(axis=0), "offset": answers.offsets}
    arrays |= scored(answers.scores, answers.units, run.config)
    questions = [
        {"attribute": attributes[a], "other": attributes[b], "correlation": _defined(together[a, b])}
        for a, b in answers.places
    ]
    values = {
        "attributes": attributes,
        "questions": questions,
        "variants": answers.variants,
        "unfitted": answers.unfitted,
        "images": len(answers.inside),
        "head": answers.head,
    }
    return Result(values, arrays)


class Answers:
    """What a run's answering head says of pairs, as trained and with offsets: scored under any weights of the images.

    Args:
        run, split: whose predictions there are.
        pairs: places (answered, other) of Q questions. `others` are the attributes that no even one begins with.
    """

    def __init__(self, run, split, pairs):
        predictions = run.predictions(split)
        self.places, self.units, self.head = np.array(pairs), predictions.units, predictions.main_head
        self.unfitted, cuts = _thresholds(run, split, self.places)
        self.variants, self.offsets = list(VARIANTS[: cuts.shape[1]]), of_thresholds(cuts.ravel()).reshape(cuts.shape)
        own, probabilities = self.places[:, 0], predictions.probabilities[self.head]
        self.inside = members(predictions, self.places)
        self._right = (probabilities[:, own, None] >= cuts) == predictions.labels[:, own, None]
        self._scorer = Scorer(predictions.labels, probabilities, run.training_rates, predictions.known)
        self._directed = np.isin(np.arange(len(run.attributes)), own[::2])

    def scores(self, weights):
        """Weights (n, B) -> {name of an array of `compute`: (B, ...)}."""
        others = self._scorer.count(weights)
        others = {f"others.{name}": defined_mean(np.where(self._directed, np.nan, others[name])) for name in OTHERS}
        return _scores(weights, self.inside, self._right) | others


def scored(scores, units, config):
    """{name: (..., 3)}, with intervals, of a function of weights (n, B) that gives {name: (B, ...)}."""
    whole = scores(np.ones((len(units), 1)))
    blocks = [scores(block) for block in resample_weights(units, config.analysis.resamples, config.seed)]
    return {
        name: estimates(value[0], np.concatenate([block[name] for block in blocks]), units)
        for name, value in whole.items()
    }


def headline(result):
    """Of the first pair, MEASURE:ATTRIBUTE:OTHER: the worst group, and accuracy where the two differ."""
    pair = ":".join(result.values["questions"][0][which] for which in ("attribute", "other"))
    found = {"worst_group": "worst", "apart": "apart"}
    return {f"{name}:{pair}": Estimate.of(result.arrays[array][0, 0]) for name, array in found.items()}


def pairs(run):
    """Places (answered, other) of the questions about a run: of every pair that is `chosen` both ways."""
    found = chosen(run.config, list(run.attributes), _together(run))
    return [one for pair in found for one in (pair, pair[::-1])]


def _together(run):
    return pearson(run.training.labels.astype(float), known=run.training.known)


def chosen(config, attributes, together):
    """Places (a, b) of the pairs to look at, each once.

    Those of `analysis.pairs_of_attributes`; where none is named, each directed attribute with the one that it comes
    together with most in training, and where none was directed the `MOST` pairs that come together most. What counts is
    the absolute phi coefficient of the labels, for of two attributes that exclude each other one gives away the other
    just as well.

    Args:
        together: float (K, K), the coefficients; NaN where one of two labels does not vary.
    """
    named = config.analysis.pairs_of_attributes
    if named is not None:
        return list(dict.fromkeys(tuple(_place(name, attributes) for name in _two(pair)) for pair in named))
    strength = np.nan_to_num(np.abs(together))
    np.fill_diagonal(strength, -1)
    if len(attributes) < 2:
        raise Unavailable("a single attribute makes no pair")
    if directed := [attributes.index(name) for name in _directed(config) if name in attributes]:
        return [(a, int(strength[a].argmax())) for a in directed[:MOST]]
    first, second = np.triu_indices(len(attributes), 1)
    order = np.argsort(-strength[first, second], kind="stable")[:MOST]
    found = [(int(first[i]), int(second[i])) for i in order if strength[first[i], second[i]] >= LEAST]
    if not found:
        raise Unavailable(
            f"no two attributes come together in training (correlations of at most {strength.max():.2f}); "
            "name some with --set analysis.pairs_of_attributes=[[NAME, NAME], ...]"
        )
    return found


def _directed(config):
    return [name for name, (_, of_map) in (config.loss.directed or {}).items() if of_map]


def _two(pair):
    if pair[0] == pair[1]:
        raise UserError(f"analysis.pairs_of_attributes: expected two attributes in a pair. Received: {pair[0]!r} twice")
    return map(composed, pair)


def _place(name, attributes):
    if name not in attributes:
        raise UserError(
            "analysis.pairs_of_attributes: expected names of attributes; did you mean "
            f"{nearest(name, attributes)!r}? Received: {name!r}"
        )
    return attributes.index(name)


def members(predictions, places):
    """Which images are in each of `GROUPS`, of predictions and int (Q, 2), (answered, other): bool (n, Q, 4)."""
    own, other = (predictions.labels[:, column] for column in places.T)
    known = predictions.known[:, places].all(axis=-1)
    return np.stack([own & other, own & ~other, ~own & other, ~own & ~other], axis=-1) & known[..., None]


def words(attribute, other):
    """What each of `GROUPS` is called."""
    return [f"{own} {attribute}, {its} {other}" for own in ("with", "without") for its in ("with", "without")]


def _scores(weights, inside, right):
    """{name of an array: (B, Q, V, ...)} of weights (n, B), groups (n, Q, 4) and right answers (n, Q, V)."""
    (n, questions, variants), groups = right.shape, inside.shape[-1]
    hits = (right[..., None] & inside[:, :, None]).reshape(n, -1).astype(float)
    hits = (weights.T @ hits).reshape(-1, questions, variants, groups)
    count = (weights.T @ inside.reshape(n, -1).astype(float)).reshape(-1, questions, 1, groups)
    count = np.broadcast_to(count, hits.shape)
    group = ratio(hits, count)
    lowest = np.where(np.isnan(group), np.inf, group).min(axis=-1)
    sides = [ratio(hits[..., side].sum(axis=-1), count[..., side].sum(axis=-1)) for side in (slice(0, 2), slice(2, 4))]
    return {
        "group": group,
        "worst": np.where(np.isinf(lowest), np.nan, lowest),
        "apart": ratio(hits[..., 1:3].sum(axis=-1), count[..., 1:3].sum(axis=-1)),
        "accuracy": ratio(hits.sum(axis=-1), count.sum(axis=-1)),
        "balanced_accuracy": sum(sides) / 2,
    }


def _thresholds(run, split, places):
    """Why offsets cannot be fitted, or None, and the thresholds of each variant: float (Q, V)."""
    trained, found = np.full((len(places), 1), THRESHOLD), run.predictions("validation")
    if split == "validation":
        return "offsets are fitted on the validation images, which are those that are answered here", trained
    if run.config.data.train_on_validation or found is None or not found.known.any():
        return "there are no validation images of its own to fit them on", trained
    own, probabilities = places[:, 0], found.probabilities[found.main_head]
    plain = thresholds(found.labels[:, own], probabilities[:, own], found.known[:, own])
    worst = []
    for a, inside in zip(own, members(found, places).swapaxes(0, 1), strict=True):
        there = inside.any(axis=1)
        groups = inside[there].argmax(axis=1)
        worst.append(worst_group_threshold(found.labels[there, a], groups, probabilities[there, a]))
    fitted = [[THRESHOLD if one is None else one for one in variant] for variant in (plain, worst)]
    return None, np.concatenate([trained, np.transpose(fitted)], axis=1)


def _defined(value):
    return None if np.isnan(value) else float(value)
