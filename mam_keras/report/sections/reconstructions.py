"""What the features still hold of the image: the reconstructor's output beside its input."""

import numpy as np

from mam_keras.report import figures, verdicts
from mam_keras.report.blocks import Cell, Figure, Gallery, Section
from mam_keras.statistics import Estimate

NEEDS = ("reconstructions",)
TITLE = "Reconstructions"
LONGEST = 128  # pixels of a picture


def section(run, others):
    """From the analysis `reconstructions`; `others` are not shown."""
    result = run.results["reconstructions"]
    reading = (
        "The reconstructor sees the features alone: what is gone from its output, the features do not hold (or it "
        "cannot draw). Squared error of pixel values in [0, 1], mean over pixels and colours."
    )
    blocks = (_gallery(result), _figure(result))
    return Section("reconstructions", TITLE, "1904.13078, equation 5", reading, blocks, (_summary(result),))


def _summary(result):
    mean, control = (Estimate.of(result.arrays[name]) for name in ("mean", "control"))
    interval = "" if mean.low is None else f" ({mean.low:.5f} to {mean.high:.5f})"
    sentence = (
        f"Reconstructions have a mean squared error of {mean.value:.5f}{interval}, answering every image with the mean "
        f"image {control.value:.5f}: {verdicts.apart(control, mean, 'better', 'worse')}"
    )
    if mean.value < control.value:
        return f"{sentence}; {_share(mean, control):.1f} % of what differs between the images is kept."
    return f"{sentence}."


def _share(mean, control):
    return 100 * (1 - mean.value / control.value)


def _gallery(result):
    arrays = result.arrays
    ids, errors = arrays["ids"].tolist(), arrays["shown"].tolist()
    inputs = tuple(
        Cell(figures.png(pixels, LONGEST, 64), name, f"{name} as the network sees it")
        for name, pixels in zip(ids, arrays["inputs"], strict=True)
    )
    outputs = tuple(
        Cell(figures.png(pixels, LONGEST, 64), f"error {error:.4f}", f"Reconstruction of {name}")
        for name, error, pixels in zip(ids, errors, arrays["outputs"], strict=True)
    )
    return Gallery(
        "reconstructions",
        f"{len(ids)} of {result.values['images']:,} images, at equal steps of rank from the least error to the "
        "largest, and the squared error beneath.",
        (("Input", inputs), ("Output", outputs)),
    )


def _figure(result):
    errors, (mean, *_), (control, *_) = (result.arrays[name] for name in ("errors", "mean", "control"))
    canvas, axes = figures.canvas(5.2, 2.4)
    axes.hist(errors, bins=min(40, len(errors)), color=figures.COLORS[0], histtype="stepfilled", alpha=0.7)
    axes.axvline(mean, color=figures.COLORS[0], label="mean")
    axes.axvline(control, color=figures.COLORS[1], linestyle="--", label="mean error of the mean image")
    axes.set_xlabel("squared error of an image")
    axes.set_ylabel("images")
    axes.set_xlim(left=0)
    canvas.legend(loc="outside upper center", ncols=2)
    least, median, most = np.quantile(errors, (0, 0.5, 1))
    return Figure(
        "reconstruction-errors",
        figures.svg(canvas, "reconstruction-errors"),
        "How the squared error is distributed over the images, beside that of one image for all, their mean.",
        f"Least {least:.4f}, median {median:.4f}, largest {most:.4f}; the mean image {control:.4f}.",
    )
