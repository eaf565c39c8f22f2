"""Where do each attribute's most important channels look? Their masks on a few images (1904.13078, figure 3).

The images are not picked by hand or by what the masks show: `choose` says which they are. Knows no page.
"""

import numpy as np

from mam_keras import analysis
from mam_keras.analysis import correlations, masks
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.evaluation import THRESHOLD

TOP = 3  # channels per attribute, as in the papers' figure
IMAGES, IMAGES_OF_MANY, MANY = 2, 1, 48  # images per attribute; of more than MANY attributes
PAIR = ("Smiling", "Mouth_Slightly_Open")  # that the papers compare
PAIR_IMAGES = 3
USED = 10  # channels, by importance, that count as used when a pair is compared; at most a quarter of all


def settings(config):
    """What the masks' importances and correlations depend on."""
    return {"masks": masks.settings(config), "correlations": correlations.settings(config)}


def compute(run):
    """Masks of the most important channels on images that `choose` names, K attributes and at most 2 images each.

    Returns:
        `Result` with the values `attributes` (their names), `masks` (of the configuration), `channels` (C), `pair`
        (indices of the two attributes that are compared, or None), `pair_by` ("papers" or "correlation"), `used` (how
        many channels of each count in that), and the arrays

            images      uint8 (U, S, S, 3)   every image that is shown
            ids         str (U,)
            channels    int (K, 3)           by falling importance; at most C. With `masks: common` (K, 1), all -1
            chosen      int (K, E)           rows of `images`, -1 behind the last
            correct     bool (K, E)          whether it is a positive that the attribute's head found
            masks       uint8 (K, E, 3, H, W)  M / max M, in 1/255
            highest     float32 (K, E, 3)    max M over the positions
            pair.chosen, pair.correct (3,), pair.masks, pair.highest (2, 3, 3, ...)  the same for the pair, on images
                                             chosen for both at once
            pair.channels  int (L,)          among the `used` most important of either, those of both first
            pair.ranks     int (L, 2)        rank by importance in each, from 1
            pair.shares    float (L, 2)      share of each one's importance

        The `pair` arrays are left out where there is no pair; the last three with `masks: common`.

    Raises `Unavailable` where there are no masks, or no image of the split has a prediction, or none is a positive.
    """
    import tensorflow as tf

    found = analysis.result_of(run, "masks")
    importance = found.arrays["importance"]
    images = run.images(run.config.analysis.split)
    rows, labels, answers = _answered(images, run.answers)
    common = found.values["masks"] == "common"
    ranking = np.argsort(-importance, axis=1, kind="stable")
    channels = np.full((len(importance), 1), -1) if common else ranking[:, :TOP]
    each = IMAGES if len(importance) <= MANY else IMAGES_OF_MANY
    wanted = [choose(label, answer, each) for label, answer in zip(labels.T, answers.T, strict=True)]
    pair, pair_by = _pair(run)
    used = min(USED, max(1, importance.shape[1] // 4))
    if pair is not None:
        wanted.append(choose(labels[:, pair].all(axis=1), answers[:, pair].all(axis=1), PAIR_IMAGES))
    shown = np.unique(np.concatenate([chosen for chosen, _ in wanted]))
    shown = shown[shown >= 0]
    if not len(shown):
        raise Unavailable("no attribute has a positive image in the split")
    arrays = {
        "images": np.asarray(images.images[rows[shown]]),
        "ids": images.ids[rows[shown]].astype(str),
        "channels": channels,
    }
    features = run.network.features(tf.constant(arrays["images"], tf.float32) / 255.0).numpy()
    places = [(np.where(chosen < 0, -1, np.searchsorted(shown, chosen)), correct) for chosen, correct in wanted]
    looks = [_look(run.network.heads, features, k, places[k][0], channels[k]) for k in range(len(importance))]
    arrays["chosen"], arrays["correct"] = map(np.array, zip(*places[: len(importance)], strict=True))
    arrays["masks"], arrays["highest"] = map(np.array, zip(*looks, strict=True))
    if pair is not None:
        arrays["pair.chosen"], arrays["pair.correct"] = places[-1]
        looks = [_look(run.network.heads, features, k, places[-1][0], channels[k]) for k in pair]
        arrays["pair.masks"], arrays["pair.highest"] = map(np.array, zip(*looks, strict=True))
        if not common:
            arrays |= compare(importance[pair], used)
    values = {"attributes": list(run.attributes), "masks": found.values["masks"], "channels": importance.shape[1]}
    return Result(values | {"pair": pair, "pair_by": pair_by, "used": used}, arrays)


def choose(labels, answers, count):
    """The first positives that were found, in the split's order; where they run out, the first that were missed.

    Args:
        labels, answers: bool (n,).
        count: how many.

    Returns:
        Two arrays (count,): int, the images, -1 behind the last where there are fewer positives; bool, whether found.
    """
    order = np.concatenate([np.flatnonzero(labels & answers), np.flatnonzero(labels & ~answers)])[:count]
    chosen = np.concatenate([order, np.full(count - len(order), -1)])
    return chosen, (chosen >= 0) & answers[chosen]


def compare(importance, count):
    """Which of their `count` most important channels two attributes share: (2, C) -> `compute`'s last three arrays."""
    ranks = np.argsort(np.argsort(-importance, axis=1, kind="stable"), axis=1) + 1
    used = ranks <= count
    order = np.lexsort((ranks.min(axis=0), ~used[0], ~used.all(axis=0)))  # used by both, by the first, by the second
    channels = order[used.any(axis=0)[order]]
    shares = importance / np.maximum(importance.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return {"pair.channels": channels, "pair.ranks": ranks[:, channels].T, "pair.shares": shares[:, channels].T}


def _answered(images, predictions):
    """Rows of the images that have a prediction, in order, with their labels and the attribute heads' answers."""
    _, rows, at = np.intersect1d(images.ids, predictions.ids, return_indices=True)
    if not len(rows):
        raise Unavailable("no image of the split is among those that training left predictions for")
    order = np.argsort(rows)
    rows, at = rows[order], at[order]
    return rows, predictions.labels[at], predictions.probabilities["attributes"][at] >= THRESHOLD


def _pair(run):
    """The papers' pair where both are there, else the two whose mean masks correlate most; and by which rule."""
    names = list(run.attributes)
    if set(PAIR) <= set(names):
        return [names.index(name) for name in PAIR], "papers"
    between = analysis.result_of(run, "correlations").arrays.get("attributes")
    if between is None:
        return None, None
    upper = np.where(np.triu(np.ones_like(between), 1) > 0, between, np.nan)
    if np.isnan(upper).all():
        return None, None
    return [int(k) for k in np.unravel_index(np.nanargmax(upper), upper.shape)], "correlation"


def _look(heads, features, attribute, places, channels):
    """An attribute's masks on images of `features`: uint8 (E, channels, H, W) and their maxima (E, channels)."""
    masks = np.moveaxis(heads.mask(features[np.maximum(places, 0)], attribute).numpy(), -1, 1)[:, channels]
    highest = masks.max(axis=(2, 3))
    scaled = masks / np.maximum(highest, np.finfo(np.float32).tiny)[:, :, None, None]
    return np.rint(255 * scaled).astype(np.uint8), highest
