"""Where in the image an attribute is decided, learned from yes and no alone and the same for all images. Ours.

In aligned images, as CelebA's faces are, an attribute is nearly always at the same place, and the place that answers
best is mostly the attribute's own. So every attribute's head weighs positions by

    g^k = P B(softmax over positions of RATE q^k)

with q learned, P positions, and B a `SMOOTHING` down and across, mirrored at the edges: faces do not lie to a position
alike, and a single position that is chosen by chance early in training could not be left again. The mean of g over
positions is 1. Knows arrays only.
"""

import math

import numpy as np
from keras import ops
from scipy import ndimage

RATE = 8.0  # of q: Adam moves each by about the learning rate a step, however far it has to go
SMOOTHING = (0.25, 0.5, 0.25)


def position_weights(logits):
    """g of q: float32 (K, H, W) -> float32 (H, W, K), at least 0, 1 on average over positions."""
    attributes, height, width = logits.shape
    shares = ops.reshape(ops.softmax(RATE * ops.reshape(logits, (attributes, -1)), axis=-1), logits.shape)
    rows, columns = (ops.convert_to_tensor(_smoothing(n), "float32") for n in (height, width))
    return height * width * ops.einsum("ih,khw,jw->ijk", rows, shares, columns)


def spread(logits):
    """How spread places are, 0 to 1: the mean over attributes of the entropy of softmax(RATE q^k), over log P."""
    logits = RATE * ops.reshape(logits, (logits.shape[0], -1))
    shares, logs = ops.softmax(logits, axis=-1), ops.log_softmax(logits, axis=-1)
    return -ops.mean(ops.sum(shares * logs, axis=-1)) / math.log(max(2, logits.shape[1]))


def _smoothing(n):
    """(n, n), columns sum to 1: what is at a position is shared with its neighbours, at the edges with itself."""
    return ndimage.correlate1d(np.eye(n), SMOOTHING, axis=0, mode="reflect")
