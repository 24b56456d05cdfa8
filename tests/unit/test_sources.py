"""Source lines that the worker did not have."""

from __future__ import annotations

import linecache

import pytest

from nbactors.exceptions.source_lines import with_sources


@pytest.fixture
def cell():
    name = "<cell 1>"
    linecache.cache[name] = (20, None, ["def f():\n", "    return 1 / 0\n"], name)
    yield name
    del linecache.cache[name]


def test_a_frame_without_its_source_line_gets_it(cell):
    trace = f'ray::f() (pid=1)\n  File "{cell}", line 2, in f\nZeroDivisionError: division by zero'
    assert with_sources(trace).split("\n")[1:3] == [f'  File "{cell}", line 2, in f', "    return 1 / 0"]


def test_a_frame_with_its_source_line_is_unchanged(cell):
    trace = f'  File "{cell}", line 2, in f\n    something else\nZeroDivisionError: division by zero'
    assert with_sources(trace) == trace


def test_frames_of_unknown_files_and_lines_are_unchanged(cell):
    trace = f'  File "nowhere.py", line 2, in f\n  File "{cell}", line 99, in f\nValueError'
    assert with_sources(trace) == trace
