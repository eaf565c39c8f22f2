"""Is a picture like those that a network can be asked about? By its features; how often that is wrong is measured.

The distance of a picture is that of Mahalanobis to reference images (Lee et al. 2018, A simple unified framework for
detecting out-of-distribution samples). Our readings: its features are the mean and the standard deviation of each
channel over the positions, at every stage of the network, each over its own spread among the references; their
covariance is shrunk towards the identity by `SHRINKAGE`; references are one half of the validation images, and the
bound is the distance that `ALARMS` of the other half exceed.
"""

import numpy as np

from mam_keras.errors import UserError

MOST = 1000  # reference images, and as many others to set the bound, and to count false alarms
LEAST = 40  # validation images, without which nothing is judged
ALARMS = 0.01  # of validation images
SHRINKAGE = 0.1


def unlike(run, split, pictures):
    """Which prepared pictures, uint8 (N, S, S, 3), are further from the references than nearly all other images.

    Returns:
        bool (N,), and {"split": the references' split, "references": how many, "bound": the distance, "alarms": the
        share of the `split`'s images that would be called unlike, None where these are the references themselves,
        "images": how many those are}. Where the data have too few images, or are not the run's any more, none is
        called unlike, and the second is {"why": the reason}.
    """
    features = Features(run)
    try:
        name = "validation" if run.images("validation") is not None else split
        images = run.images(name)
        if images is None or len(images) < LEAST:
            raise UserError(f"fewer than {LEAST} images to compare with")
        known = features(images.images[: 2 * MOST])
        others = None if name == split else features(run.images(split).images[:MOST])
    except UserError as reason:
        return np.zeros(len(pictures), bool), {"why": str(reason)}
    far = Distance(known[::2])
    bound = float(np.quantile(far(known[1::2]), 1 - ALARMS))
    alarms = None if others is None else float((far(others) > bound).mean())
    told = {"split": name, "references": len(known[::2]), "bound": bound, "alarms": alarms}
    return far(features(pictures)) > bound, told | {"images": 0 if others is None else len(others)}


class Features:
    """Mean and standard deviation of each channel of every stage: uint8 (n, S, S, 3) -> float64 (n, D)."""

    def __init__(self, run):
        import tensorflow as tf

        model, self._size = run.network.by_stage, run.config.evaluation.batch_size

        @tf.function(reduce_retracing=True)
        def look(images):
            moments = [tf.nn.moments(tf.cast(one, tf.float32), axes=(1, 2)) for one in model(images, training=False)]
            return tf.concat([part for mean, variance in moments for part in (mean, tf.sqrt(variance))], axis=1)

        self._look = lambda pictures: look(tf.constant(pictures, tf.float32) / 255.0).numpy()

    def __call__(self, pictures):
        parts = [pictures[start : start + self._size] for start in range(0, len(pictures), self._size)]
        return np.concatenate([self._look(np.asarray(part)) for part in parts]).astype(np.float64)


class Distance:
    """Of Mahalanobis to the mean of references, float (m, D), by their shrunk covariance; D may be larger than m.

    With R the references, centred and each dimension over its spread, C = (1 - s) R'R / m + s I, s = `SHRINKAGE`, is
    inverted by Woodbury's identity: s y'C^-1 y = y'y - (R y)'(R R' + s m / (1 - s) I)^-1 R y.
    """

    def __init__(self, references):
        spread = references.std(axis=0)
        self._middle, self._scale = (
            references.mean(axis=0),
            np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0),
        )
        self._references = (references - self._middle) * self._scale
        gram = self._references @ self._references.T
        self._inverse = np.linalg.inv(gram + SHRINKAGE * len(gram) / (1 - SHRINKAGE) * np.eye(len(gram)))

    def __call__(self, features):
        """float (n, D) -> (n,)."""
        scaled = (features - self._middle) * self._scale
        along = scaled @ self._references.T
        squares = (scaled**2).sum(axis=1) - np.einsum("nm,mk,nk->n", along, self._inverse, along)
        return np.sqrt(np.maximum(squares, 0) / SHRINKAGE)
