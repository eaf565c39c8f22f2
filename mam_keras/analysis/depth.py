"""What do a network's stages look at, from low to high? Heatmaps by depth, in numbers (1901.10042, figures 2 to 4).

The paper sees "less noise" and heat "on the most salient portions". Here noise is a lack of concentration, being on it
is the share of the heat in the region, where that is known, and what heat is worth is deletion and insertion. All maps
are measured in the blocks of the last stage's positions. Knows no page.
"""

import numpy as np
from tqdm import tqdm

from mam_keras.analysis import regions, true_positives
from mam_keras.analysis.blocks import blob, cover, ranks
from mam_keras.analysis.deletion import curves
from mam_keras.analysis.faithfulness import drawn
from mam_keras.analysis.localisation import measure
from mam_keras.analysis.masks import hoyer
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.statistics import Estimate

NEEDS = ("images", "stages")
VERSION = 1
MOST = 12  # true positives per attribute, the first ones
STEPS = 8  # in which an image is taken away or put back
CONTROLS = ("blob", "random")  # beside the network with random weights
MEASURES = ("concentration", "deletion", "insertion")
IN_REGIONS = ("ratio", "pointing")


def settings(config):
    """The answer depends on where the attributes are, on what is drawn at random and on the bootstrap."""
    return {"regions": regions.settings(config), "seed": config.seed, "resamples": config.analysis.resamples}


def compute(run, split):
    """Heatmaps of D stages on the first `MOST` true positives of each of K targets, by M methods (`maps.Depths`).

    Methods are Grad-CAM and mean absolute activation of every stage, from high to low, the last stage's Grad-CAM with
    random weights ("untrained"), a fixed Gaussian in the middle ("blob"), and heat drawn at random for each image.

    Returns:
        `Result` with the values `attributes`, `methods`, `stages` (D of {"name", "stride", "receptive_field"}, from low
        to high), `grid`, `sets` (names of the `regions.region_sets`, none where nothing says where attributes are), and
        the arrays count (K,), images per attribute, and, as `true_positives.summary` gives them,

            concentration, deletion, insertion    `masks.hoyer` of a map's values; areas as in `deletion`
            SET.ratio, SET.pointing               `localisation.measure`

        and of each attribute's first true positive ids (K,), images uint8 (K, S, S, 3), and maps uint8
        (K, 2 D, H, W): Grad-CAM of the stages from low to high, then their activations, each over its maximum.
    """
    from mam_keras.analysis.covering import Covered
    from mam_keras.analysis.maps import Depths

    config, images, maps = run.config, run.images(split), Depths(run)
    methods, positions, stages = [*maps.names, *CONTROLS], int(np.prod(maps.grid)), len(maps.stages)
    covered = Covered(run.network, maps.grid, config.evaluation.batch_size)
    counts = np.unique(np.round(np.arange(STEPS + 1) * positions / STEPS).astype(int))
    chosen = true_positives.first(run, images, split, MOST)
    shape = (chosen.shape[1], *images.images.shape[1:3])
    measured = {name: np.full((*chosen.shape, len(methods)), np.nan, np.float32) for name in MEASURES}
    pictures = {
        "ids": np.zeros(shape[0], images.ids.astype(str).dtype),
        "images": np.zeros((*shape, 3), np.uint8),
        "maps": np.zeros((shape[0], 2 * stages, *maps.grid), np.uint8),
    }
    for k in tqdm(range(shape[0]), desc="Heatmaps by depth", unit=" attributes", disable=None, leave=False):
        rows = np.flatnonzero(chosen[:, k])
        if not len(rows):
            continue
        pixels = true_positives.pixels(images, rows)
        shown = _beside(maps(pixels, k), config.seed, rows)
        flat = shown.reshape(*shown.shape[:2], positions)
        found = hoyer(flat.mean(axis=-1), (flat**2).mean(axis=-1), positions)
        measured["concentration"][rows, k] = np.nan_to_num(found)  # a map of nothing is concentrated nowhere
        areas = np.trapezoid(curves(covered, pixels, ranks(flat), counts, k), counts / positions, axis=-1)
        measured["deletion"][rows, k], measured["insertion"][rows, k] = areas[:2]
        pictures["ids"][k], pictures["images"][k] = images.ids[rows[0]], images.images[rows[0]]
        pictures["maps"][k] = _drawn(shown[0, : 2 * stages], stages)
    resamples, sets = config.analysis.resamples, _region_sets(run, split)
    arrays = {"count": chosen.sum(axis=0), **pictures}
    arrays |= true_positives.summary(measured, images.units, resamples, config.seed)
    for where in sets:
        inside = _inside(run, split, where, maps)
        summary = true_positives.summary(inside, where.images.units, resamples, config.seed)
        arrays |= {f"{where.name}.{name}": array for name, array in summary.items()}
    values = {
        "attributes": list(run.attributes),
        "methods": methods,
        "stages": [stage._asdict() for stage in maps.stages],
        "grid": list(maps.grid),
        "sets": [where.name for where in sets],
    }
    return Result(values, arrays)


def headline(result):
    """Of the last stage's Grad-CAM: how concentrated it is, means over attributes."""
    return {"concentration": Estimate.of(result.arrays["concentration.mean"][0])}


def _region_sets(run, split):
    try:
        return regions.region_sets(run, split)
    except Unavailable:
        return []


def _inside(run, split, where, maps):
    """{MEASURE: float (n, K, M)} of `IN_REGIONS`, on the images of one set of regions."""
    chosen = true_positives.first(run, where.images, split, MOST)
    measured = np.full((len(IN_REGIONS), *chosen.shape, len(maps.names) + len(CONTROLS)), np.nan, np.float32)
    for k in range(chosen.shape[1]):
        regions_of = {row: (where.region(row, k), where.counted(row)) for row in np.flatnonzero(chosen[:, k])}
        rows = np.array([row for row, (region, counted) in regions_of.items() if (region & counted).any()], int)
        if not len(rows):
            continue
        shown = _beside(maps(true_positives.pixels(where.images, rows), k), run.config.seed, rows)
        for row, one in zip(rows, shown, strict=True):
            region, counted = regions_of[row]
            measured[:, row, k] = measure(one, cover(region & counted, maps.grid), cover(counted, maps.grid))[:2]
    return dict(zip(IN_REGIONS, measured, strict=True))


def _beside(shown, seed, rows):
    """Maps (n, M', H, W) with those of `CONTROLS` behind them."""
    grid = shown.shape[2:]
    random = np.stack([drawn(seed, row).random(grid) for row in rows])
    fixed = np.broadcast_to(blob(grid), random.shape)
    return np.concatenate([shown, np.stack([fixed, random], axis=1)], axis=1).astype(np.float32)


def _drawn(maps, stages):
    """Grad-CAM and activations from high to low -> from low to high, over their maxima, uint8."""
    ordered = np.concatenate([maps[:stages][::-1], maps[stages:][::-1]])
    highest = np.maximum(ordered.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    return np.rint(255 * ordered / highest)
