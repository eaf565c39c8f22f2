"""A sixth system in one file: a backbone of its own, a map of its own, two heads. `test_seam.py` runs it."""

from typing import ClassVar, Literal

from mam_keras.settings import Count
from mam_keras.systems.system import CommonLoss, System


class Settings(System):
    """Two convolutions; what is looked at is the energy of the features."""

    TITLE: ClassVar[str] = "a sixth system"
    system: Literal["sixth"]
    width: Count = 4


class Loss(CommonLoss):
    """Cross-entropies of both heads alone."""


def build(config, targets):
    import keras
    from keras import layers

    size, last = config.data.image_size, "softmax" if targets.exclusive else "sigmoid"
    image = keras.Input((size, size, 3), name="image")
    x = layers.Conv2D(config.model.width, 3, strides=2, padding="same", activation="relu", name="low")(image)
    x = layers.Conv2D(config.model.width, 3, strides=2, padding="same", activation="relu", name="high")(x)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(x)
    logits = {name: layers.Dense(len(targets.names), name=f"{name}_logits")(pooled) for name in ("attributes", "twin")}
    return keras.Model(image, {name: layers.Activation(last, name=name)(one) for name, one in logits.items()})


def attach(config, targets, model):
    from keras import ops

    from mam_keras.model.backbones import Stage
    from mam_keras.model.losses import classification
    from mam_keras.model.network import Head, Map, Network

    outputs = {name: model.get_layer(f"{name}_logits").output for name in ("attributes", "twin")}
    network = Network(
        model=model,
        targets=targets,
        outputs={"features": model.get_layer("high").output, **outputs},
        heads=(Head("attributes", 1.0), Head("twin", 0.5)),
        losses=lambda weights=None: {"loss": dict.fromkeys(outputs, classification(targets, weights))},
        stages=(Stage("low", 2, 3), Stage("high", 4, 7)),
    )
    network.maps["energy"] = Map(
        "energy of the features",
        "How active the features are, for all targets alike.",
        False,
        lambda images: ops.sum(ops.square(network.features(images)), axis=-1, keepdims=True),
    )
    return network
