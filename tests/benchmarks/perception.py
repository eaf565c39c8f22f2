"""What the attributes' passes of one shared stage cost, a few at a time, beside K separate passes. Linux only.

    python -m tests.benchmarks.perception

Forward and backward of `StagePasses` alone, for K = 40, features 16x16 of 64 channels, batch 16: a stage of two 3x3
convolutions, the first of stride 2, each with batch normalisation and ReLU; cross-entropy, with the gradients of
features, maps and all weights. Beside it two plain forms, in the same process and in turn, which call the stage K times
in one `tf.function`: one that keeps all passes for the backward pass, and one that computes each of them again as ours
does (`tf.recompute_grad`). Bars: no slower than the latter; 1.4 times the former, since what is computed again is a
third of it.

Then memory, each figure from a process of its own: its highest resident memory during five steps, less its resident
memory before; tracing is in it. Bar: less than a quarter more at K = 160 than at K = 40. About 5 minutes on two cores.
"""

import argparse
import gc
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from mam_keras import command_line
from mam_keras.model.losses import SummedCrossentropy
from mam_keras.model.perception import TILE, StagePasses
from tests.benchmarks.memory import resident
from tests.benchmarks.timing import interleaved, machine, row, seconds

FORMS = ("ours", "separate, computed again", "separate, kept")


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.perception", description=__doc__.splitlines()[0])
    parser.add_argument("--attributes", type=int, default=40, help="K")
    parser.add_argument("--channels", type=int, default=64, help="C")
    parser.add_argument("--feature-size", type=int, default=16, help="height and width of the features")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--tile", type=int, default=TILE, help="attributes at a time")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--measure", choices=FORMS, help="memory of one form alone, in this process")
    arguments = parser.parse_args()
    if arguments.measure:
        print(above_the_built_layer(arguments))
        return
    print(machine())
    sizes = f"C = {arguments.channels}, features {arguments.feature_size}x{arguments.feature_size}"
    print(f"{sizes}, batch {arguments.batch_size}, {arguments.tile} attributes at a time")
    times(arguments)
    for form, bar in (("ours", 0.25), ("separate, kept", None)):
        few, many = (_memory(form, factor * arguments.attributes, arguments) for factor in (1, 4))
        print(f"\nmemory of training, {form}")
        row(f"  K = {arguments.attributes}", f"{few:.0f} MB")
        row(f"  K = {4 * arguments.attributes}", f"{many:.0f} MB")
        growth = many / few - 1
        row("  growth", f"{growth:+.0%}", *(("25 %", growth < bar) if bar else ()))


def times(arguments):
    steps = {form: make_step(arguments, form) for form in FORMS}
    print(f"\nforward and backward, K = {arguments.attributes}; medians of {arguments.repeats} rounds")
    for name, step in steps.items():
        row(f"  {name}, first call", f"{seconds(step):.1f} s")
    found = interleaved(steps, arguments.repeats)
    for name, time in found.items():
        row(f"  {name}", f"{1000 * time:.0f} ms")
    for form, bar in (("separate, computed again", 1.0), ("separate, kept", 1.4)):
        ratio = found["ours"] / found[form]
        row(f"  ours / {form}", f"{ratio:.2f}", f"{bar:.2f}", ratio <= bar)


def make_step(arguments, form):
    """A call without arguments: loss, and its gradients in features, maps and all weights."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    shape = (arguments.batch_size, arguments.feature_size, arguments.feature_size)
    features = tf.constant(np.maximum(random.normal(size=(*shape, arguments.channels)), 0), tf.float32)
    maps = tf.constant(random.random((*shape, arguments.attributes)), tf.float32)
    labels = tf.constant(random.integers(0, 2, (shape[0], arguments.attributes)), tf.float32)
    passes = StagePasses(arguments.attributes, make_stage(features.shape[1:]), 1, arguments.tile)
    passes.build()
    crossentropy = SummedCrossentropy(from_logits=True)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch([features, maps])
            if form == "ours":
                logits = passes([features, maps], training=True)
            else:
                logits = separate(passes, features, maps, form == "separate, computed again")
            loss = crossentropy.mean(labels, logits)
        return loss, tape.gradient(loss, [features, maps, *passes.trainable_variables])

    return step


def make_stage(shape):
    inputs = x = keras.Input(shape)
    for strides in (2, 1):
        x = layers.Conv2D(shape[-1], 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, x)


def separate(passes, features, maps, again):
    """K passes of plain Keras, one beside the other."""

    def attribute(weighted, kernel, bias):
        pooled = tf.reduce_mean(passes.stage(weighted, training=True), axis=(1, 2))
        return tf.linalg.matvec(pooled, kernel) + bias

    attribute = tf.recompute_grad(attribute) if again else attribute
    logits = []
    for k in range(passes.attributes):
        weighted = features * (passes.offset + maps[..., k : k + 1])
        logits.append(attribute(weighted, passes.kernel[k], passes.bias[k]))
    return tf.stack(logits, axis=1)


def above_the_built_layer(arguments):
    """Megabytes at the peak of five steps, less those before, of this process."""
    step = make_step(arguments, arguments.measure)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    for _ in range(5):
        step()
    return resident("VmHWM") - before


def _memory(form, attributes, arguments):
    options = {
        "measure": form,
        "attributes": attributes,
        "channels": arguments.channels,
        "feature-size": arguments.feature_size,
        "batch-size": arguments.batch_size,
        "tile": arguments.tile,
    }
    command = [sys.executable, "-m", "tests.benchmarks.perception"]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    command_line.run(main)
