"""Does the network need what its maps and its most important channels point at? Takes it away. Knows no page."""

import numpy as np

from mam_keras.analysis import true_positives
from mam_keras.analysis.result import Result, Unavailable

MOST = 100  # true positives per attribute, the first ones
SHARE = 0.1  # of the positions that are covered, and of the channels that are removed
DRAWS = 10  # random choices of channels, whose losses are averaged
COVERED = ("map", "random", "centre")
REMOVED = ("top", "random")


def settings(config):
    """The answer depends on the images, on what is drawn at random and on the bootstrap."""
    return {"split": config.analysis.split, "seed": config.seed, "resamples": config.analysis.resamples}


def compute(run):
    """What the attribute heads' logits lose on the first `MOST` true positives of each of K attributes.

    Covering: `SHARE` of the image's blocks, one per position of the feature map, get the image's mean colour: those
    where the attribute's scores are highest, as many drawn at random (the same for all attributes of an image), or
    those nearest the middle. Removing: `SHARE` of the channels are left out of s_p = sum_c w_c T(M)_{p,c} F_{p,c},
    before pooling: those of the largest importance on the image, 1/P sum_p |w_c T(M)_{p,c} F_{p,c}|, or random ones.

    Returns:
        `Result` with the values `attributes`, `images` (N), `positions` and `channels` ([how many are taken away, of
        how many]), and the arrays count (K,), images per attribute, logit (K,), the mean before, and for LOSS

            covering   logit before - logit after, of `COVERED`
            missed     share of the images that are no longer found, of `COVERED`
            channels   logit before - logit after, of `REMOVED`

        LOSS, LOSS.mean, LOSS.difference, LOSS.difference.mean of `true_positives.summary`. NaN for attributes with
        fewer than `true_positives.LEAST` images.

    Raises `Unavailable` without attribute heads or without the split.
    """
    if not run.config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads, and so no maps (model.attribute_heads is false)")
    images = run.images(run.config.analysis.split)
    if images is None:
        raise Unavailable(f"the data have no {run.config.analysis.split} split")
    from mam_keras.analysis.network import stream

    network, config = run.network, run.config
    positions, channels = ([taken_away(n), n] for n in (int(np.prod(network.grid)), network.channels))
    score, remove = _functions(network, channels[0])
    shape = (len(images), len(run.attributes))
    losses = {
        "covering": np.full((*shape, len(COVERED)), np.nan, np.float32),
        "missed": np.full((*shape, len(COVERED)), np.nan, np.float32),
        "channels": np.full((*shape, len(REMOVED)), np.nan, np.float32),
    }
    before, taken = np.full(shape, np.nan, np.float32), np.zeros(shape[1], int)
    for rows, batch in stream(images, config.evaluation.batch_size, "Faithfulness"):
        features, scores, logits = (array.numpy() for array in score(batch))
        chosen = true_positives.first((logits >= 0) & images.labels[rows], taken, MOST)
        before[rows] = np.where(chosen, logits, np.nan)
        random = np.stack([_random(config.seed, row).random(positions[1]) for row in range(rows.start, rows.stop)])
        for method, after in _covered(batch.numpy(), scores, chosen, highest(random, positions[0]), score):
            losses["covering"][rows, :, COVERED.index(method)] = np.where(chosen, logits - after, np.nan)
            losses["missed"][rows, :, COVERED.index(method)] = np.where(chosen, after < 0, np.nan)
        for k in np.flatnonzero(chosen.any(axis=0)):
            at = np.flatnonzero(chosen[:, k])
            random = [_random(config.seed, row, k).random((DRAWS, channels[1])) for row in rows.start + at]
            drawn = highest(np.stack(random), channels[0])
            losses["channels"][rows.start + at, k] = remove(features[at], k, drawn.astype(np.float32))
    count = (~np.isnan(before)).sum(axis=0)
    enough = count >= true_positives.LEAST
    arrays = {"count": count, "logit": np.where(enough, np.nansum(before, axis=0) / np.maximum(count, 1), np.nan)}
    for name, values in losses.items():
        parts = true_positives.summary(values, images.units, config.analysis.resamples, config.seed)
        arrays |= dict(zip(true_positives.named(name), parts, strict=True))
    values = {"attributes": list(run.attributes), "images": shape[0], "positions": positions, "channels": channels}
    return Result(values, arrays)


def taken_away(count):
    """How many are `SHARE` of them: at least one."""
    return max(1, round(SHARE * count))


def cover(images, blocks, grid):
    """Images (n, S, S, 3) whose blocks (n, H W), bool, have their image's mean colour."""
    height, width = grid
    side = images.shape[1] // height
    pixels = blocks.reshape(-1, height, width).repeat(side, axis=1).repeat(side, axis=2)
    return np.where(pixels[..., None], images.mean(axis=(1, 2), keepdims=True), images)


def highest(values, count):
    """The `count` highest of the last axis, of equal ones the first: (..., P) -> bool (..., P)."""
    return np.argsort(np.argsort(-values, axis=-1, kind="stable"), axis=-1, kind="stable") < count


def nearness(grid):
    """How near the positions are to the middle: float (H W,), the nearest highest."""
    y, x = (np.arange(length) - (length - 1) / 2 for length in grid)
    return -(y[:, None] ** 2 + x**2).ravel()


def _random(*seed):
    """Of one image, or of one image and attribute: the same whatever the batches."""
    return np.random.default_rng(seed)


def _covered(images, scores, chosen, random, score):
    """For each of `COVERED` the logits (n, K) of the chosen pairs of image and attribute, once covered.

    `random`: bool (n, H W), the blocks drawn for each image.
    """
    grid, count = scores.shape[1:3], random[0].sum()
    wanted = np.flatnonzero(chosen.any(axis=1))
    tops = highest(np.moveaxis(scores.reshape(*random.shape, -1), 1, 2), count)
    centre = np.broadcast_to(highest(nearness(grid), count), random.shape)

    def logits(rows, blocks):
        """In calls of at most as many images as there are in a batch."""
        parts = [slice(start, start + len(images)) for start in range(0, len(rows), len(images))]
        answers = [score(cover(images[rows[part]], blocks[part], grid).astype(np.float32))[2] for part in parts]
        return np.concatenate(answers) if answers else np.empty((0, chosen.shape[1]))

    after, (rows, attributes) = np.full(chosen.shape, np.nan), np.nonzero(chosen)
    after[rows, attributes] = logits(rows, tops[rows, attributes])[np.arange(len(rows)), attributes]
    yield "map", after
    for method, blocks in (("random", random), ("centre", centre)):
        after = np.full(chosen.shape, np.nan)
        after[wanted] = logits(wanted, blocks[wanted])
        yield method, after


def _functions(network, count):
    """images -> features, scores, logits; and features (m, H, W, C), k, drawn (m, D, C) -> losses (m, 2), `REMOVED`."""
    import tensorflow as tf

    heads, pool = network.heads, network.pooling.pool

    @tf.function(reduce_retracing=True)
    def score(images):
        features = network.features(images)
        scores = heads(features)  # at the identity pair, whose T is that of training
        return features, scores, network.logits(scores)

    @tf.function(reduce_retracing=True)
    def remove(features, k, drawn):
        gain = heads.mask_offset + heads.mask(features, k) if network.masked else 1.0
        contributions = heads.kernel[k] * gain * tf.cast(features, tf.float32)
        importance = tf.reduce_mean(tf.abs(contributions), axis=(1, 2))
        top = tf.reduce_sum(tf.one_hot(tf.math.top_k(importance, count).indices, network.channels), axis=1)
        kept = 1 - tf.concat([tf.zeros_like(top)[:, None], top[:, None], drawn], axis=1)
        logits = pool(tf.einsum("mhwc,mdc->mhwd", contributions, kept))  # of all channels, without the top, ...
        return tf.stack([logits[:, 0] - logits[:, 1], logits[:, 0] - tf.reduce_mean(logits[:, 2:], axis=1)], axis=1)

    return score, lambda features, k, drawn: remove(features, tf.constant(k), drawn).numpy()
