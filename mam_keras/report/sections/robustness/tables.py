"""Tables of the section about robustness."""

from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.report import wording
from mam_keras.report.blocks import Column, Table

# How a gain is made: what was chosen, and the differences that are all of it, its offsets, its transformation
_PARTS = {
    "pair_offset": ("best pair with offsets", "offset", "pair_over_offset"),
    "automatic": ("automatic", "automatic_offset", "automatic_over_offset"),
}


def levels(adaptation):
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


def parts(view):
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


def chosen_on_validation(view, conditions, name, caption):
    def best(metric, index):
        return view.arrays[f"{metric}.best"][index]

    def control(metric, index):
        return view.arrays[f"{metric}.control"][index]

    cells = [
        (Column("metric"), lambda metric, index: view.metrics[metric]),
        (Column("corruption"), lambda metric, index: CORRUPTIONS[view.conditions[index][0]].title),
        (Column("severity", "significant", 3), lambda metric, index: view.conditions[index][1]),
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
    rows = tuple(tuple(value(metric, index) for value in values) for metric in view.metrics for index in conditions)
    counts = view.values["resamples"]
    note = (
        "Pair (the identity is among them) and control are chosen by the same metric on "
        f"{wording.count(view.values['validation_images'], 'validation image')} under the same corruption. The "
        "controls: a = 0, the statistics of the spoiled images in batch normalisation, and with each of them and with "
        "the identity an offset of each logit, which is fitted there for the metric and leaves average "
        "precision as it is. The automatic choice has one set of offsets, for balanced accuracy. Differences are "
        f"paired; 95 % intervals from {counts['accuracy']} resamples, from {counts['average_precision']} for average "
        "precision."
    )
    return Table(name, f"{caption}: best pair and best control, chosen on validation.", columns, rows, note)
