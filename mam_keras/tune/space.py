"""Where a search looks, checked against the configuration it starts from. Imports no TensorFlow, no Keras Tuner."""

import math
from dataclasses import dataclass

from mam_keras import config as configuration
from mam_keras.errors import UserError

SECTIONS = ("data", "model", "loss", "training")  # what a model is made from
FACTOR = 3  # Hyperband: a third of the trials goes on to three times the epochs


@dataclass(frozen=True)
class Dimension:
    """A setting and its range; int ends where the setting is a whole number.

    Attributes:
        key: section.key.
        low, high: ends of the range, both included.
        scale: "log" or "linear".
    """

    key: str
    low: int | float
    high: int | float
    scale: str


def dimensions(config, where) -> tuple[Dimension, ...]:
    """The space of `config.tune`, each end of which `fit` would take.

    `where` opens the message of the `UserError` for a key that is no setting of `SECTIONS` or not a number, for an end
    that its setting cannot have, and for a configuration in which nothing can be chosen on validation images.
    """
    if config.data.train_on_validation:
        raise UserError(
            f"{where}: data.train_on_validation: expected false to tune: nothing can be chosen on images that were "
            "trained on. Received: True"
        )
    if config.distribute.strategy == "multi_worker":
        raise UserError(
            f"{where}: distribute.strategy: expected auto, none or mirrored to tune: each trial is trained by one "
            "process, and a search has workers of its own. Received: 'multi_worker'"
        )
    with_values(config, {}, fewest_epochs(config), where)
    return tuple(_dimension(config, key, there, where) for key, there in config.tune.space.items())


def with_values(config, values, epochs, where):
    """The `config.Config` of a trial: `config` with {key: value} and so many epochs, without its `tune` section.

    `where` opens the message of the `UserError` for values that do not go together.
    """
    plain = config.model_copy(update={"tune": None}).model_dump(mode="json", by_alias=True)
    plain["training"]["epochs"] = epochs
    for key, value in values.items():
        section, name = key.split(".")
        backbone = plain[section].get("backbone", {})
        (backbone if name in backbone else plain[section])[name] = value  # both may be called model.NAME
    return configuration.check(plain, where)


def most_epochs(config) -> int:
    """Of a trial."""
    return config.tune.epochs or config.training.epochs


def fewest_epochs(config) -> int:
    """Of a trial; fewer than the most with Hyperband only."""
    epochs = most_epochs(config)
    if config.tune.oracle == "hyperband":
        while epochs >= FACTOR:
            epochs /= FACTOR
    return math.ceil(epochs)


def _dimension(config, key, there, where):
    section, _, name = key.partition(".")
    if section not in SECTIONS or not name or "." in name or key == "training.epochs":
        raise UserError(
            f"{where}: tune.space: expected settings of {', '.join(SECTIONS)}, as section.key, and not training.epochs "
            f"(tune.epochs says them). Received: {key}"
        )
    low, high = (_as_setting(config, key, end, f"{where}: tune.space") for end in (there.low, there.high))
    return Dimension(key, low, high, there.scale)


def _as_setting(config, key, value, where):
    """`value` as the type of the setting `key`: the number itself, or a whole one where no other will do."""
    try:
        with_values(config, {key: value}, fewest_epochs(config), where)
    except UserError:
        if not value.is_integer():
            raise
        value = int(value)
        with_values(config, {key: value}, fewest_epochs(config), where)
    return value
