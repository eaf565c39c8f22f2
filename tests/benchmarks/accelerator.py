"""How fast the whole network trains on the device that is there, GPU or CPU, by TensorFlow or by JAX.

    python -m tests.benchmarks.accelerator
    KERAS_BACKEND=jax python -m tests.benchmarks.accelerator     # also where no TensorFlow is installed

The network of configs/celeba.yaml, K = 40, C = 128, images 128x128 (features 32x32): a training step, gradients and
optimizer included, on a batch that is on the device already. Every row is a process of its own. On TensorFlow the step
is the `Trainer`'s: without XLA, with compiled heads (`training.xla: auto`) and compiled as a whole; JAX always
compiles.

Peak: the rate of a product of two large square matrices of the same precision, measured in the same process, and for
GPUs that we know what their maker states (dense, float32 by TF32). The step's operations are counted on three times the
forward pass's products, as if the backward pass computed no mask again. Memory is the device's highest; on a CPU, the
process's highest less that of the built model.
"""

import argparse
import gc
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

STATED = {  # TFLOP/s of float32 by TF32 and of bfloat16, both dense
    "H100": (494.7, 989.4),
    "H200": (494.7, 989.4),
    "A100": (156.0, 312.0),
    "L4": (60.5, 121.0),
}
PRECISIONS = ("float32", "bfloat16")
XLA = {"tensorflow": ("off", "auto", "on"), "jax": ("on",)}


def main():
    parser = argparse.ArgumentParser("python -m tests.benchmarks.accelerator", description=__doc__.splitlines()[0])
    parser.add_argument("--attributes", type=int, default=40, help="K")
    parser.add_argument("--channels", type=int, default=128, help="C")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="timed, after two that are not")
    parser.add_argument("--precision", choices=PRECISIONS, help="this one alone")
    parser.add_argument("--measure", nargs=2, metavar=("PRECISION", "XLA"), help="one row alone, in this process")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments, *arguments.measure)))
        return
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    sizes = {name: getattr(arguments, name) for name in ("attributes", "channels", "image_size", "batch_size", "steps")}
    print(f"{backend}; {', '.join(f'{name} {value}' for name, value in sizes.items())}")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in sizes.items()]
    print("precision  XLA    images/s  ms/step   TFLOP/s  of product  of stated  memory   device")
    for precision in (arguments.precision,) if arguments.precision else PRECISIONS:
        for xla in XLA[backend]:
            command = [sys.executable, "-m", "tests.benchmarks.accelerator", "--measure", precision, xla, *options]
            done = subprocess.run(command, capture_output=True, text=True)
            print(f"{precision:<10} {xla:<5} {_row(done)}", flush=True)


def measure(arguments, precision, xla):
    """One row: the step's seconds, operations, memory, and the product's rate."""
    import keras

    keras.utils.set_random_seed(0)
    if precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    network, step, wait = (_tensorflow if keras.backend.backend() == "tensorflow" else _jax)(arguments, xla)
    for _ in range(2):
        wait(step())
    gc.collect()
    times = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        wait(step())
        times.append(time.perf_counter() - start)
    device, memory = _device()
    return {
        "seconds": median(times),
        "images": arguments.batch_size,
        "operations": 3 * arguments.batch_size * _forward_operations(network),
        "memory": memory,
        "product": _product_rate(precision, wait, 2048 if device == "CPU" else 8192),
        "stated": _stated(device, precision),
        "device": device,
    }


def _settings(arguments, xla):
    from mam_keras import config

    changes = {
        "data.image_size": arguments.image_size,
        "model.channels": arguments.channels,
        "training.batch_size": arguments.batch_size,
        "training.xla": xla,
    }
    return config.load("configs/celeba.yaml", [f"{key}={value}" for key, value in changes.items()])


def _batch(arguments):
    import numpy as np

    random, size = np.random.default_rng(0), arguments.image_size
    images = random.integers(0, 256, (arguments.batch_size, size, size, 3), np.uint8)
    return images, random.integers(0, 2, (arguments.batch_size, arguments.attributes)).astype("float32")


def _tensorflow(arguments, xla):
    """The network, a call that trains a step, and one that waits for its result."""
    import tensorflow as tf

    from mam_keras.fit.loop import Objective, Trainer
    from mam_keras.fit.optimizer import make_optimizer
    from tests.model.examples import network_of

    settings = _settings(arguments, xla)
    network = network_of(settings, [f"attribute {k}" for k in range(arguments.attributes)])
    network.model.compile(optimizer=make_optimizer(settings.training, 100))
    trainer = Trainer(network, settings, Objective(network), tf.distribute.get_strategy())
    batch = [tf.identity(array) for array in _batch(arguments)]
    _note_memory()
    return network.model, lambda: trainer.step(*batch)["loss"], float


def _jax(arguments, xla):
    """As `_tensorflow`: the same losses and optimizer, with Keras's stateless forms, compiled as a whole."""
    import jax

    from mam_keras.fit.optimizer import make_optimizer
    from mam_keras.model.losses import ReconstructionError, SummedCrossentropy
    from mam_keras.systems.masked import reconstruction_divisor
    from tests.model.examples import network_of

    settings = _settings(arguments, xla)
    network = network_of(settings, [f"attribute {k}" for k in range(arguments.attributes)])
    inner, optimizer = network.parts, make_optimizer(settings.training, 100)
    optimizer.build(inner.trainable_variables)
    crossentropy = SummedCrossentropy(from_logits=True)
    error, weights = ReconstructionError(reconstruction_divisor(settings)), settings.loss

    def loss(trained, others, images, labels):
        outputs, others, penalties = inner.stateless_call(trained, others, images, training=True, return_losses=True)
        total = weights.alpha * crossentropy(labels, outputs["attributes"])
        total += weights.beta * crossentropy(labels, outputs["multi_label"])
        total += weights.gamma * error(images, outputs["reconstruction"])
        return total + sum(penalties), others

    @jax.jit
    def train(state, images, labels):
        trained, others, slots = state
        images = images.astype("float32") / 255.0
        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(trained, others, images, labels)
        trained, slots = optimizer.stateless_apply(slots, gradients, trained)
        return (trained, others, slots), value

    groups = (inner.trainable_variables, inner.non_trainable_variables, optimizer.variables)
    state = tuple([variable.value for variable in group] for group in groups)
    batch = jax.device_put(_batch(arguments))
    _note_memory()

    def step():
        nonlocal state
        state, value = train(state, *batch)
        return value

    return network.model, step, float


def _forward_operations(network):
    """Of one image: two for each product of a convolution, a dense layer or a mask."""
    operations = 0
    for layer in network.layers:
        kernel = getattr(layer, "mask_kernel", None) if layer.name == "attribute_scores" else None
        kernel = getattr(layer, "kernel", None) if kernel is None else kernel
        if kernel is not None:
            positions = layer.output.shape[1:-1] if len(layer.output.shape) == 4 else ()
            operations += 2 * math.prod(kernel.shape) * math.prod(positions)
    return operations


def _product_rate(precision, wait, side):
    """Operations a second of a product of two square matrices."""
    import keras
    from keras import ops

    matrix = ops.cast(keras.random.normal((side, side)), precision)
    if keras.backend.backend() == "jax":
        import jax

        product = jax.jit(lambda a: ops.sum(ops.cast(ops.matmul(a, a), "float32")))
    else:
        import tensorflow as tf

        product = tf.function(lambda a: ops.sum(ops.cast(ops.matmul(a, a), "float32")))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        wait(product(matrix))
        times.append(time.perf_counter() - start)
    return 2 * side**3 / median(times[2:])


def _device():
    """Its name and the highest memory in use, in bytes."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            return device.device_kind, device.memory_stats()["peak_bytes_in_use"]
    else:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            name = tf.config.experimental.get_device_details(gpus[0])["device_name"]
            return name, tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return "CPU", _resident("VmHWM") - _note_memory.before


def _note_memory():
    """The model is built: on a CPU the peak counts from here."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    _note_memory.before = _resident("VmRSS")


def _resident(name):
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def _stated(device, precision):
    """TFLOP/s that the maker states, None for a device that we do not know."""
    for name, rates in STATED.items():
        if re.search(rf"\b{name}\b", device):
            return rates[PRECISIONS.index(precision)]
    return None


def _row(done):
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return f"failed: {lines[-1] if lines else done.returncode}"
    found = json.loads(done.stdout.splitlines()[-1])
    rate = found["operations"] / found["seconds"]
    stated = f"{rate / (1e12 * found['stated']):.0%}" if found["stated"] else "-"
    return (
        f"{found['images'] / found['seconds']:>9,.1f} {1000 * found['seconds']:>8,.0f} {rate / 1e12:>9.2f} "
        f"{rate / found['product']:>11.0%} {stated:>10} {found['memory'] / 1e6:>6,.0f} MB  {found['device']}"
    )


if __name__ == "__main__":
    main()
