"""What a network shows on the images that it is directed on: maps of an attribute, their mean, and what regions cover.

Reads the first images of a split when they are first asked for. Knows no page.
"""

import functools

import numpy as np

from mam_keras import trained_on
from mam_keras.analysis.blocks import cover
from mam_keras.analysis.true_positives import pixels
from mam_keras.data import first, places
from mam_keras.errors import UserError

FIRST = 1000  # images of a split that are looked at
AVERAGED = 48  # positives over whose maps a mean is taken
SHOWN = 8  # of these, that are shown one by one
OWN, GRAD_CAM = "own", "grad_cam"  # of `loss.localisation_map`, beside the names of stages


class Looking:
    """Images of one split of a run, and what networks show on them.

    Args:
        run: `analysis.trained_run.TrainedRun`, whose data these are.
        split: its name.
    """

    def __init__(self, run, split):
        self.run, self.split = run, split

    @functools.cached_property
    def images(self):
        """`pipeline.Prepared` of the first images of the split, as the run had them."""
        from mam_keras.data import pipeline

        if self.split not in self.run.source.splits:
            raise UserError(f"data: expected {self.split} images, as {self.run.directory.path} had. Received: none")
        data = self.run.config.data.model_copy(update={"cache": "memory", "corrupt_share": 1.0})
        prepared = pipeline.read(first(self.run.source.splits[self.split], FIRST), self.split, data)
        return trained_on.first(self.run.record, prepared, self.split)

    def positives(self, k):
        """The first images that have an attribute: at most `AVERAGED` rows."""
        return np.flatnonzero(self.images.labels[:, k] & self.images.known[:, k])[:AVERAGED]

    def template(self, k):
        """The mean of the images that have an attribute, of all where none does: uint8 (S, S, 3)."""
        having = np.flatnonzero(self.images.labels[:, k] & self.images.known[:, k])
        chosen = having if len(having) else np.arange(len(self.images))
        return np.rint(self.images.images[chosen].mean(axis=0)).astype(np.uint8)

    def maps(self, shown, k, name):
        """A map of an attribute on its positives, by a `Shown`: float32 (n, H, W), none negative."""
        rows = self.positives(k)
        if not len(rows):
            return np.zeros((0, *shown.network.grid), np.float32)
        return shown(name, pixels(self.images, rows), k)

    def regions(self, where, name, rows):
        """What a `places.Places` says of an attribute on some images: bool (n, S, S)."""
        data, ids = self.run.config.data, self.images.ids[rows]
        (template,) = places.template(where, data, [name], self.images.ids)
        found = np.repeat(template[None], len(rows), axis=0)
        for (row, _), region in places.of_images(where, data, [name], ids):
            found[row] = region
        return found


def covered(maps, regions):
    """The share of each map's energy within its region: (n, H, W) >= 0 and bool (n, S, S) -> float (n,).

    NaN for a map that is 0 throughout.
    """
    shares = np.array([cover(region, maps.shape[1:]) for region in regions]).reshape(maps.shape)
    total = maps.sum(axis=(1, 2))
    return np.divide((maps * shares).sum(axis=(1, 2)), total, out=np.full(len(maps), np.nan), where=total > 0)


def mean_map(maps):
    """The mean of maps, each of which counts alike: (n, H, W) -> (H, W)."""
    total = maps.sum(axis=(1, 2), keepdims=True)
    parts = np.divide(maps, total, out=np.zeros_like(maps), where=total > 0)
    return parts.mean(axis=0) if len(parts) else np.zeros(maps.shape[1:], np.float32)


class Shown:
    """The maps of a `model.network.Network`, by the names of `loss.localisation_map`: own, grad_cam, or a stage."""

    def __init__(self, network):
        self.network, self._looks = network, {}

    def __call__(self, name, images, k):
        """Images float32 (n, S, S, 3) and a target -> the positive part of its map, float32 (n, H, W)."""
        import tensorflow as tf

        if name not in self._looks:
            self._looks[name] = tf.function(self._looking(name), reduce_retracing=True)
        return np.maximum(self._looks[name](tf.constant(images), tf.constant(k)).numpy(), 0)

    def _looking(self, name):
        from mam_keras.model.maps import by_depth, of_target

        network = self.network
        if name in (OWN, GRAD_CAM):
            one = network.maps[GRAD_CAM] if name == GRAD_CAM else next(iter(network.maps.values()))
            return lambda images, k: of_target(one, images, network.features(images), k)
        deep, place = by_depth(network), [stage.name for stage in network.stages].index(name)
        return lambda images, k: deep(images, k)[1][place]
