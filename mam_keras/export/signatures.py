"""What the SavedModel answers: its signatures, as functions of tensors that call the model's own layers.

Every input and output has the batch dimension, so that TF Serving may merge requests. Knows no file.
"""

import keras
import tensorflow as tf

from mam_keras.data.decoding import decode_batch
from mam_keras.model.noise import noise_level
from mam_keras.model.transformation import FAMILIES


def signatures(model, rule=None):
    """The signatures of a model of `model.build`, N images at a time, S the side of an image:

        serving_default             image uint8 (N, S, S, 3), prepared
                                    -> probabilities (N, K), multi_label (N, K)
        classify_bytes              image_bytes (N,), as `decoding.decode_batch` takes them
                                    -> the same, and valid bool (N,)
        classify_transformed        image, a float32 (N,), b float32 (N,)
                                    -> the same, with masks transformed by f_{a,b}, each image by its own pair
        explain                     image, a, b
                                    -> the same, contributions (N, K, H', W'), whose mean over positions is the logit
                                    less its bias (where pooled_share is 1), channel_importances (N, K, C) and
                                    reconstruction (N, S, S, 3)
        classify_transformed_bytes  image_bytes, a, b -> as without _bytes
        explain_bytes
        classify_automatic          image
                                    -> probabilities, multi_label, noise (N,), the estimate, and a, b (N,), the pair
                                    that each image's noise chose; offsets of the logits are chosen with it
        classify_automatic_bytes    image_bytes -> the same, and valid

    The last two are there with a rule, an `adaptation.Rule` of the model, whose numbers become constants. What a model
    does not have is not among its outputs; without attribute heads, only the first two are there. Heads without masks
    take a and b, which then change nothing. All but `valid` are float32. A row is not valid, and NaN, where the image
    cannot be read, a is not a number or negative or infinite, b is not a positive finite number, or the pair is so
    large that the result is no number. `multi_label` and `reconstruction` depend neither on the pair nor on offsets.

    Returns:
        {name: (function, list of `tf.TensorSpec`)}; functions take tensors in this order and return a dictionary.
    """
    size = model.input_shape[1]
    image = tf.TensorSpec((None, size, size, 3), tf.uint8, name="image")
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    a, b = (tf.TensorSpec((None,), tf.float32, name=name) for name in "ab")
    answers = _Answers(model)

    def classify_bytes(image_bytes):
        images, valid = decode_batch(image_bytes, size)
        return _blank(answers.classify(images), valid)

    found = {"serving_default": (answers.classify, [image]), "classify_bytes": (classify_bytes, [image_bytes])}
    if answers.heads is not None:
        for name, answer in (("classify_transformed", answers.classify_transformed), ("explain", answers.explain)):
            found[name] = (_of_images(answer, answers.identity), [image, a, b])
            found[f"{name}_bytes"] = (_of_bytes(answer, answers.identity, size), [image_bytes, a, b])
    if rule is not None:

        def classify_automatic(image):
            return answers.classify_automatic(image, rule)

        def classify_automatic_bytes(image_bytes):
            images, valid = decode_batch(image_bytes, size)
            return _blank(classify_automatic(images), valid)

        found["classify_automatic"] = (classify_automatic, [image])
        found["classify_automatic_bytes"] = (classify_automatic_bytes, [image_bytes])
    return found


class _Answers:
    """Prepared images, uint8 (N, S, S, 3), -> {output: float32}. Pairs (a, b) must be in their range here."""

    def __init__(self, model):
        layers = {layer.name: layer for layer in model.layers}

        def network(outputs):
            found = {name: layers[layer].output for name, layer in outputs.items() if layer in layers}
            return keras.Model(model.input, found)

        multi_label = {"multi_label": "multi_label"}
        self._classifier = network({"probabilities": "attribute.probabilities"} | multi_label)
        self._extractor = network({"features": "features"} | multi_label)
        self._explainer = network({"features": "features", "reconstruction": "reconstruction"} | multi_label)
        self.heads = layers.get("attribute_scores")
        self._logits = layers.get("attribute_logits")
        self._probabilities = layers.get("attribute.probabilities")

    @property
    def identity(self):
        """The pair that changes nothing; without masks any pair does."""
        return FAMILIES[self.heads.family].identity if hasattr(self.heads, "family") else (1.0, 1.0)

    def classify(self, images):
        return self._classifier(_scaled(images), training=False)

    def classify_transformed(self, images, a, b):
        outputs = self._extractor(_scaled(images), training=False)
        scores = self.heads.scores(outputs.pop("features"), a, b)
        return {"probabilities": self._probabilities(self._logits(scores)), **outputs}

    def classify_automatic(self, images, rule):
        scaled = _scaled(images)
        noise = noise_level(scaled)
        knots = tf.reduce_sum(tf.cast(noise[:, None] >= tf.constant(rule.boundaries), tf.int32), axis=1)
        a, b = tf.unstack(tf.gather(tf.constant(rule.pairs), knots), axis=1)
        outputs = self._extractor(scaled, training=False)
        logits = self._logits(self.heads.scores(outputs.pop("features"), a, b))
        shifted = logits + tf.gather(tf.constant(rule.offsets), knots)
        return {"probabilities": self._probabilities(shifted), **outputs, "noise": noise, "a": a, "b": b}

    def explain(self, images, a, b):
        outputs = self._explainer(_scaled(images), training=False)
        scores, importances = self.heads.explain(outputs.pop("features"), a, b)
        return {
            "probabilities": self._probabilities(self._logits(scores)),
            "contributions": tf.transpose(scores, (0, 3, 1, 2)),
            "channel_importances": importances,
            **outputs,
        }


def _of_images(answer, identity):
    def function(image, a, b):
        return _checked(answer, image, a, b, identity, tf.constant(True))

    return function


def _of_bytes(answer, identity, size):
    def function(image_bytes, a, b):
        images, readable = decode_batch(image_bytes, size)
        return _checked(answer, images, a, b, identity, readable)

    return function


def _checked(answer, images, a, b, identity, readable):
    """`answer`, and `valid`. Rows that are not valid are computed with the identity pair, then blanked."""
    for name, value in (("a", a), ("b", b)):
        tf.debugging.assert_equal(tf.shape(value)[0], tf.shape(images)[0], f"expected one `{name}` for each image")
    in_range = tf.math.is_finite(a) & (a >= 0) & tf.math.is_finite(b) & (b > 0)
    outputs = answer(images, *(tf.where(in_range, value, same) for value, same in zip((a, b), identity, strict=True)))
    defined = ~tf.reduce_any(tf.math.is_nan(outputs["probabilities"]), axis=1)
    return _blank(outputs, readable & in_range & defined)


def _blank(outputs, valid):
    """NaN in every output's rows that are not valid; and `valid` beside them."""

    def blank(values):
        return tf.where(tf.reshape(valid, (-1,) + (1,) * (len(values.shape) - 1)), values, float("nan"))

    return {name: blank(values) for name, values in outputs.items()} | {"valid": valid}


def _scaled(images):
    return tf.cast(images, tf.float32) / 255.0
