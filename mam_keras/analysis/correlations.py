"""Which channels and which attributes go together: by masks (1904.13078, section 4), by logits and by labels.

Takes the moments that `masks` has gathered, and the predictions: opens no image. Knows no page.
"""

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from mam_keras import analysis
from mam_keras.analysis.blocks import ranks
from mam_keras.analysis.result import Result, Unavailable
from mam_keras.statistics import estimates, ratio, resample_weights

NEEDS = {"predictions"}
VERSION = 2
NEAREST = 5  # as in 1904.13078, tables 1 and 2
_SURE = 1 - 2.0**-24  # the largest float32 below 1: probabilities of exactly 0 and 1 have no finite logit


def settings(config):
    """The answer depends on the bootstrap."""
    return {"resamples": config.analysis.resamples, "seed": config.seed}


def compute(run, split):
    """Pearson correlations; NaN wherever one of the two does not vary.

    Of channels: of mask values over attributes, positions and images. Of attributes: over channels, of the mean
    masks, each channel's mean over attributes taken off first (`attribute_correlations`). Of logits and of labels:
    over the images of the split. Logits are taken from the predictions' probabilities, which float32 rounds to about
    1e-3 of a logit at 10 and cuts off at 16.6.

    Yes and no correlate less than the quantities behind them, and the less the rarer a yes is. So labels are compared
    with logits cut to yes and no at the label's own rate (`cut_at_rate`), which hold as many yes. Two labels are
    compared on the images of which both are known. Labels of exclusive targets are not compared: that no two of them
    go together says nothing.

    Returns:
        `Result` with the values `attributes` (their names), `heads` (that there are; the first of them is compared
        with the labels), `without_channels` and `without_attributes` (why there are no correlations of masks, or
        None), and the arrays

            channels          (C, C)   with `channels.nearest` and `channels.order`
            attributes        (K, K)   with `attributes.nearest` and `attributes.order`
            logits.HEAD       (K, K)
            logits.order      (K,)     of the first head
            labels            (K, K)   these and the following of independent targets alone
            cut.HEAD          (K, K)
            pairs             (K (K - 1) / 2, 2)  k < l, by falling `difference`
            difference        (pairs, 3)  correlation of the first head's cut logits less that of the labels, and the
                                          ends of its 95 % interval, people (groups) resampled where there are any

        X.nearest is (., 5), the others by falling correlation, -1 behind the last; X.order is as in `leaf_order`.
    """
    predictions = run.predictions(split)
    heads = list(predictions.probabilities)
    values = {"attributes": list(run.attributes), "heads": heads}
    values["without_channels"], values["without_attributes"], arrays = _of_masks(run, split)
    logits = {head: logit(predictions.probabilities[head]) for head in heads}
    for head in heads:
        arrays[f"logits.{head}"] = pearson(logits[head])
    arrays["logits.order"] = leaf_order(arrays[f"logits.{heads[0]}"])
    if not predictions.exclusive:
        arrays |= _beyond_labels(logits, predictions, run.config)
    return Result(values, arrays)


def pearson(samples, weights=None, known=None):
    """Correlation of the columns of samples (n, K), each row counted as often as `weights` (n,) says: (K, K).

    Args:
        known: bool (n, K); two columns are compared over the rows in which both are. All are where it is left out.
    """
    weights = np.ones(len(samples)) if weights is None else weights
    if known is not None and not known.all():
        return _pairwise(samples, weights[:, None], known.astype(float))
    centred = samples - np.average(samples, axis=0, weights=weights)
    return correlation((centred * weights[:, None]).T @ centred, (weights[:, None] * samples**2).sum(axis=0))


def _pairwise(samples, weights, known):
    """As `pearson`: entry (k, l) of each matrix is a mean over the rows in which both k and l are known."""
    count = (weights * known).T @ known
    centred = known * (samples - ratio((weights * known * samples).sum(axis=0), (weights * known).sum(axis=0)))
    centred = np.nan_to_num(centred)  # of columns that are never known
    mean = ratio((weights * centred).T @ known, count)  # of k
    square = ratio((weights * centred**2).T @ known, count)
    covariance = ratio((weights * centred).T @ centred, count) - mean * mean.T
    variance = square - mean**2
    scale = np.sqrt(np.where(variance > 1e-12 * square, variance, np.nan))
    return np.clip(covariance / scale / scale.T, -1, 1)


def correlation(covariance, squares=0.0):
    """Correlations of a covariance matrix (K, K), or a multiple of it; NaN where a variance is 0.

    Args:
        squares: the mean squares in the same unit, of which less than 1e-12 is taken for rounding.
    """
    variance = np.diagonal(covariance)
    scale = np.sqrt(np.where(variance > 1e-12 * squares, variance, np.nan))
    return np.clip(covariance / scale / scale[:, None], -1, 1)


def logit(probabilities):
    """log(p / (1 - p)), of probabilities in float32 that are no nearer to 0 or 1 than 2^-24."""
    p = np.clip(np.asarray(probabilities, float), 1 - _SURE, _SURE)
    return np.log(p) - np.log1p(-p)


def cut_at_rate(logits, labels, known=True):
    """1 for the highest known logits of each attribute, as many as it has positives, else 0: (n, K) -> float (n, K)."""
    places = ranks(np.where(known, logits, -np.inf).T).T
    return (places < labels.sum(axis=0)).astype(float)


def attribute_correlations(mean_masks):
    """Pearson over channels of what is an attribute's own in its mean masks: (K, C) -> (K, K)."""
    return pearson((mean_masks - mean_masks.mean(axis=0)).T)


def leaf_order(correlations):
    """An order in which neighbours are alike: average linkage of 1 - r, leaves ordered optimally (Bar-Joseph 2001).

    (K, K) -> int (K,). Those without a correlation come last.
    """
    defined = np.flatnonzero(~np.isnan(np.diagonal(correlations)))
    if len(defined) > 2:
        distances = squareform(1 - correlations[np.ix_(defined, defined)], checks=False)
        linkage = hierarchy.linkage(distances, "average", optimal_ordering=True)
        defined = defined[hierarchy.leaves_list(linkage)]
    return np.concatenate([defined, np.setdiff1d(np.arange(len(correlations)), defined)])


def nearest(correlations):
    """The others by falling correlation, at most five: (K, K) -> int (K, 5), -1 behind the last."""
    others = np.where(np.isnan(correlations), -np.inf, correlations)
    np.fill_diagonal(others, -np.inf)
    found = np.full((len(others), NEAREST), -1)
    order = np.argsort(-others, axis=1, kind="stable")[:, :NEAREST]
    found[:, : order.shape[1]] = np.where(np.isinf(np.take_along_axis(others, order, axis=1)), -1, order)
    return found


def _of_masks(run, split):
    """Why there are no correlations of channels and of attributes, or None, and the arrays of those that there are."""
    try:
        masks = analysis.result_of(run, "masks", split).arrays
    except Unavailable as reason:
        return str(reason), str(reason), {}
    if masks["mean"].shape[1] == 1:
        reason = "all channels share one mask, so there are no masks per channel to correlate"
        return reason, reason, {}
    found = {"channels": correlation(masks["covariance"])}
    few = None
    if len(masks["mean"]) > 2:
        found["attributes"] = attribute_correlations(masks["mean"])
    else:
        few = "of fewer than three nothing is left to correlate once their mean is taken off"
    ranked = {f"{name}.nearest": nearest(matrix) for name, matrix in found.items()}
    ordered = {f"{name}.order": leaf_order(matrix) for name, matrix in found.items()}
    return None, few, found | ranked | ordered


def _beyond_labels(logits, predictions, config):
    """`labels`, `cut.HEAD`, `pairs` and `difference`; logits of every head."""
    labels, known = predictions.labels.astype(float), predictions.known
    cut = {head: cut_at_rate(values, labels, known) for head, values in logits.items()}
    answers, pairs = cut[predictions.main_head], np.array(np.triu_indices(labels.shape[1], 1))

    def difference(weights=None):
        return (pearson(answers, weights, known) - pearson(labels, weights, known))[tuple(pairs)]

    whole = difference()
    resampled = [
        difference(weights)
        for block in resample_weights(predictions.units, config.analysis.resamples, config.seed)
        for weights in block.T
    ]
    ranking = np.argsort(-whole, kind="stable")  # NaN last
    return {
        "labels": pearson(labels, known=known),
        **{f"cut.{head}": pearson(values, known=known) for head, values in cut.items()},
        "pairs": pairs.T[ranking],
        "difference": estimates(whole, np.array(resampled), predictions.units)[ranking],
    }
