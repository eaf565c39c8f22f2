"""Masked heads, multi-label head and reconstructor (Kimura & Tanaka, arXiv 1904.13078 and 1905.02719)."""

import functools
import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mam_keras.settings import NonNegative
from mam_keras.systems.plain import linear_scores
from mam_keras.systems.system import Branch, Paper, Pooled, PooledLoss, Weighing

HEADS = {"per_feature": "PerFeatureMaskedHeads", "common": "CommonMaskedHeads", "none": "PlainHeads"}
# Names of layers that hold the outputs' names off: those of `Network.outputs`, and the model's own inputs and outputs
_OUTPUTS = {
    "features": "features",
    "scores": "attribute_scores",
    "attributes": "attribute_logits",
    "multi_label": "multi_label_logits",
    "reconstruction": "reconstruction",
}
_TAKEN = {*_OUTPUTS.values(), "image", "multi_label"}


class Settings(Pooled):
    """The network of 1904.13078, figure 2."""

    TITLE: ClassVar[str] = "masked heads (Kimura & Tanaka 2019)"
    PAPERS: ClassVar[tuple[Paper, ...]] = (
        Paper(
            "M. Kimura and M. Tanaka",
            "Interpretation of Feature Space using Multi-Channel Attentional Sub-Networks",
            2019,
            "1904.13078",
        ),
        Paper(
            "M. Kimura and M. Tanaka",
            "Intentional Attention Mask Transformation for Robust CNN Classification",
            2019,
            "1905.02719",
        ),
    )

    system: Literal["masked"] = "masked"
    masks: Literal["per_feature", "common", "none"] = "per_feature"
    mask_offset: Literal[0, 1] = 1  # T(M) = mask_offset + M while training; the papers: 1
    mask_bias: Annotated[float, Field(allow_inf_nan=False)] = 0.0  # of masks' logits at the start; 0: M = 0.5
    perception: Literal["linear", "stage"] = "linear"  # what masked features go through: a linear unit; a stage first
    attribute_heads: bool = True
    multi_label_head: bool = True
    reconstructor: bool = True

    @property
    def staged(self):
        return self.perception == "stage"

    def describe(self, image_size):
        parts = [f"masks {self.masks.replace('_', ' ')}" if self.attribute_heads else ""]
        parts += ["multi-label head" * self.multi_label_head, "reconstructor" * self.reconstructor]
        return ", ".join([super().describe(image_size), *filter(None, parts)])

    def branches(self, image_size):
        found = [self._drawn_heads(image_size)] if self.attribute_heads else []
        if self.multi_label_head:
            does = "mean, linear to K" if self.staged else f"mean, linear {self.channels or 'C'} to K"
            words = "one head for all K, without masks"
            found.append(Branch("multi-label head", does, "K probabilities", words))
        if self.reconstructor:
            words = "a reconstruction of the image from the features"
            found.append(Branch("reconstructor", "3x3 convolution, sigmoid", None, words))
        return tuple(found)

    def _drawn_heads(self, image_size):
        weights, words = ("no masks",), "K heads without masks"
        if self.masks != "none":
            side, own = self.feature_size(image_size), self.masks == "per_feature"
            shape = self.shape(image_size) if own else f"{side} x {side} x 1"
            weights = "mask M in [0, 1]", shape, "1 + M" if self.mask_offset else "M"
            title = "a mask of its own" if own else "one map for all channels"
            words = f"K heads, each of which multiplies the features with {title}, {shape}"
        does = self.pooling, f"linear {self.channels or 'C'} to 1"
        if self.staged:
            does = "last stage, mean", "linear to 1"
        return Weighing("heads, K times", True, weights, does, "one probability", words)

    def require_possible(self, image_size, loss):
        super().require_possible(image_size, loss)
        if not (self.attribute_heads or self.multi_label_head):
            raise ValueError(
                "model.attribute_heads: expected attribute_heads or multi_label_head to be true: "
                "without either there is nothing to classify with. Received: False"
            )
        if self.learned_positions and not self.attribute_heads:
            raise ValueError(
                "model.learned_positions: expected false where model.attribute_heads is false: it is what these heads "
                "learn. Received: True"
            )
        if loss.localisation and loss.localisation_map == "own" and not self.attribute_heads:
            raise ValueError(
                "loss.localisation: expected 0 where model.attribute_heads is false: there are no maps but Grad-CAM "
                f"(loss.localisation_map). Received: {loss.localisation:g}"
            )
        if self.staged:
            self._require_passes(loss)

    def _require_passes(self, loss):
        """What the attributes' passes of a stage leave no room for."""
        average = "a logit averages all positions"
        scored = loss.localisation and loss.localisation_by == "outside" and loss.localisation_map == "own"
        for key, received, possible, wanted, reason in (
            ("model.masks", self.masks, self.masks != "none", "per_feature or common", "only masked features pass it"),
            (
                "model.attribute_heads",
                self.attribute_heads,
                self.attribute_heads,
                "true",
                "only masked features pass it",
            ),
            ("model.pooled_share", self.pooled_share, self.pooled_share == 1, "1", average),
            ("model.pooling_sharpness", self.pooling_sharpness, self.pooling_sharpness is None, "null", average),
            ("model.learned_positions", self.learned_positions, not self.learned_positions, "false", average),
            (
                "loss.localisation",
                loss.localisation,
                not scored,
                "0",
                "positions have no scores (loss.localisation_by, or loss.localisation_map, may be another)",
            ),
        ):
            if not possible:
                raise ValueError(
                    f"{key}: expected {wanted} where model.perception is stage: {reason}. Received: {received}"
                )


class Loss(PooledLoss):
    """Equation 6: alpha L_b + beta L_m + gamma L_r + lambda |M|_1; and delta L_l, which is ours."""

    WEIGHTS: ClassVar[dict[str, str]] = PooledLoss.WEIGHTS | {
        "attributes": "alpha",
        "multi_label": "beta",
        "reconstruction": "gamma",
        "mask": "lambda_",
    }

    alpha: NonNegative = 1.0
    beta: NonNegative = 1.0
    gamma: NonNegative = 4.0
    lambda_: NonNegative = Field(1e-5, alias="lambda")
    mask_norm: Literal["sum", "mean"] = "sum"  # |M|_1 of an attribute: over positions and channels; the papers: sum
    reconstruction: Literal["sum", "position_mean", "mean"] = "mean"  # how L_r joins an image's squared errors


def build(config, targets):
    """The network: a functional model from one image to named outputs.

    Args:
        config: `config.Config`; its sections `data`, `model` and `loss` decide.
        targets: `data.source.Targets`, K of them.

    Returns:
        `keras.Model`: `image` float32 (N, S, S, 3) in [0, 1] -> a dictionary of float32 arrays: a probability (N, 1)
        per attribute under its `output_names` (of exclusive targets `classes`, (N, K), instead), `multi_label` (N, K),
        `reconstruction` (N, S, S, 3); parts that are switched off are left out. lambda |M|_1 is among its `losses`.
    """
    import keras
    from keras import layers

    from mam_keras.model import backbones, masks
    from mam_keras.model.perception import StagedCommonMaskedHeads, StagedPerFeatureMaskedHeads
    from mam_keras.model.pooling import Column, PooledLogits
    from mam_keras.model.reconstructor import reconstruct

    model, size, names = config.model, config.data.image_size, targets.names
    activation = "softmax" if targets.exclusive else "sigmoid"
    image = keras.Input((size, size, 3), dtype="float32", name="image")
    staged = model.staged
    extract = backbones.extract_trunk if staged else backbones.extract
    features = extract(model.backbone, image, model.channels)
    outputs = {}
    if model.attribute_heads:
        arguments = {}
        if model.masks != "none":
            arguments = {"mask_offset": model.mask_offset, "initial_bias": model.mask_bias}
            arguments["sparsity"] = config.loss.lambda_ / mask_divisor(config, features.shape)
        if staged:
            heads = StagedPerFeatureMaskedHeads if model.masks == "per_feature" else StagedCommonMaskedHeads
            stage = backbones.last_stage(model.backbone, features.shape[1:], model.channels, None, "last_stage")
            logits = heads(len(names), stage, name="attribute_logits", **arguments)(features)
        else:
            arguments |= {"learned_positions": model.learned_positions, "spread": config.loss.spread}
            scores = getattr(masks, HEADS[model.masks])(len(names), name="attribute_scores", **arguments)(features)
            pooled = PooledLogits(model.pooled_share, model.pooling_sharpness, dtype="float32", name="attribute_logits")
            logits = pooled(scores)
        if targets.exclusive:
            outputs["classes"] = layers.Activation(activation, dtype="float32", name="classes")(logits)
        else:
            probabilities = layers.Activation(activation, dtype="float32", name="attribute.probabilities")(logits)
            for index, name in enumerate(output_names(names)):
                outputs[name] = Column(index, dtype="float32", name=name)(probabilities)
    if model.multi_label_head:
        pooled = layers.GlobalAveragePooling2D(dtype="float32", name="multi_label.pooling")(features)
        logits = layers.Dense(len(names), dtype="float32", name="multi_label_logits")(pooled)
        outputs["multi_label"] = layers.Activation(activation, dtype="float32", name="multi_label")(logits)
    if model.reconstructor:
        outputs["reconstruction"] = reconstruct(features, size // features.shape[1])
    return keras.Model(image, outputs, name="mam")


def attach(config, targets, model):
    """The `Network` of a model of `build`."""
    from keras import ops

    from mam_keras.model import backbones
    from mam_keras.model.contributions import Contributions, Masks
    from mam_keras.model.losses import ReconstructionError
    from mam_keras.model.maps import contribution_maps, grad_cam, linear_grad_cam
    from mam_keras.model.network import Head, Network, Term
    from mam_keras.model.perception import mask_map

    layers = {layer.name: layer for layer in model.layers}
    loss, heads, terms = config.loss, [], []
    outputs = {name: layers[layer].output for name, layer in _OUTPUTS.items() if layer in layers}
    if "attributes" in outputs:
        heads.append(Head("attributes", loss.alpha, layers["attribute_logits"].bias))
    if "multi_label" in outputs:
        heads.append(Head("multi_label", loss.beta, layers["multi_label_logits"].bias))
    if "reconstruction" in outputs:
        error = ReconstructionError(reconstruction_divisor(config))

        def reconstruction(found, batch):
            return loss.gamma * error.mean(batch.images, found["reconstruction"])

        terms.append(Term("reconstruction", reconstruction))
    spread = layers["attribute_scores"].spread_loss if loss.spread else None

    def mask(_, batch):
        if batch.penalties:  # heads give theirs as one
            return sum(batch.penalties) - (spread() if spread else 0.0)

    if "attributes" in outputs and config.model.masks != "none":
        terms.append(Term("mask", mask))
    if spread:
        terms.append(Term("spread", lambda *_: spread()))
    network = Network(
        model=model,
        targets=targets,
        outputs=outputs,
        heads=tuple(heads),
        losses=functools.partial(_losses, config, targets, model),
        terms=tuple(terms),
        stages=backbones.stages(config.model.backbone, config.model.staged),
    )
    if config.model.staged:
        own = layers["attribute_logits"]
        network.masks = Masks(network.features, own)
        network.logit_of = own.logit
        network.maps = {"masks": mask_map(network), "grad_cam": grad_cam(network)}
        return network
    if "attributes" in outputs:
        parts = network.features, layers["attribute_scores"], layers["attribute_logits"]
        network.contributions = Contributions(*parts)
        network.logit_of = network.contributions.logit
        if config.model.learned_positions:
            network.positions = parts[1].position_weights
        if config.model.masks == "none":
            network.linear_scores = linear_scores(parts[1])
        else:
            network.masks = Masks(*parts)
        if config.model.masks == "per_feature":
            network.compiled = (layers["attribute_scores"],)
        network.maps = contribution_maps(network)
    if "multi_label" in outputs:
        kernel = layers["multi_label_logits"].kernel
        network.maps["grad_cam"] = linear_grad_cam(network, kernel, "Grad-CAM of the multi-label head")
        if "attributes" not in outputs:
            network.linear_scores = lambda found: ops.matmul(ops.cast(found["features"], "float32"), kernel)
    else:
        network.maps["grad_cam"] = grad_cam(network)
    return network


def _losses(config, targets, model, class_weights=None):
    """Arguments `loss` and `loss_weights` of `Model.compile` under which Keras's own `fit` minimises equation 6."""
    from mam_keras.model.losses import ReconstructionError, classification

    loss, weights = {}, {}
    for index, name in enumerate(["classes"] if targets.exclusive else output_names(targets.names)):
        if name in model.output:
            own = class_weights if targets.exclusive or class_weights is None else [class_weights[index]]
            loss[name], weights[name] = classification(targets, own), config.loss.alpha
    if "multi_label" in model.output:
        loss["multi_label"], weights["multi_label"] = classification(targets, class_weights), config.loss.beta
    if "reconstruction" in model.output:
        loss["reconstruction"] = ReconstructionError(reconstruction_divisor(config))
        weights["reconstruction"] = config.loss.gamma
    return {"loss": loss, "loss_weights": weights}


def reconstruction_divisor(config):
    """What `loss.reconstruction` divides an image's summed squared error by."""
    size = config.data.image_size
    positions = config.model.feature_size(size) ** 2
    return {"sum": 1.0, "position_mean": float(positions), "mean": float(3 * size**2)}[config.loss.reconstruction]


def mask_divisor(config, features_shape):
    """What `loss.mask_norm` divides |M|_1 by: under "mean" by the number of an attribute's mask values."""
    _, height, width, channels = features_shape
    values = height * width * (channels if config.model.masks == "per_feature" else 1)
    return {"sum": 1.0, "mean": float(values)}[config.loss.mask_norm]


def output_names(attributes):
    """Identifiers for K attributes' outputs: unique, of [A-Za-z0-9_], and no name of another layer of the model.

    Other characters become `_` (none at either end); an empty result becomes `attribute`; whatever is taken, in any
    case, gets a number behind it. (A layer whose name is not in `_TAKEN` has a dot in its name.)
    """
    taken, names = set(_TAKEN), []
    for attribute in attributes:
        base = re.sub(r"[^A-Za-z0-9_]+", "_", attribute).strip("_") or "attribute"
        name, number = base, 2
        while name.lower() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names
