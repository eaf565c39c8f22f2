"""Encoded images inside a graph: decoded and prepared as `data.images` does, without raising, in bounded memory.

A server gets whatever its callers send, a report whatever lies in a folder. Knows neither the model nor who asks.
"""

import tensorflow as tf

from mam_keras.data.images import prepare, read


def decode_batch(encoded, size, fit="crop"):
    """Encoded images -> prepared images, and which of them could be read. Never raises on an image's content.

    Args:
        encoded: string (N,), one image each, of `formats.FORMATS` and within the bounds there.
        size: S.
        fit: of `square.Fit`.

    Returns:
        uint8 (N, S, S, 3), zeros where an image could not be read, and bool (N,).
    """
    count = tf.size(encoded, out_type=tf.int64)
    # A pipeline may drop what raises; nothing else in a graph can. It holds one decoded image at a time.
    readable = (
        tf.data.Dataset.from_tensor_slices(encoded)
        .enumerate()
        .map(lambda index, image: (index, prepare(read(image)[0], size, fit)))
        .ignore_errors()
    )
    none = tf.data.Dataset.from_tensors((tf.zeros((0,), tf.int64), tf.zeros((0, size, size, 3), tf.uint8)))
    indices, images = readable.batch(tf.maximum(count, 1)).concatenate(none).take(1).get_single_element()
    images = tf.scatter_nd(indices[:, None], images, tf.stack([count, size, size, 3]))
    valid = tf.scatter_nd(indices[:, None], tf.ones_like(indices), count[None]) > 0
    return tf.ensure_shape(images, (None, size, size, 3)), tf.ensure_shape(valid, (None,))
