"""The map that a network is directed by, as it is in training, and what it costs that it looks elsewhere.

    own        the system's own map, the first that a page shows; for `outside` the scores that the logits pool
    grad_cam   Grad-CAM of the head that answers, at the features
    (a stage)  Grad-CAM of the head that answers, at that stage's output x

Grad-CAM is s^k_p = sum_c a^k_c x_{p,c}, of which the losses take the positive part, with a^k_c = sum_p d logit_k / d
x_{p,c}: P times the mean over positions that a page shows, so that s^k_p is in logits. Where logits pool a linear
unit's scores, s^k is these scores (`maps.linear_grad_cam`), and no gradient is taken. Elsewhere a^k is a gradient, and
learning takes the gradient of that ("second" order) or holds a^k constant ("first").

As in `maps.by_depth`, it takes every way from x to the logit and no way around it. What follows the features answers as
at inference. Between a stage and the features it is the pass that is trained by, so that batch normalisation there sees
the batch and images see a little of each other.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops

from mam_keras.model.losses import LOCALISATION
from mam_keras.model.network import Term


class Look(NamedTuple):
    """A map as it is in training.

    Attributes:
        grid: (H, W).
        of: ({name: output} of `Network.parts`, `Batch`, targets' positions) -> float32 (N, H, W, D), or (N, H, W, 1)
            where one map serves all.
        needs_tape: whether the batch has to have a tape.
        each: whether every target that is looked at costs passes of its own.
    """

    grid: tuple[int, int]
    of: Callable
    needs_tape: bool = False
    each: bool = False


def localisation_term(look, loss, paid, weights=None):
    """The `Term` that draws maps to their regions, weighted `loss.localisation`, where a batch has regions.

    Args:
        look: `Look`.
        loss: the section `loss`, of `systems.system.CommonLoss`.
        paid: positions of the D targets whose regions, (N, H, W, D), a batch has.
        weights: D numbers, or None for ones.
    """
    cost, paid = LOCALISATION[loss.localisation_by](weights), [int(k) for k in paid]

    def value(found, batch):
        if batch.regions is None:
            return None
        labels = ops.take(batch.labels, paid, axis=1)
        present = (
            ops.cast(labels > 0.5, "float32") if cost.present_alone else ops.ones_like(labels)
        )  # NaN where not known; smoothed ones are still apart
        return loss.localisation * cost.mean(batch.regions * present[:, None, None, :], look.of(found, batch, paid))

    return Term("localisation", value, look.needs_tape)


def look(network, loss) -> Look | None:
    """The map that `loss` names of a network; None where it has no such map.

    Whatever it is made of is added to the network's outputs, so it comes before `Network.parts`.
    """
    name, first_order = loss.localisation_map, loss.localisation_order == "first"
    if name == "own":
        return _own(network, loss.localisation_by)
    if name in ("grad_cam", "features"):
        if network.linear_scores is not None:
            return Look(network.grid, lambda found, _, paid: _columns(network.linear_scores(found), paid))
        return Look(network.grid, _grad_cam(network, "features", first_order), each=True)
    if name not in [stage.name for stage in network.stages]:
        return None
    network.outputs.setdefault(name, network.model.get_layer(name).output)
    grid = tuple(network.outputs[name].shape[1:3])
    return Look(grid, _grad_cam(network, name, first_order), needs_tape=True, each=True)


def _own(network, by):
    name = "scores" if by == "outside" or "map" not in network.outputs else "map"
    if name in network.outputs:
        tensor = network.outputs[name]
        return Look(tuple(tensor.shape[1:3]), lambda found, _, paid: _columns(found[name], paid))
    if by == "outside" or network.masks is None:
        return None

    def masks(found, _, paid):
        each = [ops.mean(network.masks.mask(found["features"], k), axis=-1) for k in paid]
        return ops.stack(each, axis=-1)

    return Look(network.grid, masks, each=True)


def _grad_cam(network, name, first_order):
    import tensorflow as tf

    logit = logit_of_features(network)

    def of(found, batch, paid):
        output, features = found[name], found["features"]
        maps = []
        for k in paid:
            with tf.GradientTape() as tape:
                tape.watch(features)
                answer = logit(features, k)
            derivative = tape.gradient(answer, features)
            if name != "features":
                with batch.tape.stop_recording():
                    derivative = batch.tape.gradient(features, output, derivative)
            weights = tf.reduce_sum(tf.cast(derivative, tf.float32), axis=(1, 2), keepdims=True)
            weights = tf.stop_gradient(weights) if first_order else weights
            maps.append(tf.reduce_sum(weights * tf.cast(output, tf.float32), axis=-1))
        return tf.stack(maps, axis=-1)

    return of


def logit_of_features(network):
    """The answering head's logit of one target at inference: features (n, H, W, C) and k -> float32 (n,)."""
    if network.logit_of is not None:
        return network.logit_of
    above = keras.Model(network.outputs["features"], network.outputs[network.main_head])
    return lambda features, k: above(features, training=False)[:, k]


def _columns(maps, paid):
    """The maps of some targets; all where one serves all, or all are asked for."""
    everything = maps.shape[-1] == 1 or paid == list(range(maps.shape[-1]))
    return maps if everything else ops.take(maps, paid, axis=-1)
