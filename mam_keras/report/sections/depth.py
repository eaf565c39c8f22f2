"""What the network's stages show, from low to high, in pictures and in numbers."""

import numpy as np

from mam_keras.analysis.deletion import MOST as OF_DELETION
from mam_keras.analysis.depth import MEASURES, MOST, STEPS
from mam_keras.analysis.true_positives import LEAST
from mam_keras.report import figures, verdicts, wording
from mam_keras.report.blocks import Cell, Column, Figure, Gallery, Missing, Section, Table
from mam_keras.report.sections.localisation import WHERE
from mam_keras.statistics import Estimate

NEEDS = ("depth",)
TITLE = "Heatmaps by depth"
_KINDS = {"grad_cam": "Grad-CAM", "activation": "mean absolute activation"}
_CONTROLS = {"untrained": "random weights", "blob": "centre blob", "random": "random heat"}
_MEASURES = {
    "concentration": "concentration (Hoyer)",
    "deletion": "deletion, area",
    "insertion": "insertion, area",
    "ratio": "energy, times chance",
    "pointing": "pointing game",
}
_SHOWN = 4  # attributes that get pictures
_TILE = 56  # pixels of a picture's side
_GLOW = np.array([255, 140, 0])


def section(run, others):
    """From the analysis `depth`; `others` are not shown."""
    view = _View(run.results["depth"], wording.target(run.targets.exclusive))
    if not len(view.reported):
        blocks, summary = (Missing(f"No {view.noun} has {LEAST} true positives among the first {MOST}."),), ()
    else:
        blocks, summary = (_pictures(view), _curves(view), _table(view)), tuple(_summary(view))
    return Section("depth", TITLE, "1901.10042, figures 2 to 4", _reading(view), blocks, summary)


class _View:
    """The result, by names.

    Attributes:
        noun: what one of the targets is called.
        reported: indices of the targets with enough true positives.
        stages: their names, from low to high.
        measures: of `_MEASURES`, those that there are.
    """

    def __init__(self, found, noun):
        self.values, self.arrays, self.noun = found.values, found.arrays, noun
        self.reported = np.flatnonzero(~np.isnan(found.arrays["concentration"][:, 0, 0]))
        self.stages = [stage["name"] for stage in found.values["stages"]]
        known = (name for name in found.values["sets"] if not np.isnan(self.arrays[f"{name}.ratio.mean"][0, 0]))
        self._where = next(known, None)
        self.measures = [name for name in _MEASURES if name in MEASURES or self._where]

    @property
    def where(self):
        return WHERE.get(self._where, self._where)

    def _key(self, measure):
        return measure if measure in MEASURES else f"{self._where}.{measure}"

    def mean(self, measure, method):
        return Estimate.of(self.arrays[f"{self._key(measure)}.mean"][self.values["methods"].index(method)])

    def gain(self, measure, method):
        """Of the last stage's Grad-CAM over another method, positive where it has more."""
        place = self.values["methods"].index(method) - 1
        return Estimate.of(self.arrays[f"{self._key(measure)}.difference.mean"][place])


def _reading(view):
    text = (
        f"What each stage shows on the first {MOST} true positives of each {view.noun}, from the lowest stage to the "
        "features that the head sees: Grad-CAM (channels weighted by how the logit would change with their means, "
        "positive part) and the mean absolute activation over channels, which knows no target. Everything is measured "
        f"in the {' x '.join(map(str, view.values['grid']))} blocks of the last stage. Concentration: 0 where heat is "
        f"the same everywhere, 1 where it is in one block. Deletion and insertion as under faithfulness, in {STEPS} "
        f"steps and on fewer images ({MOST} instead of {OF_DELETION}): low is better for deletion, high for insertion."
    )
    return text + (f" Regions are known by {view.where}." if view.where else "")


def _summary(view):
    first, last = f"grad_cam.{view.stages[0]}", f"grad_cam.{view.stages[-1]}"
    if view.where:
        yield from _in_the_region(view)
    before, after = (view.mean("concentration", name) for name in (first, last))
    judged = verdicts.word(view.gain("concentration", first), "higher", "lower")
    yield (
        f"From {view.stages[0]} to {view.stages[-1]} Grad-CAM's concentration goes from {_number(before)} to "
        f"{_number(after)}, {judged}."
    )
    for measure, better in (("deletion", min), ("insertion", max)):
        best = better(view.stages, key=lambda name: view.mean(measure, f"grad_cam.{name}").value)
        gains = {title: view.gain(measure, name) for name, title in _CONTROLS.items()}
        if measure == "deletion":
            gains = {title: verdicts.turned(gain) for title, gain in gains.items()}
        highest, chance, own = (_number(view.mean(measure, name)) for name in (f"grad_cam.{best}", "random", last))
        yield (
            f"By {measure} the best stage's Grad-CAM is that of {best} ({highest}, random heat {chance}); the last "
            f"stage has {own}, {verdicts.against(gains)}."
        )


def _in_the_region(view):
    """Whether more of the heat is in the region the higher the stage, and whether that is more than a control has."""
    first = f"grad_cam.{view.stages[0]}"
    numbers = [view.mean("ratio", f"grad_cam.{name}") for name in view.stages]
    change, rivals = view.gain("ratio", first), {title: view.gain("ratio", name) for name, title in _CONTROLS.items()}
    between = (f"{one.value:.2f}" for one in numbers[1:-1])
    told = verdicts.listed([_number(numbers[0]), *between, _number(numbers[-1])], most=len(numbers))
    yield (
        f"The share of Grad-CAM's heat in the region {verdicts.course(change)} with depth: from {view.stages[0]} to "
        f"{view.stages[-1]} it is {told} times that of chance, {_steps(view.stages, [one.value for one in numbers])}. "
        f"At the last stage it is {verdicts.against(rivals)}."
    )


def _steps(stages, values):
    changes = np.diff(values)
    if (changes > 0).all() or (changes < 0).all():
        return f"{'more' if changes[0] > 0 else 'less'} at every stage than at the one before"
    return f"most at {stages[int(np.argmax(values))]}"


def _number(estimate):
    ends = "" if estimate.low is None else f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return f"{estimate.value:.2f}{ends}"


def _pictures(view):
    rows = []
    for kind, half in zip(_KINDS, (0, 1), strict=True):
        cells = []
        for k in view.reported[:_SHOWN]:
            maps = view.arrays["maps"][k].reshape(2, len(view.stages), *view.values["grid"])[half]
            image, name = view.arrays["images"][k], view.values["attributes"][k]
            tiles = [_tile(image), *(_tile(image, one) for one in maps)]
            row, column = np.unravel_index(maps[-1].argmax(), maps[-1].shape)
            alternative = (
                f"{_KINDS[kind]} of {name} on {view.arrays['ids'][k]}, {len(view.stages)} stages: at the last one "
                f"highest at row {row}, column {column} of {' x '.join(map(str, view.values['grid']))}."
            )
            cells.append(Cell(figures.png(np.concatenate(tiles, axis=1), colors=24), name, alternative))
        rows.append((wording.begun(_KINDS[kind]), tuple(cells)))
    caption = (
        f"The first true positive of the first {wording.count(len(rows[0][1]), view.noun)}, and over it in orange the "
        f"heat of the stages from low to high: {', '.join(view.stages)}. Each relative to its highest value."
    )
    return Gallery("depth-pictures", caption, tuple(rows), 64 * (1 + len(view.stages)))


def _tile(image, heat=None):
    """An image as it is, or in grey with a map uint8 (H, W) over it, enlarged or reduced to `_TILE` pixels."""
    places = np.arange(_TILE) * len(image) // _TILE
    image = image[places][:, places]
    if heat is None:
        return image
    down, right = (np.arange(_TILE) * length // _TILE for length in heat.shape)
    grey = image.mean(axis=-1, keepdims=True) * 0.75
    return np.rint(grey + 0.75 * heat[down][:, right, None] / 255 * (_GLOW - grey)).astype(np.uint8)


def _curves(view):
    canvas, axes = figures.canvas(7.6, 2.6, ncols=len(view.measures), squeeze=False)
    places = np.arange(len(view.stages))
    for ax, measure in zip(axes[0], view.measures, strict=True):
        scale = 100 if measure == "pointing" else 1
        for (kind, title), color in zip(_KINDS.items(), figures.COLORS, strict=False):
            numbers = [view.mean(measure, f"{kind}.{name}") for name in view.stages]
            ax.plot(places, [scale * one.value for one in numbers], "o-", color=color, markersize=3.5, label=title)
            if numbers[0].low is not None:
                ax.vlines(places, *zip(*((scale * one.low, scale * one.high) for one in numbers), strict=True), color)
        for (name, title), color in zip(_CONTROLS.items(), figures.COLORS[2:], strict=False):
            value = scale * view.mean(measure, name).value
            ax.axhline(value, color=color, linewidth=1, linestyle="--", label=title)
        ax.set_title(_MEASURES[measure] + (", %" if scale == 100 else ""), fontsize=7.5, wrap=True)
        ax.set_xticks(places, labels=[figures.short(name, 16) for name in view.stages], fontsize=7, parse_math=False)
        ax.tick_params(axis="x", rotation=90)
        ax.tick_params(axis="y", labelsize=7)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=7)
    first, last = (view.mean("concentration", f"grad_cam.{name}").value for name in (view.stages[0], view.stages[-1]))
    return Figure(
        "depth-curves",
        figures.svg(canvas, "depth-curves"),
        f"Measures of the stages' heat, from low to high, means over {wording.count(len(view.reported), view.noun)} "
        "with 95 % intervals; controls dashed.",
        f"The concentration of Grad-CAM goes from {first:.2f} at {view.stages[0]} to {last:.2f} at {view.stages[-1]}.",
    )


def _table(view):
    columns = [Column("heat"), Column("stage"), Column("stride", "integer"), Column("pixels seen", "integer")]
    columns += [
        Column(_MEASURES[name], *(("percent", 0) if name == "pointing" else ("number", 2))) for name in view.measures
    ]
    rows = []
    for kind, title in _KINDS.items():
        for stage in view.values["stages"]:
            numbers = [view.mean(name, f"{kind}.{stage['name']}") for name in view.measures]
            rows.append((title, stage["name"], stage["stride"], stage["receptive_field"], *numbers))
    for name, title in _CONTROLS.items():
        rows.append((title, None, None, None, *(view.mean(measure, name) for measure in view.measures)))
    note = (
        "Pixels seen: side of the square that a position can see, undefined where that is all of the image. Random "
        "weights: the last stage's Grad-CAM of an untrained network. One training run is one seed."
    )
    caption = f"Every stage, means over {wording.count(len(view.reported), view.noun)}, with 95 % intervals."
    return Table("depth", caption, tuple(columns), tuple(rows), note)
