"""Encoded images of every kind: sound ones, and ones that a server should survive."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(height=90, width=70, seed=0):
    """Coarse coloured blocks, uint8 (height, width, 3)."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]


def encode(image, form, **options):
    """An array or an image of Pillow's -> bytes."""
    written = io.BytesIO()
    as_image(image).save(written, form, **options)
    return written.getvalue()


def as_image(image):
    return Image.fromarray(image) if isinstance(image, np.ndarray) else image


def sound():
    """{name: bytes}: of everything that is read."""
    image = Image.fromarray(picture())
    frames = [Image.fromarray(picture(seed=seed)) for seed in (1, 2)]
    deep = picture()[..., 0].astype("uint16") * 257
    see_through = image.convert("RGBA")
    see_through.putalpha(Image.fromarray(picture(seed=3)[..., 0]))
    return {
        "jpeg": encode(image, "JPEG"),
        "progressive jpeg": encode(image, "JPEG", progressive=True),
        "grey jpeg": encode(image.convert("L"), "JPEG"),
        "cmyk jpeg": encode(image.convert("CMYK"), "JPEG"),
        "png": encode(image, "PNG"),
        "transparent png": encode(image.convert("RGBA"), "PNG"),
        "palette png": encode(image.convert("P"), "PNG"),
        "16-bit png": encode(deep, "PNG"),
        "gif": encode(image, "GIF"),
        "animated gif": encode(image, "GIF", save_all=True, append_images=frames),
        "animated gif that breaks off": encode(image, "GIF", save_all=True, append_images=frames)[:-900],
        "bmp": encode(image, "BMP"),
        "webp": encode(image, "WEBP"),
        "lossless webp": encode(image, "WEBP", lossless=True),
        "webp with alpha": encode(see_through, "WEBP"),
        "lossless webp with alpha": encode(see_through, "WEBP", lossless=True, exact=True),
        "palette bmp": encode(image.convert("P"), "BMP"),
        "black and white bmp": encode(image.convert("1"), "BMP"),
        "transparent bmp": encode(see_through, "BMP"),
        "gif of many blocks": commented(encode(image, "GIF"), (b"\xff" + b"-" * 255) * 9_000 + b"\x01-\x02--" * 2_000),
        "gif of a small and huge frames": encode(image, "GIF")[:-1] + gif([(5000, 5000)] * 20)[19:],
        "webp with exif": encode(image, "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
        "one row": encode(picture(1, 300), "PNG"),
        "one pixel": encode(picture(1, 1), "JPEG"),
    }


def huge():
    """{name: bytes}: images whose headers promise more than the limits, the first ones truthfully."""
    image, empty, many = Image.fromarray(picture()), Image.new("L", (8000, 8000)), 20_000
    jpeg, bmp, webp = (bytearray(encode(image, form)) for form in ("JPEG", "BMP", "WEBP"))
    lossless = bytearray(encode(image, "WEBP", lossless=True))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", many, many)
    bmp[18:26] = struct.pack("<ii", many, -many)
    webp[26:30] = struct.pack("<HH", 16_383, 16_383)
    lossless[21:25] = struct.pack("<I", 16_382 | 16_382 << 14)
    extended = b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (many - 1).to_bytes(3, "little") * 2 + bytes(70)
    return {
        "true jpeg": encode(empty, "JPEG"),
        "true png": encode(empty, "PNG", compress_level=1),
        "true gif": encode(empty, "GIF"),
        "true webp": encode(empty, "WEBP", lossless=True, method=0),
        "jpeg": bytes(jpeg),
        "png": png(many, many),
        "png of one row": png(2**31 - 1, 1),
        "bmp": bytes(bmp),
        "webp": bytes(webp),
        "lossless webp": bytes(lossless),
        "extended webp": extended,
        "gif": gif([(many, many)]),
        "gif of blocks of many lengths": gif([(8, 8)], comment=b"\x01-\x02--" * 35_000),
    }


def unreadable():
    """{name: bytes}: what is no image, or only half of one, or of a kind that is not read."""
    image = Image.fromarray(picture())
    halves = {f"half a {form}": encode(image, form) for form in ("JPEG", "PNG", "GIF", "BMP", "WEBP")}
    return {name: content[: len(content) // 2] for name, content in halves.items()} | {
        "nothing": b"",
        "zeros": bytes(100),
        "text": b"This is no image at all, but it goes on for a while." * 3,
        "tiff": encode(image, "TIFF"),
        "jpeg xl": b"\xff\x0a" + bytes(100),
        "animated webp": encode(image, "WEBP", save_all=True, append_images=[Image.fromarray(picture(seed=1))]),
        "only the magic of a jpeg": b"\xff\xd8\xff",
        "only the magic of a gif": b"GIF89a",
        "only the magic of a webp": b"RIFF\0\0\0\0WEBP",
    }


def png(width, height):
    """A PNG whose header promises this size and whose data end early."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def commented(encoded, blocks):
    """A GIF with a comment of these sub-blocks before its first frame."""
    start = 13 + 3 * 2 ** (1 + encoded[10] % 8)
    return encoded[:start] + b"\x21\xfe" + blocks + b"\0" + encoded[start:]


def gif(sizes, comment=b""):
    """A GIF with frames of these sizes, each with a few pixels' data, after a comment of the given sub-blocks."""
    colours = b"\0\0\0\xff\xff\xff"
    frames = b"".join(
        b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00" for width, height in sizes
    )
    return b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + colours + b"\x21\xfe" + comment + b"\0" + frames + b";"


def exif(tag, big=False):
    """Exif data with an orientation tag between two others, their bytes in either order."""
    order = ">" if big else "<"
    entries = [
        (0x010E, 2, 4, b"abc\0"),
        (0x0112, 3, 1, struct.pack(f"{order}HH", tag, 0)),
        (0x0128, 3, 1, b"\0\x02\2\0"),
    ]
    head = (b"MM" if big else b"II") + struct.pack(f"{order}HI", 42, 8)
    directory = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0" + head + struct.pack(f"{order}H", len(entries)) + directory + bytes(4)


def stored(image, tag):
    """An array (height, width, 3) as it has to be stored so that the tag brings it back, by Exif's own words.

    The tag says where the stored image's row 0 and column 0 are in the scene.
    """
    return {
        1: lambda: image,  # top, left
        2: lambda: image[:, ::-1],  # top, right
        3: lambda: image[::-1, ::-1],  # bottom, right
        4: lambda: image[::-1],  # bottom, left
        5: lambda: image.transpose(1, 0, 2),  # left, top
        6: lambda: image[:, ::-1].transpose(1, 0, 2),  # right, top
        7: lambda: image[::-1, ::-1].transpose(1, 0, 2),  # right, bottom
        8: lambda: image[::-1].transpose(1, 0, 2),  # left, bottom
    }[tag]()


def tagged(image, tag, form, big=False):
    """An upright array, stored turned without loss, with the tag that brings it back."""
    lossless = {"lossless": True} if form == "WEBP" else {}
    return encode(np.ascontiguousarray(stored(image, tag)), form, exif=exif(tag, big), **lossless)


def scans(count, side=64):
    """A progressive JPEG whose first scan holds all there is, and whose others add nothing."""
    head = encode(Image.new("L", (side, side)), "JPEG", progressive=True).partition(b"\xff\xda")[0]

    def table(kind, symbol):
        return b"\xff\xc4" + struct.pack(">H", 20) + kind + bytes([1] + [0] * 15) + symbol

    def scan(first, last, bits):
        packed = int(bits + "1" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8))
        return b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, first, last, 0) + packed.replace(b"\xff", b"\xff\0")

    blocks = (side // 8) ** 2
    runs = ("0" + "1" * 14) * -(-blocks // 32767)
    first = table(b"\x00", b"\x00") + scan(0, 0, "0" * blocks) + table(b"\x10", b"\xe0")
    return head + first + scan(1, 63, runs) * (count - 1) + b"\xff\xd9"


def texts(count, name=b"zTXt"):
    """A PNG with compressed texts before its pixels."""
    content = b"key\0\0" + (b"\0\0\0" if name == b"iTXt" else b"") + zlib.compress(bytes(1000))
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    sound = encode(picture(8, 8), "PNG")
    return sound[:33] + chunk * count + sound[33:]
