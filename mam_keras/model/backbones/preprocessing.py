"""What networks expect of an image, as layers: those of `keras.applications`, and others. Knows no network."""

import keras
import numpy as np
from keras.applications.imagenet_utils import preprocess_input

AT_ONCE = 512  # images, of which each pixel takes 8 bytes while it is counted
RGB_DEVIATION = 0.229, 0.224, 0.225  # of ImageNet's images, in [0, 1]


@keras.saving.register_keras_serializable("mam_keras")
class Preprocessing(keras.Layer):
    """Images (N, S, S, 3) in [0, 1], RGB -> as `keras.applications.imagenet_utils.preprocess_input` gives them.

    Args:
        mode: "caffe" (grey levels, BGR, less ImageNet's mean), "tf" (from -1 to 1), "torch" (less ImageNet's mean, over
            its standard deviation) or "none" (grey levels from 0 to 255; the network does the rest).
    """

    def __init__(self, mode, **kwargs):
        super().__init__(**kwargs)
        if mode not in ("caffe", "tf", "torch", "none"):
            raise ValueError(f"Argument `mode` must be caffe, tf, torch or none. Received: {mode!r}")
        self.mode = mode

    def call(self, images):
        levels = 255.0 * images
        if self.mode == "none":
            return levels
        return preprocess_input(levels, data_format="channels_last", mode=self.mode)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return super().get_config() | {"mode": self.mode}


@keras.saving.register_keras_serializable("mam_keras")
class Standardization(keras.Layer):
    """(x - mean) / deviation of each colour, over all pixels of the images that it was shown: (N, S, S, 3) -> the same.

    Before `adapt` it changes nothing.
    """

    def build(self, shape):
        self.mean = self.add_weight(name="mean", shape=(3,), initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=(3,), initializer="ones", trainable=False)

    def adapt(self, images):
        """Looks at images, uint8 (n, S, S, 3), whose colours are not all the same."""
        counts, levels = np.zeros((3, 256)), np.arange(256) / 255
        for start in range(0, len(images), AT_ONCE):
            part = np.asarray(images[start : start + AT_ONCE])
            counts += [np.bincount(part[..., colour].ravel(), minlength=256) for colour in range(3)]
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ levels
        variance = (shares * (levels - mean[:, None]) ** 2).sum(axis=1)
        self.mean.assign(mean)
        self.deviation.assign(np.maximum(np.sqrt(variance), 1 / 255))

    def call(self, images):
        return (images - self.mean) / self.deviation

    def compute_output_shape(self, shape):
        return shape
