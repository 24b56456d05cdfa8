"""Remote tracebacks in a session, which knows a notebook's cells: their source lines and numbers.

A worker knows neither: the code of a cell has come to it pickled, with a file name that says nothing to the user.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable

_FRAME = re.compile(
    r'^(?P<lead>[ |]*  )File "(?P<file>.+)", (?P<place>line (?P<line>\d+))(?P<function>, in .*)?$', re.MULTILINE
)
"""A frame's line. Bars lead the lines of an exception group."""

_OUTER_FRAME = re.compile(r'^(  \| )?  (File "|Cell )')
_UNINDENTED = re.compile(r"^(  \| )?(?P<text>[^\s|+].*)$")
"""Lines of a traceback, or of the outermost exception group."""

MAX_SOURCE = 1 << 18
"""The most characters of a source that is sent with its code."""

_cell_name: Callable[[str], str] | None = None


def name_cells(function: Callable[[str], str] | None) -> None:
    """Set the function that returns a cell's name, as in ``Cell In[2]``, for its file name; "" for any other file.

    Called by the front end. Any thread may call the function.
    """
    global _cell_name
    _cell_name = function


def cell_name(filename: str) -> str:
    """Return the name of a cell, as in ``Cell In[2]``, for the file name of its code; "" for any other file."""
    return _cell_name(filename) if _cell_name is not None else ""


def of_code(filename: str) -> str:
    """Return the source of code that is in no file, as of a cell; "" if there is none here, or it is very long."""
    entry = linecache.cache.get(filename)
    if entry is None or len(entry) != 4 or entry[1] is not None:  # the time of a file
        return ""
    text = "".join(entry[2])
    return text if len(text) <= MAX_SOURCE else ""


def learn(filename: str, text: str) -> None:
    """Keep the source of code that has arrived, for `inspect.getsource` and tracebacks. Any thread."""
    if text and filename not in linecache.cache:
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)


def of_cells() -> dict[str, str]:
    """Return the code of the notebook's cells by their file names. Any thread."""
    entries = list(linecache.cache.items())
    return {name: "".join(entry[2]) for name, entry in entries if len(entry) == 4 and cell_name(name)}


def with_sources(trace: str) -> str:
    """Return a traceback with missing source lines that this process has, and with cells named as the notebook does."""
    lines = trace.split("\n")
    result = []
    for index, line in enumerate(lines):
        frame = _FRAME.match(line) if 'File "' in line else None
        if frame is None:
            result.append(line)
            continue
        result.append(_named(frame))
        lead = frame["lead"]
        if frame["function"] is None or (index + 1 < len(lines) and lines[index + 1].startswith(f"{lead}  ")):
            continue
        source = linecache.getline(frame["file"], int(frame["line"])).strip()
        if source:
            result.append(f"{lead}  {source}")
    return "\n".join(result)


def raised(trace: str) -> str:
    """Return the line of a traceback that names the exception: the first line after the last frame."""
    lines = trace.splitlines()
    last = next((number for number in range(len(lines) - 1, -1, -1) if _OUTER_FRAME.match(lines[number])), -1)
    named = (found for line in lines[last + 1 :] if (found := _UNINDENTED.match(line)) is not None)
    first = next(named, None)
    return first["text"] if first is not None else (lines[-1] if lines else "")


def split_call(text: str) -> tuple[str, str]:
    """Return the two parts of a failed constructor's text: the name of the call, and the traceback without its head.

    The name is empty if the text has no traceback.
    """
    call, _, trace = text.partition("\n")
    return (call, trace.removeprefix("Traceback (most recent call last):\n")) if trace else ("", text)


def with_cell_names(text: str) -> str:
    """Return a text with the file names of cells replaced by the names that the notebook shows."""
    return text if _cell_name is None else _FRAME.sub(_named, text)


def _named(frame: re.Match[str]) -> str:
    cell = cell_name(frame["file"])
    if not cell:
        return frame[0]
    function = frame["function"] or ""
    # As IPython shows frames: the cell's name tells that the code is at its top level.
    return f"{frame['lead']}{cell}, {frame['place']}{'' if function == ', in <module>' else function}"
