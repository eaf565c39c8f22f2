"""Whether the network needs what its maps and its most important channels point at."""

import numpy as np

from mam_keras.analysis import deletion
from mam_keras.analysis.faithfulness import COVERED, DRAWS, MOST, REMOVED
from mam_keras.analysis.true_positives import LEAST
from mam_keras.report import figures, verdicts, wording
from mam_keras.report.blocks import Column, Figure, Missing, Paragraph, Section, Table
from mam_keras.report.sections.localisation import notes
from mam_keras.statistics import Estimate

NEEDS = ("faithfulness",)
TITLE = "Faithfulness"
_NAMES = {"map": "own map", "random": "random", "centre": "centre", "top": "most important"}
_BLOCKS = {"random": "random blocks", "centre": "the middle of the image"}  # rivals of what the map points at
_ORDERS = {"untrained": "random weights", "random": "random order", "centre": "centre first"}  # controls of deletion
_BETTER = {"deletion": -1, "insertion": 1}  # the sign of a better area


def section(run, others):
    """From the analyses `faithfulness` and `deletion`; `others` are not shown."""
    found = run.results["faithfulness"]
    noun = wording.target(run.targets.exclusive)
    reported = np.flatnonzero(~np.isnan(found.arrays["logit"]))
    if len(reported):
        parts = [_dots(found, reported, noun), _means(found, reported, noun), _table(found, reported, noun)]
        summary = [*_summary(found)]
    else:
        parts, summary = [Missing(f"No {noun} has {LEAST} true positives.")], []
    if "deletion" in run.results:
        ordered = _Ordered(run.results["deletion"], noun)
        parts += [notes(ordered.maps), *_ordered(ordered)]
        summary += _ordered_summary(ordered) if len(ordered.reported) else []
    else:
        parts.append(Missing(f"No deletion and insertion: {run.missing.get('deletion', 'not computed')}."))
    return Section("faithfulness", TITLE, "", _reading(found, noun), tuple(parts), tuple(summary))


def _reading(found, noun):
    (blocks, positions), channels = found.values["positions"], found.values["channels"]
    text = (
        f"What each {noun}'s logit loses on its first {MOST} true positives when a part is taken away. Covered: "
        f"{blocks} of the {positions} blocks of the image get the image's mean colour: those where the network's own "
        f"map ({found.values['map']}) is highest, random ones, or those nearest the middle. "
    )
    if channels is not None:
        removed, whole = channels
        text += (
            f"Removed: {removed} of the {whole} channels are left out of the head's sum: the most important ones on "
            f"the image (mean absolute contribution, of either sign), or random ones (mean of {DRAWS} choices). "
        )
    text += "A map that points at what matters costs more than both controls."
    if "evidence" in found.arrays:
        text += (
            f" A flat patch can itself speak against the {noun}; so the evidence for it that is gone is counted alone, "
            "too: the positive terms of the logit, position by position, before less after."
        )
    if channels is not None:
        text += " Removing channels is arithmetic with the head's own terms and says nothing of pixels."
    return text


def _of(found, loss, methods, method):
    return Estimate.of(found.arrays[f"{loss}.mean"][methods.index(method)])


def _gain(found, loss, methods, method, k=None):
    """Of the first method over another one: in the mean, or of one target."""
    numbers = found.arrays[f"{loss}.difference.mean"] if k is None else found.arrays[f"{loss}.difference"][k]
    return Estimate.of(numbers[methods.index(method) - 1])


def _reported(found):
    """(k, name) of the targets with enough true positives."""
    return [(k, found.values["attributes"][k]) for k in np.flatnonzero(~np.isnan(found.arrays["logit"]))]


def _summary(found):
    losses = {method: _of(found, "covering", COVERED, method) for method in COVERED}
    missed = {method: _of(found, "missed", COVERED, method) for method in COVERED}
    gains = {_BLOCKS[method]: _gain(found, "covering", COVERED, method) for method in COVERED[1:]}
    where = found.values["positions"][0] / found.values["positions"][1]
    yield (
        f"Covering the {100 * where:.0f} % of the image where the map is highest takes {_number(losses['map'])} off "
        f"the logit, random blocks {_number(losses['random'])}, the centre {_number(losses['centre'])}; "
        f"{_percents(missed)} of the images are then no longer found. As a pointer to what the answer needs the map is "
        f"{verdicts.against(gains)}."
    )
    for method in COVERED[1:]:
        gains = {name: _gain(found, "covering", COVERED, method, k) for k, name in _reported(found)}
        for one, names in verdicts.sorted_by(gains).items():
            if one in (verdicts.Verdict.ALIKE, verdicts.Verdict.WORSE):
                yield f"For {verdicts.listed(names)} it is {one.value} {_BLOCKS[method]}."
            if one is verdicts.Verdict.WORSE and "evidence" in found.arrays:
                yield _by_evidence(found, method, names)
    if found.values["channels"] is None:
        return
    top, random = (_of(found, "channels", REMOVED, method) for method in REMOVED)
    gain = _gain(found, "channels", REMOVED, "random")
    yield (
        f"Without the {wording.count(found.values['channels'][0], 'most important channel')} the logit loses "
        f"{_number(top)}, without as many random ones {_number(random)}: {verdicts.word(gain, 'more', 'less')}."
    )


def _by_evidence(found, method, names):
    """Of the targets by whose loss a control was better: is it by the evidence for them that is gone alone?"""
    gains = {name: _gain(found, "evidence", COVERED, method, k) for k, name in _reported(found) if name in names}
    still = verdicts.sorted_by(gains).get(verdicts.Verdict.WORSE, [])
    of = verdicts.listed(still) if still else "none of them"
    return (
        "Counting alone the evidence for it that is gone, not what the flat patch itself says against it, covering "
        f"{_BLOCKS[method]} costs measurably more for {of}."
    )


def _percents(missed):
    return ", ".join(f"{100 * missed[method].value:.0f}" for method in COVERED[:-1]) + (
        f" and {100 * missed[COVERED[-1]].value:.0f} %"
    )


def _number(estimate):
    if estimate.low is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _losses(found):
    """Of the result: (name of the loss, its methods, what was done)."""
    yield "covering", COVERED, "covered"
    if "evidence" in found.arrays:
        yield "evidence", COVERED, "covered: evidence for it"
    if found.values["channels"] is not None:
        yield "channels", REMOVED, "channels removed"


def _dots(found, reported, noun):
    covering, losses = found.arrays["covering"], list(_losses(found))
    order = reported[np.argsort(covering[reported, 0, 0])]
    canvas, axes = figures.canvas(7.2, 1.1 + 0.17 * len(order), ncols=len(losses), sharey=True, squeeze=False)
    places = np.arange(len(order))
    for ax, (name, methods, what) in zip(axes[0], losses, strict=True):
        values = found.arrays[name]
        for number, method in enumerate(methods):
            color = figures.COLORS[COVERED.index(method) if method in COVERED else 0]
            ax.hlines(places, *values[order, number, 1:].T, color=color, linewidth=1.2)
            size = 5 if number == 0 else 3.5
            ax.plot(values[order, number, 0], places, "o", color=color, markersize=size, label=_NAMES[method])
        ax.axvline(0, color=figures.INK, linewidth=0.6)
        ax.set_xlabel(f"loss of logit, {what}")
        ax.grid(axis="y", linewidth=0.3, alpha=0.5)
        ax.tick_params(axis="y", length=0)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(methods), fontsize=8)
    names = [figures.short(found.values["attributes"][k], 24) for k in order]
    axes[0, 0].set_yticks(places, labels=names, fontsize=8, parse_math=False)
    return Figure(
        "faithfulness-attributes",
        figures.svg(canvas, "faithfulness-attributes"),
        f"What the logit of each {noun} loses, with 95 % intervals.",
        f"{wording.count(len(order), noun)}; covering the map's highest blocks costs from "
        f"{covering[order[0], 0, 0]:.2f} ({found.values['attributes'][order[0]]}) to {covering[order[-1], 0, 0]:.2f} "
        f"({found.values['attributes'][order[-1]]}).",
    )


def _means(found, reported, noun):
    rows = []
    for loss, methods, what in _losses(found):
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
    caption = f"Means over {wording.count(len(reported), noun)}, with 95 % intervals."
    return Table("faithfulness-means", caption, columns, tuple(rows), note)


def _table(found, reported, noun):
    arrays, (_, *others) = found.arrays, _losses(found)
    columns = [Column(noun), Column("images", "integer"), Column("logit", "number", 2)]
    columns += [Column(f"covered: {_NAMES[method]}", "number", 2) for method in COVERED]
    columns += [Column(f"no longer found: {_NAMES[method]}", "percent", 0) for method in COVERED]
    for loss, methods, _ in others:
        what = "evidence gone" if loss == "evidence" else "removed"
        columns += [Column(f"{what}: {_NAMES[method]}", "number", 2) for method in methods]
    rows = []
    for k in reported:
        row = [found.values["attributes"][k], int(arrays["count"][k]), float(arrays["logit"][k])]
        row += [Estimate.of(numbers) for numbers in arrays["covering"][k]]
        row += [float(value) for value in arrays["missed"][k, :, 0]]
        row += [Estimate.of(numbers) for name, _, _ in others for numbers in arrays[name][k]]
        rows.append(tuple(row))
    caption = f"Every {noun}: the mean logit of its true positives and what it loses."
    note = "Negative: the logit rises."
    if found.values["channels"] is not None:
        note += f" Important channels speak for the {noun} or against it."
    return Table("faithfulness", caption, tuple(columns), tuple(rows), note)


class _Ordered:
    """The result of deletion and insertion, by names.

    Attributes:
        noun: what one of the targets is called.
        reported: indices of the targets with enough true positives.
        methods: M of them, the network's own map first.
        controls: those that are no map of the trained network.
    """

    def __init__(self, found, noun):
        self.noun = noun
        self.values, self.arrays, self.maps = found.values, found.arrays, found.values["maps"]
        self.attributes, self.methods = found.values["attributes"], found.values["methods"]
        self.reported = np.flatnonzero(~np.isnan(found.arrays["deletion"][:, 0, 0]))
        self.controls = [method for method in self.methods if method not in self.maps]

    def title(self, method):
        return self.maps[method]["title"] if method in self.maps else _ORDERS[method]

    def mean(self, measure, method):
        return Estimate.of(self.arrays[f"{measure}.mean"][self.methods.index(method)])

    def gain(self, measure, method, k=None):
        """Of the own map over another method: in the mean, or of one attribute. Better is above 0."""
        numbers = self.arrays[f"{measure}.difference.mean"] if k is None else self.arrays[f"{measure}.difference"][k]
        gain = Estimate.of(numbers[self.methods.index(method) - 1])
        return gain if _BETTER[measure.removesuffix("_logit")] > 0 else verdicts.turned(gain)

    def winners(self, measure, k):
        """Controls that are clearly better than the own map for an attribute."""
        gains = {method: self.gain(measure, method, k) for method in self.controls}
        return verdicts.sorted_by(gains).get(verdicts.Verdict.WORSE, [])


def _ordered(view):
    yield Paragraph(
        f"Deletion and insertion (Petsiuk et al. 2018), on the first {deletion.MOST} true positives of each "
        f"{view.noun}: the {' x '.join(map(str, view.values['grid']))} blocks of the image get its mean colour one "
        "after the other, "
        f"those first where a map is highest, in {len(view.arrays['share']) - 1} steps; or they come back onto an "
        "image of that colour in the same order. The area under the probability, from nothing to all of "
        "the image: low is better for deletion, high for insertion. All maps are brought to the own map's blocks. "
        "Controls: the own map of a network with random weights, a random order, and the blocks nearest the middle "
        "first. Covered images are unlike any that were trained on: compare methods, not areas of different networks."
    )
    if not len(view.reported):
        yield Missing(f"No {view.noun} has {LEAST} true positives among those.")
        return
    yield _curves(view)
    yield _areas(view)
    yield from (_areas_table(view, measure) for measure in _BETTER)


def _ordered_summary(view):
    own = view.title(view.methods[0])
    for measure, sign in _BETTER.items():
        mean = view.mean(measure, view.methods[0])
        gains = {
            f"{view.title(method)} ({view.mean(measure, method).value:.2f})": view.gain(measure, method)
            for method in view.methods[1:]
        }
        low_or_high = "low" if sign < 0 else "high"
        yield (
            f"{measure.capitalize()} by {own} has an area of {_number(mean)}, where {low_or_high} is better: "
            f"{verdicts.against(gains)}."
        )
        won = {k: view.winners(measure, k) for k in view.reported}
        won = {view.attributes[k]: methods for k, methods in won.items() if methods}
        names = ", ".join(f"{name} ({', '.join(map(view.title, methods))})" for name, methods in won.items())
        of = wording.count(len(view.reported), view.noun)
        yield (
            f"A control is clearly better than {own} by {measure} for {len(won)} of {of}: {names}."
            if won
            else f"By {measure} no control is clearly better than {own} for any of {of}."
        )


def _curves(view):
    canvas, axes = figures.canvas(7.2, 3.1, ncols=2, sharey=True)
    share = 100 * view.arrays["share"]
    for ax, measure, title in zip(axes, _BETTER, ("covered, %", "put back, %"), strict=True):
        for number, method in enumerate(view.methods):
            style = {"linewidth": 2 if number == 0 else 1.2, "linestyle": ":" if method in view.controls else "-"}
            color = figures.COLORS[number % len(figures.COLORS)]
            curve = view.arrays[f"{measure}.curve.mean"][number]
            ax.plot(share, curve, color=color, label=view.title(method), **style)
        ax.set_xlabel(f"{measure}: share of the image {title}")
        ax.set_xlim(0, 100)
        ax.set_ylim(bottom=0)
    axes[0].set_ylabel("mean probability")
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=min(3, len(labels)), fontsize=8)
    words = "; ".join(
        f"{measure} "
        + ", ".join(f"{view.title(method)} {view.mean(measure, method).value:.2f}" for method in view.methods)
        for measure in _BETTER
    )
    return Figure(
        "faithfulness-curves",
        figures.svg(canvas, "faithfulness-curves"),
        f"Mean probability over {wording.count(len(view.reported), view.noun)} while blocks go and while they come "
        "back, in the order of each map (solid) and control (dotted).",
        f"Areas under the curves: {words}.",
    )


def _areas(view):
    rows = []
    for method in view.methods:
        row = [view.title(method)]
        for measure in (*_BETTER, *(f"{name}_logit" for name in _BETTER)):
            row.append(view.mean(measure, method))
            if measure in _BETTER:
                row.append(None if method == view.methods[0] else view.gain(measure, method))
        rows.append(tuple(row))
    columns = [Column("order of")]
    for measure in _BETTER:
        columns += [Column(f"{measure}: area", "number", 3), Column(f"{measure}: own map better by", "number", 3)]
    columns += [Column(f"{measure}: area of the logit", "number", 2) for measure in _BETTER]
    caption = f"Areas: means over {wording.count(len(view.reported), view.noun)}, with 95 % intervals."
    note = "Differences are paired: the same images in every resample. One training run is one seed."
    return Table("faithfulness-areas", caption, tuple(columns), tuple(rows), note)


def _areas_table(view, measure):
    columns = [Column(view.noun), Column("images", "integer")]
    columns += [Column(view.title(method), "number", 3) for method in view.methods]
    columns.append(Column("controls that win"))
    rows = []
    for k in view.reported:
        first, *rest = view.arrays[measure][k]
        row = [view.attributes[k], int(view.arrays["count"][k])]
        row += [Estimate.of(first), *(float(numbers[0]) for numbers in rest)]
        rows.append((*row, ", ".join(map(view.title, view.winners(measure, k))) or "none"))
    better = "high" if _BETTER[measure] > 0 else "low"
    caption = f"{wording.begun(measure)} of every {view.noun}: the area under its curve, {better} is better."
    note = (
        "A control wins where the 95 % interval of the paired difference leaves 0 out: of so many intervals some do by "
        "chance."
    )
    return Table(f"faithfulness-{measure}", caption, tuple(columns), tuple(rows), note)
