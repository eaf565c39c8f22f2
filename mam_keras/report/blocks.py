"""What a page is made of: sections of paragraphs, figures, galleries, tables and the explorer. Knows no HTML, no plots.

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
    """A table's column. Shares are given as 0..1 and shown in percent where `kind` is "percent".

    `digits` stand behind the point, of kind "significant" they are significant ones.
    """

    title: str
    kind: Literal["text", "integer", "number", "significant", "percent"] = "text"
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


@dataclass(frozen=True)
class Look:
    """One image of the explorer, and what every attribute's head sees in it. K attributes, V pairs, T channels.

    Attributes:
        title: what the image is called.
        picture: PNG.
        labels: K of bool, or None where nobody labelled it.
        probabilities: of the attribute heads, (K, V).
        multi_label: probabilities of the multi-label head, K; None without one.
        scales: largest absolute contribution of each map, (K, V).
        channels, shares: the most important channels and their shares of the importance, (K, T).
        highest: highest value of each mask, (K, T'), T' = 1 where all channels have one mask, 0 where there is none.
        packed: zlib of the maps, int8 (K, V, H, W) in 1/31 of their scale, and then of the masks, uint8
            (K, T', H, W) in 1/31 of their highest value.
    """

    title: str
    picture: bytes
    labels: list[bool] | None
    probabilities: list[list[float]]
    multi_label: list[float] | None
    scales: list[list[float]]
    channels: list[list[int]]
    shares: list[list[float]]
    highest: list[list[float]]
    packed: bytes


@dataclass(frozen=True)
class Explorer:
    """Choose attribute, image and pair: the image, its map, probabilities, channels and masks. Drawn by page.js.

    Attributes:
        attributes: K names.
        pairs: V names of pairs (a, b), the identity first.
        grid: (H, W) of maps and masks.
        groups: pairs of (title, looks), none of them empty.
    """

    name: str
    attributes: tuple[str, ...]
    pairs: tuple[str, ...]
    grid: tuple[int, int]
    groups: tuple[tuple[str, tuple[Look, ...]], ...]


Block = Paragraph | Missing | Figure | Gallery | Table | Explorer


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
