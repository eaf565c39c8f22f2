"""Is an attribute found by its region, and only by it? Images that show it alone, and images in which it is covered.

The mouth-only images of 1905.00593, and those with sunglasses, made from the regions. A network that looks where the
attribute is answers as before where only that is shown, and cannot tell where it is covered. Knows no page.
"""

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from mam_keras.analysis import regions, true_positives
from mam_keras.analysis.result import Result
from mam_keras.statistics import Estimate, defined_mean, estimates, ratio, resample_weights

NEEDS = ("images",)  # and regions, which `regions.region_sets` finds or not
VERSION = 1
MOST = 100  # images per attribute with it, and as many without it, the first ones
BLUR = 0.1  # standard deviation, in sides of the image
SHOWN = ("whole", "alone_mean", "alone_blur", "covered_mean", "covered_blur")
MEASURES = ("accuracy", "balanced_accuracy", "change")


def settings(config):
    """The answer depends on where the attributes are and on the bootstrap."""
    return {"regions": regions.settings(config), "seed": config.seed, "resamples": config.analysis.resamples}


def compute(run, split):
    """How the head that answers is right about each of K attributes on `SHOWN`: parts of the same images.

        whole          as they are
        alone_mean     its region; the rest has the image's mean colour
        alone_blur     its region; the rest is blurred, standard deviation `BLUR` of the image's side
        covered_mean   the region has the image's mean colour
        covered_blur   the region is blurred

    Of each attribute the first `MOST` images that have it and the first `MOST` that do not are taken, less those
    without a region. With r the recall and s the specificity on these, and p the share of the images of the split that
    have it,

        accuracy            p r + (1 - p) s
        balanced_accuracy   (r + s) / 2
        change              mean of the logit less that of the whole image, over the images that have it

    Regions follow from the labels nowhere but where people marked parts that not every face has (part masks); there
    images without the part count for nothing.

    Returns:
        `Result` with the values `attributes`, `exclusive`, `shown`, `sets` (names of the `regions.region_sets`), and
        for each SET the arrays

            SET.count         (K, 2)     images with the attribute, and without
            SET.area          (K,)       mean share of the image that is region
            SET.MEASURE       (K, V, 3)  of `MEASURES`, V of `SHOWN`, with the ends of its 95 % interval; NaN for an
                                         attribute with fewer than `true_positives.LEAST` images of either kind
            SET.MEASURE.mean  (V, 3)     means over attributes

    Raises `Unavailable` without regions.
    """
    arrays, sets, ask = {}, regions.region_sets(run, split), _asking(run.network)
    for where in sets:
        found = _tested(run, where, ask)
        arrays |= {f"{where.name}.{name}": array for name, array in found.items()}
    values = {
        "attributes": list(run.attributes),
        "exclusive": run.targets.exclusive,
        "shown": list(SHOWN),
        "sets": [where.name for where in sets],
    }
    return Result(values, arrays)


def headline(result):
    """Balanced accuracy on the split's own images, where their mean colour hides the rest, or the region."""
    sets = result.values["sets"]
    mean = result.arrays[f"{regions.own(sets)}.balanced_accuracy.mean"]
    return {f"region_{name}": Estimate.of(mean[SHOWN.index(f"{name}_mean")]) for name in ("alone", "covered")}


def shown(images, region):
    """Images in the ways of `SHOWN`: uint8 (n, S, S, 3) and regions bool (n, S, S) -> uint8 (n, V, S, S, 3)."""
    mean = np.rint(images.mean(axis=(1, 2), keepdims=True)).astype(np.uint8)
    radius, inside = BLUR * images.shape[1], region[..., None]
    blurred = np.stack([np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(radius))) for one in images])
    hidden = [np.broadcast_to(mean, images.shape), blurred]
    alone, covered = ([np.where(where, images, rest) for rest in hidden] for where in (inside, ~inside))
    return np.stack([images, *alone, *covered], axis=1)


def _asking(network):
    """A function: images uint8 (n, S, S, 3) and a target -> logits (n,), and whether it is answered "yes", (n,)."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def logits(images, k):
        images = tf.cast(images, tf.float32) / 255.0
        if network.targets.exclusive:
            return network.logits(images)
        return network.logit(images, network.features(images), k)[:, None]

    def ask(images, k):
        found, place = logits(tf.constant(images), tf.constant(k)).numpy(), k if network.targets.exclusive else 0
        return found[:, place], network.answers(found)[:, place]

    return ask


def _tested(run, where, ask):
    """The arrays of one set of regions."""
    images, most = where.images, max(1, run.config.evaluation.batch_size // len(SHOWN))
    sides = np.stack([images.labels & images.known, ~images.labels & images.known], axis=-1)
    chosen = sides & (np.cumsum(sides, axis=0) <= MOST)
    area = np.full(chosen.shape[:2], np.nan, np.float32)
    right, change = (np.zeros((*area.shape, len(SHOWN)), np.float32) for _ in range(2))
    for k in tqdm(range(area.shape[1]), desc="Tests by region", unit=" attributes", disable=None, leave=False):
        inside = {row: where.region(row, k) & where.counted(row) for row in np.flatnonzero(chosen[:, k].any(axis=1))}
        rows = np.array([row for row, region in inside.items() if region.any()], int)
        for part in true_positives.batches(rows, most):
            region = np.stack([inside[row] for row in part])
            pictures = shown(np.asarray(images.images[part]), region)
            logits, yes = (found.reshape(len(part), -1) for found in ask(pictures.reshape(-1, *pictures.shape[2:]), k))
            right[part, k] = yes == images.labels[part, k, None]
            change[part, k] = logits - logits[:, :1]
            area[part, k] = region.mean(axis=(1, 2))
    there = (chosen & ~np.isnan(area)[..., None]).astype(float)
    count, found = there.sum(axis=0), there[..., None] * right[:, :, None]
    moved = there[..., :1] * change
    arrays = {"count": count.astype(int), "area": ratio(np.nansum(area, axis=0), count.sum(axis=1))}
    rate = ratio(sides[..., 0].sum(axis=0), images.known.sum(axis=0))[:, None]
    enough = (count >= true_positives.LEAST).all(axis=1)[:, None]

    def scores(weights):
        counts, hits, sums = (_summed(weights, one) for one in (there, found, moved))
        recall, specificity = np.moveaxis(ratio(hits, np.broadcast_to(counts[..., None], hits.shape)), 2, 0)
        measured = {
            "accuracy": rate * recall + (1 - rate) * specificity,
            "balanced_accuracy": (recall + specificity) / 2,
            "change": ratio(sums, np.broadcast_to(counts[..., :1], sums.shape)),
        }
        return {name: np.where(enough, values, np.nan) for name, values in measured.items()}

    whole = scores(np.ones((len(area), 1)))
    weights = resample_weights(images.units, run.config.analysis.resamples, run.config.seed)
    blocks = [scores(block) for block in weights]
    for name in MEASURES:
        value, resampled = whole[name][0], np.concatenate([block[name] for block in blocks])
        arrays[name] = estimates(value, resampled, images.units)
        means = (defined_mean(np.moveaxis(values, -2, -1)) for values in (value, resampled))
        arrays[f"{name}.mean"] = estimates(*means, images.units)
    return arrays


def _summed(weights, values):
    """Over images: (n, B) and float (n, ...) -> (B, ...)."""
    return (weights.T @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])
