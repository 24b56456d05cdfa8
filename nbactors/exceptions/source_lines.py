"""Source lines for remote tracebacks: a worker has no source for what was typed into a cell, the session has."""

from __future__ import annotations

import linecache
import re

_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+), in ')


def with_sources(trace: str) -> str:
    """Return a traceback in which frames that show no source line show it, where this process knows it."""
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
