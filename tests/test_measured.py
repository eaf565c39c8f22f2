"""Tables of configs/README.md say what their studies measured: `figures.json`, kept as reports/measured/STUDY.json."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAIR = "Wearing_Lipstick:Heavy_Makeup"
WORST = f"worst_group:{PAIR}"
DRAWN = {  # runs of studies/directed_drawn_faces.yaml, as the table calls them
    "biased": "before",
    "unbiased": "trained without the co-occurrence",
    "control": "four epochs more, without regions",
    "outside": "`outside`",
    "l1": "`l1`",
    "iou": "`iou`",
    "magnitude": "`magnitude`",
    "magnitude_10": "`magnitude`, w_g 10",
    "energy": "`energy`",
    "energy_20": "`energy`, w_g 20",
    "by_default": "one epoch, as `mam-keras direct` does by default",
    "mouth_too": "N_w",
    "mouth_alone": "N_o",
}


def measured(study):
    found = json.loads((ROOT / f"reports/measured/{study}.json").read_text())
    return {one["run"]: one["figures"] for one in found}


def percent(one):
    return f"{100 * one['value']:.1f} % ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def number(one):
    return f"{one['value']:.1f} ({one['low']:.1f} to {one['high']:.1f})"


@pytest.mark.parametrize("run", DRAWN)
def test_directed_drawn_faces(run):
    figures = measured("directed_drawn_faces")[run]
    of = {name: figures[f"{name}:{PAIR}"] for name in ("apart", "toggled_other", "others_accuracy", "energy")}
    others = f"{100 * of['others_accuracy']['value']:.1f} %"
    row = [DRAWN[run], percent(of["apart"]), number(of["toggled_other"]), others]
    assert f"| {' | '.join(row)} | {of['energy']['value']:.0f} |\n" in (ROOT / "configs/README.md").read_text()


def share(one):
    return f"{100 * one['value']:.1f}"


def accuracy_and_cost(figures):
    means = [percent(figures[name]) for name in ("accuracy", "balanced_accuracy", "average_precision")]
    costs = [f"{figures['training_ms']['value']:.1f}", f"{figures['answering_ms']['value']:.1f}"]
    return [*means, share(figures["calibration_error"]), f"{figures['parameters']['value']:,.0f}", *costs]


def maps(figures):
    own = [number(figures["localisation_parts"]), percent(figures["pointing_parts"])]
    others = [f"{figures[f'localisation_parts_{name}']['value']:.1f}" for name in ("grad_cam", "blob")]
    others.insert(1, share(figures["pointing_parts_grad_cam"]))
    areas = [f"{figures[name]['value']:.3f}" for name in ("deletion", "insertion")]
    covered = [f"{figures[name]['value']:.2f}" for name in ("covering", "covering_random", "covering_centre")]
    return [*own, *others, *areas, ", ".join(covered), f"{figures['control_wins']['value']:.1f}"]


def noise_and_groups(figures):
    kinds = "identity", "best_pair", "best_control", "automatic"
    found = [figures.get(f"{kind}_sigma_{sigma}") for sigma in (0.1, 0.2) for kind in kinds]
    groups = [percent(one) for name, one in figures.items() if name.startswith("worst_group:")]
    return [*(share(one) if one else "\N{EN DASH}" for one in found), *groups]


@pytest.mark.parametrize("table", [accuracy_and_cost, maps, noise_and_groups])
@pytest.mark.parametrize("run", measured("five_systems"))
def test_five_systems(run, table):
    row = " | ".join([f"`{run}`", *table(measured("five_systems")[run])])
    assert f"| {row} |\n" in (ROOT / "configs/README.md").read_text()


@pytest.mark.parametrize("run", measured("positions"))
def test_positions(run):
    figures = measured("positions")[run]
    maps = "", "_seen"
    controls = "grad_cam", "blob", "positions"
    row = [f"`{run}`", *(percent(figures[name]) for name in ("accuracy", "balanced_accuracy"))]
    row += [number(figures[f"localisation_parts{name}"]) for name in maps]
    row += [percent(figures[f"pointing_parts{name}"]) for name in maps]
    row.append(", ".join(f"{figures[f'localisation_parts_{name}']['value']:.1f}" for name in controls))
    row.append(", ".join(share(figures[f"pointing_parts_{name}"]) for name in controls))
    row.append(f"{figures['control_wins']['value']:.1f}")
    assert f"| {' | '.join(row)} |\n" in (ROOT / "configs/README.md").read_text()


def points(run, other, measure):
    """Of the difference over seeds, as `figures.json` has it less its baseline."""
    found = json.loads((ROOT / "reports/measured/five_systems.json").read_text())
    (one,) = (one["less"][other][measure] for one in found if one["run"] == run)
    return f"{100 * one['value']:.1f} points, {100 * one['low']:.1f} to {100 * one['high']:.1f}"


def test_promises():
    figures = measured("five_systems")
    masked, plain, placed = (figures[run] for run in ("masked", "plain", "plain_positions"))
    stage, heads, together = (figures[run] for run in ("masked_stage", "masked_heads_only", "masked_together"))
    pairs = [
        [share(one[f"{kind}_sigma_0.1"]) for kind in ("identity", "best_pair", "best_control")]
        for one in (masked, stage)
    ]
    said = [
        f"energy on the marked parts is {number(masked['localisation_parts'])} times that of chance, Grad-CAM's "
        f"{masked['localisation_parts_grad_cam']['value']:.1f}, of a blob in the middle "
        f"{masked['localisation_parts_blob']['value']:.1f}.",
        f"pooling of the highest quarter {number(together['localisation_parts'])}, blob "
        f"{together['localisation_parts_blob']['value']:.1f};",
        f"with learned positions, without masks, {number(placed['localisation_parts'])}, blob "
        f"{placed['localisation_parts_blob']['value']:.1f}",
        f"at sigma 0.1: {pairs[0][0]} %, best pair {pairs[0][1]}, best control without masks {pairs[0][2]};",
        f"linear logit, {pairs[1][0]}, {pairs[1][1]} and {pairs[1][2]} |",
        f"Faces: {share(masked['accuracy'])} % with both, {share(heads['accuracy'])} without either",
        f"Faces: {share(plain['accuracy'])} %, with it {share(figures['branch']['accuracy'])} "
        f"({points('branch', 'plain', 'accuracy')})",
        f"worst group of lipstick {share(plain[WORST])} to {share(figures['plain_directed'][WORST])} %, by an "
        f"offset of the logit alone {share(plain[WORST.replace(':', '_fitted:', 1)])} (three",
        f"none {share(plain['accuracy'])}, at all three stages {share(figures['shareable']['accuracy'])} "
        f"({points('shareable', 'plain', 'accuracy')})",
    ]
    text = (ROOT / "README.md").read_text()
    assert [one for one in said if one not in text] == []
