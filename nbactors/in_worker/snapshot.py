"""A snapshot of a failed call for a debugger: the frames of user code with their locals as text."""

from __future__ import annotations

import itertools
import linecache
import threading
import types
from collections import deque
from time import monotonic
from typing import Any, Final

from nbactors.exceptions.task_error import RemoteFrame
from nbactors.exceptions.user_frames import are_users
from nbactors.in_worker.plain_repr import PlainRepr

MAX_FRAMES: Final = 30
MAX_LOCALS: Final = 50
MAX_TEXT: Final = 500
TIME_S: Final = 0.05
"""Seconds in which all reprs of the user's own types together have to return."""

_AROUND = 8
_MAX_LINE = 200
_MAX_ITEMS = 20
_MAX_DEPTH = 3
_FIXED = (range, type(...), types.FunctionType, types.BuiltinFunctionType, type)
"""Types whose reprs neither run user code nor grow with the value."""


def snapshot(error: BaseException) -> list[RemoteFrame]:
    """Return the frames of user code, outermost first, with their locals as text. On the thread that has raised.

    Of a deep recursion only the innermost frames are taken. Reprs in Python run on a thread of their own, since a repr
    that hangs must not hold up the answer. Raises nothing, since the answer is more important.
    """
    try:
        return _taken(error)
    except Exception:  # noqa: BLE001 - such as a lack of memory, or of threads
        return []


def _taken(error: BaseException) -> list[RemoteFrame]:
    every: list[types.TracebackType] = []
    node = error.__traceback__
    while node is not None:
        every.append(node)
        node = node.tb_next
    mine = are_users([node.tb_frame.f_code.co_filename for node in every])
    nodes = [node for node, is_users in zip(every, mine, strict=True) if is_users][-MAX_FRAMES:]
    result = []
    unknown: list[tuple[dict[str, str], str, Any]] = []
    for node in nodes:
        code = node.tb_frame.f_code
        texts: dict[str, str] = {}
        for name, value in itertools.islice(_own(node.tb_frame.f_locals), MAX_LOCALS):
            try:
                texts[name] = _cut(_REPR.of(value, _MAX_DEPTH))
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
    """Fill in the reprs that run user code, as many as there is time for."""
    found: deque[tuple[dict[str, str], str, str]] = deque()
    ends = monotonic() + TIME_S

    def work() -> None:
        while unknown and monotonic() < ends:
            texts, name, value = unknown.pop(0)
            try:
                text = _cut(repr(value))
            except BaseException as error:  # noqa: BLE001 - raised by the user's `__repr__`
                text = f"<{type(value).__name__} object: its repr raises {type(error).__name__}>"
            found.append((texts, name, text))
        unknown.clear()  # frees the objects of the call

    thread = threading.Thread(target=work, name="nbactors-snapshot", daemon=True)
    thread.start()
    thread.join(TIME_S)
    while found:
        texts, name, text = found.popleft()
        texts[name] = text


class _NotPlain(Exception):
    """Raised for a value whose repr runs user code, which may take any time."""


def _other(value: Any) -> str:
    """Return the repr of a value that `PlainRepr` does not know.

    Raises:
        _NotPlain: Its repr runs user code.
    """
    kind: Any = type(value)
    if kind in _FIXED or kind.__repr__ is object.__repr__:
        return repr(value)
    raise _NotPlain


_REPR = PlainRepr(MAX_TEXT, _MAX_ITEMS, _other)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _source(filename: str, line: int) -> tuple[int, list[str]]:
    """Return the lines around a line, and the first one's number; no lines if the file does not exist here."""
    first = max(1, line - _AROUND)
    lines = linecache.getlines(filename)[first - 1 : line + _AROUND]
    return first, [text.rstrip("\n")[:_MAX_LINE] for text in lines]
