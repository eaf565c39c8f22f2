"""What the SavedModel answers: its signatures, as functions of tensors that ask the network.

Every input and output has the batch dimension, so that TF Serving may merge requests. Knows no file.
"""

import tensorflow as tf

from mam_keras.data.decoding import decode_batch
from mam_keras.model.maps import sharing
from mam_keras.model.noise import noise_level


def signatures(network, rule=None, fit="crop"):
    """The signatures of a `model.network.Network`, N images at a time (N = 0 among them), S the side of an image,
    which encoded images `fit` as `data.square` says:

        serving_default             image uint8 (N, S, S, 3), prepared
                                    -> probabilities (N, K) of the head that answers, and those of the further heads
                                    under their names, as multi_label (N, K)
        classify_bytes              image_bytes (N,), as `decoding.decode_batch` takes them
                                    -> the same, and valid bool (N,)
        explain                     image
                                    -> the same as serving_default, every map of the network under its name,
                                    (N, K, H', W') or (N, 1, H', W') where one serves all targets, and, where it has
                                    them, channel_importances (N, K, C) and reconstruction (N, S, S, 3). The mean of
                                    `contributions` over positions is the logit less its bias (where all are pooled)
        explain_bytes               image_bytes -> the same, and valid
        classify_automatic          image
                                    -> probabilities, the further heads, noise (N,), the image's own estimate, by which
                                    offsets of the logits are chosen, and where there are masks the pair a, b (N,)
        classify_automatic_bytes    image_bytes -> the same, and valid

    Where the network has masks that a pair transforms, `explain` and `explain_bytes` take a float32 (N,), b float32
    (N,) as well, each image its own pair, and answer under it, with `valid`; and there are

        classify_transformed        image, a, b -> as serving_default, with masks transformed by f_{a,b}, and valid
        classify_transformed_bytes  image_bytes, a, b -> the same

    `classify_automatic` is there with an `analysis.rule.Rule`, whose numbers become constants. All but
    `valid` are float32. A row is not valid, and NaN, where the image cannot be read, a is not a number or negative or
    infinite, b is not a positive finite number, or the pair is so large that a result is not a finite number. Further
    heads, `reconstruction` and maps other than `contributions` and `seen` depend neither on the pair nor on offsets.

    Returns:
        {name: (function, list of `tf.TensorSpec`)}; functions take tensors in this order and return a dictionary.
    """
    size = network.image_size
    image = tf.TensorSpec((None, size, size, 3), tf.uint8, name="image")
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    pair = [tf.TensorSpec((None,), tf.float32, name=name) for name in "ab"]
    answers = _Answers(network)
    found = {}

    def add(name, answer, name_of_bytes):
        """A signature of prepared images, and one of bytes."""

        def of_bytes(image_bytes):
            images, valid = decode_batch(image_bytes, size, fit)
            return _blank(answer(images), valid)

        found[name] = (answer, [image])
        found[name_of_bytes] = (of_bytes, [image_bytes])

    def add_with_pair(name, answer):
        def of_images(image, a, b):
            return _checked(answer, image, a, b, network.masks.identity, tf.constant(True))

        def of_bytes(image_bytes, a, b):
            images, readable = decode_batch(image_bytes, size, fit)
            return _checked(answer, images, a, b, network.masks.identity, readable)

        found[name] = (of_images, [image, *pair])
        found[f"{name}_bytes"] = (of_bytes, [image_bytes, *pair])

    add("serving_default", answers.classify, "classify_bytes")
    if network.masks is None:
        add("explain", answers.explain, "explain_bytes")
    else:
        add_with_pair("classify_transformed", answers.classify_transformed)
        add_with_pair("explain", answers.explain_transformed)
    if rule is not None:
        add("classify_automatic", lambda images: answers.classify_automatic(images, rule), "classify_automatic_bytes")
    return found


class _Answers:
    """Prepared images, uint8 (N, S, S, 3), -> {output: float32}. Pairs (a, b) must be in their range here."""

    def __init__(self, network):
        self.network = network
        main, *others = (head.name for head in network.heads)
        self._main, self._others = main, others
        shown = [name for name in ("reconstruction",) if name in network.outputs]
        self._classifier = network.computing(main, *others)
        self._extractor = network.computing("features", *others)  # where a pair decides the answer
        self._explainer = network.computing("features", main, *others, *shown)
        self._transformed_explainer = network.computing("features", *others, *shown)

    def classify(self, images):
        return _of_some(lambda images: self._heads(self._classifier(_scaled(images), training=False)), images)

    def classify_transformed(self, images, a, b):
        def answer(images, a, b):
            outputs = self._extractor(_scaled(images), training=False)
            return self._heads(outputs | {self._main: self.network.masks.logits(outputs["features"], a, b)})

        return _of_some(answer, images, a, b)

    def classify_automatic(self, images, rule):
        def answer(images):
            scaled = _scaled(images)
            noise = noise_level(scaled)
            knots = tf.reduce_sum(tf.cast(noise[:, None] >= tf.constant(rule.boundaries), tf.int32), axis=1)
            if self.network.masks is None:
                pair, outputs = {}, self._classifier(scaled, training=False)
                logits = outputs[self._main]
            else:
                a, b = tf.unstack(tf.gather(tf.constant(rule.pairs), knots), axis=1)
                pair, outputs = {"a": a, "b": b}, self._extractor(scaled, training=False)
                logits = self.network.masks.logits(outputs["features"], a, b)
            shifted = logits + tf.gather(tf.constant(rule.offsets), knots)
            return self._heads(outputs | {self._main: shifted}) | {"noise": noise, **pair}

        return _of_some(answer, images)

    def explain(self, images):
        def answer(images):
            outputs = self._explainer(_scaled(images), training=False)
            found = self._heads(outputs) | self._maps(images) | _kept(outputs, "reconstruction")
            if self.network.contributions is not None:
                found["channel_importances"] = self.network.contributions.importances(outputs["features"])
            return found

        return _of_some(answer, images)

    def explain_transformed(self, images, a, b):
        def answer(images, a, b):
            outputs = self._transformed_explainer(_scaled(images), training=False)
            features = outputs["features"]
            found = self._maps(images, but=("contributions", "seen")) | _kept(outputs, "reconstruction")
            if self.network.contributions is None:
                logits = self.network.masks.logits(features, a, b)
            else:
                scores, found["channel_importances"] = self.network.masks.explain(features, a, b)
                found["contributions"] = tf.transpose(scores, (0, 3, 1, 2))
                if "seen" in self.network.maps:
                    found["seen"] = tf.transpose(sharing(self.network)(scores), (0, 3, 1, 2))
                logits = self.network.contributions.logits(scores)
            return self._heads(outputs | {self._main: logits}) | found

        return _of_some(answer, images, a, b)

    def _heads(self, outputs):
        """Probabilities of every head from its logits."""
        named = {self._main: "probabilities" if self._main == "attributes" else self._main}
        names = named | {name: name for name in self._others}
        return {name: self.network.probabilities(outputs[head]) for head, name in names.items()}

    def _maps(self, images, but=()):
        scaled, maps = _scaled(images), self.network.maps
        return {name: tf.transpose(one.show(scaled), (0, 3, 1, 2)) for name, one in maps.items() if name not in but}


def _kept(outputs, *names):
    return {name: outputs[name] for name in names if name in outputs}


def _of_some(answer, *inputs):
    """`answer` of a batch that may be empty: convolutions need an image, so one that counts for nothing stands in."""
    count = tf.shape(inputs[0])[0]
    filler = tf.cast(count == 0, tf.int32)
    padded = [tf.pad(one, [[0, filler]] + [[0, 0]] * (len(one.shape) - 1)) for one in inputs]
    return {name: value[:count] for name, value in answer(*padded).items()}


def _checked(answer, images, a, b, identity, readable):
    """`answer`, and `valid`. Rows that are not valid are computed with the identity pair, then blanked."""
    for name, value in (("a", a), ("b", b)):
        tf.debugging.assert_equal(tf.shape(value)[0], tf.shape(images)[0], f"expected one `{name}` for each image")
    in_range = tf.math.is_finite(a) & (a >= 0) & tf.math.is_finite(b) & (b > 0)
    outputs = answer(images, *(tf.where(in_range, value, same) for value, same in zip((a, b), identity, strict=True)))
    finite = [tf.reduce_all(tf.math.is_finite(one), axis=range(1, len(one.shape))) for one in outputs.values()]
    return _blank(outputs, readable & in_range & tf.reduce_all(tf.stack(finite), axis=0))


def _blank(outputs, valid):
    """NaN in every output's rows that are not valid; and `valid` beside them."""

    def blank(values):
        return tf.where(tf.reshape(valid, (-1,) + (1,) * (len(values.shape) - 1)), values, float("nan"))

    return {name: blank(values) for name, values in outputs.items()} | {"valid": valid}


def _scaled(images):
    return tf.cast(images, tf.float32) / 255.0
