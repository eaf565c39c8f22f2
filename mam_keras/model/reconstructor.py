"""The reconstructor (1904.13078, section 3.4): images from features."""

from keras import layers


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
