"""How noisy is an image, by itself? Knows images and neither networks nor labels."""

import math

from keras import ops

NORMAL_MEDIAN = 0.6745  # of |z|, z standard normal


def noise_level(images):
    """The standard deviation of an image's noise, estimated from its finest diagonal details.

        sigma = median |HH| / 0.6745,   HH = (x00 - x01 - x10 + x11) / 2

    HH are the diagonal Haar coefficients of the image's 2x2 blocks, which do not overlap (a last odd row or column is
    left out); the median is over all blocks and colours. Independent noise of standard deviation sigma keeps it in HH,
    while what is flat or a plane has none there (Donoho & Johnstone 1994, Ideal spatial adaptation by wavelet
    shrinkage).

    It is biased: fine texture counts as noise and raises it; clipping to [0, 1] takes noise away and lowers it, the
    more the noisier, darker or brighter the image is. So it tells levels apart, and is to be compared with what it is
    on images whose noise is known, not with their sigma.

    Args:
        images: float (N, S, S, 3) in [0, 1], S >= 2. N may be unknown.

    Returns:
        float32 (N,), not negative.
    """
    images = ops.cast(images, "float32")
    height, width = (side // 2 * 2 for side in images.shape[1:3])
    upper, lower = images[:, 0:height:2, :width], images[:, 1:height:2, :width]
    differences = upper - lower
    details = ops.abs(differences[:, :, 0::2] - differences[:, :, 1::2]) / 2.0
    flat = ops.reshape(details, (-1, math.prod(details.shape[1:])))
    return ops.median(flat, axis=1) / NORMAL_MEDIAN
