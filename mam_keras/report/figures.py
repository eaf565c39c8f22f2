"""How figures look: matplotlib drawings as SVG that follow the page's light and dark scheme, and images as PNG."""

import io
import re

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure as Canvas
from PIL import Image

INK = "#010203"  # text and axes; becomes the page's own text colour
GLOW, EDGE = (255, 140, 0), (90, 220, 255)  # what a map marks, and the edge of a region
COLORS = ("#3b7dd8", "#d9772b", "#2f9e6e", "#c2459c", "#8a78d6", "#b09a20", "#4aa3b8", "#d1495b")  # legible on both

# From transparent, so that 0 looks like nothing on a light page and on a dark one; grey where undefined
_GREY = (0.5, 0.5, 0.5, 0.4)
_LESS, _MORE = ([(*to_rgb(color), alpha) for alpha in (0, 1)] for color in (COLORS[1], COLORS[0]))
AMOUNT = LinearSegmentedColormap.from_list("amount", _MORE, bad=_GREY)
SIGNED = LinearSegmentedColormap.from_list(
    "signed", list(zip((0, 0.5, 0.5, 1), (*_LESS[::-1], *_MORE), strict=True)), bad=_GREY
)

_STYLE = {  # on matplotlib's own defaults, whatever a user's matplotlibrc says
    **{name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"},
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",  # text stays text
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def canvas(width, height, **subplots):
    """A figure of the page's style, in inches, and its axes (`matplotlib.figure.Figure.subplots`)."""
    with matplotlib.rc_context(_STYLE):
        figure = Canvas(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(**subplots)


def style():
    """The context that sections draw in: text made within it, a legend's too, takes the page's colour."""
    return matplotlib.rc_context(_STYLE)


def small_multiples(grid, shown, across, upwards):
    """Gives the first so many axes of a grid two ticks each way, named along the grid's left and lower edge."""
    columns = grid.shape[1]
    for place, axes in enumerate(grid.flat):
        if place >= shown:
            axes.set_axis_off()
            continue
        left, lowest = place % columns == 0, place + columns >= shown
        axes.set_xticks(across, [f"{number:g}" for number in across] if lowest else [])
        axes.set_yticks(upwards, [f"{number:g}" for number in upwards] if left else [])
        axes.tick_params(length=2, width=0.5, labelsize=5.5, pad=1)
        axes.spines[:].set_linewidth(0.5)


def matrix(axes, values, colors, limits, rows, columns, unit):
    """Draws values (m, n) as coloured cells, named along both sides, with a scale named `unit`.

    Args:
        limits: (low, high), the ends of the scale.
        rows, columns: names, of which more than 64 are left out.
    """
    image = axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto", interpolation="nearest")
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        named = [short(name, 24) for name in names] if len(names) <= 64 else []
        axis.set_ticks(range(len(named)), labels=named, fontsize=min(8, 250 / len(names)), parse_math=False)
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(length=0)
    scale = axes.figure.colorbar(image, ax=axes, label=unit, fraction=0.03, pad=0.02)
    scale.solids.set_rasterized(True)


def glowing(image, heat, region=None, side=96):
    """An image in grey, what a map marks in orange over it, and the edge of a region: uint8 (side, side, 3).

    Args:
        image: uint8 (S, S, 3).
        heat: (H, W), not negative; smoothly enlarged, relative to its highest value.
        region: bool (S, S), or None.
    """
    grey = Image.fromarray(image).convert("L").resize((side, side), Image.Resampling.BICUBIC)
    grey = 0.85 * np.asarray(grey, float)[..., None]
    light = Image.fromarray(np.rint(heat * (255 / max(float(heat.max()), 1e-9))).astype(np.uint8))
    light = np.asarray(light.resize((side, side), Image.Resampling.BICUBIC), float)[..., None] / 255
    drawn = grey + 0.85 * light * (np.array(GLOW) - grey)
    if region is not None:
        inside = np.asarray(Image.fromarray(region).resize((side, side), Image.Resampling.NEAREST))
        inner = np.pad(inside, 1, mode="edge")
        inner = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        drawn = np.where((inside & ~inner)[..., None], EDGE, drawn)
    return np.rint(drawn).clip(0, 255).astype(np.uint8)


def svg(figure, name) -> str:
    """SVG markup to stand in the page: `name` keeps its identifiers apart from other figures'."""
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    markup = buffer.getvalue()
    markup = re.sub(r">\s+<", "><", markup[markup.index("<svg") :])
    return re.sub(r"<[^>]*>", lambda tag: _of_page(tag[0], name), markup)  # tags alone: texts stay as they are


def _of_page(tag, name):
    """A tag without what nothing needs: names of groups, the font (the page's own serves), decimals (of paths two)."""
    tag = re.sub(r'<g id="[^"]*"', "<g", " ".join(tag.split()))
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r"\d+\.\d{3,}", lambda number: _rounded(number[0], 2), tag)
    tag = re.sub(r' d="[^"]*"', lambda path: re.sub(r"\d+\.\d+", lambda number: _rounded(number[0], 1), path[0]), tag)
    return re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", tag).replace(INK, "currentColor")


def _rounded(number, digits):
    text = f"{float(number):.{digits}f}"
    return text.rstrip("0").rstrip(".")


def short(name, most) -> str:
    """A name cut to so many characters. Names are never mathtext: draw them with `parse_math=False`."""
    name = " ".join(name.split())
    return name if len(name) <= most else name[: most - 1] + "…"


def png(pixels, longest=None, colors=None) -> bytes:
    """An image: uint8 (height, width), (height, width, 3) or (height, width, 4).

    Args:
        longest: a larger image is scaled down to so many pixels along its longer side.
        colors: reduced to so many, at most 256; a third of the bytes.
    """
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if longest is not None:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    if colors is not None:
        image = image.quantize(colors, dither=Image.Dither.NONE)
    image.save(buffer, "png", optimize=True)
    return buffer.getvalue()
