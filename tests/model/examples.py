"""Small configurations, features and weights that several tests share."""

import numpy as np

from mam_keras import config, systems
from mam_keras.data.source import Targets


def small_config(image_size=8, **sections):
    """8x8 images, features 4x4 with 5 channels; `model`, `loss`, `training` change sections."""
    model = {"channels": 5, "front_end": [4], "dilations": [1, 2]} | sections.pop("model", {})
    data = {"source": "synthetic_faces", "image_size": image_size}
    return config.check({"name": "small", "data": data, "model": model, **sections}, "small_config")


def network_of(settings, attributes, exclusive=False):
    """The untrained `Network` of a configuration."""
    targets = Targets(tuple(attributes), exclusive)
    return systems.attach(settings, targets, systems.build(settings, targets))


def random_features(*shape, seed=0):
    """As features are: about half of them zero, none negative. Float32, so that all forms start from the same."""
    return np.maximum(np.random.default_rng(seed).normal(size=shape), 0).astype("float32")


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, "float32")


def randomize(layer, seed=0):
    """Gives every weight of a layer or model, biases too, values of a standard deviation of 1 / sqrt(fan in)."""
    generator = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        fan_in = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 1
        weight.assign(generator.normal(size=weight.shape) / np.sqrt(fan_in))
    return layer


def weights_of(layer):
    """{name: float64 array}."""
    return {weight.name: weight.numpy().astype("float64") for weight in layer.weights}


def relative_error(actual, expected):
    """Largest difference, relative to the largest expected value."""
    expected = np.asarray(expected, "float64")
    return np.max(np.abs(np.asarray(actual, "float64") - expected)) / np.max(np.abs(expected))
