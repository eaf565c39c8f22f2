"""Linear heads on features, taken apart: what each position and channel adds to a logit, and masks that (a, b) changes.

Functions of tensors, for use in a graph. Knows features and heads; no system, no image size, no labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mam_keras.model.transformation import FAMILIES


@dataclass(frozen=True)
class Contributions:
    """A head whose logit is pooled from scores s^k_p = sum_c w_{k,c} T(M^k)_{p,c} F_{p,c}, exact sums over channels.

    Attributes:
        features: images (n, S, S, 3) -> F, (n, H, W, C).
        heads: the layer of scores, one of `masks.PlainHeads` and those made from it; or `attention.AttendedHeads`.
        pooling: the layer of logits, `pooling.PooledLogits`.
    """

    features: Callable
    heads: Any
    pooling: Any

    def scores(self, features):
        """As they were trained: (n, H, W, C) -> float32 (n, H, W, K)."""
        return self.heads(features)

    def logits(self, scores):
        """(n, H, W, K) -> float32 (n, K)."""
        return self.pooling(scores)

    def logit(self, features, k):
        """Of one target alone: (n, H, W, C) -> float32 (n,)."""
        scores = ops.sum(self.of_channels(features, k), axis=-1, keepdims=True)
        return self.pooling.pool(scores)[:, 0] + self.pooling.bias[k]

    def of_channels(self, features, k):
        """w_{k,c} T(M^k)_{p,c} F_{p,c} of one attribute: (n, H, W, C) -> float32 (n, H, W, C)."""
        return self.heads.kernel[k] * self.heads.factors(features, k) * ops.cast(features, "float32")

    @property
    def adds_up(self) -> bool:
        """Whether the logit is bias_k + 1/P sum_p s^k_p, of all positions."""
        return self.pooling.share == 1 and self.pooling.sharpness is None

    def evidence(self, features, k):
        """What speaks for one target, 1/P sum_p max(s^k_p, 0), where it `adds_up`: (n, H, W, C) -> float32 (n,)."""
        scores = ops.sum(self.of_channels(features, k), axis=-1)
        return ops.mean(ops.relu(scores), axis=(1, 2))

    def importances(self, features):
        """1/P sum_p |w_{k,c} T(M^k)_{p,c} F_{p,c}| as trained: (n, H, W, C) -> float32 (n, K, C)."""
        return self.heads.importances(features)


@dataclass(frozen=True)
class Masks:
    """Masks M^k of features that a pair (a, b) transforms at inference (1905.02719).

    Attributes:
        features: images (n, S, S, 3) -> F, (n, H, W, C), which are masked.
        heads: the layer that masks them, one of `masks` or of `perception`.
        pooling: the layer of logits, `pooling.PooledLogits`; None where `heads` gives logits itself.
    """

    features: Callable
    heads: Any
    pooling: Any = None

    @property
    def family(self) -> str:
        """Which transformation there is, a key of `transformation.FAMILIES`."""
        return self.heads.family

    @property
    def identity(self) -> tuple[float, float]:
        """The pair (a, b) that changes nothing."""
        return FAMILIES[self.family].identity

    @property
    def offset(self) -> int:
        """o in T(M) = o + f_{a,b}(M)."""
        return self.heads.mask_offset

    @property
    def channels(self) -> int:
        """Channels of a mask: C, or 1 where all features share it."""
        return self.heads.mask_channels

    def mask(self, features, k):
        """M^k: (n, H, W, C) -> float32 (n, H, W, C or 1), in [0, 1]."""
        return self.heads.mask(features, k)

    def logits(self, features, a, b):
        """Under T(M) = o + f_{a,b}(M): (n, H, W, C) and scalars, or (n,) of them -> float32 (n, K)."""
        if self.pooling is None:
            return self.heads.logits(features, a, b)
        return self.pooling(self.heads.scores(features, a, b))

    def explain(self, features, a, b):
        """Scores, (n, H, W, K), and the channels' importances, (n, K, C), where the head is linear."""
        return self.heads.explain(features, a, b)

    def logits_of_pairs(self, pairs: Sequence[tuple[float, float]]) -> Callable:
        """`logits` under V pairs, as a function: features -> float32 (V, n, K).

        Where the head is linear, from one evaluation of the masks, for use in a graph that knows n; XLA compiles it for
        every n it meets. On a CPU it works on as many parts of the n images at once as there are cores, since XLA uses
        one for each. Otherwise a pair costs what `logits` does.
        """
        import joblib
        import tensorflow as tf

        if self.pooling is None:
            values = tf.constant(pairs, tf.float32)
            return lambda features: tf.map_fn(lambda pair: self.logits(features, *tf.unstack(pair)), values, 1)

        parts = 1 if tf.config.list_physical_devices("GPU") else joblib.cpu_count()

        @tf.function(jit_compile=True)
        def of_part(features):
            return tf.stack([self.pooling(scores) for scores in self.heads.scores_of_pairs(features, pairs)])

        def of_all(features):
            sizes = [len(part) for part in np.array_split(np.empty(len(features)), min(parts, len(features)))]
            return tf.concat([of_part(part) for part in tf.split(features, sizes)], axis=1)

        return of_all
