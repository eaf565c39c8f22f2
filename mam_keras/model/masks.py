"""Attribute heads on masked features: what each attribute's classifier looks at (1904.13078, section 3.2).

A head's score at a position is s^k_p = g^k_p sum_c w_{k,c} T(M^k)_{p,c} F_{p,c}, the exact contribution of that
position of the feature map to the logit before pooling; g is 1, or learned (`positions`). Knows features and weights;
neither losses nor how scores are pooled.
"""

import math

import keras
from keras import ops

from mam_keras.model.positions import position_weights, spread
from mam_keras.model.tiles import explained_sums, masked_sums, several_sums, transformed_sums
from mam_keras.model.transformation import FAMILIES


@keras.saving.register_keras_serializable("mam_keras")
class PlainHeads(keras.Layer):
    """K linear heads without masks, s^k_p = g^k_p sum_c w_{k,c} F_{p,c}: the control for what masks add.

    Args:
        attributes: K.
        learned_positions: whether g is learned, as `positions.position_weights` has it; else it is 1.
        spread: what an attribute pays for learned positions that are many; the layer adds `spread_loss` to the model's
            losses. 0 adds nothing.
    """

    def __init__(self, attributes, learned_positions=False, spread=0.0, **kwargs):
        super().__init__(**kwargs)
        self.attributes = attributes
        if spread and not learned_positions:
            raise ValueError(f"Argument `spread` must be 0 where positions are not learned. Received: {spread}")
        self.learned_positions = learned_positions
        self.spread = spread

    def build(self, features_shape):
        self.channels = features_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.attributes, self.channels),
            initializer=glorot(self.channels, 1),
            autocast=False,  # sums are float32; only the masks' matrix products are as narrow as the features
        )
        if self.learned_positions:
            shape = (self.attributes, *features_shape[1:3])
            self.position_logits = self.add_weight(
                name="position_logits", shape=shape, initializer="zeros", autocast=False
            )

    def base(self, features):
        """Scores without masks, g^k_p sum_c w_{k,c} F_{p,c}: (N, H, W, C) -> float32 (N, H, W, K)."""
        return self._weighed(ops.matmul(ops.cast(features, "float32"), ops.transpose(self.kernel)))

    def call(self, features):
        """Scores: (N, H, W, C) -> float32 (N, H, W, K)."""
        if self.spread:
            self.add_loss(self.spread_loss())
        return self.base(features)

    def spread_loss(self):
        """`spread` times `positions.spread`, summed over attributes."""
        return self.spread * self.attributes * spread(self.position_logits)

    def factors(self, features, k):
        """g^k_p T(M^k)_{p,c} of training, which features are multiplied by; here T(M) is 1."""
        return self._position(k)

    def importances(self, features):
        """1/P sum_p |g^k_p w_{k,c} T(M^k)_{p,c} F_{p,c}| of training: (N, H, W, C) -> float32 (N, K, C)."""
        return importances(self.kernel, features, self._weighed(ops.ones_like(self.base(features))))

    def position_weights(self):
        """g, where it is learned: float32 (H, W, K)."""
        return position_weights(self.position_logits)

    def _weighed(self, sums):
        """g^k_p of sums over channels, (N, H, W, K)."""
        return sums * self.position_weights() if self.learned_positions else sums

    def _position(self, k):
        """g^k: (H, W, 1), or 1."""
        return position_weights(self.position_logits[k][None]) if self.learned_positions else 1.0

    def compute_output_shape(self, features_shape):
        return (*features_shape[:-1], self.attributes)

    def compute_output_spec(self, features, **_):
        return keras.KerasTensor(self.compute_output_shape(features.shape), dtype="float32")

    def get_config(self):
        own = {"attributes": self.attributes, "learned_positions": self.learned_positions, "spread": self.spread}
        return super().get_config() | own


class _MaskedHeads(PlainHeads):
    """What both kinds of masks share.

    Args:
        attributes: K.
        mask_offset: o in T(M) = o + M while training: 1 as in the papers, or 0.
        sparsity: lambda of equation 6; the layer adds lambda |M|_1, summed over positions, channels and attributes,
            mean over the batch, to the model's losses. 0 adds nothing.
        family: which transformation `gain` applies, a key of `transformation.FAMILIES`.
        initial_bias: of the masks' logits at the start; 0 opens them by half, 2 by 0.88.
        learned_positions, spread: as of `PlainHeads`.
    """

    def __init__(
        self,
        attributes,
        mask_offset=1,
        sparsity=0.0,
        family="tone_curve",
        initial_bias=0.0,
        learned_positions=False,
        spread=0.0,
        **kwargs,
    ):
        super().__init__(attributes, learned_positions, spread, **kwargs)
        if family not in FAMILIES:
            raise ValueError(f"Argument `family` must be one of {sorted(FAMILIES)}. Received: {family!r}")
        self.mask_offset = mask_offset
        self.sparsity = sparsity
        self.family = family
        self.initial_bias = initial_bias

    def build(self, features_shape):
        super().build(features_shape)
        self.build_masks(features_shape)

    def mask_weights(self):
        """What masks are made of, each (K, ...). Values: TensorFlow's `custom_gradient` refuses to see variables."""
        return ops.copy(self.mask_kernel), ops.copy(self.mask_bias)

    def importances(self, features):
        return self.explain(features, *FAMILIES[self.family].identity)[1]

    def factors(self, features, k):
        """g^k_p T(M^k)_{p,c} of training: (N, H, W, C) -> float32 (N, H, W, C or 1)."""
        return self._position(k) * (self.mask_offset + self.mask(features, k))

    def call(self, features, training=False):
        """Scores with T(M) = mask_offset + M: (N, H, W, C) -> float32 (N, H, W, K)."""
        gain, mask_sums = self._masked(features, training)
        penalties = [self.spread_loss()] if self.spread else []
        if self.sparsity:
            penalties.append(self.sparsity * ops.mean(ops.sum(mask_sums, axis=(1, 2, 3))))
        if penalties:
            self.add_loss(sum(penalties))  # one loss a layer: see `fit.loop.Trainer`
        return self.mask_offset * self.base(features) + gain

    def scores(self, features, a, b):
        """Scores with T(M) = mask_offset + f_{a,b}(M) (1905.02719, equation 9).

        Args:
            features: (N, H, W, C).
            a, b: scalars, or (N,) with one value per image.

        Returns:
            float32 (N, H, W, K). Where the family is linear in `a`, mask_offset * base + a * gain(features, 1, b), so
            that all values of `a` cost one evaluation.
        """
        return self.mask_offset * self.base(features) + self.gain(features, a, b)

    def scores_of_pairs(self, features, pairs):
        """`scores` for several pairs, from one evaluation of the masks.

        Args:
            features: (N, H, W, C).
            pairs: (a, b), numbers.

        Returns:
            A list of float32 (N, H, W, K), one for each pair. Where the family is linear in `a`, what a pair costs is
            decided by how many values of `b` there are. To be compiled by whoever calls it (`tiles.several_sums`).
        """
        family = FAMILIES[self.family]
        key = {(a, b): (1.0, b) if family.linear_in_a else (a, b) for a, b in pairs}
        evaluated = list(dict.fromkeys(key.values()))
        gains = dict(zip(evaluated, self._gains(features, evaluated), strict=True))
        base = self.mask_offset * self.base(features)
        return [base + (a if family.linear_in_a else 1.0) * gains[key[a, b]] for a, b in pairs]

    def get_config(self):
        return super().get_config() | {
            "mask_offset": self.mask_offset,
            "sparsity": self.sparsity,
            "family": self.family,
            "initial_bias": self.initial_bias,
        }


@keras.saving.register_keras_serializable("mam_keras")
class PerFeatureMaskedHeads(_MaskedHeads):
    """Heads with one mask per attribute and feature, M^k = sigmoid(F W_k + b_k), of the features' shape (eq. 2).

    Our reading: the mask sub-network is one 1x1 convolution and a sigmoid. Masks are computed a few attributes at a
    time and computed again in the backward pass (`tiles`), so memory does not grow with K. In training they are
    compiled by XLA where `compile_training` says so; inference, whose batches differ in size, never is.
    """

    compile_training = False  # set by whoever trains; a property of the process, not of the model

    def build_masks(self, features_shape):
        self.channels = features_shape[-1]
        self.mask_kernel = self.add_weight(
            name="mask_kernel",
            shape=(self.attributes, self.channels, self.channels),
            initializer=glorot(self.channels, self.channels),
            autocast=False,
        )
        self.mask_bias = self.add_weight(
            name="mask_bias",
            shape=(self.attributes, self.channels),
            initializer=keras.initializers.Constant(self.initial_bias),
            autocast=False,
        )

    @property
    def mask_channels(self):
        """Of one attribute's mask."""
        return self.channels

    def mask(self, features, k):
        """M^k of one attribute: (N, H, W, C) -> float32 (N, H, W, C), in [0, 1]."""
        logits = ops.matmul(features, ops.cast(self.mask_kernel[k], features.dtype))
        return ops.sigmoid(ops.cast(logits, "float32") + self.mask_bias[k])

    def gain(self, features, a, b):
        """What the transformed masks add, g^k_p sum_c w_{k,c} f_{a,b}(M^k)_{p,c} F_{p,c}: float32 (N, H, W, K)."""
        a, b = (_per_position(value, features) for value in (a, b))
        function = FAMILIES[self.family].function
        return self._weighed(transformed_sums(features, *self._weights(), lambda mask: function(mask, a, b)))

    def explain(self, features, a, b):
        """What every position and every channel adds to the logits under T(M) = mask_offset + f_{a,b}(M).

        Args:
            features, a, b: as in `scores`.

        Returns:
            The scores, float32 (N, H, W, K), and the channels' importance, the mean over positions of a channel's
            share without its sign, 1/P sum_p |g^k_p w_{k,c} T(M^k)_{p,c} F_{p,c}|: float32 (N, K, C). One evaluation of
            the masks, of which no more than a tile is held.
        """
        a, b = (_per_position(value, features) for value in (a, b))
        function = FAMILIES[self.family].function
        weights = self.position_weights() if self.learned_positions else None
        return explained_sums(features, *self._weights(), lambda mask: self.mask_offset + function(mask, a, b), weights)

    def _gains(self, features, pairs):
        function = FAMILIES[self.family].each
        sums = several_sums(features, *self._weights(), lambda logits: function(logits, pairs))
        return [self._weighed(sums[index]) for index in range(len(pairs))]

    def _weights(self):
        return (*self.mask_weights(), ops.copy(self.kernel))

    def _masked(self, features, training):
        masked, mask_sums = masked_sums(features, *self._weights(), compiled=bool(training) and self.compile_training)
        return self._weighed(masked), mask_sums


@keras.saving.register_keras_serializable("mam_keras")
class CommonMaskedHeads(_MaskedHeads):
    """Heads with one map per attribute for all features, M^k = sigmoid(F u_k + b_k): what CAM, Grad-CAM and ABN have.

    |M|_1 counts the map once, not once per channel (our reading).
    """

    def build_masks(self, features_shape):
        self.channels = features_shape[-1]
        self.mask_kernel = self.add_weight(
            name="mask_kernel",
            shape=(self.attributes, self.channels),
            initializer=glorot(self.channels, 1),
            autocast=False,
        )
        self.mask_bias = self.add_weight(
            name="mask_bias",
            shape=(self.attributes,),
            initializer=keras.initializers.Constant(self.initial_bias),
            autocast=False,
        )

    mask_channels = 1

    def mask(self, features, k):
        """M^k of one attribute: (N, H, W, C) -> float32 (N, H, W, 1), in [0, 1]."""
        return self._masks(features)[..., k : k + 1]

    def gain(self, features, a, b):
        """What the transformed masks add, g^k_p f_{a,b}(M^k)_p sum_c w_{k,c} F_{p,c}: float32 (N, H, W, K)."""
        return self._transformed(features, a, b) * self.base(features)

    def explain(self, features, a, b):
        """As `PerFeatureMaskedHeads.explain`."""
        gains = self.mask_offset + self._transformed(features, a, b)
        return gains * self.base(features), importances(self.kernel, features, self._weighed(gains))

    def _gains(self, features, pairs):
        base = self.base(features)
        return [factor * base for factor in FAMILIES[self.family].each(self._logits(features), pairs)]

    def _transformed(self, features, a, b):
        a, b = (ops.reshape(ops.cast(value, "float32"), (-1, 1, 1, 1)) for value in (a, b))
        return FAMILIES[self.family].function(self._masks(features), a, b)

    def _masks(self, features):
        return ops.sigmoid(self._logits(features))

    def _logits(self, features):
        kernel = ops.cast(ops.transpose(self.mask_kernel), features.dtype)
        return ops.cast(ops.matmul(features, kernel), "float32") + self.mask_bias

    def _masked(self, features, training):
        masks = self._masks(features)
        return masks * self.base(features), masks


def glorot(fan_in, fan_out):
    """Glorot's uniform initialiser of one attribute's weights; Keras would count K as a receptive field."""
    limit = math.sqrt(6.0 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-limit, limit)


def importances(kernel, features, gains):
    """1/P sum_p |w_{k,c} g^k_p F_{p,c}| for gains that all channels share, (N, H, W, K): float32 (N, K, C)."""
    positions = features.shape[1] * features.shape[2]
    features, gains = (
        ops.abs(ops.cast(ops.reshape(array, (-1, positions, array.shape[-1])), "float32"))
        for array in (features, gains)
    )
    return ops.abs(ops.cast(kernel, "float32")) * ops.matmul(ops.transpose(gains, (0, 2, 1)), features) / positions


def _per_position(value, features):
    """A scalar or one value per image, (N,), as float32 (N * H * W or 1, 1, 1), to stand against a tile of masks."""
    value = ops.reshape(ops.cast(value, "float32"), (-1, 1))
    if value.shape[0] != 1:
        height, width = features.shape[1:3]
        value = ops.reshape(ops.repeat(value, height * width, axis=1), (-1, 1))
    return value[:, :, None]
