"""The curves are the function that the network uses, offset and all."""

import numpy as np
import pytest

from mam_keras.analysis import transformation
from mam_keras.analysis.needs import lacking
from tests.analysis import untrained
from tests.model import equations


@pytest.mark.parametrize("offset", [0, 1])
def test_curves_are_those_of_the_equations(offset):
    found = transformation.compute(untrained.run(mask_offset=offset), "test")
    assert found.values["pairs"][0] == [1, 1]
    assert len(found.values["pairs"]) == len(found.arrays["curves"]) == 13
    for (a, b), curve in zip(found.values["pairs"], found.arrays["curves"], strict=True):
        np.testing.assert_allclose(curve, offset + equations.tone_curve(found.arrays["mask"], a, b), atol=1e-5)


@pytest.mark.parametrize("model", [{"masks": "none"}, {"attribute_heads": False}, {"system": "plain"}])
def test_without_masks_there_is_no_curve(model):
    assert "no masks" in lacking(untrained.run(**model), "test", transformation.NEEDS)
    assert lacking(untrained.run(), "test", transformation.NEEDS) is None
