"""Feature extractor and reconstructor (1904.13078, sections 3.1 and 3.4). Knows images and features, no attributes."""

import math

import keras
from keras import layers

BATCH_MOMENTUM = 0.95  # of the running statistics; Keras's 0.99 lags behind in runs of a few hundred steps


def extract_features(images, front_end, channels, dilations, normalization):
    """f_f: images (N, S, S, 3) in [0, 1] -> features (N, H, W, C), not negative.

    A Dilation Network (Yu & Koltun 2016): a strided front end of 3x3 convolutions, one per entry of `front_end`, each
    halving the image, then a context module of 3x3 convolutions whose dilation grows, C channels throughout. Our
    reading: every convolution is followed by normalisation and ReLU. Of dilation 0 all taps fall on one place, which
    makes it a 1x1 convolution: the way to a small receptive field.
    """
    x = images
    for stage, width in enumerate(front_end, 1):
        x = _convolution(x, width, f"front_end.{stage}", normalization, strides=2)
    for number, dilation in enumerate(dilations, 1):
        taps = {"dilation_rate": dilation} if dilation else {"size": 1}
        x = _convolution(x, channels, f"context.{number}", normalization, **taps)
    return layers.Identity(name="features")(x)


def receptive_field(front_end, dilations):
    """Side of the square of pixels that one position of the features can see, as far as the image reaches.

    From first to last the convolutions with kernel 3, dilation d and pixels s apart add 2 d s to the 1 pixel of no
    convolution. Large dilations leave pixels out within it.
    """
    stride = 2 ** len(front_end)
    return 1 + 2 * (stride - 1) + 2 * stride * sum(dilations)


def reconstruct(features, stride):
    """f_r: features (N, H, W, C) -> images (N, H stride, W stride, 3) in [0, 1].

    Our reading: one 3x3 convolution that writes a block of stride x stride pixels per position, and a sigmoid.
    """
    blocks = layers.Conv2D(3 * stride**2, 3, padding="same", name="reconstruction.blocks")(features)
    height, width = features.shape[1:3]
    blocks = layers.Reshape((height, width, stride, stride, 3), name="reconstruction.split")(blocks)
    rows = layers.Permute((1, 3, 2, 4, 5), name="reconstruction.rows")(blocks)
    image = layers.Reshape((height * stride, width * stride, 3), name="reconstruction.logits")(rows)
    return layers.Activation("sigmoid", dtype="float32", name="reconstruction")(image)


def _convolution(x, width, name, normalization, size=3, **arguments):
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
        replicas = keras.backend.backend() == "tensorflow"  # Keras has it there alone; JAX shares batches otherwise
        x = layers.BatchNormalization(momentum=BATCH_MOMENTUM, synchronized=replicas, name=f"{name}.normalization")(x)
    elif normalization == "group":
        x = layers.GroupNormalization(groups=math.gcd(width, 8), name=f"{name}.normalization")(x)
    return layers.ReLU(name=f"{name}.relu")(x)
