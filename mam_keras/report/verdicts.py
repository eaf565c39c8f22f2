"""What may be said of numbers: words made from estimates with their intervals. Every judgement of a page is from here.

"Clearly" means that the 95 % interval of a difference leaves out 0. Where it does not, or where there is no interval,
nothing more is said than that no difference was measured.
"""

import enum
from collections.abc import Iterable, Mapping

from mam_keras.statistics import Estimate

_SKILL = ((0.9, "very well"), (0.6, "well"), (0.3, "moderately"), (0.0, "poorly"))  # from this share of errors avoided


class Verdict(enum.Enum):
    """Of a gain, as a sentence says it before the rival's name."""

    BETTER = "clearly better than"
    ALIKE = "not measurably different from"
    WORSE = "clearly worse than"
    UNKNOWN = "not measured against"


_UNSKILLED = {
    Verdict.ALIKE: "no better than the usual answer, as far as these images show",
    Verdict.WORSE: "worse than the usual answer",
    Verdict.UNKNOWN: "not measured",
}


def verdict(gain: Estimate, least: float = 0.0) -> Verdict:
    """Of how much more than `least` something has than its rival, where more is better."""
    if gain.value is None:
        return Verdict.UNKNOWN
    if gain.low is None or gain.low <= least <= gain.high:
        return Verdict.ALIKE
    return Verdict.BETTER if gain.low > least else Verdict.WORSE


def turned(gain: Estimate) -> Estimate:
    """Of a difference the other way round: where less is better, or seen from the rival."""
    return Estimate(*(None if number is None else -number for number in (gain.value, gain.high, gain.low)))


def unpaired(first: Estimate, second: Estimate) -> Estimate:
    """First minus second, of which nothing more is known than their intervals: leaves out 0 where these are apart."""
    if None in (first.value, second.value):
        return Estimate(None, None, None)
    if None in (first.low, second.low):
        return Estimate(first.value - second.value, None, None)
    return Estimate(first.value - second.value, first.low - second.high, first.high - second.low)


def word(difference: Estimate, more: str = "better", less: str = "worse") -> str:
    """Of a difference without its rival: "clearly better", "not measurably different", "not measured"."""
    words = {Verdict.BETTER: f"clearly {more}", Verdict.WORSE: f"clearly {less}", Verdict.UNKNOWN: "not measured"}
    return words.get(verdict(difference), "not measurably different")


def course(change: Estimate) -> str:
    """What something does along the way, by what it is at the end less what it was at the beginning."""
    words = {Verdict.BETTER: "rises", Verdict.WORSE: "falls", Verdict.UNKNOWN: "is not known to change"}
    return words.get(verdict(change), "does not measurably change")


def apart(first: Estimate, second: Estimate, more: str = "more", less: str = "less") -> str:
    """Of two estimates that were not paired: "clearly more", or that their intervals overlap."""
    difference = unpaired(first, second)
    overlap = verdict(difference) is Verdict.ALIKE and difference.low is not None
    return "the intervals overlap" if overlap else word(difference, more, less)


def sorted_by(gains: Mapping[str, Estimate]) -> dict[Verdict, list[str]]:
    """Names by what is to be said of their gains, in the order of `Verdict`; verdicts of none are left out."""
    found = {one: [name for name, gain in gains.items() if verdict(gain) is one] for one in Verdict}
    return {one: names for one, names in found.items() if names}


def against(gains: Mapping[str, Estimate]) -> str:
    """How something stands to its rivals: "clearly better than chance and a blob; clearly worse than Grad-CAM"."""
    return "; ".join(f"{one.value} {listed(names)}" for one, names in sorted_by(gains).items())


def often(gains: Iterable[Estimate], where: str) -> str:
    """How often: "clearly better at 2 of 6 noise levels, clearly worse at 1"; the rest is not measurably different."""
    found = [verdict(gain) for gain in gains]
    better, worse = (found.count(one) for one in (Verdict.BETTER, Verdict.WORSE))
    whole = f"{len(found)} {where}"
    if not better and not worse:
        return f"not measurably different at any of {whole}"
    if len(found) in (better, worse):
        return f"clearly {'better' if better else 'worse'} at all of {whole}"
    return f"clearly better at {better or 'none'} of {whole}, clearly worse at {worse or 'none'}"


def skill(right: Estimate, usual: Estimate, gain: Estimate) -> str:
    """How well answers are given, by the share of the usual answer's errors that they avoid: "well" and so on.

    Args:
        right, usual: shares of right answers, of the classifier and of always giving the usual answer.
        gain: right minus usual, paired.
    """
    judged = verdict(gain)
    if judged is not Verdict.BETTER:
        return _UNSKILLED[judged]
    return next(words for least, words in _SKILL if gain.value >= least * (1 - usual.value))


def listed(names: Iterable[str], most: int = 8) -> str:
    """ "a", "a and b", "a, b and c"; of more than `most` how many others there are."""
    names = list(names)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} others"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
