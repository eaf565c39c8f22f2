"""How fast and how lean the exported model answers, loaded as anybody would load it. Linux only.

    python -m tests.benchmarks.serving

The whole network (K = 40, C = 128, images 128x128, features 32x32, as in configs/celeba.yaml), not trained, is exported
to a temporary folder and loaded by `tf.saved_model.load`.
(1) Medians of interleaved calls with 1, 8 and 32 images: `serving_default` beside Keras's own `predict_on_batch` on the
same images, bar: 1.1 times as long; `explain` beside `classify_transformed`, bar: 1.5 times.
(2) `explain` with 32 images in a process of its own: the highest resident memory from the first call on, less the
resident memory of the loaded model. Bar: 1 GB. The masks alone would take 671 MB at once, and as much again for every
step of their transformation.
About 6 minutes on two cores.
"""

import argparse
import gc
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from mam_keras import command_line
from tests.benchmarks.timing import interleaved, machine, row

ATTRIBUTES, CHANNELS = 40, 128


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("--feature-size", type=int, default=32, help="height and width of the features")
    parser.add_argument("--repeats", type=int, default=7, help="calls per figure with 32 images; with fewer, more")
    parser.add_argument("--measure", metavar="SAVED_MODEL", help="memory of `explain` alone, in this process")
    arguments = parser.parse_args()
    if arguments.measure:
        print(above_the_loaded_model(arguments.measure))
        return
    print(machine())
    print(f"K = {ATTRIBUTES}, C = {CHANNELS}, features {arguments.feature_size}x{arguments.feature_size}")
    with tempfile.TemporaryDirectory() as folder:
        model, path = export(arguments.feature_size, folder)
        latency(model, path, arguments.repeats)
        memory(path)


def export(feature_size, folder):
    from mam_keras.export.run import write
    from tests.benchmarks.network import make_trainer

    network = make_trainer(ATTRIBUTES, CHANNELS, feature_size, batch_size=32).network
    return network.model, write(network, {"preparation": {"fit": "crop"}}, folder)[0]


def latency(model, path, repeats):
    loaded = tf.saved_model.load(path)
    size = model.input_shape[1]
    for count in (1, 8, 32):
        inputs = _inputs(size, count)
        image, scaled = inputs["image"], inputs["image"].numpy() / np.float32(255)
        calls = {
            "predict_on_batch": lambda scaled=scaled: model.predict_on_batch(scaled),
            "serving_default": lambda image=image: loaded.signatures["serving_default"](image=image),
            "classify_transformed": lambda inputs=inputs: loaded.signatures["classify_transformed"](**inputs),
            "explain": lambda inputs=inputs: loaded.signatures["explain"](**inputs),
        }
        np.testing.assert_allclose(
            calls["serving_default"]()["multi_label"], calls["predict_on_batch"]()["multi_label"], atol=1e-5
        )
        interleaved(calls, 1)
        times = interleaved(calls, repeats * {1: 6, 8: 3, 32: 1}[count])
        print(f"\nlatency, {count} images")
        for name, seconds in times.items():
            row(f"  {name}", f"{1000 * seconds:,.0f} ms")
        for name, beside, bar in (
            ("serving_default", "predict_on_batch", 1.1),
            ("explain", "classify_transformed", 1.5),
        ):
            ratio = times[name] / times[beside]
            row(f"  {name} / {beside}", f"{ratio:.2f}", f"{bar}", ratio <= bar)


def memory(path):
    command = [sys.executable, "-m", "tests.benchmarks.serving", "--measure", str(path)]
    above = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    print("\nmemory above the loaded model")
    row("  explain, 32 images", f"{above:,.0f} MB", "1,000 MB", above < 1000)


def above_the_loaded_model(path):
    """Megabytes at the peak of three calls of `explain`, less those before, of this process."""
    explain = tf.saved_model.load(path).signatures["explain"]
    inputs = _inputs(explain.structured_input_signature[1]["image"].shape[1], 32)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _resident("VmRSS")
    for _ in range(3):
        explain(**inputs)
    return _resident("VmHWM") - before


def _inputs(size, count):
    random = np.random.default_rng(0)
    return {
        "image": tf.constant(random.integers(0, 256, (count, size, size, 3), np.uint8)),
        "a": tf.constant(random.uniform(0, 2, count), tf.float32),
        "b": tf.constant(random.uniform(0.5, 4, count), tf.float32),
    }


def _resident(name):
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6


if __name__ == "__main__":
    command_line.run(main)
