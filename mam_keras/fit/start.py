"""Where do the heads start? At the attributes' rates, so that no step is spent on learning how rare they are."""

import itertools

import numpy as np
import tensorflow as tf

from mam_keras.fit.strategy import from_chief
from mam_keras.model import parts

BATCHES = 8  # over which the untrained network's logits are averaged


def start_at_rates(model, batches, rates, strategy):
    """Sets the biases of both heads so that, before training, their mean logits are the log-odds of the rates.

        bias_k = log(r_k / (1 - r_k)) - mean of the logits with a bias of 0

    Where a logit pools the highest positions, an untrained network's logits are all positive and most attributes are
    rare; with biases of 0 the first epoch goes to suppressing features. In neither paper.

    Args:
        model: of `model.build`, built under `strategy`, not trained.
        batches: of training, `(images uint8, ...)`.
        rates: (K,), shares of positive images; brought within [0.001, 0.999].
    """
    network = parts(model)
    layers = [layer for layer in model.layers if layer.name in ("attribute_logits", "multi_label_logits")]

    def logits(images):
        outputs = network(tf.cast(images, tf.float32) / 255.0, training=True)
        return [tf.reduce_mean(outputs[layer.name], axis=0) for layer in layers]

    found = [
        [strategy.experimental_local_results(mean)[0] for mean in strategy.run(logits, args=(batch[0],))]
        for batch in itertools.islice(batches, BATCHES)
    ]
    rates = np.clip(np.asarray(rates, float), 0.001, 0.999)
    biases = np.float32(np.log(rates / (1 - rates)) - np.mean(found, axis=0))
    biases = np.frombuffer(from_chief(strategy, biases.tobytes()), np.float32).reshape(biases.shape)
    for layer, bias in zip(layers, biases, strict=True):
        layer.bias.assign(bias)
