"""What does a network cost? Its parameters, and the time that training and answering took on this machine."""

import math
import time
from statistics import median

from mam_keras import records
from mam_keras.analysis.result import Result
from mam_keras.statistics import Estimate

NEEDS = ("predictions", "images")
VERSION = 1
REPEATS = 5  # batches that are timed, after one that is not


def settings(config):
    """The answer depends on how many images are answered at once."""
    return {"batch_size": config.evaluation.batch_size}


def compute(run, split):
    """Counts and times, beside whatever else the machine does: times of different days compare badly.

    Returns:
        `Result` with the values

            parameters   numbers that training changes
            trained      ms of training an image, in the median epoch; None where the run left no history
            answered     ms of answering an image, the median of `REPEATS` batches
            batch        how many images are answered at once
    """
    import tensorflow as tf

    network, images = run.network, run.images(split).images
    batch = min(run.config.evaluation.batch_size, len(images))
    pixels = tf.constant(images[:batch])
    answer = tf.function(lambda pixels: network.logits(tf.cast(pixels, tf.float32) / 255.0))
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        answer(pixels).numpy()
        times.append(time.perf_counter() - start)
    history = records.history(run.directory, run.config.training.early_stopping is not None)
    values = {
        "parameters": sum(math.prod(weight.shape) for weight in network.model.trainable_weights),
        "trained": 1000 / median(row["images_per_second"] for row in history) if history else None,
        "answered": 1000 * median(times[1:]) / batch,
        "batch": batch,
    }
    return Result(values, {})


def headline(result):
    """`parameters`; `training_ms` and `answering_ms` an image."""
    names = {"parameters": "parameters", "trained": "training_ms", "answered": "answering_ms"}
    found = {name: result.values[key] for key, name in names.items()}
    return {name: Estimate(value, None, None) for name, value in found.items() if value is not None}
