"""What the networks of `keras.applications` expect of an image, as a layer. Knows no network."""

import keras
from keras import ops

BGR_MEAN = (103.939, 116.779, 123.68)  # of ImageNet's images, in grey levels
RGB_MEAN, RGB_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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
        if self.mode == "tf":
            return 2.0 * images - 1.0
        if self.mode == "torch":
            return (images - ops.convert_to_tensor(RGB_MEAN, images.dtype)) / ops.convert_to_tensor(
                RGB_DEVIATION, images.dtype
            )
        levels = 255.0 * images
        if self.mode == "none":
            return levels
        return ops.flip(levels, axis=-1) - ops.convert_to_tensor(BGR_MEAN, images.dtype)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return super().get_config() | {"mode": self.mode}
