"""What `results.collect` found, by names, as the sections of the page read it. Computes nothing."""

from mam_keras.report import figures
from mam_keras.report.blocks import Estimate
from mam_keras.study.results import notes

ONE_SEED = "One training run is one seed: intervals cover the images, not training."
_DASHES = ("-", "--", ":", "-.")  # beyond the colours


class View:
    """A study.

    Attributes:
        found: of `results.collect`.
        runs: its runs, in the order of the study's file.
        done: those that are finished.
        baseline, chosen, unaided: of them, see `results.collect`; None where nothing was chosen.
        shown: these, each once.
        histories: {run: rows of history.csv}.
    """

    def __init__(self, found, histories):
        self.found, self.runs, self.histories = found, found["runs"], histories
        self.done = [one for one in self.runs if one["failed"] is None]
        by_name = {one["run"]: one for one in self.runs}
        self.baseline, self.chosen, self.unaided = (
            by_name.get(found[key]) for key in ("baseline", "chosen", "unaided")
        )
        names = dict.fromkeys(found[key] for key in ("baseline", "chosen", "unaided"))
        self.shown = [by_name[name] for name in names if name is not None]

    def having(self, part):
        """The finished runs that have a part of `results.collect`."""
        return [one for one in self.done if one[part]]

    def name(self, one):
        """For a table or a figure: the run, and what it is in the study."""
        words = notes(one, self.found)
        return one["run"] + (f" ({', '.join(words)})" if words else "")

    def look(self, one):
        """Colour, dash and width of a run's line; the baseline has the page's ink, the chosen one is wide."""
        if one is self.baseline:
            return figures.INK, "-", 1.8
        others = [other for other in self.done if other is not self.baseline]
        place = others.index(one)
        dash = _DASHES[place // len(figures.COLORS) % len(_DASHES)]
        return figures.COLORS[place % len(figures.COLORS)], dash, 2.2 if one is self.chosen else 1.2


def estimate(numbers) -> Estimate | None:
    """Of [value, low, high]; None where there is none."""
    return None if numbers is None else Estimate(*numbers)
