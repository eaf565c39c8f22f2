"""The section about robustness: what it says of made-up results, and that every kind of run gets one."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import robustness as analysis
from mam_keras.analysis.corruptions import CORRUPTIONS
from mam_keras.analysis.result import Result
from mam_keras.report.blocks import Figure, Missing, Table
from mam_keras.report.sections import robustness
from mam_keras.statistics import Estimate

SIGMAS = (0.0, 0.1, 0.2)
CONDITIONS = [("noise", sigma) for sigma in SIGMAS] + [
    (name, severity) for name, one in CORRUPTIONS.items() for severity in one.severities
]
PAIRS = ((0.5, 2.0), (2.0, 2.0), (1.0, 4.0))


GAINS = {
    "pair": 0.02,
    "adapted": 0.03,
    "offset": 0.07,
    "unmasked_offset": 0.06,
    "adapted_offset": 0.065,
    "pair_offset": 0.08,
    "automatic_offset": 0.05,
    "automatic": 0.055,
}


def made_up(
    attributes=("Smiling", "Hat", "Bangs"),
    pairs=PAIRS,
    chosen=True,
    adapted=True,
    over_control=-0.05,
    automatic_over_control=-0.015,
    undefined=False,
    exclusive=False,
):
    """Everything falls by 10 points with each condition; what each kind of variant gains is in `GAINS`."""
    variants = [{"kind": "identity", "a": 1.0, "b": 1.0}, *({"kind": "pair", "a": a, "b": b} for a, b in pairs)]
    variants += [{"kind": "unmasked", "a": 0.0, "b": 1.0}] if pairs else []
    variants += [{"kind": kind} for kind in ("multi_label", *(["adapted"] if adapted else []))]
    following = {"offset": True, "unmasked_offset": pairs, "adapted_offset": adapted, "pair_offset": pairs}
    following |= {"automatic_offset": pairs, "automatic": True}
    variants += [{"kind": kind} for kind, there in following.items() if there and chosen]
    kinds = [variant["kind"] for variant in variants]
    gains = np.array([GAINS.get(kind, 0) for kind in kinds])
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
            arrays[f"{metric}.best_offset"] = np.full(len(CONDITIONS), 3 if pairs else 0)
            arrays[f"{metric}.control"] = np.full(len(CONDITIONS), kinds.index("offset"))
            differences = {"over_control": over_control, "automatic_over_control": automatic_over_control}
            differences |= {"pair_over_offset": 0.01, "automatic_over_offset": 0.005} if pairs else {}
            for name, difference in differences.items():
                arrays[f"{metric}.{name}"] = np.full((len(CONDITIONS), 1), difference) + band
    if undefined:
        for name in arrays:
            if "balanced" in name and arrays[name].dtype == float:
                arrays[name][:] = np.nan
    values = {
        "attributes": list(attributes),
        "exclusive": exclusive,
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


def adapted_to_noise(pairs=PAIRS):
    """What `analysis.adaptation` finds; sigma 0.1 cannot be told from 0."""
    variants = [{"kind": "identity", "a": 1.0, "b": 1.0}, *({"kind": "pair", "a": a, "b": b} for a, b in pairs)]
    values = {"sigmas": list(SIGMAS), "knots": [0, 2], "variants": variants, "images": 20}
    noise = np.array([[0.01, 0.005, 0.02], [0.01, 0.005, 0.02], [0.15, 0.1, 0.2]])
    return Result(values, {"noise": noise, "best": np.array([0, 0, len(pairs)])})


def section(**arguments):
    results = {"robustness": made_up(**arguments)}
    if arguments.get("chosen", True):
        results["adaptation"] = adapted_to_noise(arguments.get("pairs", PAIRS))
    return robustness.section(SimpleNamespace(results=results), [])


@pytest.fixture(scope="module")
def usual():
    return section()


def block(section, name):
    return next(one for one in section.blocks if getattr(one, "name", None) == name)


def of(section, kind):
    return [one.name if hasattr(one, "name") else one.text for one in section.blocks if isinstance(one, kind)]


def test_without_other_corruptions_there_is_nothing_of_them():
    found = made_up()
    noise = Result(
        found.values | {"conditions": found.values["conditions"][: len(SIGMAS)]},
        {name: array[: len(SIGMAS)] for name, array in found.arrays.items()},
    )
    made = robustness.section(SimpleNamespace(results={"robustness": noise}), [])
    assert not [name for name in of(made, Figure) + of(made, Table) if name.endswith(("corruptions", "others"))]


def test_figures_and_tables(usual):
    assert of(usual, Figure) == [
        "robustness-overview",
        "robustness-pairs",
        "robustness-gains",
        "robustness-attributes",
        "robustness-corruptions",
    ]
    assert of(usual, Table) == ["robustness-noise", "robustness-levels", "robustness-parts", "robustness-others"]
    assert of(usual, Missing) == []


def test_the_summary_says_when_a_control_wins(usual):
    first, statistics, verdict, precision, offset, automatic = usual.summary
    assert "sigma 0.2 the answers keep 70.0 % (69.0 to 71.0) accuracy (majority class: 80.0)" in first
    assert "from 90.0 and 90.0 without noise" in first
    assert "against no transformation, clearly better at all of 2 noise levels" in verdict
    assert "against the best control clearly worse at all of 2 noise levels" in verdict
    assert "needs no label, changes balanced accuracy by +3.0 points (+2.0 to +4.0) at sigma 0.2" in statistics
    assert "changes it by +5.5 points (+4.5 to +6.5) at sigma 0.2: +5.0 points (+4.0 to +6.0) by its" in automatic
    assert "+0.5 points (-0.5 to +1.5) by the transformation on top; against the best" in automatic
    assert "against the best control it is clearly worse at all of 2 noise levels" in automatic
    assert "+2.0 points (+1.0 to +3.0)" in precision
    assert "+7.0 points (+6.0 to +8.0) at sigma 0.2, and by +7.0 points (+6.0 to +8.0) without noise" in offset


@pytest.mark.parametrize(
    "over_control, words",
    [(0.0, "not measurably different at any of 2 noise levels"), (0.05, "clearly better at all of 2 noise levels")],
)
def test_the_summary_says_when_a_control_does_as_well_and_when_pairs_win(over_control, words):
    drawn = section(over_control=over_control, automatic_over_control=over_control)
    assert words in drawn.summary[2] and words in drawn.summary[5]


def test_the_summary_counts_what_is_mixed():
    result = made_up()
    result.arrays["balanced_accuracy.over_control"][2] = (0.05, 0.04, 0.06)
    drawn = robustness.section(SimpleNamespace(results={"robustness": result}), [])
    assert "control clearly better at 1 of 2 noise levels, clearly worse at 1" in drawn.summary[2]


def test_the_table_has_the_chosen_and_what_it_gains(usual):
    table = block(usual, "robustness-noise")
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
    assert row["automatic"].value == pytest.approx(0.855)
    assert row["automatic less control, in points"].value == pytest.approx(-0.015)
    assert len(table.rows) == 3 * len(SIGMAS)
    others = block(usual, "robustness-others")
    assert {row[1] for row in others.rows} == {"Blur", "JPEG compression", "Occlusion", "Darkness"}
    assert "500 resamples, from 200 for average precision" in table.note


def test_a_transformation_that_is_never_chosen_gains_nothing():
    result = made_up()
    result.arrays["balanced_accuracy.automatic_over_offset"][:] = 0
    drawn = robustness.section(SimpleNamespace(results={"robustness": result}), [])
    assert "by its offsets alone and nothing by the transformation, because no pair" in drawn.summary[-1]


def test_the_automatic_choice_is_shown_by_level_of_noise(usual):
    rows = block(usual, "robustness-levels").rows
    assert rows == (
        (0.0, 0.01, 0.005, 0.02, "identity"),
        (0.1, 0.01, 0.005, 0.02, "as at 0"),
        (0.2, 0.15, 0.1, 0.2, "(1, 4)"),
    )


def test_a_gain_is_taken_apart(usual):
    table = block(usual, "robustness-parts")
    assert [row[:3] for row in table.rows[1:4:2]] == [
        ("best pair with offsets", 0.1, "(1, 4)"),
        ("automatic", 0, "by image"),
    ]
    for row, parts in ((table.rows[1], (0.08, 0.07, 0.01)), (table.rows[4], (0.055, 0.05, 0.005))):
        assert [cell.value for cell in row[3:]] == pytest.approx(parts)
        assert row[3].value == pytest.approx(row[4].value + row[5].value)
    assert len(table.rows) == 2 * len(SIGMAS)


def test_without_batch_normalisation_the_page_says_so():
    drawn = section(adapted=False)
    assert of(drawn, Missing) == ["No batch statistics as a control: the network has no batch normalisation."]
    assert "batch statistics" not in block(drawn, "robustness-overview").picture
    assert not any("statistics" in sentence for sentence in drawn.summary)


def test_without_validation_nothing_is_chosen_and_the_page_says_so():
    drawn = section(chosen=False)
    assert of(drawn, Table) == []
    (missing,) = of(drawn, Missing)
    assert "No best pair, no offsets, no automatic choice: the data have no validation split" in missing
    assert len(drawn.summary) == 2  # the adapted statistics need no choice
    picture = block(drawn, "robustness-overview").picture
    assert "batch statistics" in picture and "best pair" not in picture and "automatic" not in picture


def test_without_masks_the_noise_curve_stays():
    drawn = section(pairs=())
    assert "robustness-gains" not in of(drawn, Figure) and "robustness-overview" in of(drawn, Figure)
    titles = [column.title for column in block(drawn, "robustness-noise").columns]
    assert "best pair" not in titles and "best control" in titles and "automatic" in titles
    assert "robustness-parts" not in of(drawn, Table) and "robustness-levels" in of(drawn, Table)
    assert drawn.summary[-1].startswith("The automatic choice, ") and "transformation" not in drawn.summary[-1]
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


def test_of_classes_accuracy_is_called_top1():
    drawn = section(exclusive=True, chosen=False, pairs=())
    assert "keep 70.0 % (69.0 to 71.0) top-1 accuracy (majority class: 80.0)" in drawn.summary[0]
    assert "Top-1 accuracy of the identity" in block(drawn, "robustness-overview").alternative
    assert block(drawn, "robustness-attributes").caption.startswith("Recall of each class (")


def test_further_heads_have_lines_under_their_titles(usual):
    picture = block(usual, "robustness-overview").picture
    assert "multi-label head" in picture and "attention branch" not in picture
