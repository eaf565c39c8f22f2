"""Does the network need what its own map and its most important channels point at? Takes it away. Knows no page."""

import numpy as np
from tqdm import tqdm

from mam_keras.analysis import true_positives
from mam_keras.analysis.blocks import highest, nearness
from mam_keras.analysis.result import Result
from mam_keras.statistics import Estimate

NEEDS = ("images", "maps")
VERSION = 4
MOST = 100  # true positives per attribute, the first ones
SHARE = 0.1  # of the positions that are covered, and of the channels that are removed
DRAWS = 10  # random choices of channels, whose losses are averaged
COVERED = ("map", "random", "centre")
REMOVED = ("top", "random")


def settings(config):
    """The answer depends on what is drawn at random and on the bootstrap."""
    return {"seed": config.seed, "resamples": config.analysis.resamples}


def compute(run, split):
    """What the answering head's logits lose on the first `MOST` true positives of each of K targets.

    Covering: `SHARE` of the image's blocks, one per position of the network's own map, get the image's mean colour:
    those where the map is highest, as many drawn at random (the same for all targets of an image), or those nearest
    the middle. The map is the own one or, where the network has it, "seen" (`model.maps.contribution_maps`).

    A flat patch can itself speak against the target. So the evidence for it that is gone is counted alone, too, of a
    logit that is the mean of scores s_p (`Contributions.adds_up`): 1/P sum_p max(s_p, 0), before - after.

    Removing: `SHARE` of the channels are left out of s_p = sum_c w_c T(M)_{p,c} F_{p,c}, before pooling: those of the
    largest importance on the image, 1/P sum_p |w_c T(M)_{p,c} F_{p,c}|, or random ones; where the logit is such a sum
    (`Network.contributions`).

    Returns:
        `Result` with the values `attributes`, `images` (N), `map` (the title of what is covered by), `positions`
        and `channels` ([how many are taken away, of how many]; None where none can be), and the arrays count (K,),
        images per attribute, logit (K,), the mean before, and for LOSS

            covering   logit before - logit after, of `COVERED`
            missed     share of the images that are no longer found, of `COVERED`
            evidence   what spoke for the target and is gone, of `COVERED`; left out where scores do not add up
            channels   logit before - logit after, of `REMOVED`; left out where no channels can be removed

        LOSS, LOSS.mean, LOSS.difference, LOSS.difference.mean of `true_positives.summary`. NaN for attributes with
        fewer than `true_positives.LEAST` images.
    """
    from mam_keras.analysis.covering import Covered

    network, config, images = run.network, run.config, run.images(split)
    marking = "seen" if "seen" in network.maps else next(iter(network.maps))
    grid, size = network.map_size(marking), config.evaluation.batch_size
    positions = [taken_away(int(np.prod(grid))), int(np.prod(grid))]
    channels = [taken_away(network.channels), network.channels] if network.contributions else None
    adds_up = network.contributions is not None and network.contributions.adds_up
    look, remove = _looking(network, network.maps[marking], adds_up), _removing(network, channels)
    covered = Covered(network, grid, size, evidence=adds_up)
    chosen = true_positives.first(run, images, split, MOST)
    methods = {"covering": COVERED, "missed": COVERED}
    methods |= {"evidence": COVERED} if adds_up else {}
    methods |= {"channels": REMOVED} if channels is not None else {}
    losses = {loss: np.full((*chosen.shape, len(names)), np.nan, np.float32) for loss, names in methods.items()}
    before, middle = np.full(chosen.shape, np.nan, np.float32), highest(nearness(grid), positions[0])
    for k in tqdm(range(chosen.shape[1]), desc="Faithfulness", unit=" attributes", disable=None, leave=False):
        for rows in true_positives.batches(np.flatnonzero(chosen[:, k]), size):
            pixels = true_positives.pixels(images, rows)
            features, shown, logits, evidence = look(pixels, k)
            random = np.stack([drawn(config.seed, row).random(positions[1]) for row in rows])
            tops = [highest(values, positions[0]) for values in (shown, random)]
            after = covered(pixels, np.stack([*tops, np.broadcast_to(middle, random.shape)], axis=1), k)
            before[rows, k] = logits
            losses["covering"][rows, k] = logits[:, None] - after.logits
            losses["missed"][rows, k] = ~after.found
            if adds_up:
                losses["evidence"][rows, k] = evidence[:, None] - after.evidence
            if channels is not None:
                random = [drawn(config.seed, row, k).random((DRAWS, channels[1])) for row in rows]
                losses["channels"][rows, k] = remove(features, k, highest(np.stack(random), channels[0]))
    count = chosen.sum(axis=0)
    enough = count >= true_positives.LEAST
    arrays = {"count": count, "logit": np.where(enough, np.nansum(before, axis=0) / np.maximum(count, 1), np.nan)}
    arrays |= true_positives.summary(losses, images.units, config.analysis.resamples, config.seed)
    values = {"attributes": list(run.attributes), "images": len(images), "positions": positions, "channels": channels}
    return Result(values | {"map": network.maps[marking].title}, arrays)


def headline(result):
    """What covering costs, `covering` and `covering_CONTROL`, means over attributes; and `control_wins`.

    That is the number of attributes of which covering random blocks, or the middle, costs measurably more than covering
    what the map marks: the 95 % interval of the paired difference is below 0. None where none has enough images.
    """
    own, *controls = (Estimate.of(numbers) for numbers in result.arrays["covering.mean"])
    highest = result.arrays["covering.difference"][..., 2]  # the upper ends of the differences' intervals
    won = int((highest < 0).any(axis=1).sum()) if np.isfinite(highest).any() else None
    found = {f"covering_{control}": mean for control, mean in zip(COVERED[1:], controls, strict=True)}
    return {"covering": own} | found | {"control_wins": Estimate(won, None, None)}


def taken_away(count):
    """How many are `SHARE` of them: at least one."""
    return max(1, round(SHARE * count))


def drawn(*seed):
    """A generator for one image, or for one image and attribute: the same whatever the batches."""
    return np.random.default_rng(seed)


def _looking(network, one, adds_up):
    """A function: images float32 (n, S, S, 3), k -> features, a tensor; the map, (n, H W); the logits and the evidence
    for the target, (n,) each, the latter None where scores do not add up."""
    import tensorflow as tf

    from mam_keras.model.maps import of_target

    @tf.function(reduce_retracing=True)
    def look(images, k):
        features = network.features(images)
        evidence = network.contributions.evidence(features, k) if adds_up else None
        return features, of_target(one, images, features, k), network.logit(images, features, k), evidence

    def looked(images, k):
        features, shown, logits, evidence = look(tf.constant(images), tf.constant(k))
        shown = shown.numpy().reshape(len(images), -1)
        return features, shown, logits.numpy(), evidence.numpy() if adds_up else None

    return looked


def _removing(network, channels):
    """A function: features (n, H, W, C), k, drawn bool (n, D, C) -> losses (n, 2) of `REMOVED`; or None."""
    import tensorflow as tf

    if channels is None:
        return None
    own, (count, all_of_them) = network.contributions, channels

    @tf.function(reduce_retracing=True)
    def remove(features, k, drawn):
        contributions = own.of_channels(features, k)
        importance = tf.reduce_mean(tf.abs(contributions), axis=(1, 2))
        top = tf.reduce_sum(tf.one_hot(tf.math.top_k(importance, count).indices, all_of_them), axis=1)
        kept = 1 - tf.concat([tf.zeros_like(top)[:, None], top[:, None], drawn], axis=1)
        logits = own.pooling.pool(tf.einsum("nhwc,ndc->nhwd", contributions, kept))  # of all channels, without the top
        return tf.stack([logits[:, 0] - logits[:, 1], logits[:, 0] - tf.reduce_mean(logits[:, 2:], axis=1)], axis=1)

    return lambda features, k, drawn: remove(features, tf.constant(k), tf.constant(drawn, tf.float32)).numpy()
