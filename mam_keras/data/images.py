"""From encoded bytes to the prepared square: one definition for training, report and serving."""

import tensorflow as tf


def decode(encoded):
    """Decodes one JPEG, PNG, GIF (first frame), BMP, WebP or JPEG XL: scalar string -> uint8 (height, width, 3).

    Grey images are repeated over three channels, transparency is dropped, CMYK is converted, 16 bits become 8.
    Raises `tf.errors.InvalidArgumentError` for anything else and for truncated files.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return image


def prepare(image, size):
    """The centre square, resized: uint8 (height, width, 3) -> uint8 (size, size, 3).

    The square has the side of the shorter edge, its offset rounded down (CelebA's 178x218: the 178x178 at row 20).
    Bilinear, antialiased, **rounded to uint8**; the network divides by 255.
    """
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    side = tf.minimum(height, width)
    square = tf.image.crop_to_bounding_box(image, (height - side) // 2, (width - side) // 2, side, side)
    resized = tf.image.resize(square, (size, size), antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)


def read_files(paths):
    """A dataset of the images in files: a list of paths -> elements uint8 (height, width, 3), in their order."""
    return tf.data.Dataset.from_tensor_slices(list(paths)).map(
        lambda path: decode(tf.io.read_file(path)), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
