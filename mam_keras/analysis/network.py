"""A trained model taken apart for analysis: features, masks, scores, logits, each on its own. Knows no data set."""

import itertools
import os
import zipfile

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import mam_keras.model  # (registers the layers)
from mam_keras.errors import UserError
from mam_keras.model.transformation import FAMILIES


class Network:
    """A model of `model.build`, in parts. Images are float32 (N, S, S, 3) in [0, 1], features (N, H, W, C).

    Attributes:
        model: the Keras model.
        heads: the layer of attribute heads (`scores`, `gain`, `base`, `mask`, `explain` of features), or None.
        masked: whether the heads have masks.
        identity: the pair (a, b) that changes nothing.
        bias: float32 (K,) of the attribute heads, or None.
        has_batch_normalization: whether anything in it keeps running statistics.
        image_size, grid, channels: S, (H, W), C.
    """

    def __init__(self, model):
        self.model = model
        layers = {layer.name: layer for layer in model.layers}
        self.heads = layers.get("attribute_scores")
        self.pooling = layers.get("attribute_logits")
        self.masked = hasattr(self.heads, "family")
        self.identity = FAMILIES[self.heads.family].identity if self.masked else (1.0, 1.0)
        self.bias = None if self.pooling is None else self.pooling.bias.numpy()
        self.has_multi_label = "multi_label_logits" in layers
        self.has_batch_normalization = any(isinstance(one, keras.layers.BatchNormalization) for one in model.layers)
        self.has_reconstructor = "reconstruction" in layers
        self.image_size = model.input_shape[1]
        _, *self.grid, self.channels = layers["features"].output.shape
        self.parts = mam_keras.model.parts(model)
        names = [name for name in ("features", "multi_label_logits", "reconstruction") if name in self.parts.output]
        self._extractor = keras.Model(model.input, {name: self.parts.output[name] for name in names})
        self.extract = tf.function(lambda images: self._extractor(images, training=False), reduce_retracing=True)

    @classmethod
    def load(cls, path):
        """From `model.keras`. Raises `UserError` where it is missing or damaged."""
        try:
            return cls(keras.models.load_model(path, compile=False))
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"{path}: expected the model of a finished run. Received: {reason}") from None

    def features(self, images):
        """F = f_f(x): float32 (N, H, W, C)."""
        return self.extract(images)["features"]

    def answers_of_pairs(self, pairs):
        """What the heads say under several pairs (a, b), from one look at the images.

        Returns:
            A function: images (n, S, S, 3) -> logits, float32 (V, n, K) as a NumPy array: the attribute heads' under
            each pair, then the multi-label head's where there is one. It is compiled for each n that it meets, and on
            a CPU works on as many parts of the images at once as there are cores, since XLA uses one for each.
        """
        names = ("features", "multi_label_logits") if self.has_multi_label else ("features",)
        extractor = keras.Model(self.model.input, {name: self.parts.output[name] for name in names})
        attribute_logits = self._logits_of_pairs(pairs)

        @tf.function
        def answers(images):
            outputs = extractor(images, training=False)
            logits = attribute_logits(outputs["features"])
            return tf.concat([logits, *(outputs[name][None] for name in names[1:])], axis=0)

        return lambda images: answers(tf.constant(images)).numpy()

    def answers_by_batch(self):
        """What the attribute heads say where batch normalisation takes its statistics from the images it is given.

        Mean and variance of every normalisation layer are those of the images given together instead of the running
        ones of training (prediction-time batch normalisation: Nado et al. 2020, Evaluating prediction-time batch
        normalization for robustness under covariate shift; Schneider et al. 2020). No label is looked at, and the
        model's weights, its running statistics among them, stay what they are.

        Returns:
            A function as of `answers_of_pairs`: images (n, S, S, 3) -> logits, float32 (1, n, K), of the identity.
        """
        extractor = keras.Model(self.model.input, self.parts.output["features"])
        attribute_logits = self._logits_of_pairs([self.identity])

        @tf.function
        def answers(images):
            variables = extractor.trainable_variables, extractor.non_trainable_variables
            features, _ = extractor.stateless_call(*variables, images, training=True)  # what it would update is dropped
            return attribute_logits(features)

        return lambda images: answers(tf.constant(images)).numpy()

    def _logits_of_pairs(self, pairs):
        """A function for use in a graph: features (n, H, W, C) -> float32 (V, n, K), in parts of the n images."""
        parts = 1 if tf.config.list_physical_devices("GPU") else len(os.sched_getaffinity(0))

        @tf.function(jit_compile=True)
        def attribute_logits(features):
            return tf.stack([self.logits(scores) for scores in self.heads.scores_of_pairs(features, pairs)])

        def in_parts(features):
            sizes = [len(part) for part in np.array_split(np.empty(len(features)), min(parts, len(features)))]
            return tf.concat([attribute_logits(part) for part in tf.split(features, sizes)], axis=1)

        return in_parts

    def logits(self, scores):
        """Attribute logits, float32 (N, K), of scores (N, H, W, K)."""
        return self.pooling(scores)


def stream(prepared, batch_size, description):
    """The images of a `pipeline.Prepared`, a batch at a time, with progress: yields (rows, images).

    `rows` is a slice of the split, `images` a float32 tensor (n, S, S, 3) in [0, 1]. A last batch of less than half the
    size is joined to the one before it, so that statistics of a batch are never those of a few images left over.
    """
    bounds = [*range(0, max(1, len(prepared) - (batch_size - 1) // 2), batch_size), len(prepared)]
    batches = list(itertools.pairwise(bounds))
    for start, end in tqdm(batches, desc=description, unit=" batches", disable=None, leave=False):
        yield slice(start, end), tf.constant(np.asarray(prepared.images[start:end]), tf.float32) / 255.0
