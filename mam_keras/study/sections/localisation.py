"""Whether the maps of every run fall where the targets are, and what that costs."""

from mam_keras.report import figures
from mam_keras.report.blocks import Figure, Missing, Section
from mam_keras.report.headlines import column, shown

TITLE = "Localisation"
_WIDTH, _HEIGHT = 6.2, 3.4  # of the plot of accuracy against localisation, in inches
_LETTER, _LINE = 0.062, 0.13  # of its labels, in inches
_POINT = 9.0  # the width of what is slowest to answer, in points


def section(view):
    reading = (
        f"Whether the map of each {view.noun} lies where that is: the share of the map's energy in its region over the "
        "region's share of the image; 1 is chance. Each run is measured on its own true positives; its controls on the "
        "same images, Grad-CAM, random weights and a blob in the middle, are in the sentences of the summary and in "
        "the run's own report."
    )
    parts = [("test", measure) for measure in view.measures("localisation")]
    if not parts:
        blocks = [Missing("No run has maps on images of which regions are known.")]
    else:
        blocks = [*_against_accuracy(view), *view.tables("localisation", "on the test images", parts)]
    return Section("localisation", TITLE, "", reading, tuple(blocks), tuple(view.sentences("localisation")))


def _against_accuracy(view):
    """A point for each group, whose area is the time that an answer takes, where that was measured of all."""
    accuracy = view.found["accuracy"]
    points = [
        (one, view.found_of(one)["test"]["localisation"], view.found_of(one)["test"][accuracy])
        for one in view.groups
        if all(one["test"].get(measure, [None])[0] is not None for measure in ("localisation", accuracy))
    ]
    if not points:
        return
    canvas, axes = figures.canvas(_WIDTH + 0.8, _HEIGHT + 0.6)
    times = {one["group"]: one["test"].get("answering_ms", [None])[0] for one, *_ in points}
    times = {} if None in times.values() else times
    for one, (x, *across), (y, *along) in points:
        color, *_ = view.look(one)
        wide = 2 if one is view.chosen else 1
        if across[0] is not None:
            axes.hlines(100 * y, *across, color=color, linewidth=wide)
        if along[0] is not None:
            axes.vlines(x, *(100 * end for end in along), color=color, linewidth=wide)
        size = _POINT * (times[one["group"]] / max(times.values())) ** 0.5 if times else 4 + 2 * wide
        axes.plot(x, 100 * y, "o", color=color, markersize=size)
    axes.axvline(1, color=figures.INK, linewidth=0.6, linestyle=":")
    axes.margins(x=0.15, y=0.1)
    _label(axes, [view.name(one) for one, *_ in points], [(x[0], 100 * y[0]) for _, x, y in points])
    axes.set_xlabel(column("localisation").title)
    axes.set_ylabel(f"{column(accuracy).title}, %")
    caption = "Accuracy against localisation on the test images. Better is up and to the right. Dotted: chance."
    caption += f" Lines are 95 % intervals over the {'seeds' if view.seeded else 'images'}."
    if times:
        low, high = (shown("answering_ms", end(times.values())) for end in (min, max))
        caption += f" The area of a point is the time that an image takes to be answered, {low} to {high} ms."
    words = ", ".join(
        f"{one['group']} {shown('localisation', x[0])} at {shown(accuracy, y[0])}" for one, x, y in points
    )
    name = "localisation-accuracy"
    yield Figure(name, figures.svg(canvas, name), caption, f"Localisation at accuracy: {words}.")


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
