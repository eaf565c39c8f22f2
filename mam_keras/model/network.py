"""What may be asked of a network, whatever its system: all that `fit`, the analyses and `export` know of a model.

A system's `attach` fills it in. Everything a name can lead to (`outputs`, `heads`, `maps`, `stages`) is found by that
name in a fresh model and in a loaded one.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from mam_keras.data.source import Targets
from mam_keras.model.backbones import Stage


class Head(NamedTuple):
    """A classifier of all K targets.

    Attributes:
        name: of its logits among `Network.outputs`, of its answers in predictions, of its terms in the history.
        weight: of its cross-entropy in the loss.
        bias: the variable (K,) that is added last to its logits, or None.
    """

    name: str
    weight: float
    bias: Any = None


class Batch(NamedTuple):
    """What a term of the loss may look at beside the network's outputs.

    Attributes:
        images: float32 (N, S, S, 3) in [0, 1].
        labels: float32 (N, K), NaN where not known.
        penalties: what the model's layers added to its losses in this pass, scalars.
        regions: float32 (N, H, W, D), where attributes are as far as that is known, of as many as the terms asked for;
            None outside training.
        tape: a persistent `tf.GradientTape` that sees the pass, where a term needs one; else None.
    """

    images: Any
    labels: Any
    penalties: list
    regions: Any = None
    tape: Any = None


class Term(NamedTuple):
    """A further term of the loss.

    Attributes:
        name: of its column NAME_loss in the history.
        value: ({name: output} of `Network.parts`, `Batch`) -> scalar, weighted, a mean over the batch; or None where
            the batch does not have what it needs.
        needs_tape: whether it differentiates what happened in the pass.
    """

    name: str
    value: Callable
    needs_tape: bool = False


class Map(NamedTuple):
    """A picture of what a network looks at.

    Attributes:
        title: how a page calls it.
        note: what it is and what it is not, a sentence or two.
        signed: whether negative values speak against the target. Where not, negative values do not occur.
        show: images float32 (n, S, S, 3) -> float32 (n, H, W, K), or (n, H, W, 1) where one map serves all targets; in
            `keras.ops`, so that it can be traced.
        of: the same of one target, where that costs less than all: images, `Network.features` of them and k, a scalar
            that a graph may not know -> float32 (n, H, W); None where it does not (`maps.of_target`).
    """

    title: str
    note: str
    signed: bool
    show: Callable
    of: Callable | None = None


@dataclass
class Network:
    """A model of one of the `systems`, taken apart. Images are float32 (n, S, S, 3) in [0, 1].

    Attributes:
        model: the Keras model.
        targets: what its heads answer.
        outputs: {name: a tensor of `model`} that can be asked for: "features" (N, H, W, C), every head's logits
            (N, K) under its name, "scores" (N, H, W, K), which these pool, where there are any, "map" (N, H, W, K or
            1), the own map where that is another, and whatever the terms need.
        heads: the first one answers.
        losses: class weights, or None -> arguments of `model.compile` under which Keras's own `fit` minimises the
            same loss.
        terms: of the loss, beside the heads' cross-entropies.
        maps: by name; the first one is the system's own.
        stages: from low to high.
        contributions: `model.contributions.Contributions`, where the answering head's logit is an exact sum over
            positions and channels of the features; else None.
        masks: `model.contributions.Masks`, where masks can be transformed by (a, b); else None.
        logit_of: the answering head's logit of one target, where that costs less than all: features (n, H, W, C) and k
            -> float32 (n,), at inference; else None.
        positions: () -> float32 (H, W, K), learned weights of the features' positions in all images
            (`model.positions`); else None.
        linear_scores: {name: output} of `parts` -> float32 (N, H, W, K), the scores of a linear unit that the answering
            head pools, where it does: Grad-CAM in closed form; else None.
        compiled: layers with `compile_training` that XLA makes faster in training.
    """

    model: keras.Model
    targets: Targets
    outputs: dict[str, Any]
    heads: tuple[Head, ...]
    losses: Callable
    terms: tuple[Term, ...] = ()
    maps: dict[str, Map] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    contributions: Any = None
    masks: Any = None
    logit_of: Callable | None = None
    positions: Callable | None = None
    linear_scores: Callable | None = None
    compiled: tuple[keras.Layer, ...] = ()

    @property
    def image_size(self) -> int:
        return self.model.input_shape[1]

    @property
    def grid(self) -> tuple[int, int]:
        """(H, W) of the features."""
        return tuple(self.outputs["features"].shape[1:3])

    @property
    def channels(self) -> int:
        """C of the features."""
        return self.outputs["features"].shape[3]

    @property
    def main_head(self) -> str:
        """The name of the head that answers."""
        return self.heads[0].name

    @property
    def keeps_statistics(self) -> bool:
        """Whether batch normalisation answers by running statistics of training."""
        return any(isinstance(layer, keras.layers.BatchNormalization) for layer in self.model._flatten_layers())

    def computing(self, *names: str) -> keras.Model:
        """A model that shares this one's layers: images -> {name: output} of `outputs`."""
        return keras.Model(self.model.input, {name: self.outputs[name] for name in names})

    @functools.cached_property
    def by_stage(self) -> keras.Model:
        """Shares this one's layers: images -> the outputs of the `stages`; of the features where there are none."""
        names = [stage.name for stage in self.stages] or ["features"]
        layer = self.model.get_layer
        of = [self.outputs[name] if name in self.outputs else layer(name).output for name in names]
        return keras.Model(self.model.input, of)

    @functools.cached_property
    def parts(self) -> keras.Model:
        """`computing` all outputs."""
        return self.computing(*self.outputs)

    @functools.cached_property
    def _answering(self):
        return self.computing(self.main_head)

    @functools.cached_property
    def _extractor(self):
        return self.computing("features")

    def features(self, images):
        """F: (n, H, W, C)."""
        return self._extractor(images, training=False)["features"]

    def logits(self, images):
        """Of the head that answers: float32 (n, K)."""
        return self._answering(images, training=False)[self.main_head]

    def logit(self, images, features, k):
        """Of the head that answers and one target: images, `features` of them and k -> float32 (n,)."""
        return self.logits(images)[:, k] if self.logit_of is None else self.logit_of(features, k)

    def probabilities(self, logits):
        """(..., K) -> (..., K): a softmax over exclusive targets, a sigmoid of each other one."""
        return ops.softmax(logits, axis=-1) if self.targets.exclusive else ops.sigmoid(logits)

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Which targets are answered "yes": (..., K) -> bool (..., K); of exclusive ones the first of the highest."""
        if self.targets.exclusive:
            return np.arange(logits.shape[-1]) == logits.argmax(axis=-1)[..., None]
        return logits >= 0

    @property
    def described(self) -> dict[str, dict[str, Any]]:
        """{name of a map: its `title`, `note` and `signed`}, as results and exports keep them."""
        return {name: {"title": one.title, "note": one.note, "signed": one.signed} for name, one in self.maps.items()}

    def targets_of(self, images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Argument `y` of `model.fit`, beside `losses`: what each output of the model should be.

        Args:
            images: float32 (n, S, S, 3) in [0, 1].
            labels: (n, K), 1, 0 or NaN where not known.
        """
        labels = np.asarray(labels, np.float32)
        if labels.ndim != 2 or labels.shape[1] != len(self.targets.names):
            raise ValueError(f"Argument `labels` must be (n, {len(self.targets.names)}). Received: {labels.shape}")
        columns, found = iter(range(labels.shape[1])), {}
        for name, output in self.model.output.items():
            if len(output.shape) == 4:
                found[name] = np.asarray(images, np.float32)
            elif output.shape[-1] == labels.shape[1] > 1:
                found[name] = labels
            else:  # a target's own output, in their order; of a single target they all are
                k = next(columns, 0)
                found[name] = labels[:, k : k + 1]
        return found

    def map_size(self, name: str) -> tuple[int, int]:
        """(H, W) of a map."""
        return tuple(self.maps[name].show(ops.zeros((1, self.image_size, self.image_size, 3))).shape[1:3])
