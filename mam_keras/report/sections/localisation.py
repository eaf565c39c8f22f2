"""Whether a target's map falls where the target is, beside simple controls on the same images."""

import numpy as np

from mam_keras.analysis.blocks import WIDTH
from mam_keras.analysis.localisation import MOST, SMALL
from mam_keras.analysis.true_positives import LEAST
from mam_keras.report import figures, verdicts, wording
from mam_keras.report.blocks import Cell, Column, Figure, Gallery, Missing, Paragraph, Section, Table
from mam_keras.statistics import Estimate

NEEDS = ("localisation",)
TITLE = "Localisation"
NAMES = {  # of the controls
    "untrained": "random weights",
    "blob": "centre blob",
    "positions": "learned positions alone",
    "uniform": "chance",
}
WHERE = {
    "exact": "drawn regions",
    "parts": "part masks",
    "boxes": "regions marked for all images",
}
_WHAT = {
    "exact": "the pixels that change when the attribute alone is put into the picture or taken out of it",
    "parts": "the pixels of the parts that the attribute shows on, as people marked them; pixels outside the marked "
    "square count for nothing",
    "boxes": "boxes and other shapes of a file: rough, and the same on every image that the file does not name",
}
_SHOWN = 48  # attributes that get a picture
_GLOW, _EDGE = np.array([255, 140, 0]), np.array([90, 220, 255])  # the map, the region's outline


def section(run, others):
    """From the analysis `localisation` of the run and of those it is compared with."""
    found = run.results["localisation"]
    exclusive = run.targets.exclusive
    noun = wording.target(exclusive)
    views = [View(found, name, exclusive) for name in found.values["sets"]]
    blocks = [notes(found.values["maps"]), Paragraph(_method(found.values, noun))]
    for view in views:
        blocks += _blocks(view)
    blocks += [_compared(view, run, others) for view in views if len(view.reported) and others]
    blocks += [_pictures(view) for view in views if len(view.reported)][:1]
    summary = [sentence for view in views if len(view.reported) for sentence in _summary(view)]
    return Section("localisation", TITLE, "", _reading(run, found, noun), tuple(blocks), tuple(summary))


def notes(maps):
    """What each map of a network is and what it is not, its own first."""
    told = " ".join(f"{wording.begun(one['title'])}: {one['note']}" for one in maps.values())
    return Paragraph(f"The network's maps, its own first. {told}")


def named(method, maps):
    """How a page calls a map of the network, or a control."""
    return maps[method]["title"] if method in maps else NAMES[method]


class View:
    """The result for one set of regions, by names.

    Attributes:
        exclusive: whether the targets exclude each other.
        noun: what one of them is called.
        reported: indices of the targets with enough true positives.
        methods: M of them, the network's own map first.
        maps: their titles and notes.
        own: the name of the own map.
    """

    def __init__(self, found, name, exclusive=False):
        self.exclusive, self.noun = exclusive, wording.target(exclusive)
        self.name, self.values, self._arrays = name, found.values[name], found.arrays
        self.attributes, self.methods = found.values["attributes"], found.values["methods"]
        self.maps, self.own = found.values["maps"], self.methods[0]
        self.reported = np.flatnonzero(~np.isnan(self["area"]))

    def __getitem__(self, key):
        return self._arrays[f"{self.name}.{key}"]

    def mean(self, measure, method):
        return Estimate.of(self[f"{measure}.mean"][self.methods.index(method)])

    def title(self, method):
        return named(method, self.maps)

    def gain(self, measure, method, k=None):
        """Of the own map over another method: in the mean, or of one attribute."""
        numbers = self[f"{measure}.difference.mean"] if k is None else self[f"{measure}.difference"][k]
        return Estimate.of(numbers[self.methods.index(method) - 1])


def _reading(run, found, noun):
    (height, width), seen, size = found.values["grid"], found.values["seen"], run.config.data.image_size
    sees = "can see all of the image" if seen is None else f"sees a square of {seen} pixels of an image of {size}"
    return (
        f"A map counts as far as it is positive. Energy ratio: the share of the map that lies in the {noun}'s "
        "region, over the region's share of the image; 1 is chance. Pointing game: how often the block of pixels under "
        f"the map's highest position meets the region. A position is one of {height} x {width}, and a feature {sees}: "
        "what a map answers to need not lie under it."
    )


def _method(values, noun):
    own, *rest = (one["title"] for one in values["maps"].values())
    positions = "positions" in values["methods"]
    text = (
        f"On the first {MOST} true positives of each {noun} (it is there, and the network finds it); of fewer than "
        f"{LEAST} nothing is reported. All methods are measured on the same images, in blocks of pixels, "
        f"one per position of the network's own map ({own})"
    )
    text += f"; beside it: {', '.join(rest)}" if rest else ""
    return text + (
        ". Controls: the own map of a network of this configuration with random weights, and a Gaussian blob in the "
        f"middle of every image, its standard deviation {100 * WIDTH:.0f} % of its side"
        + ("; and the learned weights of positions, which all images share." if positions else ".")
    )


def _blocks(view):
    if not len(view.reported):
        yield Missing(f"No {view.noun} has {LEAST} true positives with a region among the {WHERE[view.name]}.")
        return
    yield _dots(view)
    yield _means(view)
    yield _table(view)


def _summary(view):
    ratio, pointing = view.mean("ratio", view.own), view.mean("pointing", view.own)
    yield (
        f"By {WHERE[view.name]}, maps ({view.title(view.own)}) put {_times(ratio)} as much of themselves where the "
        f"{view.noun} is as chance would, and their highest point meets it in {wording.percent(pointing, 0)} of the "
        f"images ({wording.count(len(view.reported), view.noun)})."
    )
    for measure, by in (("ratio", "energy"), ("pointing", "pointing")):
        gains = {}
        for method in view.methods[1:]:
            mean = view.mean(measure, method).value
            shown = f"{mean:.1f}" if measure == "ratio" else f"{100 * mean:.0f} %"
            gains[f"{view.title(method)} ({shown})"] = view.gain(measure, method)
        yield f"By {by} the maps are {verdicts.against(gains)}."
    yield from _wrong_places(view)
    small = view.values["small"]
    if len(small) < len(view.reported) and small:
        small_ratio, small_pointing = (Estimate.of(view[f"small.{name}.mean"][0]) for name in ("ratio", "pointing"))
        yield (
            f"For the {wording.count(len(small), view.noun)} whose region is under {100 * SMALL:.0f} % of the image: "
            f"{_times(small_ratio)} and {wording.percent(small_pointing, 0)}."
        )
    if small:
        least = min(view.reported, key=lambda k: (view.attributes[k] not in small, view["ratio"][k, 0, 0]))
        yield f"The least energy ratio of them has {view.attributes[least]}, {view['ratio'][least, 0, 0]:.1f}."


def _wrong_places(view):
    """The attributes whose map a control beats or equals, by each measure."""
    for measure, by in (("ratio", "energy"), ("pointing", "pointing")):
        for control in ("uniform", "blob"):
            gains = {view.attributes[k]: view.gain(measure, control, k) for k in view.reported}
            found = verdicts.sorted_by(gains)
            for one in (verdicts.Verdict.WORSE, verdicts.Verdict.ALIKE):
                if names := found.get(one):
                    yield f"By {by} {one.value} {view.title(control)}: {verdicts.listed(names)}."


def _times(estimate):
    ends = "" if estimate.low is None else f" ({estimate.low:.1f} to {estimate.high:.1f})"
    return f"{estimate.value:.1f} times{ends}"


def _dots(view):
    """Both measures of every attribute, the map with its interval among the controls."""
    order = view.reported[np.argsort(view["ratio"][view.reported, 0, 0])]
    canvas, axes = figures.canvas(7.2, 1.1 + 0.17 * len(order), ncols=2, sharey=True)
    places = np.arange(len(order))
    for ax, measure, scale, title in zip(
        axes, ("ratio", "pointing"), (1, 100), ("energy ratio", "pointing game, %"), strict=True
    ):
        for number, method in enumerate(view.methods):
            values = scale * view[measure][order, number]
            color = figures.INK if method == "uniform" else figures.COLORS[number % len(figures.COLORS)]
            if method == view.own:
                ax.hlines(places, values[:, 1], values[:, 2], color=color, linewidth=1.2)
            marker = "|" if method == "uniform" else "o"
            size = 5 if number == 0 else 3.5
            ax.plot(values[:, 0], places, marker, color=color, markersize=size, label=view.title(method))
        ax.set_xlim(left=0)
        ax.set_xlabel(title)
        ax.grid(axis="y", linewidth=0.3, alpha=0.5)
        ax.tick_params(axis="y", length=0)
    names = [figures.short(view.attributes[k], 24) for k in order]
    axes[0].set_yticks(places, labels=names, fontsize=8, parse_math=False)
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), fontsize=8)
    name = f"localisation-{view.name}-attributes"
    ratio = view["ratio"][order, 0, 0]
    return Figure(
        name,
        figures.svg(canvas, name),
        f"By {WHERE[view.name]}: {_WHAT[view.name]}. The own map with its 95 % interval, and other maps and "
        "controls on the same images.",
        f"{wording.count(len(order), view.noun)}; the map's energy ratio goes from {ratio[0]:.2f} "
        f"({view.attributes[order[0]]}) to {ratio[-1]:.2f} ({view.attributes[order[-1]]}).",
    )


def _means(view):
    rows = []
    for method in view.methods:
        row = [view.title(method)]
        for measure in ("ratio", "pointing", "peak"):
            row.append(view.mean(measure, method))
            if measure != "peak":
                row.append(None if method == view.own else view.gain(measure, method))
        rows.append(tuple(row))
    columns = (
        Column("method"),
        Column("energy ratio", "number", 2),
        Column("own map minus this", "number", 2),
        Column("pointing game", "percent"),
        Column("own map minus this, in points", "percent"),
        Column("of the highest block", "percent"),
    )
    note = (
        "Differences are paired: the same images in every resample. Of the highest block: which share of its pixels is "
        "in the region. One training run is one seed."
    )
    caption = f"By {WHERE[view.name]}: means over {wording.count(len(view.reported), view.noun)}, with 95 % intervals."
    return Table(f"localisation-{view.name}-means", caption, columns, tuple(rows), note)


def _table(view):
    controls = [view.title(method) for method in view.methods[1:]]
    columns = [Column(view.noun), Column("images", "integer"), Column("region", "percent")]
    columns += [Column("energy ratio", "number", 2), *(Column(name, "number", 2) for name in controls[:-1])]
    columns += [
        Column("pointing game", "percent", 0),
        *(Column(f"{name}: pointing", "percent", 0) for name in controls),
    ]
    rows = []
    for k in view.reported:
        row = [view.attributes[k], int(view["count"][k]), float(view["area"][k])]
        row += [Estimate.of(view["ratio"][k, 0]), *map(float, view["ratio"][k, 1:-1, 0])]
        row += [Estimate.of(view["pointing"][k, 0]), *map(float, view["pointing"][k, 1:, 0])]
        rows.append(tuple(row))
    caption = f"By {WHERE[view.name]}: every {view.noun}."
    note = "Region: its mean share of the image. Chance has the energy ratio 1."
    return Table(f"localisation-{view.name}", caption, tuple(columns), tuple(rows), note)


def _compared(view, run, others):
    """Every run's own maps on its own true positives."""
    several = wording.targets(view.exclusive)
    rows, missing = [_of_run(run, view, run.results["localisation"])], []
    for other in others:
        found = other.results.get("localisation")
        if found is None or view.name not in found.values["sets"]:
            missing.append(f"{other.name} ({other.missing.get('localisation', f'no {WHERE[view.name]}')})")
        elif len((its := View(found, view.name, view.exclusive)).reported):
            rows.append(_of_run(other, its, found))
    columns = (
        Column("run"),
        Column("system"),
        Column("masks"),
        Column("own map"),
        Column("positions"),
        Column("pixels seen", "integer"),
        Column("share of positions pooled", "percent", 0),
        Column(several, "integer"),
        Column("energy ratio", "number", 2),
        Column("pointing game", "percent"),
        Column("Grad-CAM: energy ratio", "number", 2),
    )
    note = (
        f"Each run on its own true positives, means over its own {several}, in blocks of its own map: larger ones are "
        "easier to point at. Masks: `common` is one mask for all channels, what CAM, Grad-CAM and attention branch "
        "networks have."
    )
    if missing:
        note += f" Not measured: {'; '.join(missing)}."
    caption = f"By {WHERE[view.name]}: maps of the runs compared, with 95 % intervals."
    return Table(f"localisation-{view.name}-runs", caption, columns, tuple(rows), note)


def _of_run(run, view, found):
    model = run.config.model.model_dump()  # a system may lack some
    other_cam = "grad_cam" in view.methods[1:]
    return (
        run.name,
        model["system"],
        model.get("masks"),
        view.title(view.own),
        " x ".join(map(str, found.values["grid"])),
        found.values["seen"],
        model.get("pooled_share"),
        len(view.reported),
        view.mean("ratio", view.own),
        view.mean("pointing", view.own),
        view.mean("ratio", "grad_cam") if other_cam else None,
    )


def _pictures(view):
    cells = []
    for k in view.reported[:_SHOWN]:
        maps, region, name = view["maps"][k], view["regions"][k], view.attributes[k]
        picture = np.concatenate([overlay(view["images"][k], one, region) for one in maps], axis=1)
        y, x = np.unravel_index(maps[0].argmax(), maps[0].shape)
        rows, columns = maps[0].shape
        alternative = (
            f"{name} on {view['ids'][k]}: the own map is highest at row {y}, column {x} of {rows} x {columns}."
        )
        cells.append(Cell(figures.png(picture, colors=64), name, alternative))
    titles = [one["title"] for one in view.maps.values()]
    which = (
        f"From left to right {', '.join(titles)}, each" if len(titles) > 1 else f"{wording.begun(titles[0])} is drawn"
    )
    caption = (
        f"Each {view.noun}'s first true positive in the order of the split, in grey, a map over it in orange, and the "
        f"edge of the region in blue ({WHERE[view.name]}). {which} relative to its highest value."
    )
    return Gallery("localisation-pictures", caption, (("", tuple(cells)),), 100 * len(titles))


def overlay(image, amount, region):
    """Blocks of the map, uint8 (H, W), over the image, uint8 (S, S, 3), in grey, and the region's edge; enlarged."""
    size = len(image) * max(1, 128 // len(image))
    image, amount, region = (
        array.repeat(size // len(array), axis=0).repeat(size // array.shape[1], axis=1)
        for array in (image, amount, region)
    )
    grey = image.mean(axis=-1, keepdims=True) * 0.75
    lit = grey + 0.75 * amount[..., None] / 255 * (_GLOW - grey)
    inner = region.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(region, step, axis)
    return np.where((region & ~inner)[..., None], _EDGE, np.rint(lit)).astype(np.uint8)
