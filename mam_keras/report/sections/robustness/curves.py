"""Curves of the section about robustness."""

import numpy as np
from matplotlib.lines import Line2D

from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.report import figures, wording
from mam_keras.report.blocks import Figure

GUESSING = (
    "Dotted: guessing, which is always answering the majority class of training; for average precision the share of "
    "positive images."
)
DRAWN, ACROSS = 40, 8  # attributes that get a small curve of their own
_DASHES = ("-", "--", ":", "-.")  # of the values of a; beyond them again from the first
# The lines of the overview: what they are called, colour, dash. Dashed are controls; drawn through have intervals
_LINES = {
    "identity": ("identity", figures.INK, "-"),
    "best": ("best pair, chosen on validation", figures.COLORS[0], "-"),
    "automatic": ("automatic, by the image's noise", figures.COLORS[3], "-"),
    "offset": ("identity with offsets", figures.COLORS[1], "--"),
    "unmasked": ("a = 0", figures.COLORS[2], "--"),
    "adapted": ("batch statistics", figures.COLORS[4], "--"),
    "adapted_offset": ("batch statistics with offsets", figures.COLORS[4], "-."),
}


def overview(view):
    with figures.style():
        canvas, axes = figures.canvas(7.2, 3.6, ncols=3)
        for one, (metric, title) in zip(axes, view.metrics.items(), strict=True):
            _lines(one, view.sigmas, view, metric, view.noise)
            _guess(one, view, metric)
            one.set_title(f"{title}, %")
            one.set_xlabel("sigma")
        canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return Figure(
        "robustness-overview",
        figures.svg(canvas, "robustness-overview"),
        f"Means over the {wording.targets(view.values['exclusive'])} under Gaussian noise on the prepared image; lines "
        "that are drawn through have 95 % intervals, dashed ones are controls. Sigma is the standard deviation, where "
        "black is 0 and white is 1. "
        f"{GUESSING}",
        "; ".join(_in_words(view, metric, view.noise) for metric in view.metrics) + ".",
    )


def _in_words(view, metric, conditions):
    return f"{view.metrics[metric].capitalize()} of the identity: " + ", ".join(
        f"{view.curve(metric, 0, [index])[0, 0]:.1f} % at {view.conditions[index][1]:g}" for index in conditions
    )


def pairs(view):
    """All pairs together, as in the paper: colour by b, dashes by a."""
    with figures.style():
        canvas, axes = figures.canvas(7.2, 3.3, ncols=3)
        for one, (metric, title) in zip(axes, view.metrics.items(), strict=True):
            one.plot(view.sigmas, view.curve(metric, 0, view.noise)[0], color=figures.INK, linewidth=2)
            for index in view.pairs:
                color, dash = _look(view, index)
                one.plot(view.sigmas, view.curve(metric, index, view.noise)[0], dash, color=color, linewidth=1)
            _guess(one, view, metric)
            one.set_title(f"{title}, %")
            one.set_xlabel("sigma")
        entries = {"identity": Line2D((), (), color=figures.INK, linewidth=2)}
        entries |= {f"b = {b:g}": Line2D((), (), color=_color(number)) for number, b in enumerate(view.bends)}
        entries |= _dashes(view.scales)
        canvas.legend(entries.values(), entries, loc="outside lower center", ncols=5)
    return Figure(
        "robustness-pairs",
        figures.svg(canvas, "robustness-pairs"),
        f"Every pair (a, b) under Gaussian noise. What a pair changes, with intervals, is drawn beneath. {GUESSING}",
        f"{len(view.pairs)} curves beside the identity, for each of three metrics.",
    )


def gains(view):
    """What each pair changes, in points: a row for each metric, a panel for each b, dashes by a."""
    with figures.style():
        canvas, axes = figures.canvas(
            7.2, 5.2, nrows=len(view.metrics), ncols=len(view.bends), sharex=True, sharey="row", squeeze=False
        )
        for row, (metric, title) in zip(axes, view.metrics.items(), strict=True):
            row[0].set_ylabel(title)
            for one, b in zip(row, view.bends, strict=True):
                one.axhline(0, color=figures.INK, linewidth=0.8)
                for index in view.pairs:
                    if view.variants[index]["b"] == b:
                        color, dash = _look(view, index)
                        _draw(one, view.sigmas, view.curve(f"{metric}.gain", index, view.noise), color, dash)
        for one, b in zip(axes[0], view.bends, strict=True):
            one.set_title(f"b = {b:g}")
        for one in axes[-1]:
            one.set_xlabel("sigma")
        entries = _dashes(view.scales)
        canvas.legend(entries.values(), entries, loc="outside lower center", ncols=5)
    most = (
        f"{title}: {view.name(index)} gains most, {100 * gain:+.1f} points"
        for metric, title in view.metrics.items()
        for index, gain in [max(_means_of_gains(view, metric).items(), key=lambda item: np.nan_to_num(item[1]))]
    )
    return Figure(
        "robustness-gains",
        figures.svg(canvas, "robustness-gains"),
        "What each pair gains over the identity under Gaussian noise, in points, with paired 95 % intervals.",
        f"In the mean over the noise levels: {'; '.join(most)}.",
    )


def _means_of_gains(view, metric):
    """{pair: its gain over the identity, mean over the noise levels}."""
    return {index: view.arrays[f"{metric}.gain"][view.noise, index, 0].mean() for index in view.pairs}


def attributes(view):
    metric, names = "balanced_accuracy", view.values["attributes"]
    values = 100 * view.arrays[f"{metric}.per_attribute"][view.noise]  # (sigmas, V, K)
    lines = {"identity": (0, figures.INK, "-")}
    if view.chosen:
        best, control = (view.arrays[f"{metric}.{which}"][view.noise] for which in ("best", "control"))
        lines |= {"best pair": (best, figures.COLORS[0], "-")} if view.pairs else {}
        lines |= {"best control": (control, figures.COLORS[1], "--")}
    shown, guess = min(DRAWN, len(names)), 100 * (view.values["guess"][metric] or 0)
    across = min(ACROSS, shown)
    bottom, end = float(np.nanmin(values, initial=guess - 2)) - 2, max(view.sigmas) or 1
    with figures.style():
        canvas, grid = figures.canvas(
            0.85 * across + 0.3, 0.4 + 0.8 * -(-shown // across), nrows=-(-shown // across), ncols=across, squeeze=False
        )
        figures.small_multiples(grid, shown, (0, end), (round(guess), 100))
        for k, axes in enumerate(grid.flat[:shown]):
            axes.plot((0, end), (guess, guess), ":", color=figures.INK, linewidth=0.5)
            for label, (variants, color, dash) in lines.items():
                curve = values[range(len(view.noise)), variants, k]
                mark = "." if len(curve) == 1 else None
                axes.plot(view.sigmas, curve, dash, color=color, label=label, linewidth=1, marker=mark)
            axes.set(xlim=(-0.03 * end, 1.03 * end), ylim=(bottom, 101))
            axes.set_title(figures.short(names[k], 17), fontsize=6, pad=2, parse_math=False)
        canvas.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7)
    what = "Recall of each class" if view.values["exclusive"] else "Balanced accuracy of each attribute"
    part = "" if len(names) <= DRAWN else f" The first {DRAWN} of {len(names)}."
    if view.chosen:
        part = f" Pair and control are those that are best in the mean over attributes.{part}"
    return Figure(
        "robustness-attributes",
        figures.svg(canvas, "robustness-attributes"),
        f"{what} ({bottom:.0f} to 101 %, upwards; dotted: {guess:.0f} %, guessing) over sigma (0 to {end:g}).{part}",
        f"{shown} small diagrams.",
    )


def corruptions(view):
    """Balanced accuracy under every other corruption, from clean images on."""
    metric = "balanced_accuracy"
    names = view.others
    clean = view.noise[:1] if view.sigmas[0] == 0 else []
    with figures.style():
        canvas, axes = figures.canvas(7.2, 3.4, ncols=len(names), sharey=True, squeeze=False)
        for one, name in zip(axes[0], names, strict=True):
            conditions = [*clean, *view.of(name)]
            _lines(one, range(len(conditions)), view, metric, conditions)
            _guess(one, view, metric)
            severities = [f"{view.conditions[index][1]:g}" for index in view.of(name)]
            one.set_xticks(range(len(conditions)), ["clean"] * len(clean) + severities)
            one.set_title(CORRUPTIONS[name].title)
        axes[0, 0].set_ylabel("balanced accuracy, %")
        canvas.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    units = "; ".join(f"{CORRUPTIONS[name].title}: {CORRUPTIONS[name].unit}" for name in names)
    return Figure(
        "robustness-corruptions",
        figures.svg(canvas, "robustness-corruptions"),
        "Balanced accuracy under other corruptions; lines that are drawn through have 95 % intervals, dashed ones are "
        f"controls. {units}. {GUESSING}",
        "The table below has the numbers." if view.chosen else f"{len(names)} diagrams.",
    )


def _lines(axes, places, view, metric, conditions):
    """The lines of the overview, as far as they are there, over so many places."""
    variants_of = dict(view.kinds)
    if view.chosen and view.pairs:
        variants_of["best"] = view.arrays[f"{metric}.best"]
    looks = _LINES | {head: (wording.head(head), figures.COLORS[6], ":") for head in view.heads}
    for key in [key for key in looks if key in variants_of]:
        label, color, dash = looks[key]
        value, *ends = view.curve(metric, variants_of[key], conditions)
        _draw(axes, places, (value, *(ends if dash == "-" else np.full((2, len(value)), np.nan))), color, dash, label)


def _draw(axes, places, curve, color, dash, label=None):
    value, low, high = curve
    axes.plot(places, value, dash, color=color, label=label, marker="." if len(value) == 1 else None)
    if not np.isnan(low).all():
        axes.fill_between(places, low, high, color=color, alpha=0.13, linewidth=0)


def _guess(axes, view, metric):
    guess = view.values["guess"][metric]
    if guess is not None:
        axes.axhline(100 * guess, color=figures.INK, linewidth=0.8, linestyle=(0, (1, 2)), label="guessing")


def _color(number):
    return figures.COLORS[number % len(figures.COLORS)]


def _look(view, index):
    """Colour and dash of a pair."""
    b, a = view.bends.index(view.variants[index]["b"]), view.scales.index(view.variants[index]["a"])
    return _color(b), _DASHES[a % len(_DASHES)]


def _dashes(scales):
    """Entries of a legend for the values of a."""
    return {
        f"a = {a:g}": Line2D((), (), color=figures.INK, linestyle=_DASHES[number % len(_DASHES)])
        for number, a in enumerate(scales)
    }
