"""What the entry "excludes" of a runtime_env leaves of a directory. Patterns are those of a .gitignore file, as in Ray.

The last pattern that matches a path decides, and one with `!` includes again. A directory that is excluded itself is
not entered, so nothing in it can be included again. `logs/` excludes what is in `logs`, and not the directory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pathspec import PathSpec


def spec_of(patterns: Sequence[str]) -> PathSpec[Any]:
    """Return what matches excluded paths. Raises ValueError for a pattern that cannot be read."""
    return PathSpec.from_lines("gitignore", patterns)


def remaining(directory: str, patterns: Sequence[str]) -> Iterator[os.DirEntry[str]]:
    """Yield the directories and files that no pattern excludes, each directory before what is in it. Any thread.

    Links are followed, except one to a directory in which it lies.

    Raises:
        OSError: A directory cannot be read.
    """
    spec = spec_of(patterns)
    yield from _remaining(directory, "", spec, frozenset({os.path.realpath(directory)}))


def mark_of(directory: str, patterns: Sequence[str]) -> str:
    """Return a text that differs after a file has changed that no pattern excludes. Any thread.

    Raises OSError as `remaining`.
    """
    found = hashlib.sha256()
    for entry in remaining(directory, patterns):
        facts = "" if entry.is_dir() else _facts(entry)
        found.update(f"{entry.path}\0{facts}\0".encode("utf-8", "surrogateescape"))
    return found.hexdigest()[:32]


def _facts(entry: os.DirEntry[str]) -> str:
    try:
        facts = entry.stat()
    except OSError:  # a link that leads nowhere, or a file that was removed just now
        return "gone"
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_mode}"


def _remaining(directory: str, inside: str, spec: PathSpec[Any], around: frozenset[str]) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = inside + entry.name
        if spec.match_file(path):
            continue
        if not entry.is_dir():
            yield entry
            continue
        real = os.path.realpath(entry.path)
        if real not in around:
            yield entry
            yield from _remaining(entry.path, f"{path}/", spec, around | {real})
