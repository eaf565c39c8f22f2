"""What a person has marked and set on the page, kept on disk after every change: reloading or closing loses nothing.

One process has the session; several windows may change it. Each says which state it saw, and is told where another
window was faster. Knows no network and no server.
"""

import contextlib
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from mam_keras import settings
from mam_keras.data.shapes import Shapes
from mam_keras.directed import Tried
from mam_keras.files import held, read_json, write_record, write_text
from mam_keras.run_directory import RunDirectory
from mam_keras.settings import Count, NonNegative, Positive, Section, Text

MOST_SHAPES, MOST_POINTS, MOST_IMAGES = 64, 256, 500  # of one attribute: of a drawing, of a polygon, marked one by one
_WHAT = "the session of a page of mam_keras.direct"


class Changed(Exception):  # noqa: N818 (an answer, not a failure)
    """Another window changed it first."""


def _few(shapes):
    if len(shapes.rectangles) + len(shapes.polygons) > MOST_SHAPES:
        raise ValueError(f"at most {MOST_SHAPES} shapes")
    if any(len(points) > MOST_POINTS for points in shapes.polygons):
        raise ValueError(f"at most {MOST_POINTS} points of a polygon")
    return shapes


class Drawing(Shapes):
    """Where an attribute is on all images: shapes, and names of presets."""

    presets: Annotated[tuple[Text, ...], Field(max_length=MOST_SHAPES)] = ()


class Mark(Section):
    """All that is marked of an attribute."""

    template: Annotated[Drawing, AfterValidator(_few)] = Drawing()
    images: Annotated[dict[Text, Annotated[Shapes, AfterValidator(_few)]], Field(max_length=MOST_IMAGES)] = Field(
        default_factory=dict
    )

    @property
    def empty(self) -> bool:
        return not any(self.template.model_dump().values()) and not self.images


class Wanted(Section):
    """How to fine-tune. Weights are (w_a, w_g) of the attributes where they are other than the default."""

    epochs: Annotated[Count, Field(le=1000)] = 1
    learning_rate: Positive
    by: Literal["outside", "iou", "energy", "l1", "magnitude"]
    map: Text
    order: Literal["second", "first"] = "second"
    weights: dict[Text, tuple[NonNegative, NonNegative]] = Field(default_factory=dict)


class State(Section):
    """What is kept.

    Attributes:
        changes: how many there were.
        marks: {attribute: its `Mark`}.
        seen: {attribute: the change that its mark is of}, and of "" that `wanted` is of.
        tried: what was trained and thrown away.
        kept: names of the runs that were kept.
    """

    changes: int = 0
    marks: dict[Text, Mark] = Field(default_factory=dict)
    seen: dict[str, int] = Field(default_factory=dict)
    wanted: Wanted
    tried: tuple[dict[str, Any], ...] = ()
    kept: tuple[Text, ...] = ()


class Session:
    """The state of a page, in a folder of its own.

    session.json    `State`
    regions.yaml    what is marked now, as a regions file
    trial/          the directed run as it is being trained, with its control
    control/        the control of a run that was thrown away, for the next one
    trial.log       what the training printed

    Args:
        folder: its path.
        wanted: the `Wanted` of a session that begins.
    """

    def __init__(self, folder: Path, wanted: Wanted):
        self.folder = Path(folder)
        self.file, self.regions = self.folder / "session.json", self.folder / "regions.yaml"
        self.trial, self.spare = RunDirectory(self.folder / "trial"), self.folder / "control"
        self.log = self.folder / "trial.log"
        self.lock = threading.RLock()
        self._first = wanted

    @contextlib.contextmanager
    def open(self):
        """Holds the folder (`files.held`) for this process, and takes up what was left there.

        A folder that was made for it goes again where nothing was marked or set.
        """
        with held(self.folder, "session", self.file.exists, lambda: None):
            values = read_json(self.file, _WHAT, dict[str, Any])
            self.state = State(wanted=self._first) if values is None else settings.check(values, str(self.file), State)
            yield self

    def mark(self, attribute: str, mark: Mark, seen: int) -> int:
        """Keeps what is marked of an attribute; returns the number of the change.

        Raises `Changed` where it was changed since `seen`.
        """
        with self.lock:
            self._require(attribute, seen)
            marks = {name: one for name, one in self.state.marks.items() if name != attribute}
            if not mark.empty:
                marks[attribute] = mark
            number = self._change(attribute, marks=marks)
            write_text(self.regions, settings.to_yaml(self.places()))
            return number

    def want(self, wanted: Wanted, seen: int) -> int:
        """Keeps how to fine-tune; as `mark`."""
        with self.lock:
            self._require("", seen)
            return self._change("", wanted=wanted)

    def note(self, **changes):
        """Keeps other changes of the `State`."""
        with self.lock:
            self._change(None, **changes)

    def seen(self, attribute: str) -> int:
        """The change that a mark, or of "" what is wanted, is of."""
        return self.state.seen.get(attribute, 0)

    def places(self) -> dict[str, Any]:
        """All that is marked, as plain values of a regions file."""
        attributes, images = {}, {}
        for name, mark in self.state.marks.items():
            if template := _plain(mark.template):
                attributes[name] = template
            for identifier, shapes in mark.images.items():
                images.setdefault(identifier, {})[name] = _plain(shapes)
        return {key: value for key, value in (("attributes", attributes), ("images", images)) if value}

    def throw_away(self, tried: Tried):
        """Forgets nothing of what was done: it stays in `tried`, and goes into the record of the run that is kept."""
        self.note(tried=(*self.state.tried, dict(tried)))

    def _require(self, what, seen):
        if self.seen(what) != seen:
            raise Changed

    def _change(self, what, **changes):
        number = self.state.changes + 1
        if what is not None:
            changes["seen"] = self.state.seen | {what: number}
        self.state = self.state.model_copy(update={"changes": number, **changes})
        self._write()
        return number

    def _write(self):
        write_record(self.file, self.state.model_dump(mode="json"))


def _plain(shapes):
    return {key: value for key, value in shapes.model_dump(mode="json").items() if value}
