"""What analyses start from: a finished run's settings, its predictions, its network and the images it was tested on.

Everything is read when it is first asked for, so that an analysis of predictions alone opens no image and no model.
"""

import functools
import zipfile

import numpy as np

from mam_keras import config as configuration
from mam_keras.analysis.result import Unavailable
from mam_keras.errors import UserError
from mam_keras.evaluation import HEADS, Predictions
from mam_keras.run_directory import RunDirectory


class TrainedRun:
    """A run directory opened for analysis.

    Args:
        path: of the run directory.
        overrides: `section.key=value` of `report --set`; only `analysis` and `data` can be changed after training.

    Raises `UserError` where there is no run, or an override is not possible.
    """

    def __init__(self, path, overrides=()):
        self.directory = RunDirectory(path)
        if not self.directory.config.exists():
            raise UserError(f"{path}: expected a run directory (with config.yaml). Received: no such run")
        for override in overrides:
            if override.split(".")[0].strip() not in ("analysis", "data"):
                raise UserError(
                    f"--set {override}: expected a setting of analysis or data: the model is trained already. "
                    f"Received: {override.split('=')[0]}"
                )
        self.config = configuration.load(self.directory.config, list(overrides))
        self._images = {}

    @property
    def folder(self):
        """Where results are kept."""
        return self.directory.path / "analysis"

    @functools.cached_property
    def source(self):
        """The run's `data.Source`."""
        from mam_keras import data

        return data.load(self.config.data)

    @functools.cached_property
    def attributes(self):
        """The K attributes' names."""
        return self.source.attributes

    @functools.cached_property
    def training_rates(self):
        """float (K,): the share of positive images in the training split."""
        return self.source.splits["train"].labels.mean(axis=0)

    def images(self, split):
        """A split, as `pipeline.Prepared`; None where the source has no such split. Read once."""
        from mam_keras.data import pipeline

        if split not in self.source.splits:
            return None
        if split not in self._images:
            self._images[split] = pipeline.read(self.source.splits[split], split, self.config.data)
        return self._images[split]

    @functools.cached_property
    def network(self):
        """The trained `analysis.network.Network`."""
        from mam_keras.analysis.network import Network

        return Network.load(self.directory.model)

    @functools.cached_property
    def answers(self):
        """The predictions of the split that every analysis is about.

        Raises `Unavailable` where there are none, and `UserError` where they are not of this run's attributes.
        """
        split = self.config.analysis.split
        predictions = self.predictions(split)
        if predictions is None:
            raise Unavailable(f"the run left no predictions of the {split} split")
        if (answered := predictions.labels.shape[1]) != len(self.attributes):
            raise UserError(
                f"{self.directory.predictions}: expected answers for the {len(self.attributes)} attributes of the "
                f"data. Received: answers for {answered}"
            )
        return predictions

    def predictions(self, split):
        """`evaluation.Predictions` of a split, as `fit` left them; None where there are none.

        Raises `UserError` for a damaged file.
        """
        try:
            with self.directory.predictions.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                if f"{split}.labels" not in file:
                    return None
                groups = file.get(f"{split}.groups")
                heads = {head: file[f"{split}.{head}"] for head in HEADS if f"{split}.{head}" in file}
                return Predictions(file[f"{split}.ids"], file[f"{split}.labels"], groups, heads)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{self.directory.predictions}: expected the predictions of a finished run. Received: {reason}"
            ) from None
