"""How fast images come: decoded from real JPEGs, then from the cache, then into real training steps.

    python -m tests.benchmarks.pipeline --directory ../shared/celeba

(1) `pipeline.read` prepares the first images of CelebA's training split to 64x64, their files warm in the operating
system's cache; beside it a Python loop over the same files. Bar: 1,200 images/s on two cores.
(2) `training_batches` draws epochs from that cache, mirrored, moved by up to 4 pixels, in batches of 32, as
configs/celeba_small.yaml has it; beside it a `tf.data` pipeline that mirrors and crops image by image. Bar: 10,000
images/s.
(3) An epoch of configs/celeba_small.yaml's model, drawn as the `Trainer` draws it: time spent waiting for the next
batch, the opening of the epoch included, over the time of the whole. Bar: less than 3 %. One step, which traces and
compiles, goes before. Where steps run on a device of their own, the end of the last one is waited for.
About 2 minutes on two cores.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from mam_keras import command_line, config, data
from mam_keras.data import pipeline
from mam_keras.data.augmentation import Augmentation
from mam_keras.data.images import prepare, read
from mam_keras.fit.loop import Objective, Trainer
from mam_keras.fit.optimizer import make_optimizer
from tests.benchmarks.timing import interleaved, machine, row, seconds
from tests.model.examples import network_of


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--directory", required=True, help="CelebA in its official layout")
    parser.add_argument("--images", type=int, default=4000, help="how many of the training images")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="of the training epoch, at most")
    arguments = parser.parse_args()
    settings = config.load(
        "configs/celeba_small.yaml",
        [f"data.directory={arguments.directory}", f"data.limit={arguments.images}"],
    )
    print(machine())
    source = data.load(settings.data)
    prepared = from_files(source.splits["train"], settings.data, arguments.repeats)
    from_cache(prepared, settings, arguments.repeats)
    waiting(prepared, source.attributes, settings, arguments.steps)


def from_files(split, settings, repeats):
    """Measures (1) and returns the prepared images."""
    folder = Path(settings.directory) / "img_align_celeba"
    paths = [str(folder / name) for name in split.ids]
    for path in paths:
        Path(path).read_bytes()
    some = paths[: max(1, len(paths) // 8)]  # the loop is slow; rates are per image
    prepared = []

    def ours():
        prepared[:] = [pipeline.read(split, "train", settings)]

    def plain():
        return np.stack([prepare(read(tf.io.read_file(path))[0], settings.image_size).numpy() for path in some])

    np.testing.assert_array_equal(pipeline.read(split, "train", settings).images[: len(some)], plain())
    times = interleaved({"ours": ours, "plain": plain}, repeats)
    _rates("decoded and prepared", len(split) / times["ours"], len(some) / times["plain"], 1200)
    return prepared[0]


def from_cache(prepared, settings, repeats):
    """Measures (2)."""
    size, shift, batch_size = settings.data.image_size, settings.data.shift, settings.training.batch_size
    images, labels = prepared.images, prepared.labels.astype(np.float32)
    epochs = itertools.count()

    def ours():
        for _ in pipeline.training_batches(
            prepared, batch_size, settings.seed, next(epochs), Augmentation.of(settings.data)
        ):
            pass

    def augment(seed, image, label):
        image = tf.image.stateless_random_flip_left_right(image, (seed, 0))
        image = tf.pad(image, ((shift, shift), (shift, shift), (0, 0)), "SYMMETRIC")
        return tf.image.stateless_random_crop(image, (size, size, 3), (seed, 1)), label

    dataset = tf.data.Dataset.from_tensor_slices((np.arange(len(images)), images, labels)).shuffle(len(images))
    dataset = dataset.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def plain():
        for _ in dataset:
            pass

    ours(), plain()
    times = interleaved({"ours": ours, "plain": plain}, repeats)
    count = len(images) // batch_size * batch_size
    _rates("from cache, augmented, batched", count / times["ours"], count / times["plain"], 10_000)


def waiting(prepared, attributes, settings, most):
    """Measures (3)."""
    training = settings.training
    network = network_of(settings, attributes)
    network.model.compile(make_optimizer(training, len(prepared) // training.batch_size), **network.losses())
    trainer = Trainer(network, settings, Objective(network), tf.distribute.get_strategy())

    def batches(epoch):
        return iter(trainer._training_batches(prepared, epoch))

    images, labels = next(batches(0))
    seconds(lambda: trainer.step(images, labels))
    steps = min(most, len(prepared) // training.batch_size)
    waited = 0.0
    start = before = time.perf_counter()
    drawn = batches(1)
    for _ in range(steps):
        images, labels = next(drawn)
        waited += time.perf_counter() - before
        trainer.step(images, labels)
        before = time.perf_counter()
    tf.test.experimental.sync_devices()
    whole = time.perf_counter() - start
    print(f"\ntraining, {steps} steps of {training.batch_size}, {len(attributes)} attributes")
    row("  a step", f"{1000 * whole / steps:.0f} ms")
    row("  waiting for its batch", f"{waited / whole:.2%}", "under 3 %", waited < 0.03 * whole)


def _rates(name, ours, plain, bar):
    print(f"\n{name}")
    row("  plain form", f"{plain:,.0f} /s")
    row("  ours", f"{ours:,.0f} /s", f"{bar:,} /s", ours >= bar)
    row("  ratio", f"{ours / plain:.1f}")


if __name__ == "__main__":
    command_line.run(main)
