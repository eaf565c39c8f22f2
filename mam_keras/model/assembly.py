"""Puts the parts together: one functional model, its named outputs, and the losses keyed by those names."""

import re

import keras
from keras import layers

from mam_keras.model import backbone, losses
from mam_keras.model.masks import CommonMaskedHeads, PerFeatureMaskedHeads, PlainHeads
from mam_keras.model.pooling import Column, PooledLogits

HEADS = {"per_feature": PerFeatureMaskedHeads, "common": CommonMaskedHeads, "none": PlainHeads}
# Layers whose outputs `parts` hands out, beside the named outputs of the model
INNER = ("features", "attribute_scores", "attribute_logits", "multi_label_logits")
OUTER = ("image", "multi_label", "reconstruction")


def build(config, attributes):
    """The network of 1904.13078, figure 2: a functional model from one image to named outputs.

    Args:
        config: `config.Config`; its sections `data`, `model` and `loss` decide.
        attributes: the K attributes' names, as they are displayed.

    Returns:
        `keras.Model`: `image` float32 (N, S, S, 3) in [0, 1] -> a dictionary of float32 arrays: a probability (N, 1)
        per attribute under its `output_names`, `multi_label` (N, K), `reconstruction` (N, S, S, 3); parts that are
        switched off are left out. lambda |M|_1 is among its `losses`.
    """
    model, size = config.model, config.data.image_size
    image = keras.Input((size, size, 3), dtype="float32", name="image")
    features = backbone.extract_features(image, model.front_end, model.channels, model.dilations, model.normalization)
    outputs = {}
    if model.attribute_heads:
        arguments = {}
        if model.masks != "none":
            arguments = {"mask_offset": model.mask_offset, "initial_bias": model.mask_bias}
            arguments["sparsity"] = config.loss.lambda_ / mask_divisor(config)
        scores = HEADS[model.masks](len(attributes), name="attribute_scores", **arguments)(features)
        logits = PooledLogits(model.pooled_share, model.pooling_sharpness, dtype="float32", name="attribute_logits")(
            scores
        )
        probabilities = layers.Activation("sigmoid", dtype="float32", name="attribute.probabilities")(logits)
        for index, name in enumerate(output_names(attributes)):
            outputs[name] = Column(index, dtype="float32", name=name)(probabilities)
    if model.multi_label_head:
        pooled = layers.GlobalAveragePooling2D(dtype="float32", name="multi_label.pooling")(features)
        logits = layers.Dense(len(attributes), dtype="float32", name="multi_label_logits")(pooled)
        outputs["multi_label"] = layers.Activation("sigmoid", dtype="float32", name="multi_label")(logits)
    if model.reconstructor:
        outputs["reconstruction"] = backbone.reconstruct(features, size // features.shape[1])
    return keras.Model(image, outputs, name="mam")


def compile_losses(model, config, attributes, class_weights=None):
    """Arguments `loss` and `loss_weights` of `Model.compile` under which Keras's own `fit` minimises equation 6.

    Args:
        class_weights: as `losses.SummedCrossentropy` takes them, for all K attributes.
    """
    loss, weights = {}, {}
    for index, name in enumerate(output_names(attributes)):
        if name in model.output:
            own = None if class_weights is None else [class_weights[index]]
            loss[name], weights[name] = losses.SummedCrossentropy(own), config.loss.alpha
    if "multi_label" in model.output:
        loss["multi_label"], weights["multi_label"] = losses.SummedCrossentropy(class_weights), config.loss.beta
    if "reconstruction" in model.output:
        loss["reconstruction"] = losses.ReconstructionError(reconstruction_divisor(config))
        weights["reconstruction"] = config.loss.gamma
    return {"loss": loss, "loss_weights": weights}


def reconstruction_divisor(config):
    """What `loss.reconstruction` divides an image's summed squared error by."""
    size = config.data.image_size
    positions = config.model.feature_size(size) ** 2
    return {"sum": 1.0, "position_mean": float(positions), "mean": float(3 * size**2)}[config.loss.reconstruction]


def mask_divisor(config):
    """What `loss.mask_norm` divides |M|_1 by: under "mean" by the number of an attribute's mask values."""
    model = config.model
    values = model.feature_size(config.data.image_size) ** 2 * (model.channels if model.masks == "per_feature" else 1)
    return {"sum": 1.0, "mean": float(values)}[config.loss.mask_norm]


def parts(model):
    """What a model computes on the way, without building it again: a model that shares its layers.

    Returns:
        `keras.Model`: `image` -> a dictionary of `features` (N, H, W, C), `attribute_scores` (N, H, W, K),
        `attribute_logits` (N, K), `multi_label_logits` (N, K), `reconstruction` (N, S, S, 3), as far as the model
        has them. The heads themselves (masks, other pairs (a, b)) are `model.get_layer("attribute_scores")`.
    """
    names = {layer.name for layer in model.layers}
    outputs = {name: model.get_layer(name).output for name in (*INNER, "reconstruction") if name in names}
    return keras.Model(model.input, outputs, name="mam_parts")


def output_names(attributes):
    """Identifiers for K attributes' outputs: unique, of [A-Za-z0-9_], and no name of another layer of the model.

    Other characters become `_` (none at either end); an empty result becomes `attribute`; whatever is taken, in any
    case, gets a number behind it. (A layer whose name is not in `INNER` or `OUTER` has a dot in its name.)
    """
    taken, names = {*INNER, *OUTER}, []
    for attribute in attributes:
        base = re.sub(r"[^A-Za-z0-9_]+", "_", attribute).strip("_") or "attribute"
        name, number = base, 2
        while name.lower() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names
