"""What a page is made of: sections of paragraphs, figures, galleries, tables and the explorer. Knows no HTML, no plots.

Texts are plain text: the template escapes them.
"""

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
class ShownMap:
    """A map of the explorer.

    Attributes:
        title, note: what it is called, and what it is and is not.
        signed: whether negative values speak against a target.
        size: K' targets (1 where one map serves all), V' pairs, H and W.
    """

    title: str
    note: str
    signed: bool
    size: tuple[int, int, int, int]


@dataclass(frozen=True)
class Look:
    """One image of the explorer, and what is seen in it. K targets, V pairs (1 without masks), T channels (or none).

    Attributes:
        title: what the image is called.
        picture: PNG.
        labels: K of bool, None where not known; or None where nobody labelled it.
        unlike: whether it is unlike the images that the network was trained for.
        probabilities: of the head that answers, (K, V).
        answers: whether it says yes, (K, V).
        others: probabilities of the other heads, (heads, K).
        scales: largest absolute value of each map, for each map (K', V').
        channels, shares: the most important channels and their shares of the importance, (K, T).
        highest: highest value of each mask, (K, T'), T' = 1 where all channels have one mask, 0 where there is none.
        packed: zlib of the maps, each int8 (K', V', H, W) in 1/31 of its scale, and then of the masks, uint8
            (K, T', H, W) in 1/31 of their highest value.
    """

    title: str
    picture: bytes
    labels: list[bool | None] | None
    unlike: bool
    probabilities: list[list[float]]
    answers: list[list[bool]]
    others: list[list[float]]
    scales: list[list[list[float]]]
    channels: list[list[int]]
    shares: list[list[float]]
    highest: list[list[float]]
    packed: bytes


@dataclass(frozen=True)
class Explorer:
    """Choose target, image, map and pair: image, map, probabilities, channels and masks. Drawn by page.js.

    Attributes:
        targets: K names.
        exclusive: whether exactly one of them holds.
        heads: their titles, the one that answers first.
        maps: the system's own first.
        depths: how many of the maps, the last ones, are those of the stages, from low to high.
        pairs: V names of pairs (a, b), the identity first; none where there are no masks.
        grid: (H, W) of masks.
        groups: pairs of (title, looks), none of them empty.
    """

    name: str
    targets: tuple[str, ...]
    exclusive: bool
    heads: tuple[str, ...]
    maps: tuple[ShownMap, ...]
    depths: int
    pairs: tuple[str, ...]
    grid: tuple[int, int]
    groups: tuple[tuple[str, tuple[Look, ...]], ...]


@dataclass(frozen=True)
class Finding:
    """A sentence with its number, under a short question or title, and the section that it is from (its anchor)."""

    title: str
    text: str
    section: str


@dataclass(frozen=True)
class Target:
    """What is known of one target, on one screen.

    Attributes:
        picture: its map on a true positive; None where nothing has kept one.
        facts: in order.
        errors: its most confident ones.
    """

    name: str
    picture: Cell | None
    facts: tuple[Finding, ...]
    errors: tuple[Cell, ...]


@dataclass(frozen=True)
class Opening:
    """The first screen of a page.

    Attributes:
        lead: what the classifier does, on how many images, and how well.
        numbers: pairs of (number, what it is), three.
        findings: at most six.
        targets: all of them.
        pictures: what is to be seen in the targets' pictures.
    """

    lead: str
    numbers: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    targets: tuple[Target, ...]
    pictures: str


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
        summary: plain sentences made from the numbers.
    """

    name: str
    title: str
    answers: str
    reading: str
    blocks: tuple[Block, ...]
    summary: tuple[str, ...] = field(default=())

    @property
    def lacking(self) -> str:
        """Why there is nothing to see in it; "" where there is."""
        said = [block.text for block in self.blocks if isinstance(block, Paragraph | Missing)]
        return " ".join(said) if len(said) == len(self.blocks) else ""
