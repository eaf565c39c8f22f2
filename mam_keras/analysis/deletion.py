"""How fast does an answer go when an image is taken away in a map's order, or come when it is put back? Knows no page.

Deletion and insertion (Petsiuk et al. 2018, RISE; Quantus and Xplique have them under these names). Our readings: what
is taken away gets the image's mean colour, which is also what insertion starts from; a step is a sixteenth of the
blocks of the network's own map; the areas are over all of the image, from nothing to everything.
"""

import numpy as np
from tqdm import tqdm

from mam_keras.analysis import true_positives
from mam_keras.analysis.blocks import nearness, ranks
from mam_keras.analysis.faithfulness import drawn
from mam_keras.analysis.result import Result
from mam_keras.statistics import Estimate, defined_mean

NEEDS = ("images", "maps")
VERSION = 2
MOST = 24  # true positives per attribute, the first ones
STEPS = 16  # in which an image is taken away or put back
CONTROLS = ("untrained", "random", "centre")
MEASURES = ("deletion", "insertion", "deletion_logit", "insertion_logit")


def settings(config):
    """The answer depends on the untrained network's seed, on what is drawn at random and on the bootstrap."""
    return {"seed": config.seed, "resamples": config.analysis.resamples}


def compute(run, split):
    """Deletion and insertion on the first `MOST` true positives of each of K targets.

    Blocks are ranked by a map, highest first, of equally high ones the first; negative values of a signed map are last.
    With the t-th share a_t = round(t P / `STEPS`) / P of them covered (deletion), or all but these (insertion), the
    answer to the target is y_t, and the area is

        sum_t (a_{t+1} - a_t) (y_t + y_{t+1}) / 2

    of the probability, and of the logit. Low areas of deletion and high ones of insertion speak for a map. Methods:

        every map of the network, its own first
        untrained  the own map of the same network with random weights
        random     an order drawn at random, the same for all targets of an image
        centre     blocks nearest the middle first

    Returns:
        `Result` with the values `attributes`, `images`, `methods` (M of these), `maps` (`Network.described`), `grid`
        and the arrays count (K,), images per attribute, share (T + 1,), the a_t, for MEASURE of `MEASURES` MEASURE,
        MEASURE.mean, MEASURE.difference, MEASURE.difference.mean of `true_positives.summary`, and the mean curves
        MEASURE.curve (K, M, T + 1) and MEASURE.curve.mean (M, T + 1), over attributes. NaN for attributes with fewer
        than `true_positives.LEAST` images.
    """
    from mam_keras.analysis.covering import Covered
    from mam_keras.analysis.maps import Maps

    config, images, maps = run.config, run.images(split), Maps(run)
    covered = Covered(run.network, maps.grid, config.evaluation.batch_size)
    positions = int(np.prod(maps.grid))
    counts = np.unique(np.round(np.arange(STEPS + 1) * positions / STEPS).astype(int))
    methods = [*maps.names, "random", "centre"]
    chosen = true_positives.first(run, images, split, MOST)
    count, share = chosen.sum(axis=0), counts / positions
    areas = np.full((len(MEASURES), *chosen.shape, len(methods)), np.nan, np.float32)
    means = np.full((len(MEASURES), chosen.shape[1], len(methods), len(counts)), np.nan, np.float32)
    middle = nearness(maps.grid)
    for k in tqdm(range(chosen.shape[1]), desc="Deletion and insertion", unit=" attributes", disable=None, leave=False):
        rows = np.flatnonzero(chosen[:, k])
        if not len(rows):
            continue
        pixels = true_positives.pixels(images, rows)
        orders = maps(pixels, k).reshape(len(rows), len(maps.names), positions)
        random = np.stack([drawn(config.seed, row).random(positions) for row in rows])
        fixed = np.stack([random, np.broadcast_to(middle, random.shape)], axis=1)
        found = curves(covered, pixels, ranks(np.concatenate([orders, fixed], axis=1)), counts, k)
        areas[:, rows, k] = np.trapezoid(found, share, axis=-1)
        if len(rows) >= true_positives.LEAST:
            means[:, k] = found.mean(axis=1)
    arrays = {"count": count, "share": share}
    for measure, curve in zip(MEASURES, means, strict=True):
        over = defined_mean(np.moveaxis(curve, 0, -1))
        arrays |= {f"{measure}.curve": curve, f"{measure}.curve.mean": over}
    areas = dict(zip(MEASURES, areas, strict=True))
    arrays |= true_positives.summary(areas, images.units, config.analysis.resamples, config.seed)
    values = {
        "attributes": list(run.attributes),
        "images": len(images),
        "methods": methods,
        "maps": run.network.described,
    }
    return Result(values | {"grid": list(maps.grid)}, arrays)


def headline(result):
    """Areas of the network's own map and of a random order, means over attributes."""
    found = {}
    for measure in MEASURES[:2]:
        mean = result.arrays[f"{measure}.mean"]
        found[measure] = Estimate.of(mean[0])
        found[f"{measure}_random"] = Estimate.of(mean[result.values["methods"].index("random")])
    return found


def curves(covered, images, order, counts, k):
    """Answers to a target while blocks go, and while they come.

    Args:
        covered: `covering.Covered`.
        images: float32 (n, S, S, 3).
        order: int (n, M, P), the rank of every block by each of M methods, 0 goes first.
        counts: int (T + 1,), how many have gone, from 0 to P.
        k: the target.

    Returns:
        float32 (4, n, M, T + 1), of `MEASURES`: probabilities and then logits, each of deletion and insertion.
    """
    inner = order[:, :, None, :] < counts[1:-1, None]  # (n, M, T - 1, P)
    ends = np.broadcast_to(np.array([False, True])[:, None], (len(images), 2, order.shape[-1]))  # nothing, everything
    hidden = np.concatenate([inner, ~inner]).reshape(2, len(images), -1, order.shape[-1])
    answers = covered(images, np.concatenate([ends, *hidden], axis=1), k)
    found = []
    for values in (answers.probabilities, answers.logits):
        whole, none, between = values[:, :1], values[:, 1:2], values[:, 2:].reshape(len(images), 2, *inner.shape[1:3])
        for part, first, last in ((between[:, 0], whole, none), (between[:, 1], none, whole)):
            first, last = (np.broadcast_to(end[:, :, None], (*part.shape[:2], 1)) for end in (first, last))
            found.append(np.concatenate([first, part, last], axis=-1))
    return np.stack(found)
