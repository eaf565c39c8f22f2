"""Where do each target's most important channels look? Their masks on a few images (1904.13078, figure 3).

The images are not picked by hand or by what the masks show: `choose` says which they are. Knows no page.
"""

import numpy as np

from mam_keras import analysis
from mam_keras.analysis import correlations
from mam_keras.analysis.blocks import ranks
from mam_keras.analysis.result import Result, Unavailable

NEEDS = {"predictions", "images", "masks"}
VERSION = 3
TOP = 3  # channels per target, as in the papers' figure
IMAGES, IMAGES_OF_MANY, MANY = 2, 1, 48  # images per target; of more than MANY targets
PAIR = ("Smiling", "Mouth_Slightly_Open")  # that the papers compare
PAIR_IMAGES = 3
USED = 10  # channels, by importance, that count as used when a pair is compared; at most a quarter of all


def settings(config):
    """What the masks' correlations depend on."""
    return {"correlations": correlations.settings(config)}


def compute(run, split):
    """Masks of each target's first channels on images that `choose` names.

    The first channels are the most important ones; where the logit is no sum over channels and none has an importance,
    those whose masks are most open on average. A look is one target on one image: for each of K targets on its own
    images, then for each of a pair of targets on images chosen for both at once.

    Returns:
        `Result` with the values `attributes` (the targets' names), `channels` (C), `first` ("important", "open" or
        "common"), `pair` (indices of the two that are compared, or None), `pair_by` ("papers", "only" or
        "correlation"), `used` (how many channels of each count in that), and the arrays

            images      uint8 (U, S, S, 3)  every image that is shown, with its `ids`, str (U,)
            channels    int (K, 3)          at most C; where all channels share a mask (K, 1), all -1
            attribute, image  int (L,)      of each look
            of_pair     bool (L,)           whether it is one of the pair's
            correct     bool (L,)           whether the answering head found what the image was chosen for
            masks       uint8 (L, 3, H, W)  M / max M, in 1/255
            highest     float32 (L, 3)      max M over the positions
            maps        uint8 (L, H, W)     what all channels add up to, its positive part over its maximum, in 1/255;
                                            left out where the logit is no sum over channels
            pair.channels  int (n,)         among the `used` most important of either, those of both first
            pair.ranks     int (n, 2)       rank by importance in each, from 1
            pair.shares    float (n, 2)     share of each one's importance

        The last three are left out where there is no pair, and where channels have no importance or no masks of their
        own.

    Raises `Unavailable` where no image of the split has a prediction, or none is a positive.
    """
    import tensorflow as tf

    found, images, network = analysis.result_of(run, "masks", split), run.images(split), run.network
    importance, common = found.arrays.get("importance"), network.masks.channels == 1
    first = "common" if common else "open" if importance is None else "important"
    if common:
        channels = np.full((len(run.attributes), 1), -1)
    else:
        ranked = found.arrays["mean"] if importance is None else importance
        channels = np.argsort(-ranked, axis=1, kind="stable")[:, :TOP]
    rows, labels, answers = _answered(images, run.predictions(split))
    pair, pair_by = _pair(run, split)
    used = min(USED, max(1, network.channels // 4))

    each = IMAGES if labels.shape[1] <= MANY else IMAGES_OF_MANY
    looks = [(k, *one, False) for k in range(labels.shape[1]) for one in choose(labels[:, k], answers[:, k], each)]
    if pair is not None:
        both = choose(labels[:, pair].all(axis=1), answers[:, pair].all(axis=1), PAIR_IMAGES)
        looks += [(k, *one, True) for one in both for k in pair]
    if not looks:
        raise Unavailable("the split has no positive image")
    attribute, chosen, correct, of_pair = map(np.array, zip(*looks, strict=True))
    shown, image = np.unique(rows[chosen], return_inverse=True)
    pictures = np.asarray(images.images[shown])
    features = network.features(tf.constant(pictures, tf.float32) / 255.0)
    masks = np.stack(
        [
            np.moveaxis(network.masks.mask(features[at : at + 1], k)[0].numpy(), -1, 0)[channels[k]]
            for k, at in zip(attribute, image, strict=True)
        ]
    )
    highest = masks.max(axis=(2, 3))
    scaled = masks / np.maximum(highest, np.finfo(np.float32).tiny)[:, :, None, None]
    values = {"attributes": list(run.attributes), "channels": network.channels, "first": first}
    values |= {"pair": pair, "pair_by": pair_by, "used": used}
    arrays = {
        "images": pictures,
        "ids": images.ids[shown].astype(str),
        "channels": channels,
        "attribute": attribute,
        "image": image,
        "of_pair": of_pair,
        "correct": correct,
        "masks": np.rint(255 * scaled).astype(np.uint8),
        "highest": highest,
    }
    if network.contributions:
        whole = network.masks.explain(features, *network.masks.identity)[0].numpy()  # (U, H, W, K)
        shown = np.maximum(whole[image, :, :, attribute], 0)
        arrays["maps"] = np.rint(255 * shown / np.maximum(shown.max(axis=(1, 2), keepdims=True), 1e-30)).astype(
            np.uint8
        )
    if pair is not None and first == "important":
        arrays |= compare(importance[pair], used)
    return Result(values, arrays)


def choose(labels, answers, count):
    """The first positives that were found, in the split's order; where they run out, the first that were missed.

    Args:
        labels, answers: bool (n,).
        count: at most so many.

    Returns:
        A list of (index of the image, whether it was found).
    """
    found, missed = np.flatnonzero(labels & answers), np.flatnonzero(labels & ~answers)
    return [*((int(index), True) for index in found), *((int(index), False) for index in missed)][:count]


def compare(importance, count):
    """Which of their `count` most important channels two attributes share: (2, C) -> `compute`'s last three arrays."""
    places = ranks(importance) + 1
    used = places <= count
    order = np.lexsort((places.min(axis=0), ~used[0], ~used.all(axis=0)))  # used by both, by the first, by the second
    channels = order[used.any(axis=0)[order]]
    shares = importance / np.maximum(importance.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return {"pair.channels": channels, "pair.ranks": places[:, channels].T, "pair.shares": shares[:, channels].T}


def _answered(images, predictions):
    """Rows of the images that have a prediction, in order, with their labels and the answering head's answers."""
    _, rows, at = np.intersect1d(images.ids, predictions.ids, return_indices=True)
    if not len(rows):
        raise Unavailable("no image of the split is among those that training left predictions for")
    order = np.argsort(rows)
    rows, at = rows[order], at[order]
    return rows, predictions.labels[at], predictions.answers(predictions.main_head)[at]


def _pair(run, split):
    """The papers' pair where both are there, else the only two, else those whose mean masks correlate most; and why."""
    names = list(run.attributes)
    if set(PAIR) <= set(names):
        return [names.index(name) for name in PAIR], "papers"
    if len(names) == 2:
        return [0, 1], "only"
    between = analysis.result_of(run, "correlations", split).arrays.get("attributes")
    upper = np.nan if between is None else np.where(np.triu(np.ones_like(between), 1) > 0, between, np.nan)
    if np.isnan(upper).all():
        return None, None
    return [int(k) for k in np.unravel_index(np.nanargmax(upper), upper.shape)], "correlation"
