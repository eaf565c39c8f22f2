"""The network of a run, drawn with its own sizes (1904.13078, figure 2). Parts that it lacks are not drawn.

SVG made of numbers and fixed words alone, in classes that the page's stylesheet colours.
"""

from dataclasses import dataclass, field

WIDTH, FEATURES, BRANCH = 880, 420, 516  # of the drawing; where the features and the branches begin
MASKS = {  # what one attribute's mask is, and its channels ({} is C)
    "per_feature": ("a mask of its own", "{}"),
    "common": ("one map for all channels", "1"),
}


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
                f'text-anchor="{anchor}">{line}</text>'
            )

    def arrow(self, *points):
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.marks.append(f'<path class="arrow" d="M{path}" marker-end="url(#network-tip)"/>')


def network(config, attributes) -> tuple[str, str]:
    """SVG markup, and a text for who cannot see it.

    Args:
        config: the run's.
        attributes: K, or None where it is not known yet.
    """
    drawing, model = _Drawing(), config.model
    size, side = config.data.image_size, model.feature_size(config.data.image_size)
    many = "K" if attributes is None else str(attributes)
    branches = [
        (there, branch, height)
        for there, branch, height in (
            (model.attribute_heads, _attribute_heads, 150),
            (model.multi_label_head, _multi_label_head, 76),
            (model.reconstructor, _reconstructor, 96),
        )
        if there
    ]
    total = max(170, sum(height for *_, height in branches))
    middle = total / 2
    _extractor(drawing, config, size, side, middle)
    top = (total - sum(height for *_, height in branches)) / 2
    for _, branch, height in branches:
        centre = top + height / 2
        drawing.arrow((FEATURES + 66, middle), (BRANCH - 20, middle), (BRANCH - 20, centre), (BRANCH, centre))
        branch(drawing, config, size, side, many, centre)
        top += height
    markup = (
        f'<svg class="network" viewBox="0 0 {WIDTH} {total:g}" width="{WIDTH}" height="{total:g}">'
        '<defs><marker id="network-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
        f"{''.join(drawing.marks)}</svg>"
    )
    return markup, f"{'; '.join(drawing.words)}."


def _extractor(drawing, config, size, side, middle):
    """The image, the front end's and the context module's convolutions, and the features."""
    model = config.model
    stages, strided = len(model.front_end) + len(model.dilations), len(model.front_end)
    step = min(32, 288 / stages)
    start, end = 246 - stages * step / 2, 246 + stages * step / 2
    drawing.box(4, middle - 36, 72, 72, "image")
    drawing.text(40, middle + 54, "image", f"{size} x {size} x 3")
    drawing.arrow((76, middle), (start - 2, middle))
    for number in range(stages):
        height = 52 + 24 * max(0, strided - 1 - number) / strided
        kind = "strided" if number < strided else "box"
        drawing.box(start + number * step, middle - height / 2, max(3, 0.7 * step), height, kind)
    drawing.arrow((end - 0.3 * step, middle), (FEATURES - 3, middle))
    channels, dilations = ", ".join(map(str, model.front_end)), ", ".join(map(str, model.dilations))
    drawing.text(246, middle - 52, "extractor", kind="title")
    drawing.text(246, middle + 54, f"front end: {channels} channels", f"context: dilations {dilations}")
    drawing.stack(FEATURES, middle - 22, 52, 52, "features")
    drawing.text(FEATURES + 28, middle + 54, "features F", f"{side} x {side} x {model.channels}")
    drawing.words.append(
        f"An image of {size} x {size} pixels goes through {strided} strided and {len(model.dilations)} dilated "
        f"convolutions to features of {side} x {side} x {model.channels}"
    )


def _attribute_heads(drawing, config, _, side, many, centre):
    """One card for each attribute: a mask, its product with the features, and a linear unit."""
    model, x = config.model, BRANCH
    for shift in (12, 6, 0):
        drawing.box(x + shift, centre - 50 - shift, 336, 104, "card")
    drawing.text(x + 14, centre - 31, f"attribute heads, {many} times", anchor="start", kind="title")
    drawing.box(x + 216, centre - 22, 110, 44)
    pooled = "" if model.pooled_share == 1 else f", top {100 * model.pooled_share:g} %"
    kind = "mean" if model.pooling_sharpness is None else "soft max"
    drawing.text(x + 271, centre - 3, f"{kind}{pooled}", f"linear {model.channels} to 1")
    drawing.text(x + 271, centre + 42, "one probability", kind="small")
    if model.masks == "none":
        drawing.arrow((x, centre), (x + 213, centre))
        drawing.text(x + 106, centre + 18, "no masks", kind="small")
        drawing.words.append(f"{many} attribute heads without masks")
        return
    title, channels = MASKS[model.masks]
    shape = f"{side} x {side} x {channels.format(model.channels)}"
    drawing.box(x + 24, centre - 22, 128, 44, "mask")
    drawing.text(x + 88, centre - 3, "mask M in [0, 1]", shape)
    drawing.arrow((x, centre), (x + 21, centre))
    drawing.arrow((x + 152, centre), (x + 170, centre))
    drawing.marks.append(f'<circle class="box" cx="{x + 184}" cy="{centre:g}" r="11"/>')
    drawing.text(x + 184, centre + 4.5, "&#215;")
    drawing.arrow((x + 195, centre), (x + 213, centre))
    drawing.arrow((x + 10, centre), (x + 10, centre + 38), (x + 184, centre + 38), (x + 184, centre + 14))
    drawing.text(x + 192, centre - 18, "1 + M" if model.mask_offset else "M", anchor="end", kind="small")
    drawing.words.append(f"{many} attribute heads, each of which multiplies the features with {title}, {shape}")


def _multi_label_head(drawing, config, _, __, many, centre):
    drawing.box(BRANCH, centre - 26, 212, 52, "card")
    drawing.text(
        BRANCH + 106, centre - 3, "multi-label head", f"mean, linear {config.model.channels} to {many}", kind="title"
    )
    drawing.arrow((BRANCH + 212, centre), (BRANCH + 240, centre))
    drawing.text(BRANCH + 246, centre + 4, f"{many} probabilities", anchor="start")
    drawing.words.append("one head for all attributes, without masks")


def _reconstructor(drawing, config, size, _, __, centre):
    drawing.box(BRANCH, centre - 26, 212, 52, "card")
    drawing.text(BRANCH + 106, centre - 3, "reconstructor", "3x3 convolution, sigmoid", kind="title")
    drawing.arrow((BRANCH + 212, centre), (BRANCH + 240, centre))
    drawing.box(BRANCH + 243, centre - 36, 72, 72, "image")
    drawing.text(BRANCH + 279, centre + 4, f"{size} x {size} x 3", kind="small")
    drawing.words.append("a reconstruction of the image from the features")
