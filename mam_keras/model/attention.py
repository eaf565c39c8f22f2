"""The attention branch (1812.10025, section 3): maps that are trained by class scores of their own, and weigh features.

Knows features and the stage that a branch begins with; no backbone, no labels.
"""

import keras
from keras import layers, ops

from mam_keras.model.backbones.blocks import batch_statistics
from mam_keras.model.masks import importances


@keras.saving.register_keras_serializable("mam_keras")
class Weighted(keras.Layer):
    """(offset + A) x: x float (N, H, W, C or K) and a map A (N, H, W, 1 or C or K) -> as x.

    Args:
        offset: 1 for g(x) (1 + M(x)) of the paper, the residual; 0 for g(x) M(x).
    """

    def __init__(self, offset, **kwargs):
        super().__init__(**kwargs)
        self.offset = offset

    def call(self, inputs):
        x, maps = inputs
        return ops.cast(self.offset + ops.cast(maps, "float32"), x.dtype) * x

    def compute_output_shape(self, shapes):
        return shapes[0]

    def get_config(self):
        return super().get_config() | {"offset": self.offset}


def attention_branch(features, stage, targets, one_map, raw, pool):
    """Adds the branch: layers "attention_scores", "attention_maps" and "attention_logits".

    For every target a map, or with `one_map` one for all of them (1812.10025, section 3.2):

        A = 1x1(P(F)), K maps;              M = A or sigmoid(A);            logits: A, pooled
        h = ReLU(BN(1x1(BN(P(F)))));        M = sigmoid(BN(3x3(h))), one;   logits: 1x1(h), pooled

    with P the stage; no convolution has a bias.

    Args:
        features: F, (N, H, W, C).
        stage: P, a `keras.Model` that keeps H and W.
        targets: K.
        raw: whether the sigmoid of M is left out.
        pool: "mean" or "max", over positions.

    Returns:
        M, float32 (N, H, W, K or 1), the scores at positions before pooling, float32 (N, H, W, K), and the logits,
        float32 (N, K).
    """
    x = stage(features)
    if one_map:
        x = layers.BatchNormalization(name="attention.normalization", **batch_statistics())(x)
        x = layers.Conv2D(targets, 1, use_bias=False, name="attention.responses")(x)
        x = layers.BatchNormalization(name="attention.responses.normalization", **batch_statistics())(x)
        x = layers.ReLU(name="attention.responses.relu")(x)
        maps = layers.Conv2D(1, 3, padding="same", use_bias=False, name="attention.map")(x)
        maps = layers.BatchNormalization(name="attention.map.normalization", **batch_statistics())(maps)
    scores = layers.Conv2D(targets, 1, use_bias=False, dtype="float32", name="attention_scores")(x)
    maps = layers.Activation("linear" if raw else "sigmoid", dtype="float32", name="attention_maps")(
        maps if one_map else scores
    )
    pooling = {"mean": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}[pool]
    return maps, scores, pooling(dtype="float32", name="attention_logits")(scores)


class AttendedHeads:
    """Linear heads on features that maps of theirs weigh, as `contributions.Contributions` takes them.

        s^k_p = (offset + A^k_p) sum_c w_{k,c} F_{p,c}

    Exact sums over channels and, on average, over positions, under maps as they are: what a feature adds by moving the
    maps is in no part of them.

    Args:
        heads: `masks.PlainHeads`.
        maps: features (n, H, W, C) -> A, (n, H, W, K or 1).
        offset: 0 or 1.
    """

    def __init__(self, heads, maps, offset):
        self.heads, self.maps, self.offset = heads, maps, offset

    @property
    def kernel(self):
        """(K, C)."""
        return self.heads.kernel

    def __call__(self, features):
        """(n, H, W, C) -> float32 (n, H, W, K)."""
        return self._gains(features) * self.heads.base(features)

    def factors(self, features, k):
        """What features are multiplied by for target k: (n, H, W, C) -> float32 (n, H, W, 1)."""
        return self._gains(features)[..., k : k + 1]

    def importances(self, features):
        """As `masks.PlainHeads.importances`."""
        return importances(self.kernel, features, self._gains(features))

    def _gains(self, features):
        """float32 (n, H, W, K)."""
        maps = self.offset + ops.cast(self.maps(features, training=False), "float32")
        return ops.broadcast_to(maps, (*ops.shape(maps)[:3], self.heads.attributes))
