"""The user's own images: a CSV with a column of paths and one of 0/1 per attribute. Opens no image.

Its parts serve any list of image files with labels: `celeba` reads its own lists with them.
"""

import codecs
import csv
import functools
import hashlib
import io
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mam_keras import config
from mam_keras.data import attribute_positions, nearest
from mam_keras.data.source import SPLITS, Source, Split
from mam_keras.errors import UserError

SPLIT_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}

_CODES = {"0": 0, "1": 1, "-1": 2}
_OUTSIDE = re.compile(r"^/|^[A-Za-z]:|\\|\0|(^|/)\.\.(/|$)")


def load(settings: config.TableData) -> Source:
    """Reads a CSV (UTF-8, a header, one row per image; blank lines are skipped).

    Every column but those of the image, the split and the group is an attribute, coded 1 and 0 or 1 and -1, the same
    throughout the file. Where `settings.attributes` chooses some, the other columns may hold anything. Images are
    called by their paths, which are relative, with `/`, and must not climb out of the folder with `..`; links inside
    the folder are followed, for only the folder's owner can have put them there.

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
    names = [known[position] for position in attribute_positions(settings.attributes, known)]
    collected = Rows(path, line, names)
    image, split, group = (
        header.index(name) if name else None
        for name in (settings.image_column, settings.split_column, settings.group_column)
    )
    columns = [header.index(name) for name in names]
    splits, groups, numbers = [], [], {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, line {line}: expected {len(header)} cells, as in the header. Received: {len(cells)}"
            )
        key = collected.add(line, cells[image], [cells[column] for column in columns])
        if group is not None:
            key = cells[group]
            if not key:
                raise UserError(
                    f"{path}, line {line}, column {header[group]!r}: expected a group. Received: an empty cell"
                )
            groups.append(numbers.setdefault(key, len(numbers)))
        if split is None:
            splits.append(_drawn(key, settings.shares))
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
    notes = ()
    if split is None:
        empty = [name for name, share in zip(SPLITS, settings.shares, strict=True) if share and name not in splits]
        notes = tuple(f"{path}: the draw put none of its {len(splits)} images into {name}" for name in empty)
    groups = None if group is None else np.array(groups)
    return Source(tuple(names), collected.splits(folder, np.array(splits), groups), notes)


def _special_columns(settings, header, where) -> list[str]:
    """The columns that are no attributes, after checking the header; `where` names its line."""
    for name in header:
        if not name or header.count(name) > 1:
            raise UserError(f"{where}: expected every column to have a name of its own. Received: {name!r}")
    keys = {key: getattr(settings, key) for key in ("image_column", "split_column", "group_column")}
    keys = {key: name for key, name in keys.items() if name is not None}
    for key, name in keys.items():
        if name not in header:
            hint = f" (is data.{key} {nearest(name, header)!r}?)" if header else ""
            received = f"{len(header)} other columns" if header else "no header"
            raise UserError(f"{where}: expected a column {name!r}{hint}. Received: {received}")
        if list(keys.values()).count(name) > 1:
            raise UserError(f"data.{key}: expected a column of its own. Received: {name!r}, which has another use too")
    if len(header) == len(keys):
        raise UserError(f"{where}: expected a column for each attribute. Received: {header!r} and no more")
    return list(keys.values())


def _drawn(key: str, shares) -> str:
    """The split of a group or image: its hash is a point in [0, 1), where the shares lie end to end."""
    point = int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48
    return SPLITS[0] if point < shares[0] else SPLITS[1] if point < shares[0] + shares[1] else SPLITS[2]


class Rows:
    """The labelled images of one file, collected row by row, each of which has its line number for messages.

    Attributes:
        lines: dict, image's name -> line, in the order of the rows.
    """

    def __init__(self, path: Path, line: int, attributes: list[str]):
        """`line` is the one the attributes' names stand in."""
        for name in attributes:
            if not name or attributes.count(name) > 1:
                raise UserError(f"{path}, line {line}: expected every attribute to be named once. Received: {name!r}")
        self.lines = {}
        self._path = path
        self._attributes = attributes
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
            self._codes += bytes(map(_CODES.__getitem__, cells))
        except KeyError as error:
            (text,) = error.args
            column = self._attributes[cells.index(text)]
            raise self._error(line, "expected 1 or 0, or 1 or -1", repr(text), column) from None
        self.lines[name] = line
        return name

    def labels(self) -> np.ndarray:
        """bool (n, K). Refuses a file with both 0 and -1, where one of them may mean "unknown"."""
        codes = np.frombuffer(self._codes, np.uint8).reshape(-1, len(self._attributes))
        zero, minus = ((codes == _CODES[text]).ravel() for text in ("0", "-1"))
        if zero.any() and minus.any():
            text, at = max(("0", int(zero.argmax())), ("-1", int(minus.argmax())), key=lambda first: first[1])
            row, column = divmod(at, len(self._attributes))
            line, received = list(self.lines.values())[row], f"{text} after {'-1' if text == '0' else '0'}"
            raise self._error(line, "expected no to be 0, or -1, throughout", received, self._attributes[column])
        return codes == 1

    def splits(self, folder: Path, assignment: np.ndarray, groups: np.ndarray | None) -> dict[str, Split]:
        """The splits of image files.

        Args:
            folder: the images' names are relative to it.
            assignment: str (n,), the split of each row.
            groups: int (n,) or None.

        Raises `UserError` if the folder holds none of the images; single missing ones are left to who reads them.
        """
        names, labels = list(self.lines), self.labels()
        prefix = f"{folder}/"
        stamps = [stamp(prefix + name) for name in names]
        if not any(stamps):
            raise UserError(
                f"{folder}: expected the images that {self._path} lists, such as {names[0]!r}. "
                f"Received: none of {len(names)} is there"
            )
        splits = {}
        for split in SPLITS:
            rows = np.flatnonzero(assignment == split)
            if len(rows):
                ids = [names[row] for row in rows]
                digest = hashlib.sha256(split.encode())
                for row, name in zip(rows, ids, strict=True):
                    digest.update(f"{name}\0{stamps[row]}\n".encode())
                splits[split] = Split(
                    ids=np.array(ids),
                    labels=labels[rows],
                    images=functools.partial(_read, prefix, ids),
                    groups=None if groups is None else groups[rows],
                    fingerprint=digest.hexdigest(),
                )
        return splits

    def _error(self, line: int, expected: str, received: str, column: str | None = None) -> UserError:
        where = f"{self._path}, line {line}" + (f", column {column!r}" if column else "")
        return UserError(f"{where}: {expected}. Received: {received}")


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


def stamp(path: str) -> tuple[int, int] | None:
    # One stat per file: `os.scandir` gives names for nothing, but size and time cost the same call (3 us measured).
    try:
        status = os.stat(path)  # noqa: PTH116 (pathlib is three times slower, on 200,000 files)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _read(prefix: str, names: list[str]):
    from mam_keras.data import images  # TensorFlow takes seconds to import; a mistake in a table is told before

    return images.read_files([prefix + name for name in names])
