"""Learned positions, and what a page says of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from mam_keras.analysis import needs, positions
from mam_keras.analysis.result import Result
from mam_keras.report.sections import positions as section
from tests.analysis import untrained
from tests.model import equations


@pytest.mark.parametrize("model", [{}, {"masks": "none"}, {"masks": "common"}, {"system": "plain"}])
def test_weights_are_those_of_the_equations_and_half_is_counted(model):
    run = untrained.run(learned_positions=True, **model)
    assert needs.lacking(run, "test", positions.NEEDS) is None
    found, logits = positions.compute(run, "test"), run.network.contributions.heads.position_logits.numpy()
    expected = np.moveaxis(equations.position_weights(logits), -1, 0)
    np.testing.assert_allclose(found.arrays["weights"], expected, rtol=1e-3, atol=1e-5)
    for k, weights in enumerate(expected.reshape(3, 64) / 64):
        heaviest = np.sort(weights)[::-1]
        assert heaviest[: found.arrays["half"][k]].sum() >= 0.5 - 1e-5
        assert heaviest[: found.arrays["half"][k] - 1].sum() < 0.5
    images = run.images("test").images
    np.testing.assert_allclose(found.arrays["mean"], images.mean(axis=0), atol=0.51)
    assert found.values == {"attributes": ["Smiling", "Hat", "Bangs"], "images": 12}


def test_equal_positions_are_half_of_all():
    run = untrained.run(learned_positions=True)
    run.network.contributions.heads.position_logits.assign(np.zeros((3, 8, 8)))
    assert positions.compute(run, "test").arrays["half"].tolist() == [32, 32, 32]


def test_a_network_that_weighs_all_positions_alike_has_none():
    assert needs.lacking(untrained.run(), "test", positions.NEEDS) == (
        "the network weighs all positions alike, in every image"
    )


def test_the_section_says_how_few_they_are():
    weights = np.ones((3, 2, 4), np.float32)
    weights[1, 1, 2] = 9
    arrays = {"weights": weights, "half": np.array([4, 1, 3]), "mean": np.zeros((8, 8, 3), np.uint8)}
    found = Result({"attributes": ["Hat", "<b>", "Bangs"], "images": 20}, arrays)
    run = SimpleNamespace(results={"positions": found}, targets=SimpleNamespace(exclusive=False))
    shown = section.section(run, ())
    assert shown.summary == (
        "Half of the weight lies on 3 positions of 8 for the median attribute, on the fewest for <b> (1), on the most "
        "for Hat (4).",
    )
    (((_, cells),),) = (block.rows for block in shown.blocks)
    assert [cell.label for cell in cells] == ["Hat", "<b>", "Bangs"]
    assert cells[1].alternative == "<b>: half of the weight is on 1 position of 8, most at row 1, column 2."
    assert all(cell.picture.startswith(b"\x89PNG") for cell in cells)
