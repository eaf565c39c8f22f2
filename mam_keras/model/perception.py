"""One stage of a network that every attribute passes with features weighted for it alone, a few attributes at a time.

    logit_k = b_k + sum_c w_{k,c} mean_p P(G^k F)_{p,c}

F are features (N, H, W, C), G^k an attribute's weights of them, P a stage that all attributes share: the perception
branch of the Attention Branch Network for many attributes (1812.10025), and as well masked features (1904.13078) on
which a stage is to follow. K passes of the whole stage would take K times its memory. Attributes are folded into the
batch, a tile at a time, and the backward pass computes a tile's pass again instead of keeping it, as `tiles` does.

**Batch normalisation** in the stage sees in training the B x tile images of one tile, whatever their attributes, and of
one replica. K separate passes, where each sees B images, are `tile=1`. Its running statistics take one step a call, by
the mean of the tiles' statistics; so inference is the same whatever the tile, as it is under other normalisations.
"""

import keras
from keras import ops

from mam_keras.model.masks import CommonMaskedHeads, PerFeatureMaskedHeads, glorot
from mam_keras.model.network import Map
from mam_keras.model.transformation import FAMILIES

TILE = 4  # attributes at a time


@keras.saving.register_keras_serializable("mam_keras")
class StagePasses(keras.Layer):
    """K logits of features and a map (N, H, W, K) that weighs them for each attribute, by one shared stage.

    G^k = offset + A_k: float (N, H, W, C) and (N, H, W, K) -> float32 (N, K).

    Args:
        attributes: K.
        stage: P, a `keras.Model` (N, H, W, C) -> (N, H', W', C'). It becomes this layer's own.
        offset: 1 keeps the features beside the weighted ones (ABN's residual), 0 does not.
        tile: the most attributes that pass together; the largest divisor of K that is no greater is taken.
    """

    def __init__(self, attributes, stage, offset=0, tile=TILE, **kwargs):
        super().__init__(**kwargs)
        self.attributes = attributes
        self.stage = stage
        self.offset = offset
        self.tile = tile
        self.autocast = False  # maps stay float32 under a mixed policy, and weights until the stage uses them
        for layer in stage._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = False  # replicas cannot meet inside of a loop

    def build(self, *_):
        channels = self.stage.output_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(self.attributes, channels), initializer=glorot(channels, 1), autocast=False
        )
        self.bias = self.add_weight(name="bias", shape=(self.attributes,), initializer="zeros", autocast=False)

    def call(self, inputs, training=False):
        features, maps = inputs

        def weigh(features, part):
            (tile,) = part
            return (self.offset + ops.cast(tile[..., None], "float32"),)

        return self.passes(features, weigh, [ops.transpose(maps, (3, 0, 1, 2))], training)[0]

    def passes(self, features, weigh, arrays, training=False, more=0):
        """The logits under any weights of the features, which are made when they are needed.

        Args:
            features: (N, H, W, C).
            weigh: (features, parts (t, ...) of the `arrays`) -> (G, float32 (t, N, H, W, C or 1), ...), where `more`
                arrays follow, float32 (t, N).
            arrays: what `weigh` needs of each attribute, each (K, ...); differentiated with the features.

        Returns:
            A list of float32 (N, K): the logits, and what follows G.
        """
        variables = self.stage.trainable_variables
        state = [ops.convert_to_tensor(variable) for variable in self.stage.non_trainable_variables]

        def one(shared, parts, state):
            features, *weights = shared
            *parts, kernel = parts
            factors, *more = weigh(features, parts)
            weighted = ops.cast(factors, features.dtype) * features[None]
            folded = ops.reshape(weighted, (-1, *weighted.shape[2:]))
            passed, state = self.stage.stateless_call(weights, state, folded, training=training)
            logits = ops.sum(_pooled(passed, kernel.shape[0]) * kernel[:, None, :], axis=-1)
            return ops.stack([logits, *more], axis=-1), state

        shared = [features, *(ops.copy(variable) for variable in variables)]  # values, as `masks` says
        tile = max(t for t in range(1, self.tile + 1) if self.attributes % t == 0)
        tiles = [
            ops.reshape(array, (self.attributes // tile, tile, *ops.shape(array)[1:]))
            for array in (*arrays, ops.copy(self.kernel))
        ]
        in_turn = _in_turn if keras.backend.backend() == "tensorflow" else _side_by_side
        found, states = in_turn(one, shared, tiles, state)
        if training:
            for variable, values in zip(self.stage.non_trainable_variables, states, strict=True):
                floating = keras.backend.is_float_dtype(variable.dtype)  # else a seed's state, the same in all tiles
                variable.assign(ops.mean(values, axis=0) if floating else values[-1])
        found = ops.transpose(found, (3, 2, 0, 1))  # tiles, t, N, arrays -> arrays, N, tiles, t
        found = ops.reshape(found, (1 + more, -1, self.attributes))
        return [found[0] + self.bias, *(found[index] for index in range(1, 1 + more))]

    def logit(self, features, factors, k):
        """Of attribute k alone, as inference has it: (N, H, W, C), G^k (N, H, W, C or 1) -> float32 (N,)."""
        passed = self.stage(ops.cast(factors, features.dtype) * features, training=False)
        kernel, bias = (ops.take(weight, k, axis=0) for weight in (self.kernel, self.bias))
        return ops.matmul(_pooled(passed, 1)[0], kernel) + bias

    def compute_output_spec(self, inputs, training=False):
        return keras.KerasTensor((inputs[0].shape[0], self.attributes), dtype="float32")

    def get_config(self):
        return super().get_config() | {
            "attributes": self.attributes,
            "stage": keras.saving.serialize_keras_object(self.stage),
            "offset": self.offset,
            "tile": self.tile,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"stage": keras.saving.deserialize_keras_object(config["stage"])})


class _StagedMaskedHeads:
    """Masked heads whose masked features pass a shared stage: then a pair (a, b) does more than shift a linear logit.

        logit_k = b_k + sum_c w_{k,c} mean_p P(T(M^k) F)_{p,c}

    Float (N, H, W, C) -> float32 (N, K).

    Args:
        attributes: K.
        stage, tile: of `StagePasses`.
        others: of the masked heads.
    """

    def __init__(self, attributes, stage, tile=TILE, **kwargs):
        super().__init__(attributes, **kwargs)
        self.autocast = False  # as in the passes
        self.perception = StagePasses(attributes, stage, tile=tile, dtype=self.dtype_policy, name="perception")

    def build(self, features_shape):
        self.build_masks(features_shape)
        self.perception.build()

    @property
    def bias(self):
        """(K,), added last to the logits."""
        return self.perception.bias

    def call(self, features, training=False):
        """Logits with T(M) = mask_offset + M; adds lambda |M|_1 to the model's losses."""

        def weigh(features, parts):
            masks = self.part_masks(features, *parts)
            return self.mask_offset + masks, ops.sum(masks, axis=(2, 3, 4))

        logits, mask_sums = self.perception.passes(features, weigh, self.mask_weights(), training, more=1)
        if self.sparsity:
            self.add_loss(self.sparsity * ops.mean(ops.sum(mask_sums, axis=1)))
        return logits

    def logits(self, features, a, b):
        """With T(M) = mask_offset + f_{a,b}(M): (N, H, W, C) and scalars, or (N,) of them -> float32 (N, K)."""
        a, b = (ops.reshape(ops.cast(value, "float32"), (-1, 1, 1, 1)) for value in (a, b))
        function = FAMILIES[self.family].function

        def weigh(features, parts):
            return (self.mask_offset + function(self.part_masks(features, *parts), a, b),)

        return self.perception.passes(features, weigh, self.mask_weights())[0]

    def logit(self, features, k):
        """Of attribute k alone, as it was trained: (N, H, W, C) -> float32 (N,)."""
        return self.perception.logit(features, self.factors(features, k), k)

    def compute_output_shape(self, features_shape):
        return features_shape[0], self.attributes

    def get_config(self):
        passes = self.perception.get_config()
        return super().get_config() | {key: passes[key] for key in ("stage", "tile")}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"stage": keras.saving.deserialize_keras_object(config["stage"])})


@keras.saving.register_keras_serializable("mam_keras")
class StagedPerFeatureMaskedHeads(_StagedMaskedHeads, PerFeatureMaskedHeads):
    __doc__ = _StagedMaskedHeads.__doc__

    def part_masks(self, features, mask_kernel, mask_bias):
        """M of t attributes, of weights (t, C, C) and (t, C): float32 (t, N, H, W, C)."""
        logits = ops.einsum("nhwc,tcd->tnhwd", features, ops.cast(mask_kernel, features.dtype))
        return ops.sigmoid(ops.cast(logits, "float32") + mask_bias[:, None, None, None, :])


@keras.saving.register_keras_serializable("mam_keras")
class StagedCommonMaskedHeads(_StagedMaskedHeads, CommonMaskedHeads):
    __doc__ = _StagedMaskedHeads.__doc__

    def part_masks(self, features, mask_kernel, mask_bias):
        """M of t attributes, of weights (t, C) and (t,): float32 (t, N, H, W, 1)."""
        logits = ops.einsum("nhwc,tc->tnhw", features, ops.cast(mask_kernel, features.dtype))
        return ops.sigmoid(ops.cast(logits, "float32") + mask_bias[:, None, None, None])[..., None]


def mask_map(network):
    """The masks M^k of a network, each the mean over its channels."""

    def of(images, features, k):
        return ops.mean(network.masks.mask(features, k), axis=-1)

    def show(images):
        features = network.features(images)
        return ops.stack([of(images, features, k) for k in range(len(network.targets.names))], axis=-1)

    note = (
        "The mask of what is asked, mean over channels: how far it lets features through, not what they add to the "
        "answer. Channels have masks of their own, of which this shows no difference."
    )
    return Map("masks", note, False, show, of)


def _pooled(passed, tile):
    """The mean over positions: (t N, H, W, C) -> float32 (t, N, C)."""
    pooled = ops.mean(ops.cast(passed, "float32"), axis=(1, 2))
    return ops.reshape(pooled, (tile, -1, pooled.shape[-1]))


def _side_by_side(one, shared, tiles, state):
    """The plain form of `_in_turn`: one tile beside the other."""
    done = [one(shared, [array[index] for array in tiles], state) for index in range(tiles[0].shape[0])]
    found, states = zip(*done, strict=True)
    return ops.stack(found), [ops.stack(values) for values in zip(*states, strict=True)]


def _in_turn(one, shared, tiles, state):
    """One tile after the other, none of which is kept for the backward pass.

    Args:
        one: (shared, parts of one tile, state) -> (float32 (t, N, arrays), state after it), without effects.
        shared: a list of arrays that all tiles share.
        tiles: a list of arrays (tiles, t, ...).
        state: a list of arrays, not differentiated; each tile begins with it.

    Returns:
        What `one` gives of each tile: float32 (tiles, t, N, arrays), and a list of (tiles, ...).
    """
    import tensorflow as tf

    count, tile = tiles[0].shape[:2]
    split = len(shared)

    @tf.custom_gradient
    def run(*values):
        def gradient(upstream, *_):
            def add_tile(index, sums, parts):
                own = [array[index] for array in values[split:]]
                with tf.GradientTape() as tape:
                    tape.watch([*values[:split], *own])
                    found, _ = one(values[:split], own, state)
                gradients = tape.gradient(
                    found, [*values[:split], *own], upstream[index], unconnected_gradients=tf.UnconnectedGradients.ZERO
                )
                sums = [so_far + more for so_far, more in zip(sums, gradients[:split], strict=True)]
                parts = [part.write(index, gradient) for part, gradient in zip(parts, gradients[split:], strict=True)]
                return index + 1, sums, parts

            initial = (
                tf.constant(0),
                [tf.zeros_like(array) for array in values[:split]],
                [tf.TensorArray(array.dtype, count, element_shape=array.shape[1:]) for array in values[split:]],
            )
            _, sums, parts = tf.while_loop(lambda index, *_: index < count, add_tile, initial, parallel_iterations=1)
            return [*sums, *(part.stack() for part in parts)]

        # Without a tape that looks on: outside a graph, TensorFlow would differentiate and keep every tile.
        still = [tf.stop_gradient(value) for value in values]
        signature = tf.TensorSpec((tile, None, None), tf.float32), [tf.TensorSpec(s.shape, s.dtype) for s in state]
        found, states = tf.map_fn(
            lambda parts: one(still[:split], parts, state),
            still[split:],
            parallel_iterations=1,
            fn_output_signature=signature,
        )
        return (found, *states), gradient

    found, *states = run(*shared, *tiles)
    return found, states
