"""How fast do answers fade with noise? One number, cheaper than all of `robustness`: for searches and studies."""

import numpy as np

from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.result import Result
from mam_keras.analysis.scoring import Scoring
from mam_keras.statistics import Estimate, defined_mean, estimates

NEEDS = ("images",)
VERSION = 1


def settings(config):
    """The answer depends on the noise and on the bootstrap."""
    return {
        "sigmas": list(config.analysis.sigmas),
        "clip": config.analysis.clip,
        "resamples": config.analysis.resamples,
        "seed": config.seed,
    }


def compute(run, split):
    """Area under the curve of balanced accuracy (mean over targets) against the noise's sigma, over sigma's span.

        1 / (s_S - s_1) sum_i (s_{i+1} - s_i) (B(s_i) + B(s_{i+1})) / 2,   s_1 < ... < s_S of `analysis.sigmas`

    It is in [0, 1], and B(s_1) where there is one sigma only. The noisy images are those of `robustness`; the network
    answers as it was trained.

    Returns:
        `Result` with the values `attributes`, `images`, and the arrays `sigmas` (S,), `balanced_accuracy` (S,), and
        `area` (3,), with its 95 % bootstrap interval; NaN where it is undefined.
    """
    import tensorflow as tf

    from mam_keras.analysis.stream import stream

    config, images = run.config, run.images(split)
    sigmas = np.unique(config.analysis.sigmas)
    answer = tf.function(run.network.logits, reduce_retracing=True)
    logits = []
    for sigma in sigmas:
        batches = stream(images, config.evaluation.batch_size, f"Noise {sigma:g}")
        parts = [
            answer(corrupt(batch.numpy(), "noise", sigma, config.seed, rows.start, config.analysis.clip)).numpy()
            for rows, batch in batches
        ]
        logits.append(np.concatenate(parts))
    asked = config.analysis.resamples, config.seed, run.targets.exclusive
    scoring = Scoring(images.labels, images.known, images.units, *asked)
    curve = defined_mean(scoring("balanced_accuracy", np.stack(logits)))  # (1 + resamples, S)
    span = sigmas[-1] - sigmas[0]
    area = np.trapezoid(curve, sigmas, axis=1) / span if span else curve[:, 0]
    arrays = {
        "sigmas": sigmas,
        "balanced_accuracy": curve[0],
        "area": estimates(area[0], area[1:], images.units),
    }
    return Result({"attributes": list(run.attributes), "images": len(images)}, arrays)


def headline(result):
    """`noise_robustness`, the area."""
    return {"noise_robustness": Estimate.of(result.arrays["area"])}
