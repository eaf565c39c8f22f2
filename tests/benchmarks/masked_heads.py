"""How fast the masked heads train, beside the plain form and beside bare matrix products.

    python -m tests.benchmarks.masked_heads

Forward and backward of `PerFeatureMaskedHeads` and `PooledLogits` alone: cross-entropy and the masks' L1 term, with the
gradients of features and all weights, for K = 40, 128 channels, features 16x16, batch 16. In turn: ours compiled by XLA
(`compile_training`), ours not compiled, and K separate Keras branches (`tests/model/plain.py`) in one `tf.function`.
Bar: ours compiled 1.5 times as fast as the branches.

Between them one `tf.matmul` of (N H W, C) with (C, K C), float32: the product that the forward pass cannot do without.
The backward pass needs two more of its size, so three of them are the floor (one more, which computes the masks again,
is ours to pay); their time over ours is the share of the machine's own rate. Bar: 40 %.

Before all that, the first training step of the whole network, which traces and compiles; building it is not counted.
Bar: 25 s. About a minute on two cores, most of it the branches' tracing.
"""

import argparse

import numpy as np
import tensorflow as tf

from mam_keras import command_line
from mam_keras.config import Loss
from mam_keras.model import tiles
from mam_keras.model.losses import SummedCrossentropy
from tests.benchmarks.network import make_batch, make_heads, make_trainer
from tests.benchmarks.timing import interleaved, machine, row, seconds
from tests.model.plain import branches


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.masked_heads", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--attributes", type=int, default=40, help="K")
    parser.add_argument("--channels", type=int, default=128, help="C")
    parser.add_argument("--feature-size", type=int, default=16, help="height and width of the features")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    attributes, channels, size, batch_size, repeats = vars(arguments).values()
    print(machine())
    print(f"K = {attributes}, C = {channels}, features {size}x{size}, batch {batch_size}; medians of {repeats} rounds")
    first_step(attributes, channels, size, batch_size)
    heads_alone(attributes, (batch_size, size, size, channels), repeats)


def first_step(attributes, channels, size, batch_size):
    trainer = make_trainer(attributes, channels, size, batch_size)
    batch = make_batch(attributes, size, batch_size)
    print("\nthe whole network, a training step")
    first = seconds(lambda: trainer.step(*batch))
    row("  first (traces and compiles)", f"{first:.1f} s", "25 s", first <= 25)
    row("  second", f"{1000 * seconds(lambda: trainer.step(*batch)):.0f} ms")


def heads_alone(attributes, shape, repeats):
    channels = shape[-1]
    random = np.random.default_rng(0)
    # As a ReLU leaves them: half of the features are 0
    features = tf.constant(np.maximum(random.normal(size=shape), 0), tf.float32)
    labels = tf.constant(random.integers(0, 2, (shape[0], attributes)), tf.float32)
    rows, kernel = tf.reshape(features, (-1, channels)), tf.random.normal((channels, attributes * channels))
    product = tf.function(lambda: tf.matmul(rows, kernel))
    product()

    tiles._compiled.cache_clear()  # the network's step has compiled the heads, and first calls are to be seen
    heads, pooling, ours = make_heads(attributes, shape, Loss().lambda_)
    forms = {
        "ours, compiled": (ours, True),
        "ours, not compiled": (ours, False),
        "K Keras branches": (branches(heads, pooling, shape), None),
    }
    print("\nmasked heads alone, first call")
    calls, results = {}, {}
    for name, (model, compiled) in forms.items():
        heads.compile_training = bool(compiled)  # read while the step is traced
        calls[name] = _gradients_step(model, features, labels)
        row(f"  {name}", f"{seconds(calls[name]):.1f} s")
        loss, gradients = calls[name]()
        results[name] = [loss, gradients[0]]
    for loss, gradient in results.values():  # the forms compute the same
        plain_loss, plain_gradient = results["K Keras branches"]
        np.testing.assert_allclose(loss, plain_loss, rtol=1e-5)
        np.testing.assert_allclose(gradient, plain_gradient, atol=1e-4 * np.abs(plain_gradient).max())

    print("\nmasked heads alone, forward and backward")
    times = interleaved(calls | {"one product": product}, repeats)
    for name, time in times.items():
        row(f"  {name}", f"{1000 * time:.0f} ms")
    operations = 2 * rows.shape[0] * channels * channels * attributes
    row("  the machine's product rate", f"{operations / times['one product'] / 1e9:.0f} GFLOP/s")
    plain = times["K Keras branches"]
    ratio, share = plain / times["ours, compiled"], 3 * times["one product"] / times["ours, compiled"]
    row("  branches / ours, compiled", f"{ratio:.2f}", "1.5", ratio >= 1.5)
    row("  branches / ours, not compiled", f"{plain / times['ours, not compiled']:.2f}")
    row("  share of the product rate, compiled", f"{share:.0%}", "40 %", share >= 0.4)
    row("  share of the product rate, not compiled", f"{3 * times['one product'] / times['ours, not compiled']:.0%}")


def _gradients_step(model, features, labels):
    """A call without arguments: loss, and its gradients in features and all weights."""
    crossentropy = SummedCrossentropy(from_logits=True)

    @tf.function
    def step(features, labels):
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = crossentropy(labels, model(features, training=True)) + tf.add_n(model.losses)
        return loss, tape.gradient(loss, [features, *model.trainable_variables])

    return lambda: step(features, labels)


if __name__ == "__main__":
    command_line.run(main)
