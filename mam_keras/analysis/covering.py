"""What does a network answer when blocks of an image are covered? Knows one target at a time, no question."""

from typing import NamedTuple

import numpy as np

from mam_keras.analysis.blocks import block_of


class Answers(NamedTuple):
    """Of the head that answers, about one target: float32 (n, T) each, and `found`, bool: whether it says "yes".

    `evidence` is `model.contributions.Contributions.evidence`, what speaks for it; None where that was not asked for.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    found: np.ndarray
    evidence: np.ndarray | None


class Covered:
    """Asks a `model.network.Network` about images whose blocks have the image's mean colour.

    Args:
        grid: (H, W) of the blocks.
        most: covered images in one pass.
        evidence: whether to say what speaks for the target, which takes a network whose `contributions` add up.
    """

    def __init__(self, network, grid, most, evidence=False):
        import tensorflow as tf

        self._network, self._most, exclusive = network, most, network.targets.exclusive
        y, x = (block_of(network.image_size, length) for length in grid)
        block = (y[:, None] * grid[1] + x).ravel()

        @tf.function(reduce_retracing=True)
        def ask(images, rows, hidden, k):
            pixels = tf.reshape(tf.gather(hidden, block, axis=1), (-1, len(y), len(x), 1))
            means = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
            images = tf.where(pixels, tf.gather(means, rows), tf.gather(images, rows))
            features = network.features(images)
            logits = network.logits(images) if exclusive else network.logit(images, features, k)[:, None]
            return (logits, network.contributions.evidence(features, k)) if evidence else (logits,)

        self._ask = ask

    def __call__(self, images, hidden, k):
        """Images float32 (n, S, S, 3), covered in T ways, bool (n, T, H W), and the target: `Answers` (n, T)."""
        import tensorflow as tf

        ways, images, k = hidden.shape[:2], tf.constant(images), tf.constant(k)
        rows, hidden = np.repeat(np.arange(len(images)), ways[1]), hidden.reshape(-1, hidden.shape[-1])
        parts = [slice(start, start + self._most) for start in range(0, len(rows), self._most)]
        asked = zip(*(self._ask(images, rows[part], hidden[part], k) for part in parts), strict=True)
        logits, *evidence = (np.concatenate(arrays) for arrays in asked)
        place = int(k) if self._network.targets.exclusive else 0
        answers = logits, np.asarray(self._network.probabilities(logits)), self._network.answers(logits)
        answers = (array[:, place].reshape(ways) for array in answers)
        return Answers(*answers, evidence[0].reshape(ways) if evidence else None)
