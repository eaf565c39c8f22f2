"""Image classifiers that show what they look at: published systems on the same data, loop, analyses and controls.

The folders follow the way of the data: `config` -> `data` -> `systems` -> `fit` -> run directory -> `analysis` ->
`report`, `explain`, `export`. As a library:

    load(run).explain("face.jpg")    what a finished run answers about images, and what it looks at
    build(config, targets)           the untrained network of a configuration, for Keras's own `fit`
    MaskedHeads                      attribute heads with masks, a Keras layer for a backbone of one's own

Importing the package imports neither TensorFlow nor Keras, so that a mistake in a configuration is reported at once.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mam_keras.explain.classifier import Classifier
    from mam_keras.model.heads import MaskedHeads
    from mam_keras.model.network import Network

__all__ = ["MaskedHeads", "__version__", "build", "load"]
__version__ = "0.1.0"


def load(run: str | os.PathLike[str]) -> "Classifier":
    """A finished run, to be asked about images: the path of its directory -> `explain.classifier.Classifier`.

    Raises `errors.UserError` where there is no finished run, or its files are damaged.
    """
    from mam_keras.explain.classifier import Classifier

    return Classifier(run)


def build(
    config: str | os.PathLike[str] | Mapping[str, Any], targets: Sequence[str], exclusive: bool = False
) -> "Network":
    """An untrained network: `.model` is an ordinary Keras model, `.losses()` what to compile it with.

        network = mam_keras.build({"data": {"image_size": 64}, "model": {"channels": 32}}, ["Smiling", "Bald"])
        network.model.compile("adam", **network.losses())
        network.model.fit(images, network.targets_of(images, labels))

    Args:
        config: a YAML file as `fit` takes it, or its sections `model`, `loss` and `data` (of which `image_size` alone
            matters) as plain values; what they leave out is as in every run.
        targets: K names.
        exclusive: whether exactly one of them holds, which makes them classes.

    Raises `errors.UserError` for settings that cannot work.
    """
    from mam_keras import command_line, settings
    from mam_keras.config import check
    from mam_keras.data.source import Targets

    given = isinstance(config, Mapping)
    values = dict(config) if isinstance(config, Mapping) else settings.read(os.fspath(config))
    if given:  # a network needs no data
        values = {"name": "built"} | values | {"data": {"source": "synthetic_faces"} | dict(values.get("data", {}))}
    checked = check(values, "build" if given else str(config))
    command_line.import_tensorflow()
    from mam_keras import systems

    asked = Targets(tuple(targets), exclusive)
    return systems.attach(checked, asked, systems.build(checked, asked))


def __getattr__(name: str) -> Any:
    if name != "MaskedHeads":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mam_keras import command_line

    command_line.import_tensorflow()
    from mam_keras.model.heads import MaskedHeads

    return MaskedHeads
