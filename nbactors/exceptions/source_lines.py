"""Source lines for remote tracebacks: a session has the source of a notebook's cells, which its workers lack."""

from __future__ import annotations

import linecache
import re

_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+), in ')


def with_sources(trace: str) -> str:
    """Return a traceback, with the missing source lines of frames whose source this process has."""
    lines = trace.split("\n")
    result = []
    for index, line in enumerate(lines):
        result.append(line)
        frame = _FRAME.match(line)
        if frame is None or (index + 1 < len(lines) and lines[index + 1].startswith("    ")):
            continue
        source = linecache.getline(frame["file"], int(frame["line"])).strip()
        if source:
            result.append(f"    {source}")
    return "\n".join(result)
