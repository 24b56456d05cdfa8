"""What a debugger shows of a failed call: the user's frames as they were, taken before they are let go of."""

from __future__ import annotations

import itertools
import linecache
import threading
import types
from collections import deque
from time import monotonic
from typing import Any, Final

from nbactors.exceptions.task_error import RemoteFrame
from nbactors.local.worker.inspecting.traces import hidden

MAX_FRAMES: Final = 30
MAX_LOCALS: Final = 50
MAX_TEXT: Final = 500
TIME_S: Final = 0.05
"""Reprs of the user's own types are waited for this long, all of them together."""

_AROUND = 8
_MAX_LINE = 200
_MAX_ITEMS = 20
_MAX_DEPTH = 3
_MAX_BITS = 2000
_SAFE = (bool, float, complex, range, slice, type(None), type(...), types.FunctionType, types.BuiltinFunctionType, type)
_BRACKETS: dict[Any, Any] = {
    list: "[]",
    tuple: "()",
    set: "{}",
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
}


def snapshot(error: BaseException) -> list[RemoteFrame]:
    """Return the user's frames, outermost first, with their locals as text. On the thread that raised.

    A deep recursion is told by its innermost frames. Reprs in Python run on a thread of their own, since one that
    hangs must not hold up the answer. Nothing is raised: the answer itself counts for more.
    """
    try:
        return _taken(error)
    except Exception:  # noqa: BLE001 - such as no memory, or no more threads
        return []


def _taken(error: BaseException) -> list[RemoteFrame]:
    nodes: deque[types.TracebackType] = deque(maxlen=MAX_FRAMES)
    node = error.__traceback__
    while node is not None:
        if not hidden(node.tb_frame.f_code.co_filename):
            nodes.append(node)
        node = node.tb_next
    result = []
    unknown: list[tuple[dict[str, str], str, Any]] = []
    for node in nodes:
        code = node.tb_frame.f_code
        texts: dict[str, str] = {}
        for name, value in itertools.islice(_own(node.tb_frame.f_locals), MAX_LOCALS):
            try:
                texts[name] = _cut(_plain(value, _MAX_DEPTH))
            except _NotPlain:
                texts[name] = f"<{type(value).__name__} object: its repr took too long>"
                unknown.append((texts, name, value))
        first, lines = _source(code.co_filename, node.tb_lineno)
        result.append(RemoteFrame(code.co_filename, node.tb_lineno, code.co_name, texts, first, lines))
    if unknown:
        _fill(unknown)
    return result


def _own(variables: dict[str, Any]) -> Any:
    return (item for item in list(variables.items()) if not item[0].startswith(("__", ".")))


def _fill(unknown: list[tuple[dict[str, str], str, Any]]) -> None:
    """Put in the reprs that run code of others, as many as there is time for."""
    found: deque[tuple[dict[str, str], str, str]] = deque()
    ends = monotonic() + TIME_S

    def work() -> None:
        while unknown and monotonic() < ends:
            texts, name, value = unknown.pop(0)
            try:
                text = _cut(repr(value))
            except BaseException as error:  # noqa: BLE001 - the user's own __repr__
                text = f"<{type(value).__name__} object: its repr raises {type(error).__name__}>"
            found.append((texts, name, text))
        unknown.clear()  # let go of the call's objects

    thread = threading.Thread(target=work, name="nbactors-snapshot", daemon=True)
    thread.start()
    thread.join(TIME_S)
    while found:
        texts, name, text = found.popleft()
        texts[name] = text


class _NotPlain(Exception):
    """The repr of a value runs code that may take any time."""


def _plain(value: Any, depth: int) -> str:
    """Return the shortened repr of a value of Python's own; never looks at more than a few of its items.

    Raises:
        _NotPlain: It is of another type, or holds something that is.
    """
    kind: Any = type(value)
    if kind in _SAFE or kind.__repr__ is object.__repr__:
        return repr(value)
    if kind is int:
        bits = value.bit_length()
        return repr(value) if bits <= _MAX_BITS else f"<int of {bits} bits>"
    if kind in (str, bytes, bytearray):
        return repr(value[:MAX_TEXT]) + (f"… ({len(value)} in all)" if len(value) > MAX_TEXT else "")
    if kind is not dict and kind not in _BRACKETS:
        raise _NotPlain
    if not depth:
        return "…"
    if kind is dict:
        items = [
            f"{_plain(key, depth - 1)}: {_plain(item, depth - 1)}"
            for key, item in itertools.islice(value.items(), _MAX_ITEMS)
        ]
        opening, closing = "{}"
    else:
        items = [_plain(item, depth - 1) for item in itertools.islice(value, _MAX_ITEMS)]
        opening, closing = _BRACKETS[kind] if value or kind is not set else ("set(", ")")
    if len(value) > _MAX_ITEMS:
        items.append(f"… ({len(value)} in all)")
    comma = "," if kind is tuple and len(value) == 1 else ""
    return f"{opening}{', '.join(items)}{comma}{closing}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _source(filename: str, line: int) -> tuple[int, list[str]]:
    """Return the number of the first line and the lines around one, none where there is no such file here."""
    first = max(1, line - _AROUND)
    lines = linecache.getlines(filename)[first - 1 : line + _AROUND]
    return first, [text.rstrip("\n")[:_MAX_LINE] for text in lines]
