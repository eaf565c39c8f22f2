"""The section about robustness: what it says of made-up results, and that every kind of run gets one."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import robustness as analysis
from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.analysis.result import Result
from mam_keras.report.blocks import Estimate, Figure, Missing, Table
from mam_keras.report.sections import robustness

SIGMAS = (0.0, 0.1, 0.2)
CONDITIONS = [("noise", sigma) for sigma in SIGMAS] + [
    (name, severity) for name, one in CORRUPTIONS.items() for severity in one.severities
]
PAIRS = ((0.5, 2.0), (2.0, 2.0), (1.0, 4.0))


def made_up(attributes=("Smiling", "Hat", "Bangs"), pairs=PAIRS, chosen=True, over_control=-0.05, undefined=False):
    """Everything falls by 10 points with each condition; pairs gain 2 points, offsets 7."""
    variants = [{"kind": "identity", "a": 1.0, "b": 1.0}, *({"kind": "pair", "a": a, "b": b} for a, b in pairs)]
    variants += [{"kind": "unmasked", "a": 0.0, "b": 1.0}] if pairs else []
    variants += [{"kind": "multi_label"}, *([{"kind": "offset"}] if chosen else [])]
    gains = np.array([{"pair": 0.02, "offset": 0.07}.get(variant["kind"], 0) for variant in variants])
    value = 0.9 - 0.1 * np.minimum(np.arange(len(CONDITIONS)), 4)[:, None] + gains
    band = np.array([0, -0.01, 0.01])
    arrays = {}
    for metric in analysis.METRICS:
        arrays[metric] = value[..., None] + band
        arrays[f"{metric}.gain"] = np.broadcast_to(gains[:, None] + band, arrays[metric].shape).copy()
        arrays[f"{metric}.per_attribute"] = np.repeat(value[..., None], len(attributes), axis=-1)
        if chosen:
            arrays[f"{metric}.validation"] = value
            arrays[f"{metric}.best"] = np.full(len(CONDITIONS), 2 if pairs else 0)
            arrays[f"{metric}.control"] = np.full(len(CONDITIONS), len(variants) - 1)
            arrays[f"{metric}.over_control"] = np.full((len(CONDITIONS), 1), over_control) + band
    if undefined:
        for name in arrays:
            if "balanced" in name and arrays[name].dtype == float:
                arrays[name][:] = np.nan
    values = {
        "attributes": list(attributes),
        "images": 24,
        "groups": None,
        "validation_images": 20 if chosen else None,
        "not_chosen": None if chosen else "the data have no validation split",
        "variants": variants,
        "conditions": [list(condition) for condition in CONDITIONS],
        "guess": {"accuracy": 0.8, "balanced_accuracy": None if undefined else 0.5, "average_precision": 0.2},
        "resamples": {"accuracy": 500, "balanced_accuracy": 500, "average_precision": 200},
    }
    return Result(values, arrays)


def section(**arguments):
    return robustness.section(SimpleNamespace(results={"robustness": made_up(**arguments)}), [])


def block(section, name):
    return next(one for one in section.blocks if getattr(one, "name", None) == name)


def of(section, kind):
    return [one.name if hasattr(one, "name") else one.text for one in section.blocks if isinstance(one, kind)]


def test_figures_and_tables():
    drawn = section()
    assert of(drawn, Figure) == [
        "robustness-overview",
        "robustness-pairs",
        "robustness-gains",
        "robustness-attributes",
        "robustness-corruptions",
    ]
    assert of(drawn, Table) == ["robustness-noise", "robustness-others"]
    assert of(drawn, Missing) == []


def test_the_summary_says_when_a_control_wins():
    first, verdict, precision, offset = section().summary
    assert "sigma 0.2 the attribute heads keep 70.0 % (69.0 to 71.0) accuracy (majority class: 80.0)" in first
    assert "from 90.0 and 90.0 without noise" in first
    assert "At 2 of 2 noise levels" in verdict
    assert "ahead at none: the better of them is ahead at every level" in verdict
    assert "+2.0 points (+1.0 to +3.0)" in precision
    assert "+7.0 points (+6.0 to +8.0) at sigma 0.2, and by +7.0 points (+6.0 to +8.0) without noise" in offset


@pytest.mark.parametrize(
    "over_control, words",
    [(0.0, "ahead at none: they do as well"), (0.05, "and at all of them a higher one than the better")],
)
def test_the_summary_says_when_a_control_does_as_well_and_when_pairs_win(over_control, words):
    assert words in section(over_control=over_control).summary[1]


def test_the_summary_counts_what_is_mixed():
    result = made_up()
    result.arrays["balanced_accuracy.over_control"][2] = (0.05, 0.04, 0.06)
    drawn = robustness.section(SimpleNamespace(results={"robustness": result}), [])
    assert "it is ahead at 1 and behind at 1" in drawn.summary[1]


def test_the_table_has_the_chosen_and_what_it_gains():
    table = block(section(), "robustness-noise")
    titles = [column.title for column in table.columns]
    row = dict(zip(titles, table.rows[1], strict=True))
    assert (row["metric"], row["severity"], row["best pair"], row["best control"]) == (
        "accuracy",
        0.1,
        "(2, 2)",
        "offset",
    )
    assert row["identity"] == Estimate(*(pytest.approx(end) for end in (0.8, 0.79, 0.81)))
    assert row["gain over identity, in points"] == Estimate(*(pytest.approx(end) for end in (0.02, 0.01, 0.03)))
    assert row["pair less control, in points"].value == pytest.approx(-0.05)
    assert len(table.rows) == 3 * len(SIGMAS)
    others = block(section(), "robustness-others")
    assert {row[1] for row in others.rows} == {"Blur", "JPEG compression", "Occlusion", "Darkness"}
    assert "500 resamples, from 200 for average precision" in table.note


def test_without_validation_nothing_is_chosen_and_the_page_says_so():
    drawn = section(chosen=False)
    assert of(drawn, Table) == []
    (missing,) = of(drawn, Missing)
    assert "No best pair and no offsets: the data have no validation split" in missing
    assert len(drawn.summary) == 1
    assert "best pair" not in block(drawn, "robustness-overview").picture


def test_without_masks_the_noise_curve_stays():
    drawn = section(pairs=())
    assert "robustness-gains" not in of(drawn, Figure) and "robustness-overview" in of(drawn, Figure)
    titles = [column.title for column in block(drawn, "robustness-noise").columns]
    assert "best pair" not in titles and "best control" in titles
    assert any("No pairs" in text for text in of(drawn, Missing))


def test_names_are_text_in_figures():
    names = ("<script>alert(1)</script>", "$x_1$ costs $2", "a/b.png")
    picture = block(section(attributes=names), "robustness-attributes").picture
    assert "<script" not in picture and "&lt;script&gt;" in picture
    assert "$x_1$ costs $2" in picture


def test_one_attribute_many_attributes_and_many_values_of_b():
    section(attributes=("Hat",))
    many = section(attributes=[f"attribute {k}" for k in range(50)])
    assert "The first 40 of 50" in block(many, "robustness-attributes").caption
    bends = section(pairs=[(a, b) for a in (0.1, 0.5, 1.0, 2.0, 3.0) for b in range(2, 12)])
    assert "b = 11" in block(bends, "robustness-gains").picture


def test_what_is_undefined_is_left_out():
    drawn = section(undefined=True)
    assert "undefined balanced accuracy" in drawn.summary[0]
    row = next(row for row in block(drawn, "robustness-noise").rows if row[0] == "balanced accuracy")
    assert row[3] == Estimate(None, None, None)


def test_figures_are_small_and_their_identifiers_their_own():
    drawn = section(attributes=[f"attribute {k}" for k in range(40)])
    figures = [one for one in drawn.blocks if isinstance(one, Figure)]
    assert sum(len(one.picture) for one in figures) < 400_000
    identifiers = [name for one in figures for name in set(re.findall(r'\bid="([^"]+)"', one.picture))]
    assert len(identifiers) == len(set(identifiers))
