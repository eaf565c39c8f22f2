"""The plain form of the masked heads: K separate branches of Keras's own layers, as the papers draw them.

What the fast form is compared with, in tests and benchmarks. Knows the heads' weights, nothing of tiles.
"""

import keras
from keras import layers, ops


def branches(heads, pooling, features_shape, transform=None):
    """K branches with the weights of a `PerFeatureMaskedHeads` and a `PooledLogits`, both built.

    T(M) = mask_offset + transform(M); without `transform` it is the T of training, mask_offset + M.

    Args:
        features_shape: (N, H, W, C); N is not read.
        transform: a function of a mask, in `keras.ops`.

    Returns:
        `keras.Model`: features (N, H, W, C) -> logits (N, K). Its `losses` hold lambda |M^k|_1, one per branch. The
        layers of attribute k are `mask.k` and `logit.k`.
    """
    features = keras.Input(features_shape[1:])
    logits = []
    for k in range(heads.attributes):
        mask = layers.Conv2D(
            heads.channels,
            1,
            activation="sigmoid",
            activity_regularizer=keras.regularizers.L1(heads.sparsity),  # Keras divides it by the batch
            name=f"mask.{k}",
        )(features)
        transformed = heads.mask_offset + (mask if transform is None else transform(mask))
        logits.append(_logit(transformed * features, pooling.share, f"logit.{k}"))
    model = keras.Model(features, layers.Concatenate(name="logits")(logits))
    mask_kernel, mask_bias, kernel, bias = (
        weight.numpy() for weight in (heads.mask_kernel, heads.mask_bias, heads.kernel, pooling.bias)
    )
    for k in range(heads.attributes):
        model.get_layer(f"mask.{k}").set_weights([mask_kernel[k][None, None], mask_bias[k]])
        model.get_layer(f"logit.{k}").set_weights([kernel[k][:, None], bias[k : k + 1]])
    return model


def _logit(masked, share, name):
    """Global average pooling and a linear unit; or a linear unit at each position and the mean of the highest."""
    unit = layers.Dense(1, name=name)
    if share == 1:
        return unit(layers.GlobalAveragePooling2D()(masked))
    scores = layers.Flatten()(unit(masked))
    positions = max(1, round(share * scores.shape[1]))
    return ops.mean(ops.sort(scores, axis=1)[:, -positions:], axis=1, keepdims=True)
