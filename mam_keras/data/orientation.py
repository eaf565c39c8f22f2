"""Which way up an image is meant to be seen: the tag in its Exif data, and turning by it. In TensorFlow's graphs."""

import tensorflow as tf

_TAG, _SHORT = 0x0112, 3


def orientation(exif):
    """The orientation tag in Exif data: scalar string, with `Exif\\0\\0` before them or without -> int32, 1 to 8.

    1, as it is stored, where there is no such tag in the first directory, or not one SHORT of 1 to 8.
    """
    skip = tf.where(tf.strings.substr(exif, 0, 6) == b"Exif\0\0", 6, 0)
    tiff = tf.strings.substr(exif, skip, 2**16)
    order = tf.strings.substr(tiff, 0, 4)
    big = order == b"MM\0*"
    length = tf.strings.length(tiff)
    data = tf.cast(tf.io.decode_raw(tf.strings.join([tiff, bytes(16)]), tf.uint8), tf.int64)

    def numbers(bytes_in_pairs):
        first, second = tf.unstack(tf.reshape(bytes_in_pairs, (-1, 2)), axis=1)
        return tf.where(big, 256 * first + second, first + 256 * second)

    start = numbers(data[4:8])
    start = tf.where(big, 2**16 * start[0] + start[1], start[0] + 2**16 * start[1])
    start = tf.cast(tf.minimum(start, tf.cast(length, tf.int64)), tf.int32)
    count = tf.minimum(tf.cast(numbers(data[start : start + 2])[0], tf.int32), tf.maximum(length - start - 2, 0) // 12)
    entries = tf.reshape(
        numbers(data[start + 2 : start + 2 + 12 * count]), (-1, 6)
    )  # tag, type, count (two), value (two)
    is_tag = (entries[:, 0] == _TAG) & (entries[:, 1] == _SHORT) & (entries[:, 2] + entries[:, 3] == 1)
    value = tf.concat([tf.boolean_mask(entries[:, 4], is_tag), [1]], axis=0)[0]
    return tf.cast(tf.where((big | (order == b"II*\0")) & (value >= 1) & (value <= 8), value, 1), tf.int32)


def upright(image, tag):
    """An image as it is meant to be seen: uint8 (height, width, 3) as stored, its tag 1 to 8 -> uint8, turned.

    Exif 2.3, 4.6.4: the tag says on which sides of the scene the first row and the first column are. 5 to 8 have rows
    and columns exchanged; then 3, 4, 7, 8 are upside down and 2, 3, 6, 7 mirrored.
    """

    def turned():
        exchanged = tf.transpose(image, tf.where(tag > 4, [1, 0, 2], [0, 1, 2]))
        axes = tf.boolean_mask([0, 1], [tf.reduce_any(tag == [3, 4, 7, 8]), tf.reduce_any(tag == [2, 3, 6, 7])])
        return tf.reverse(exchanged, axes)

    return tf.cond(tag == 1, lambda: image, turned)
