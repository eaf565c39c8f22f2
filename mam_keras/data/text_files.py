"""Text as people save it: its encoding, a CSV's separator, and all mistakes of a file in one line. Knows no column."""

import bisect
import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from mam_keras.data import composed
from mam_keras.errors import UserError

SEPARATORS = (",", ";", "\t")
TOLD = 10  # mistakes of one file; the others are counted


class Mistakes:
    """What is wrong in the lines of one file, told at once: the first ones by line, and how many there are."""

    def __init__(self, path: Path):
        self.path = path
        self._count, self._first = 0, []

    def add(self, line: int, expected: str, received: str, column: str | None = None, times: int = 1) -> None:
        """`times` counts others of the same kind as well, which are not told."""
        self._count += times
        if len(self._first) < TOLD or line < self._first[-1][0]:
            where = f"line {line}" + (f", column {column!r}" if column else "")
            bisect.insort(self._first, (line, f"{where}: {expected}. Received: {received}"))
            del self._first[TOLD:]

    def check(self) -> None:
        """Raises `UserError` if there are any."""
        told = "; ".join(text for _, text in self._first)
        if self._count == 1:
            raise UserError(f"{self.path}, {told}")
        if self._count:
            more = self._count - len(self._first)
            raise UserError(f"{self.path}: {self._count} errors: {told}" + (f"; and {more} more" if more else ""))


def read_text(path: Path, notes: list[str] | None = None) -> str:
    """A file's text: UTF-8 with or without a byte-order mark, UTF-16 with one, or else Windows-1252 or Latin-1.

    That last is said in `notes`, and refused where there are none. A file in which more is UTF-8 than is not is damaged
    rather than Latin-1, and refused as well.

    Raises `UserError` for a file that cannot be read or holds no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a readable file. Received: {error.strerror}") from None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        lossy = data.decode(errors="replace")
        damaged = len(re.findall(r"[^\0-\x7f\ufffd]", lossy)) > lossy.count("\ufffd")
        if wide or damaged or notes is None:
            line = data.count(b"\n", 0, error.start) + 1
            expected, received = "UTF-16" if wide else "UTF-8", f"byte 0x{data[error.start]:02x}"
            raise UserError(f"{path}, line {line}: expected {expected}. Received: {received}") from None
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        notes.append(f"{path}: read as Latin-1 (Windows-1252), for it is not UTF-8")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}, line {line}: expected text, such as a spreadsheet saved as CSV. Received: a byte 0")
    return text


def csv_rows(path: Path, wanted: Collection[str], notes: list[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the rows of a CSV that are not blank, the header first.

    The separator is the one at which the header has most of the `wanted` columns, or else most columns. The header's
    cells are stripped and in Unicode's composed form, the others as they are. `notes` as in `read_text`.
    """
    text = read_text(path, notes)
    first = next(filter(str.strip, io.StringIO(text, newline="")), "")[:100_000]  # less than the csv module's limit

    def header(cells):
        return [composed(cell.strip()) for cell in cells]

    def fit(separator):
        names = header(next(csv.reader([first], delimiter=separator)))
        return len(set(wanted).intersection(names)), len(names)

    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=fit), strict=True)
    begun = False
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num, cells if begun else header(cells)
                begun = True
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: expected comma-separated values. Received: {error}") from None
