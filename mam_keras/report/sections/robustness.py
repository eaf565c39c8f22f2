"""What noise and other corruptions do to the answers, and what the transformation (a, b) does about it."""

import numpy as np
from matplotlib.lines import Line2D

from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.evaluation import HEADS
from mam_keras.report import figures, wording
from mam_keras.report.blocks import Column, Estimate, Figure, Missing, Section, Table

NEEDS = ("robustness",)
TITLE = "Robustness against noise"
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "average_precision": "average precision",
}
GUESSING = (
    "Dotted: guessing, which is always answering the majority class of training; for balanced accuracy 50 %, for "
    "average precision the share of positive images."
)
TYPICAL = 0.2  # the summary speaks of the sigma next to this one
DRAWN, ACROSS = 40, 8  # attributes that get a small curve of their own
_DASHES = ("-", "--", ":", "-.")  # of the values of a; beyond them again from the first
NAMES = {
    "identity": "identity",
    "unmasked": "a = 0",
    "offset": "offset",
    "unmasked_offset": "a = 0 with offset",
    "adapted": "batch statistics",
    "adapted_offset": "batch statistics with offset",
    "multi_label": HEADS["multi_label"],
}
# The lines of the overview: what they are called, colour, dash. Dashed are controls; drawn through have intervals
_LINES = {
    "identity": ("identity", figures.INK, "-"),
    "best": ("best pair, chosen on validation", figures.COLORS[0], "-"),
    "automatic": ("automatic, by the image's noise", figures.COLORS[3], "-"),
    "offset": ("identity with offsets", figures.COLORS[1], "--"),
    "unmasked": ("a = 0", figures.COLORS[2], "--"),
    "adapted": ("batch statistics", figures.COLORS[4], "--"),
    "adapted_offset": ("batch statistics with offsets", figures.COLORS[4], "-."),
    "multi_label": ("multi-label head", figures.COLORS[6], ":"),
}
# How a gain is made: what was chosen, and the differences that are all of it, its offsets, its transformation
_PARTS = {
    "pair_offset": ("best pair with offsets", "offset", "pair_over_offset"),
    "automatic": ("automatic", "automatic_offset", "automatic_over_offset"),
}


def section(run, others):
    """From the analyses `robustness` and, where there is one, `adaptation`; `others` are not shown."""
    view = _View(run.results["robustness"])
    blocks = [*_what_is_missing(view), _overview(view)]
    if view.chosen:
        blocks.append(_table(view, view.noise, "robustness-noise", "Under Gaussian noise"))
    if "automatic" in view.kinds and "adaptation" in run.results:
        blocks.append(_levels(run.results["adaptation"]))
    if "pair_offset" in view.kinds:
        blocks.append(_parts(view))
    if view.pairs:
        blocks += [_pairs(view), _gains(view)]
    blocks.append(_attributes(view))
    if view.others:
        blocks.append(_corruptions(view))
    if view.others and view.chosen:
        spoiled = [index for name in view.others for index in view.of(name)]
        blocks.append(_table(view, spoiled, "robustness-others", "Under other corruptions"))
    return Section("robustness", TITLE, "1905.02719, figure 5", _reading(view), tuple(blocks), tuple(_summary(view)))


def _reading(view):
    text = "Every curve is of the same spoiled images. "
    if view.pairs and view.chosen:
        text += (
            "A pair (a, b) helps only where it beats the controls: leaving out what the masks add (a = 0), adding one "
            "number per attribute to the logits of the network as it is (offset), or normalising with the statistics "
            "of the spoiled images themselves, without labels (batch statistics). Pair, control and offsets are chosen "
            "on spoiled validation images and reported on others. Automatic means that nobody says how spoiled an "
            "image is: its own noise, estimated, decides pair and offsets (our reading of the paper's side "
            "information). "
        )
    return text + (
        "Near the majority class accuracy says nothing; balanced accuracy (50 % = guessing) and average precision do. "
        "One training run is one seed: intervals cover the images, not training."
    )


def _what_is_missing(view):
    reason = view.values["not_chosen"]
    if reason is not None:
        yield Missing(f"No best pair, no offsets, no automatic choice: {reason}, so nothing can be chosen on them.")
    if not view.pairs:
        yield Missing("No pairs (a, b): the attribute heads have no masks, or no pair but the identity is configured.")
    if "adapted" not in view.kinds:
        yield Missing("No batch statistics as a control: the network has no batch normalisation.")


class _View:
    """The result, by names.

    Attributes:
        kinds: {kind: index of the variant}, of kinds that are there once.
        pairs: indices of the variants with a pair of `analysis.pairs`, the identity left out.
        bends, scales: the values of b and of a among them.
        chosen: whether anything was chosen on validation.
        noise: the conditions of Gaussian noise, by rising sigma.
        sigmas: theirs.
        others: names of the other corruptions.
    """

    def __init__(self, found):
        self.values, self.arrays = found.values, found.arrays
        self.variants, self.conditions = found.values["variants"], found.values["conditions"]
        self.kinds = {variant["kind"]: index for index, variant in enumerate(self.variants)}
        self.pairs = [index for index, variant in enumerate(self.variants) if variant["kind"] == "pair"]
        self.bends, self.scales = (sorted({self.variants[index][which] for index in self.pairs}) for which in "ba")
        self.chosen = found.values["not_chosen"] is None
        self.noise = sorted(self.of("noise"), key=lambda index: self.conditions[index][1])
        self.sigmas = [self.conditions[index][1] for index in self.noise]
        self.others = [name for name in CORRUPTIONS if name != "noise" and self.of(name)]

    def of(self, corruption):
        """The conditions of a corruption."""
        return [index for index, (name, _) in enumerate(self.conditions) if name == corruption]

    def name(self, variant):
        one = self.variants[variant]
        return f"({one['a']:g}, {one['b']:g})" if one["kind"] == "pair" else NAMES[one["kind"]]

    def lines(self, metric):
        """Of the overview, as far as they are there: {key of `_LINES`: the variant under every condition (S,)}."""
        there = {key: np.full(len(self.conditions), self.kinds[key]) for key in _LINES if key in self.kinds}
        if self.chosen and self.pairs:
            there["best"] = self.arrays[f"{metric}.best"]
        return {key: there[key] for key in _LINES if key in there}

    def curve(self, metric, variants, conditions):
        """In percent: value and ends of the interval (3, conditions) of the variant named for every condition."""
        conditions = np.array(conditions, int)
        return 100 * self.arrays[metric][conditions, np.broadcast_to(variants, len(self.conditions))[conditions]].T

    def best_gain(self, metric, condition):
        """What the pair chosen on validation gains over the identity."""
        return self.estimate(f"{metric}.gain", condition, self.arrays[f"{metric}.best"][condition])

    def estimate(self, key, condition, variant=None):
        row = self.arrays[key][condition]
        return Estimate.of(row if variant is None else row[variant])


def _summary(view):
    spoiled = [index for index, sigma in zip(view.noise, view.sigmas, strict=True) if sigma > 0]
    if not spoiled:
        return
    typical = min(spoiled, key=lambda index: abs(view.conditions[index][1] - TYPICAL))
    sigma, guess = view.conditions[typical][1], view.values["guess"]["accuracy"]
    accuracy, balanced = (view.estimate(metric, typical, 0) for metric in ("accuracy", "balanced_accuracy"))
    clean = [100 * view.arrays[metric][view.noise[0], 0, 0] for metric in ("accuracy", "balanced_accuracy")]
    known = view.sigmas[0] == 0 and not np.isnan(clean).any()
    before = ", from {:.1f} and {:.1f} without noise".format(*clean) if known else ""
    yield (
        f"Under Gaussian noise of sigma {sigma:g} the attribute heads keep {wording.percent(accuracy)} accuracy "
        f"(majority class: {100 * guess:.1f}) and {wording.percent(balanced)} balanced accuracy{before}."
    )
    if "adapted" in view.kinds:
        gain = view.estimate("balanced_accuracy.gain", typical, view.kinds["adapted"])
        yield (
            "Batch normalisation by the statistics of the noisy images themselves, which needs no label, changes "
            f"balanced accuracy by {wording.points(gain)} at sigma {sigma:g}."
        )
    if not view.chosen:
        return
    if view.pairs:
        yield from _verdict(view, spoiled)
    gain = view.estimate("balanced_accuracy.gain", typical, view.kinds["offset"])
    clean = ""
    if view.sigmas[0] == 0:
        offset = view.estimate("balanced_accuracy.gain", view.noise[0], view.kinds["offset"])
        clean = f", and by {wording.points(offset)} without noise"
    yield (
        f"One offset of the logits for each attribute, without any transformation, changes balanced accuracy by "
        f"{wording.points(gain)} at sigma {sigma:g}{clean}."
    )
    if "automatic" in view.kinds:
        yield from _automatic(view, typical, spoiled)


def _verdict(view, spoiled):
    """Whether pairs help, and whether a simple control does as well."""
    metric = "balanced_accuracy"
    gains = {index: view.best_gain(metric, index) for index in spoiled}
    beyond = [view.estimate(f"{metric}.over_control", index) for index in spoiled]
    helps = sum(wording.differs(one) and one.value > 0 for one in gains.values())
    text = (
        f"At {helps} of {wording.count(len(spoiled), 'noise level')} the pair (a, b) chosen on validation has a "
        "measurably higher balanced accuracy than no transformation"
    )
    yield f"{text}; {_against_the_control(beyond)}."
    ranked = {index: view.best_gain("average_precision", index) for index in spoiled}
    index = max(ranked, key=lambda index: ranked[index].value or 0)
    if ranked[index].value is not None:
        yield (
            "In average precision, which no offset can change, the pair chosen for it gains at most "
            f"{wording.points(ranked[index])} over no transformation (sigma {view.conditions[index][1]:g})."
        )


def _against_the_control(differences):
    """How often something is measurably better than the best control: `Estimate`s of the differences, in words."""
    wins, loses = (sum(wording.differs(one) and sign * one.value > 0 for one in differences) for sign in (1, -1))
    if wins == len(differences):
        return "against the best control it is ahead at all of them"
    if wins:
        return f"against the best control it is ahead at {wins} and behind at {loses}"
    behind = "every level" if loses == len(differences) else loses
    return "against the best control it is ahead at none" + (
        f" and behind at {behind}" if loses else ": it does as well"
    )


def _automatic(view, typical, spoiled):
    """What the automatic choice gains, what of it a transformation has part in, and how it stands against controls."""
    metric = "balanced_accuracy"
    gain = view.estimate(f"{metric}.gain", typical, view.kinds["automatic"])
    text = (
        "The automatic choice, pair and offsets by the noise that an image shows itself, changes it by "
        f"{wording.points(gain)} at sigma {view.conditions[typical][1]:g}"
    )
    if "automatic_offset" in view.kinds:
        offset = view.estimate(f"{metric}.gain", typical, view.kinds["automatic_offset"])
        beyond = view.estimate(f"{metric}.automatic_over_offset", typical)
        text += f": {wording.points(offset)} by its offsets alone and "
        if (beyond.value, beyond.low, beyond.high) == (0, 0, 0):
            text += "nothing by the transformation, because no pair is measurably better there than none"
        else:
            text += f"{wording.points(beyond)} by the transformation on top"
    beyond = [view.estimate(f"{metric}.automatic_over_control", index) for index in spoiled]
    yield f"{text}; of {wording.count(len(spoiled), 'noise level')}, {_against_the_control(beyond)}."


def _levels(adaptation):
    """What the automatic choice does, by level of noise."""
    sigmas, knots, among = (adaptation.values[name] for name in ("sigmas", "knots", "variants"))
    noise, best = (adaptation.arrays[name] for name in ("noise", "best"))
    rows = []
    for index, sigma in enumerate(sigmas):
        one, choice = among[best[index]], f"as at {sigmas[max(knot for knot in knots if knot <= index)]:g}"
        if index in knots:
            choice = "identity" if one["kind"] == "identity" else f"({one['a']:g}, {one['b']:g})"
        rows.append((sigma, *map(float, noise[index]), choice))
    columns = (
        Column("sigma", "number", 2),
        Column("estimate, median", "number", 3),
        Column("5 % are below", "number", 3),
        Column("5 % are above", "number", 3),
        Column("pair"),
    )
    note = (
        f"On {wording.count(adaptation.values['images'], 'validation image')}. An image gets the pair and the offsets "
        "of the median that its own estimate is nearest to. Texture raises the estimate, clipping to black and white "
        "lowers it. The pair, with its offsets, has the highest balanced accuracy there, each half of the images "
        "answered with offsets of the other half, and the 95 % interval of its gain over the identity is above zero; "
        "where no pair's is, it is the identity."
    )
    return Table(
        "robustness-levels", "The automatic choice: estimated noise and pair, by sigma.", columns, tuple(rows), note
    )


def _parts(view):
    """Of a gain in balanced accuracy, what is by offsets and what by the transformation on top of them."""
    metric, rows = "balanced_accuracy", []
    for kind, (title, offset, beyond) in _PARTS.items():
        for index in view.noise:
            pair = view.name(view.arrays[f"{metric}.best_offset"][index]) if kind == "pair_offset" else "by image"
            gain, by_offset = (view.estimate(f"{metric}.gain", index, view.kinds[one]) for one in (kind, offset))
            by_pair = view.estimate(f"{metric}.{beyond}", index)
            rows.append((title, view.conditions[index][1], pair, gain, by_offset, by_pair))
    columns = (
        Column("choice"),
        Column("sigma", "number", 2),
        Column("pair"),
        Column("gain over identity, in points", "percent"),
        Column("by offsets alone, in points", "percent"),
        Column("by the transformation on top, in points", "percent"),
    )
    note = (
        "The last two add up to the gain. Offsets alone: the identity with offsets that are fitted in the same way; "
        "the transformation on top: the chosen pair with its own offsets, less that. Differences are paired."
    )
    return Table("robustness-parts", "What a gain in balanced accuracy is made of.", columns, tuple(rows), note)


def _table(view, conditions, name, caption):
    def best(metric, index):
        return view.arrays[f"{metric}.best"][index]

    def control(metric, index):
        return view.arrays[f"{metric}.control"][index]

    cells = [
        (Column("metric"), lambda metric, index: METRICS[metric]),
        (Column("corruption"), lambda metric, index: CORRUPTIONS[view.conditions[index][0]].title),
        (Column("severity", "number", 3), lambda metric, index: view.conditions[index][1]),
        (Column("guessing", "percent"), lambda metric, index: view.values["guess"][metric]),
        (Column("identity", "percent"), lambda metric, index: view.estimate(metric, index, 0)),
        (Column("best pair"), lambda metric, index: view.name(best(metric, index))),
        (Column("its value", "percent"), lambda metric, index: view.estimate(metric, index, best(metric, index))),
        (Column("gain over identity, in points", "percent"), view.best_gain),
        (Column("best control"), lambda metric, index: view.name(control(metric, index))),
        (Column("its value", "percent"), lambda metric, index: view.estimate(metric, index, control(metric, index))),
        (
            Column("pair less control, in points", "percent"),
            lambda metric, index: view.estimate(f"{metric}.over_control", index),
        ),
    ]
    if "automatic" in view.kinds:
        cells += [
            (
                Column("automatic", "percent"),
                lambda metric, index: view.estimate(metric, index, view.kinds["automatic"]),
            ),
            (
                Column("automatic less control, in points", "percent"),
                lambda metric, index: view.estimate(f"{metric}.automatic_over_control", index),
            ),
        ]
    if not view.pairs:  # then the identity stands where the best pair would
        del cells[5:8]
    if conditions == view.noise:
        del cells[1]
    columns, values = zip(*cells, strict=True)
    rows = tuple(tuple(value(metric, index) for value in values) for metric in METRICS for index in conditions)
    counts = view.values["resamples"]
    note = (
        "Pair (the identity is among them) and control are chosen by the same metric on "
        f"{wording.count(view.values['validation_images'], 'validation image')} under the same corruption. The "
        "controls: a = 0, the statistics of the spoiled images in batch normalisation, and with each of them and with "
        "the identity an offset of each attribute's logit, which is fitted there for the metric and leaves average "
        "precision as it is. The automatic choice has one set of offsets, for balanced accuracy. Differences are "
        f"paired; 95 % intervals from {counts['accuracy']} resamples, from {counts['average_precision']} for average "
        "precision."
    )
    return Table(name, f"{caption}: best pair and best control, chosen on validation.", columns, rows, note)


def _overview(view):
    with figures.style():
        canvas, axes = figures.canvas(7.2, 3.6, ncols=3)
        for one, (metric, title) in zip(axes, METRICS.items(), strict=True):
            _lines(one, view.sigmas, view, metric, view.noise)
            _guess(one, view, metric)
            one.set_title(f"{title}, %")
            one.set_xlabel("sigma")
        canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return Figure(
        "robustness-overview",
        figures.svg(canvas, "robustness-overview"),
        "Means over the attributes under Gaussian noise on the prepared image; lines that are drawn through have 95 % "
        "intervals, dashed ones are controls. Sigma is the standard deviation, where black is 0 and white is 1. "
        f"{GUESSING}",
        "; ".join(_in_words(view, metric, view.noise) for metric in METRICS) + ".",
    )


def _in_words(view, metric, conditions):
    return f"{METRICS[metric].capitalize()} of the identity: " + ", ".join(
        f"{view.curve(metric, 0, [index])[0, 0]:.1f} % at {view.conditions[index][1]:g}" for index in conditions
    )


def _pairs(view):
    """All pairs together, as in the paper: colour by b, dashes by a."""
    with figures.style():
        canvas, axes = figures.canvas(7.2, 3.3, ncols=3)
        for one, (metric, title) in zip(axes, METRICS.items(), strict=True):
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


def _gains(view):
    """What each pair changes, in points: a row for each metric, a panel for each b, dashes by a."""
    with figures.style():
        canvas, axes = figures.canvas(
            7.2, 5.2, nrows=len(METRICS), ncols=len(view.bends), sharex=True, sharey="row", squeeze=False
        )
        for row, (metric, title) in zip(axes, METRICS.items(), strict=True):
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
        for metric, title in METRICS.items()
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


def _attributes(view):
    metric, names = "balanced_accuracy", view.values["attributes"]
    values = 100 * view.arrays[f"{metric}.per_attribute"][view.noise]  # (sigmas, V, K)
    lines = {"identity": (0, figures.INK, "-")}
    if view.chosen:
        best, control = (view.arrays[f"{metric}.{which}"][view.noise] for which in ("best", "control"))
        lines |= {"best pair": (best, figures.COLORS[0], "-")} if view.pairs else {}
        lines |= {"best control": (control, figures.COLORS[1], "--")}
    shown = min(DRAWN, len(names))
    across = min(ACROSS, shown)
    bottom, end = float(np.nanmin(values, initial=48)) - 2, max(view.sigmas) or 1
    with figures.style():
        canvas, grid = figures.canvas(
            0.85 * across + 0.3, 0.4 + 0.8 * -(-shown // across), nrows=-(-shown // across), ncols=across, squeeze=False
        )
        for axes in grid.flat:
            axes.set_axis_off()
        for k, axes in enumerate(grid.flat[:shown]):
            axes.plot((0, end), (50, 50), ":", color=figures.INK, linewidth=0.5)
            for label, (variants, color, dash) in lines.items():
                curve = values[range(len(view.noise)), variants, k]
                mark = "." if len(curve) == 1 else None
                axes.plot(view.sigmas, curve, dash, color=color, label=label, linewidth=1, marker=mark)
            axes.set(xlim=(-0.03 * end, 1.03 * end), ylim=(bottom, 101))
            axes.set_title(figures.short(names[k], 17), fontsize=6, pad=2, parse_math=False)
        canvas.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7)
    part = "" if len(names) <= DRAWN else f" The first {DRAWN} of {len(names)}."
    return Figure(
        "robustness-attributes",
        figures.svg(canvas, "robustness-attributes"),
        f"Balanced accuracy of each attribute ({bottom:.0f} to 101 %, upwards; dotted: 50 %, guessing) over sigma (0 "
        f"to {end:g}). Pair and control are those that are best in the mean over attributes.{part}",
        f"{shown} small diagrams.",
    )


def _corruptions(view):
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
    """The lines of the overview, over so many places."""
    for key, variants in view.lines(metric).items():
        label, color, dash = _LINES[key]
        value, *ends = view.curve(metric, variants, conditions)
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
