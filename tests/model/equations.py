"""The papers' equations in NumPy, float64, written without an eye on speed. Shares no code with the layers."""

import numpy as np
from scipy import ndimage, special


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, "float64")))


def masks(features, mask_kernel, mask_bias):
    """M^k = sigmoid(F W_k + b_k): (N, H, W, C) -> (N, H, W, K, C)."""
    return sigmoid(np.einsum("nhwc,kcd->nhwkd", features, mask_kernel) + mask_bias)


def common_masks(features, mask_kernel, mask_bias):
    """M^k = sigmoid(F u_k + b_k), one map for all features: (N, H, W, C) -> (N, H, W, K, 1)."""
    return sigmoid(np.einsum("nhwc,kc->nhwk", features, mask_kernel) + mask_bias)[..., None]


def scores(features, kernel, factor):
    """s^k_p = sum_c w_{k,c} factor_{p,k,c} F_{p,c}: (N, H, W, K)."""
    factor = np.broadcast_to(factor, (*features.shape[:3], *kernel.shape))
    return np.einsum("kc,nhwkc,nhwc->nhwk", kernel, factor, features)


def position_weights(logits):
    """g of q, (K, H, W) -> (H, W, K): P times a softmax over positions, smoothed by 1, 2, 1, mirrored at the edges."""
    shares = special.softmax(8 * np.asarray(logits, "float64"), axis=(1, 2))
    for axis in (1, 2):
        shares = ndimage.correlate1d(shares, [0.25, 0.5, 0.25], axis=axis, mode="reflect")
    return np.moveaxis(shares, 0, -1) * shares[0].size


def tone_curve(mask, a, b):
    """a t_b(m), written about its centre: with d = m - 1/2, t_b = 1/2 + sign(d) (1 - (1 - |2d|)^b) / 2."""
    d = np.asarray(mask, "float64") - 0.5
    return a * (0.5 + 0.5 * np.sign(d) * (1 - (1 - np.abs(2 * d)) ** b))


def crossentropy(labels, probabilities, class_weights):
    """Per image and attribute, u_y [-y log p - (1 - y) log(1 - p)]: (N, K)."""
    negative, positive = np.transpose(class_weights)
    p = np.asarray(probabilities, "float64")
    return -np.where(labels == 1, positive * np.log(p), negative * np.log(1 - p))


def derivative(function, array, step=1e-5):
    """Of a scalar function of an array (changed in place and put back), by central differences."""
    result = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        result[index] = (above - function()) / (2 * step)
        array[index] = value
    return result
