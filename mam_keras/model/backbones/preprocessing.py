"""What the networks of `keras.applications` expect of an image, as a layer. Knows no network."""

import keras
from keras.applications.imagenet_utils import preprocess_input

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
