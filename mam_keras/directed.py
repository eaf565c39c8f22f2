"""What a directed run says of itself: the run that it started from, the control beside it, what was asked and tried.

Knows paths and plain values; whether a run that is named is still there says whoever opens it.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired

import pydantic
from pydantic import Field
from typing_extensions import TypedDict

from mam_keras.files import digest, read_json, write_record
from mam_keras.run_directory import RunDirectory

FILE, REGIONS, CONTROL = "directed.json", "regions.yaml", "control"  # in the run directory


class Tried(TypedDict):
    """What was trained on the page and thrown away, before the run that was kept."""

    __pydantic_config__ = pydantic.ConfigDict(extra="allow")
    attributes: list[str]
    settings: dict[str, Any]
    regions: dict[str, Any]  # plain values of the regions file


class _Kept(TypedDict):
    __pydantic_config__ = pydantic.ConfigDict(extra="allow")
    from_: Annotated[str, Field(alias="from")]
    model: str | None
    control: str
    attributes: list[str]
    settings: dict[str, Any]
    tried: NotRequired[list[Tried]]


@dataclass(frozen=True)
class Directed:
    """How a run was directed.

    Attributes:
        path: of the directed run.
        before: of the run that it started from, which may be gone.
        model: the digest of that run's model (`files.digest`).
        control: of the run that was fine-tuned alike, without the regions.
        attributes: those that were directed.
        settings: {section.key: value}, what was changed beside the regions, as `--set` takes it.
        tried: what was trained before and thrown away, the first one first.
    """

    path: Path
    before: Path
    model: str | None
    control: Path
    attributes: tuple[str, ...]
    settings: dict[str, Any]
    tried: list[Tried] = field(default_factory=list)

    @property
    def regions(self) -> Path:
        """The file of the regions that it was directed to."""
        return self.path / REGIONS

    @property
    def unchanged(self) -> bool:
        """Whether the run before is still there, with the model that this one started from."""
        return self.model is not None and digest(RunDirectory(self.before).model) == self.model


def read(path: str | Path) -> Directed | None:
    """How the run in the directory `path` was directed; None where it was not.

    Raises `UserError` for a damaged file.
    """
    path = Path(path)
    kept = read_json(path / FILE, "what a directed run says of itself", _Kept)
    if kept is None:
        return None
    before = Path(os.path.normpath(path / kept["from_"]))
    names, tried = tuple(kept["attributes"]), kept.get("tried", [])
    return Directed(path, before, kept["model"], path / kept["control"], names, kept["settings"], tried)


def write(told: Directed) -> None:
    """Into the run's directory; the other runs are named as they are reached from there, so that all may move."""
    values = {
        "from": os.path.relpath(told.before.resolve(), told.path.resolve()),
        "model": told.model,
        "control": os.path.relpath(told.control, told.path),
        "attributes": list(told.attributes),
        "settings": told.settings,
        "tried": told.tried,
    }
    write_record(told.path / FILE, values)
