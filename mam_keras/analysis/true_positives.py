"""On which images is an attribute looked for? Its first true positives; and means over them, with intervals.

What localisation, faithfulness and deletion share. Knows no maps.
"""

import numpy as np

from mam_keras.statistics import defined_mean, estimates, resample_weights

LEAST = 8  # true positives, without which an attribute is not reported


def first(run, images, split, most):
    """The first `most` images on which each target is, as far as that is known, and is found.

    Args:
        run: `trained_run.TrainedRun`, whose answering head finds.
        images: `pipeline.Prepared`.
        split: whose predictions the run may have of these images, so that they need not be made again.

    Returns:
        bool (n, K).
    """
    positives = images.labels & images.known & _found(run, images, split)
    return positives & (np.cumsum(positives, axis=0) <= most)


def pixels(images, rows):
    """Images of a `Prepared` as networks take them: float32 (n, S, S, 3) in [0, 1]."""
    return np.asarray(images.images[rows], np.float32) / np.float32(255)


def batches(rows, most):
    """Rows in parts of at most so many."""
    return [rows[start : start + most] for start in range(0, len(rows), most)]


def _found(run, images, split):
    """Which targets the answering head finds: bool (n, K)."""
    kept = run.predictions(split)
    if kept is not None and np.array_equal(kept.ids, images.ids):
        return kept.answers(kept.main_head)
    import tensorflow as tf

    from mam_keras.analysis.stream import stream

    logits = tf.function(run.network.logits, reduce_retracing=True)
    answers = [logits(batch).numpy() for _, batch in stream(images, run.config.evaluation.batch_size, "Answers")]
    return run.network.answers(np.concatenate(answers))


def summary(measured, units, resamples, seed, subsets=None):
    """Means over each attribute's images, and over attributes, of M methods, and the first method less the others.

    Attributes with fewer than `LEAST` images are undefined (NaN) and are not in the mean over attributes.

    Args:
        measured: {MEASURE: float (n, K, M)}, NaN on images that an attribute is not looked for on, in all the same.
        units: int (n,), of which the bootstrap resamples whole ones (people, or images).
        subsets: {NAME: bool (K,)}, attributes over which there are means, too.

    Returns:
        Arrays, each with its value and the ends of its 95 % interval last: MEASURE float (K, M, 3) of the methods,
        MEASURE.mean (M, 3) their means over attributes, MEASURE.difference (K, M - 1, 3) the differences first method -
        other method, MEASURE.difference.mean (M - 1, 3) theirs; NAME.MEASURE.mean, NAME.MEASURE.difference.mean.
        Differences are paired: the same images, the same resamples.
    """
    joined = np.concatenate(list(measured.values()), axis=2)
    there = (~np.isnan(joined[:, :, 0])).astype(float)
    reported, shape = there.sum(axis=0) >= LEAST, joined.shape[1:]
    filled = np.nan_to_num(joined).astype(float).reshape(len(joined), -1)

    def means(weights):
        """weights (n, B) -> float (B, K, all methods)."""
        counts, sums = weights.T @ there, (weights.T @ filled).reshape(weights.shape[1], *shape)
        defined = (counts > 0) & reported
        return np.divide(sums, counts[..., None], out=np.full_like(sums, np.nan), where=defined[..., None])

    value = means(np.ones((len(joined), 1)))
    resampled = np.concatenate([means(weights) for weights in resample_weights(units, resamples, seed)])
    arrays, start = {}, 0
    for measure, values in measured.items():
        methods = values.shape[2]
        each = [_with_differences(array[..., start : start + methods]) for array in (value, resampled)]
        start += methods
        estimated = estimates(each[0][0], each[1], units)
        arrays |= {measure: estimated[:, :methods], f"{measure}.difference": estimated[:, methods:]}
        for name, of in {"": slice(None), **(subsets or {})}.items():
            over = [defined_mean(np.moveaxis(array[:, of], 1, -1)) for array in each]
            mean, key = estimates(over[0][0], over[1], units), f"{name}.{measure}".lstrip(".")
            arrays |= {f"{key}.mean": mean[:methods], f"{key}.difference.mean": mean[methods:]}
    return arrays


def _with_differences(means):
    """(..., M) -> (..., 2 M - 1): of the methods, and of the first one less each other."""
    return np.concatenate([means, means[..., :1] - means[..., 1:]], axis=-1)
