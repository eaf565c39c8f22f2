"""What a network answers for a whole split under a condition, and how noisy its images then seem. Knows no question."""

import keras
import numpy as np
import tensorflow as tf

from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.stream import stream
from mam_keras.model.noise import noise_level

KEPT = 2**28  # bytes of answers to validation images that one look keeps for the next


class Looks:
    """Streams over a split under one condition after the other, keeping no image.

    Variants, in the order of `logits`, each {"kind"} with "a" and "b" where masks are transformed by a pair:

        identity     the answering head as it was trained
        pair         the same with masks transformed by a pair of `analysis.pairs`
        unmasked     a = 0, without what the masks add
        (a name)     each further head
        adapted      the identity, with mean and variance of every batch normalisation taken from the images that are
                     answered together instead of the running ones of training (prediction-time batch normalisation:
                     Nado et al. 2020, Evaluating prediction-time batch normalization for robustness under covariate
                     shift; Schneider et al. 2020). No label is looked at, and the model's weights stay what they are

    Args:
        run: `trained_run.TrainedRun`.
    """

    def __init__(self, run):
        self._run, self._kept = run, {}
        network = run.network
        self.variants = variants(network, run.config)
        self.variants += [{"kind": head.name} for head in network.heads[1:]]
        if network.keeps_statistics:
            self.variants.append({"kind": "adapted"})
        self._answers = _answers(network, [(one["a"], one["b"]) for one in self.variants if "a" in one])
        self._adapted = _answers_by_batch(network) if network.keeps_statistics else None
        size = network.image_size
        self._levels = tf.function(noise_level, [tf.TensorSpec((None, size, size, 3))])

    def look(self, split, condition, label):
        """What is answered under a condition, (corruption, severity): logits float32 (V, n, K), estimated noise (n,).

        Answers to validation are kept in memory, as far as they are small, for the next one who asks.
        """
        if (split, condition) in self._kept:
            return self._kept[split, condition]
        config, images = self._run.config, self._run.images(split)
        logits, noise = [], []
        for rows, batch in stream(images, config.evaluation.batch_size, label):
            spoiled = tf.constant(
                corrupt(batch.numpy(), *condition, config.seed, rows.start, config.analysis.clip), tf.float32
            )
            answers = [self._answers(spoiled), *([self._adapted(spoiled)] if self._adapted else [])]
            logits.append(np.concatenate(answers))
            noise.append(self._levels(spoiled).numpy())
        found = np.concatenate(logits, axis=1), np.concatenate(noise)
        if split == "validation" and sum(one.nbytes for one, _ in self._kept.values()) + found[0].nbytes <= KEPT:
            self._kept[split, condition] = found
        return found


def variants(network, config):
    """The answering head under the identity (the first), and where there are masks under each pair and a = 0."""
    if network.masks is None:
        return [{"kind": "identity", "a": 1.0, "b": 1.0}]
    identity = network.masks.identity
    others = dict.fromkeys(pair for pair in config.analysis.pairs if pair != identity)
    pairs = [("identity", identity), *(("pair", pair) for pair in others), ("unmasked", (0.0, identity[1]))]
    return [{"kind": kind, "a": a, "b": b} for kind, (a, b) in pairs]


def _answers(network, pairs):
    """images float32 (n, S, S, 3) -> logits (V, n, K): of the pairs, from one look, then of each further head."""
    others = [head.name for head in network.heads[1:]]
    if network.masks is None:
        model = network.computing(network.main_head, *others)

        def logits(images):
            found = model(images, training=False)
            return tf.stack([found[name] for name in (network.main_head, *others)])

    else:
        model, of_pairs = network.computing("features", *others), network.masks.logits_of_pairs(pairs)

        def logits(images):
            found = model(images, training=False)
            return tf.concat([of_pairs(found["features"]), *(found[name][None] for name in others)], axis=0)

    compiled = tf.function(logits)
    return lambda images: compiled(images).numpy()


def _answers_by_batch(network):
    """images float32 (n, S, S, 3) -> logits (1, n, K) of `adapted`."""
    if network.masks is None:
        model, name, after = network.computing(network.main_head), network.main_head, lambda logits: logits[None]
    else:
        model, name = network.computing("features"), "features"
        after = network.masks.logits_of_pairs([network.masks.identity])

    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):  # some backbones' own; the statistics alone are another
            layer.rate = 0

    @tf.function
    def answers(images):
        variables = model.trainable_variables, model.non_trainable_variables
        found, _ = model.stateless_call(*variables, images, training=True)  # what it would update is dropped
        return after(found[name])

    return lambda images: answers(images).numpy()
