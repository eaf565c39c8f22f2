"""Where in the image is each target decided, in all images alike, where the network has learned that? Knows no page."""

import numpy as np

from mam_keras.analysis.result import Result

NEEDS = ("images", "positions")
VERSION = 1
MOST = 500  # images whose mean is drawn beneath, the first ones


def settings(config):
    """The answer depends on the network alone."""
    return {}


def compute(run, split):
    """The learned weights of positions, of K targets.

    Returns:
        `Result` with the values `attributes` (the targets' names) and `images` (how many the mean is of), and the
        arrays

            weights  float32 (K, H, W)  at least 0, 1 on average over the positions
            half     int (K,)           how many positions, the heaviest first, have half of the weight
            mean     uint8 (S, S, 3)    the mean image
    """
    weights = np.moveaxis(run.network.positions().numpy(), -1, 0)
    ordered = np.sort(weights.reshape(len(weights), -1), axis=1)[:, ::-1]
    shares = np.cumsum(ordered, axis=1) / ordered.sum(axis=1, keepdims=True)
    images = run.images(split).images[:MOST]
    values = {"attributes": list(run.attributes), "images": len(images)}
    mean = np.rint(np.mean(images, axis=0)).astype(np.uint8)
    return Result(values, {"weights": weights, "half": (shares < 0.5 - 1e-6).sum(axis=1) + 1, "mean": mean})
