"""What it costs to direct a network, beside the same training step without.

    python -m tests.benchmarks.directing

The network of configs/demo.yaml (C = 32, images 64x64, features 16x16, batch 32) on random images, as the system
`plain`, whose Grad-CAM has a closed form, and as `masked`; three of K = 14 attributes are directed, by `iou`. A turn is
so many steps of `Trainer`'s epoch, regions included; the ways take turns in one process.

Bar: where the closed form applies, at most 1.6 times the step without. About 5 minutes on two cores.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

from mam_keras import command_line, config
from mam_keras.data import places
from mam_keras.data.pipeline import Prepared
from mam_keras.data.synthetic_faces import ATTRIBUTES
from mam_keras.fit import guidance
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from tests.benchmarks.timing import interleaved, machine, row
from tests.model.examples import network_of

DIRECTED = dict.fromkeys(("Wearing_Lipstick", "Smiling", "Bangs"), (1.0, 3.0))
STAGE = "front_end.1.relu"
WAYS = {  # of a system: (which map, in which order)
    "plain": {
        "closed form": ("grad_cam", "second"),
        "at a stage, second order": (STAGE, "second"),
        "at a stage, first order": (STAGE, "first"),
    },
    "masked": {
        "its own map": ("own", "second"),
        "Grad-CAM, second order": ("grad_cam", "second"),
        "Grad-CAM, first order": ("grad_cam", "first"),
        "at a stage, second order": (STAGE, "second"),
    },
}
BARS = {"closed form": 1.6, "its own map": 1.6}


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.directing", description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10, help="of an epoch; a turn is one epoch")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(machine())
    print(f"{arguments.steps} steps; medians of {arguments.repeats} rounds")
    for system, ways in WAYS.items():
        calls = {"undirected": epoch(system, arguments.steps)}
        calls |= {way: epoch(system, arguments.steps, *how) for way, how in ways.items()}
        interleaved(calls, 1)  # traces and compiles
        times = {way: time / arguments.steps for way, time in interleaved(calls, arguments.repeats).items()}
        print(f"\n{system}")
        row("  undirected, a step", f"{1000 * times['undirected']:.1f} ms")
        for way in ways:
            ratio = times[way] / times["undirected"]
            bar = BARS.get(way)
            row(f"  {way} / undirected", f"{ratio:.2f}", *((f"{bar}", ratio <= bar) if bar else ()))


def epoch(system, steps, map_of=None, order="second"):
    """A call that trains so many steps."""
    keras.utils.set_random_seed(0)
    values = {"model": {"front_end": (24, 32), "dilations": (1, 1, 1), "channels": 32, "system": system}}
    values |= {"name": "x", "data": {"source": "synthetic_faces", "shift": 2}, "training": {"epochs": 14}}
    if map_of is not None:
        values["loss"] = {"localisation": 1.0, "localisation_by": "iou", "localisation_map": map_of}
        values["loss"] |= {"localisation_order": order, "directed": DIRECTED, "regions": str(places.DRAWN)}
    settings = config.check(values, "directing")
    prepared, network = images(settings, steps), network_of(settings, ATTRIBUTES)
    blocks = guidance.guide(settings, network, prepared) if map_of is not None else None
    network.model.compile(make_optimizer(settings.training, 1000), **network.losses())
    trainer = Trainer(network, settings, Objective(network), tf.distribute.get_strategy())
    callbacks = keras.callbacks.CallbackList([])
    return lambda: trainer._train_epoch(trainer._training_batches(prepared, 0, blocks), 0, steps, callbacks)


def images(settings, steps):
    random = np.random.default_rng(0)
    count, size = steps * settings.training.batch_size, settings.data.image_size
    pictures = random.integers(0, 256, (count, size, size, 3), np.uint8)
    labels = random.integers(0, 2, (count, len(ATTRIBUTES))).astype(bool)
    return Prepared(pictures, np.arange(count).astype(str), labels, None, ())


if __name__ == "__main__":
    command_line.run(main)
