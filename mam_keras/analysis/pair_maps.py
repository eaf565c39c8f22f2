"""What does an attribute's map show with and without what usually comes with it? On the same images for every run.

The first images by their labels alone, whatever the run answers, so that runs can be laid side by side.
"""

import numpy as np

from mam_keras import analysis
from mam_keras.analysis import groups, regions, true_positives
from mam_keras.analysis.result import Result, Unavailable

NEEDS = ("images", "independent", "maps")
VERSION = 1
SHOWN = ("both", "own")  # of `groups.GROUPS`: images that have the attribute
MOST = 3  # images of each


def settings(config):
    """The answer depends on which pairs are looked at, and on where the attributes are."""
    return {"groups": groups.settings(config), "regions": regions.settings(config)}


def compute(run, split):
    """The own map of the attribute that each of P pairs of `groups` begins with.

    Returns:
        `Result` with the values `pairs` (P of [attribute, other]), `map` (title of the network's own map), `regions`
        (whether it is known where the attributes are) and the arrays, (P, 2, N) for the N = `MOST` images of `SHOWN`,
        empty where there are fewer:

            ids          str
            probability  of the head that answers, NaN without an image
            images       uint8 (P, 2, N, S, S, 3)
            maps         uint8 (P, 2, N, H, W), the map's positive part over its highest value
            regions      bool (P, 2, N, S, S), nowhere where that is not known
    """
    asked = analysis.result_of(run, "groups", split).values["questions"][::2]
    images, own, where = run.images(split), next(iter(run.network.maps)), _regions(run, split)
    grid, side = run.network.map_size(own), run.network.image_size
    shape, look = (len(asked), len(SHOWN), MOST), _looking(run.network, run.network.maps[own])
    arrays = {
        "ids": np.full(shape, "", images.ids.astype(str).dtype),
        "probability": np.full(shape, np.nan),
        "images": np.zeros((*shape, side, side, 3), np.uint8),
        "maps": np.zeros((*shape, *grid), np.uint8),
        "regions": np.zeros((*shape, side, side), bool),
    }
    for p, one in enumerate(asked):
        k, other = (run.attributes.index(one[name]) for name in ("attribute", "other"))
        known = images.known[:, k] & images.known[:, other] & images.labels[:, k]
        for g, members in enumerate((known & images.labels[:, other], known & ~images.labels[:, other])):
            rows = np.flatnonzero(members)[:MOST]
            if not len(rows):
                continue
            there = p, g, slice(len(rows))
            arrays["ids"][there], arrays["images"][there] = images.ids[rows], images.images[rows]
            arrays["maps"][there], arrays["probability"][there] = look(true_positives.pixels(images, rows), k)
            if where is not None:
                arrays["regions"][there] = [where.region(row, k) & where.counted(row) for row in rows]
    values = {
        "pairs": [[one["attribute"], one["other"]] for one in asked],
        "map": run.network.maps[own].title,
        "regions": where is not None,
    }
    return Result(values, arrays)


def _regions(run, split):
    """The regions of the split's own images; None where nobody knows any."""
    try:
        sets = regions.region_sets(run, split)
    except Unavailable:
        return None
    return next((one for one in sets if one.name != regions.PartMasks.name), None)


def _looking(network, one):
    """A function: images float32 (n, S, S, 3) and a target -> maps uint8 (n, H, W), and probabilities (n,)."""
    import tensorflow as tf

    from mam_keras.model.maps import of_target

    @tf.function(reduce_retracing=True)
    def look(images, k):
        features = network.features(images)
        return of_target(one, images, features, k), network.probabilities(network.logit(images, features, k))

    def looked(images, k):
        shown, probability = (found.numpy() for found in look(tf.constant(images), tf.constant(k)))
        shown = np.maximum(shown, 0)
        highest = np.maximum(shown.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
        return np.rint(255 * shown / highest).astype(np.uint8), probability

    return looked
