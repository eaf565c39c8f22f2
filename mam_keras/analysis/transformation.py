"""The curves T_{a,b} of the pairs that the report uses (1905.02719, figure 3). Knows no image and no page."""

import numpy as np

from mam_keras.analysis.masks import require
from mam_keras.analysis.result import Result

POINTS = 101  # of a curve


def settings(config):
    """The answer depends on the pairs."""
    return {"pairs": [list(pair) for pair in config.analysis.pairs]}


def compute(run):
    """T_{a,b}(m) = mask_offset + f_{a,b}(m) for m in [0, 1], by the function that the network itself uses.

    Returns:
        `Result` with the values `family` (its name), `mask_offset`, `pairs` ([a, b], the identity first), and the
        arrays `mask` (101,), the values of m, and `curves` (pairs, 101), float32.

    Raises `Unavailable` where the network has no masks.
    """
    require(run.config)
    from mam_keras.model.transformation import FAMILIES

    heads, identity = run.network.heads, run.network.identity
    pairs = [identity, *(pair for pair in run.config.analysis.pairs if tuple(pair) != identity)]
    mask = np.linspace(0, 1, POINTS, dtype=np.float32)
    curves = np.stack([heads.mask_offset + np.asarray(FAMILIES[heads.family].function(mask, a, b)) for a, b in pairs])
    values = {"family": heads.family, "mask_offset": heads.mask_offset, "pairs": [list(pair) for pair in pairs]}
    return Result(values, {"mask": mask, "curves": curves})
