"""One encoded image, of any format that is read: its bounds, its pixels, its orientation tag. In TensorFlow's graphs.

TensorFlow's decoders do the work. What they get wrong is done here (colour tables of BMP, WebP with alpha), and what
hostile bytes could make them do without end is bounded before they see them, by headers alone.
"""

import functools

import tensorflow as tf

from mam_keras.data.orientation import orientation, upright

FORMATS = ("JPEG", "PNG", "GIF (first frame)", "BMP", "WebP (not animated)")
MAX_PIXELS = 2**25  # of one image; decoding takes at most about 14 bytes for each (a progressive CMYK JPEG)
MAX_SCANS = 500  # of a JPEG; encoders write about ten
MAX_SCANNED = 20 * MAX_PIXELS  # pixels times scans of a JPEG, for which a few bytes may do; 2**25 take up to 25 ms
MAX_COMPRESSED_TEXTS = 10  # and profiles, of a PNG; unpacking one takes up to 50 ms
MAX_GIF_STEPS = 4096  # over blocks before the end of the first frame; each over a run of equally long ones
BOUNDS = {
    "pixels (of a GIF, of its first frame)": MAX_PIXELS,
    "scans of a JPEG": MAX_SCANS,
    "pixels times scans of a JPEG": MAX_SCANNED,
    "compressed texts and profiles of a PNG": MAX_COMPRESSED_TEXTS,
    "runs of equally long blocks before the end of a GIF's first frame": MAX_GIF_STEPS,
    "animated WebP": 0,
}
_MAX_SEGMENTS = 1024  # of a JPEG before its Exif data
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF", b"")
_EXIF = b"Exif\0\0"


def kind(encoded):
    """Which of `FORMATS` an image is, by its first bytes: scalar string -> int32; `len(FORMATS)` for none of them."""
    begins = tf.strings.substr(encoded, [0] * len(_MAGIC), list(map(len, _MAGIC))) == tf.constant(_MAGIC)
    return tf.argmax(tf.cast(begins, tf.int32), output_type=tf.int32)


def decode(encoded):
    """Decodes one image as it is meant to be seen: scalar string -> uint8 (height, width, 3), whether it was turned.

    Raises `tf.errors.InvalidArgumentError` for what is no image of `FORMATS`, for a truncated or animated one (but a
    GIF) and where a bound is passed, which the message names.
    """
    readers = (_jpeg_with_tag, _png, _gif, _bmp, _webp, _other)

    # Nearly all images are JPEGs without a tag. A function that is not inlined costs them nothing; its branches would
    # double the time that an image of 178x218 takes.
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def any_other(encoded):
        image, tag = tf.switch_case(kind(encoded), [functools.partial(read, encoded) for read in readers])
        return upright(image, tag), tag > 1

    plain = (tf.strings.substr(encoded, 0, 3) == _MAGIC[0]) & (_count(encoded, _EXIF, 1) == 0)
    image, turned = tf.cond(plain, lambda: (_jpeg(encoded), False), lambda: any_other(encoded))
    image.set_shape((None, None, 3))
    return image, turned


def _jpeg(encoded):
    height, width, _ = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(encoded), tf.int64))
    scans = _count(encoded, b"\xff\xda\0", MAX_SCANS + 1)
    checked = _bounded(
        encoded,
        (height * width, MAX_PIXELS, "pixels"),
        (scans, MAX_SCANS, "scans"),
        (height * width * tf.cast(scans, tf.int64), MAX_SCANNED, "pixels times scans"),
    )
    return _decoded(checked)


def _jpeg_with_tag(encoded):
    return _jpeg(encoded), orientation(_jpeg_exif(encoded))


def _png(encoded):
    texts = sum(_count(encoded, name, MAX_COMPRESSED_TEXTS + 1) for name in (b"zTXt", b"iTXt", b"iCCP"))
    checked = _bounded(
        encoded,
        (tf.reduce_prod(tf.minimum(_numbers(_head(encoded, 24)[:15:-1], 4), 2**31)), MAX_PIXELS, "pixels"),
        (texts, MAX_COMPRESSED_TEXTS, "compressed texts and profiles"),
    )
    return _decoded(checked), orientation(_after(encoded, b"eXIf"))


def _gif(encoded):
    """Only what comes before the end of the first frame is shown to the decoder, which would decode all frames."""
    end, steps, pixels = _gif_first_frame(encoded)
    checked = _bounded(encoded, (steps, MAX_GIF_STEPS, "runs of equally long blocks"), (pixels, MAX_PIXELS, "pixels"))
    return _decoded(tf.strings.join([tf.strings.substr(checked, 0, end), b";"])), 1


def _bmp(encoded):
    head = _head(encoded, 54)
    width, height = tf.unstack((_numbers(head[18:26], 4) + 2**31) % 2**32 - 2**31)  # signed
    pixels = tf.where(width > 0, width * tf.abs(height), MAX_PIXELS + 1)
    checked = _bounded(encoded, (pixels, MAX_PIXELS, "pixels"))
    (bits,) = tf.unstack(_numbers(head[28:30], 2))
    image = tf.cond(
        bits <= 8, lambda: _bmp_by_colour_table(checked, head, bits, width, height), lambda: _decoded(checked)
    )
    return image, 1


def _bmp_by_colour_table(encoded, head, bits, width, height):
    """TensorFlow takes the numbers of colours for grey levels. Here too, where the table lacks a colour."""
    start, size, compression = (_numbers(head[at : at + 4], 4)[0] for at in (10, 14, 30))
    known = tf.cast(tf.reduce_any(bits == [1, 2, 4, 8]) & (compression == 0), tf.int32)
    encoded = _bounded(encoded, (1 - known, 0, "ways of packing a BMP with a colour table"))
    stride, length = (width * bits + 31) // 32 * 4, tf.cast(tf.strings.length(encoded), tf.int64)
    rows = tf.strings.substr(encoded, tf.minimum(start, length), stride * tf.abs(height))
    rows = tf.reshape(tf.io.decode_raw(rows, tf.uint8), (tf.abs(height), stride, 1))
    shifts = tf.cast(tf.range(8 - bits, -1, -bits), tf.uint8)
    packed = tf.bitwise.bitwise_and(tf.bitwise.right_shift(rows, shifts), tf.cast(2**bits - 1, tf.uint8))
    numbers = tf.reshape(packed, (tf.abs(height), -1))[:, :width]
    table = tf.strings.substr(
        encoded, tf.minimum(14 + size, length), tf.clip_by_value(start - 14 - size, 0, 1024) // 4 * 4
    )
    table = tf.reshape(tf.io.decode_raw(table, tf.uint8), (-1, 4))[:, 2::-1]  # from blue, green, red, nothing
    grey = tf.repeat(tf.range(256)[:, None], 3, axis=1)
    table = tf.concat([table, tf.cast(grey, tf.uint8)[tf.shape(table)[0] :]], axis=0)
    upside_down = tf.boolean_mask([0], [height > 0])
    return tf.reverse(tf.gather(table, tf.cast(numbers, tf.int32)), upside_down)


def _webp(encoded):
    head = _head(encoded, 30)
    chunk = tf.strings.substr(encoded, tf.minimum(12, tf.strings.length(encoded)), 4)
    extended = chunk == b"VP8X"
    (bits,) = tf.unstack(_numbers(head[21:25], 4))
    sides = tf.where(extended, 1 + _numbers(head[24:30], 3), 2**24)
    sides = tf.where(chunk == b"VP8L", 1 + tf.stack([bits, bits // 2**14]) % 2**14, sides)
    sides = tf.where(chunk == b"VP8 ", _numbers(head[26:30], 2) % 2**14, sides)
    # TensorFlow writes beyond its memory where it decodes an animation to as many channels as there are.
    animated = tf.where(extended, head[20] // 2 % 2, 0)
    checked = _bounded(encoded, (animated, 0, "animations"), (tf.reduce_prod(sides), MAX_PIXELS, "pixels"))
    image = tf.io.decode_image(checked, channels=0, expand_animations=False)[..., :3]
    return image, tf.cond(
        extended, lambda: orientation(tf.strings.substr(_after(encoded, b"EXIF"), 4, 2**16)), lambda: 1
    )


def _other(encoded):
    """None of `FORMATS`. TensorFlow reads JPEG XL as well, but nothing bounds that: its header is a stream of bits."""
    return _decoded(_unless(encoded, ["not a JPEG, PNG, GIF, BMP or WebP"])), 1


def _decoded(encoded):
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _bounded(encoded, *bounds):
    """The same bytes where each (amount, most, of what) holds; else an `InvalidArgumentError` that names the bound."""
    return _unless(
        encoded, [tf.where(amount <= most, "0", f"expected at most {most:,} {what}") for amount, most, what in bounds]
    )


def _unless(encoded, reasons):
    """The same bytes where every reason is "0"; else an `InvalidArgumentError` that says one of the others."""
    # Not an assertion, which is stateful: training that has to be deterministic would read images one by one. And not
    # a control dependency, which is dropped where nothing is stateful.
    return tf.strings.substr(encoded, tf.reduce_sum(tf.strings.to_number(reasons, tf.int32)), tf.int32.max)


def _count(encoded, mark, most):
    """How often some bytes occur, counted up to `most`: int32."""
    return tf.size(_split(encoded, mark, most)) - 1


def _split(encoded, mark, most):
    return tf.raw_ops.StringSplitV2(
        input=[encoded], sep=mark, maxsplit=most
    ).values  # tf.strings.split is 15 operations


def _head(encoded, count):
    """The first bytes, with zeros after the end: int64 (count,)."""
    return tf.cast(tf.io.decode_raw(encoded, tf.uint8, fixed_length=count), tf.int64)


def _numbers(data, size):
    """The little-endian numbers of so many bytes each: int64 (n size,) -> int64 (n,)."""
    return tf.reduce_sum(tf.reshape(data, (-1, size)) * [256**place for place in range(size)], axis=1)


def _after(encoded, mark):
    """What follows the first occurrence of some bytes, zeros where there is none: scalar string."""
    return tf.concat([_split(encoded, mark, 1)[1:], [bytes(8)]], axis=0)[0]


class _Bytes:
    """The bytes of a string, one by one: 0 after its end."""

    def __init__(self, encoded):
        self._data = tf.concat([tf.io.decode_raw(encoded, tf.uint8), [0]], axis=0)
        self.end = tf.size(self._data) - 1

    def byte(self, at):
        return tf.cast(self._data[tf.minimum(at, self.end)], tf.int32)

    def run(self, at, stride):
        """How many bytes from `at` on, one in `stride`, are equal."""
        some = self._data[at : tf.minimum(at, self.end) + 2**12 * stride : stride]
        return tf.argmax(tf.concat([some != some[0], [True]], axis=0), output_type=tf.int32)


def _jpeg_exif(encoded):
    """The Exif data of a JPEG: those of the first such segment before the image's own data; "" where there is none."""
    data = _Bytes(encoded)

    def is_exif(at):
        name = tf.strings.substr(encoded, tf.minimum(at + 4, data.end), 6)
        return (data.byte(at + 1) == 0xE1) & (name == _EXIF)

    def length(at):
        return 256 * data.byte(at + 2) + data.byte(at + 3)

    def more(at, segments):
        begins_data = tf.reduce_any(data.byte(at + 1) == [0xDA, 0xD9])
        return (data.byte(at) == 0xFF) & ~begins_data & ~is_exif(at) & (segments < _MAX_SEGMENTS)

    def following(at, segments):
        return tf.where(data.byte(at + 1) == 0xFF, at + 1, at + 2 + length(at)), segments + 1

    at, _ = tf.while_loop(more, following, (2, 0))
    return tf.where(
        (data.byte(at) == 0xFF) & is_exif(at),
        tf.strings.substr(encoded, tf.minimum(at + 4, data.end), tf.maximum(length(at) - 2, 0)),
        b"",
    )


def _gif_first_frame(encoded):
    """Where the first frame of a GIF ends, in how many steps that was found, and how many pixels the frame has.

    After the header and its colours there are extensions (0x21), then the frame (0x2C), each with a chain of blocks
    that one of length 0 ends. A step goes over blocks of one length: encoders write 255, and a shorter last one.
    """
    data = _Bytes(encoded)

    def word(at):
        return tf.cast(data.byte(at) + 256 * data.byte(at + 1), tf.int64)

    def colours(flags):
        return tf.where(flags < 128, 0, tf.bitwise.left_shift(6, flags % 8))

    def chain(at, steps):
        def jump(at, steps):
            stride = 1 + data.byte(at)
            return tf.minimum(at + stride * data.run(at, stride), data.end), steps + 1

        more = lambda at, steps: (data.byte(at) != 0) & (steps <= MAX_GIF_STEPS)  # noqa: E731
        at, steps = tf.while_loop(more, jump, (at, steps))
        return at + 1, steps

    start = 13 + colours(data.byte(10))
    at, steps = tf.while_loop(
        lambda at, steps: (data.byte(at) == 0x21) & (steps <= MAX_GIF_STEPS),
        lambda at, steps: chain(at + 2, steps + 1),
        (start, 0),
    )
    end, steps = chain(at + 11 + colours(data.byte(at + 9)), steps)
    return tf.minimum(end, data.end), steps, word(at + 5) * word(at + 7)
