"""What does one attribute alone, put into the picture or taken out of it, do to the logits of all? Knows no page.

Only drawn faces can be drawn again with one attribute changed and nothing else.
"""

import numpy as np

from mam_keras.analysis.correlations import pearson
from mam_keras.analysis.result import Result
from mam_keras.statistics import estimates, resample_weights

NEEDS = ("images", "independent", "drawn")
VERSION = 3
IMAGES = 100  # the first ones of the split


def settings(config):
    """The answer depends on the bootstrap."""
    return {"seed": config.seed, "resamples": config.analysis.resamples}


def compute(run, split):
    """The logits of the answering head with attribute j in the picture less those without it, all else being equal.

    Returns:
        `Result` with the values `attributes` (K names), `images` (how many), `head` (its name), and the arrays

            effects  (K, K, 3)  of attribute j (row) on the logit of k: mean over the images, and the ends of its 95 %
                                bootstrap interval
            labels   (K, K)     correlation of the labels in training; NaN where one of the two does not vary
    """
    import tensorflow as tf
    from tqdm import tqdm

    from mam_keras.data import synthetic_faces

    network, images, attributes, train = run.network, run.images(split), run.attributes, run.training
    scenes = synthetic_faces.Scenes(run.config.data)

    @tf.function(reduce_retracing=True)
    def logits(pictures):
        return network.logits(tf.cast(pictures, tf.float32) / 255.0)

    count = min(IMAGES, len(images))
    effects = np.empty((count, len(attributes), len(attributes)))
    for row in tqdm(range(count), desc="Toggling", unit=" images", disable=None, leave=False):
        toggled = [scenes.toggled(images.ids[row], name) for name in attributes]
        answers = logits(np.stack([images.images[row], *toggled])).numpy()
        effects[row] = np.where(images.labels[row][:, None], answers[0] - answers[1:], answers[1:] - answers[0])
    units = np.arange(count)
    flat = effects.reshape(count, -1)
    weights = resample_weights(units, run.config.analysis.resamples, run.config.seed)
    resampled = np.concatenate([block.T @ flat / count for block in weights])
    arrays = {
        "effects": estimates(flat.mean(axis=0), resampled, units).reshape(*effects.shape[1:], 3),
        "labels": pearson(train.labels.astype(float), known=train.known),
    }
    return Result({"attributes": list(attributes), "images": count, "head": network.main_head}, arrays)
