"""The systems, one module each: its settings, how its network is built, and what may be asked of it.

A module NAME has the sections `Settings(System)` and `Loss(CommonLoss)`, and

    build(config, targets) -> keras.Model      the functional model, whose outputs are named
    attach(config, targets, model) -> Network  of a fresh or a loaded model; it alone knows the layers' names

Reading a module imports neither TensorFlow nor Keras, so that mistakes in settings are told at once.
"""

from typing import Any

from mam_keras.errors import UserError
from mam_keras.files import expecting
from mam_keras.settings import Registry, Section

SYSTEMS = Registry(
    "system",
    {name: f"mam_keras.systems.{name}" for name in ("masked", "attention_branch", "shareable", "plain")},
    default="masked",
)


def loss_of(_: Any, beside: dict[str, Any]) -> type[Section]:
    """The section `loss` of the system that the section `model` beside it names."""
    model = beside.get("model", {})
    name = model.get(SYSTEMS.key, SYSTEMS.default) if isinstance(model, dict) else model.system
    return SYSTEMS.module(name if name in SYSTEMS.modules else SYSTEMS.default).Loss


def build(config, targets):
    """The untrained `keras.Model` of a `config.Config`, for `data.source.Targets`.

    Raises `UserError` where Keras is set to another order of dimensions, or another type, than what networks are made
    for; commands set it themselves (`command_line.import_tensorflow`).
    """
    from keras import config as keras

    found = f"{keras.image_data_format()} and {keras.floatx()}"
    if found != "channels_last and float32":
        raise UserError(
            f"keras.json: expected image_data_format channels_last and floatx float32 (keras.config). Received: {found}"
        )
    return SYSTEMS.module(config.model.system).build(config, targets)


def attach(config, targets, model):
    """The `model.network.Network` of a model that `build` made, in this process or in another."""
    return SYSTEMS.module(config.model.system).attach(config, targets, model)


def load(config, targets, path):
    """The `Network` of a run's model.keras. Raises `UserError` where it is missing, damaged or of other settings."""
    import zipfile

    import keras

    import mam_keras.model.layers  # noqa: F401 (registers what a saved model is made of)

    with expecting(path, "the model of a finished run"), zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():  # HDF5 reads here and there, and compares no check sum
            raise ValueError(f"a damaged {damaged}")
        model = keras.models.load_model(path, compile=False)
    with expecting(path, "the model that the configuration beside it describes"):
        network = attach(config, targets, model)
        asked = {"data.image_size": config.data.image_size, "targets": len(targets.names)}
        found = dict(zip(asked, (network.image_size, network.outputs[network.main_head].shape[-1]), strict=True))
        for name, value in asked.items():
            if found[name] != value:
                raise ValueError(f"one of {name} {found[name]}, not {value}")
        return network
