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
TYPICAL = 0.2  # the summary speaks of the sigma next to this one
DRAWN, ACROSS = 40, 8  # attributes that get a small curve of their own
_DASHES = ("-", "--", ":", "-.")  # of the values of a; beyond them again from the first
_NAMES = {"identity": "identity", "unmasked": "a = 0", "offset": "offset", "multi_label": HEADS["multi_label"]}
# The few lines of the overview: what they are called, colour, dash
_LINES = {
    "identity": ("identity", figures.INK, "-"),
    "best": ("best pair, chosen on validation", figures.COLORS[0], "-"),
    "offset": ("control: identity with offsets", figures.COLORS[1], "--"),
    "unmasked": ("control: a = 0", figures.COLORS[2], "--"),
    "multi_label": ("multi-label head", figures.COLORS[3], ":"),
}


def section(run, others):
    """From the analysis `robustness`; `others` are not shown."""
    found = run.results["robustness"]
    view = _View(found)
    reading = (
        "The same spoiled images for every curve. A pair (a, b) helps only where it beats both controls: leaving the "
        "masks out (a = 0), and adding one number per attribute to the untouched logits. Pair, control and offsets are "
        "chosen on spoiled validation images and reported on others. Where accuracy comes near the majority class it "
        "says nothing; balanced accuracy (50 % = guessing) and average precision do. One training run is one seed: "
        "intervals cover the images, not training."
    )
    blocks = [*_why_not(found), _overview(view)]
    if view.chosen:
        blocks.append(_table(view, view.of("noise"), "robustness-noise", "Under Gaussian noise"))
    blocks += [_pairs(view, metric) for metric in METRICS] if view.pairs else []
    blocks += [_attributes(view), _others(view)]
    if view.chosen:
        others = [index for name in CORRUPTIONS if name != "noise" for index in view.of(name)]
        blocks.append(_table(view, others, "robustness-others", "Under other corruptions"))
    return Section("robustness", TITLE, "1905.02719, figure 5", reading, tuple(blocks), tuple(_summary(view)))


class _View:
    """The result, by names.

    Attributes:
        kinds: {kind: index of the variant}, of kinds that are there once.
        pairs: indices of the variants with a pair of `analysis.pairs`, the identity left out.
        chosen: whether anything was chosen on validation.
        noise: the conditions of Gaussian noise, by rising sigma.
        sigmas: theirs.
    """

    def __init__(self, found):
        self.values, self.arrays = found.values, found.arrays
        self.variants, self.conditions = found.values["variants"], found.values["conditions"]
        self.kinds = {variant["kind"]: index for index, variant in enumerate(self.variants)}
        self.pairs = [index for index, variant in enumerate(self.variants) if variant["kind"] == "pair"]
        self.chosen = found.values["not_chosen"] is None
        self.noise = sorted(self.of("noise"), key=lambda index: self.conditions[index][1])
        self.sigmas = [self.conditions[index][1] for index in self.noise]

    def of(self, corruption):
        """The conditions of a corruption."""
        return [index for index, (name, _) in enumerate(self.conditions) if name == corruption]

    def name(self, variant):
        one = self.variants[variant]
        return f"({one['a']:g}, {one['b']:g})" if one["kind"] == "pair" else _NAMES[one["kind"]]

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

    def estimate(self, key, condition, variant=None):
        row = self.arrays[key][condition]
        return Estimate.of(row if variant is None else row[variant])


def _why_not(found):
    reason = found.values["not_chosen"]
    if reason is not None:
        yield Missing(f"No best pair and no offsets: {reason}, so nothing can be chosen on them.")


def _summary(view):
    spoiled = [index for index, sigma in zip(view.noise, view.sigmas, strict=True) if sigma > 0]
    if not spoiled:
        return
    typical = min(spoiled, key=lambda index: abs(view.conditions[index][1] - TYPICAL))
    sigma, guess = view.conditions[typical][1], view.values["guess"]["accuracy"]
    accuracy, balanced = (view.estimate(metric, typical, 0) for metric in ("accuracy", "balanced_accuracy"))
    before = ""
    if view.sigmas[0] == 0:
        clean = (100 * view.arrays[metric][view.noise[0], 0, 0] for metric in ("accuracy", "balanced_accuracy"))
        before = ", from {:.1f} and {:.1f} without noise".format(*clean)
    yield (
        f"Under Gaussian noise of sigma {sigma:g} the attribute heads keep {wording.percent(accuracy)} accuracy "
        f"(majority class: {100 * guess:.1f}) and {wording.percent(balanced)} balanced accuracy{before}."
    )
    if not view.chosen:
        return
    if view.pairs:
        yield _verdict(view, spoiled)
    gain = view.estimate("balanced_accuracy.gain", typical, view.kinds["offset"])
    yield (
        f"One offset of the logits for each attribute, without any transformation, changes balanced accuracy at sigma "
        f"{sigma:g} by {wording.points(gain)}."
    )


def _verdict(view, spoiled):
    """Whether pairs help, and whether a simple control does as well."""
    metric = "balanced_accuracy"
    gains = [view.estimate(f"{metric}.gain", index, view.arrays[f"{metric}.best"][index]) for index in spoiled]
    beyond = [view.estimate(f"{metric}.over_control", index) for index in spoiled]
    helps, wins, loses = (
        sum(wording.differs(one) and sign * one.value > 0 for one in estimates)
        for estimates, sign in ((gains, 1), (beyond, 1), (beyond, -1))
    )
    text = (
        f"At {helps} of {wording.count(len(spoiled), 'noise level')} the pair (a, b) chosen on validation has a higher "
        f"balanced accuracy than no transformation"
    )
    if wins == len(spoiled):
        return f"{text}, and at all of them a higher one than the better of two simple controls."
    if wins:
        return f"{text}; higher than the better of two simple controls it is at {wins}, lower at {loses}."
    against = "at every level" if loses == len(spoiled) else f"at {loses} of them"
    simple = f"the better of them is ahead {against}" if loses else "they do as well"
    return f"{text}; it beats the two simple controls at none: {simple}."


def _table(view, conditions, name, caption):
    titles = ["metric", "corruption", "severity"] if name == "robustness-others" else ["metric", "sigma"]
    columns = [Column(titles[0]), *(Column(title) for title in titles[1:-1]), Column(titles[-1], "number", 3)]
    columns += [
        Column("guess", "percent"),
        Column("identity", "percent"),
        Column("best pair"),
        Column("its value", "percent"),
        Column("gain over identity, in points", "percent"),
        Column("best control"),
        Column("its value", "percent"),
        Column("pair less control, in points", "percent"),
    ]
    rows = []
    for metric, title in METRICS.items():
        for index in conditions:
            corruption, severity = view.conditions[index]
            best, control = (view.arrays[f"{metric}.{which}"][index] for which in ("best", "control"))
            rows.append(
                (
                    title,
                    *([CORRUPTIONS[corruption].title] if len(titles) == 3 else []),
                    severity,
                    view.values["guess"][metric],
                    view.estimate(metric, index, 0),
                    view.name(best),
                    view.estimate(metric, index, best),
                    view.estimate(f"{metric}.gain", index, best),
                    view.name(control),
                    view.estimate(metric, index, control),
                    view.estimate(f"{metric}.over_control", index),
                )
            )
    if not view.pairs:  # the identity is the only pair
        kept = [place for place, column in enumerate(columns) if place not in range(len(titles) + 2, len(titles) + 5)]
        columns, rows = [columns[place] for place in kept], [tuple(row[place] for place in kept) for row in rows]
        columns[-1] = Column("identity less control, in points", "percent")
    resamples = view.values["resamples"]
    note = (
        f"Best pair (the identity among them) and best control chosen by the same metric on "
        f"{wording.count(view.values['validation_images'], 'validation image')} under the same corruption; the "
        f"controls are a = 0 and an offset of each attribute's logit, fitted there for the metric. Differences are "
        f"paired; 95 % intervals from {resamples['accuracy']} resamples, {resamples['average_precision']} for average "
        "precision. An offset leaves average precision as it is. Guess: always the majority class of training; for "
        "average precision, chance."
    )
    text = f"{caption}: the best pair and the best control, chosen on validation."
    return Table(name, text, tuple(columns), tuple(rows), note)


def _overview(view):
    with figures.style():
        canvas, axes = figures.canvas(7.2, 3.3, ncols=3)
        for one, (metric, title) in zip(axes, METRICS.items(), strict=True):
            for key, variants in view.lines(metric).items():
                label, color, dash = _LINES[key]
                _draw(one, view.sigmas, view.curve(metric, variants, view.noise), color, dash, label)
            _guess(one, view, metric)
            one.set_title(f"{title}, %")
            one.set_xlabel("sigma")
        canvas.legend(*_legend(axes[0]), loc="outside lower center", ncols=3)
    clipped = f"{len(view.sigmas)} levels of noise"
    alternative = f"Three diagrams over {clipped}. The table below has the numbers."
    return Figure(
        "robustness-overview",
        figures.svg(canvas, "robustness-overview"),
        "Means over the attributes under Gaussian noise on the prepared image, with 95 % intervals. Sigma is the "
        "standard deviation, where black is 0 and white is 1.",
        alternative,
    )


def _pairs(view, metric):
    """A panel for each b, a line for each a."""
    bends = sorted({view.variants[index]["b"] for index in view.pairs})
    scales = sorted({view.variants[index]["a"] for index in view.pairs})
    across = min(4, len(bends))
    down = -(-len(bends) // across)
    name = f"robustness-pairs-{metric.replace('_', '-')}"
    with figures.style():
        canvas, axes = figures.canvas(
            7.2, 0.9 + 1.9 * down, nrows=down, ncols=across, sharex=True, sharey=True, squeeze=False
        )
        for one in axes.flat[len(bends) :]:
            one.set_visible(False)
        for number, (one, b) in enumerate(zip(axes.flat, bends, strict=False)):
            color = figures.COLORS[number % len(figures.COLORS)]
            _draw(one, view.sigmas, view.curve(metric, 0, view.noise), figures.INK, "-", "identity")
            for index in view.pairs:
                if view.variants[index]["b"] == b:
                    scale = scales.index(view.variants[index]["a"])
                    dash, shade = _DASHES[scale % len(_DASHES)], f"a = {scales[scale]:g}"
                    _draw(one, view.sigmas, view.curve(metric, index, view.noise), color, dash, shade)
            _guess(one, view, metric)
            one.set_title(f"b = {b:g}")
            one.label_outer()
        for one in axes[-1]:
            one.set_xlabel("sigma")
        for one in axes[:, 0]:
            one.set_ylabel(f"{METRICS[metric]}, %")
        handles, labels = _legend(*axes.flat)
        canvas.legend(map(_inked, handles), labels, loc="outside lower center", ncols=6)
    return Figure(
        name,
        figures.svg(canvas, name),
        f"Every pair's {METRICS[metric]} under Gaussian noise, one panel for each b, with 95 % intervals.",
        f"{len(view.pairs)} curves in {len(bends)} panels, each beside the identity.",
    )


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
                axes.plot(view.sigmas, curve, dash, color=color, label=label, linewidth=1, marker=".", markersize=2)
            axes.set(xlim=(-0.03 * end, 1.03 * end), ylim=(bottom, 101))
            axes.set_title(figures.short(names[k], 17), fontsize=6, pad=2, parse_math=False)
        canvas.legend(*_legend(grid[0, 0]), loc="outside lower center", ncols=3, fontsize=7)
    part = "" if len(names) <= DRAWN else f" The first {DRAWN} of {len(names)}."
    return Figure(
        "robustness-attributes",
        figures.svg(canvas, "robustness-attributes"),
        f"Balanced accuracy of each attribute ({bottom:.0f} to 101 %, upwards; dotted: 50 %, guessing) over sigma (0 to "
        f"{end:g}). Pair and control are those that are best in the mean over attributes.{part}",
        f"{shown} small diagrams.",
    )


def _others(view):
    """Balanced accuracy under every other corruption, from clean images on."""
    metric = "balanced_accuracy"
    names = [name for name in CORRUPTIONS if name != "noise" and view.of(name)]
    clean = view.noise[:1] if view.sigmas[0] == 0 else []
    with figures.style():
        canvas, axes = figures.canvas(7.2, 3.1, ncols=len(names), sharey=True, squeeze=False)
        for one, name in zip(axes[0], names, strict=True):
            conditions = [*clean, *view.of(name)]
            for key, variants in view.lines(metric).items():
                label, color, dash = _LINES[key]
                _draw(one, range(len(conditions)), view.curve(metric, variants, conditions), color, dash, label)
            _guess(one, view, metric)
            severities = [f"{view.conditions[index][1]:g}" for index in view.of(name)]
            one.set_xticks(range(len(conditions)), ["clean"] * len(clean) + severities)
            one.set_title(CORRUPTIONS[name].title)
        axes[0, 0].set_ylabel("balanced accuracy, %")
        canvas.legend(*_legend(axes[0, 0]), loc="outside lower center", ncols=3)
    units = "; ".join(f"{CORRUPTIONS[name].title}: {CORRUPTIONS[name].unit}" for name in names)
    return Figure(
        "robustness-corruptions",
        figures.svg(canvas, "robustness-corruptions"),
        f"Balanced accuracy under other corruptions, with 95 % intervals. {units}.",
        f"{len(names)} diagrams.",
    )


def _draw(axes, places, curve, color, dash, label):
    value, low, high = curve
    axes.plot(places, value, dash, color=color, label=label, marker=".", markersize=3)
    if not np.isnan(low).all():
        axes.fill_between(places, low, high, color=color, alpha=0.13, linewidth=0)


def _guess(axes, view, metric):
    guess = view.values["guess"][metric]
    if guess is not None:
        axes.axhline(100 * guess, color=figures.INK, linewidth=0.8, linestyle=(0, (1, 2)), label="guess")


def _legend(*axes):
    """Handles and labels of several axes, each label once."""
    found = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _inked(handle):
    """A line as in the diagrams, but in no panel's colour."""
    return Line2D((), (), color=figures.INK, linestyle=handle.get_linestyle(), linewidth=handle.get_linewidth())
