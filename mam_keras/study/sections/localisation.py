"""Whether the maps of every run fall where the attributes are, what that costs, and what simple controls do."""

import numpy as np

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Column, Figure, Missing, Section, Table
from mam_keras.report.sections.localisation import NAMES, WHERE
from mam_keras.study.view import ONE_SEED, estimate

TITLE = "Localisation"
_JUDGED = ("grad_cam", "blob", "untrained")  # controls that the summary speaks of
_WIDTH, _HEIGHT = 6.2, 3.4  # of the plot of accuracy against localisation, in inches
_LETTER, _LINE = 0.062, 0.13  # of its labels, in inches


def section(view):
    sets = [name for name in WHERE if any(name in one["localisation"] for one in view.having("localisation"))]
    reading = (
        "A map is what each position of the feature map adds to an attribute's logit, as far as it is positive. Energy "
        "ratio: the share of the map that lies in the attribute's region, over the region's share of the image; 1 is "
        "chance. Pointing game: how often the block under the map's highest position meets the region. Each run is "
        "measured on its own true positives, beside controls on the same images: Grad-CAM on its multi-label head, the "
        "same kind of map with random weights, and a Gaussian blob in the middle of every image."
    )
    if not sets:
        blocks = (Missing("No run has maps on images of which the attributes' regions are known."),)
        return Section("localisation", TITLE, "", reading, blocks)
    blocks, summary = [], []
    for name in sets:
        runs = [one for one in view.having("localisation") if name in one["localisation"]]
        blocks += [_against_accuracy(view, runs, name), _table(view, runs, name)]
        shown = [one for one in view.shown if one in runs]
        if shown:
            blocks += [_attributes_figure(view, shown, name), _attributes(view, shown, name)]
            summary += _summary(shown, name)
    return Section("localisation", TITLE, "", reading, tuple(blocks), tuple(summary))


def _summary(shown, name):
    for one in shown:
        found = one["localisation"][name]
        yield (
            f"By {WHERE[name]} ({wording.count(found['attributes'], 'attribute')}), maps of {one['run']} put "
            f"{_times(found['methods']['map']['ratio'])} as much of themselves where the attribute is as chance would, "
            f"and their highest point meets it in {wording.percent(estimate(found['methods']['map']['pointing']), 0)} "
            f"of the images. {_verdict(found)}"
        )


def _verdict(found):
    """How the map does against each control, by energy: paired differences."""
    above, equal, below = [], [], []
    for method in _JUDGED:
        if method in found["map_minus"]:
            gain = estimate(found["map_minus"][method]["ratio"])
            which = equal if not wording.differs(gain) else above if gain.value > 0 else below
            which.append(f"{NAMES[method]} ({found['methods'][method]['ratio'][0]:.2f})")
    parts = [f"a simple control does better: {', '.join(below)}"] * bool(below)
    parts += [f"no measurable difference to {', '.join(equal)}"] * bool(equal)
    parts += [f"measurably above {', '.join(above)}"] * bool(above)
    return f"By energy, on the same images: {'; '.join(parts)}."


def _times(numbers):
    value, low, high = numbers
    return f"{value:.2f} times" + ("" if low is None else f" ({low:.2f} to {high:.2f})")


def _against_accuracy(view, runs, name):
    runs = [one for one in runs if one["test"]]
    points = [(one["localisation"][name]["methods"]["map"]["ratio"], one["test"]["accuracy"]) for one in runs]
    canvas, axes = figures.canvas(_WIDTH + 0.8, _HEIGHT + 0.6)
    for one, (ratio, accuracy) in zip(runs, points, strict=True):
        color, *_ = view.look(one)
        wide = 2 if one is view.chosen else 1
        if ratio[1] is not None:
            axes.hlines(100 * accuracy[0], *ratio[1:], color=color, linewidth=wide)
        if accuracy[1] is not None:
            axes.vlines(ratio[0], *(100 * end for end in accuracy[1:]), color=color, linewidth=wide)
        axes.plot(ratio[0], 100 * accuracy[0], "o", color=color, markersize=4 + 2 * wide)
    axes.axvline(1, color=figures.INK, linewidth=0.6, linestyle=":")
    blob = view.baseline["localisation"][name]["methods"]["blob"]["ratio"][0] if view.baseline in runs else None
    if blob is not None:
        axes.axvline(blob, color=figures.INK, linewidth=0.6, linestyle="--")
    axes.margins(x=0.15, y=0.1)
    _label(axes, [view.name(one) for one in runs], [(ratio[0], 100 * accuracy[0]) for ratio, accuracy in points])
    axes.set_xlabel("energy ratio")
    axes.set_ylabel("accuracy, %")
    caption = (
        f"By {WHERE[name]}: accuracy against localisation on the test images, with 95 % intervals. Better is up and to "
        "the right. Dotted: chance."
    )
    if blob is not None:
        caption += " Dashed: the blob in the middle, on the baseline's images."
    words = ", ".join(
        f"{one['run']} {ratio[0]:.2f} at {100 * accuracy[0]:.1f} %"
        for one, (ratio, accuracy) in zip(runs, points, strict=True)
    )
    figure = f"localisation-{name}-accuracy"
    return Figure(figure, figures.svg(canvas, figure), caption, f"Energy ratio at accuracy: {words}.")


def _label(axes, texts, points):
    """Names beside points, each moved up as far as it takes not to lie on another."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    inches = [((x - left) / (right - left) * _WIDTH, (y - bottom) / (top - bottom) * _HEIGHT) for x, y in points]
    taken = []
    for place in sorted(range(len(points)), key=lambda place: inches[place][1]):
        (x, y), width = inches[place], _LETTER * len(texts[place])
        start = x + 0.1 if x + 0.1 + width <= _WIDTH else x - 0.1 - width
        height = y + 0.04
        while any(begin < start + width and start < end and abs(height - at) < _LINE for begin, end, at in taken):
            height += 0.02
        taken.append((start, start + width, height))
        offset = (72 * (start - x), 72 * (height - y))
        axes.annotate(texts[place], points[place], offset, textcoords="offset points", fontsize=8, parse_math=False)


def _table(view, runs, name):
    methods = list(dict.fromkeys(m for one in runs for m in one["localisation"][name]["methods"]))
    controls = [method for method in methods[1:] if method != "uniform"]
    columns = [Column("run"), Column("attributes", "integer"), Column("pixels seen", "integer")]
    columns += [Column("energy ratio", "number", 2), Column("energy ratio, small regions", "number", 2)]
    columns += [Column(f"energy ratio: {NAMES.get(method, method)}", "number", 2) for method in controls]
    columns += [Column(f"map minus {NAMES.get(method, method)}", "number", 2) for method in controls]
    columns += [Column("pointing game", "percent")]
    columns += [Column(f"map minus {NAMES.get(method, method)}, in points", "percent") for method in controls]
    rows = []
    for one in runs:
        found = one["localisation"][name]
        own, less = found["methods"], found["map_minus"]
        row = [view.name(one), found["attributes"], found["seen"]]
        row += [estimate(own["map"][key]) for key in ("ratio", "small.ratio")]
        row += [estimate(own[method]["ratio"]) if method in own else None for method in controls]
        row += [estimate(less[method]["ratio"]) if method in less else None for method in controls]
        row.append(estimate(own["map"]["pointing"]))
        row += [estimate(less[method]["pointing"]) if method in less else None for method in controls]
        rows.append(tuple(row))
    return Table(
        f"localisation-{name}-runs",
        f"By {WHERE[name]}: maps of every run and its controls, with 95 % intervals.",
        tuple(columns),
        tuple(rows),
        "Each run on its own true positives, means over its own attributes; differences are paired, on the same images "
        f"of the same run. {ONE_SEED}",
    )


def _attributes_figure(view, shown, name):
    names = _names(shown, name)
    canvas, axes = figures.canvas(6.4, 1.1 + 0.19 * len(names))
    for number, one in enumerate(shown):
        found = one["localisation"][name]["per_attribute"]
        color, *_ = view.look(one)
        for place, attribute in enumerate(names):
            if attribute in found:
                value, low, high = found[attribute]["ratio"]
                height = place + 0.25 * ((len(shown) - 1) / 2 - number)
                if low is not None:
                    axes.hlines(height, low, high, color=color, linewidth=1)
                axes.plot(value, height, "o", color=color, markersize=4)
        axes.plot([], [], "o", color=color, markersize=4, label=view.name(one))
    axes.axvline(1, color=figures.INK, linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(names)), labels=[figures.short(n, 24) for n in names], fontsize=8, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", linewidth=0.3, alpha=0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("energy ratio")
    canvas.legend(loc="outside upper center", ncols=3, fontsize=8)
    means = ", ".join(f"{one['run']} {one['localisation'][name]['methods']['map']['ratio'][0]:.2f}" for one in shown)
    figure = f"localisation-{name}-attributes"
    caption = f"By {WHERE[name]}: every attribute's energy ratio on test, with 95 % intervals. Dotted: chance."
    return Figure(figure, figures.svg(canvas, figure), caption, f"{len(names)} attributes; means: {means}.")


def _names(shown, name):
    """Attributes that any of the runs reports, by the energy ratio of the last, lowest first."""
    per_run = [one["localisation"][name]["per_attribute"] for one in shown]
    names = dict.fromkeys(attribute for found in per_run for attribute in found)
    return sorted(names, key=lambda attribute: per_run[-1].get(attribute, {"ratio": [-np.inf]})["ratio"][0])


def _attributes(view, shown, name):
    columns = [Column("attribute"), Column("region", "percent")]
    for one in shown:
        title = view.name(one)
        columns += [Column(f"images: {title}", "integer"), Column(f"energy ratio: {title}", "number", 2)]
        columns.append(Column(f"pointing game: {title}", "percent", 0))
    rows = []
    for attribute in _names(shown, name):
        per_run = [one["localisation"][name]["per_attribute"].get(attribute) for one in shown]
        row = [attribute, next(found["area"] for found in per_run if found)]
        for found in per_run:
            parts = (
                (found["images"], *(estimate(found[key]) for key in ("ratio", "pointing"))) if found else (None,) * 3
            )
            row += parts
        rows.append(tuple(row))
    return Table(
        f"localisation-{name}-by-attribute",
        f"By {WHERE[name]}: every attribute of {' and '.join(one['run'] for one in shown)}.",
        tuple(columns),
        tuple(rows),
        f"Region: its mean share of the image. {ONE_SEED}",
    )
