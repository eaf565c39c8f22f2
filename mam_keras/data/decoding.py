"""Encoded images inside a graph: decoded and prepared as `data.images` does, without raising, in bounded memory.

A server gets whatever its callers send, a report whatever lies in a folder. Knows neither the model nor who asks.
"""

import tensorflow as tf

from mam_keras.data.images import decode, prepare

FORMATS = ("JPEG", "PNG", "GIF (first frame)", "BMP", "WebP without alpha")
MAX_PIXELS = 2**25  # of one image; decoding takes at most about 14 bytes for each (a progressive CMYK JPEG)
GIF_BLOCKS = 2**16  # of one GIF, of at most 255 bytes each; looking at so many takes about a second
_TOO_MANY = tf.int64.max


def decode_batch(encoded, size):
    """Encoded images -> prepared images, and which of them could be read. Never raises on an image's content.

    Args:
        encoded: string (N,), one image each, of `FORMATS` and of at most `MAX_PIXELS`.
        size: S.

    Returns:
        uint8 (N, S, S, 3), zeros where an image could not be read, and bool (N,).
    """
    count = tf.size(encoded, out_type=tf.int64)
    # A pipeline may drop what raises; nothing else in a graph can. It holds one decoded image at a time.
    readable = (
        tf.data.Dataset.from_tensor_slices(encoded)
        .enumerate()
        .filter(lambda _, image: _pixels(image) <= MAX_PIXELS)
        .map(lambda index, image: (index, prepare(decode(image), size)))
        .ignore_errors()
    )
    none = tf.data.Dataset.from_tensors((tf.zeros((0,), tf.int64), tf.zeros((0, size, size, 3), tf.uint8)))
    indices, images = readable.batch(tf.maximum(count, 1)).concatenate(none).take(1).get_single_element()
    images = tf.scatter_nd(indices[:, None], images, tf.stack([count, size, size, 3]))
    valid = tf.scatter_nd(indices[:, None], tf.ones_like(indices), count[None]) > 0
    return tf.ensure_shape(images, (None, size, size, 3)), tf.ensure_shape(valid, (None,))


def _pixels(encoded):
    """How many pixels decoding would hold, by the image's own headers, where TensorFlow's decoders look: int64.

    Too many where the format is not one of `FORMATS`. (TensorFlow decodes JPEG XL as well, but its header is a stream
    of bits of many forms, with nothing to bound the memory by.)
    """
    header = tf.strings.join([tf.strings.substr(encoded, 0, 32), b"\0" * 32])

    def numbers(at, count, dtype=tf.uint8, little_endian=True):
        size = count * dtype.size
        read = tf.io.decode_raw(tf.strings.substr(header, at, size), dtype, little_endian)
        return tf.abs(tf.cast(tf.ensure_shape(read, (count,)), tf.int64))

    def area(width_and_height):
        return tf.reduce_prod(width_and_height)

    def lossless_webp():
        bits = tf.reduce_sum(numbers(21, 4) * [1, 2**8, 2**16, 2**24])
        return (1 + bits % 2**14) * (1 + bits // 2**14 % 2**14)

    def extended_webp():
        return area(1 + tf.reduce_sum(tf.reshape(numbers(24, 6), (2, 3)) * [1, 2**8, 2**16], axis=1))

    def begins(magic, at=0):
        return tf.strings.substr(header, at, len(magic)) == magic

    webp = begins(b"RIFF") & begins(b"WEBP", 8)
    return tf.case(
        [
            (begins(b"\xff\xd8\xff"), lambda: area(tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64))),
            (begins(b"\x89PNG\r\n\x1a\n"), lambda: area(numbers(16, 2, tf.int32, little_endian=False))),
            (begins(b"GIF8"), lambda: _gif_pixels(encoded)),
            (begins(b"BM"), lambda: area(numbers(18, 2, tf.int32))),
            (webp & begins(b"VP8 ", 12), lambda: area(numbers(26, 2, tf.uint16) % 2**14)),
            (webp & begins(b"VP8L", 12), lossless_webp),
            (webp & begins(b"VP8X", 12), extended_webp),
        ],
        default=lambda: tf.constant(_TOO_MANY),
    )


def _gif_pixels(encoded):
    """Pixels of all frames of a GIF, since all are read, or of the canvas that holds them where that is more.

    Follows the chain of blocks: after the header and its colours, frames (0x2C) and extensions (0x21), each with a
    chain of sub-blocks that a length of 0 ends. A file that breaks off is as long as it is.
    """
    data = tf.concat([tf.io.decode_raw(encoded, tf.uint8), tf.zeros((1,), tf.uint8)], axis=0)
    end = tf.size(data) - 1

    def byte(at):
        return tf.cast(data[tf.minimum(at, end)], tf.int32)

    def word(at):
        return byte(at) + 256 * byte(at + 1)

    def colours(flags):
        return tf.where(flags < 128, 0, tf.bitwise.left_shift(6, flags % 8))

    def more(at, blocks, *_):
        return (at < end) & ((byte(at) == 0x21) | (byte(at) == 0x2C)) & (blocks < GIF_BLOCKS)

    def next_block(at, blocks, pixels, width, height):
        is_frame = byte(at) == 0x2C
        frame_width, frame_height = (tf.where(is_frame, word(at + place), 0) for place in (5, 7))
        at = tf.where(is_frame, at + 11 + colours(byte(at + 9)), at + 2)
        at, blocks = tf.while_loop(
            lambda at, blocks: (at < end) & (byte(at) != 0) & (blocks < GIF_BLOCKS),
            lambda at, blocks: (at + 1 + byte(at), blocks + 1),
            (at, blocks + 1),
        )
        pixels += tf.cast(frame_width, tf.int64) * tf.cast(frame_height, tf.int64)
        return at + 1, blocks, pixels, tf.maximum(width, frame_width), tf.maximum(height, frame_height)

    start = (13 + colours(byte(10)), 0, tf.constant(0, tf.int64), 0, 0)
    _, blocks, pixels, width, height = tf.while_loop(more, next_block, start)
    canvas = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
    return tf.where(blocks < GIF_BLOCKS, tf.maximum(pixels, canvas), _TOO_MANY)
