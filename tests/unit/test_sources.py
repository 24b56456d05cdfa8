"""Source lines that the worker did not have."""

from __future__ import annotations

import linecache

import pytest

from nbactors.exceptions import source_lines
from nbactors.exceptions.source_lines import raised, with_sources


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


@pytest.fixture
def named(cell):
    source_lines.name_cells(lambda file: "Cell In[3]" if file == cell else "")
    yield cell
    source_lines.name_cells(None)


def test_frames_of_cells_get_the_name_that_the_notebook_shows(named):
    frames = [
        f'  File "{named}", line 1, in <module>\n    f()',
        f'  File "{named}", line 2, in f',
        '  File "x.py", line 1, in g',
    ]
    trace = "\n".join([*frames, "E"])
    assert with_sources(trace) == (
        '  Cell In[3], line 1\n    f()\n  Cell In[3], line 2, in f\n    return 1 / 0\n  File "x.py", line 1, in g\nE'
    )


def test_frames_in_exception_groups_get_names_and_sources(named):
    trace = f'  + Exception Group Traceback:\n  |   File "{named}", line 2, in f\n  | ExceptionGroup: many'
    assert with_sources(trace).split("\n")[1:3] == ["  |   Cell In[3], line 2, in f", "  |     return 1 / 0"]


def test_without_a_notebook_no_cell_has_a_name(cell):
    trace = f'  File "{cell}", line 2, in f'
    assert source_lines.with_cell_names(trace) == trace


@pytest.mark.parametrize(
    ("trace", "line"),
    [
        ('Traceback:\n  File "x.py", line 1, in f\n    g()\nValueError: text\nmore of it', "ValueError: text"),
        (
            'KeyError: 1\n\nThe cause of:\n\nTraceback:\n  File "x.py", line 1, in f\nValueError: text',
            "ValueError: text",
        ),
        ("Traceback:\n  Cell In[1], line 2\nValueError: text", "ValueError: text"),
        (
            (
                '  + Exception Group Traceback:\n  |   File "x.py", line 1, in f\n  | ExceptionGroup: many\n'
                '  +-+---- 1 ----\n    |   File "x.py", line 2, in g\n    | ValueError: 1\n    +----'
            ),
            "ExceptionGroup: many",
        ),
        ("its constructor could not be sent", "its constructor could not be sent"),
        ("", ""),
    ],
)
def test_the_line_that_names_the_exception(trace, line):
    assert raised(trace) == line
