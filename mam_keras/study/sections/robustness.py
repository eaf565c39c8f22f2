"""What noise does to the answers of every run, and what the transformation (a, b) and simple controls do about it."""

from mam_keras.report import figures, wording
from mam_keras.report.blocks import Column, Figure, Missing, Section, Table
from mam_keras.report.sections.robustness import TYPICAL
from mam_keras.report.sections.robustness.view import NAMES
from mam_keras.study.view import ONE_SEED, estimate

TITLE = "Robustness"
_NAMES = NAMES | {
    "pair_offset": "best pair with offsets",
    "automatic": "automatic",
    "automatic_offset": "automatic offsets alone",
}
_DIFFERENCES = {
    "over_control": "best pair less best control",
    "pair_over_offset": "best pair less identity, both with offsets",
    "automatic_over_offset": "automatic less its offsets alone",
    "automatic_over_control": "automatic less best control",
}


def section(view):
    reading = (
        "Balanced accuracy (50 % is guessing) on test images with Gaussian noise. Identity: the network as it was "
        "trained. Best pair: masks transformed by the pair (a, b) that is best on noisy validation images. Automatic: "
        "by the pair, and with the offsets of the logits, that go with the noise that the image itself shows. Best "
        "control: the best on validation of what needs no transformation, such as a = 0, without what the masks add, "
        "or the identity with one offset per attribute. A transformation is worth its name where it beats that."
    )
    runs = view.having("robustness")
    if not runs:
        return Section("robustness", TITLE, "", reading, (Missing("No run has attribute heads."),))
    return Section("robustness", TITLE, "", reading, (_figure(view, runs), _table(view, runs)), tuple(_summary(view)))


def _name(kind):
    return _NAMES.get(kind, kind.replace("_", " "))


def _difference(name):
    return _DIFFERENCES.get(name, name.replace("_", " "))


def _summary(view):
    steady = max(view.done, key=lambda one: one["validation"]["measures"]["noise_robustness"] or 0)
    most, base = (one["validation"]["measures"]["noise_robustness"] for one in (steady, view.baseline))
    if most is not None and base is not None:
        text = (
            f"On validation {steady['run']} keeps the most balanced accuracy under noise, {100 * most:.1f} % over all "
            "sigmas"
        )
        yield text + ("." if steady is view.baseline else f" ({view.found['baseline']}: {100 * base:.1f} %).")
    several = [*view.shown, *([] if steady in view.shown else [steady])]
    for one in several:
        spoiled = [noise for noise in one["robustness"] or [] if noise["sigma"] > 0]
        if spoiled:
            yield _sentence(one, min(spoiled, key=lambda noise: abs(noise["sigma"] - TYPICAL)), spoiled)


def _sentence(one, noise, spoiled):
    identity = estimate(noise["variants"]["identity"]["value"])
    text = f"{one['run']}, on test at sigma {noise['sigma']:g}: {wording.percent(identity)} as it is"
    for key, words in (("best_pair", "with the best pair"), ("best_control", "with the best control")):
        if noise[key] is not None:
            which = _name(noise[key]["name"])
            which = which if which.startswith("(") else f"({which})"
            text += f", {wording.percent(estimate(noise[key]['value']))} {words} {which}"
    if "over_control" not in noise["differences"]:
        return f"{text}."
    beyond = [estimate(each["differences"]["over_control"]) for each in spoiled]
    ahead, behind = (sum(wording.differs(gain) and sign * gain.value > 0 for gain in beyond) for sign in (1, -1))
    text += (
        f". Of {wording.count(len(spoiled), 'sigma')} the pair is measurably ahead of the control at {ahead} and "
        f"behind at {behind}."
    )
    others = [
        f"{_difference(name)} {wording.points(estimate(numbers))}"
        for name, numbers in noise["differences"].items()
        if name != "over_control"
    ]
    return text + (f" In balanced accuracy: {'; '.join(others)}." if others else "")


def _table(view, runs):
    kinds = list(dict.fromkeys(kind for one in runs for noise in one["robustness"] for kind in noise["variants"]))
    columns = [Column("run"), Column("sigma", "number", 2)]
    columns += [Column(_name(kind), "percent") for kind in kinds]
    columns += [
        Column("best pair"),
        Column("its value", "percent"),
        Column("its gain over identity, in points", "percent"),
    ]
    columns.append(Column("best control"))
    differences = list(
        dict.fromkeys(name for one in runs for noise in one["robustness"] for name in noise["differences"])
    )
    columns += [Column(f"{_difference(name)}, in points", "percent") for name in differences]
    rows = []
    for one in runs:
        for noise in one["robustness"]:
            row = [view.name(one), noise["sigma"]]
            row += [estimate(noise["variants"][kind]["value"] if kind in noise["variants"] else None) for kind in kinds]
            pair, control = noise["best_pair"], noise["best_control"]
            row += (
                [None] * 3 if pair is None else [_name(pair["name"]), estimate(pair["value"]), estimate(pair["gain"])]
            )
            row.append(None if control is None else _name(control["name"]))
            rows.append((*row, *(estimate(noise["differences"].get(name)) for name in differences)))
    return Table(
        "robustness",
        "Balanced accuracy of every run under Gaussian noise on test: means over attributes, with 95 % intervals.",
        tuple(columns),
        tuple(rows),
        f"Pairs, controls and offsets are chosen and fitted on validation images under the same noise. {ONE_SEED}",
    )


def _figure(view, runs):
    canvas, axes = figures.canvas(7.2, 3.2 + 0.18 * (len(runs) // 3), ncols=2, sharey=True)
    for ax, key, title in zip(axes, (None, "best_control"), ("identity", "best control"), strict=True):
        for one in runs:
            color, dash, width = view.look(one)
            points = [
                (noise["sigma"], 100 * found["value"][0])
                for noise in one["robustness"]
                if (found := noise["variants"]["identity"] if key is None else noise[key])
                and found["value"][0] is not None
            ]
            if points:
                ax.plot(*zip(*points, strict=True), dash, color=color, linewidth=width, label=view.name(one))
        ax.axhline(50, color=figures.INK, linewidth=0.6, linestyle=":")
        ax.set_title(f"{title}: balanced accuracy, %")
        ax.set_xlabel("sigma")
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    words = "; ".join(
        f"{one['run']} "
        + ", ".join(
            f"{100 * n['variants']['identity']['value'][0]:.1f} % at {n['sigma']:g}"
            for n in one["robustness"]
            if n["variants"]["identity"]["value"][0] is not None
        )
        for one in runs
    )
    caption = (
        "Every run under Gaussian noise: as it was trained, and with the best control, chosen on validation. "
        "Sigma is the standard deviation, where black is 0 and white is 1. Dotted: guessing."
    )
    return Figure("robustness-curves", figures.svg(canvas, "robustness-curves"), caption, f"Identity: {words}.")
