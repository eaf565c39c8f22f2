"""What does a network look at in one image? Every map of every target on a few images, for the page's explorer.

The images are chosen by their labels alone, never by what the model answers (`cover`). Knows no page.
"""

import numpy as np

from mam_keras.analysis.result import Result

NEEDS = {"images", "maps"}
VERSION = 4
TOP = 3  # channels per image and target, as in 1904.13078, figure 3
PAIRS = 3  # of the configuration's pairs, beside the identity and a = 0
PAIRED = "contributions"  # the map that a pair (a, b) changes
DEPTH = "depth."  # how the names of Grad-CAM at each stage begin, of a network with several
LEVELS = 31  # of a map, each way, and of a mask: steps that an eye just tells apart
BATCH = 12  # images at a time


def settings(config):
    """The answer depends on which images and pairs are shown."""
    return {"examples": config.analysis.examples, "pairs": [list(pair) for pair in config.analysis.pairs]}


def compute(run, split):
    """`look` at the images of the split that `cover` chooses.

    Returns:
        The `Result` of `look`, and beside it `split` (the name), `ids` str (N,), `labels` and `known` bool (N, K).
    """
    images = run.images(split)
    rows = cover(images.labels, run.config.analysis.examples)
    found = look(run, np.asarray(images.images[rows]))
    shown = {"ids": images.ids[rows].astype(str), "labels": images.labels[rows], "known": images.known[rows]}
    return Result(found.values | {"split": split}, found.arrays | shown)


def look(run, pictures):
    """What a network sees in prepared images, uint8 (N, S, S, 3), as it was trained and under V pairs (a, b).

    V is 1 where there are no masks. Contributions are mapped under every pair, all other maps as trained: V' is V or 1.
    K' is K, or 1 where a map serves all targets. Behind the network's maps comes Grad-CAM at each of its stages, from
    low to high, as `DEPTH`STAGE, all on the grid of the features.

    Returns:
        `Result` with the values `attributes` (the targets' K names), `exclusive`, `heads` (their names, the first one
        answers), `pairs` (V of [a, b], the identity first; empty without masks), `maps` ({NAME: {"title", "note",
        "signed"}} of `Network.maps` and of the stages), `pooled` ([share, sharpness] of `pooling.PooledLogits`, by
        which contributions make the logit; None where they are not exact) and the arrays

            images         uint8 (N, S, S, 3)
            map.NAME       int8 (N, K', V', H, W)  in 1/31 of
            scale.NAME     float32 (N, K', V')     its largest absolute value
            probabilities  float32 (N, K, V)       of the head that answers
            answers        bool (N, K, V)          which targets it says "yes" to
            head.HEAD      float32 (N, K)          probabilities of each other head

        where the logit is an exact sum over channels

            channels       int (N, K, T)           the most important ones in that image, as trained (T at most 3)
            shares         float32 (N, K, T)       their shares of the importance of all channels

        and where these have masks

            masks          uint8 (N, K, T', H, W)  M / max M of each, in 1/31; T' = T, 1 where all channels share a mask
            highest        float32 (N, K, T')      max M over the positions
    """
    network, masks, own = run.network, run.network.masks, run.network.contributions
    pairs = shown_pairs(run.config.analysis.pairs, masks.identity) if masks else []
    values = {
        "attributes": list(run.attributes),
        "exclusive": run.targets.exclusive,
        "heads": [head.name for head in network.heads],
        "pairs": [list(map(float, pair)) for pair in pairs],
        "maps": network.described | _stages(network),
        "pooled": [own.pooling.share, own.pooling.sharpness] if own else None,
    }
    see = _seeing(network, pairs)
    parts = [see(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH)]
    seen = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    logits, arrays = seen.pop("logits"), {"images": pictures}
    arrays["probabilities"] = np.moveaxis(np.asarray(network.probabilities(logits)), 1, 2)
    arrays["answers"] = np.moveaxis(network.answers(logits), 1, 2)
    for head in network.heads[1:]:
        arrays[f"head.{head.name}"] = np.asarray(network.probabilities(seen.pop(f"head.{head.name}")))
    for name in values["maps"]:
        shown = seen.pop(f"map.{name}")
        arrays[f"scale.{name}"] = np.abs(shown).max(axis=(3, 4))
        arrays[f"map.{name}"] = np.rint(LEVELS * _over(shown, arrays[f"scale.{name}"])).astype(np.int8)
    if masks and own:
        drawn = seen.pop("masks")
        arrays["highest"] = drawn.max(axis=(3, 4))
        arrays["masks"] = np.rint(LEVELS * _over(drawn, arrays["highest"])).astype(np.uint8)
    return Result(values, arrays | seen)


def _stages(network):
    """{`DEPTH`STAGE: what its Grad-CAM is}; none where a network has a single stage."""
    from mam_keras.model.maps import GRAD_CAM_NOTE

    told = {"note": f"{GRAD_CAM_NOTE} Brought to the positions of the last stage.", "signed": False}
    named = {f"{DEPTH}{stage.name}": {"title": f"Grad-CAM at {stage.name}"} | told for stage in network.stages}
    return named if len(named) > 1 else {}


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


def _seeing(network, pairs):
    """A function: uint8 (n, S, S, 3) -> the arrays of `look`; logits (n, V, K), and maps and masks as they are."""
    import tensorflow as tf

    from mam_keras.model.maps import by_depth, on_grid

    contributions, masks = network.contributions, network.masks
    others, targets = [head.name for head in network.heads[1:]], range(len(network.targets.names))
    asked = network.computing("features", *others, *([] if masks else [network.main_head]))
    paired = PAIRED if masks and contributions else None
    trained = {
        name: tf.function(one.show, reduce_retracing=True) for name, one in network.maps.items() if name != paired
    }

    names, deep = list(_stages(network)), by_depth(network)

    @tf.function(reduce_retracing=True)
    def at_stages(images, k):
        return tf.stack([on_grid(one, network.grid) for one in deep(images, k)[1]])

    def see(pictures):
        images = tf.constant(pictures, tf.float32) / 255.0
        answers = asked(images, training=False)
        features, found = answers["features"], {f"head.{name}": answers[name].numpy() for name in others}
        shown = {name: show(images).numpy()[..., None] for name, show in trained.items()}
        if masks:
            found["logits"] = np.stack([masks.logits(features, a, b).numpy() for a, b in pairs], axis=1)
        else:
            found["logits"] = answers[network.main_head].numpy()[:, None]
        if paired:
            shown[paired] = np.stack([masks.explain(features, a, b)[0].numpy() for a, b in pairs], axis=-1)
        found |= {f"map.{name}": np.moveaxis(one, (1, 2), (3, 4)) for name, one in shown.items()}
        if names:
            cams = np.stack([at_stages(images, tf.constant(k)).numpy() for k in targets], axis=2)  # (D, n, K, H, W)
            found |= {f"map.{name}": one[:, :, None] for name, one in zip(names, cams, strict=True)}
        if contributions:
            importance = contributions.importances(features).numpy()
            channels = np.argsort(-importance, axis=-1, kind="stable")[..., :TOP]
            whole = np.maximum(importance.sum(axis=-1, keepdims=True), np.finfo(np.float32).tiny)
            found["channels"] = channels
            found["shares"] = np.take_along_axis(importance, channels, axis=-1) / whole
        if masks and contributions:
            found["masks"] = np.stack([_masks(masks.mask(features, k), channels[:, k]) for k in targets], axis=1)
        return found

    return see


def _masks(masks, channels):
    """Of one target: (n, H, W, C') and the channels (n, T) of each image -> (n, T', H, W)."""
    masks = np.moveaxis(masks.numpy(), -1, 1)
    return masks if masks.shape[1] == 1 else np.take_along_axis(masks, channels[:, :, None, None], axis=1)


def _over(values, largest):
    """Values (..., H, W) over their largest (...), where that is not 0."""
    return values / np.maximum(largest, np.finfo(np.float32).tiny)[..., None, None]
