"""The curves T_{a,b} of the pairs that the report uses (1905.02719, figure 3). Knows no image and no page."""

import numpy as np

from mam_keras.analysis.result import Result

NEEDS = {"masks"}
VERSION = 2
POINTS = 101  # of a curve


def settings(config):
    """The answer depends on the pairs."""
    return {"pairs": [list(pair) for pair in config.analysis.pairs]}


def compute(run, split):
    """T_{a,b}(m) = o + f_{a,b}(m) for m in [0, 1], by the function that the network itself uses.

    Returns:
        `Result` with the values `family` (its name), `offset` (o), `pairs` ([a, b], the identity first), and the
        arrays `mask` (101,), the values of m, and `curves` (pairs, 101), float32.
    """
    from mam_keras.model.transformation import FAMILIES

    masks = run.network.masks
    function = FAMILIES[masks.family].function
    pairs = [masks.identity, *(pair for pair in run.config.analysis.pairs if tuple(pair) != masks.identity)]
    mask = np.linspace(0, 1, POINTS, dtype=np.float32)
    curves = np.stack([masks.offset + np.asarray(function(mask, a, b)) for a, b in pairs])
    values = {"family": masks.family, "offset": masks.offset, "pairs": [list(pair) for pair in pairs]}
    return Result(values, {"mask": mask, "curves": curves})
