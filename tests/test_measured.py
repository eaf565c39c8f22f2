"""Tables of configs/README.md say what their studies measured: `figures.json`, kept as reports/measured/STUDY.json."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAIR = "Wearing_Lipstick:Heavy_Makeup"
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
