"""The network of a run, drawn with its own sizes (after 1904.13078, figure 2), as its settings describe it.

SVG in classes that the page's stylesheet colours.
"""

import itertools
import re
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from mam_keras.systems.system import Weighing

WIDTH, FEATURES, BRANCH = 880, 420, 516  # of the drawing; where the features and the branches begin
HEIGHTS = {True: 150, False: 76}  # of a branch, by whether it weighs the features; 96 where it gives an image


@dataclass
class _Drawing:
    """Marks in the order in which they are drawn, and the words that stand in for them."""

    marks: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def box(self, x, y, width, height, kind="box"):
        self.marks.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3"/>')

    def stack(self, x, y, width, height, kind="box"):
        for shift in (8, 4, 0):
            self.box(x + shift, y - shift, width, height, kind)

    def text(self, x, y, *lines, anchor="middle", kind=""):
        for number, line in enumerate(lines):
            self.marks.append(
                f'<text class="{kind if number == 0 else "small"}" x="{x:g}" y="{y + 15 * number:g}" '
                f'text-anchor="{anchor}">{escape(line)}</text>'
            )

    def arrow(self, *points):
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.marks.append(f'<path class="arrow" d="M{path}" marker-end="url(#network-tip)"/>')


def network(config, targets) -> tuple[str, str] | None:
    """SVG markup, and a text for who cannot see it; None where the system is not drawn.

    Args:
        config: the run's.
        targets: K, or None where it is not known yet.
    """
    size = config.data.image_size
    described = config.model.drawing(size)
    if described is None:
        return None
    drawing, many = _Drawing(), "K" if targets is None else str(targets)
    heights = [96 if branch.gives is None else HEIGHTS[isinstance(branch, Weighing)] for branch in described.branches]
    total = max(170, sum(heights))
    middle = total / 2
    _extractor(drawing, described, size, middle)
    top = (total - sum(heights)) / 2
    for branch, height in zip(described.branches, heights, strict=True):
        centre = top + height / 2
        drawing.arrow((FEATURES + 66, middle), (BRANCH - 20, middle), (BRANCH - 20, centre), (BRANCH, centre))
        told = type(branch)(*_told(many, tuple(branch)))
        if isinstance(branch, Weighing):
            _weighing(drawing, told, centre)
        else:
            _branch(drawing, told, size, centre)
        drawing.words.append(told.words)
        top += height
    markup = (
        f'<svg class="network" viewBox="0 0 {WIDTH} {total:g}" width="{WIDTH}" height="{total:g}">'
        '<defs><marker id="network-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
        f"{''.join(drawing.marks)}</svg>"
    )
    return markup, f"{'; '.join(drawing.words)}."


def _told(many, told):
    """Texts with how many targets there are in the place of K."""
    if isinstance(told, str):
        return re.sub(r"\bK\b", many, told)
    return tuple(_told(many, part) for part in told) if isinstance(told, tuple) else told


def _extractor(drawing, described, size, middle):
    """The image, a box for each stage, lower the coarser it is, and the features."""
    strides = [1, *(stage.stride for stage in described.stages)]
    coarser = [after > before for before, after in itertools.pairwise(strides)]
    stages, strided, levels = len(coarser), sum(coarser), itertools.accumulate(coarser)
    step = min(32, 288 / stages)
    start, end = 246 - stages * step / 2, 246 + stages * step / 2
    drawing.box(4, middle - 36, 72, 72, "image")
    drawing.text(40, middle + 54, "image", f"{size} x {size} x 3")
    drawing.arrow((76, middle), (start - 2, middle))
    for number, (halves, level) in enumerate(zip(coarser, levels, strict=True)):
        height = 52 + 24 * (strided - level) / max(1, strided)
        kind = "strided" if halves else "box"
        drawing.box(start + number * step, middle - height / 2, max(3, 0.7 * step), height, kind)
    drawing.arrow((end - 0.3 * step, middle), (FEATURES - 3, middle))
    drawing.text(246, middle - 52, "extractor", kind="title")
    drawing.text(246, middle + 54, *described.lines)
    drawing.stack(FEATURES, middle - 22, 52, 52, "features")
    drawing.text(FEATURES + 28, middle + 54, "features F", described.features)
    drawing.words.append(
        f"An image of {size} x {size} pixels goes through {described.extractor}, in {stages} stages of which {strided} "
        f"are coarser than the one before, to features of {described.features}"
    )


def _weighing(drawing, told, centre):
    """A card, or one for each target: weights, their product with the features, and a linear unit."""
    x = BRANCH
    for shift in (12, 6, 0) if told.repeated else (0,):
        drawing.box(x + shift, centre - 50 - shift, 336, 104, "card")
    drawing.text(x + 14, centre - 31, told.title, anchor="start", kind="title")
    drawing.box(x + 216, centre - 22, 110, 44)
    drawing.text(x + 271, centre - 3, *told.does)
    drawing.text(x + 271, centre + 42, told.gives, kind="small")
    if len(told.weights) == 1:
        drawing.arrow((x, centre), (x + 213, centre))
        drawing.text(x + 106, centre + 18, *told.weights, kind="small")
        return
    title, shape, factor = told.weights
    drawing.box(x + 24, centre - 22, 128, 44, "mask")
    drawing.text(x + 88, centre - 3, title, shape)
    drawing.arrow((x, centre), (x + 21, centre))
    drawing.arrow((x + 152, centre), (x + 170, centre))
    drawing.marks.append(f'<circle class="box" cx="{x + 184}" cy="{centre:g}" r="11"/>')
    drawing.text(x + 184, centre + 4.5, Markup("&#215;"))
    drawing.arrow((x + 195, centre), (x + 213, centre))
    drawing.arrow((x + 10, centre), (x + 10, centre + 38), (x + 184, centre + 38), (x + 184, centre + 14))
    drawing.text(x + 192, centre - 18, factor, anchor="end", kind="small")


def _branch(drawing, told, size, centre):
    drawing.box(BRANCH, centre - 26, 212, 52, "card")
    drawing.text(BRANCH + 106, centre - 3, told.title, told.does, kind="title")
    drawing.arrow((BRANCH + 212, centre), (BRANCH + 240, centre))
    if told.gives is None:
        drawing.box(BRANCH + 243, centre - 36, 72, 72, "image")
        drawing.text(BRANCH + 279, centre + 4, f"{size} x {size} x 3", kind="small")
    else:
        drawing.text(BRANCH + 246, centre + 4, told.gives, anchor="start")
