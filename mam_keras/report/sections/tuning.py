"""What a search found, where this run is one of its trials: the objective and what it is traded for, side by side."""

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Column, Figure, Missing, Paragraph, Section, Table
from mam_keras.report.headlines import column, shown
from mam_keras.statistics import Estimate

NEEDS = ()
TITLE = "Search for lambda"
PAPERS = {"loss.lambda": 1e-5}  # what 1904.13078 prints


def section(run, others):
    """From the tuning.json of the search; `others` are not shown."""
    reading = (
        "Each dot is one training run, all with the same seed, measured on the validation images; only the searched "
        "settings differ. The ring marks the run that the search chose. A setting is worth choosing where what it "
        "gains in one panel is not lost in another."
    )
    found = run.tuning
    if found is None:
        how = "This run does not come from a search. To search for lambda: python -m mam_keras.tune CONFIG.yaml"
        return Section("tuning", TITLE, "", reading, (Paragraph(how),))
    trials = [trial for trial in found["trials"] if trial["failed"] is None]
    best = next(trial for trial in trials if trial["number"] == found["best"])
    measured = [name for name in best["measures"] if any(t["measures"][name] is not None for t in trials)]
    drawn = {name: column(name) for name in measured if column(name).kind != "integer"}
    blocks = [Paragraph(_how(found, trials))]
    blocks += [_figure(found, trials, best, key, drawn) for key in found["space"]]
    missing = [column(name).title for name in best["measures"] if name not in measured]
    if missing:
        blocks.append(Missing(f"These runs have no {', and no '.join(missing)}."))
    blocks.append(_table(found, measured))
    return Section("tuning", TITLE, "", reading, tuple(blocks), tuple(_summary(found, trials, best, drawn)))


def _how(found, trials):
    space = ", ".join(
        f"{key} from {there['low']:g} to {there['high']:g} ({there['scale']} scale)"
        for key, there in found["space"].items()
    )
    epochs = [trial["epochs"] for trial in found["trials"]]
    epochs = f"{min(epochs)} to {max(epochs)}" if len(set(epochs)) > 1 else epochs[0]
    failed = len(found["trials"]) - len(trials)
    return (
        f"{wording.count(len(found['trials']), 'trial')} of {epochs} epochs"
        f"{f', {failed} of which failed' if failed else ''}; searched: {space}; chosen by the {found['oracle']} oracle "
        f"of Keras Tuner to raise {column(found['objective']).title} on validation. The best is trial {found['best']}."
    )


def _figure(found, trials, best, key, drawn):
    """`drawn`: {measure: `Column`}."""
    rows = -(-len(drawn) // 2)
    canvas, grid = figures.canvas(7.0, 1.6 * rows + 0.4, nrows=rows, ncols=2, squeeze=False, sharex=True)
    there, papers = found["space"][key], PAPERS.get(key)
    marked = papers is not None and there["low"] <= papers <= there["high"]
    for axes in grid.flat[len(drawn) :]:
        axes.set_axis_off()
    for axes, (name, how) in zip(grid.flat, drawn.items(), strict=False):
        percent, chosen = how.kind == "percent", name == found["objective"]
        _points(axes, trials, best, key, name, 100 if percent else 1)
        axes.set_title(f"{how.title}{', %' if percent else ''}{' (objective)' if chosen else ''}", fontsize=9)
        axes.set_xscale(there["scale"])
        axes.set_xlim(*_limits(there))
        if marked:
            axes.axvline(papers, color=figures.INK, linewidth=0.6, linestyle=":")
        if chosen:
            failed = [trial["values"][key] for trial in found["trials"] if trial["failed"]]
            axes.plot(failed, [0.02] * len(failed), "x", color=figures.COLORS[7], transform=axes.get_xaxis_transform())
    for axes in grid[-1]:
        axes.set_xlabel(key, parse_math=False)
    caption = f"The measures of every trial on validation, against {key}."
    if any(trial["intervals"] for trial in trials):
        caption += " Bars are 95 % intervals over the images, not over training."
    if marked:
        caption += " The dotted line is the papers' value."
    if len(trials) < len(found["trials"]):
        caption += " Crosses are trials that failed."
    if len({trial["epochs"] for trial in trials}) > 1:
        caption += " Open dots are shorter trials."
    name = f"tuning-{list(found['space']).index(key) + 1}"
    return Figure(name, figures.svg(canvas, name), caption, _alternative(trials, best, key, drawn))


def _points(axes, trials, best, key, name, scale):
    """One measure of every trial that has it, with its interval, against one setting."""
    color, ring = figures.COLORS[:2]
    longest = max(trial["epochs"] for trial in trials)
    measured = [trial for trial in trials if trial["measures"][name] is not None]
    for full, fill in ((True, color), (False, "none")):
        some = [trial for trial in measured if (trial["epochs"] == longest) == full]
        values = [scale * trial["measures"][name] for trial in some]
        axes.plot(
            [trial["values"][key] for trial in some], values, "o", color=color, markersize=4, markerfacecolor=fill
        )
    sure = [trial for trial in measured if name in trial["intervals"]]
    low, high = ([scale * trial["intervals"][name][end] for trial in sure] for end in (0, 1))
    axes.vlines([trial["values"][key] for trial in sure], low, high, color=color, linewidth=0.8, alpha=0.6)
    if best in measured:
        value = scale * best["measures"][name]
        axes.plot(best["values"][key], value, "o", color=ring, markersize=9, markerfacecolor="none")


def _alternative(trials, best, key, drawn):
    values = ", ".join(f"{how.title} {shown(name, best['measures'][name])}" for name, how in drawn.items())
    return f"{wording.count(len(trials), 'trial')}. At the best, {key} {best['values'][key]:.3g}: {values}."


def _limits(there):
    low, high = there["low"], there["high"]
    if there["scale"] == "log":
        margin = (high / low) ** 0.03
        return low / margin, high * margin
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _table(found, measured):
    columns = [
        Column("trial", "integer"),
        *(Column(key, "significant", 3) for key in found["space"]),
        Column("epochs", "integer"),
        *map(column, measured),
        Column("outcome"),
    ]
    rows = [
        (
            trial["number"],
            *(trial["values"][key] for key in found["space"]),
            trial["epochs"],
            *(_cell(trial, name) for name in measured),
            _outcome(trial, found["best"]),
        )
        for trial in found["trials"]
    ]
    return Table(
        "tuning-trials",
        "Every trial, measured on validation, with 95 % intervals over the images where there are any.",
        tuple(columns),
        tuple(rows),
        "Balanced accuracy under noise is the area under its curve against the noise's sigma, over sigma's span. "
        "Localisation is the share of the maps' energy inside the attribute's region over the region's share of the "
        "image, mean over the attributes with a small region and enough true positives; where these are fewer, it is "
        "the mean of other attributes.",
    )


def _outcome(trial, best):
    if trial["failed"]:
        return f"failed: {trial['failed']}"
    return "best" if trial["number"] == best else "done"


def _cell(trial, name):
    value, interval = trial["measures"].get(name), trial["intervals"].get(name)
    return Estimate(value, *interval) if value is not None and interval else value


def _summary(found, trials, best, drawn):
    objective = found["objective"]
    at = ", ".join(f"{key} {value:.3g}" for key, value in best["values"].items())
    sentence = (
        f"Of {wording.count(len(trials), 'trial')} of the search, the highest {column(objective).title} on validation "
        f"is {shown(objective, best['measures'][objective])}, at {at}"
    )
    others = [trial["measures"][objective] for trial in trials if trial is not best]
    if others and (interval := best["intervals"].get(objective)):
        low, high = (shown(objective, end) for end in interval)
        within = sum(value >= interval[0] for value in others)
        lie = "lies" if within == 1 else "lie"
        sentence += f" (95 % interval {low} to {high}); {within} of the other {len(others)} {lie} within that interval"
    yield sentence + "."
    longest = [trial for trial in trials if trial["epochs"] == max(trial["epochs"] for trial in trials)]
    if len(longest) > 1 and len(found["space"]) == 1:
        yield _trade(longest, *found["space"], drawn)


def _trade(trials, key, drawn):
    """What changes from one end of the only setting that does to the other."""
    lowest, highest = (choose(trials, key=lambda trial: trial["values"][key]) for choose in (min, max))
    both = {
        how.title: " and ".join(shown(name, trial["measures"][name]) for trial in (lowest, highest))
        for name, how in drawn.items()
    }
    return (
        f"At the lowest and the highest {key} tried, {lowest['values'][key]:.3g} and {highest['values'][key]:.3g}: "
        f"{', '.join(f'{title} {values}' for title, values in both.items())}."
    )
