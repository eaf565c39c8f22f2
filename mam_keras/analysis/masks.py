"""What do the masks look like, and what does each channel add to each attribute? One pass over the split.

Every mask is evaluated once, an attribute and a batch at a time, and only its moments and counts are kept. What
follows from them is worked out by `correlations` and `mask_grids`. Knows no page.
"""

import numpy as np

from mam_keras.analysis.result import Result, Unavailable

BINS = 100  # of the histogram over [0, 1]
NEAR = {"near_zero": (0, 10), "near_half": (40, 60), "near_one": (90, 100)}  # bins that count as near 0, 0.5, 1


def settings(config):
    """The answer depends on which images are looked at."""
    return {"split": config.analysis.split}


def compute(run):
    """Statistics of the masks of K attributes over N images and P positions.

    There are C' mask values per position and attribute: C' = C, or 1 with `masks: common`.

    Returns:
        `Result` with the values `attributes` (their names), `images` (N), `masks` (of the configuration),
        `channels` (C), and the arrays

            mean             (K, C')   over positions and images
            covariance       (C', C')  of the channels' mask values over attributes, positions and images
            histogram        (K, 100)  how many mask values are in [i / 100, (i + 1) / 100)
            near_zero, near_half, near_one
                             (K,)      shares of the values in [0, 0.1), [0.4, 0.6) and [0.9, 1]
            spread           (K,)      standard deviation over channels, positions and images
            sparsity         (K,)      of all those values, see `hoyer`
            importance       (K, C)    mean over images of 1/P sum_p |w_{k,c} T(M^k)_{p,c} F_{p,c}|, at the identity:
                                       the mean absolute contribution to the logit
            masked_share     (K,)      share of that which is due to M in T(M) = mask_offset + M; NaN where all is 0
            half             (K,)      how many channels, the most important first, make up half of it

    Raises `Unavailable` where the network has no masks, or the data no such split.
    """
    import tensorflow as tf

    from mam_keras.analysis.network import stream

    require(run.config)
    split = run.config.analysis.split
    images = run.images(split)
    if images is None:
        raise Unavailable(f"the data have no {split} split")
    network, attributes = run.network, len(run.attributes)
    channels = 1 if run.config.model.masks == "common" else network.channels
    moments, histogram = Moments(), np.zeros((attributes, BINS), np.int64)
    importance, activity = 0.0, 0.0
    explain = tf.function(lambda features: network.heads.explain(features, *network.identity)[1], reduce_retracing=True)

    @tf.function(reduce_retracing=True)
    def look(features, attribute):
        """Of one attribute's masks: means (C',), products about them (C', C'), counts (100,)."""
        masks = tf.reshape(network.heads.mask(features, attribute), (-1, channels))
        mean = tf.reduce_mean(masks, axis=0)
        centred = masks - mean
        return mean, tf.matmul(centred, centred, transpose_a=True), tf.histogram_fixed_width(masks, (0.0, 1.0), BINS)

    for rows, batch in stream(images, run.config.evaluation.batch_size, "Masks"):
        features = network.features(batch)
        means, products, counts = zip(*(look(features, tf.constant(k)) for k in range(attributes)), strict=True)
        moments.add(len(batch) * np.prod(network.grid), np.array(means, float), np.array(products, float))
        histogram += np.array(counts)
        share = (rows.stop - rows.start) / len(images)
        importance += share * np.mean(explain(features), axis=0, dtype=float)
        activity += share * np.mean(np.abs(features), axis=(0, 1, 2), dtype=float)
    unmasked = network.heads.mask_offset * np.abs(network.heads.kernel) @ activity
    mean = moments.mean.mean(axis=1)
    variance = (moments.squares / moments.count).mean(axis=1) + moments.mean.var(axis=1)
    values = {
        "attributes": list(run.attributes),
        "images": len(images),
        "masks": run.config.model.masks,
        "channels": network.channels,
    }
    arrays = {
        "mean": moments.mean,
        "covariance": moments.covariance(),
        "histogram": histogram,
        **{name: histogram[:, slice(*bins)].sum(axis=1) / histogram.sum(axis=1) for name, bins in NEAR.items()},
        "spread": np.sqrt(variance),
        "sparsity": hoyer(mean, variance + mean**2, moments.count * channels),
        "importance": importance,
        "masked_share": 1 - _ratio(unmasked, importance.sum(axis=1)),
        "half": half(importance),
    }
    return Result(values, arrays)


def require(config):
    """Raises `Unavailable` where a network of this configuration has no masks."""
    if not config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads, and so no masks (model.attribute_heads is false)")
    if config.model.masks == "none":
        raise Unavailable("the attribute heads have no masks (model.masks is none)")


class Moments:
    """Means and centred products of K attributes' C mask values, merged batch by batch in float64.

    A batch's products are taken about its own means and moved to the common ones (Chan, Golub & LeVeque 1983), so
    nothing cancels where masks hardly vary.

    Attributes:
        count: n, values per attribute and channel.
        mean: (K, C).
        squares: (K, C), sum of squared deviations from `mean`.
        products: (C, C), sum of products of deviations, over attributes too.
    """

    def __init__(self):
        self.count, self.mean, self.squares, self.products = 0, 0.0, 0.0, 0.0

    def add(self, count, mean, products):
        """Adds a batch of `count` values: its means (K, C), and its products about them (K, C, C)."""
        total, shift = self.count + count, mean - self.mean
        weight = self.count * count / total
        self.squares = self.squares + np.diagonal(products, axis1=1, axis2=2) + weight * shift**2
        self.products = self.products + products.sum(axis=0) + weight * shift.T @ shift
        self.mean = self.mean + shift * count / total
        self.count = total

    def covariance(self):
        """(C, C) over attributes and values: the mean within attributes, and that of the attributes' means."""
        between = self.mean - self.mean.mean(axis=0)
        return (self.products / self.count + between.T @ between) / len(self.mean)


def hoyer(mean, mean_square, n):
    """Sparsity of n values >= 0: (sqrt(n) - sum m / sqrt(sum m^2)) / (sqrt(n) - 1) (Hoyer 2004, section 3.1).

    0 where all are equal, 1 where a single one is not 0; NaN for one value or where all are 0. Unlike a share below
    some threshold it does not change when all values shrink together.
    """
    root = np.sqrt(n)
    return _ratio(root * (1 - _ratio(mean, np.sqrt(mean_square))), np.full(np.shape(mean), root - 1))


def half(importance):
    """How many channels, the most important first, make up half of the whole: (K, C) -> int (K,)."""
    falling = -np.sort(-importance, axis=1)
    return 1 + (falling.cumsum(axis=1) < falling.sum(axis=1, keepdims=True) / 2).sum(axis=1)


def _ratio(numerator, denominator):
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
