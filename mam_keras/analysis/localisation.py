"""Does an attribute's map fall where the attribute is? Against simple controls on the same images. Knows no page."""

import numpy as np

from mam_keras.analysis import regions, true_positives
from mam_keras.analysis.result import Result, Unavailable

MOST = 200  # true positives of an attribute, the first ones
METHODS = ("map", "grad_cam", "blob", "random", "uniform")
MEASURES = ("ratio", "pointing", "peak")
SMALL = 0.4
SIGMA = 0.25


def settings(config):
    return {"split": config.analysis.split, "resamples": config.analysis.resamples, "seed": config.seed}


def compute(run):
    if not run.config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads, and so no maps (model.attribute_heads is false)")
    import keras
    import tensorflow as tf

    import mam_keras.model
    from mam_keras.analysis.network import Network, stream

    network = run.network
    keras.utils.set_random_seed(run.config.seed)
    untrained = Network(mam_keras.model.build(run.config, run.attributes))

    @tf.function(reduce_retracing=True)
    def look(images):
        features = network.features(images)
        scores = network.heads.scores(features, *network.identity)
        random = untrained.heads.scores(untrained.features(images), *untrained.identity)
        head = network.model.get_layer("multi_label_logits")
        maps = tf.stack([scores, tf.matmul(features, head.kernel), random], axis=1)
        return network.logits(scores), tf.nn.relu(maps)

    values, arrays = {"attributes": list(run.attributes), "sets": []}, {}
    for where in regions.region_sets(run):
        shape = (len(where.images), len(run.attributes))
        found = {m: np.full((*shape, len(METHODS)), np.nan, np.float32) for m in MEASURES}
        area, taken = np.full(shape, np.nan, np.float32), np.zeros(shape[1], int)
        fixed = np.stack([blob(network.grid), np.ones(network.grid)])
        for rows, batch in stream(where.images, run.config.evaluation.batch_size, "Localisation"):
            logits, maps = look(batch)
            maps = np.moveaxis(maps.numpy(), -1, 1)  # (n, K, 3, H, W)
            chosen = true_positives.first((logits.numpy() >= 0) & where.images.labels[rows], taken, MOST)
            for i, k in np.argwhere(chosen):
                row = rows.start + i
                counted = cover(where.counted(row), network.grid)
                inside = cover(where.region(row, k), network.grid)
                if not inside.any():
                    continue
                area[row, k] = inside.sum() / counted.sum()
                three = measure(np.concatenate([maps[i, k, :2], fixed[:1], maps[i, k, 2:], fixed[1:]]), inside, counted)
                for m, value in zip(MEASURES, three, strict=True):
                    found[m][row, k] = value
        units = np.arange(shape[0]) if where.images.groups is None else where.images.groups
        count = (~np.isnan(area)).sum(axis=0)
        reported = count >= true_positives.LEAST
        share = np.where(reported, np.nansum(area, axis=0) / np.maximum(count, 1), np.nan)
        summaries = {m: true_positives.summary(found[m], units, run.config.analysis.resamples, run.config.seed) for m in MEASURES}
        small = share < SMALL
        values["sets"].append(where.name)
        values[where.name] = {
            "small": [run.attributes[k] for k in np.flatnonzero(small)],
            "ratio": float(summaries["ratio"][0][small, 0, 0].mean()),
            "least_ratio": float(summaries["ratio"][0][small, 0, 0].min()),
            "pointing": float(summaries["pointing"][0][small, 0, 0].mean()),
            "peak": float(summaries["peak"][0][small, 0, 0].mean()),
        }
        arrays[f"{where.name}.count"], arrays[f"{where.name}.area"] = count, share
        for m, parts in summaries.items():
            for name, part in zip(("", ".mean", ".difference", ".difference.mean"), parts, strict=True):
                arrays[f"{where.name}.{m}{name}"] = part
    return Result(values, arrays)


def measure(maps, inside, counted):
    maps = np.where(counted > 0, maps, 0)
    maps = np.where((maps * counted).sum(axis=(-2, -1), keepdims=True) > 0, maps, 1)
    ratio = _within(maps, inside, counted) * counted.sum() / inside.sum()
    candidates = np.where(counted > 0, maps, -np.inf)
    peak = candidates == candidates.max(axis=(-2, -1), keepdims=True)
    return ratio, _within(peak, inside > 0, counted > 0), _within(peak, inside, counted)


def _within(maps, inside, counted):
    return (maps * inside).sum(axis=(-2, -1)) / (maps * counted).sum(axis=(-2, -1))


def cover(pixels, grid):
    height, width = grid
    return pixels.reshape(height, len(pixels) // height, width, -1).mean(axis=(1, 3))


def blob(grid):
    y, x = ((np.arange(n) + 0.5) / n - 0.5 for n in grid)
    return np.exp(-(y[:, None] ** 2 + x**2) / (2 * SIGMA**2))
