"""Whatever requests of bytes come, an answer in bounded time and memory. Linux only.

    python -m tests.benchmarks.fuzz runs/demo/saved_model/1 --requests 10000

Every request asks one of the `_bytes` signatures about 1 to 8 images: sound ones of every format, turned and mutated
ones, ones at a bound and beyond it, and no image at all; pairs (a, b) are in range, beyond it, huge and not finite. One
sound image goes along and is answered as it is alone, so that nothing leaks from row to row. Bars: rows that are valid
are finite and others NaN; no request takes over 15 s; memory stays within 1,024 MB of what it was after the first
hundred requests. A crash ends this process; with `--seed` the same requests come again. About 5 minutes on two cores.
"""

import argparse
import resource
import time

import numpy as np
import tensorflow as tf

from tests.benchmarks.timing import machine, row
from tests.export import encoded
from tests.export.encoded import picture, tagged
from tests.export.test_hostile_images import mutate

NUMBERS = (0.5, 1.0, 2.0, 8.0) * 5 + (0.0, 1e-30, 1e30, 3e38, -1.0, np.inf, -np.inf, np.nan)


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("saved_model")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    loaded = tf.saved_model.load(arguments.saved_model)
    served = {name: one for name, one in loaded.signatures.items() if name.endswith("_bytes")}
    takes_pair = {name: "a" in one.structured_input_signature[1] for name, one in served.items()}
    sound, hostile, companion = originals()
    random = np.random.default_rng(arguments.seed)
    alone = {name: ask(served[name], [companion], [1.0], [1.0], takes_pair[name]) for name in served}
    slowest, before, valid, total = 0.0, 0, 0, 0
    start = time.perf_counter()
    for number in range(arguments.requests):
        name = list(served)[number % len(served)]
        images = [draw(random, sound, hostile) for _ in range(random.integers(1, 9))]
        a, b = (random.choice(NUMBERS, len(images)).tolist() for _ in range(2))
        asked = time.perf_counter()
        answer = ask(served[name], [*images, companion], [*a, 1.0], [*b, 1.0], takes_pair[name])
        slowest = max(slowest, time.perf_counter() - asked)
        check(answer, alone[name], f"request {number} of seed {arguments.seed}, {name}")
        valid, total = valid + answer["valid"][:-1].sum(), total + len(images)
        before = highest_memory() if number < 100 else before
    print(machine())
    print(f"{arguments.requests:,} requests with {total:,} images, {valid / total:.0%} of them valid")
    print(f"{time.perf_counter() - start:,.0f} s, seed {arguments.seed}")
    row("  the slowest request", f"{slowest:.1f} s", "15 s", slowest <= 15)
    grown = highest_memory() - before
    row("  memory grew by", f"{grown / 1e6:,.0f} MB", "1,024 MB", grown <= 1.024e9)


def highest_memory():
    """Resident, since the start, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def originals():
    """Images that are mutated and turned; images that are sent as they are; one that is sound."""
    sound = list(encoded.sound().values())
    sound += [tagged(picture(), tag, form, big) for tag in (3, 6) for form in ("JPEG", "PNG", "WEBP") for big in (0, 1)]
    at_bounds = [encoded.scans(500), encoded.scans(20, 5792), encoded.texts(10), encoded.texts(10, b"iTXt")]
    beyond = [encoded.scans(20_000), encoded.texts(2000), *encoded.huge().values(), *encoded.unreadable().values()]
    return [np.frombuffer(one, np.uint8) for one in sound], at_bounds + beyond, sound[0]


def draw(random, sound, hostile):
    kind = random.random()
    if kind < 0.05:
        return hostile[random.integers(len(hostile))]
    if kind < 0.1:
        return random.bytes(random.integers(200))
    original = sound[random.integers(len(sound))]
    return original.tobytes() if kind < 0.25 else mutate(original, random)


def ask(signature, images, a, b, takes_pair):
    pair = {"a": tf.constant(a, tf.float32), "b": tf.constant(b, tf.float32)} if takes_pair else {}
    return {name: value.numpy() for name, value in signature(image_bytes=tf.constant(images), **pair).items()}


def check(answer, alone, where):
    valid = answer["valid"]
    for name, value in answer.items():
        if name != "valid":
            assert np.isfinite(value[valid]).all(), f"{where}: {name} is not finite where valid"
            assert np.isnan(value[~valid]).all(), f"{where}: {name} says something where not valid"
            np.testing.assert_allclose(value[-1], alone[name][0], rtol=1e-4, atol=1e-5, err_msg=f"{where}: {name}")


if __name__ == "__main__":
    main()
