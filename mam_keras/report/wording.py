"""How numbers, heads and lists read in sentences."""

from collections.abc import Iterable

from mam_keras import predictions
from mam_keras.report import verdicts
from mam_keras.statistics import Estimate


def percent(estimate: Estimate, digits=1) -> str:
    """A share with its interval: "89.5 % (89.2 to 89.7)"; "undefined" where it has no value."""
    return _with_interval(estimate, " %", f"z.{digits}f")


def points(estimate: Estimate, digits=1) -> str:
    """A difference of shares with its interval, in percentage points: "+0.3 points (-0.1 to +0.6)".

    Of an interval that leaves out 0 as many digits are shown as it takes not to read 0 at its end, at most two more.
    """
    if estimate.measurable:
        ends = (100 * estimate.low, 100 * estimate.high)
        digits = next((more for more in (digits, digits + 1) if all(round(end, more) for end in ends)), digits + 2)
    return _with_interval(estimate, " points", f"+z.{digits}f")


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "2,000 images", "10 classes"."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def target(exclusive: bool) -> str:
    """What one of the targets is called."""
    return "class" if exclusive else "attribute"


def targets(exclusive: bool) -> str:
    """What they are called together."""
    return "classes" if exclusive else "attributes"


def head(name: str, exclusive: bool = False) -> str:
    """How a sentence calls a head."""
    return predictions.title(name, exclusive)


def verb(subject: str, plural: str = "are", singular: str = "is") -> str:
    """The form that goes with a subject: heads are, a head is."""
    return plural if subject.endswith("s") else singular


def plain(name: str) -> str:
    """A target's name as a sentence has it: "Mouth Slightly Open"."""
    return name.replace("_", " ")


def names(some: Iterable[str], most: int = 4) -> str:
    """Of targets: "Bangs, Big Nose and 3 others"."""
    return verdicts.listed(map(plain, some), most)


def begun(text: str) -> str:
    """As a sentence begins: "Grad-CAM" stays as it is, which `str.capitalize` would spoil."""
    return text[:1].upper() + text[1:]


def unknown(counts: list[int], images: int, exclusive: bool) -> str:
    """How many labels of K targets are not known, one sentence; "" where all are."""
    if exclusive:
        counts = counts[:1]  # an image's class is known, or it is not
    number, total = sum(counts), images * len(counts)
    share = f"{number:,} of {total:,} {'images' if exclusive else 'labels'} ({100 * number / total:.1f} %)"
    opening = f"The class of {share} is not known" if exclusive else f"{share} are not known"
    return f"{opening}; what is not known is in no figure." if number else ""


def _with_interval(estimate, unit, form):
    if estimate.value is None:
        return "undefined"
    value, low, high = (
        None if number is None else f"{100 * number:{form}}" for number in (estimate.value, estimate.low, estimate.high)
    )
    return value + unit if low is None else f"{value}{unit} ({low} to {high})"
