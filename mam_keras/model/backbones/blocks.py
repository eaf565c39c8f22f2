"""What several backbones are made of. Knows no settings."""

import math

import keras
from keras import layers

BATCH_MOMENTUM = 0.95  # of the running statistics; Keras's 0.99 lags behind in runs of a few hundred steps


def batch_statistics():
    """How batch normalisation goes about its statistics, in every backbone: arguments of the layer."""
    replicas = keras.backend.backend() == "tensorflow"  # Keras has it there alone; JAX shares batches otherwise
    return {"momentum": BATCH_MOMENTUM, "synchronized": replicas}


def convolution(x, width, name, normalization, size=3, activation=True, **arguments):
    """A convolution, its normalisation ("batch", "group", "none") and ReLU: layers NAME, NAME.normalization, NAME.relu.

    Without normalisation the convolution has a bias.
    """
    x = layers.Conv2D(
        width,
        size,
        padding="same",
        use_bias=normalization == "none",
        kernel_initializer="he_normal",
        name=name,
        **arguments,
    )(x)
    if normalization == "batch":
        x = layers.BatchNormalization(name=f"{name}.normalization", **batch_statistics())(x)
    elif normalization == "group":
        x = layers.GroupNormalization(groups=math.gcd(width, 8), name=f"{name}.normalization")(x)
    return layers.ReLU(name=f"{name}.relu")(x) if activation else x


def projected(x, channels, normalization):
    """The features: x through a 1x1 convolution to C channels, normalisation and ReLU; a layer called "features"."""
    x = convolution(x, channels, "projection.1", normalization, size=1)
    return layers.Identity(name="features")(x)
