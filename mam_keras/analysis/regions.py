"""Where are the attributes in the prepared images? Three answers, of which a run may have several.

"exact" for drawn faces: the pixels that change when the attribute alone is toggled. "parts": pixels of the part masks'
classes that a file of `Places` names. "boxes": around landmarks that hardly move from image to image, and whatever else
such a file draws. Knows neither networks nor maps.
"""

import functools

import numpy as np

from mam_keras.analysis.result import Unavailable
from mam_keras.data import places
from mam_keras.data.parts import Parts


def settings(config):
    """What decides the regions besides the data: the folder of part masks, and the file of places where it is read.

    Raises `UserError` for a file of places that is not one.
    """
    parts, path = config.analysis.parts, config.analysis.regions
    used = parts is not None or places.aligned(config.data, path)
    found = places.settings_of(places.read(path, config.data), config.data) if used else None
    return {"parts": parts, "places": found}


def region_sets(run, split):
    """The regions that a run can be measured against on a split.

    Each has `name`; `images`, a `pipeline.Prepared` with labels in the order of the run's attributes; `region(row, k)`,
    bool (S, S), the pixels of attribute k on an image where it is present, none where that is not known; and
    `counted(row)`, bool (S, S), the pixels that count at all.

    Raises `Unavailable` where there are none, `UserError` for files that cannot be read.
    """
    config, sets = run.config, []
    images = run.images(split)
    if images is not None and config.data.is_drawn:
        sets.append(Exact(run, images))
    if config.analysis.parts is not None:
        sets.append(PartMasks(run, places.read(config.analysis.regions, config.data)))
    if images is not None and places.aligned(config.data, config.analysis.regions):
        sets.append(Boxes(run, images, places.read(config.analysis.regions, config.data)))
    if not sets and images is None:
        raise Unavailable(f"the data have no {split} split")
    if not sets:
        raise Unavailable(
            "no regions are known in these images: give a file of places (analysis.regions) or a "
            "folder of part masks (analysis.parts)"
        )
    return sets


def own(sets):
    """Of the names of region sets, the one of the split's own images; the first where there is none."""
    return next((name for name in sets if name != PartMasks.name), sets[0])


class Exact:
    """Of drawn faces: the pixels that change when the attribute alone is toggled."""

    name = "exact"

    def __init__(self, run, images):
        from mam_keras.data import synthetic_faces

        self.images, self._attributes = images, run.attributes
        self._scenes = synthetic_faces.Scenes(run.config.data)

    def region(self, row, k):
        toggled = self._scenes.toggled(self.images.ids[row], self._attributes[k])
        return np.any(self.images.images[row] != toggled, axis=-1)

    def counted(self, row):
        return np.ones(self.images.images.shape[1:3], bool)


class PartMasks:
    """Of images with part masks, a data set of its own: the pixels of the attribute's classes, as far as annotated."""

    name = "parts"

    def __init__(self, run, where):
        from mam_keras.data import pipeline

        self._parts, self._fit = Parts(run.config.analysis.parts), run.config.data.fit
        read = pipeline.read(self._parts.split, self.name, run.config.data)
        labels, known = np.zeros((2, len(read), len(run.attributes)), bool)
        for k, name in enumerate(run.attributes):
            if name in self._parts.attributes:
                place = self._parts.attributes.index(name)
                labels[:, k], known[:, k] = read.labels[:, place], read.known[:, place]
        self.images = pipeline.Prepared(read.images, read.ids, labels, read.groups, read.unreadable, known)
        path, self._classes = run.config.analysis.regions or places.CELEBA, []
        for name in run.attributes:
            parts, known = where.attributes.get(name, places.Place()).parts, self._parts.classes
            what = f"classes of {run.config.analysis.parts}"
            places.expect_known(path, f"attributes.{name}.parts", parts, known, what)
            self._classes.append([known.index(part) for part in parts])

    def region(self, row, k):
        return np.isin(self._mask(row), self._classes[k])

    def counted(self, row):
        return self._mask(row) != self._parts.outside

    @functools.lru_cache(maxsize=1)  # noqa: B019 (rows are asked for one after the other)
    def _mask(self, row):
        return self._parts.mask(self.images.ids[row], self.images.images.shape[1], self._fit)


class Boxes:
    """Of a file of places: boxes and other shapes, the same on all images but those that it names."""

    name = "boxes"

    def __init__(self, run, images, where):
        self.images, given = images, (where, run.config.data, run.attributes, images.ids)
        self._regions, self._own = places.template(*given), dict(places.of_images(*given))

    def region(self, row, k):
        return self._own.get((row, k), self._regions[k])

    def counted(self, row):
        return np.ones(self.images.images.shape[1:3], bool)
