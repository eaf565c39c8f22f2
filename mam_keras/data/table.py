"""The user's own images: a CSV with a column of paths and one of labels per attribute, or one of classes.

Opens no image. Its parts serve any list of image files with labels: `celeba` and `folders` use them.
"""

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from mam_keras.data import attribute_positions, composed, file_names, nearest, some
from mam_keras.data.labels import Meanings, Rows, is_unknown
from mam_keras.data.source import SPLITS, Data, Source, Split, Targets, file_digests
from mam_keras.data.text_files import Mistakes, csv_rows
from mam_keras.errors import UserError
from mam_keras.settings import Share, Text

SPLIT_NAMES = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(("test", "testing"), "test")
SPLIT_NAMES |= dict.fromkeys(("dev", "val", "valid", "validation"), "validation")


class Settings(Data):
    """The user's own: a CSV with a column of image paths and one of labels per attribute, or one of classes."""

    TITLE: ClassVar[str] = "the user's own table of images"
    PLACES: ClassVar[tuple[str, ...]] = (*Data.PLACES, "file", "directory")

    source: Literal["table"]
    file: Text
    directory: Text | None = None  # image paths are relative to this; to the CSV's own folder when left out
    image_column: Text = "image"
    image_template: Text = "{}"  # what a path is made of, "images/{}.jpg" where the table has the bare names
    class_column: Text | None = None  # what is in the picture, as text: one of exclusive classes, no attributes
    exclusive: bool = True  # of a class_column; false: one attribute per class, each answered by itself
    split_column: Text | None = None  # train, validation or test; without it images are divided by `shares`
    group_column: Text | None = None  # who is in the picture: no group is divided, and intervals resample groups
    shares: tuple[Share, Share, Share] = (0.8, 0.1, 0.1)  # train, validation, test

    def require_possible(self):
        super().require_possible()
        file_names.check_template(self.image_template)
        if self.split_column is None:
            require_whole(self.shares)


def require_whole(shares: tuple[float, float, float]) -> None:
    """Raises `ValueError` where shares of train, validation and test are not all of the images."""
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"data.shares: expected three shares that add up to 1. Received: {shares}")


def load(settings: Settings) -> Source:
    """Reads a CSV (`text_files`: a header, one row per image; blank lines are skipped).

    Every column but those of the image, the split and the group is an attribute (`labels.Meanings`), unless most of its
    cells are no labels: it is left out then, which `notes` say. `settings.attributes` chooses some of all columns. With
    a `class_column` its texts are exclusive classes instead, in the order of the alphabet or as `settings.attributes`
    chooses them; rows of classes not chosen and all further columns are left out. Where classes are not `exclusive`
    each is an attribute, and no row is left out. Images are called by their paths (`file_names.reader`); links inside
    the folder are followed, for only the folder's owner can have put them there.

    Splits are read from `split_column` (`SPLIT_NAMES`) or else drawn: a hash of the group, or of the path where there
    is no group, decides by `shares`. So a split does not change when rows are added or moved, and no group is divided;
    shares are met on average.

    Raises `UserError` naming the file, the lines and the columns for whatever cannot be read or be meant.
    """
    path, notes = Path(settings.file), []
    folder = path.parent if settings.directory is None else Path(settings.directory)
    columns = {
        key: composed(name)
        for key in ("image_column", "class_column", "split_column", "group_column")
        if (name := getattr(settings, key)) is not None
    }
    rows = csv_rows(path, columns.values(), notes)
    line, header = next(rows, (1, []))
    _check_header(header, columns, f"{path}, line {line}")
    known = [name for name in header if name and name not in columns.values()]
    image, category, split, group = (
        header.index(columns[key]) if key in columns else None
        for key in ("image_column", "class_column", "split_column", "group_column")
    )
    names = [known[at] for at in attribute_positions(settings.attributes, known)] if category is None else []
    read_name, mistakes = file_names.reader(folder, settings.image_template), Mistakes(path)
    collected = Rows(mistakes, line, names, read_name, Meanings())
    places = [header.index(name) for name in names]
    splits, groups, classes, numbers = [], [], [], {}
    for line, cells in rows:
        if len(cells) != len(header):
            mistakes.add(line, f"expected {len(header)} cells, as in the header", str(len(cells)))
            continue
        key = collected.add(line, cells[image], [cells[place] for place in places])
        if category is not None:
            classes.append(composed(cells[category].strip()))
        if group is not None:
            key = composed(cells[group].strip())
            if not key:
                mistakes.add(line, "expected a group", "an empty cell", header[group])
            groups.append(numbers.setdefault(key, len(numbers)))
        if split is None:
            splits.append(drawn(key, settings.shares))
        else:
            splits.append(SPLIT_NAMES.get(cells[split].strip().lower()))
            if splits[-1] is None:
                mistakes.add(line, "expected train, validation or test", repr(cells[split].strip()), header[split])
    chosen = np.flatnonzero(~collected.texts) if settings.attributes is None else np.arange(len(names))
    collected.check(chosen)
    if category is None and not len(chosen):
        raise UserError(f"{path}: expected a column of labels for each attribute. Received: none, but {some(names)}")
    if not splits:
        raise UserError(f"{path}: expected a row for each image. Received: none")
    if split is None:
        empty = [name for name, share in zip(SPLITS, settings.shares, strict=True) if share and name not in splits]
        notes += [f"{path}: the draw put none of its {len(splits)} images into {name}" for name in empty]
    if "" in header:
        notes.append(f"{path}: left out a column without a name")
    targets, labels, known_labels, splits = (
        Targets(tuple(names[at] for at in chosen)),
        collected.labels()[:, chosen],
        collected.known()[:, chosen],
        np.array(splits),
    )
    if category is not None:
        targets, labels, known_labels = _classes(settings, classes)
        if targets.exclusive:
            splits[~labels.any(axis=1) & known_labels.any(axis=1)] = ""
        notes += _left_out(path, settings, known, classes, targets)
    elif texts := [name for at, name in enumerate(names) if at not in chosen]:
        notes.append(f"{path}: left out the columns that do not hold labels: {some(texts)}")
    found = file_splits(
        folder, path, list(collected.lines), splits, labels, known_labels, None if group is None else np.array(groups)
    )
    return Source(targets, found, tuple(notes))


def _classes(settings, texts) -> tuple[Targets, np.ndarray, np.ndarray]:
    """The targets of a column of n texts, and labels and known, bool (n, K)."""
    held = sorted(text for text in set(texts) if not is_unknown(text))
    names = tuple(held[position] for position in attribute_positions(settings.attributes, held))
    number = {name: position for position, name in enumerate(names)}
    labels = one_hot(np.array([number.get(text, -1) for text in texts], int), len(names))
    known = np.array([not is_unknown(text) for text in texts], bool)
    return Targets(names, settings.exclusive), labels, np.repeat(known[:, None], len(names), axis=1)


def _left_out(path, settings, columns, texts, targets) -> Iterator[str]:
    """What a column of classes leaves out: notes."""
    if columns:
        yield f"{path}: left out the columns beside {settings.class_column}: {some(columns)}"
    counts = Counter(text for text in texts if text not in targets.names and not is_unknown(text))
    if counts and targets.exclusive:
        yield f"{path}: left out {counts.total()} images of classes that are not chosen: {some(sorted(counts))}"


def _check_header(header, columns, where) -> None:
    """Checks the names of a header, and those of the special `columns`, {key of data: name}; `where` names its line."""
    for at, name in enumerate(header):
        index = not name and at in (0, len(header) - 1)  # as pandas writes, or a separator at the end of all lines
        if (not name and not index) or header.count(name) > 1:
            raise UserError(f"{where}: expected every column to have a name of its own. Received: {name!r}")
    for key, name in columns.items():
        if len(header) == 1 and name not in header:
            expected = f"columns divided by commas, semicolons or tabs, {name!r} among them"
            raise UserError(f"{where}: expected {expected}. Received: {header[0][:100]!r}")
        if name not in header:
            hint = f" (is data.{key} {nearest(name, header)!r}?)" if header else ""
            received = f"{len(header)} other columns" if header else "no header"
            raise UserError(f"{where}: expected a column {name!r}{hint}. Received: {received}")
        if list(columns.values()).count(name) > 1:
            raise UserError(f"data.{key}: expected a column of its own. Received: {name!r}, which has another use too")
    if "class_column" not in columns and not set(header).difference(columns.values(), [""]):
        raise UserError(f"{where}: expected a column for each attribute. Received: {header!r} and no more")


def drawn(key: str, shares: Sequence[float]) -> str:
    """The split of a group or image: its hash is a point in [0, 1), where the shares lie end to end."""
    at = point(key)
    return SPLITS[0] if at < shares[0] else SPLITS[1] if at < shares[0] + shares[1] else SPLITS[2]


def point(key: str) -> float:
    """A hash of the text in [0, 1): the same in every process."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48


def one_hot(numbers: np.ndarray, count: int) -> np.ndarray:
    """int (n,) -> bool (n, count), True at each number; a row of False for -1."""
    return numbers[:, None] == np.arange(count)


def file_splits(
    folder: Path,
    listed_in: Path,
    names: list[str],
    assignment: np.ndarray,
    labels: np.ndarray,
    known: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, Split]:
    """The splits of n image files.

    Args:
        folder: the images' names are relative to it.
        listed_in: what lists the images, for messages.
        names: of the images.
        assignment: str (n,), the split of each image; images with another word are in none.
        labels, known, groups: as in `Split`, of all n images.

    Raises `UserError` if the folder holds none of the images; single missing ones are left to who reads them.
    """
    files = file_names.on_disk(folder, names)
    if not any(map(os.path.exists, files)):
        template = file_names.template_for(folder, names[0])
        hint = f" (is data.image_template {template!r}?)" if template else ""
        raise UserError(
            f"{folder}: expected the images that {listed_in} lists, such as {names[0]!r}{hint}. "
            f"Received: none of {len(names)} is there"
        )
    if twice := [file for file, times in Counter(files).items() if times > 1]:
        raise UserError(f"{listed_in}: expected every image once. Received: {twice[0]} in two forms of Unicode")
    splits = {}
    for split in SPLITS:
        rows = np.flatnonzero(assignment == split)
        if len(rows):
            paths = [files[row] for row in rows]
            splits[split] = Split(
                ids=np.array([names[row] for row in rows]),
                labels=labels[rows],
                images=functools.partial(_read, paths),
                groups=None if groups is None else groups[rows],
                contents=functools.cache(functools.partial(file_digests, paths)),
                known=None if known is None else known[rows],
            )
    return splits


def _read(paths: list[str]):
    from mam_keras.data import images  # TensorFlow takes seconds to import; a mistake in a table is told before

    return images.read_files(paths)
