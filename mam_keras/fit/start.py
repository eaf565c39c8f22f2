"""Where do the heads start? At the attributes' rates, so that no step is spent on learning how rare they are."""

import itertools

import numpy as np
import tensorflow as tf

from mam_keras.fit.strategy import from_chief

BATCHES = 8  # over which the untrained network's logits are averaged


def start_at_rates(network, batches, rates, strategy):
    """Sets the biases of heads so that, before training, their mean logits are the log-odds of the rates.

        bias_k = log(r_k / (1 - r_k)) - mean of the logits with a bias of 0         (log r_k of exclusive classes)

    Where a logit pools the highest positions, an untrained network's logits are all positive and most attributes are
    rare; with biases of 0 the first epoch goes to suppressing features. In neither paper.

    Args:
        network: `model.network.Network`, built under `strategy`, not trained. Heads without a bias are left alone.
        batches: of training, `(images uint8, ...)`.
        rates: (K,), shares of positive images; brought within [0.001, 0.999], 0.5 where NaN.
    """
    heads = [head for head in network.heads if head.bias is not None]
    if not heads:
        return

    def logits(images):
        outputs = network.parts(tf.cast(images, tf.float32) / 255.0, training=True)
        return [tf.reduce_mean(outputs[head.name], axis=0) for head in heads]

    found = [
        [strategy.experimental_local_results(mean)[0] for mean in strategy.run(logits, args=(batch[0],))]
        for batch in itertools.islice(batches, BATCHES)
    ]
    rates = np.clip(np.nan_to_num(np.asarray(rates, float), nan=0.5), 0.001, 0.999)
    wanted = np.log(rates) if network.targets.exclusive else np.log(rates / (1 - rates))
    biases = np.float32(wanted - np.mean(found, axis=0))
    biases = np.frombuffer(from_chief(strategy, biases.tobytes()), np.float32).reshape(biases.shape)
    for head, bias in zip(heads, biases, strict=True):
        head.bias.assign(bias)
