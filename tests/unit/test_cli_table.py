"""Tables of the command line fit their line, and hold no character that steers a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbactors.cli import table

SHAPES = st.integers(1, 6).flatmap(
    lambda columns: st.lists(st.lists(st.text(max_size=30), min_size=columns, max_size=columns), min_size=1, max_size=5)
)


@given(SHAPES, st.integers(20, 200), st.integers(0, 1))
def test_a_table_fits_its_line(rows: list[list[str]], width: int, kept: int) -> None:
    lines = table.lines(rows, width, kept)
    first = max(len(row[0]) for row in rows)
    assert len(lines) == len(rows)
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= max(width, first if kept else table.NARROWEST)


@given(SHAPES)
def test_without_a_width_nothing_is_cut(rows: list[list[str]]) -> None:
    for row, line in zip(rows, table.lines(rows), strict=True):
        assert all(table.plain(cell).rstrip() in line for cell in row)


def test_the_first_columns_are_kept_and_the_last_ones_left_out() -> None:
    rows = [("NAME", "CLASS", "STATE"), ("a-name-of-28-characters-long", "Counter", "alive")]
    assert table.lines(rows, 40, 1) == ["NAME                          CLASS", "a-name-of-28-characters-long  Counter"]
    assert "…" in table.lines([("A", "B"), ("a" * 30, "b" * 30)], 40, 0)[1]
