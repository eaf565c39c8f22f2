"""Whether the network needs what its maps and its most important channels point at."""

import numpy as np

from mam_keras.analysis.faithfulness import COVERED, DRAWS, MOST, REMOVED
from mam_keras.analysis.true_positives import LEAST
from mam_keras.report import figures, wording
from mam_keras.report.blocks import Column, Estimate, Figure, Missing, Section, Table

NEEDS = ("faithfulness",)
TITLE = "Faithfulness"
_NAMES = {"map": "map", "random": "random", "centre": "centre", "top": "most important"}


def section(run, others):
    """From the analysis `faithfulness`; `others` are not shown."""
    found = run.results["faithfulness"]
    (blocks, positions), (removed, channels) = found.values["positions"], found.values["channels"]
    reading = (
        f"What an attribute's logit loses on its first {MOST} true positives when a part is taken away. Covered: "
        f"{blocks} of the {positions} blocks of the image get the image's mean colour: those where the attribute's map "
        f"is highest, random ones, or those nearest the middle. Removed: {removed} of the {channels} channels are left "
        "out of the head's sum: the most important ones on the image (mean absolute contribution, of either sign), or "
        f"random ones (mean of {DRAWS} choices). A map that points at what matters costs more than both controls. "
        "Removing channels is arithmetic with the head's own terms and says nothing of pixels."
    )
    reported = np.flatnonzero(~np.isnan(found.arrays["logit"]))
    if not len(reported):
        parts = (Missing(f"No attribute has {LEAST} true positives."),)
        return Section("faithfulness", TITLE, "", reading, parts)
    parts = (_dots(found, reported), _means(found, reported), _table(found, reported))
    return Section("faithfulness", TITLE, "", reading, parts, tuple(_summary(found)))


def _of(found, loss, methods, method):
    return Estimate.of(found.arrays[f"{loss}.mean"][methods.index(method)])


def _gain(found, loss, methods, method):
    """Of the first method over another one."""
    return Estimate.of(found.arrays[f"{loss}.difference.mean"][methods.index(method) - 1])


def _summary(found):
    losses = {method: _of(found, "covering", COVERED, method) for method in COVERED}
    missed = {method: _of(found, "missed", COVERED, method) for method in COVERED}
    verdicts = []
    for method in COVERED[1:]:
        gain = _gain(found, "covering", COVERED, method)
        blocks = "random blocks cost" if method == "random" else "the middle of the image costs"
        if not wording.differs(gain):
            verdicts.append(f"{blocks} as much, as far as these images show")
        elif gain.value < 0:
            verdicts.append(f"{blocks} more than what the map points at")
    where = found.values["positions"][0] / found.values["positions"][1]
    yield (
        f"Covering the {100 * where:.0f} % of the image where the map is highest takes {_number(losses['map'])} off "
        f"the logit, random blocks {_number(losses['random'])}, the centre {_number(losses['centre'])}; "
        f"{_percents(missed)} of the images are then no longer found: "
        + ("; ".join(verdicts) if verdicts else "what the map points at costs more than both controls")
        + "."
    )
    top, random = (_of(found, "channels", REMOVED, method) for method in REMOVED)
    gain = _gain(found, "channels", REMOVED, "random")
    judged = "" if wording.differs(gain) and gain.value > 0 else ", no more than random ones"
    yield (
        f"Without the {wording.count(found.values['channels'][0], 'most important channel')} the logit loses "
        f"{_number(top)}{judged}; without as many random ones {_number(random)}."
    )


def _percents(missed):
    return ", ".join(f"{100 * missed[method].value:.0f}" for method in COVERED[:-1]) + (
        f" and {100 * missed[COVERED[-1]].value:.0f} %"
    )


def _number(estimate):
    if estimate.low is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _dots(found, reported):
    covering, channels = found.arrays["covering"], found.arrays["channels"]
    order = reported[np.argsort(covering[reported, 0, 0])]
    canvas, axes = figures.canvas(7.2, 1.1 + 0.17 * len(order), ncols=2, sharey=True)
    places = np.arange(len(order))
    for ax, values, methods, title in (
        (axes[0], covering, COVERED, "loss of logit, covered"),
        (axes[1], channels, REMOVED, "loss of logit, channels removed"),
    ):
        for number, method in enumerate(methods):
            color = figures.COLORS[COVERED.index(method) if method in COVERED else 0]
            ax.hlines(places, *values[order, number, 1:].T, color=color, linewidth=1.2)
            size = 5 if number == 0 else 3.5
            ax.plot(values[order, number, 0], places, "o", color=color, markersize=size, label=_NAMES[method])
        ax.axvline(0, color=figures.INK, linewidth=0.6)
        ax.set_xlabel(title)
        ax.grid(axis="y", linewidth=0.3, alpha=0.5)
        ax.tick_params(axis="y", length=0)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(methods), fontsize=8)
    names = [figures.short(found.values["attributes"][k], 24) for k in order]
    axes[0].set_yticks(places, labels=names, fontsize=8, parse_math=False)
    return Figure(
        "faithfulness-attributes",
        figures.svg(canvas, "faithfulness-attributes"),
        "What each attribute's logit loses, with 95 % intervals.",
        f"{len(order)} attributes; covering the map's highest blocks costs from {covering[order[0], 0, 0]:.2f} "
        f"({found.values['attributes'][order[0]]}) to {covering[order[-1], 0, 0]:.2f} "
        f"({found.values['attributes'][order[-1]]}).",
    )


def _means(found, reported):
    rows = []
    for loss, methods, what in (("covering", COVERED, "covered"), ("channels", REMOVED, "channels removed")):
        for method in methods:
            first = method == methods[0]
            missed = _of(found, "missed", COVERED, method) if loss == "covering" else None
            gain = None if first else _gain(found, loss, methods, method)
            rows.append((what, _NAMES[method], _of(found, loss, methods, method), gain, missed))
    columns = (
        Column("taken away"),
        Column("which"),
        Column("loss of logit", "number", 2),
        Column("first minus this", "number", 2),
        Column("no longer found", "percent"),
    )
    note = "Differences are paired: the same images in every resample. One training run is one seed."
    caption = f"Means over {wording.count(len(reported), 'attribute')}, with 95 % intervals."
    return Table("faithfulness-means", caption, columns, tuple(rows), note)


def _table(found, reported):
    arrays = found.arrays
    columns = [Column("attribute"), Column("images", "integer"), Column("logit", "number", 2)]
    columns += [Column(f"covered: {_NAMES[method]}", "number", 2) for method in COVERED]
    columns += [Column(f"no longer found: {_NAMES[method]}", "percent", 0) for method in COVERED]
    columns += [Column(f"removed: {_NAMES[method]}", "number", 2) for method in REMOVED]
    rows = []
    for k in reported:
        row = [found.values["attributes"][k], int(arrays["count"][k]), float(arrays["logit"][k])]
        row += [Estimate.of(numbers) for numbers in arrays["covering"][k]]
        row += [float(value) for value in arrays["missed"][k, :, 0]]
        row += [Estimate.of(numbers) for numbers in arrays["channels"][k]]
        rows.append(tuple(row))
    caption = "Every attribute: the mean logit of its true positives and what it loses."
    note = "Negative: the logit rises. Important channels speak for an attribute or against it."
    return Table("faithfulness", caption, tuple(columns), tuple(rows), note)
