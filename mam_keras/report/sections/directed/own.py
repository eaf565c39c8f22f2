"""How a run itself answers pairs of attributes, and images that show a region alone or hide it."""

import numpy as np

from mam_keras.analysis.groups import GROUPS, VARIANTS
from mam_keras.analysis.region_tests import MOST, SHOWN
from mam_keras.analysis.regions import own
from mam_keras.report import wording
from mam_keras.report.blocks import Column, Missing, Table
from mam_keras.report.sections.directed.view import OFFSETS, group_names
from mam_keras.report.sections.localisation import WHERE
from mam_keras.statistics import Estimate

_SHOWN = {
    "whole": "whole image",
    "alone_mean": "region alone",
    "alone_blur": "rest blurred",
    "covered_mean": "region covered",
    "covered_blur": "region blurred",
}


def summary(run):
    """Of the pair whose worst group is worst, and of all regions."""
    yield from _worst(run)
    yield from _regions(run)


def _worst(run):
    found = run.results["groups"]
    worst = found.arrays["worst"][:, 0]
    if np.isnan(worst[:, 0]).all():
        return
    place = int(np.nanargmin(worst[:, 0]))
    asked, group = found.values["questions"][place], found.arrays["group"][place, 0]
    least = int(np.nanargmin(group[:, 0]))
    text = (
        f"Of the pairs looked at {asked['attribute']} has the worst group beside {asked['other']}: "
        f"{group_names(asked)[GROUPS[least]]}, {wording.count(int(found.arrays['count'][place, least]), 'image')}, "
        f"right in {wording.percent(Estimate.of(worst[place]))}"
    )
    if found.values["unfitted"] is None:
        fitted = found.arrays["worst"][place, VARIANTS.index("worst_group")]
        text += f"; with an offset fitted for it the worst group is right in {wording.percent(Estimate.of(fitted))}"
    yield f"{text}."


def _regions(run):
    found = run.results.get("region_tests")
    if found is None:
        return
    where = own(found.values["sets"])
    mean = found.arrays[f"{where}.balanced_accuracy.mean"]
    if np.isnan(mean[:, 0]).any():
        return
    whole, alone, covered = (
        wording.percent(Estimate.of(mean[SHOWN.index(name)])) for name in ("whole", "alone_mean", "covered_mean")
    )
    yield (
        f"Where an attribute's region alone is shown, the rest in the image's mean colour, balanced accuracy is "
        f"{alone}; where it is covered {covered}; of the whole images {whole} ({WHERE[where]})."
    )


def questions(run):
    """Every pair in both directions."""
    found = run.results["groups"]
    titles = ("both (E1)", "without the other (E2)", "the other alone", "neither")
    columns = [Column("attribute"), Column("other"), Column("correlation in training", "number", 2)]
    for title in titles:
        columns += [Column(f"{title}: images", "integer"), Column(title, "percent")]
    columns += [Column("worst group", "percent"), Column("balanced accuracy", "percent")]
    for title in ("worst group", "balanced accuracy"):
        columns += [Column(f"{title}, {OFFSETS[one]}", "percent") for one in found.values["variants"][1:]]
    rows = []
    for q, asked in enumerate(found.values["questions"]):
        row = [asked["attribute"], asked["other"], asked["correlation"]]
        for count, numbers in zip(found.arrays["count"][q], found.arrays["group"][q, 0], strict=True):
            row += [int(count), Estimate.of(numbers)]
        worst, balanced = (
            [Estimate.of(numbers) for numbers in found.arrays[key][q]] for key in ("worst", "balanced_accuracy")
        )
        rows.append((*row, worst[0], balanced[0], *worst[1:], *balanced[1:]))
    head = wording.head(found.values["head"])
    caption = f"Accuracy of the {head} about an attribute with and without another one, with 95 % intervals."
    note = "Pairs are those of the highest correlation of labels in training, of either sign, or as they are named: "
    note += "--set analysis.pairs_of_attributes=[[NAME, NAME], ...]."
    return Table("directed-pairs", caption, tuple(columns), tuple(rows), note)


def by_region(run):
    found = run.results.get("region_tests")
    if found is None:
        yield Missing(f"No images of regions: {run.missing.get('region_tests', 'not computed')}.")
        return
    for where in found.values["sets"]:
        arrays = {name: found.arrays[f"{where}.{name}"] for name in ("count", "area", "balanced_accuracy", "change")}
        reported = np.flatnonzero(~np.isnan(arrays["balanced_accuracy"][:, 0, 0]))
        if not len(reported):
            yield Missing(f"No attribute has enough images with a region and without it ({WHERE[where]}).")
            continue
        yield _regions_table(found.values["attributes"], where, arrays, reported)


def _regions_table(names, where, arrays, reported):
    columns = [
        Column("attribute"),
        Column("with it", "integer"),
        Column("without", "integer"),
        Column("region", "percent"),
    ]
    columns += [Column(title, "percent") for title in _SHOWN.values()]
    columns += [Column(f"logit moved: {title}", "number", 2) for title in list(_SHOWN.values())[1:]]
    rows = [
        (
            names[k],
            *map(int, arrays["count"][k]),
            float(arrays["area"][k]),
            *(Estimate.of(numbers) for numbers in arrays["balanced_accuracy"][k]),
            *(Estimate.of(numbers) for numbers in arrays["change"][k, 1:]),
        )
        for k in reported
    ]
    caption = f"Balanced accuracy on images that show the region alone or hide it, by {WHERE[where]}."
    note = (
        f"On the first {MOST} images with the attribute and without; the rest, or the region, in the image's mean "
        "colour or blurred. Logit moved: on images with the attribute. Edited images are unlike any in "
        "training, so that part of what is lost is not the region's doing."
    )
    return Table(f"directed-regions-{where}", caption, tuple(columns), tuple(rows), note)
