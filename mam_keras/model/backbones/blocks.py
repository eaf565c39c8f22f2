"""What several backbones are made of. Knows no settings."""

import math

import keras
from keras import layers, ops

from mam_keras.model.backbones.preprocessing import Standardization

BATCH_MOMENTUM = 0.95  # of the running statistics; Keras's 0.99 lags behind in runs of a few hundred steps


def batch_statistics():
    """How batch normalisation goes about its statistics, in every backbone: arguments of the layer."""
    replicas = keras.backend.backend() == "tensorflow"  # Keras has it there alone; JAX shares batches otherwise
    return {"momentum": BATCH_MOMENTUM, "synchronized": replicas}


def stem(settings, image, channels, size=3):
    """What a network for small images begins with: a convolution, on standardised images if that is asked for."""
    if settings.standardize:
        image = Standardization(dtype="float32", name="standardization.1")(image)
    return convolution(image, channels, "stem.1", settings.normalization, size=size, strides=settings.stem_stride)


def normalized(x, name, normalization):
    """x through a normalisation, "batch", "group" or "none": a layer NAME.normalization."""
    if normalization == "batch":
        return layers.BatchNormalization(name=f"{name}.normalization", **batch_statistics())(x)
    if normalization == "group":
        return layers.GroupNormalization(groups=math.gcd(x.shape[-1], 8), name=f"{name}.normalization")(x)
    return x


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
    x = normalized(x, name, normalization)
    return layers.ReLU(name=f"{name}.relu")(x) if activation else x


def every(x, stride, name):
    """Every position of a grid that a 1x1 convolution of this stride would look at.

    oneDNN's filter gradient of strided 1x1 convolutions of few channels writes out of bounds (TensorFlow 2.21).
    """
    return x if stride == 1 else layers.MaxPooling2D(1, stride, name=f"{name}.every_other")(x)


def residual_unit(x, channels, name, normalization, stride=1):
    """A bottleneck with normalisation and ReLU before each convolution (He et al. 2016, Identity Mappings):

        x + 1x1(3x3(1x1(x)))        of a quarter of the channels within; as many on the way as it has in the end

    Our reading: where the shape changes, x passes a 1x1 convolution, which sees what the first one does.
    """

    def convolved(x, width, part, size, step=1):
        x = layers.ReLU(name=f"{name}.{part}.relu")(normalized(x, f"{name}.{part}", normalization))
        arguments = {"padding": "same", "use_bias": normalization == "none", "kernel_initializer": "he_normal"}
        return x, layers.Conv2D(width, size, step, name=f"{name}.{part}", **arguments)(x)

    inner = max(1, channels // 4)
    active, y = convolved(x, inner, "first", 1)
    _, y = convolved(y, inner, "second", 3, stride)
    _, y = convolved(y, channels, "third", 1)
    if stride != 1 or x.shape[-1] != channels:
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}.shortcut")(every(active, stride, name))
    return layers.Add(name=f"{name}.sum")([x, y])


def hourglass(x, levels, name, normalization):
    """Looks at a grid from further and further away, and comes back to it: as x.

    At each level every other position is kept (max-pooling 3/2), with a residual unit on the way down, one beside, one
    on the way up, and bilinear interpolation; two units at the bottom (the mask branch of 1704.06904, section 3.1).
    """

    def unit(x, part):
        return residual_unit(x, x.shape[-1], f"{name}.{part}", normalization)

    if not levels:
        return unit(unit(x, "bottom.1"), "bottom.2")
    y = layers.MaxPooling2D(3, 2, "same", name=f"{name}.{levels}.pooling")(x)
    if levels == 1:
        y = hourglass(y, 0, name, normalization)
    else:
        y = unit(y, f"{levels}.down")
        further = hourglass(y, levels - 1, name, normalization)
        y = unit(layers.Add(name=f"{name}.{levels}.sum")([further, unit(y, f"{levels}.skip")]), f"{levels}.up")
    return Doubled(name=f"{name}.{levels}.resized")(y)


@keras.saving.register_keras_serializable("mam_keras")
class Doubled(layers.Layer):
    """Bilinear interpolation to twice the height and width: (N, H, W, C) -> (N, 2 H, 2 W, C).

    `UpSampling2D(2, interpolation="bilinear")` by shifts and sums. TensorFlow takes that one's gradient for a constant
    (`ResizeBilinearGrad`), so that whoever learns by a gradient (`guidance`) would be told that it does not change.
    """

    def call(self, x):
        for axis in (1, 2):
            first, others = ops.split(x, [1], axis)
            most, last = ops.split(x, [x.shape[axis] - 1], axis)
            before, after = ops.concatenate([first, most], axis), ops.concatenate([others, last], axis)
            halves = ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
            x = ops.reshape(halves, (-1, *(2 * side if at == axis else side for at, side in enumerate(x.shape) if at)))
        return x

    def compute_output_shape(self, shape):
        count, height, width, channels = shape
        return count, 2 * height, 2 * width, channels


def mask(x, channels, name, normalization):
    """sigmoid(1x1(ReLU(BN(1x1(ReLU(BN(x))))))), in (0, 1): a layer NAME (1704.06904, section 3.1)."""
    x = layers.ReLU(name=f"{name}.relu")(normalized(x, name, normalization))
    x = convolution(x, x.shape[-1], f"{name}.hidden", normalization, size=1)
    return layers.Conv2D(channels, 1, activation="sigmoid", name=name)(x)


def projected(x, channels, normalization):
    """The features, a layer called "features": x through a 1x1 convolution to C channels, normalisation and ReLU.

    As it is where C is None.
    """
    if channels is not None:
        x = convolution(x, channels, "projection.1", normalization, size=1)
    return layers.Identity(name="features")(x)
