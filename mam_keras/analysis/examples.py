"""What does each attribute's head look at in one image? Everything about a few images, for the page's explorer.

The images are chosen by their labels alone, never by what the model answers (`cover`). Knows no page.
"""

import numpy as np
from scipy.special import expit

from mam_keras.analysis.result import Result, Unavailable

TOP = 3  # channels per image and attribute, as in 1904.13078, figure 3
PAIRS = 3  # of the configuration's pairs, beside the identity and a = 0
LEVELS = 31  # of a map, each way, and of a mask: steps that an eye just tells apart


def settings(config):
    """The answer depends on which images and pairs are shown."""
    chosen = config.analysis
    return {"split": chosen.split, "examples": chosen.examples, "pairs": [list(pair) for pair in chosen.pairs]}


def compute(run):
    """`look` at the images of the split that `cover` chooses.

    Returns:
        The `Result` of `look`, and beside it `split` (the name), `ids` str (N,) and `labels` bool (N, K).

    Raises `Unavailable` where there are no attribute heads, or the data have no such split.
    """
    require(run.config)
    split = run.config.analysis.split
    images = run.images(split)
    if images is None:
        raise Unavailable(f"the data have no {split} split")
    rows = cover(images.labels, run.config.analysis.examples)
    found = look(run, np.asarray(images.images[rows]))
    shown = {"ids": images.ids[rows].astype(str), "labels": images.labels[rows]}
    return Result(found.values | {"split": split}, found.arrays | shown)


def require(config):
    """Raises `Unavailable` where a network of this configuration has no maps."""
    if not config.model.attribute_heads:
        raise Unavailable("the network has no attribute heads, and so no maps (model.attribute_heads is false)")


def look(run, pictures):
    """What every attribute's head sees in prepared images, uint8 (N, S, S, 3), under V pairs (a, b).

    Returns:
        `Result` with the values `attributes` (K names), `masks` (of the configuration), `pairs` (V of [a, b], the
        identity first) and the arrays

            images         uint8 (N, S, S, 3)
            maps           int8 (N, K, V, H, W)  contributions s^k_p to the logit, in 1/31 of
            scales         float32 (N, K, V)     their largest absolute value
            probabilities  float32 (N, K, V)     of the attribute heads
            multi_label    float32 (N, K)        of the multi-label head, where there is one
            channels       int (N, K, T)         the most important ones in that image, at the identity (T at most 3)
            shares         float32 (N, K, T)     their shares of the importance of all channels
            masks          uint8 (N, K, T', H, W)  M / max M of each, in 1/31; T' = T, 1 with `masks: common`, and
            highest        float32 (N, K, T')    max M over the positions; both are left out with `masks: none`
    """
    import tensorflow as tf

    network, heads = run.network, run.network.heads
    pairs = shown_pairs(run.config.analysis.pairs, network.identity) if network.masked else [network.identity]
    outputs = network.extract(tf.constant(pictures, tf.float32) / 255.0)
    features = outputs["features"]
    scores = tf.stack([heads.scores(features, a, b) for a, b in pairs])
    maps = np.moveaxis(scores.numpy(), (0, -1), (2, 1))
    scales = np.abs(maps).max(axis=(3, 4))
    logits = np.stack([network.logits(one).numpy() for one in scores], axis=-1)
    importance = heads.explain(features, *network.identity)[1].numpy()
    channels = np.argsort(-importance, axis=-1, kind="stable")[..., :TOP]
    whole = np.maximum(importance.sum(axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    arrays = {
        "images": pictures,
        "maps": np.rint(LEVELS * _over(maps, scales)).astype(np.int8),
        "scales": scales,
        "probabilities": expit(logits),
        "channels": channels,
        "shares": np.take_along_axis(importance, channels, axis=-1) / whole,
    }
    if network.has_multi_label:
        arrays["multi_label"] = expit(outputs["multi_label_logits"].numpy())
    if network.masked:
        masks = np.stack([_masks(heads.mask(features, k), channels[:, k]) for k in range(len(run.attributes))], axis=1)
        arrays["highest"] = masks.max(axis=(3, 4))
        arrays["masks"] = np.rint(LEVELS * _over(masks, arrays["highest"])).astype(np.uint8)
    values = {
        "attributes": list(run.attributes),
        "masks": run.config.model.masks,
        "pairs": [list(map(float, pair)) for pair in pairs],
    }
    return Result(values, arrays)


def shown_pairs(pairs, identity):
    """The identity, a = 0, and at most `PAIRS` others: the largest a of as many values of b, from least to largest."""
    largest = {b: a for a, b in sorted(pairs) if a > 0}
    others = [(a, b) for b, a in sorted(largest.items()) if (a, b) != tuple(identity)]
    places = np.linspace(0, len(others) - 1, min(PAIRS, len(others))).round().astype(int)
    return [tuple(identity), (0.0, identity[1]), *(others[place] for place in places)]


def cover(labels, most):
    """Which images to show: one after the other, the one with the most attributes that none before it has.

    The first of equally good ones; when no image adds an attribute any more, again from the beginning.

    Args:
        labels: bool (n, K).
        most: how many.

    Returns:
        int (min(most, n),), in the order of choice.
    """
    chosen, shown, left = [], np.zeros(labels.shape[1], bool), np.ones(len(labels), bool)
    while left.any() and len(chosen) < most:
        gain = (labels & ~shown).sum(axis=1)
        if not gain[left].any():
            shown[:], gain = False, labels.sum(axis=1)
        best = int(np.where(left, gain, -1).argmax())
        chosen.append(best)
        left[best] = False
        shown |= labels[best]
    return np.array(chosen, int)


def _masks(masks, channels):
    """Of one attribute: (N, H, W, C') and the channels (N, T) of each image -> (N, T', H, W)."""
    masks = np.moveaxis(masks.numpy(), -1, 1)
    return masks if masks.shape[1] == 1 else np.take_along_axis(masks, channels[:, :, None, None], axis=1)


def _over(values, largest):
    """Values (..., H, W) over their largest (...), where that is not 0."""
    return values / np.maximum(largest, np.finfo(np.float32).tiny)[..., None, None]
