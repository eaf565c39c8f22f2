"""The estimate of an image's noise: by hand, against NumPy, and on images whose noise is known."""

import numpy as np
import pytest
import tensorflow as tf

from mam_keras.data import pipeline, synthetic_faces
from mam_keras.data.images import prepare, read
from mam_keras.model.noise import noise_level

SIGMAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)


def noisy(images, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, images.shape)
    return np.clip(images + noise, 0, 1).astype("float32")


def plain(images):
    """Block by block, in float64."""
    levels = []
    for image in images.astype("float64"):
        details = [
            abs(block[0, 0] - block[0, 1] - block[1, 0] + block[1, 1]) / 2
            for row in range(0, len(image) - 1, 2)
            for column in range(0, len(image) - 1, 2)
            for block in np.moveaxis(image[row : row + 2, column : column + 2], -1, 0)
        ]
        levels.append(np.median(details) / 0.6745)
    return levels


def test_one_block_by_hand():
    image = np.zeros((1, 2, 2, 3), "float32")
    image[0, :, :, 0] = [[0.8, 0.1], [0.2, 0.3]]  # HH = (0.8 - 0.1 - 0.2 + 0.3) / 2 = 0.4
    image[0, :, :, 1] = [[0.1, 0.5], [0.1, 0.1]]  # -0.2
    np.testing.assert_allclose(noise_level(image), [0.2 / 0.6745], rtol=1e-6)  # the third is 0


@pytest.mark.parametrize("size", [8, 9])
def test_as_block_by_block(size):
    images = np.random.default_rng(1).random((5, size, size, 3), "float32")
    levels = noise_level(images)
    assert (tuple(levels.shape), levels.dtype) == ((5,), tf.float32)
    np.testing.assert_allclose(levels, plain(images), rtol=1e-5)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_sigma_of_flat_and_of_smooth_images(sigma):
    place = np.linspace(0, 1, 128)
    waves = 0.5 + 0.1 * np.sin(3 * place)[:, None] * np.cos(2 * place)
    images = np.stack([np.full((128, 128, 3), 0.5), np.repeat(waves[..., None], 3, axis=-1)])
    tolerance = {0.2: 0.05, 0.3: 0.15}.get(sigma, 0.04)  # from 0.2 on, clipping takes some of it away
    np.testing.assert_allclose(noise_level(noisy(images, sigma)), sigma, rtol=tolerance, atol=1e-4)


def rising(images):
    levels = np.stack([noise_level(noisy(images, sigma, seed=7)) for sigma in SIGMAS])
    assert (np.diff(levels, axis=0) > 0).all()
    return levels


def test_it_rises_with_the_noise_of_drawn_faces():
    settings = synthetic_faces.Settings(source="synthetic_faces", train=1, validation=1, test=8, image_size=64)
    split = synthetic_faces.load(settings).splits["test"]
    rising(pipeline.read(split, "test", settings).images / 255)


def test_it_rises_with_the_noise_of_real_faces(real_faces):
    paths = sorted((real_faces / "img_align_celeba").iterdir())[:30]
    images = np.stack([prepare(read(path.read_bytes())[0], 64).numpy() for path in paths])
    clean = rising(images / 255)[0]
    assert 0 < clean.max() < 0.05  # texture


def test_in_a_graph_with_a_batch_of_any_size():
    graph = tf.function(noise_level, [tf.TensorSpec((None, 8, 8, 3))])
    images = noisy(np.full((4, 8, 8, 3), 0.5), 0.2)
    np.testing.assert_allclose(graph(images), noise_level(images), rtol=1e-6)
    np.testing.assert_allclose(graph(images[:1]), noise_level(images)[:1], rtol=1e-6)
    assert graph(images[:0]).shape == (0,)
