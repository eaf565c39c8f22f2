"""What do the masks look like, and what does each channel add to each target? One pass over the split.

Every mask is evaluated once, a target and a batch at a time, and only its moments and counts are kept. What
follows from them is worked out by `correlations` and `mask_grids`. Knows no page.
"""

import numpy as np

from mam_keras.analysis.result import Result
from mam_keras.statistics import Estimate, ratio

NEEDS = {"images", "masks"}
VERSION = 2
BINS = 100  # of the histogram over [0, 1]
NEAR = {"near_zero": (0, 10), "near_half": (40, 60), "near_one": (90, 100)}  # bins that count as near 0, 0.5, 1


def settings(config):
    """Nothing else decides the answer."""
    return {}


def compute(run, split):
    """Statistics of the masks of K targets over N images and P positions.

    There are C' mask values per position and target: C' = C, or 1 where all channels share a mask.

    Returns:
        `Result` with the values `attributes` (the targets' names), `images` (N), `channels` (C), `offset` (o in
        T(M) = o + M), and the arrays

            mean             (K, C')   over positions and images
            covariance       (C', C')  of the channels' mask values over targets, positions and images
            histogram        (K, 100)  how many mask values are in [i / 100, (i + 1) / 100)
            near_zero, near_half, near_one
                             (K,)      shares of the values in [0, 0.1), [0.4, 0.6) and [0.9, 1]
            spread           (K,)      standard deviation over channels, positions and images
            sparsity         (K,)      of all those values, see `hoyer`

        and where the logit is an exact sum over channels

            importance       (K, C)    mean over images of 1/P sum_p |w_{k,c} T(M^k)_{p,c} F_{p,c}|, at the identity:
                                       the mean absolute contribution to the logit
            masked_share     (K,)      share of that which is due to M in T(M) = o + M; NaN where all is 0
            half             (K,)      how many channels, the most important first, make up half of it
    """
    import tensorflow as tf

    from mam_keras.analysis.stream import stream

    network, images, masks = run.network, run.images(split), run.network.masks
    moments, histogram = Moments(), np.zeros((len(run.attributes), BINS), np.int64)
    activity, let_through = 0.0, 0.0
    positions = network.positions() if network.positions else None

    @tf.function(reduce_retracing=True)
    def look(features, k):
        """Of one target's masks: means (C',), products about them (C', C'), counts (100,); means (C,) of M |F| and |F|.

        Where weights of positions were learned, the latter are weighed by them.
        """
        mask, sizes = masks.mask(features, k), tf.abs(tf.cast(features, tf.float32))
        if positions is not None:
            sizes *= tf.gather(positions, k, axis=2)[..., None]
        values = tf.reshape(mask, (-1, masks.channels))
        mean = tf.reduce_mean(values, axis=0)
        centred = values - mean
        counts = tf.histogram_fixed_width(values, (0.0, 1.0), BINS)
        through, active = (tf.reduce_mean(each, axis=(0, 1, 2)) for each in (mask * sizes, sizes))
        return mean, tf.matmul(centred, centred, transpose_a=True), counts, through, active

    for rows, batch in stream(images, run.config.evaluation.batch_size, "Masks"):
        features = network.features(batch)
        seen = (look(features, tf.constant(k)) for k in range(len(run.attributes)))
        means, products, counts, through, active = (np.array(each) for each in zip(*seen, strict=True))
        moments.add(len(batch) * np.prod(network.grid), means.astype(float), products.astype(float))
        histogram += counts
        share = (rows.stop - rows.start) / len(images)
        let_through += share * through.astype(float)
        activity += share * active.astype(float)
    mean = moments.mean.mean(axis=1)
    variance = (moments.squares / moments.count).mean(axis=1) + moments.mean.var(axis=1)
    values = {"attributes": list(run.attributes), "images": len(images)}
    values |= {"channels": network.channels, "offset": masks.offset}
    arrays = {
        "mean": moments.mean,
        "covariance": moments.covariance(),
        "histogram": histogram,
        **{name: histogram[:, slice(*bins)].sum(axis=1) / histogram.sum(axis=1) for name, bins in NEAR.items()},
        "spread": np.sqrt(variance),
        "sparsity": hoyer(mean, variance + mean**2, moments.count * masks.channels),
    }
    if network.contributions:
        sizes = np.abs(np.asarray(network.contributions.heads.kernel, float))
        due, importance = sizes * let_through, sizes * (masks.offset * activity + let_through)
        arrays["importance"], arrays["half"] = importance, half(importance)
        arrays["masked_share"] = ratio(due.sum(axis=1), importance.sum(axis=1))
    return Result(values, arrays)


def headline(result):
    """Over targets, channels, positions and images."""
    found = {"mask_mean": result.arrays["mean"].mean(), "mask_near_zero": result.arrays["near_zero"].mean()}
    return {name: Estimate(float(value), None, None) for name, value in found.items()}


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
    return ratio(root * (1 - ratio(mean, np.sqrt(mean_square))), np.full(np.shape(mean), root - 1))


def half(importance):
    """How many channels, the most important first, make up half of the whole: (K, C) -> int (K,)."""
    falling = -np.sort(-importance, axis=1)
    return 1 + (falling.cumsum(axis=1) < falling.sum(axis=1, keepdims=True) / 2).sum(axis=1)
