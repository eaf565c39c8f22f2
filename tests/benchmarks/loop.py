"""What our training loop costs beside Keras's own `fit`, on one device.

    python -m tests.benchmarks.loop

Both train the same compiled model (configs/celeba_small.yaml's: K = 40, C = 64, images 64x64, batch 32) on the same
random images, drawn by the same pipeline, for so many steps in turn. Ours is `Trainer`'s epoch: losses and both heads'
accuracy summed, the running loss read twice a second. Keras's is `Model.fit` without metrics and progress bar: as it
compiles by itself (`jit_compile="auto"`), and without XLA but for the masked heads, which is what ours does.

Bar: ours at most 1.1 times the faster of the two, a step. About 5 minutes on two cores.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

from mam_keras import command_line, config
from mam_keras.data.augmentation import Augmentation
from mam_keras.data.pipeline import Prepared, training_batches
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from mam_keras.systems.masked import output_names
from tests.benchmarks.timing import interleaved, machine, row
from tests.model.examples import network_of

ATTRIBUTES = [f"attribute {k}" for k in range(40)]


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.loop", description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="of an epoch; a turn is one epoch")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--channels", type=int, default=64, help="C")
    arguments = parser.parse_args()
    settings = config.load("configs/celeba_small.yaml", [f"model.channels={arguments.channels}"])
    print(machine())
    print(f"{arguments.steps} steps of {settings.training.batch_size}; medians of {arguments.repeats} rounds")
    calls = {
        "ours": ours(settings, arguments.steps),
        "Keras, as it compiles": keras_fit(settings, arguments.steps, "auto"),
        "Keras, heads compiled": keras_fit(settings, arguments.steps, False),
    }
    interleaved(calls, 1)  # traces and compiles
    times = {name: time / arguments.steps for name, time in interleaved(calls, arguments.repeats).items()}
    for name, time in times.items():
        row(f"  {name}, a step", f"{1000 * time:.1f} ms")
    ratio = times.pop("ours") / min(times.values())
    row("  ours / the faster of Keras's", f"{ratio:.2f}", "1.1", ratio <= 1.1)


def ours(settings, steps):
    trainer, callbacks = make_trainer(settings, False), keras.callbacks.CallbackList([])
    prepared = make_images(settings, steps)
    return lambda: trainer._train_epoch(trainer._training_batches(prepared, 0), 0, steps, callbacks)


def keras_fit(settings, steps, jit_compile):
    """`fit` of an equal model; the masked heads are compiled by themselves where the whole step is not."""
    network = make_trainer(settings, jit_compile).model
    names = output_names(ATTRIBUTES)

    def targets(images, labels):
        images = tf.cast(images, tf.float32) / 255.0
        by_name = {name: labels[:, k : k + 1] for k, name in enumerate(names)}
        return images, by_name | {"multi_label": labels, "reconstruction": images}

    prepared, data = make_images(settings, steps), settings.data

    def call():
        batches = training_batches(prepared, settings.training.batch_size, settings.seed, 0, Augmentation.of(data))
        network.fit(batches.map(targets), epochs=1, verbose=0, shuffle=False)

    return call


def make_trainer(settings, jit_compile):
    keras.utils.set_random_seed(0)
    network = network_of(settings, ATTRIBUTES)
    network.model.compile(make_optimizer(settings.training, 1000), **network.losses(), jit_compile=jit_compile)
    trainer = Trainer(network, settings, Objective(network), tf.distribute.get_strategy())
    if network.model.jit_compile:
        network.model.get_layer("attribute_scores").compile_training = False  # within what is compiled already
    return trainer


def make_images(settings, steps):
    random = np.random.default_rng(0)
    count, size = steps * settings.training.batch_size, settings.data.image_size
    images = random.integers(0, 256, (count, size, size, 3), np.uint8)
    labels = random.integers(0, 2, (count, len(ATTRIBUTES))).astype(bool)
    return Prepared(images, np.arange(count).astype(str), labels, None, ())


if __name__ == "__main__":
    command_line.run(main)
