"""What the entry "excludes" of a runtime_env leaves of a directory. Patterns are those of a .gitignore file, as in Ray.

The last pattern that matches a path decides, and one with `!` includes again. A directory that is excluded itself is
not entered, so nothing in it can be included again. `logs/` excludes what is in `logs`, and not the directory.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence

_SEGMENT = "[^/]"


def remaining(directory: str, patterns: Sequence[str]) -> Iterator[os.DirEntry[str]]:
    """Yield the directories and files that no pattern excludes, each directory before what is in it. Any thread.

    Links are followed, except one to a directory in which it lies.

    Raises:
        OSError: A directory cannot be read.
    """
    rules = [rule for rule in map(_rule, patterns) if rule is not None]
    yield from _remaining(directory, "", rules, frozenset({os.path.realpath(directory)}))


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


def _remaining(
    directory: str, inside: str, rules: list[tuple[re.Pattern[str], bool]], around: frozenset[str]
) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = inside + entry.name
        decisive = [excludes for pattern, excludes in rules if pattern.fullmatch(path)]
        if decisive and decisive[-1]:
            continue
        if not entry.is_dir():
            yield entry
            continue
        real = os.path.realpath(entry.path)
        if real not in around:
            yield entry
            yield from _remaining(entry.path, f"{path}/", rules, around | {real})


def _rule(line: str) -> tuple[re.Pattern[str], bool] | None:
    """Return what a pattern matches, paths without a slash at the end, and whether it excludes; None for a comment."""
    text = line if line.endswith("\\ ") else line.rstrip()
    excludes = not text.startswith("!")
    if not excludes:
        text = text[1:]
    elif text.startswith("#"):
        return None
    is_for_content = text.endswith("/")
    is_anchored = "/" in text.rstrip("/")
    parts = [part for part in text.split("/") if part]
    if not parts:
        return None
    pattern = "" if is_anchored or parts[0] == "**" else "(?:.+/)?"
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        if part == "**":
            pattern += ".+" if is_last else "(?:.+/)?"
        else:
            pattern += _segment(part) + ("" if is_last else "/")
    is_for_content = is_for_content and (parts[-1] != "**" or len(parts) == 1)
    pattern += "/.+" if is_for_content else "(?:/.*)?"
    return re.compile(pattern, re.DOTALL), excludes


def _segment(part: str) -> str:
    """Return the regular expression of a part without slashes."""
    if part == "*":
        return f"{_SEGMENT}+"
    pattern, place = "", 0
    while place < len(part):
        sign = part[place]
        closing = part.find("]", place + (3 if part[place + 1 : place + 2] in ("!", "^") else 2)) if sign == "[" else -1
        if sign == "*":
            pattern += f"{_SEGMENT}*"
        elif sign == "?":
            pattern += _SEGMENT
        elif closing > 0:
            content = part[place + 1 : closing]
            if content[0] in "!^":
                content = "^" + content[1:]
            pattern += f"(?!/)[{content}]".replace("[[", r"[\[")
            place = closing
        elif sign == "\\" and place + 1 < len(part):
            place += 1
            pattern += re.escape(part[place])
        else:
            pattern += re.escape(sign)
        place += 1
    return pattern
