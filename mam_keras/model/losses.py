"""The terms of the losses, each a mean over the batch of a value per image. Knows labels and outputs, no network.

Labels are float, NaN where not known: a label that is not known adds nothing.
"""

import keras
from keras import ops


class _Loss(keras.losses.Loss):
    def mean(self, expected, outputs):
        """Over these images; a Keras loss, when called, divides by the number of replicas of tf.distribute."""
        return ops.mean(self.call(expected, outputs))


class _Crossentropy(_Loss):
    def __init__(self, class_weights=None, from_logits=False, **kwargs):
        super().__init__(**kwargs)
        self.class_weights = class_weights
        self.from_logits = from_logits

    def get_config(self):
        return super().get_config() | {"class_weights": self.class_weights, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable("mam_keras")
class SummedCrossentropy(_Crossentropy):
    """Binary cross-entropy **summed** over attributes, mean over the batch (1904.13078, equations 1 and 3).

        L = 1/N sum_i sum_k [label known] u^k_{y} [ -y log p - (1 - y) log(1 - p) ]

    Keras's own loss would divide by K. Labels and predictions: (N, K) or (N, 1); computed in float32.

    Args:
        class_weights: u, K pairs (weight of a negative, weight of a positive), or None for ones.
        from_logits: whether predictions are logits. The network's outputs are probabilities; training uses the
            logits beneath them, which lose no precision near 0 and 1.
    """

    def call(self, labels, predictions):
        labels, predictions = ops.cast(labels, "float32"), ops.cast(predictions, "float32")
        unknown = ops.isnan(labels)
        labels = ops.where(unknown, 0.0, labels)
        losses = ops.binary_crossentropy(labels, predictions, from_logits=self.from_logits)
        if self.class_weights is not None:
            weights = ops.convert_to_tensor(self.class_weights, "float32")
            losses = losses * (labels * weights[:, 1] + (1.0 - labels) * weights[:, 0])
        return ops.sum(ops.where(unknown, 0.0, losses), axis=-1)


@keras.saving.register_keras_serializable("mam_keras")
class ClassCrossentropy(_Crossentropy):
    """Cross-entropy of exclusive classes, mean over the batch; images of unknown class count in N alone.

        L = 1/N sum_i [class known] u_{y_i} [ -log p_{i, y_i} ]

    Labels (N, K), one-hot, and predictions (N, K), which sum to 1 or are logits; computed in float32.

    Args:
        class_weights: u, K numbers, or None for ones.
        from_logits: as in `SummedCrossentropy`.
    """

    def call(self, labels, predictions):
        labels, predictions = ops.cast(labels, "float32"), ops.cast(predictions, "float32")
        labels = ops.where(ops.isnan(labels), 0.0, labels)
        losses = ops.categorical_crossentropy(labels, predictions, from_logits=self.from_logits)
        if self.class_weights is not None:
            losses = losses * ops.sum(labels * ops.convert_to_tensor(self.class_weights, "float32"), axis=-1)
        return ops.where(ops.sum(labels, axis=-1) > 0, losses, 0.0)


def classification(targets, class_weights=None, from_logits=False):
    """The loss of a head that answers `data.source.Targets`; `class_weights` as `balanced_class_weights` gives them."""
    kind = ClassCrossentropy if targets.exclusive else SummedCrossentropy
    return kind(class_weights, from_logits)


def smoothed(labels, share, exclusive):
    """Labels float (N, K) less certain (Szegedy et al. 2016): y (1 - e) + e / K of exclusive classes, else + e / 2.

    What is not known stays so.
    """
    return labels * (1.0 - share) + share / (labels.shape[1] if exclusive else 2)


@keras.saving.register_keras_serializable("mam_keras")
class ReconstructionError(_Loss):
    """Squared error of the reconstruction, summed over an image and divided by `divisor`, mean over the batch (eq. 5).

    Args:
        divisor: 1 is the sum as printed; H W of the feature map gives the mean over positions of the squared error
            of the block that a position stands for; the number of values in an image gives their mean.
    """

    def __init__(self, divisor=1.0, name="reconstruction_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.divisor = divisor

    def call(self, images, reconstructions):
        errors = ops.square(ops.cast(images, "float32") - ops.cast(reconstructions, "float32"))
        return ops.sum(errors, axis=(1, 2, 3)) / self.divisor

    def get_config(self):
        return super().get_config() | {"divisor": self.divisor}


@keras.saving.register_keras_serializable("mam_keras")
class OutsideAttention(_Loss):
    """What it costs that an attribute's map is high outside the attribute's region. Ours; in neither paper.

        L_l = 1/N sum_i sum_k [y^k_i = 1, region known] -log sum_p r^k_p q^k_p,   q^k = softmax over positions of s^k

    with s^k_p the scores, the contributions of positions to the logit, and r^k_p the share of position p's block that
    is region. It does on the maps themselves what arXiv 1905.00593 does on Grad-CAM, with boxes instead of a user's
    drawing, and asks for no gradient of a gradient. Attributes that are absent have nowhere to be.

    The share of the energy, ReLU(s), that `analysis.localisation` measures is no loss to learn by: where a map is
    nearly silent its gradient is without bounds. That of L_l is at most 1 for a position.

    Labels: (N, H, W, K), r on images with the attribute, 0 throughout where the region is not known; predictions:
    scores (N, H, W, K).
    """

    def __init__(self, name="outside_attention", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, regions, scores):
        regions, scores = (ops.cast(array, "float32") for array in (regions, scores))
        _, height, width, attributes = scores.shape
        regions, scores = (ops.reshape(array, (-1, height * width, attributes)) for array in (regions, scores))
        inside = ops.sum(regions * ops.softmax(scores, axis=1), axis=1)
        known = ops.max(regions, axis=1) > 0
        return ops.sum(-ops.log(ops.where(known, ops.maximum(inside, 1e-7), 1.0)), axis=-1)


def balanced_class_weights(targets, positive_rates):
    """u of `classification` under which all classes weigh the same.

    Of an attribute 1 / (2 rate of the class) for "no" and for "yes"; of exclusive classes 1 / (K rate).

    Args:
        targets: `data.source.Targets`.
        positive_rates: (K,), of the training split, of the labels that are known. An attribute with a single class, or
            none that is known, and a class that does not occur keep weights of 1.
    """
    rates = [float(rate) for rate in positive_rates]
    if targets.exclusive:
        return [1 / (len(rates) * rate) if rate > 0 else 1.0 for rate in rates]
    return [(0.5 / (1 - rate), 0.5 / rate) if 0 < rate < 1 else (1.0, 1.0) for rate in rates]
