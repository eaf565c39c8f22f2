"""How good is a trained run on validation: accuracy, robustness to noise, localisation, openness of its masks.

Everything is asked about the validation images, by the functions that make the report. Knows no search, no study.
"""

import json

import numpy as np

from mam_keras.analysis import Unavailable, regions, result_of
from mam_keras.analysis.corruptions import corrupt
from mam_keras.analysis.result import Result
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.evaluation import Scorer, defined_mean, estimates, resample_weights

MEASURES = (
    "balanced_accuracy",
    "accuracy",
    "noise_robustness",
    "localisation",
    "localised",
    "mask_mean",
    "mask_near_zero",
)


def settings(config):
    """The answer depends on the noise, on where the attributes are, and on the bootstrap."""
    own = config.model_copy(update={"analysis": config.analysis.model_copy(update={"parts": None})})
    return {
        "sigmas": list(config.analysis.sigmas),
        "clip": config.analysis.clip,
        "regions": regions.settings(own),
        "resamples": config.analysis.resamples,
        "seed": config.seed,
    }


def compute(run):
    """What `measure` gives, as the values of a `Result`."""
    return Result(measure(run.directory))


def measure(directory) -> dict:
    """A finished `RunDirectory` on its validation images: {"measures": {MEASURE: value}, "intervals": ...}.

    A value is None where a run has no such thing. "intervals" has [low, high], 95 % over the images, of the first four
    as far as they are defined.

        balanced_accuracy, accuracy   mean over attributes, of the attribute heads (the multi-label head without them)
        noise_robustness              see `noise_robustness`
        localisation                  `ratio` of `analysis.localisation`, the maps' energy inside the attribute's region
                                      over the region's share of the image (1 is chance), mean over the attributes
                                      with a small region and enough true positives
        localised                     how many attributes these are; fewer where a run finds fewer, perhaps easier ones
        mask_mean                     mean mask value over attributes, channels, positions and images
        mask_near_zero                share of mask values below 0.1
    """
    run = TrainedRun(directory.path, ["analysis.split=validation", "analysis.parts=null"])  # parts are other images
    heads = json.loads(directory.evaluation.read_text(encoding="utf-8"))["splits"]["validation"]["heads"]
    head = next(iter(heads.values()))
    found = {name: (head["mean"][name], *head["interval"][name]) for name in ("balanced_accuracy", "accuracy")}
    found["noise_robustness"] = noise_robustness(run)
    found["localisation"] = _of(run, "localisation", _ratio)
    found["localised"] = _of(run, "localisation", _localised)
    found["mask_mean"] = _of(run, "masks", lambda masks: [masks.arrays["mean"].mean()])
    found["mask_near_zero"] = _of(run, "masks", lambda masks: [masks.arrays["near_zero"].mean()])
    found = {name: [_plain(number) for number in numbers] for name, numbers in found.items()}
    return {
        "measures": {name: value for name, (value, *_) in found.items()},
        "intervals": {name: ends for name, (_, *ends) in found.items() if None not in ends and ends},
    }


def noise_robustness(run):
    """Area under the curve of balanced accuracy (mean over attributes) against the noise's sigma, over sigma's span.

        1 / (s_S - s_1) sum_i (s_{i+1} - s_i) (B(s_i) + B(s_{i+1})) / 2,   s_1 < ... < s_S of `analysis.sigmas`

    It is in [0, 1], and B(s_1) where there is one sigma only. The noisy images are those of `analysis.robustness`.

    Args:
        run: `TrainedRun`.

    Returns:
        float (3,): the value and the ends of its 95 % bootstrap interval; NaN where it is undefined.
    """
    import tensorflow as tf

    from mam_keras.analysis.network import stream

    settings, images, parts = run.config.analysis, run.images("validation"), run.network.parts
    sigmas = np.unique(settings.sigmas)
    head = "attribute_logits" if "attribute_logits" in parts.output else "multi_label_logits"
    answer = tf.function(lambda batch: tf.sigmoid(parts(batch, training=False)[head]), reduce_retracing=True)
    scorers = []
    for sigma in sigmas:
        batches = stream(images, run.config.evaluation.batch_size, f"Noise {sigma:g}")
        probabilities = [
            answer(corrupt(batch.numpy(), "noise", sigma, run.config.seed, rows.start, settings.clip))
            for rows, batch in batches
        ]
        scorers.append(Scorer(images.labels, np.concatenate(probabilities), run.training_rates))

    def area(weights):
        curve = np.stack([defined_mean(scorer.count(weights)["balanced_accuracy"]) for scorer in scorers])
        return np.trapezoid(curve, sigmas, axis=0) / (sigmas[-1] - sigmas[0]) if len(sigmas) > 1 else curve[0]

    resampled = [area(weights) for weights in resample_weights(images.units, settings.resamples, run.config.seed)]
    return estimates(area(np.ones((len(images), 1)))[0], np.concatenate(resampled), images.units)


def _ratio(localisation):
    """Of the maps, on the regions of the validation images (the only ones where there are no parts)."""
    (regions,) = localisation.values["sets"]
    return localisation.arrays[f"{regions}.small.ratio.mean"][0]


def _localised(localisation):
    (regions,) = localisation.values["sets"]
    return [len(localisation.values[regions]["small"])]


def _of(run, analysis, numbers):
    try:
        return numbers(result_of(run, analysis))
    except Unavailable:
        return [None]


def _plain(number):
    if number is None or np.isnan(number):
        return None
    return number if isinstance(number, int) else float(number)
