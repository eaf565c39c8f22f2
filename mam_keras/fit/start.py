"""Where does training start? At another run's weights, as far as they fit, and with heads at the attributes' rates."""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mam_keras import data, predictions, systems, trained_on
from mam_keras.data import some
from mam_keras.data.source import Targets
from mam_keras.errors import UserError
from mam_keras.files import digest
from mam_keras.fit.checkpoint import named
from mam_keras.fit.strategy import from_chief
from mam_keras.run_directory import finished_run, located

BATCHES = 8  # over which the untrained network's logits are averaged


class Weights(NamedTuple):
    """Of a finished run's network, for others to start from.

    Attributes:
        path: of the run.
        model: the digest of its model.
        network: it in a few words.
        targets: what it answers, K of them.
        variables: {name: float array}, as `checkpoint.named` has them.
        counted: {name: axes of length K, with an entry for each target}.
    """

    path: Path
    model: str
    network: str
    targets: Targets
    variables: dict[str, np.ndarray]
    counted: dict[str, tuple[int, ...]]


def weights_of(path) -> Weights:
    """Reads a finished run; raises `UserError` where there is none, and where its model is damaged."""
    run, config = finished_run(path, "training.start_from")
    noted = trained_on.read(run.data)
    targets = (noted and noted.targets) or predictions.targets(run.predictions)
    targets = targets or data.load(located(config, run.trained_in, Path.cwd()).data).targets  # of earlier versions
    return of_network(config, systems.load(config, targets, run.model), run.path, digest(run.model))


def of_network(config, network, path, model) -> Weights:
    """`Weights` of a `Network` of a configuration.

    Which axes count targets is seen by building the network once more, for one target more.
    """
    variables, names = _floating(network.model), network.targets.names
    more = _floating(systems.build(config, network.targets._replace(names=(*names, f"{len(names)} more"))))
    return Weights(
        path,
        model,
        config.model.describe(config.data.image_size),
        network.targets,
        {name: variable.numpy() for name, variable in variables.items()},
        {name: _differing(variable.shape, more[name].shape) for name, variable in variables.items()},
    )


def take(network, weights: Weights) -> list[str]:
    """Gives an untrained `Network` what fits of `weights`; returns what was taken and what starts new, in a few lines.

    A variable fits where the other network has one of its name and shape. Along the axes that count targets only the
    entries of targets of the same name are taken, from wherever they stand there; the others stay as they are. Of
    targets that exclude each other there and not here, or the other way round, none is taken.

    Raises `UserError` where no kernel of what makes the features fits: heads on other features are worth nothing.
    """
    here, there = network.targets, weights.targets
    shared = [name for name in here.names if name in there.names] if here.exclusive == there.exclusive else []
    places = [np.array([targets.names.index(name) for name in shared], int) for targets in (here, there)]
    taken, new = {}, []
    for name, variable in _floating(network.model).items():
        value, axes = weights.variables.get(name), weights.counted.get(name, ())
        counted = tuple(axis in axes for axis in range(len(variable.shape)))
        wanted = tuple(len(there.names) if own else n for own, n in zip(counted, variable.shape, strict=True))
        if value is None or value.shape != wanted or (axes and not shared):
            new.append(name)
            continue
        whole = np.array(variable.numpy())
        into, out_of = (
            np.ix_(*(place if own else range(n) for own, n in zip(counted, variable.shape, strict=True)))
            for place in places
        )
        whole[into] = value[out_of]
        variable.assign(whole)
        taken[name] = variable
    features = {id(variable) for variable in network.computing("features").variables if len(variable.shape) > 1}
    if not features & {id(variable) for variable in taken.values()}:
        raise UserError(
            "training.start_from: expected a run whose network makes features as this one does, at least in part. "
            f"Received: {weights.path}, of {weights.network}: nothing of that fits"
        )
    return _said(network, weights, shared, list(taken), new)


def start_at_rates(network, batches, rates, strategy):
    """Sets the biases of heads so that, before training, their mean logits are the log-odds of the rates.

        bias_k = log(r_k / (1 - r_k)) - mean of the logits with a bias of 0         (log r_k of exclusive classes)

    Where a logit pools the highest positions, an untrained network's logits are all positive and most attributes are
    rare; with biases of 0 the first epoch goes to suppressing features. In neither paper. Biases that are not 0 come
    from another run, which has trained them, and stay.

    Args:
        network: `model.network.Network`, built under `strategy`, not trained. Heads without a bias are left alone.
        batches: of training, `(images uint8, ...)`.
        rates: (K,), shares of positive images; brought within [0.001, 0.999], 0.5 where NaN.
    """
    heads = [head for head in network.heads if head.bias is not None]
    if not heads:
        return

    def logits(images):
        outputs = network.parts(tf.cast(images, tf.float32) / 255.0, training=True)
        return [tf.reduce_mean(outputs[head.name], axis=0) for head in heads]

    found = [
        [strategy.experimental_local_results(mean)[0] for mean in strategy.run(logits, args=(batch[0],))]
        for batch in itertools.islice(batches, BATCHES)
    ]
    rates = np.clip(np.nan_to_num(np.asarray(rates, float), nan=0.5), 0.001, 0.999)
    wanted = np.log(rates) if network.targets.exclusive else np.log(rates / (1 - rates))
    trained = np.array([head.bias.numpy() for head in heads])
    biases = np.float32(np.where(trained == 0, wanted - np.mean(found, axis=0), trained))
    biases = np.frombuffer(from_chief(strategy, biases.tobytes()), np.float32).reshape(biases.shape)
    for head, bias in zip(heads, biases, strict=True):
        head.bias.assign(bias)


def _floating(model):
    """Its variables but the states of random numbers."""
    return {name: one for name, one in named(model.variables).items() if one.dtype.startswith(("float", "bfloat"))}


def _differing(shape, other):
    return tuple(axis for axis, (n, m) in enumerate(zip(shape, other, strict=True)) if n != m)


def _said(network, weights, shared, taken, new):
    """In layers, and heads by their targets where these are not the same."""
    here, there = network.targets.names, weights.targets.names
    new, taken = ([*dict.fromkeys(name.rpartition("/")[0] for name in names)] for names in (new, taken))
    left = dict.fromkeys(name.rpartition("/")[0] for name in weights.variables)
    every, whole = dict.fromkeys([*taken, *new]), [name for name in taken if name not in new]
    kinds = {
        f"taken from {weights.path}": (shared if here != there else [], []),
        "new": ([name for name in here if name not in shared], new),
        "left there": ([name for name in there if name not in shared], [name for name in left if name not in every]),
    }
    lines = []
    for kind, (names, layers) in kinds.items():
        parts = [f"heads of {some(names)}"] if names else []
        parts += [f"layers {some(layers)}"] if layers else []
        if kind.startswith("taken"):
            count = f"all {len(whole)}" if len(whole) == len(every) else f"{len(whole)} of {len(every)}"
            parts.insert(0, f"the weights of {count} layers")
        lines += [f"{kind}: {'; '.join(parts)}"] if parts else []
    return lines
