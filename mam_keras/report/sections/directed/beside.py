"""A directed run beside the one before, its control and offsets: tables, pictures, and what the paper prints."""

import numpy as np

from mam_keras.analysis import directing
from mam_keras.analysis.groups import GROUPS
from mam_keras.analysis.pair_maps import SHOWN as WITH_AND_WITHOUT
from mam_keras.analysis.region_tests import MOST
from mam_keras.analysis.regions import own
from mam_keras.report import figures, quoted
from mam_keras.report.blocks import Cell, Column, Gallery, Table
from mam_keras.report.headlines import column
from mam_keras.report.sections.directed.view import BESIDE, OFFSETS, group_names
from mam_keras.report.sections.localisation import WHERE, overlay
from mam_keras.statistics import Estimate

_MEASURES = {  # of `groups`, and of `gains`
    "worst": "the worst of the four",
    "apart": "where the two differ",
    "accuracy": "all four together",
    "balanced_accuracy": "balanced accuracy",
}


def groups(view, name):
    """A row for each group, a column for each run and offset."""
    shown = {role: found for role in view.runs if (found := view.groups(role)) is not None}
    columns, variants = [Column("images that have"), Column("images", "integer")], []
    for role, (result, place) in shown.items():
        columns.append(Column(view.named(role), "percent"))
        variants.append((result, place, 0))
    result, place = shown[view.offset_of]
    for v, variant in enumerate(result.values["variants"][1:], 1):
        columns.append(Column(f"{view.named(view.offset_of)}, {OFFSETS[variant]}", "percent"))
        variants.append((result, place, v))
    own_result, own_place = shown["this run"]
    names, count = group_names(own_result.values["questions"][own_place]), own_result.arrays["count"][own_place]
    marks = {"both": " (E1)", "own": " (E2)"}
    rows = [
        (
            names[group] + marks.get(group, ""),
            int(count[g]),
            *(Estimate.of(found.arrays["group"][q, v, g]) for found, q, v in variants),
        )
        for g, group in enumerate(GROUPS)
    ]
    for key, title in _MEASURES.items():
        images = int(count[1:3].sum() if key == "apart" else count.sum())
        rows.append((title, images, *(Estimate.of(found.arrays[key][q, v]) for found, q, v in variants)))
    caption = f"How {view.attribute} is answered with and without {view.other}: accuracy, with 95 % intervals."
    note = "Images of which one of the two is not known are in no group. A group of few images has a wide interval."
    return Table(name, caption, tuple(columns), tuple(rows), note)


def gains(view, name):
    """A row for each measure of the groups, a column for each run and offset: what this run is ahead by."""
    columns, found = [Column("this run less, in points")], []
    for role, result in view.gains_of.items():
        question = directing.question(result, view.attribute, view.other)
        for v, variant in enumerate(result.values["variants"] if role == "before" else result.values["variants"][:1]):
            offset = f", {OFFSETS[variant]}" if v else ""
            columns.append(Column(f"{view.named(role)}{offset}", "percent", 2))
            found.append([result.arrays[key][question, v] for key in _MEASURES])
    rows = [(title, *(Estimate.of(one[place]) for one in found)) for place, title in enumerate(_MEASURES.values())]
    caption = f"How much more often this run is right about {view.attribute} beside {view.other}, on the same images."
    note = "Paired: every resample draws the same images for both runs. One whose interval leaves out 0 is more than "
    note += "the choice of images."
    return Table(name, caption, tuple(columns), tuple(rows), note)


def further(view, name):
    """A row for each run, a column for each figure beside the groups."""
    of_groups = ("own_", "apart", "worst_", "fitted_", "with_", "without_", "other_", "neither")
    measures = dict.fromkeys(m for found in view.figures.values() for m in found if not m.startswith(of_groups))
    columns = [Column("run"), *map(column, measures)]
    rows = [(view.named(role), *(found.get(measure) for measure in measures)) for role, found in view.figures.items()]
    caption = (
        f"Of {view.attribute} in every run: where its map lies, what its region alone says, and what all else costs."
    )
    found = view.runs["this run"].results.get("region_tests")
    note = "" if found is None else f"Regions: {WHERE[own(found.values['sets'])]}. "
    note += (
        "Energy: the share of the attribute's own map in its region over the region's share of the image, on true "
        f"positives of each run. Region alone and covered: on the first {MOST} images with the attribute and without. "
        "One training run is one seed: intervals cover the images, not training."
    )
    return Table(name, caption, tuple(columns), tuple(rows), note)


def printed(pair, name):
    columns = (
        Column("network, as the paper calls it"),
        *(Column(title, "percent", 2) for title in ("test set", "E1", "E2")),
    )
    rows = [(network, *(value / 100 for value in values)) for network, values in quoted.DIRECTED[pair].items()]
    face_tracer = quoted.METHODS.index("FaceTracer") + 1
    note = (
        "Quoted from 1905.00593, table 1: AlexNet on all of CelebA's test images, not measured here. FaceTracer "
        f"reaches {quoted.ACCURACY[pair[0]][face_tracer]} % of them for {pair[0]} (1904.13078, table 3)"
    )
    if 100 * rows[0][1] < quoted.ACCURACY[pair[0]][face_tracer]:
        note += ", so that the row before directing is implausibly low"
    caption = f"What 1905.00593 prints for {pair[0]} and {pair[1]} (quoted)."
    return Table(name, caption, columns, tuple(rows), f"{note}.")


def pictures(runs):
    """Maps of every run on the same images, side by side."""
    found = {role: one.results["pair_maps"] for role, one in runs.items() if "pair_maps" in one.results}
    if "this run" not in found:
        return
    here, order = found["this run"], [role for role in ("before", "this run", "control") if role in found]
    rows = []
    for p, (a, b) in enumerate(here.values["pairs"]):
        for g, kind in enumerate(WITH_AND_WITHOUT):
            cells = tuple(_cells(found, order, p, g, a))
            if cells:
                rows.append((f"{a} with {b}" if kind == "both" else f"{a} without {b}", cells))
    if rows:
        names = ", ".join(BESIDE.get(role, role) for role in order)
        caption = (
            f"Where each run looks for the attribute, on the same images: from left to right {names}. The map "
            f"({here.values['map']}) in orange, relative to its highest value"
        )
        caption += "; the edge of the region in blue." if here.values["regions"] else "."
        yield Gallery("directed-maps", caption, tuple(rows), 100 * len(order))


def _cells(found, order, p, g, name):
    here = found["this run"].arrays
    for n, image in enumerate(here["ids"][p, g]):
        if not image or any(found[role].arrays["ids"][p, g, n] != image for role in order):
            continue
        picture = np.concatenate(
            [
                overlay(here["images"][p, g, n], found[role].arrays["maps"][p, g, n], here["regions"][p, g, n])
                for role in order
            ],
            axis=1,
        )
        said = ", ".join(f"{100 * found[role].arrays['probability'][p, g, n]:.0f} %" for role in order)
        yield Cell(figures.png(picture, colors=128), said, f"{name} on {image}, by the runs in their order: {said}.")
