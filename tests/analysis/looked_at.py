"""Runs of `untrained` that analyses of maps can look at: their networks answer, nothing is kept of what they said."""

import keras
import numpy as np

from mam_keras import systems
from tests.analysis import untrained
from tests.model import equations


def run(**arguments):
    """`untrained.run` with a network of other random weights, and without predictions."""
    found = untrained.run(**arguments)
    keras.utils.set_random_seed(5)
    found.untrained = systems.attach(found.config, found.targets, systems.build(found.config, found.targets))
    found.predictions = lambda split: None
    return found


def pictures(run):
    """float32 (N, S, S, 3)."""
    return run.images("test").images.astype(np.float32) / 255


def balanced(**arguments):
    """`run` with the answering head's biases moved so that it finds each target in half of the images."""
    return untrained.balanced(run(**arguments))


def contributions(run, images):
    """What every position and channel adds to the logits of a masked network, by the equations: (N, H, W, K, C)."""
    features, heads = np.asarray(run.network.features(images)).astype(float), run.network.contributions.heads
    factor = np.ones((1, 1))
    if run.config.model.masks != "none":
        masks = equations.common_masks if run.config.model.masks == "common" else equations.masks
        kernel, bias = heads.mask_kernel.numpy().astype(float), heads.mask_bias.numpy().astype(float)
        factor = heads.mask_offset + masks(features, kernel, bias)
    if run.config.model.learned_positions:
        factor = factor * equations.position_weights(heads.position_logits.numpy())[..., None]
    return heads.kernel.numpy().astype(float) * factor * features[:, :, :, None, :]


def pooled(run, scores):
    """Logits less their bias: (N, H, W, K) -> (N, K)."""
    flat = np.sort(scores.reshape(len(scores), -1, scores.shape[-1]), axis=1)
    return flat[:, -max(1, round(run.config.model.pooled_share * flat.shape[1])) :].mean(axis=1)


def logits(run, images):
    """Of the answering head, by the equations: (N, K)."""
    return pooled(run, contributions(run, images).sum(axis=-1)) + run.network.heads[0].bias.numpy()
