"""Does an attribute's map fall where the attribute is? Beside simple controls on the same images. Knows no page.

A map is the positive part of what each position of the feature map contributes to the logit; a position stands for the
block of pixels under it.
"""

import numpy as np

from mam_keras.analysis import regions, true_positives
from mam_keras.analysis.result import Result, Unavailable

MOST = 100  # true positives per attribute, the first ones
SMALL = 0.4  # of the image: regions below this are the ones to find
WIDTH = 0.15  # of the blob: its standard deviation, in sides of the image
MEASURES = ("ratio", "pointing", "peak")


def settings(config):
    """The answer depends on where the attributes are, on the untrained network's seed and on the bootstrap."""
    return {
        "split": config.analysis.split,
        "regions": regions.settings(config),
        "seed": config.seed,
        "resamples": config.analysis.resamples,
    }


def compute(run):
    """How well maps fall on the regions of K attributes, on true positives of the attribute heads.

    On the first `MOST` true positives of each attribute, less those without a region, by `measure`. Methods:

        map        ReLU of the scores s^k_p at the identity, the contributions to the logit
        grad_cam   of the multi-label head, sum_c a^k_c F_{p,c} with a^k_c the mean gradient of its logit (Selvaraju et
                   al. 2017, equations 1 and 2): a linear unit on pooled features has a^k_c = w_{k,c} / P
        untrained  ReLU of the scores of the same network with random weights
        blob       a fixed Gaussian in the middle of the image
        uniform    the same everywhere, which is what chance gives

    Returns:
        `Result` with the values `attributes`, `methods` (M of these; without a multi-label head no `grad_cam`), `seen`
        (pixels that a position sees across, `backbone.receptive_field`), `sets` (names of the `regions.region_sets`),
        and for each SET `SET` = {`images`, `small`: attributes whose mean region is under `SMALL` of the image,
        `ratio`, `least_ratio`, `pointing`: of the maps over those, None without any}.
        Arrays, NaN for an attribute with fewer than `true_positives.LEAST`:

            SET.count  (K,)   images per attribute
            SET.area   (K,)   mean share of the image that is region
            SET.MEASURE, .mean, .difference, .difference.mean     see `true_positives.summary`
            SET.small.MEASURE.mean, .difference.mean              those of the small attributes alone
            SET.ids (K,), SET.images uint8 (K, S, S, 3), SET.regions bool (K, S, S), SET.maps uint8 (K, M', H, W)
                              each attribute's first such image: its region, and `map` and `grad_cam` over their maxima

    Raises `Unavailable` without attribute heads or without regions.
    """
    if not run.config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads, and so no maps (model.attribute_heads is false)")
    from mam_keras.model.backbone import receptive_field

    methods, look = _maps(run)
    seen = receptive_field(run.config.model.front_end, run.config.model.dilations)
    values, arrays = {"attributes": list(run.attributes), "methods": methods, "seen": seen, "sets": []}, {}
    for where in regions.region_sets(run):
        values["sets"].append(where.name)
        values[where.name], found = _localise(run, where, methods, look)
        arrays |= {f"{where.name}.{name}": array for name, array in found.items()}
    return Result(values, arrays)


def measure(maps, inside, counted):
    """Of maps (..., H, W) >= 0 whose positions stand for blocks of pixels, against a region.

    A map that is 0 wherever it counts says nothing and is taken as uniform; of equally high positions each is as good.

    Args:
        inside: (H, W), share of each block's pixels that are in the region; not 0 throughout.
        counted: (H, W), share of them that count at all; not less than `inside`.

    Returns:
        Three arrays (...): `ratio`, the share of the map's energy inside the region over the region's share of the
        area (1 is chance); `pointing`, 1 where the highest position's block meets the region (pointing game, Zhang et
        al. 2016; our reading: the tolerance is the block), 0 elsewhere; `peak`, the share of that block inside.
    """
    maps = np.where(counted > 0, maps, 0)
    maps = np.where((maps * counted).sum(axis=(-2, -1), keepdims=True) > 0, maps, 1)
    highest = (maps == np.where(counted > 0, maps, -1).max(axis=(-2, -1), keepdims=True)) & (counted > 0)
    ratio = _share(maps, inside, counted) * counted.sum() / inside.sum()
    return ratio, _share(highest, inside > 0, counted > 0), _share(highest, inside, counted)


def cover(pixels, grid):
    """The share of each block's pixels that are set: bool (S, S) -> float (H, W)."""
    height, width = grid
    return pixels.reshape(height, len(pixels) // height, width, -1).mean(axis=(1, 3))


def blob(grid):
    """A Gaussian in the middle, its standard deviation `WIDTH` of the image's side: float (H, W)."""
    y, x = ((np.arange(length) + 0.5) / length - 0.5 for length in grid)
    return np.round(np.exp(-(y[:, None] ** 2 + x**2) / (2 * WIDTH**2)), 9)  # what is equally far is equally high


def grad_cam(features, kernel):
    """ReLU of the features weighted by a linear head's kernel (C, K): (N, H, W, C) -> (N, H, W, K).

    Grad-CAM of a linear unit on the features' mean, but for the factor 1/P, which no measure here sees.
    """
    import tensorflow as tf

    return tf.nn.relu(tf.matmul(tf.cast(features, tf.float32), kernel))


def _share(maps, inside, counted):
    return (maps * inside).sum(axis=(-2, -1)) / (maps * counted).sum(axis=(-2, -1))


def _maps(run):
    """The methods, and a function: images -> logits (n, K) and maps (n, K, M, H, W)."""
    import keras
    import tensorflow as tf

    import mam_keras.model
    from mam_keras.analysis.network import Network

    network = run.network
    keras.utils.set_random_seed(run.config.seed)
    untrained = Network(mam_keras.model.build(run.config, run.attributes))
    kernel = network.model.get_layer("multi_label_logits").kernel if network.has_multi_label else None
    fixed = np.stack([blob(network.grid), np.ones(network.grid)])

    @tf.function(reduce_retracing=True)
    def look(images):
        features = network.features(images)
        scores = network.heads(features)  # T of training, which is that of the identity pair
        maps = [tf.nn.relu(scores), *([] if kernel is None else [grad_cam(features, kernel)])]
        maps.append(tf.nn.relu(untrained.heads(untrained.features(images))))
        return network.logits(scores), tf.transpose(tf.stack(maps), (1, 4, 0, 2, 3))

    def with_fixed(images):
        logits, maps = look(images)
        maps = maps.numpy()
        fixed_maps = np.broadcast_to(fixed, (*maps.shape[:2], *fixed.shape))
        return logits.numpy(), np.concatenate([maps, fixed_maps], axis=2)

    return ["map", *([] if kernel is None else ["grad_cam"]), "untrained", "blob", "uniform"], with_fixed


def _localise(run, where, methods, look):
    """Values and arrays of one set of regions."""
    from mam_keras.analysis.network import stream

    grid, names = run.network.grid, run.attributes
    shape, drawn = (len(where.images), len(names)), 2 if "grad_cam" in methods else 1
    measured = np.full((len(MEASURES), *shape, len(methods)), np.nan, np.float32)
    area, taken = np.full(shape, np.nan, np.float32), np.zeros(len(names), int)
    size = where.images.images.shape[1:3]
    pictures = {
        "ids": np.zeros(len(names), where.images.ids.astype(str).dtype),
        "images": np.zeros((len(names), *size, 3), np.uint8),
        "regions": np.zeros((len(names), *size), bool),
        "maps": np.zeros((len(names), drawn, *grid), np.uint8),
    }
    for rows, batch in stream(where.images, run.config.evaluation.batch_size, "Localisation"):
        logits, maps = look(batch)
        chosen = true_positives.first((logits >= 0) & where.images.labels[rows], taken, MOST)
        for place, k in np.argwhere(chosen):
            row = rows.start + place
            counted = where.counted(row)
            region = where.region(row, k) & counted
            if not region.any():
                continue
            inside, counted = cover(region, grid), cover(counted, grid)
            if np.isnan(area[:, k]).all():
                highest = np.maximum(maps[place, k].max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
                pictures["ids"][k], pictures["images"][k] = where.images.ids[row], where.images.images[row]
                pictures["regions"][k] = region
                pictures["maps"][k] = np.rint(255 * maps[place, k] / highest)[:drawn]
            area[row, k] = inside.sum() / counted.sum()
            measured[:, row, k] = measure(maps[place, k], inside, counted)
    return _summarised(run, measured, area, where.images.units, pictures)


def _summarised(run, measured, area, units, pictures):
    """measured (3, n, K, M) and area (n, K) -> values and arrays of `compute` for one set of regions."""
    resamples, seed = run.config.analysis.resamples, run.config.seed
    count = (~np.isnan(area)).sum(axis=0)
    mean_area = np.where(count >= true_positives.LEAST, np.nansum(area, axis=0) / np.maximum(count, 1), np.nan)
    small = mean_area < SMALL
    arrays = {"count": count, "area": mean_area, **pictures}
    for name, values in zip(MEASURES, measured, strict=True):
        summary = true_positives.summary(values, units, resamples, seed)
        arrays |= dict(zip(true_positives.named(name), summary, strict=True))
        _, mean, _, difference = true_positives.summary(values[:, small], units, resamples, seed)
        arrays |= {f"small.{name}.mean": mean, f"small.{name}.difference.mean": difference}
    found = {"images": len(area), "small": [run.attributes[k] for k in np.flatnonzero(small)]}
    found |= {"ratio": None, "least_ratio": None, "pointing": None}
    if small.any():
        found["ratio"], found["pointing"] = (float(arrays[f"small.{name}.mean"][0, 0]) for name in MEASURES[:2])
        found["least_ratio"] = float(arrays["ratio"][small, 0, 0].min())
    return found, arrays
