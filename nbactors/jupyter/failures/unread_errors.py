"""Failed calls whose errors no code reads: one display under the calling cell, each kind once with a count.

A call is shown with its traceback when the last reference to its result has gone. While a reference is left, the user
may still ask for the error, perhaps in the next cell. So such calls are only counted, and after the end of their cell.
"""

from __future__ import annotations

import threading
from time import monotonic

from nbactors.exceptions import reasons
from nbactors.frontend.sink import DROPPED, HELD, READ, UnreadError
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter

GATHER_S = 0.2
"""Seconds for which errors are counted before the first ones are shown."""

EVERY_S = 0.5
"""Seconds between two displays of a cell."""

HOLD_S = 1.0
"""Seconds from the end of a cell, or from a later failure, to the count of the calls that are not read. A notebook that
runs all its cells reads most errors before."""

KINDS = 5
"""The most kinds whose tracebacks a cell shows."""

TEXT = 20_000
"""The most characters of one kind's traceback, of which the middle is left out."""

CELLS = 1_000
"""The most cells whose displays can change."""


class _Kind:
    """The errors of one call and type under one cell.

    Attributes:
        count: The number of calls that have failed.
        held: The errors of calls to whose results references are left, with the positions of their failures, by the
            identity of the error: calls may fail with equal errors.
        dropped: The number of calls whose errors no code can read any more.
        first: The first of these errors, None if there is none. Python may drop the last call of a list first.
    """

    __slots__ = ("_position", "count", "dropped", "first", "held")

    def __init__(self) -> None:
        self.count = 0
        self.held: dict[int, tuple[int, UnreadError]] = {}
        self.dropped = 0
        self.first: UnreadError | None = None
        self._position = 0

    def hold(self, error: UnreadError) -> None:
        """Count a call that has failed."""
        self.held[id(error)] = (self.count, error)
        self.count += 1

    def let_go(self, error: UnreadError, *, is_read: bool) -> None:
        """Count a call whose error was read, or else can be read by no code any more."""
        position, _ = self.held.pop(id(error), (self.count, error))
        if is_read:
            return
        self.dropped += 1
        if self.first is None or position < self._position:
            self.first, self._position = error, position


class CellErrors:
    """The display of one cell.

    Args:
        cell: The cell's number.
    """

    def __init__(self, cell: int) -> None:
        self._cell = cell
        self._live = Live(cell)
        self._lock = threading.RLock()
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._read = 0
        self._hold_until = 0.0
        self._painted_at = 0.0
        self._text = ""

    def take(self, error: UnreadError, state: str) -> None:
        """Count a call. On the leader's thread."""
        now = monotonic()
        with self._lock:
            kind = self._kinds.setdefault((error.call, error.kind), _Kind())
            if state == HELD:
                kind.hold(error)
                self._hold_until = now + HOLD_S
            else:
                kind.let_go(error, is_read=state == READ)
                self._read += state == READ
        wait = GATHER_S if state == DROPPED else HOLD_S
        painter.touch(self, max(now + wait, self._painted_at + EVERY_S))

    def end(self) -> None:
        """Show the counts soon, since the cell has ended. On the cell's thread."""
        with self._lock:
            self._hold_until = monotonic() + HOLD_S
        painter.touch(self, self._hold_until)

    def paint(self, now: float, *, is_last: bool = False) -> float | None:
        """Show the present state; see `painter.Picture`.

        Args:
            now: The time.
            is_last: Whether no cell follows, which could read an error.
        """
        with self._lock:
            self._painted_at = now
            is_batch = cells.is_batch(self._cell)
            # A batch client keeps what came under a cell, and the next cell may read the errors.
            shows_held = is_last or not (is_batch or cells.is_running(self._cell) or now < self._hold_until)
            text = self._describe(shows_held)
            if text and text != self._text:
                self._text = text
                self._live.show_text(text)
            is_waiting = not (shows_held or is_batch or cells.is_running(self._cell))
            return self._hold_until if is_waiting and any(kind.held for kind in self._kinds.values()) else None

    def _describe(self, shows_held: bool) -> str:
        dropped = [(kind, kind.first) for kind in self._kinds.values() if kind.first is not None]
        parts = [_traceback(first, kind.dropped) for kind, first in dropped[:KINDS]]
        if len(dropped) > KINDS:
            more = dropped[KINDS:]
            parts.append(f"✗ {sum(kind.dropped for kind, _ in more)} more calls failed in {len(more)} other ways")
        held = [kind.held for kind in self._kinds.values() if kind.held] if shows_held else []
        if held:
            named = "; ".join(_count(errors) for errors in held[:KINDS])
            more_held = "; …" if len(held) > KINDS else ""
            parts.append(f"✗ {sum(map(len, held))} failed, not read: {named}{more_held}")
        elif self._text and not parts:
            parts.append(f"{self._read} failed, read")
        return "\n".join(parts)


def _count(held: dict[int, tuple[int, UnreadError]]) -> str:
    _, first = next(iter(held.values()))
    return f"{len(held)} × {first.call}: {first.error}"


def _traceback(error: UnreadError, calls: int) -> str:
    count = f"{calls} calls of {error.call} failed" if calls > 1 else f"{error.call} failed"
    more = ". The first error:" if calls > 1 else ":"
    text = reasons.unread(error.call, error.text, error.pid)
    if len(text) > TEXT:
        text = f"{text[: TEXT // 2]}\n…\n{text[-TEXT // 2 :]}"
    return f"✗ {count}, and no code can read the error{more}\n{text}"


_errors: dict[int, CellErrors] = {}


def take(error: UnreadError, state: str) -> None:
    """Show a failed call under its cell; see `Sink.unread`. On the leader's thread."""
    found = _errors.get(error.cell)
    if found is None:
        if not cells.is_known(error.cell):
            return
        if len(_errors) >= CELLS:
            _errors.pop(next(iter(_errors)), None)
        found = _errors[error.cell] = CellErrors(error.cell)
    found.take(error, state)


def end(cell: int) -> None:
    """Note the end of a cell, which reads no more errors. On its thread."""
    found = _errors.get(cell)
    if found is not None:
        found.end()


def flush(*, is_last: bool = False) -> None:
    """Show the present states now, for a batch client. On the thread of the cell that ends.

    Args:
        is_last: Whether no cell follows.
    """
    for found in list(_errors.values()):
        found.paint(monotonic(), is_last=is_last)
