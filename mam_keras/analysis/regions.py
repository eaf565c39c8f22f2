"""Where is an attribute in an image?"""

import numpy as np

from mam_keras.analysis.result import Unavailable
from mam_keras.data import synthetic_faces


class Exact:
    name = "exact"

    def __init__(self, run, images):
        self.images = images
        self.scenes = synthetic_faces.Scenes(run.config.data)
        self.attributes = run.attributes
        self.everywhere = np.ones(images.images.shape[1:3], bool)

    def region(self, row, k):
        image = self.images.images[row]
        return np.any(image != self.scenes.toggled(self.images.ids[row], self.attributes[k]), axis=-1)

    def counted(self, row):
        return self.everywhere


def region_sets(run):
    images = run.images(run.config.analysis.split)
    if images is None:
        raise Unavailable(f"the data have no {run.config.analysis.split} split")
    return [Exact(run, images)]
