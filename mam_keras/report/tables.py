"""How a table's cells read and sort, and the same table as CSV. Knows no HTML."""

import csv
import io
import math

from mam_keras.report.blocks import Column, Table
from mam_keras.statistics import Estimate

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a text begins that a spreadsheet would compute


def unit(column: Column) -> str:
    """What stands behind a column's title: "%", but for differences, whose titles say that they are points."""
    return "%" if column.kind == "percent" and not _difference(column) else ""


def shown(value, column: Column) -> str:
    """A cell's text; "" where it is undefined. Percent are shown without their sign (see `unit`)."""
    if isinstance(value, str):
        return value
    number = _number(value)
    if number is None:
        return ""
    if column.kind == "integer":
        return f"{number:,.0f}"
    if column.kind == "significant":
        return f"{number:.{column.digits}g}"
    scale = 100 if column.kind == "percent" else 1
    return f"{scale * number:{'+' if _difference(column) else ''}z.{column.digits}f}"


def order(value) -> float | None:
    """What a cell is sorted by; None for a text, and where it is undefined."""
    return None if isinstance(value, str) else _number(value)


def as_csv(table: Table) -> str:
    """Numbers as they are, shares from 0 to 1; an estimate in three columns; nothing where undefined.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    estimated = [any(isinstance(row[place], Estimate) for row in table.rows) for place in range(len(table.columns))]
    header, rows = [], []
    for column, three in zip(table.columns, estimated, strict=True):
        header += [column.title, *([f"{column.title}, low", f"{column.title}, high"] if three else [])]
    for row in table.rows:
        cells = []
        for value, three in zip(row, estimated, strict=True):
            ends = (value.low, value.high) if isinstance(value, Estimate) else (None, None)
            cells += [_raw(value), *(map(_raw, ends) if three else [])]
        rows.append(cells)
    file = io.StringIO()
    csv.writer(file).writerows([map(_raw, header), *rows])
    return file.getvalue()


def _difference(column):
    return column.title.endswith("points")


def _number(value):
    """A finite number, of an estimate its value; None for anything undefined."""
    value = value.value if isinstance(value, Estimate) else value
    return value if value is not None and math.isfinite(value) else None


def _raw(value):
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    number = _number(value)
    return "" if number is None else number
