"""How numbers and lists read in sentences."""

from mam_keras.report.blocks import Estimate


def percent(estimate: Estimate, digits=1) -> str:
    """A share with its interval: "89.5 % (89.2 to 89.7)"; "undefined" where it has no value."""
    return _with_interval(estimate, " %", f"z.{digits}f")


def points(estimate: Estimate, digits=1) -> str:
    """A difference of shares with its interval, in percentage points: "+0.3 points (-0.1 to +0.6)"."""
    return _with_interval(estimate, " points", f"+z.{digits}f")


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "2,000 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def differs(estimate: Estimate) -> bool:
    """Whether the interval of a difference leaves 0 out."""
    return estimate.low is not None and (estimate.low > 0 or estimate.high < 0)


def _with_interval(estimate, unit, form):
    if estimate.value is None:
        return "undefined"
    value, low, high = (
        None if number is None else f"{100 * number:{form}}" for number in (estimate.value, estimate.low, estimate.high)
    )
    return value + unit if low is None else f"{value}{unit} ({low} to {high})"
