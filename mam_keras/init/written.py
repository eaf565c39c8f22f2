"""A suggestion as YAML with its reasons, and what was seen as lines for a terminal. Knows how both read, not why."""

from collections.abc import Iterator

import numpy as np

from mam_keras.data import some
from mam_keras.init.seen import MOST_READ, Seen, few
from mam_keras.init.suggestion import RARE, Setting, kept, minutes
from mam_keras.settings import flow

_SHOWN = 12  # classes with their counts
_WIDTH, _LONGEST = 36, 120  # of a line before its comment, and with it


def to_yaml(settings: list[Setting], seen: Seen, file: str) -> str:
    """The configuration's text: sections in order, each setting with its reason."""
    lines = [
        f"# Written by mam-keras init for {_one_line(seen.section.get('file') or seen.section['directory'])}:",
        f"# {seen.images:,} images, {len(seen.counts)} {_what(seen)}. A first run; every line may be changed.",
        "#",
        f"#     mam-keras fit {file}",
        f"#     mam-keras report runs/{settings[0].value}",
    ]
    open_section = None
    for key, value, why in settings:
        section, _, last = key.rpartition(".")
        if section and section != open_section:
            lines.append(f"{section}:")
        open_section = section
        indent = "  " if section else ""
        text, why = f"{indent}{last}: {flow(value)}", _one_line(why)
        if why and len(beside := f"{text:{_WIDTH}}  # {why}") <= _LONGEST:
            text = beside
        elif why:
            text = f"{indent}# {why}:\n{text}"
        lines.append(text)
    return "\n".join(lines) + "\n"


def lines(seen: Seen) -> Iterator[str]:
    """What was seen, one finding a line."""
    counts, images = seen.counts, seen.images
    splits = ", ".join(f"{name} {len(split):,}" for name, split in seen.source.splits.items())
    yield f"{images:,} images, {len(counts)} {_what(seen)}; {splits}"
    told = [f"{_one_line(name)} {count:,} ({count / images:.0%})" for name, count in list(counts.items())[:_SHOWN]]
    yield f"how often: {', '.join(told)}" + (f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else "")
    if seen.source.targets.exclusive:
        _, rare, none = kept(seen)
        if rare:
            yield f"rare, under {RARE} images, left out: {some([f'{name} {counts[name]}' for name in rare], 8)}"
        if none:
            yield f"no class by their names, left out: {some([f'{name} {counts[name]}' for name in none], 8)}"
    elif rare := few(counts, RARE):
        yield f"rare, under {RARE} images, of which figures will say little: {some(rare, 8)}"
    yield f"labels that are not known: {seen.unknown:,}" if seen.unknown else "all labels are known"
    groups = [split.groups for split in seen.source.splits.values() if split.groups is not None]
    if groups:
        _, times = np.unique(np.concatenate(groups), return_counts=True)
        yield f"{len(times):,} different {seen.section['group_column']}, of one at most {times.max():,} images"
    if len(seen.sizes):
        low, middle, high = (np.percentile(seen.sizes.min(axis=1), q, method="nearest") for q in (0, 50, 100))
        wide, tall = (np.count_nonzero(seen.sizes @ [1, -1] * sign > 0) for sign in (1, -1))
        yield (
            f"shorter edges of {len(seen.sizes):,} images: {low} to {high} pixels, half of them {middle} or more; "
            f"{wide:,} wide, {tall:,} tall, {len(seen.sizes) - wide - tall:,} square"
        )
    if seen.unreadable:
        yield f"not there, or no image, of those looked at: {len(seen.unreadable)}: {some(list(seen.unreadable))}"
    yield _doubles(seen)
    yield from seen.source.notes


def ending(seen: Seen) -> str:
    """How long the first run will be."""
    return f"about {minutes(seen)} of training on two cores"


def _doubles(seen):
    if seen.images > MOST_READ:
        return f"more than {MOST_READ:,} images, among which none was looked for that is there twice"
    if not seen.doubles:
        return "no image is there twice"
    more = sum(len(names) - 1 for names in seen.doubles)
    text = f"the same bytes again: {more:,} images, such as {some(list(seen.doubles[0]), 2)}"
    text += f"; {seen.conflicting} of {len(seen.doubles)} with other labels" if seen.conflicting else ""
    return text + (f"; {seen.divided} in more than one split, which makes test easier" if seen.divided else "")


def _what(seen):
    return "classes" if seen.source.targets.exclusive else "attributes"


def _one_line(text):
    return " ".join(str(text).split())
