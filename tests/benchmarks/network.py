"""The whole model with random data, as several benchmarks train it. Measures nothing."""

import keras
import numpy as np
import tensorflow as tf

from mam_keras import config, model
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer

FRONT_END = (64, 128)  # two stages: images are four times as wide as features


def make_trainer(attributes, channels, feature_size, batch_size, xla):
    """A `Trainer` of the network with all its parts, K = `attributes`; `xla` is the setting `training.xla`."""
    keras.utils.set_random_seed(0)
    size = feature_size * 2 ** len(FRONT_END)
    settings = config.check(
        {
            "name": "benchmark",
            "data": {"source": "synthetic_faces", "image_size": size},
            "model": {"channels": channels, "front_end": FRONT_END},
            "training": {"batch_size": batch_size, "xla": xla},
        },
        "benchmark",
    )
    network = model.build(settings, [f"attribute {k}" for k in range(attributes)])
    network.compile(optimizer=make_optimizer(settings.training, 100))
    return Trainer(network, settings, Objective(settings), tf.distribute.get_strategy())


def make_batch(attributes, feature_size, batch_size):
    """Images uint8 (N, S, S, 3) and labels float32 (N, K), both random."""
    random = np.random.default_rng(0)
    size = feature_size * 2 ** len(FRONT_END)
    images = random.integers(0, 256, (batch_size, size, size, 3), np.uint8)
    return tf.constant(images), tf.constant(random.integers(0, 2, (batch_size, attributes)), tf.float32)
