"""From encoded bytes to the prepared square: one definition for training, report and serving.

Transparency is dropped: what colour a see-through pixel has counts, and not what lies behind it. Colour tables are
looked up, grey images repeated over three channels, CMYK is converted, 16 bits become 8 (the upper ones), embedded
colour profiles are not applied. Which way up an image is, its orientation tag says (JPEG, PNG, WebP).
"""

import re

import tensorflow as tf

from mam_keras.data import formats
from mam_keras.data.square import along

VERSION = 2  # of this definition; raise it when the same bytes are prepared to other pixels


@tf.function(autograph=False, input_signature=[tf.TensorSpec((), tf.string)])  # traced once, which takes a second
def read(encoded):
    """Decodes one image as it is meant to be seen, and says whether its orientation tag had it turned.

    A scalar string, as `formats.decode` takes it and with its errors -> uint8 (height, width, 3), bool.
    """
    return formats.decode(encoded)


def prepare(image, size, fit="crop"):
    """Makes the image a square, as `square.along` says: uint8 (height, width, 3) -> uint8 (size, size, 3).

    By default the centre square (CelebA's 178x218: the 178x178 at row 20). Bilinear, antialiased, **rounded to uint8**;
    the network divides by 255.
    """
    edges = tf.unstack(tf.shape(image, tf.int64)[:2])
    shorter, longer = tf.minimum(*edges), tf.maximum(*edges)
    (top, height, above, rows), (left, width, beside, columns) = (
        along(edge, shorter, longer, size, fit) for edge in edges
    )
    image = image[top : top + height, left : left + width]
    if fit == "squash":  # the longer edge first: a line of 2**25 pixels would be 64 lines of them on the way
        first = tf.where(height >= width, (size, width), (height, size))
        image = tf.image.resize(image, tf.cast(first, tf.int32), antialias=True)
    resized = tf.image.resize(image, tf.cast((rows, columns), tf.int32), antialias=True)
    prepared = tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
    if fit == "pad":
        prepared = tf.pad(prepared, ((above, size - rows - above), (beside, size - columns - beside), (0, 0)))
    return tf.ensure_shape(prepared, (size, size, 3))


def read_files(paths):
    """A dataset of what `read` gives for the images in files: a list of paths -> elements in their order."""
    return tf.data.Dataset.from_tensor_slices(list(paths)).map(
        lambda path: read(tf.io.read_file(path)), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def reason(error):
    """Why an image cannot be read, of a `tf.errors.OpError`: one line, without the names of graph nodes."""
    without_nodes = re.sub(r"\{\{.*?\}\}|\[\[.*?\]\]|\[Op:.*?\]", "", error.message.splitlines()[0])
    plain = re.split(r"Iterator::\S+: ", without_nodes)[-1].strip()
    return plain.removeprefix("StringToNumberOp could not correctly convert string: ")  # `formats` says a bound so
