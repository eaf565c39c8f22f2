"""The user's own images: a CSV with a column of paths and one of 0/1 per attribute, or one of classes. Opens no image.

Its parts serve any list of image files with labels: `celeba` and `folders` use them.
"""

import codecs
import csv
import functools
import hashlib
import io
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from mam_keras.data import attribute_positions, nearest, some
from mam_keras.data.source import SPLITS, Data, Source, Split, Targets, file_digests
from mam_keras.errors import UserError
from mam_keras.settings import Share, Text

SPLIT_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}

_UNKNOWN = ("", "?", "nan", "NaN", "NAN")
_CODES = {"0": 0, "1": 1, "-1": 2}
_CODES_OR_UNKNOWN = _CODES | dict.fromkeys(_UNKNOWN, 3)
_OUTSIDE = re.compile(r"^/|^[A-Za-z]:|\\|\0|(^|/)\.\.(/|$)")


class Settings(Data):
    """The user's own: a CSV with a column of image paths and one of 0/1 per attribute, or one of classes."""

    TITLE: ClassVar[str] = "the user's own table of images"
    PLACES: ClassVar[tuple[str, ...]] = (*Data.PLACES, "file", "directory")

    source: Literal["table"]
    file: Text
    directory: Text | None = None  # image paths are relative to this; to the CSV's own folder when left out
    image_column: Text = "image"
    class_column: Text | None = None  # what is in the picture, as text: one of exclusive classes, no attributes
    split_column: Text | None = None  # train, validation or test; without it images are divided by `shares`
    group_column: Text | None = None  # who is in the picture: no group is divided, and intervals resample groups
    shares: tuple[Share, Share, Share] = (0.8, 0.1, 0.1)  # train, validation, test

    def require_possible(self):
        super().require_possible()
        if self.split_column is None:
            require_whole(self.shares)


def require_whole(shares: tuple[float, float, float]) -> None:
    """Raises `ValueError` where shares of train, validation and test are not all of the images."""
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"data.shares: expected three shares that add up to 1. Received: {shares}")


def load(settings: Settings) -> Source:
    """Reads a CSV (UTF-8, a header, one row per image; blank lines are skipped).

    Every column but those of the image, the split and the group is an attribute, coded 1 and 0 or 1 and -1, the same
    throughout the file. Where `settings.attributes` chooses some, the other columns may hold anything. With a
    `class_column` its texts are exclusive classes instead, in the order of the alphabet or as `settings.attributes`
    chooses them; rows of classes not chosen and all further columns are left out. A label that is empty, `nan` or `?`
    is not known. Images are called by their paths, which are relative, with `/`, and must not climb out of the folder
    with `..`; links inside the folder are followed, for only the folder's owner can have put them there.

    Splits are read from `split_column` (train; validation, valid or val; test) or else drawn: a hash of the group, or
    of the path where there is no group, decides by `shares`. So a split does not change when rows are added or moved,
    and no group is divided; shares are met on average.

    Raises `UserError` naming the file, the line and the column for whatever cannot be read or be meant.
    """
    path = Path(settings.file)
    folder = path.parent if settings.directory is None else Path(settings.directory)
    rows = csv_rows(path)
    line, header = next(rows, (1, []))
    special = _special_columns(settings, header, f"{path}, line {line}")
    known = [name for name in header if name not in special]
    image, split, group, category = (
        header.index(name) if name else None
        for name in (settings.image_column, settings.split_column, settings.group_column, settings.class_column)
    )
    names = [known[at] for at in attribute_positions(settings.attributes, known)] if category is None else []
    collected = Rows(path, line, names, _CODES_OR_UNKNOWN)
    columns = [header.index(name) for name in names]
    splits, groups, classes, numbers = [], [], [], {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, line {line}: expected {len(header)} cells, as in the header. Received: {len(cells)}"
            )
        key = collected.add(line, cells[image], [cells[column] for column in columns])
        if category is not None:
            classes.append(cells[category])
        if group is not None:
            key = cells[group]
            if not key:
                raise UserError(
                    f"{path}, line {line}, column {header[group]!r}: expected a group. Received: an empty cell"
                )
            groups.append(numbers.setdefault(key, len(numbers)))
        if split is None:
            splits.append(drawn(key, settings.shares))
        elif (name := SPLIT_NAMES.get(cells[split].lower())) is None:
            raise UserError(
                f"{path}, line {line}, column {header[split]!r}: expected train, validation or test. "
                f"Received: {cells[split]!r}"
            )
        else:
            splits.append(name)
    if "train" not in splits:
        where = f"{path}, column {header[split]!r}" if split is not None else f"{path}: data.shares"
        raise UserError(f"{where}: expected at least one training image. Received: none among {len(splits)} rows")
    notes = []
    if split is None:
        empty = [name for name, share in zip(SPLITS, settings.shares, strict=True) if share and name not in splits]
        notes += [f"{path}: the draw put none of its {len(splits)} images into {name}" for name in empty]
    targets, labels, known_labels, splits = (
        Targets(tuple(names)),
        collected.labels(),
        collected.known(),
        np.array(splits),
    )
    if category is not None:
        targets, labels, known_labels = _classes(settings, classes)
        splits[~labels.any(axis=1) & known_labels.any(axis=1)] = ""
        notes += _left_out(path, settings, known, classes, targets.names)
    found = file_splits(
        folder, path, list(collected.lines), splits, labels, known_labels, None if group is None else np.array(groups)
    )
    return Source(targets, found, tuple(notes))


def _classes(settings, texts) -> tuple[Targets, np.ndarray, np.ndarray]:
    """The exclusive targets of a column of n texts, and labels and known, bool (n, K)."""
    held = sorted(set(texts).difference(_UNKNOWN))
    names = tuple(held[position] for position in attribute_positions(settings.attributes, held))
    number = {name: position for position, name in enumerate(names)}
    labels = one_hot(np.array([number.get(text, -1) for text in texts]), len(names))
    known = np.array([text not in _UNKNOWN for text in texts])
    return Targets(names, exclusive=True), labels, np.repeat(known[:, None], len(names), axis=1)


def _left_out(path, settings, columns, texts, names) -> Iterator[str]:
    """What a column of classes leaves out: notes."""
    if columns:
        yield f"{path}: left out the columns beside {settings.class_column}: {some(columns)}"
    counts = Counter(texts)
    others = {text: count for text, count in sorted(counts.items()) if text not in (*names, *_UNKNOWN)}
    if others:
        yield f"{path}: left out {sum(others.values())} images of classes that are not chosen: {some(list(others))}"


def _special_columns(settings, header, where) -> list[str]:
    """The columns that are no attributes, after checking the header; `where` names its line."""
    for name in header:
        if not name or header.count(name) > 1:
            raise UserError(f"{where}: expected every column to have a name of its own. Received: {name!r}")
    keys = {key: getattr(settings, key) for key in ("image_column", "class_column", "split_column", "group_column")}
    keys = {key: name for key, name in keys.items() if name is not None}
    for key, name in keys.items():
        if name not in header:
            hint = f" (is data.{key} {nearest(name, header)!r}?)" if header else ""
            received = f"{len(header)} other columns" if header else "no header"
            raise UserError(f"{where}: expected a column {name!r}{hint}. Received: {received}")
        if list(keys.values()).count(name) > 1:
            raise UserError(f"data.{key}: expected a column of its own. Received: {name!r}, which has another use too")
    if len(header) == len(keys) and settings.class_column is None:
        raise UserError(f"{where}: expected a column for each attribute. Received: {header!r} and no more")
    return list(keys.values())


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


class Rows:
    """The labelled images of one file, collected row by row, each of which has its line number for messages.

    Attributes:
        lines: dict, image's name -> line, in the order of the rows.
    """

    def __init__(self, path: Path, line: int, attributes: list[str], codes: dict[str, int] = _CODES):
        """`line` is the one the attributes' names stand in, `codes` what labels may be (see `labels`, `known`)."""
        for name in attributes:
            if not name or attributes.count(name) > 1:
                raise UserError(f"{path}, line {line}: expected every attribute to be named once. Received: {name!r}")
        self.lines = {}
        self._path = path
        self._attributes = attributes
        self._meaning = codes
        self._codes = bytearray()

    def add(self, line: int, name: str, cells: list[str]) -> str:
        """Takes one row and returns the image's name with `.` and doubled `/` removed."""
        if not name or _OUTSIDE.search(name):
            raise self._error(line, "expected an image's path, relative, with '/' and without '..'", repr(name))
        name = posixpath.normpath(name)
        if name in self.lines:
            raise self._error(line, "expected every image once", f"{name!r}, also in line {self.lines[name]}")
        if len(cells) != len(self._attributes):
            raise self._error(line, f"expected {len(self._attributes)} labels", str(len(cells)))
        try:
            self._codes += bytes(map(self._meaning.__getitem__, cells))
        except KeyError as error:
            (text,) = error.args
            column = self._attributes[cells.index(text)]
            raise self._error(line, "expected 1 or 0, or 1 or -1", repr(text), column) from None
        self.lines[name] = line
        return name

    def labels(self) -> np.ndarray:
        """bool (n, K). Refuses a file with both 0 and -1, where one of them may mean "unknown"."""
        codes = self._array()
        zero, minus = ((codes == _CODES[text]).ravel() for text in ("0", "-1"))
        if zero.any() and minus.any():
            text, at = max(("0", int(zero.argmax())), ("-1", int(minus.argmax())), key=lambda first: first[1])
            row, column = divmod(at, len(self._attributes))
            line, received = list(self.lines.values())[row], f"{text} after {'-1' if text == '0' else '0'}"
            raise self._error(line, "expected no to be 0, or -1, throughout", received, self._attributes[column])
        return codes == _CODES["1"]

    def known(self) -> np.ndarray:
        """bool (n, K)."""
        return self._array() != _CODES_OR_UNKNOWN["?"]

    def _array(self):
        return np.frombuffer(self._codes, np.uint8).reshape(len(self.lines), len(self._attributes))

    def _error(self, line: int, expected: str, received: str, column: str | None = None) -> UserError:
        where = f"{self._path}, line {line}" + (f", column {column!r}" if column else "")
        return UserError(f"{where}: {expected}. Received: {received}")


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
    prefix = f"{folder}/"
    if not any(os.path.exists(prefix + name) for name in names):  # noqa: PTH110 (pathlib is slower, on 200,000 files)
        raise UserError(
            f"{folder}: expected the images that {listed_in} lists, such as {names[0]!r}. "
            f"Received: none of {len(names)} is there"
        )
    splits = {}
    for split in SPLITS:
        rows = np.flatnonzero(assignment == split)
        if len(rows):
            ids = [names[row] for row in rows]
            splits[split] = Split(
                ids=np.array(ids),
                labels=labels[rows],
                images=functools.partial(_read, prefix, ids),
                groups=None if groups is None else groups[rows],
                contents=functools.partial(_contents, prefix, ids),
                known=None if known is None else known[rows],
            )
    return splits


def read_text(path: Path) -> str:
    """A file's UTF-8 text, less a byte-order mark."""
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UserError(f"{path}: expected a readable file. Received: {error.strerror}") from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: expected UTF-8. Received: byte 0x{data[error.start]:02x}") from None


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the rows of a CSV that are not blank, the header first; spaces around cells do not count."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for cells in reader:
            cells = list(map(str.strip, cells))
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: expected comma-separated values. Received: {error}") from None


def _contents(prefix: str, names: list[str]) -> np.ndarray:
    return file_digests(prefix + name for name in names)


def _read(prefix: str, names: list[str]):
    from mam_keras.data import images  # TensorFlow takes seconds to import; a mistake in a table is told before

    return images.read_files([prefix + name for name in names])
