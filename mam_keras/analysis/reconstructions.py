"""How much of the image do the features still hold? The reconstructor's output beside its input."""

import numpy as np

from mam_keras.analysis.result import Result
from mam_keras.statistics import estimates, resample_weights

NEEDS = {"images", "reconstruction"}
VERSION = 2
SHOWN = 8  # images, from the least error to the largest


def settings(config):
    """The answer depends on the bootstrap."""
    return {"resamples": config.analysis.resamples, "seed": config.seed}


def compute(run, split):
    """Squared error of every image's reconstruction, pixel values in [0, 1], mean over pixels and colours.

    The simple control is one image for all, the mean of these very images: no constant image does better on them.

    Returns:
        `Result` with the value `images` (N) and the arrays

            errors    (N,)   of each image
            mean      (3,)   their mean, with its 95 % bootstrap interval
            control   (3,)   the mean error of the mean image, likewise
            ids       (m,)   of the images shown: at equal steps of rank from the least error to the largest
            shown     (m,)   their errors
            inputs, outputs  uint8 (m, S, S, 3)
    """
    import tensorflow as tf

    from mam_keras.analysis.stream import stream

    images, reconstructor = run.images(split), run.network.computing("reconstruction")

    @tf.function(reduce_retracing=True)
    def reconstruct(batch):
        return reconstructor(batch, training=False)["reconstruction"]

    size = run.config.evaluation.batch_size
    error = tf.function(lambda a, b: tf.reduce_mean(tf.square(a - b), axis=(1, 2, 3)), reduce_retracing=True)
    errors, total = np.empty(len(images)), 0.0
    for rows, batch in stream(images, size, "Reconstructions"):
        errors[rows] = error(batch, reconstruct(batch))
        total = total + np.sum(batch, axis=0, dtype=float)
    mean_image, controls = tf.constant(total / len(images), tf.float32), np.empty(len(images))
    for rows, batch in stream(images, size, "Mean image"):
        controls[rows] = error(batch, mean_image)

    shown = ranks(errors, SHOWN)
    inputs = np.asarray(images.images[shown])
    outputs = reconstruct(tf.constant(inputs, tf.float32) / 255.0).numpy()
    arrays = {
        "errors": errors,
        "ids": images.ids[shown].astype(str),
        "shown": errors[shown],
        "inputs": inputs,
        "outputs": np.round(255 * outputs).astype(np.uint8),
    }
    blocks = []
    for weights in resample_weights(images.units, run.config.analysis.resamples, run.config.seed):
        blocks.append((np.stack([errors, controls]) @ weights / weights.sum(axis=0)).T)
    both = estimates(np.array([errors.mean(), controls.mean()]), np.concatenate(blocks), images.units)
    return Result({"images": len(images)}, arrays | {"mean": both[0], "control": both[1]})


def ranks(errors, most):
    """Rows at equal steps of rank, from the least error to the largest: int (min(most, N),)."""
    places = np.linspace(0, len(errors) - 1, min(most, len(errors)))
    return np.argsort(errors, kind="stable")[np.round(places).astype(int)]
