"""Masked heads as one layer, for whoever has a backbone and a training loop. Knows features and names; no settings."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mam_keras.data.source import Targets
from mam_keras.model.losses import classification
from mam_keras.model.masks import CommonMaskedHeads, PerFeatureMaskedHeads
from mam_keras.model.pooling import PooledLogits

_KINDS = {"per_feature": PerFeatureMaskedHeads, "common": CommonMaskedHeads}
CLASSES = "classes"  # the output of exclusive targets


@keras.saving.register_keras_serializable("mam_keras")
class MaskedHeads(keras.Layer):
    """A classifier with a mask of its own for each attribute, on anybody's features (1904.13078, section 3.2).

        image = keras.Input((64, 64, 3))
        heads = mam_keras.MaskedHeads(["Smiling", "Bald"])
        model = keras.Model(image, heads(backbone(image)))
        model.compile("adam", loss=heads.losses_of())
        model.fit(images, heads.targets_of(labels))
        features = keras.Model(image, heads.input)(images)
        maps = heads.contributions(features)

    Features (N, H, W, C) -> {output: probability, float32 (N, 1)}, an output for each name (other characters than
    letters and digits are `_` there); of exclusive names {"classes": float32 (N, K)}. A model with them is saved and
    loaded as any other once `mam_keras.MaskedHeads` has been imported.

    Args:
        names: K of them.
        exclusive: whether exactly one of them holds (one softmax), or each by itself (K sigmoids).
        kind: of masks: `per_feature`, as many channels as the features, or `common`, one.
        mask_offset: o in T(M) = o + M while training: 1 as in the papers, or 0.
        mask_bias: of the masks' logits at the start; 0 opens them by half.
        sparsity: lambda of equation 6 (the papers: 1e-5), of |M|_1 summed over positions, channels and attributes, a
            mean over the batch.
        pooled_share: share of the positions, highest first, that a logit is the mean of.
    """

    def __init__(
        self,
        names: Sequence[str],
        exclusive: bool = False,
        kind: str = "per_feature",
        mask_offset: int = 1,
        mask_bias: float = 0.0,
        sparsity: float = 1e-5,
        pooled_share: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(names, str) or not names or len(set(names)) < len(names):
            raise ValueError(f"Argument `names` must be a list of different names. Received: {names!r}")
        outputs = [re.sub(r"[^A-Za-z0-9_]+", "_", name) for name in names]
        if len({output.casefold() for output in outputs}) < len(outputs):
            raise ValueError(
                f"Argument `names` must differ in letters and digits, as names of outputs. Received: {names!r}"
            )
        if kind not in _KINDS:
            raise ValueError(f"Argument `kind` must be one of {list(_KINDS)}. Received: {kind!r}")
        self.names = list(names)
        self.output_names = [CLASSES] if exclusive else outputs
        self.exclusive = exclusive
        self.kind = kind
        self.mask_offset = mask_offset
        self.mask_bias = mask_bias
        self.sparsity = sparsity
        self.pooled_share = pooled_share
        self.scores = _KINDS[kind](
            len(self.names),
            mask_offset=mask_offset,
            sparsity=sparsity,
            initial_bias=mask_bias,
            dtype=self.dtype_policy,
            name="scores",
        )
        self.pooling = PooledLogits(pooled_share, dtype="float32", name="logits")

    def build(self, features_shape):
        self.scores.build(features_shape)
        self.pooling.build((*features_shape[:-1], len(self.names)))

    def call(self, features, training=None):
        logits = self.pooling(self.scores(features, training=bool(training)))
        if self.exclusive:
            return {CLASSES: ops.softmax(logits)}
        probabilities = ops.sigmoid(logits)
        return {name: probabilities[:, k : k + 1] for k, name in enumerate(self.output_names)}

    def compute_output_spec(self, features, **_):
        def output(width):
            return keras.KerasTensor((features.shape[0], width), dtype="float32")

        width = len(self.names) if self.exclusive else 1
        return {name: output(width) for name in self.output_names}

    def losses_of(self, class_weights: Sequence[Any] | None = None) -> dict[str, keras.losses.Loss]:
        """Argument `loss` of `Model.compile`: of every output the cross-entropy, to which a label of NaN adds nothing.

        Args:
            class_weights: K pairs (weight of a negative, of a positive), of exclusive names K numbers; None for ones.
        """
        targets = Targets(tuple(self.names), self.exclusive)
        if self.exclusive:
            return {CLASSES: classification(targets, class_weights)}
        weights = [None] * len(self.names) if class_weights is None else [[pair] for pair in class_weights]
        return {name: classification(targets, pair) for name, pair in zip(self.output_names, weights, strict=True)}

    def targets_of(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Argument `y` of `Model.fit`: labels (N, K), 1, 0 or NaN where not known -> {output: float32}."""
        labels = np.asarray(labels, np.float32)
        if labels.ndim != 2 or labels.shape[1] != len(self.names):
            raise ValueError(f"Argument `labels` must be (N, {len(self.names)}). Received: {labels.shape}")
        if self.exclusive:
            return {CLASSES: labels}
        return {name: labels[:, k : k + 1] for k, name in enumerate(self.output_names)}

    def contributions(self, features: Any) -> Any:
        """What each position adds to the logits: features (N, H, W, C) -> float32 (N, H, W, K), of either sign.

        Their mean over positions plus the head's bias is the logit, where `pooled_share` is 1.
        """
        return self.scores(features)

    def mask(self, features: Any, name: str) -> Any:
        """One name's mask: (N, H, W, C) -> float32 (N, H, W, C), or (N, H, W, 1) of `common`, in [0, 1]."""
        return self.scores.mask(features, self.names.index(name))

    def logits(self, features: Any, a: float = 1.0, b: float = 1.0) -> Any:
        """Under masks transformed by the pair (a, b) (1905.02719): (N, H, W, C) -> float32 (N, K)."""
        return self.pooling(self.scores.scores(features, a, b))

    def get_config(self):
        return super().get_config() | {
            "names": self.names,
            "exclusive": self.exclusive,
            "kind": self.kind,
            "mask_offset": self.mask_offset,
            "mask_bias": self.mask_bias,
            "sparsity": self.sparsity,
            "pooled_share": self.pooled_share,
        }
