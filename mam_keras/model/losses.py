"""The terms of the losses, each a mean over the batch of a value per image. Knows labels and outputs, no network.

Labels are float, NaN where not known: a label that is not known adds nothing.
"""

import keras
from keras import ops

SHARPNESS = 10.0  # k of the sigmoid in the place of "above 0.5"
FAINT = 1.0  # logits that a map's highest position adds, below which the map is not stretched to [0, 1]


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


class _Localisation(_Loss):
    """What it costs that attributes' maps are not on their regions; attributes that are absent have nowhere to be.

        1/N sum_i sum_k w_k [y^k_i = 1, region known] L(s^k_i, r^k_i)

    with s^k_p what map k says of position p, and r^k_p the share of that position's block of pixels that is region.

    Labels: (N, H, W, K), r on images that count, 0 throughout where the region is not known; predictions: s,
    (N, H, W, K), or (N, H, W, 1) where one map serves all.

    Args:
        weights: w, K numbers, or None for ones.
    """

    present_alone = True  # whether images without the attribute, [y^k_i = 0], cost nothing

    def __init__(self, weights=None, name="localisation", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights = weights

    def call(self, regions, scores):
        regions, scores = (ops.cast(array, "float32") for array in (regions, scores))
        _, height, width, _ = regions.shape
        regions, scores = (ops.reshape(array, (-1, height * width, array.shape[-1])) for array in (regions, scores))
        known = ops.max(regions, axis=1) > 0
        values = self.of_map(regions, ops.broadcast_to(scores, ops.shape(regions)), known)
        if self.weights is not None:
            values = values * ops.convert_to_tensor(self.weights, "float32")
        return ops.sum(values, axis=-1)

    def get_config(self):
        return super().get_config() | {"weights": self.weights}


@keras.saving.register_keras_serializable("mam_keras")
class OutsideAttention(_Localisation):
    """A softmax over positions says where the map is. Ours; in neither paper.

        L = -log sum_p r^k_p q^k_p,   q^k = softmax over positions of s^k

    It does on scores of either sign, contributions to the logit, what arXiv 1905.00593 does on Grad-CAM, with regions
    given instead of a user's drawing, and asks for no gradient of a gradient. Its gradient is at most 1 for a position,
    also where a map is nearly silent.
    """

    def of_map(self, regions, scores, known):
        inside = ops.sum(regions * ops.softmax(scores, axis=1), axis=1)
        return -ops.log(ops.where(known, ops.maximum(inside, 1e-7), 1.0))


class _OfTheMap(_Localisation):
    """Of the map as it is shown, c = ReLU(s) / max(max over positions of ReLU(s), FAINT), in [0, 1].

    Division by the maximum alone would have no bound to its gradient where a map is nearly silent: there c stays faint
    instead, and the gradient by s_p is about 1 / FAINT times that by c_p at most, which is 1, and SHARPNESS of the
    intersection. (Masks and attention are at most 1 and so taken as they are.) A map that is nowhere above 0 costs what
    it costs and moves nothing: nothing in it says what would make it speak.
    """

    def of_map(self, regions, scores, known):
        relevance = ops.relu(scores)
        relevance = relevance / ops.maximum(ops.max(relevance, axis=1, keepdims=True), FAINT)
        return ops.where(known, self.of_relevance(regions, relevance), 0.0)


@keras.saving.register_keras_serializable("mam_keras")
class SoftIntersection(_OfTheMap):
    """The intersection over the union of map and region (1905.00593, equation 2).

        L = -ln (sum_p min(g_p, r_p) / sum_p max(g_p, r_p) + 1e-7),   g = sigmoid(SHARPNESS (c - 1/2))

    The paper takes the positions where the map is above 0.5, which has no gradient; g is our reading.
    """

    def of_relevance(self, regions, relevance):
        seen = ops.sigmoid(SHARPNESS * (relevance - 0.5))
        both, either = (ops.sum(of(seen, regions), axis=1) for of in (ops.minimum, ops.maximum))
        return -ops.log(both / either + 1e-7)


@keras.saving.register_keras_serializable("mam_keras")
class EnergyOutside(_OfTheMap):
    """The share of the map's energy that is outside of the region, in [0, 1]; `analysis.localisation` shows the rest.

        L = 1 - sum_p r_p c_p / max(sum_p c_p, 1)

    Only of a faint map is the sum below 1.
    """

    def of_relevance(self, regions, relevance):
        return 1.0 - ops.sum(regions * relevance, axis=1) / ops.maximum(ops.sum(relevance, axis=1), 1.0)


@keras.saving.register_keras_serializable("mam_keras")
class MapDistance(_OfTheMap):
    """How far the map is from the region, in [0, 1]: L = 1/P sum_p |c_p - r_p|."""

    def of_relevance(self, regions, relevance):
        return ops.mean(ops.abs(relevance - regions), axis=1)


@keras.saving.register_keras_serializable("mam_keras")
class MagnitudeOutside(_Localisation):
    """The share of the map, whatever its sign, that is outside of the region, in [0, 1]; on every image. Ours.

        L = 1 - sum_p r_p |s_p| / max(sum_p |s_p|, 1)

    What speaks against an attribute may look at the wrong place as well as what speaks for it, and on images without
    the attribute nothing but that is to be seen. Right for the right reasons (Ross et al. 2017) asks the same of
    gradients by the input.
    """

    present_alone = False

    def of_map(self, regions, scores, known):
        magnitude = ops.abs(scores)
        inside = ops.sum(regions * magnitude, axis=1) / ops.maximum(ops.sum(magnitude, axis=1), 1.0)
        return ops.where(known, 1.0 - inside, 0.0)


LOCALISATION = {
    "outside": OutsideAttention,
    "iou": SoftIntersection,
    "energy": EnergyOutside,
    "l1": MapDistance,
    "magnitude": MagnitudeOutside,
}


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
