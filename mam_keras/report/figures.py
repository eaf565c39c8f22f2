"""How figures look: matplotlib drawings as SVG that follow the page's light and dark scheme, and images as PNG."""

import io
import re

import matplotlib
from matplotlib.figure import Figure as Canvas
from PIL import Image

INK = "#010203"  # text and axes; becomes the page's own text colour
COLORS = ("#3b7dd8", "#d9772b", "#2f9e6e", "#c2459c", "#8a78d6", "#b09a20", "#4aa3b8", "#d1495b")  # legible on both

_STYLE = {
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


def svg(figure, name) -> str:
    """SVG markup to stand in the page: `name` keeps its identifiers apart from other figures'."""
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    markup = buffer.getvalue()
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", markup)
    return markup.replace(INK, "currentColor")


def png(pixels) -> bytes:
    """An image: uint8 (height, width), (height, width, 3) or (height, width, 4)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()
