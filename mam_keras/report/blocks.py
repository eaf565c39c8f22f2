"""What a page is made of: sections of paragraphs, figures, galleries and tables. Knows no HTML and no plots.

Texts are plain text: the template escapes them.
"""

import math
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Missing:
    """A part that this run cannot have, and why."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A drawing or an image.

    Attributes:
        name: unique on the page, [a-z0-9-].
        picture: SVG markup from `figures.svg` (str), or PNG (bytes).
        caption: what is to be seen, and in which unit.
        alternative: what someone who cannot see it must know.
    """

    name: str
    picture: str | bytes
    caption: str
    alternative: str


@dataclass(frozen=True)
class Cell:
    """One small image of a gallery: PNG, the label beneath it, and the text that stands in for it."""

    picture: bytes
    label: str
    alternative: str


@dataclass(frozen=True)
class Gallery:
    """Rows of small images, each row under a title.

    Attributes:
        rows: pairs of (title, cells).
        cell_width: of an image, in CSS pixels.
    """

    name: str
    caption: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    cell_width: int = 96


@dataclass(frozen=True)
class Column:
    """A table's column. Shares are given as 0..1 and shown in percent where `kind` is "percent"."""

    title: str
    kind: Literal["text", "integer", "number", "percent"] = "text"
    digits: int = 1


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval; None where undefined. Sorted by the value."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, numbers):
        """Of the three numbers that analyses give; NaN is undefined."""
        return cls(*(None if math.isnan(number) else float(number) for number in numbers))


@dataclass(frozen=True)
class Table:
    """A sortable table, also given as CSV.

    Attributes:
        rows: cells are texts, numbers, None (undefined) or `Estimate`.
        note: what stands beneath it.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple, ...]
    note: str = ""


Block = Paragraph | Missing | Figure | Gallery | Table


@dataclass(frozen=True)
class Section:
    """One analysis on the page.

    Attributes:
        name: the anchor, [a-z0-9-].
        title: of the section.
        answers: the papers' figures and tables that it stands for ("1904.13078, figure 1"), or "".
        reading: one or two sentences: how to read it.
        blocks: in order.
        summary: plain sentences made from the numbers, for the top of the page.
    """

    name: str
    title: str
    answers: str
    reading: str
    blocks: tuple[Block, ...]
    summary: tuple[str, ...] = field(default=())
