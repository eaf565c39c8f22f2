"""Which positions each target's head has learned to look at, over the mean image."""

import numpy as np

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Cell, Gallery, Section

NEEDS = ("positions",)
TITLE = "Learned positions"


def section(run, others):
    """From the analysis `positions`; `others` are not shown."""
    found = run.results["positions"]
    noun, names = wording.target(run.targets.exclusive), found.values["attributes"]
    weights, half, mean = (found.arrays[name] for name in ("weights", "half", "mean"))
    positions = weights[0].size
    reading = (
        f"How much each position of the features counts for each {noun}, the same for all images, learned from the "
        f"labels alone: orange over the mean of {wording.count(found.values['images'], 'image')}, relative to the "
        "heaviest position. It says where the network looks, whatever the image shows; images that are not aligned as "
        "those of training are judged at the wrong place."
    )
    cells = []
    for k, name in enumerate(names):
        row, column = np.unravel_index(weights[k].argmax(), weights[k].shape)
        held = f"{wording.count(int(half[k]), 'position')} of {positions}"
        told = f"{name}: half of the weight is on {held}, most at row {row}, column {column}."
        cells.append(Cell(figures.png(figures.glowing(mean, weights[k]), colors=64), name, told))
    caption = f"The learned positions of every {noun}."
    order = np.argsort(half, kind="stable")
    least, most = (f"{names[k]} ({half[k]:,})" for k in (order[0], order[-1]))
    summary = (
        f"Half of the weight lies on {wording.count(int(np.median(half)), 'position')} of {positions} for the median "
        f"{noun}, on the fewest for {least}, on the most for {most}.",
    )
    return Section("positions", TITLE, "", reading, (Gallery("positions", caption, (("", tuple(cells)),)),), summary)
