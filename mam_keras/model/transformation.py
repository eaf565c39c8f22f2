"""The intentional mask transformation f_{a,b} (1905.02719, section 2.2). Knows masks in [0, 1] and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

from keras import ops


@dataclass(frozen=True)
class Family:
    """One reading of equations 7 and 8, whose text is lost.

    Attributes:
        function: (mask, a, b) -> f_{a,b}(mask), in `keras.ops`; `a` and `b` broadcast against the mask. Heads use
            T(M) = mask_offset + f_{a,b}(M).
        identity: the pair for which f is the mask itself, "no transformation".
        linear_in_a: f_{a,b} = a f_{1,b}, so that a head's scores for every `a` follow from one evaluation at a = 1.
        together: (logits z of a mask, pairs) -> list of f_{a,b}(sigmoid(z)), where several pairs have work in common.
    """

    function: Callable
    identity: tuple[float, float]
    linear_in_a: bool
    together: Callable | None = None

    def each(self, logits, pairs):
        """f_{a,b}(sigmoid(z)) for every pair (a, b) of numbers: a list of arrays like the mask's logits z."""
        if self.together is not None:
            return self.together(logits, pairs)
        mask = ops.sigmoid(logits)
        return [self.function(mask, a, b) for a, b in pairs]


def tone_curve(mask, a, b):
    """f_{a,b}(m) = a t_b(m), for m in [0, 1], a >= 0 and b > 0, both finite. Our reading of equations 7 and 8.

        t_b(m) = 1/2 (2m)^b              for m < 1/2
                 1 - 1/2 (2 - 2m)^b      otherwise

    Point-symmetric about (1/2, 1/2) and monotone, like the tone curve of image retouching: b > 1 pushes small
    values down and large values up, b < 1 does the reverse, and `a` scales the emphasis.
    """
    folded = 0.5 * ops.power(2.0 * ops.minimum(mask, 1.0 - mask), b)
    return a * ops.where(mask < 0.5, folded, 1.0 - folded)


def tone_curves(logits, pairs):
    """`tone_curve` of sigmoid(z) for several pairs: a power of u = 2 min(m, 1 - m) = 2 e^-|z| / (1 + e^-|z|) each.

    A power is a square where its root is at hand, and exp(b log u) otherwise.
    """
    decay = ops.exp(-ops.abs(logits))
    fold = 2.0 * decay / (1.0 + decay)
    logarithm = ops.log(fold)
    powers = {1.0: fold}
    for b in sorted({b for _, b in pairs} - {1.0}):
        root = powers.get(b / 2)
        powers[b] = ops.exp(b * logarithm) if root is None else root * root
    closed = logits < 0
    return [a * ops.where(closed, 0.5 * powers[b], 1.0 - 0.5 * powers[b]) for a, b in pairs]


FAMILIES = {"tone_curve": Family(tone_curve, identity=(1.0, 1.0), linear_in_a=True, together=tone_curves)}
