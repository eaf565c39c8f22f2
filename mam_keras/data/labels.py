"""What the cells of a list of labelled images mean: yes, no or not known, and which columns hold something else."""

from collections.abc import Callable

import numpy as np

from mam_keras.data.text_files import TOLD, Mistakes
from mam_keras.errors import UserError

ZERO, YES, MINUS, NO, UNKNOWN, TEXT = range(6)  # no is ZERO or MINUS, or NO where it cannot be taken for "unknown"

_NUMBERS = {0.0: ZERO, 1.0: YES, -1.0: MINUS}
_WORDS = dict.fromkeys(("true", "yes", "t", "y"), YES) | dict.fromkeys(("false", "no", "f", "n"), NO)
_WORDS |= dict.fromkeys(("", "?", "nan", "na", "null"), UNKNOWN)


class Meanings(dict):
    """Cell -> what it means, in any case and with spaces around; each cell is looked at once."""

    MOST = 10_000  # are kept
    EXPECTED = "yes or no, 1 or 0"

    def __missing__(self, cell: str) -> int:
        meaning = self.of(cell.strip().casefold())
        if len(self) < self.MOST:
            self[cell] = meaning
        return meaning

    def of(self, text: str) -> int:
        """1 or 0, 1 or -1 (1.0 and 1,0 too), true or false, yes or no; empty, ?, nan, NA and null are not known."""
        if text in _WORDS:
            return _WORDS[text]
        try:
            return _NUMBERS.get(float(text.replace(",", ".")), TEXT)
        except ValueError:
            return TEXT


class StrictMeanings(Meanings):
    """1 and 0, or 1 and -1, and nothing else."""

    EXPECTED = "1 or 0, or 1 or -1"

    def of(self, text):
        return {"0": ZERO, "1": YES, "-1": MINUS}.get(text, TEXT)


def is_unknown(text: str) -> bool:
    """Whether a class's name says that the class is not known."""
    return _WORDS.get(text.casefold()) == UNKNOWN


class Rows:
    """The labelled images of one file, collected row by row, each of which has its line number for messages.

    Attributes:
        attributes: K columns' names.
        lines: dict, image's name -> line, in the order of the rows.
        mistakes: what was wrong with rows; whoever reads them checks it before asking for labels.
    """

    def __init__(
        self, mistakes: Mistakes, line: int, attributes: list[str], read_name: Callable[[str], str], meanings: Meanings
    ):
        """`line` is the one the attributes' names stand in, `read_name` as of `file_names.reader`."""
        for name in attributes:
            if not name or attributes.count(name) > 1:
                raise UserError(
                    f"{mistakes.path}, line {line}: expected every attribute to be named once. Received: {name!r}"
                )
        self.attributes, self.lines, self.mistakes = attributes, {}, mistakes
        self._read_name, self._meanings = read_name, meanings
        self._codes, self._numbers = bytearray(), []
        self._texts = [[] for _ in attributes]  # the first of each column: line, text

    def add(self, line: int, name: str, cells: list[str]) -> str:
        """Takes one row and returns the image's name, as `read_name` reads it where it can."""
        if len(cells) != len(self.attributes):
            self.mistakes.add(line, f"expected {len(self.attributes)} labels", str(len(cells)))
            return name
        row = bytes(map(self._meanings.__getitem__, cells))
        self._codes += row
        self._numbers.append(line)
        if TEXT in row:
            for column, meaning in enumerate(row):
                if meaning == TEXT and len(self._texts[column]) < TOLD:
                    self._texts[column].append((line, cells[column]))
        try:
            name = self._read_name(name)
        except ValueError as error:
            self.mistakes.add(line, str(error), repr(name))
            return name
        if name in self.lines:
            self.mistakes.add(line, "expected every image once", f"{name!r}, also in line {self.lines[name]}")
        self.lines[name] = line
        return name

    @property
    def texts(self) -> np.ndarray:
        """bool (K,): whether a column holds something else than labels in most of its cells that are not empty."""
        codes = self._array()
        return 2 * np.count_nonzero(codes == TEXT, axis=0) > np.count_nonzero(codes != UNKNOWN, axis=0)

    def check(self, columns: np.ndarray) -> None:
        """Raises `UserError` for all mistakes, those of labels in `columns`, int (k,), among them."""
        codes = self._array()[:, columns]
        for column, count in zip(columns.tolist(), np.count_nonzero(codes == TEXT, axis=0).tolist(), strict=True):
            first, name = self._texts[column], self.attributes[column]
            for position, (line, text) in enumerate(first):
                times = 1 if position else 1 + count - len(first)
                self.mistakes.add(line, f"expected {self._meanings.EXPECTED}", repr(text.strip()), name, times)
        zero, minus = (codes == ZERO).ravel(), (codes == MINUS).ravel()
        if zero.any() and minus.any():  # one of them may mean "unknown"
            at, text, after = max((int(zero.argmax()), "0", "-1"), (int(minus.argmax()), "-1", "0"))
            row, column = divmod(at, len(columns))
            expected, name = "expected no to be 0, or -1, throughout", self.attributes[columns[column]]
            self.mistakes.add(self._numbers[row], expected, f"{text} after {after}", name)
        self.mistakes.check()

    def labels(self) -> np.ndarray:
        """bool (n, K)."""
        return self._array() == YES

    def known(self) -> np.ndarray:
        """bool (n, K)."""
        return self._array() != UNKNOWN

    def _array(self):
        return np.frombuffer(self._codes, np.uint8).reshape(len(self._numbers), len(self.attributes))
