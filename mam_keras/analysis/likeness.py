"""Is a picture like those that a network can be asked about? By its features; how often that is wrong is measured.

The distance of a picture is that of Mahalanobis to reference images (Lee et al. 2018, A simple unified framework for
detecting out-of-distribution samples). Our readings: a picture is seen in two ways. One has the mean and the standard
deviation of each channel over the positions, at every stage of the network. The other has the same divided by their
length at each stage, since a pale picture of anything is near by the first, and the last stage's channels in a grid of
cells, for what belongs in its place. Each feature counts over its own spread among the references, and the covariance
is shrunk towards the identity by `SHRINKAGE`. References are one half of the validation images; each way has the bound
that `ALARMS` of the other half exceed, and unlike is what exceeds either.
"""

import numpy as np

from mam_keras.errors import UserError

MOST = 1000  # reference images, and as many others to set the bound, and to count false alarms
LEAST = 40  # validation images, without which nothing is judged
ALARMS = 0.01  # of validation images, by each way of seeing
SHRINKAGE = 0.1
_GRID, _CELLS = 4, 8192  # cells of the grid across, fewer where they times the channels would be more than so many


def unlike(run, split, pictures):
    """Which prepared pictures, uint8 (N, S, S, 3), are further from the references than nearly all other images.

    Returns:
        bool (N,), and {"split": the references' split, "references": how many, "alarms": the share of the `split`'s
        images that would be called unlike, None where these are the references themselves, "images": how many those
        are}. Where the data have too few images, or are not the run's any more, none is called unlike, and the second
        is {"why": the reason}.
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
    references, rest = ([one[start::2] for one in known] for start in (0, 1))
    far = Farthest(references, rest)
    alarms = None if others is None else float((far(others) > 1).mean())
    told = {"split": name, "references": len(references[0]), "alarms": alarms}
    return far(features(pictures)) > 1, told | {"images": 0 if others is None else len(others[0])}


class Features:
    """Both ways in which a network sees pictures: uint8 (n, S, S, 3) -> float64 (n, D) and (n, D')."""

    def __init__(self, run):
        import tensorflow as tf

        model, self._size = run.network.by_stage, run.config.evaluation.batch_size

        @tf.function(reduce_retracing=True)
        def look(images):
            stages = [tf.cast(one, tf.float32) for one in model(images, training=False)]
            moments = [tf.nn.moments(one, axes=(1, 2)) for one in stages]
            moments = [tf.concat([mean, tf.sqrt(variance)], axis=1) for mean, variance in moments]
            channels = stages[-1].shape[-1]
            across = max(1, min(_GRID, int((_CELLS / channels) ** 0.5)))
            cells = tf.image.resize(stages[-1], (across, across), antialias=True)
            parts = [*moments, tf.reshape(cells, (-1, across * across * channels))]
            return tf.concat(moments, 1), tf.concat([tf.math.l2_normalize(part, axis=1) for part in parts], 1)

        self._look = lambda pictures: look(tf.constant(pictures, tf.float32) / 255.0)

    def __call__(self, pictures):
        parts = [pictures[start : start + self._size] for start in range(0, len(pictures), self._size)]
        seen = zip(*(self._look(np.asarray(part)) for part in parts), strict=True)
        return tuple(np.concatenate([one.numpy() for one in way]).astype(np.float64) for way in seen)


class Farthest:
    """The larger of both ways' distances, each over its bound; above 1 is unlike."""

    def __init__(self, references, rest):
        self._ways = [Distance(one) for one in references]
        self._bounds = [np.quantile(far(one), 1 - ALARMS) for far, one in zip(self._ways, rest, strict=True)]

    def __call__(self, features):
        ways = zip(self._ways, features, self._bounds, strict=True)
        return np.max([far(one) / max(bound, 1e-12) for far, one, bound in ways], axis=0)


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
