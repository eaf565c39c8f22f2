"""What is done to an image by the noise that it shows: the rule that serving uses and robustness measures."""

from dataclasses import dataclass

import numpy as np

from mam_keras import analysis


@dataclass(frozen=True)
class Rule:
    """The nearest of J levels of noise decides.

    Attributes:
        sigmas, levels: (J,), of the noise on validation and of its estimates there, rising.
        boundaries: float32 (J - 1,), halfway between neighbouring levels.
        best: int (J,), which of the adaptation's variants.
        pairs: float32 (J, 2), its (a, b).
        offsets: float32 (J, K), added to its logits.
        plain_offsets: float32 (J, K), the same for the identity, with which nothing is transformed.
    """

    sigmas: np.ndarray
    levels: np.ndarray
    boundaries: np.ndarray
    best: np.ndarray
    pairs: np.ndarray
    offsets: np.ndarray
    plain_offsets: np.ndarray

    def knots(self, noise):
        """Which level each image is next to: estimates (n,) -> int (n,)."""
        return np.searchsorted(self.boundaries, noise, side="right")


def rule(run):
    """The `Rule` of a run, from its analysis `adaptation`. Raises `Unavailable` where that is."""
    found = analysis.result_of(run, "adaptation", "validation")
    knots, among = found.values["knots"], found.values["variants"]
    levels, best, offsets = (found.arrays[name][knots] for name in ("noise", "best", "offsets"))
    levels = levels[:, 0]
    return Rule(
        sigmas=np.array(found.values["sigmas"])[knots],
        levels=levels,
        boundaries=np.float32((levels[:-1] + levels[1:]) / 2),
        best=best,
        pairs=np.float32([(among[index]["a"], among[index]["b"]) for index in best]),
        offsets=np.float32(offsets[range(len(knots)), best]),
        plain_offsets=np.float32(offsets[:, 0]),
    )


def rising(levels):
    """Indices of the levels that are above all kept before them: (S,) -> list, the first among them."""
    kept = [0]
    for index, level in enumerate(levels):
        if level > levels[kept[-1]]:
            kept.append(index)
    return kept
