"""Attention Branch Network: maps that a branch of their own class scores trains, and that weigh the features
(Fukui, Hirakawa, Yamashita & Fujiyoshi, CVPR 2019, arXiv 1812.10025).

    L = alpha L_per + beta L_att                          cross-entropies of the two branches; the paper: 1 and 1

An extractor gives g(x). The attention branch, a copy of the backbone's last stage that keeps the resolution, makes of
it a map M(x) and class scores of its own. The perception branch, the last stage itself, pooling and a linear unit,
answers from g(x), g(x) M(x) or g(x) (1 + M(x)). The authors' forms:

| | `attention` | `maps` | `map` | `pool` | `perception` |
| --- | --- | --- | --- | --- | --- |
| one label of an image (their code for CIFAR) | residual | one | sigmoid | mean | stage |
| many attributes (their code for CelebA) | multiply | per_target | raw | max | stage |
| many attributes (a later port) | residual | per_target | sigmoid | mean | stage |

The defaults are those of the first for classes and of the last for attributes. (Of 2,000 faces in 2 epochs, one run
each, with `perception: linear`, the form for CelebA learned no more than the attributes' rates: 50.1 % mean balanced
accuracy, 53.5 % in the port's.)

With `perception: linear`, ours and the default, the extractor is the whole backbone, the branch begins with one more
stage like its last, and the perception branch is pooling and a linear unit: what `masked` calls common masks, fed by a
branch. It costs one pass instead of K, and contributions of positions are exact.
"""

import functools
from typing import ClassVar, Literal

from mam_keras.settings import NonNegative
from mam_keras.systems.system import OFFSETS, Branch, CommonLoss, OnBackbone, Paper, Weighing

# Names of the layers whose outputs are those of `Network.outputs`
_OUTPUTS = {"features": "features", "attributes": "logits", "attention": "attention_logits"}


class Settings(OnBackbone):
    """The network of 1812.10025, figure 2; the module says which settings are its authors'."""

    TITLE: ClassVar[str] = "attention branch (Fukui et al. 2019)"
    PAPERS: ClassVar[tuple[Paper, ...]] = (
        Paper(
            "H. Fukui, T. Hirakawa, T. Yamashita and H. Fujiyoshi",
            "Attention Branch Network: Learning of Attention Mechanism for Visual Explanation",
            2019,
            "1812.10025",
        ),
    )

    system: Literal["attention_branch"]
    attention: Literal["residual", "multiply", "none"] = "residual"  # g (1 + M), g M; g alone, without a branch
    maps: Literal["one", "per_target"] | None = None  # M for all targets, or each its own; null: one for classes
    map: Literal["sigmoid", "raw"] = "sigmoid"  # of M
    pool: Literal["mean", "max"] = "mean"  # over positions, of the branch's class scores
    perception: Literal["linear", "stage"] = "linear"  # what weighted features go through: a linear unit; a stage first

    @property
    def staged(self):
        return self.perception == "stage"

    def describe(self, image_size):
        side = self.feature_size(image_size)
        answers = "a linear unit" if self.perception == "linear" else "its last stage"
        weighted = "" if self.attention == "none" else f"weighted ({self.attention}, {self.map}), "
        return f"{self.TITLE}: features {side} x {side} of {self.backbone.describe()}, {weighted}then {answers}"

    def branches(self, image_size):
        does = ("last stage, mean", "linear to K") if self.staged else ("mean", f"linear {self.channels or 'C'} to K")
        answers = "K probabilities"
        if self.attention == "none":
            return (Branch("perception branch", ", ".join(does), answers, "a perception branch alone"),)
        side, factor = self.feature_size(image_size), "1 + M" if OFFSETS[self.attention] else "M"
        many = {"one": " x 1", "per_target": " x K", None: ""}[self.maps]
        weights = "attention map M", f"{side} x {side}{many}", factor
        words = f"a perception branch, which multiplies the features with the other branch's map ({factor})"
        branch = f"a stage, 1x1 to K, {self.pool}"
        return (
            Weighing("perception branch", False, weights, does, answers, words),
            Branch("attention branch", branch, answers, "an attention branch, whose class scores make that map"),
        )

    def require_possible(self, image_size, loss):
        super().require_possible(image_size, loss)
        if loss.localisation and loss.localisation_map == "own":
            key, value = ("attention", "none") if self.attention == "none" else ("maps", "one")
            if self.attention == "none" or (self.maps == "one" and loss.localisation_by == "outside"):
                raise ValueError(
                    f"loss.localisation: expected 0 where model.{key} is {value}: no attribute has a map of its own. "
                    f"Received: {loss.localisation:g}"
                )

    def one_map(self, targets):
        """Whether all targets share M."""
        return targets.exclusive if self.maps is None else self.maps == "one"


class Loss(CommonLoss):
    """L = alpha L_per + beta L_att (1812.10025, equation 1)."""

    WEIGHTS: ClassVar[dict[str, str]] = CommonLoss.WEIGHTS | {"attributes": "alpha", "attention": "beta"}

    alpha: NonNegative = 1.0  # of the perception branch, which answers
    beta: NonNegative = 1.0  # of the attention branch


def build(config, targets):
    """The network: a functional model from one image to named outputs.

    Args:
        config: `config.Config`; its sections `data` and `model` decide.
        targets: `data.source.Targets`, K of them.

    Returns:
        `keras.Model`: `image` float32 (N, S, S, 3) in [0, 1] -> {"probabilities", "attention"}, each float32 (N, K): of
        the perception branch, and of the attention branch where there is one.
    """
    import keras
    from keras import layers

    from mam_keras.model import backbones
    from mam_keras.model.attention import Weighted, attention_branch
    from mam_keras.model.masks import PlainHeads
    from mam_keras.model.perception import StagePasses
    from mam_keras.model.pooling import PooledLogits

    model, size, count = config.model, config.data.image_size, len(targets.names)
    activation = "softmax" if targets.exclusive else "sigmoid"
    attends, staged, one_map = model.attention != "none", model.staged, model.one_map(targets)
    image = keras.Input((size, size, 3), dtype="float32", name="image")
    extract = backbones.extract_trunk if staged else backbones.extract
    features = extract(model.backbone, image, model.channels)

    def stage(stride, name):
        return backbones.last_stage(model.backbone, features.shape[1:], model.channels, stride, name)

    outputs, offset = {}, OFFSETS.get(model.attention)
    if attends:
        branch = stage(1, "attention_stage")
        maps, _, logits = attention_branch(features, branch, count, one_map, model.map == "raw", model.pool)
        outputs["attention"] = layers.Activation(activation, dtype="float32", name="attention")(logits)
    if not staged:
        scores = PlainHeads(count, name="unweighted_scores")(features)
        if attends:
            scores = Weighted(offset, dtype="float32", name="scores")([scores, maps])
        logits = PooledLogits(dtype="float32", name="logits")(scores)
    elif attends and not one_map:
        logits = StagePasses(count, stage(None, "perception_stage"), offset, name="logits")([features, maps])
    else:
        weighted = Weighted(offset, name="weighted")([features, maps]) if attends else features
        passed = stage(None, "perception_stage")(weighted)
        pooled = layers.GlobalAveragePooling2D(dtype="float32", name="perception.pooling")(passed)
        logits = layers.Dense(count, dtype="float32", name="logits")(pooled)
    probabilities = layers.Activation(activation, dtype="float32", name="probabilities")(logits)
    return keras.Model(image, {"probabilities": probabilities} | outputs, name="attention_branch")


def attach(config, targets, model):
    """The `Network` of a model of `build`."""
    import keras
    from keras import ops

    from mam_keras.model import backbones
    from mam_keras.model.attention import AttendedHeads
    from mam_keras.model.contributions import Contributions
    from mam_keras.model.maps import contribution_maps, grad_cam, linear_grad_cam
    from mam_keras.model.network import Head, Map, Network

    settings, loss = config.model, config.loss
    attends, staged = settings.attention != "none", settings.staged
    each, offset = not settings.one_map(targets), OFFSETS.get(settings.attention)
    layers = {layer.name: layer for layer in model.layers}
    outputs = {name: layers[layer].output for name, layer in _OUTPUTS.items() if layer in layers}
    heads = [Head("attributes", loss.alpha, layers["logits"].bias)]
    if attends:
        heads.append(Head("attention", loss.beta))
        outputs["map"] = layers["attention_maps"].output
    if attends and each:
        outputs["scores"] = layers["attention_scores"].output
    network = Network(
        model=model,
        targets=targets,
        outputs=outputs,
        heads=tuple(heads),
        losses=functools.partial(_losses, targets, model, loss),
        stages=backbones.stages(settings.backbone, staged),
    )
    if attends:
        maps = keras.Model(outputs["features"], layers["attention_maps"].output)

        def attention(features):
            return ops.relu(maps(features, training=False))

        network.maps["attention"] = Map(
            "attention",
            _NOTES[each] + _NOTE,
            False,
            lambda images: attention(network.features(images)),
            lambda images, features, k: ops.take(attention(features), k if each else 0, axis=3),
        )
    if not staged:
        plain = layers["unweighted_scores"]
        own = AttendedHeads(plain, maps, offset) if attends else plain
        network.contributions = Contributions(network.features, own, layers["logits"])
        network.logit_of = network.contributions.logit
        network.maps |= contribution_maps(network, by_field=not attends)
    elif attends and each:

        def logit(features, k):
            own = ops.take(maps(features, training=False), k, axis=3)[..., None]
            return layers["logits"].logit(features, offset + own, k)

        network.logit_of = logit
    if staged or attends:
        network.maps["grad_cam"] = grad_cam(network)
    else:
        network.maps["grad_cam"] = linear_grad_cam(network, plain.kernel, targets_axis=0)
        network.linear_scores = lambda found: plain(found["features"])
    return network


_NOTES = {
    False: "The map that the attention branch makes of an image, one for all classes: what the features that answer "
    "are weighted by.",
    True: "The map that the attention branch makes for each answer, positive part: what the features that give it are "
    "weighted by.",
}
_NOTE = (
    " It is trained as a picture of the branch's own class scores. It says where features count more, not what they "
    "add: features speak for a class or against it, and what lies above the map may do anything with them."
)


def _losses(targets, model, loss, class_weights=None):
    from mam_keras.model.losses import classification

    weights = {"probabilities": loss.alpha, "attention": loss.beta}
    weights = {name: weight for name, weight in weights.items() if name in model.output}
    return {"loss": dict.fromkeys(weights, classification(targets, class_weights)), "loss_weights": weights}
