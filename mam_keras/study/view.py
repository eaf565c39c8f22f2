"""What `results.collect` found, by names, as the sections of the page read it. Computes nothing."""

from mam_keras.report import figures, verdicts, wording
from mam_keras.report.blocks import Column, Table
from mam_keras.report.headlines import column
from mam_keras.statistics import Estimate
from mam_keras.study.results import notes
from mam_keras.study.seeds import LEAST

_DASHES = ("-", "--", ":", "-.")  # beyond the colours


class View:
    """A study.

    Attributes:
        found: of `results.collect`.
        exclusive: whether the targets exclude each other.
        noun, several: what one of them is called, and all together.
        runs, done: its runs, in the order of the study's file, and those that are finished.
        groups: those of which a run is finished; runs of one group differ by their seed alone.
        baseline, chosen, unaided: of them, see `results.collect`; None where nothing was chosen.
        shown: these, each once.
        seeded: whether any group has several seeds.
        histories: {run: rows of history.csv}.
        said: {ANALYSIS: {run: sentences of its own report}}.
    """

    def __init__(self, found, histories, said):
        self.exclusive = found["accuracy"] == "top1"
        self.noun, self.several = wording.target(self.exclusive), wording.targets(self.exclusive)
        self.found, self.runs, self.histories, self.said = found, found["runs"], histories, said
        self.done = [one for one in self.runs if one["failed"] is None]
        self.groups = [one for one in found["groups"] if one["seeds"]]
        by_name = {one["group"]: one for one in self.groups}
        self.baseline, self.chosen, self.unaided = (
            by_name.get(found[key]) for key in ("baseline", "chosen", "unaided")
        )
        names = dict.fromkeys(found[key] for key in ("baseline", "chosen", "unaided"))
        self.shown = [by_name[name] for name in names if name is not None]
        self.seeded = any(len(one["seeds"]) > 1 for one in self.groups)

    @property
    def seeds(self):
        """What intervals do not cover, and how many seeds there are: for the note under a table."""
        counts = sorted({len(one["seeds"]) for one in self.groups})
        text = "One training run is one seed: intervals cover the images, not training."
        if self.seeded:
            return f"{text} There are {' or '.join(map(str, counts))} seeds for each setting."
        return f"{text} That one setting beats another needs at least {LEAST} seeds."

    def measures(self, *analyses):
        """The measures of analyses on test, as far as any run has them."""
        return [measure for name in analyses for measure in self.found["measures"].get(name, ())]

    def name(self, one):
        """For a table or a figure: the run, or the group, and what it is in the study."""
        words = notes(one["group"], self.found)
        return one.get("run", one["group"]) + (f" ({', '.join(words)})" if words else "")

    def first(self, group):
        """The first finished run of a group."""
        return next(one for one in self.done if one["group"] == group["group"])

    def found_of(self, group):
        """What has the intervals: a group over its seeds, or its only run over the images."""
        return group if len(group["seeds"]) > 1 else self.first(group)

    def look(self, one):
        """Colour, dash and width of a line of a run or a group; the baseline has the page's ink, the chosen is wide."""
        if one["group"] == self.found["baseline"]:
            return figures.INK, "-", 1.8
        others = [other["group"] for other in self.groups if other is not self.baseline]
        place = others.index(one["group"])
        dash = _DASHES[place // len(figures.COLORS) % len(_DASHES)]
        return figures.COLORS[place % len(figures.COLORS)], dash, 2.2 if one["group"] == self.found["chosen"] else 1.2

    def sentences(self, analysis):
        """What the reports of the shown groups' first runs say, by the name of the run."""
        for run in (self.first(group)["run"] for group in self.shown):
            yield from (f"{run}: {sentence}" for sentence in self.said.get(analysis, {}).get(run, ()))

    def tables(self, name, caption, parts, *further):
        """Measures of every run with intervals over images, and where there are several seeds of every group.

        Args:
            name: of the table, [a-z0-9-].
            caption: what they are measured on.
            parts: [(part of a run, measure)]; of "difference" points are shown.
            further: (Column, {group: text}) to come behind.
        """
        columns = [Column("run"), *(_titled(part, measure) for part, measure in parts), *(one for one, _ in further)]
        rows = [
            (
                self.name(one),
                *(estimate(one[part].get(measure)) for part, measure in parts),
                *(texts[one["group"]] for _, texts in further),
            )
            for one in self.done
        ]
        yield Table(name, f"Every run {caption}, with 95 % intervals.", tuple(columns), tuple(rows), self.seeds)
        if self.seeded:
            yield self._over_seeds(name, caption, [part for part in parts if part[0] != "difference"])

    def _over_seeds(self, name, caption, parts):
        columns, tested = [Column("setting"), Column("seeds", "integer")], [m for part, m in parts if part == "test"]
        columns += [_titled(part, measure) for part, measure in parts]
        columns += [Column("seeds shared with the baseline", "integer")] if tested else []
        columns += [_titled("difference", measure) for measure in tested]
        rows = []
        for one in self.groups:
            row = [self.name(one), len(one["seeds"]), *(estimate(one[part].get(m)) for part, m in parts)]
            row += [one["shared"] or None] if tested else []
            rows.append((*row, *(estimate(one["difference"].get(m)) for m in tested)))
        return Table(
            f"{name}-seeds",
            f"Means over the seeds {caption}, with 95 % intervals over the seeds (Student's t).",
            tuple(columns),
            tuple(rows),
            "Differences are paired by the seed. That one setting beats another needs an interval that leaves out 0 "
            f"over at least {LEAST} seeds."
            if tested
            else "",
        )

    def judged(self, group, measure):
        """Of a group against the baseline over the seeds, without their names: "clearly better over 3 seeds"."""
        seeds, gain = group["shared"], estimate(group["difference"].get(measure))
        if seeds < LEAST or gain is None:
            return f"of {wording.count(seeds, 'seed')}, where it takes {LEAST} to say which is better"
        return f"{verdicts.word(gain)} over {seeds} seeds"

    def beats(self, group, measure):
        """Of a group against the baseline over the seeds, in one sentence: which is better, or why nobody can say."""
        gain, seeds = estimate(group["difference"].get(measure)), group["shared"]
        title = column(measure).title
        if seeds < LEAST or gain is None:
            return f"Which has the higher {title} nobody can say of {wording.count(seeds, 'seed')}: it takes {LEAST}."
        judged = verdicts.verdict(gain).value
        return f"Over {seeds} seeds {group['group']} is {judged} {self.baseline['group']} in {title}."


def estimate(numbers) -> Estimate | None:
    """Of [value, low, high]; None where there is none."""
    return None if numbers is None else Estimate(*numbers)


def _titled(part, measure):
    how = column(measure)
    if part != "difference":
        return how
    points = ", in points" if how.kind == "percent" else ""
    return Column(f"{how.title} less the baseline's{points}", how.kind, how.digits + 1)
