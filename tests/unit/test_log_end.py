"""The last lines of logs: found from the end, bounded, the same as a reader from the beginning finds."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbactors.jupyter.panels.log_tail import LogTail
from nbactors.util import actor_log
from nbactors.util.files import log_end


@given(st.lists(st.text("ab\r", max_size=3), max_size=8), st.booleans(), st.integers(0, 9), st.integers(1, 4))
def test_the_last_lines_are_those_of_a_reader_from_the_beginning(
    texts: list[str], ends: bool, count: int, block: int
) -> None:
    text = "\n".join(texts) + ("\n" if ends and texts else "")
    every = io.StringIO(text, newline="\n").readlines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_end, "_BLOCK", block)
        file = io.BytesIO(text.encode())
        position, found = log_end.find(file, count)
    wanted = every[len(every) - count :] if count <= len(every) else every
    assert (text[position:], found) == ("".join(wanted), len(wanted))


class _Counted(io.BytesIO):
    """A file of which is known how many bytes were read."""

    total = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.total += len(data)
        return data


def test_a_large_log_is_not_read_from_the_beginning() -> None:
    file = _Counted(b"line\n" * 2_000_000)
    assert log_end.find(file, 3) == (5 * (2_000_000 - 3), 3)
    assert file.total <= 1 << 16


def test_a_line_without_an_end_is_bounded_and_begins_with_a_whole_character(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("é" * 1_000_000)
    assert log_end.lines(str(path), 3, 4095) == ["é" * 2047]


def test_a_log_that_cannot_be_read_has_no_lines(tmp_path: Path) -> None:
    assert log_end.lines(str(tmp_path / "missing"), 3, 100) == []
    assert LogTail().lines(str(tmp_path / "missing")) == []


def test_the_lines_of_a_crashed_process_come_before_those_of_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "last").write_text("one\ntwo\nthree\n")
    (tmp_path / "now").write_text("four\n")
    row = {"last_log_path": str(tmp_path / "last"), "log_path": str(tmp_path / "now")}
    assert actor_log.last(row, 3, 1000) == ["two", "three", "four"]
    assert list(actor_log.read(row, 3, False)) == ["two\n", "three\n", "four\n"]
    assert list(actor_log.read(row, 0, False)) == []
    assert list(actor_log.read(row, None, False)) == ["one\n", "two\n", "three\n", "four\n"]


def test_a_panel_shows_the_last_state_of_a_bar(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\n 10%\r 20%\n")
    assert LogTail().lines(str(path)) == ["one", " 20%"]
