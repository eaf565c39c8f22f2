"""What can happen to an image before a classifier sees it: noise, blur, compression, something in front, darkness.

Every image draws from a random generator of its own, so the same images come whatever the batches, and for every pair
(a, b) alike. Knows images and neither models nor labels.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage


@dataclass(frozen=True)
class Corruption:
    """One way of spoiling an image.

    Attributes:
        title: how it is called on the page.
        unit: what its severity is.
        function: (image float32 (S, S, 3) in [0, 1], severity, random generator) -> image, of any values.
        severities: the defaults; those of noise are a setting, `analysis.sigmas`.
    """

    title: str
    unit: str
    function: Callable
    severities: tuple[float, ...] = ()


def noise(image, sigma, random):
    """Adds Gaussian noise, independent for every pixel and colour (1905.02719, section 3.3)."""
    return image + np.float32(sigma) * random.standard_normal(image.shape, np.float32)


def blur(image, share, random):
    """Gaussian blur; its standard deviation is `share` of the image's side. The edge is mirrored."""
    return ndimage.gaussian_filter(image, share * len(image), axes=(0, 1))


def jpeg(image, quality, random):
    """Writes the image as a JPEG (baseline, colours at half the resolution) and reads it back."""
    file = io.BytesIO()
    Image.fromarray(np.rint(255 * image).astype(np.uint8)).save(file, "jpeg", quality=int(quality))
    return np.asarray(Image.open(file), np.float32) / 255


def occlusion(image, share, random):
    """Covers a grey square (0.5) whose side is `share` of the image's, anywhere within it."""
    side = round(share * len(image))
    top, left = random.integers(0, len(image) - side + 1, 2)
    covered = image.copy()
    covered[top : top + side, left : left + side] = 0.5
    return covered


def brightness(image, factor, random):
    """Multiplies all values."""
    return np.float32(factor) * image


CORRUPTIONS = {
    "noise": Corruption("Gaussian noise", "standard deviation sigma of the noise, of values in [0, 1]", noise),
    "blur": Corruption("Blur", "standard deviation, share of the image's side", blur, (0.015, 0.03)),
    "jpeg": Corruption("JPEG compression", "quality", jpeg, (30, 10)),
    "occlusion": Corruption("Occlusion", "side of the grey square, share of the image's side", occlusion, (0.25, 0.5)),
    "brightness": Corruption("Darkness", "factor of all values", brightness, (0.5, 0.25)),
}


def corrupt(images, name, severity, seed, first, clip=True):
    """Images under one corruption, the same for the same seed, name, severity and place in the split.

    Args:
        images: float32 (n, S, S, 3) in [0, 1].
        name: a key of `CORRUPTIONS`.
        severity: a number, in the corruption's unit.
        seed: int >= 0.
        first: place of the first of them in the split; the others follow.
        clip: to [0, 1], as a camera or a file would.

    Returns:
        float32 (n, S, S, 3).
    """
    function, key = CORRUPTIONS[name].function, zlib.crc32(f"{name} {float(severity)!r}".encode())
    corrupted = np.stack(
        [
            function(image, severity, np.random.default_rng((seed, key, place)))
            for place, image in enumerate(images, first)
        ]
    )
    return np.clip(corrupted, 0, 1) if clip else corrupted
