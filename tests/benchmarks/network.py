"""The whole network with random data, as several benchmarks train it. Measures nothing."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from mam_keras import config
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from mam_keras.model.masks import PerFeatureMaskedHeads
from mam_keras.model.network import Head
from mam_keras.model.pooling import PooledLogits
from tests.model.examples import network_of
from tests.model.plain import branches

FRONT_END = (64, 128)  # two stages: images are four times as wide as features


def make_trainer(attributes, channels, feature_size, batch_size, masks="per_feature", xla="auto"):
    """A `Trainer` of the network with all its parts; `masks` and `xla` are the configuration's.

    With masks "branches" the attribute heads are K separate Keras branches, the plain form.
    """
    keras.utils.set_random_seed(0)
    plain = masks == "branches"
    settings = config.check(
        {
            "name": "benchmark",
            "data": {"source": "synthetic_faces", "image_size": _image_size(feature_size)},
            "model": {"channels": channels, "front_end": FRONT_END}
            | ({"attribute_heads": False} if plain else {"masks": masks}),
            "training": {"batch_size": batch_size, "xla": xla},
        },
        "benchmark",
    )
    network = network_of(settings, [f"attribute {k}" for k in range(attributes)])
    if plain:
        network = _with_branches(network, attributes, settings.loss)
    network.model.compile(optimizer=make_optimizer(settings.training, 100))
    return Trainer(network, settings, Objective(network), tf.distribute.get_strategy())


def make_heads(attributes, features_shape, sparsity):
    """Masked heads and their pooling, and the model of both: features (N, H, W, C) -> logits (N, K)."""
    features = keras.Input(features_shape[1:])
    heads, pooling = PerFeatureMaskedHeads(attributes, sparsity=sparsity), PooledLogits()
    return heads, pooling, keras.Model(features, pooling(heads(features)))


def make_batch(attributes, feature_size, batch_size):
    """Images uint8 (N, S, S, 3) and labels float32 (N, K), both random."""
    random = np.random.default_rng(0)
    size = _image_size(feature_size)
    images = random.integers(0, 256, (batch_size, size, size, 3), np.uint8)
    return tf.constant(images), tf.constant(random.integers(0, 2, (batch_size, attributes)), tf.float32)


def _with_branches(network, attributes, loss):
    """A network of which the answering head is K branches."""
    features = network.outputs["features"]
    heads, pooling, _ = make_heads(attributes, features.shape, loss.lambda_)
    logits = branches(heads, pooling, features.shape)(features)
    model = keras.Model(network.model.input, network.model.output | {"attributes": logits})
    outputs = network.outputs | {"attributes": logits}
    heads = (Head("attributes", loss.alpha), *network.heads)
    return dataclasses.replace(network, model=model, outputs=outputs, heads=heads)


def _image_size(feature_size):
    return feature_size * 2 ** len(FRONT_END)
