"""Sums over masked features, a few attributes at a time: the computation that decides how fast and lean training is.

All K masks of a batch would take N H W K C numbers, 20 KB per position and image at K = 40 and C = 128. A tile of a
few attributes stays in cache, and the backward pass computes its masks again instead of keeping them. Knows arrays
only. `tests/model/plain.py` holds the plain form, K separate branches, that these functions are compared with.
"""

import functools

import keras
from keras import ops

TILE_WIDTH = 256  # channels of a tile's masks: wide enough for fast matrix products, small enough for the cache
BLOCK_SIZE = 2**14  # numbers of one attribute's mask in a block of positions, of which several arrays fit the cache


def masked_sums(features, mask_kernel, mask_bias, kernel, compiled=False):
    """For M^k = sigmoid(F W_k + b_k): sum_c w_{k,c} M^k_{p,c} F_{p,c} and sum_c M^k_{p,c}, with a gradient of its own.

    Args:
        features: F, (N, H, W, C).
        mask_kernel: W, (K, C, C).
        mask_bias: b, (K, C).
        kernel: w, (K, C).
        compiled: with XLA, on the TensorFlow backend (on JAX the caller's own `jit` compiles it).

    Returns:
        Two arrays, float32 (N, H, W, K): the masked sums and the sums of the masks.
    """
    forward, backward = (_compiled(_forward), _compiled(_backward)) if compiled else (_forward, _backward)

    @ops.custom_gradient
    def sums(rows, *weights):
        def gradient(*arguments, upstream=()):
            return backward(*keras.tree.flatten((arguments, upstream)), rows, *weights)

        # Without a tape that looks on: outside a graph, TensorFlow would differentiate what XLA compiled.
        return forward(*map(ops.stop_gradient, (rows, *weights))), gradient

    rows = ops.reshape(features, (-1, features.shape[-1]))
    masked, mask_sums = sums(rows, mask_kernel, mask_bias, kernel)
    shape = (-1, *features.shape[1:3], kernel.shape[0])
    return ops.reshape(masked, shape), ops.reshape(mask_sums, shape)


def transformed_sums(features, mask_kernel, mask_bias, kernel, transform):
    """sum_c w_{k,c} f(M^k)_{p,c} F_{p,c} for any function f of the masks; arguments as in `masked_sums`.

    `transform` gets the masks of a tile, float32 (N H W, attributes of the tile, C), rows in the order of positions.
    """
    rows = ops.reshape(features, (-1, features.shape[-1]))
    tiles = _tiles(mask_kernel, mask_bias, kernel)

    def tile_sums(tile):
        return ops.sum(transform(_masks(rows, *tile[:2])) * _weighted(rows, tile[2]), axis=-1)

    sums = _untile(_each(tile_sums, tiles))
    return ops.reshape(sums, (-1, *features.shape[1:3], kernel.shape[0]))


def several_sums(features, mask_kernel, mask_bias, kernel, transforms):
    """sum_c w_{k,c} f(M^k)_{p,c} F_{p,c} for several functions f of the masks, each mask computed once.

    One attribute and one block of positions at a time, with positions along the last axis: a block stays in cache
    until every function is done with it, and sums over channels add vectors. For XLA, which makes one loop of what is
    done to a block; so whoever calls it compiles it, with a batch size that does not change.

    Args:
        features, mask_kernel, mask_bias, kernel: as in `masked_sums`.
        transforms: logits of masks, float32 (C, positions) -> list of T arrays of that shape, the functions' values.

    Returns:
        float32 (T, N, H, W, K).
    """
    _, height, width, channels = features.shape
    positions = height * width
    block = max(b for b in range(1, positions + 1) if positions % b == 0 and (b == 1 or b * channels <= BLOCK_SIZE))
    blocks = ops.transpose(ops.reshape(features, (-1, block, channels)), (0, 2, 1))
    weights = (ops.transpose(mask_kernel, (0, 2, 1)), mask_bias[:, :, None], kernel[:, :, None])

    def block_sums(blocks):
        (block,) = blocks

        def attribute_sums(weights):
            mask_kernel, mask_bias, kernel = weights
            logits = ops.cast(ops.matmul(ops.cast(mask_kernel, block.dtype), block), "float32") + mask_bias
            weighted = kernel * ops.cast(block, "float32")
            return ops.stack([ops.sum(factor * weighted, axis=0) for factor in transforms(logits)])

        return _each(attribute_sums, weights)

    sums = ops.transpose(_each(block_sums, (blocks,)), (2, 0, 3, 1))  # blocks, K, T, positions -> T, blocks, p., K
    return ops.reshape(sums, (sums.shape[0], -1, height, width, kernel.shape[0]))


def explained_sums(features, mask_kernel, mask_bias, kernel, transform, position_weights=None):
    """As `transformed_sums`, and beside the sums over channels the mean over positions of each channel's magnitude.

    Args:
        position_weights: g, (H, W, K), at least 0; None: 1.

    Returns:
        Two arrays, float32: g^k_p sum_c w_{k,c} f(M^k)_{p,c} F_{p,c}, (N, H, W, K), and
        1/P sum_p |g^k_p w_{k,c} f(M^k)_{p,c} F_{p,c}|, (N, K, C).
    """
    _, height, width, channels = features.shape
    attributes = kernel.shape[0]
    rows = ops.reshape(features, (-1, channels))

    tiles = _tiles(mask_kernel, mask_bias, kernel)
    if position_weights is not None:
        count, tile = tiles[2].shape[:2]
        tiles += (ops.transpose(ops.reshape(position_weights, (height * width, count, tile)), (1, 0, 2)),)

    def tile_sums(tile):
        products = transform(_masks(rows, *tile[:2])) * _weighted(rows, tile[2])
        if position_weights is not None:
            weighed = ops.reshape(products, (-1, height * width, *tile[2].shape)) * tile[3][..., None]
            products = ops.reshape(weighed, (-1, *tile[2].shape))
        by_image = ops.reshape(ops.abs(products), (-1, height * width, *tile[2].shape))
        return ops.sum(products, axis=-1), ops.mean(by_image, axis=1)

    sums, magnitudes = _each(tile_sums, tiles)
    magnitudes = ops.reshape(ops.transpose(magnitudes, (1, 0, 2, 3)), (-1, attributes, channels))
    return ops.reshape(_untile(sums), (-1, height, width, attributes)), magnitudes


def _forward(rows, mask_kernel, mask_bias, kernel):
    def tile_sums(tile):
        masks = _masks(rows, *tile[:2])
        return ops.sum(masks * _weighted(rows, tile[2]), axis=-1), ops.sum(masks, axis=-1)

    masked, mask_sums = _each(tile_sums, _tiles(mask_kernel, mask_bias, kernel))
    return _untile(masked), _untile(mask_sums)


def _backward(masked, mask_sums, rows, mask_kernel, mask_bias, kernel):
    tiles = _tiles(mask_kernel, mask_bias, kernel)
    count, tile = tiles[2].shape[:2]
    channels = rows.shape[-1]

    def by_tile(upstream):
        """(R, K) -> (tiles, R, attributes of a tile)."""
        return ops.transpose(ops.reshape(upstream, (-1, count, tile)), (1, 0, 2))

    def add_tile(index, gradients):
        features_gradient, kernels, biases, weights = gradients
        tile_kernel, tile_bias, tile_weights, masked, mask_sum = (ops.take(a, index, axis=0) for a in per_tile)
        masks = _masks(rows, tile_kernel, tile_bias)
        masked, features = masked[:, :, None], ops.cast(rows, "float32")[:, None, :]
        weighted_gradient = masked * tile_weights
        logits_gradient = (weighted_gradient * features + mask_sum[:, :, None]) * masks * (1.0 - masks)
        flat = ops.cast(ops.reshape(logits_gradient, (-1, tile * channels)), rows.dtype)
        features_gradient = (
            features_gradient
            + ops.cast(ops.matmul(flat, ops.transpose(ops.cast(tile_kernel, rows.dtype))), "float32")
            + ops.sum(weighted_gradient * masks, axis=1)
        )
        return (
            features_gradient,
            _put(kernels, index, ops.cast(ops.matmul(ops.transpose(rows), flat), "float32")),
            _put(biases, index, ops.sum(logits_gradient, axis=0)),
            _put(weights, index, ops.sum(masked * masks * features, axis=0)),
        )

    # Keras's `scan` would collect the weights' gradients, but on TensorFlow it asks them to have the carry's shape.
    per_tile = (*tiles, by_tile(masked), by_tile(mask_sums))
    initial = tuple(ops.zeros_like(array, dtype="float32") for array in (rows, *tiles))
    features_gradient, kernels, biases, weights = ops.fori_loop(0, count, add_tile, initial)
    kernels = ops.transpose(ops.reshape(kernels, (count, channels, tile, channels)), (0, 2, 1, 3))
    return (
        ops.cast(features_gradient, rows.dtype),
        ops.cast(ops.reshape(kernels, mask_kernel.shape), mask_kernel.dtype),
        ops.cast(ops.reshape(biases, mask_bias.shape), mask_bias.dtype),
        ops.cast(ops.reshape(weights, kernel.shape), kernel.dtype),
    )


def _tiles(mask_kernel, mask_bias, kernel):
    """Weights by tile: (tiles, C, attributes of a tile * C) and twice (tiles, attributes of a tile, C)."""
    attributes, channels = kernel.shape
    tile = max(t for t in range(1, attributes + 1) if attributes % t == 0 and (t == 1 or t * channels <= TILE_WIDTH))
    count = attributes // tile
    kernels = ops.transpose(ops.reshape(mask_kernel, (count, tile, channels, channels)), (0, 2, 1, 3))
    return (
        ops.reshape(kernels, (count, channels, tile * channels)),
        ops.reshape(mask_bias, (count, tile, channels)),
        ops.reshape(kernel, (count, tile, channels)),
    )


def _each(function, tiles):
    """`ops.map`, one tile after the other. TensorFlow would hold ten at once where it has threads for as many."""
    if keras.backend.backend() != "tensorflow":
        return ops.map(function, tiles)
    import tensorflow as tf

    one = function(tuple(array[0] for array in tiles))
    signature = keras.tree.map_structure(tf.TensorSpec.from_tensor, one)
    return tf.map_fn(function, tiles, parallel_iterations=1, fn_output_signature=signature)


def _untile(sums):
    """(tiles, R, attributes of a tile) -> (R, K)."""
    count, _, tile = sums.shape
    return ops.reshape(ops.transpose(sums, (1, 0, 2)), (-1, count * tile))


def _masks(rows, tile_kernel, tile_bias):
    logits = ops.cast(ops.matmul(rows, ops.cast(tile_kernel, rows.dtype)), "float32")
    return ops.sigmoid(ops.reshape(logits, (-1, *tile_bias.shape)) + tile_bias)


def _put(stacked, index, tile):
    return ops.slice_update(stacked, [index] + [0] * len(tile.shape), tile[None])


def _weighted(rows, tile_weights):
    return ops.cast(rows, "float32")[:, None, :] * tile_weights


@functools.cache
def _compiled(function):
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True)
