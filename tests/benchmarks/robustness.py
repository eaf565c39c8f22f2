"""What it costs to evaluate many pairs (a, b) at once, and to score many answers at once, beside one after the other.

    python -m tests.benchmarks.robustness

One batch of images under Gaussian noise through the network of configs/celeba_small.yaml (K = 40, C = 64, features
16x16), random weights: the noise, the extractor, and the attribute heads under (1) the identity alone, (2) the default
pairs of `analysis.pairs` and the control a = 0 (the other control, an offset, follows from the identity), (3) 8
distinct values of b, none of them twice another. Bars: (2) costs at most 2 times (1), and (3) 3 times. Beside them the
plain form: for every pair of (2) the noise, the extractor and the heads again, not compiled. All give the same logits.

Then the scores of 22 answers to 2,000 images of 900 people, as under one condition of celeba_small: balanced accuracy
in 500 resamples and average precision in 200, by `analysis.scoring.Scoring`, beside the plain form, an
`evaluation.Scorer` for each answer. Bar: a third of its time. About 4 minutes on two cores, most of it plain forms.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit

from mam_keras import command_line, config
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.scoring import Scoring
from mam_keras.evaluation import Scorer
from mam_keras.statistics import resample_weights
from tests.benchmarks.timing import interleaved, machine, row
from tests.model.examples import network_of

ATTRIBUTES, SIGMA = 40, 0.2
BENDS = (0.3, 0.5, 0.7, 1.5, 2.5, 4.0, 5.5, 7.0)
ANSWERS, IMAGES, PEOPLE, RESAMPLES, RANKED = 22, 2000, 900, 500, 200


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.robustness", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="of the batch")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    pairs(arguments)
    scores(arguments)


def pairs(arguments):
    settings = config.load("configs/celeba_small.yaml", ["data.directory=unused"])
    keras.utils.set_random_seed(0)
    network = network_of(settings, [f"attribute {k}" for k in range(ATTRIBUTES)])
    size = settings.data.image_size
    images = np.random.default_rng(0).random((arguments.images, size, size, 3), np.float32)
    print(
        f"K = {ATTRIBUTES}, C = {network.channels}, features {network.grid[0]}x{network.grid[1]}, "
        f"{arguments.images} images; medians of {arguments.repeats} rounds\n"
    )
    default = [network.masks.identity, *settings.analysis.pairs, (0.0, network.masks.identity[1])]
    calls = {
        "identity alone": at_once(network, images, default[:1]),
        f"{len(default)} pairs, {len({b for _, b in default})} values of b": at_once(network, images, default),
        f"{len(BENDS)} values of b": at_once(network, images, [(1.0, b) for b in BENDS]),
        f"plain form, {len(default)} passes": one_by_one(network, images, default),
    }
    results = [call() for call in calls.values()]
    np.testing.assert_allclose(results[1], results[3], atol=1e-4)
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
    of_pairs = network.masks.logits_of_pairs(pairs)
    answers = tf.function(lambda spoiled: of_pairs(network.features(spoiled)))
    return lambda: answers(tf.constant(corrupt(images, "noise", SIGMA, 0, 0))).numpy()


def one_by_one(network, images, pairs):
    logits = tf.function(lambda features, a, b: network.masks.logits(features, a, b))

    def call():
        found = []
        for pair in pairs:
            features = network.features(tf.constant(corrupt(images, "noise", SIGMA, 0, 0)))
            found.append(logits(features, *map(tf.constant, pair)).numpy())
        return np.stack(found)

    return call


def scores(arguments):
    random = np.random.default_rng(0)
    labels = random.random((IMAGES, ATTRIBUTES)) < random.uniform(0.02, 0.6, ATTRIBUTES)
    logits = random.normal(size=(ANSWERS, *labels.shape)) + labels
    people = random.integers(0, PEOPLE, IMAGES)
    known, rates = np.ones(labels.shape, bool), np.full(ATTRIBUTES, 0.5)

    def together():
        scoring = Scoring(labels, known, people, RESAMPLES, 0)
        return [scoring(metric, logits) for metric in ("balanced_accuracy", "average_precision")]

    def each():
        found = {"balanced_accuracy": [], "average_precision": []}
        for one in logits:
            scorer, once = Scorer(labels, expit(one), rates), np.ones((IMAGES, 1))
            counted = [once, *resample_weights(people, RESAMPLES, 0)]
            ranked = [once, *resample_weights(people, RANKED, 0)]
            found["balanced_accuracy"].append([scorer.count(block)["balanced_accuracy"] for block in counted])
            found["average_precision"].append([scorer(block)["average_precision"] for block in ranked])
        return [np.stack([np.concatenate(blocks) for blocks in one], axis=1) for one in found.values()]

    for one, other in zip(together(), each(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
    times = interleaved({"together": together, "each": each}, max(1, arguments.repeats // 2))
    print(f"\n{ANSWERS} answers to {IMAGES} images of {PEOPLE} people, K = {ATTRIBUTES}\n")
    row("all answers at once", f"{times['together']:.2f} s")
    row("plain form, one after the other", f"{times['each']:.2f} s")
    share = times["together"] / times["each"]
    row("all at once / plain form", f"{share:.2f}", "0.33", share <= 1 / 3)


if __name__ == "__main__":
    command_line.run(main)
