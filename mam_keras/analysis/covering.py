"""What does a network answer when blocks of an image are covered? Knows one target at a time, no question."""

from typing import NamedTuple

import numpy as np

from mam_keras.analysis.blocks import block_of


class Answers(NamedTuple):
    """Of the head that answers, about one target: float32 (n, T) each, and `found`, bool: whether it says "yes"."""

    logits: np.ndarray
    probabilities: np.ndarray
    found: np.ndarray


class Covered:
    """Asks a `model.network.Network` about images whose blocks have the image's mean colour.

    Args:
        grid: (H, W) of the blocks.
        most: covered images in one pass.
    """

    def __init__(self, network, grid, most):
        import tensorflow as tf

        self._network, self._most, exclusive = network, most, network.targets.exclusive
        y, x = (block_of(network.image_size, length) for length in grid)
        block = (y[:, None] * grid[1] + x).ravel()

        @tf.function(reduce_retracing=True)
        def logits(images, rows, hidden, k):
            pixels = tf.reshape(tf.gather(hidden, block, axis=1), (-1, len(y), len(x), 1))
            means = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
            images = tf.where(pixels, tf.gather(means, rows), tf.gather(images, rows))
            if exclusive:
                return network.logits(images)
            return network.logit(images, network.features(images), k)[:, None]

        self._logits = logits

    def __call__(self, images, hidden, k):
        """Images float32 (n, S, S, 3), covered in T ways, bool (n, T, H W), and the target: `Answers` (n, T)."""
        import tensorflow as tf

        ways, images, k = hidden.shape[:2], tf.constant(images), tf.constant(k)
        rows, hidden = np.repeat(np.arange(len(images)), ways[1]), hidden.reshape(-1, hidden.shape[-1])
        parts = [slice(start, start + self._most) for start in range(0, len(rows), self._most)]
        logits = np.concatenate([self._logits(images, rows[part], hidden[part], k).numpy() for part in parts])
        place = int(k) if self._network.targets.exclusive else 0
        answers = logits, np.asarray(self._network.probabilities(logits)), self._network.answers(logits)
        return Answers(*(array[:, place].reshape(ways) for array in answers))
