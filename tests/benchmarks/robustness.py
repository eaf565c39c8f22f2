"""What it costs to evaluate many pairs (a, b) at once, beside the identity alone and beside a full pass for each.

    python -m tests.benchmarks.robustness

One batch of images under Gaussian noise through the network of configs/celeba_small.yaml (K = 40, C = 64, features
16x16), random weights: the noise, the extractor, and the attribute heads under (1) the identity alone, (2) the default
pairs of `analysis.pairs` and the control a = 0 (the other control, an offset, follows from the identity), (3) 8
distinct values of b, none of them twice another. Bars: (2) costs at most 2 times (1), and (3) 3 times. Beside them the
plain form: for every pair of (2) the noise, the extractor and the heads again, not compiled. All give the same logits.
About 3 minutes on two cores, most of it the plain form.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

from mam_keras import command_line, config, model
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.network import Network
from tests.benchmarks.timing import interleaved, machine, row

ATTRIBUTES, SIGMA = 40, 0.2
BENDS = (0.3, 0.5, 0.7, 1.5, 2.5, 4.0, 5.5, 7.0)


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.robustness", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="of the batch")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    settings = config.load("configs/celeba_small.yaml", ["data.directory=unused"])
    keras.utils.set_random_seed(0)
    network = Network(model.build(settings, [f"attribute {k}" for k in range(ATTRIBUTES)]))
    size = settings.data.image_size
    images = np.random.default_rng(0).random((arguments.images, size, size, 3), np.float32)
    print(machine())
    print(
        f"K = {ATTRIBUTES}, C = {network.channels}, features {network.grid[0]}x{network.grid[1]}, "
        f"{arguments.images} images; medians of {arguments.repeats} rounds\n"
    )
    default = [network.identity, *settings.analysis.pairs, (0.0, network.identity[1])]
    calls = {
        "identity alone": at_once(network, images, default[:1]),
        f"{len(default)} pairs, {len({b for _, b in default})} values of b": at_once(network, images, default),
        f"{len(BENDS)} values of b": at_once(network, images, [(1.0, b) for b in BENDS]),
        f"plain form, {len(default)} passes": one_by_one(network, images, default),
    }
    results = [call() for call in calls.values()]
    np.testing.assert_allclose(results[1][:-1], results[3], atol=1e-4)  # without the multi-label head
    times = dict(
        zip(("identity", "pairs", "bends", "plain"), interleaved(calls, arguments.repeats).values(), strict=True)
    )
    for name, time in zip(calls, times.values(), strict=True):
        row(name, f"{1000 * time:.0f} ms")
    for name, bar in (("pairs", 2), ("bends", 3)):
        ratio = times[name] / times["identity"]
        row(f"{dict(zip(times, calls, strict=True))[name]} / identity alone", f"{ratio:.2f}", f"{bar}", ratio <= bar)
    row("plain form / all pairs at once", f"{times['plain'] / times['pairs']:.1f}")


def at_once(network, images, pairs):
    answers = network.answers_of_pairs(pairs)
    return lambda: answers(corrupt(images, "noise", SIGMA, 0, 0))


def one_by_one(network, images, pairs):
    logits = tf.function(lambda features, a, b: network.logits(network.heads.scores(features, a, b)))

    def call():
        found = []
        for pair in pairs:
            features = network.features(tf.constant(corrupt(images, "noise", SIGMA, 0, 0)))
            found.append(logits(features, *map(tf.constant, pair)).numpy())
        return np.stack(found)

    return call


if __name__ == "__main__":
    command_line.run(main)
