"""The mask transformation of every pair (a, b) that the report uses, over the mask values that this run has."""

import numpy as np

from mam_keras.report import figures
from mam_keras.report.blocks import Figure, Section

NEEDS = ("transformation", "masks")
TITLE = "Transformation of the masks"
_DASHES = ("-", "--", ":", "-.")  # of the values of a; beyond them again from the first


def section(run, others):
    """From the analyses `transformation` and `masks`; `others` are not shown."""
    found, masks = run.results["transformation"], run.results["masks"]
    reading = (
        "T says what a mask value m becomes before it is multiplied with the feature: b bends the curve around its "
        "middle, a scales it. Only the part of a curve where mask values lie, beneath, changes any answer."
    )
    return Section(
        "transformation", TITLE, "1905.02719, figure 3", reading, (_curves(found, masks),), _summary(found, masks)
    )


def _summary(found, masks):
    shares = _shares(masks)
    middle = (1 + np.searchsorted(shares.cumsum(), 0.5)) / len(shares)
    there, opened = ("{:.2f} to {:.2f}".format(*_ends(found, mask)) for mask in (middle, 1.0))
    return (
        f"Half of all mask values are under {middle:.2f}, where T runs from {there} over the pairs; at an open mask "
        f"it runs from {opened}.",
    )


def _ends(found, mask):
    """The least and the largest T of all pairs at a mask value."""
    at = np.abs(found.arrays["mask"] - mask).argmin()
    return found.arrays["curves"][:, at].min(), found.arrays["curves"][:, at].max()


def _shares(masks):
    """The share of mask values in each bin of [0, 1], over all attributes."""
    counts = masks.arrays["histogram"].sum(axis=0)
    return counts / counts.sum()


def _curves(found, masks):
    canvas, (curves, histogram) = figures.canvas(6.4, 4.6, nrows=2, sharex=True, height_ratios=(3, 1))
    pairs = found.values["pairs"]
    bends = sorted({b for _, b in pairs[1:]})
    scales = sorted({a for a, _ in pairs[1:]})
    for (a, b), curve in zip(pairs[1:], found.arrays["curves"][1:], strict=True):
        color = figures.COLORS[bends.index(b) % len(figures.COLORS)]
        dash = _DASHES[scales.index(a) % len(_DASHES)]
        curves.plot(found.arrays["mask"], curve, dash, color=color, label=f"({a:g}, {b:g})")
    identity = "({:g}, {:g}), no transformation".format(*pairs[0])
    curves.plot(found.arrays["mask"], found.arrays["curves"][0], color=figures.INK, linewidth=2, label=identity)
    offset = found.values["offset"]
    curves.set_ylabel("T(m) = 1 + f(m)" if offset else "T(m) = f(m)")
    canvas.legend(*curves.get_legend_handles_labels(), loc="outside right upper", title="(a, b)")
    shares = _shares(masks)
    edges = np.linspace(0, 1, len(shares) + 1)
    histogram.stairs(shares, edges, fill=True, color=figures.COLORS[0], baseline=1e-7)
    histogram.set_yscale("log")
    histogram.set_ylim(1e-6, 1.5)
    histogram.set_ylabel("share")
    histogram.set_xlabel("mask value m")
    alternative = (
        f"{len(pairs)} curves; {100 * shares[: len(shares) // 10].sum():.1f} % of the mask values are under 0.1."
    )
    caption = (
        f"T of each pair (family {found.values['family']}, our reading of equations 7 and 8, whose text is lost), and "
        "beneath, on a logarithmic scale, the share of this run's mask values in each hundredth."
    )
    return Figure("transformation-curves", figures.svg(canvas, "transformation-curves"), caption, alternative)
