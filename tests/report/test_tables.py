"""How cells read and sort, and what a spreadsheet gets."""

import csv
import io
import math

import pytest

from mam_keras.report import tables
from mam_keras.report.blocks import Column, Table
from mam_keras.statistics import Estimate

PERCENT, NUMBER, COUNT = Column("accuracy", "percent"), Column("loss", "number", 3), Column("images", "integer")
POINTS, TEXT = Column("gain, in points", "percent", 2), Column("attribute")


@pytest.mark.parametrize(
    ("value", "column", "shown", "order"),
    [
        (0.8951, PERCENT, "89.5", 0.8951),
        (-0.0001, PERCENT, "0.0", -0.0001),
        (Estimate(0.5, 0.4, 0.6), PERCENT, "50.0", 0.5),
        (0.0123, POINTS, "+1.23", 0.0123),
        (-0.0123, POINTS, "-1.23", -0.0123),
        (2, NUMBER, "2.000", 2),
        (12345, COUNT, "12,345", 12345),
        ("identity", PERCENT, "identity", None),
        ("", TEXT, "", None),
        (None, PERCENT, "", None),
        (math.nan, NUMBER, "", None),
        (Estimate(None, None, None), PERCENT, "", None),
    ],
)
def test_cells_read_and_sort(value, column, shown, order):
    assert tables.shown(value, column) == shown
    assert tables.order(value) == order


def test_shares_are_in_percent_and_differences_in_points():
    assert [tables.unit(column) for column in (PERCENT, POINTS, NUMBER, TEXT)] == ["%", "", "", ""]


def test_a_spreadsheet_gets_raw_numbers_and_no_formula():
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", 'a "quoted", name\nof two lines', "Straße"]
    rows = [(name, Estimate(1 / 3, None, 0.5), -0.25) for name in names[:-1]]
    rows.append((names[-1], None, Estimate(None, None, None)))
    table = Table("t", "", (Column("=name"), PERCENT, POINTS), tuple(rows))
    header, *cells = csv.reader(io.StringIO(tables.as_csv(table), newline=""))
    estimated = [f"{title}{end}" for title in ("accuracy", "gain, in points") for end in ("", ", low", ", high")]
    assert header == ["'=name", *estimated]
    assert [row[0] for row in cells] == [f"'{name}" for name in names[:5]] + names[5:]
    assert cells[0][1:] == [str(1 / 3), "", "0.5", "-0.25", "", ""]
    assert cells[-1][1:] == [""] * 6
