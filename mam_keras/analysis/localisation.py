"""Does a target's map fall where the target is? Beside simple controls on the same images. Knows no page.

A map is measured by its positive part, on the grid of the network's own map (`analysis.maps`); a position stands for
the block of pixels under it.
"""

import numpy as np
from tqdm import tqdm

from mam_keras.analysis import regions, true_positives
from mam_keras.analysis.blocks import blob, cover
from mam_keras.analysis.result import Result
from mam_keras.statistics import Estimate

NEEDS = ("maps",)  # and regions, which `regions.region_sets` finds or not
VERSION = 3
MOST = 100  # true positives per attribute, the first ones
SMALL = 0.4  # of the image: regions below this are the ones to find
MEASURES = ("ratio", "pointing", "peak")
_BESIDE = ("seen", "grad_cam", "blob", "positions")  # the own map, in the headline


def settings(config):
    """The answer depends on where the attributes are, on the untrained network's seed and on the bootstrap."""
    return {"regions": regions.settings(config), "seed": config.seed, "resamples": config.analysis.resamples}


def compute(run, split):
    """How well maps fall on the regions of K targets, on true positives of the answering head.

    On the first `MOST` true positives of each target, less those without a region, by `measure`. Methods:

        every map of the network, its own first, positive part
        untrained  the own map of the same network with random weights
        blob       a fixed Gaussian in the middle of the image
        positions  the weights of positions that the network has learned, if it has: what of its map every image shares
        uniform    the same everywhere, which is what chance gives

    Returns:
        `Result` with the values `attributes`, `methods` (M of these), `maps` (`Network.described`), `grid`, `seen`
        (pixels that a position of the features sees across, None where that is all), `sets` (names of the
        `regions.region_sets`), and for each SET `SET` = {`images`, `small`: attributes whose mean region is under
        `SMALL` of the image}.
        Arrays, NaN for an attribute with fewer than `true_positives.LEAST`:

            SET.count  (K,)   images per attribute
            SET.area   (K,)   mean share of the image that is region
            SET.MEASURE, .mean, .difference, .difference.mean     see `true_positives.summary`
            SET.small.MEASURE.mean, .difference.mean              those of the small attributes alone
            SET.ids (K,), SET.images uint8 (K, S, S, 3), SET.regions bool (K, S, S), SET.maps uint8 (K, M', H, W)
                              each attribute's first such image: its region, and the network's maps over their maxima

    Raises `Unavailable` without regions.
    """
    sets = regions.region_sets(run, split)
    from mam_keras.analysis.maps import Maps

    maps = Maps(run)
    fixed = _fixed(run.network, maps.grid)
    stages = {stage.name: stage for stage in run.network.stages}
    seen = stages.get("features", run.network.stages[-1] if stages else None)
    values = {
        "attributes": list(run.attributes),
        "methods": [*maps.names, *fixed],
        "maps": run.network.described,
        "grid": list(maps.grid),
        "seen": seen and seen.receptive_field,
        "sets": [where.name for where in sets],
    }
    arrays = {}
    for where in sets:
        values[where.name], found = _localise(run, split, where, maps, fixed)
        arrays |= {f"{where.name}.{name}": array for name, array in found.items()}
    return Result(values, arrays)


def headline(result):
    """Of the small regions, in the mean over attributes.

    `localisation` and `pointing` are the energy ratio and the pointing game of the network's own map on the split's own
    images, `localised` how many attributes these are; where there are part masks as well, which are of other images,
    `localisation_parts`, `pointing_parts` and `localised_parts` are those there. NAME_seen is of contributions
    over what is seen and NAME_grad_cam of Grad-CAM, where these are other maps, NAME_blob of a blob in the middle, and
    NAME_positions of learned positions alone.
    """
    sets, methods = result.values["sets"], result.values["methods"]
    where = regions.own(sets)
    found = _headline(result, where, "", methods)
    if where != regions.PartMasks.name in sets:
        found |= _headline(result, regions.PartMasks.name, "_parts", methods)
    return found


def _headline(result, where, ending, methods):
    found = {}
    for name, measure in (("localisation", "ratio"), ("pointing", "pointing")):
        mean = result.arrays[f"{where}.small.{measure}.mean"]
        found[f"{name}{ending}"] = Estimate.of(mean[0])
        for other in _BESIDE:
            if other in methods[1:]:
                found[f"{name}{ending}_{other}"] = Estimate.of(mean[methods.index(other)])
    return found | {f"localised{ending}": Estimate(len(result.values[where]["small"]), None, None)}


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


def _share(maps, inside, counted):
    return (maps * inside).sum(axis=(-2, -1)) / (maps * counted).sum(axis=(-2, -1))


def _fixed(network, grid):
    """Controls that are the same for every image: {method: (H, W), or (K, H, W) where targets differ}."""
    from mam_keras.model.maps import on_grid

    learned = {}
    if network.positions:
        learned["positions"] = np.asarray(on_grid(np.moveaxis(network.positions().numpy(), -1, 0), grid))
    return {"blob": blob(grid), **learned, "uniform": np.ones(grid)}


def _localise(run, split, where, maps, fixed):
    """Values and arrays of one set of regions."""
    images, grid, size = where.images, maps.grid, run.config.evaluation.batch_size
    chosen = true_positives.first(run, images, split, MOST)
    drawn = len(run.network.maps)
    measured = np.full((len(MEASURES), *chosen.shape, len(maps.names) + len(fixed)), np.nan, np.float32)
    area, shape = np.full(chosen.shape, np.nan, np.float32), (chosen.shape[1], *images.images.shape[1:3])
    pictures = {
        "ids": np.zeros(shape[0], images.ids.astype(str).dtype),
        "images": np.zeros((*shape, 3), np.uint8),
        "regions": np.zeros(shape, bool),
        "maps": np.zeros((shape[0], drawn, *grid), np.uint8),
    }
    for k in tqdm(range(shape[0]), desc="Localisation", unit=" attributes", disable=None, leave=False):
        counted = {row: where.counted(row) for row in np.flatnonzero(chosen[:, k])}
        inside = {row: where.region(row, k) & pixels for row, pixels in counted.items()}
        rows = np.array([row for row, pixels in inside.items() if pixels.any()], int)
        controls = np.stack([one if one.ndim == 2 else one[k] for one in fixed.values()])
        for part in true_positives.batches(rows, size):
            shown = np.maximum(maps(true_positives.pixels(images, part), k), 0)
            for row, one in zip(part, shown, strict=True):
                if row == rows[0]:
                    highest = np.maximum(one.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
                    pictures["ids"][k], pictures["images"][k] = images.ids[row], images.images[row]
                    pictures["regions"][k], pictures["maps"][k] = inside[row], np.rint(255 * one / highest)[:drawn]
                shares = cover(inside[row], grid), cover(counted[row], grid)
                area[row, k] = shares[0].sum() / shares[1].sum()
                measured[:, row, k] = measure(np.concatenate([one, controls]), *shares)
    return _summarised(run, measured, area, images.units, pictures)


def _summarised(run, measured, area, units, pictures):
    """measured (3, n, K, M) and area (n, K) -> values and arrays of `compute` for one set of regions."""
    resamples, seed = run.config.analysis.resamples, run.config.seed
    count = (~np.isnan(area)).sum(axis=0)
    mean_area = np.where(count >= true_positives.LEAST, np.nansum(area, axis=0) / np.maximum(count, 1), np.nan)
    small = mean_area < SMALL
    measured = dict(zip(MEASURES, measured, strict=True))
    arrays = {"count": count, "area": mean_area, **pictures}
    arrays |= true_positives.summary(measured, units, resamples, seed, {"small": small})
    found = {"images": len(area), "small": [run.attributes[k] for k in np.flatnonzero(small)]}
    return found, arrays
