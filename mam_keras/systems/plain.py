"""Pooled features and one linear unit for each target: the control for every other system. Its map is CAM."""

import functools
import operator
from typing import ClassVar, Literal

from mam_keras.model.backbones import unchanged
from mam_keras.systems.system import Branch, Paper, Pooled, PooledLoss


class Settings(Pooled):
    """A backbone, pooling and a linear unit (CAM: Zhou et al. 2016)."""

    TITLE: ClassVar[str] = "pooled features and a linear unit"
    PAPERS: ClassVar[tuple[Paper, ...]] = (
        Paper(
            "B. Zhou, A. Khosla, A. Lapedriza, A. Oliva and A. Torralba",
            "Learning Deep Features for Discriminative Localization",
            2016,
            "1512.04150",
        ),
    )

    system: Literal["plain"]

    def branches(self, image_size):
        does = f"{self.pooling}, linear {self.channels or 'C'} to K"
        return (Branch("classifier", does, "K probabilities", "pooled features and a linear unit for each target"),)


class Loss(PooledLoss):
    """Cross-entropy, summed over attributes."""


def build(config, targets, passing=unchanged, name="plain"):
    """`image` float32 (N, S, S, 3) in [0, 1] -> {"probabilities": (N, K)}.

    The linear unit is applied at every position and its scores s^k_p are pooled, which for the mean is the same as
    pooling first, and is CAM at no cost. `passing` is that of `backbones.extract`.
    """
    import keras

    from mam_keras.model import backbones
    from mam_keras.model.masks import PlainHeads
    from mam_keras.model.pooling import PooledLogits

    model, size = config.model, config.data.image_size
    image = keras.Input((size, size, 3), dtype="float32", name="image")
    features = backbones.extract(model.backbone, image, model.channels, passing)
    positions = {"learned_positions": model.learned_positions, "spread": config.loss.spread}
    scores = PlainHeads(len(targets.names), **positions, name="scores")(features)
    logits = PooledLogits(model.pooled_share, model.pooling_sharpness, dtype="float32", name="logits")(scores)
    activation = "softmax" if targets.exclusive else "sigmoid"
    probabilities = keras.layers.Activation(activation, dtype="float32", name="probabilities")(logits)
    return keras.Model(image, {"probabilities": probabilities}, name=name)


def attach(config, targets, model, by_field=True):
    """The `Network` of a model of `build`; `by_field` is that of `maps.contribution_maps`."""
    from mam_keras.model import backbones
    from mam_keras.model.contributions import Contributions
    from mam_keras.model.maps import contribution_maps, linear_grad_cam
    from mam_keras.model.network import Head, Network, Term

    features, scores, logits = (model.get_layer(name) for name in ("features", "scores", "logits"))
    network = Network(
        model=model,
        targets=targets,
        outputs={"features": features.output, "scores": scores.output, "attributes": logits.output},
        heads=(Head("attributes", 1.0, logits.bias),),
        losses=functools.partial(_losses, targets),
        stages=backbones.stages(config.model.backbone),
    )
    network.contributions = Contributions(network.features, scores, logits)
    network.logit_of = network.contributions.logit
    network.linear_scores = linear_scores(scores)
    if config.model.learned_positions:
        network.positions = scores.position_weights
    if config.loss.spread:
        network.terms = (Term("spread", lambda *_: scores.spread_loss()),)
    network.maps = contribution_maps(network, by_field)
    network.maps["grad_cam"] = linear_grad_cam(network, scores.kernel, targets_axis=0)
    return network


def linear_scores(heads):
    """`Network.linear_scores` of heads without masks: their scores where all positions count alike."""
    from keras import ops

    if not heads.learned_positions:
        return operator.itemgetter("scores")
    return lambda found: ops.matmul(ops.cast(found["features"], "float32"), ops.transpose(heads.kernel))


def _losses(targets, class_weights=None):
    from mam_keras.model.losses import classification

    return {"loss": {"probabilities": classification(targets, class_weights)}}
