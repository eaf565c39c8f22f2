"""What a run says of itself, in one place for whoever opens it: each file checked, and that they belong together.

`environment.json` keeps the settings that the run is trained with and, once it is finished, what its other files hold.
Runs of earlier versions kept neither: nothing is compared there.
"""

import datetime
from typing import Annotated, Any, NotRequired

import pydantic
from pydantic import AfterValidator
from typing_extensions import TypedDict

from mam_keras.errors import UserError
from mam_keras.files import digest, expecting, read_csv, read_json
from mam_keras.settings import flat

_MORE = pydantic.ConfigDict(extra="allow")  # of other versions
PREPARED = ("image_size", "fit")  # settings of `data`: how an image is prepared for the network
_LEFT = ("model", "predictions", "data", "history", "evaluation")  # told from another run's, of a `RunDirectory`
_HISTORY = "the history of a run, a row of numbers for each epoch"


def _moment(text):
    if datetime.datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without its zone")
    return text


class StartedFrom(TypedDict):
    """The run whose weights another one began with."""

    __pydantic_config__ = _MORE
    run: str  # where it was
    model: str  # a digest
    said: list[str]  # what was taken of it, what was new


class Environment(TypedDict):
    """Of environment.json."""

    __pydantic_config__ = _MORE
    versions: dict[str, str]
    platform: NotRequired[str]
    devices: NotRequired[list[str]]
    replicas: NotRequired[int]
    git_revision: NotRequired[str | None]
    directory: NotRequired[str]  # that `fit` was started in
    start: NotRequired[Annotated[str, AfterValidator(_moment)]]
    end: NotRequired[Annotated[str, AfterValidator(_moment)] | None]
    settings: NotRequired[dict[str, Any]]  # of `trained`
    regions: NotRequired[str | None]  # a digest of what `loss.regions` says; None where maps are left alone
    started_from: NotRequired[StartedFrom]
    files: NotRequired[dict[str, str | None]]  # of `left`


class Head(TypedDict):
    __pydantic_config__ = _MORE
    mean: dict[str, float | None]
    per_attribute: dict[str, dict[str, float | None]]


class Split(TypedDict):
    __pydantic_config__ = _MORE
    images: int
    unknown: NotRequired[int]
    heads: dict[str, Head]


class Evaluation(TypedDict):
    """Of evaluation.json, as `evaluation.evaluate` gives each split."""

    __pydantic_config__ = _MORE
    splits: dict[str, Split]


class Progress(TypedDict):
    """How far a training is: steps of the epoch that are done, and the seconds left of all epochs."""

    epoch: int
    epochs: int
    step: int
    steps: int
    left: float


def progress(run) -> Progress | None:
    """Of a `RunDirectory` that is being trained; None where it says nothing."""
    try:
        return read_json(run.progress, "the progress of a training", Progress)
    except UserError:
        return None


def environment(run) -> Environment | None:
    """Of a `RunDirectory`; None where there is no such file. Raises `UserError` where it is damaged."""
    return read_json(run.environment, "the environment of a run (without this file it opens, too)", Environment)


def evaluation(run) -> Evaluation | None:
    """Of a `RunDirectory`; None where there is no such file. Raises `UserError` where it is damaged."""
    return read_json(run.evaluation, "the evaluation of a finished run", Evaluation)


def history(run, early_stopping=False) -> list[dict[str, float]]:
    """The rows of a `RunDirectory`'s history.csv, one for each epoch; none where there is no such file.

    Raises `UserError` where it is damaged, or without what `early_stopping` chose by.
    """
    rows = read_csv(run.history, _HISTORY)
    if rows is None:
        return []
    with expecting(run.history, _HISTORY):
        rows = [{name: float(value) for name, value in row.items()} for row in rows]
        if not rows or [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("other epochs than 1, 2, ...")
        names = set().union(*rows)
        wanted = {"loss", "learning_rate", "images_per_second", *["val_loss"] * early_stopping}
        wanted |= {name.replace("accuracy", "loss") for name in names if name.endswith("_accuracy")}
        if lacking := sorted(wanted - names):
            raise ValueError(f"no column {lacking[0]}")
    return rows


def trained(config) -> dict[str, Any]:
    """What a run's weights follow from beside its data, as plain values; where files are does not count."""
    kept = {"seed": True, "model": True, "loss": True, "training": True, "data": set(PREPARED)}
    places = {"loss": {"regions"}, "training": {"start_from"}}
    return config.model_dump(mode="json", by_alias=True, include=kept, exclude=places)


def other_setting(kept, config):
    """The first key in which `kept`, of `trained`, is not that of `config`, and both values; None without any."""
    there, here = flat(kept), flat(trained(config))
    return next(((key, there[key], here[key]) for key in there if key in here and there[key] != here[key]), None)


def left(run) -> dict[str, str | None]:
    """{name of a file: what it holds, as a digest} of a `RunDirectory`; None of a file that is not there."""
    return {getattr(run, name).name: digest(getattr(run, name)) for name in _LEFT}


def require_whole(run, config):
    """Raises `UserError` unless the files of a `RunDirectory`, trained with `config`, are the ones that it left.

    Some may be gone. What is not finished has left nothing yet.
    """
    kept = environment(run) or {}
    there = {name: found for name, found in left(run).items() if found is not None and kept.get("files", {}).get(name)}
    others = [name for name, found in there.items() if found != kept["files"][name]]
    if 2 * len(others) > len(there) > 1:
        raise UserError(f"{run.environment}: expected what this run left. Received: what another run did")
    if others:
        raise UserError(
            f"{run.path / others[0]}: expected the file that this run left (`files` in {run.environment.name}). "
            "Received: a damaged one, or that of another run"
        )
    if other := other_setting(kept.get("settings", {}), config):
        key, there, here = other
        raise UserError(
            f"{run.config}: expected what the run was trained with ({run.environment.name}), {key} {there!r}. "
            f"Received: {here!r}"
        )
