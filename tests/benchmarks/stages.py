"""What attention costs at each stage of Inception-v1, in parameters and in time of a training step.

    python -m tests.benchmarks.stages

The network without attention, with it behind one stage, behind all three (one hourglass, three masks), with atrous
convolution, and RAN-92: steps of the whole training loop on random images of 32x32, in one process and in turn. Bar:
one hourglass for three stages adds less than three hourglasses of one stage each. About 5 minutes on two cores.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

from mam_keras import command_line, config
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from tests.benchmarks.timing import interleaved, machine, row, seconds
from tests.model.examples import network_of

PLACES = ("early", "middle", "late")


def forms(width):
    """{name: the section `model`}."""

    def inception(*attended, **backbone):
        return {"attended": attended, "backbone": {"kind": "inception_v1", "width": width} | backbone}

    found = {"none": inception()} | {place: inception(place) for place in PLACES} | {"all": inception(*PLACES)}
    found["all, atrous"] = inception(*PLACES, atrous=True)
    found["RAN-92"] = {"attended": (), "backbone": {"kind": "residual_attention", "width": width}}
    return found


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.stages", description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=0.25, help="of the network")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(machine())
    print(f"width {arguments.width:g}, images 32x32, batch {arguments.batch_size}, 10 classes")
    steps, counts = {}, {}
    for name, model in forms(arguments.width).items():
        steps[name], counts[name] = make_step(model, arguments.batch_size)
        row(f"  {name}: first step", f"{seconds(steps[name]):.1f} s")
    times = interleaved(steps, arguments.repeats)
    print(f"\ntraining step; medians of {arguments.repeats} rounds")
    for name, count in counts.items():
        more = f"+{100 * (count / counts['none'] - 1):.0f} % parameters"
        slower = f"+{100 * (times[name] / times['none'] - 1):.0f} % time"
        beside = "" if name == "none" else f"{more}, {slower}"
        row(f"  {name}: {count:,} parameters", f"{1000 * times[name]:.0f} ms", beside)
    for what, values in (("parameters", counts), ("time", times)):
        together = values["all"] - values["none"]
        apart = sum(values[place] - values["none"] for place in PLACES)
        row(f"  {what}: one hourglass for three stages / three", f"{together / apart:.2f}", "1.00", together < apart)


def make_step(model, batch_size):
    """A call without arguments that trains on a batch, and how many parameters are trained."""
    keras.utils.set_random_seed(0)
    settings = config.check(
        {
            "name": "benchmark",
            "data": {"source": "folders", "directory": "none", "image_size": 32},
            "model": {"system": "shareable", "channels": None} | model,
            "training": {"batch_size": batch_size, "optimizer": "sgd"},
        },
        "benchmark",
    )
    network = network_of(settings, [f"class {k}" for k in range(10)], exclusive=True)
    network.model.compile(optimizer=make_optimizer(settings.training, 100))
    trainer = Trainer(network, settings, Objective(network), tf.distribute.get_strategy())
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (batch_size, 32, 32, 3), np.uint8))
    labels = tf.constant(np.eye(10, dtype=np.float32)[random.integers(0, 10, batch_size)])
    count = sum(int(np.prod(weight.shape)) for weight in network.model.trainable_weights)
    return lambda: trainer.step(images, labels), count


if __name__ == "__main__":
    command_line.run(main)
