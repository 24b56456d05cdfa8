"""`Lines`: the output of a worker on its way to the sessions that it works for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from time import monotonic
from typing import Any, NamedTuple

SEND_S = 0.05
"""Seconds for which output is gathered before it is sent."""

MAX_WAITING = 1 << 22
"""Characters that may wait to be sent. Whoever writes more waits."""

MAX_PIECES = 16
"""Pieces on their way to one hub, see `packed_report`. A worker that writes faster than they are taken waits."""

ACK_S = 2.0
"""Seconds that the end of a call waits until its output has arrived."""

STALL_S = 5.0
"""Seconds without an arrival after which the end of a process waits no longer for its output."""


class Part(NamedTuple):
    """Output of one call. It travels as a plain tuple.

    Attributes:
        hub: The name of the hub of the session that shows it.
        cell: The number of the calling cell.
        stream: 1 for stdout, 2 for stderr.
        text: Whole lines, or an unfinished one at the end of a call.
    """

    hub: str
    cell: int
    stream: int
    text: str


class Lines:
    """Gathers output, and sends it in the order in which it was written. Any thread.

    Args:
        send: Sends parts to a hub by its name, piece by piece; yields what `wait` takes.
        wait: Waits for the arrival of pieces: (pieces, seconds). Returns those that have not arrived.
    """

    def __init__(
        self,
        send: Callable[[str, list[tuple[int, int, str]]], Iterable[Any]],
        wait: Callable[[list[Any], float], list[Any]],
    ) -> None:
        self._send = send
        self._wait = wait
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._parts: list[Part] = []
        self._size = 0
        self._unfinished: dict[tuple[str, int, int, int], str] = {}
        self._under_way: dict[str, deque[Any]] = {}
        self._is_sending = False
        """Whether there is output that is neither in `_parts` nor in `_under_way` yet."""
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def write(self, hub: str, cell: int, stream: int, text: str, thread: int = 0) -> None:
        """Take output. Its last line stays here until it is finished.

        Args:
            hub: See `Part`.
            cell: See `Part`.
            stream: See `Part`.
            text: Any text.
            thread: The thread whose Python code has written it; 0 for the main one, and for what came by a descriptor.
        """
        key = (hub, cell, stream, thread)
        with self._changed:
            whole = self._unfinished.pop(key, "") + text
            lines, newline, rest = whole.rpartition("\n")
            if rest:
                self._unfinished[key] = rest
            if newline:
                self._add(Part(hub, cell, stream, lines + newline))
            # The sender's thread sends it, not this one, which may be the main thread of an ending worker: see
            # `Host.shut_down` for what its calls would do.
            self._changed.wait_for(lambda: self._size <= MAX_WAITING or self._is_closed, ACK_S)

    def finish(self, hub: str, cell: int, threads: Collection[int] = (0,)) -> bool:
        """Take the unfinished lines that threads have written for a call. See `write`.

        Returns:
            Whether there is output that has not been sent.
        """
        if not (self._unfinished or self._parts or self._is_sending or self._under_way):  # so it is for most calls
            return False
        with self._changed:
            for stream in (1, 2):
                for thread in threads:
                    rest = self._unfinished.pop((hub, cell, stream, thread), "")
                    if rest:
                        self._add(Part(hub, cell, stream, rest))
            return bool(self._parts or self._is_sending or self._under_way)

    def finish_all(self) -> None:
        """Take all unfinished lines: this process ends."""
        with self._changed:
            for key, rest in self._unfinished.items():
                self._add(Part(*key[:3], rest))
            self._unfinished.clear()

    def flush(self) -> None:
        """Send all output, and wait until it has arrived."""
        deadline = monotonic() + ACK_S
        self._send_all()
        with self._sending:
            for hub, pieces in list(self._under_way.items()):
                left = self._wait(list(pieces), max(deadline - monotonic(), 0.0))
                self._keep(hub, deque(left))

    def close(self, seconds: float, thread_s: float) -> bool:
        """Send what is there, wait while it arrives, and end the thread. Later output is dropped.

        Args:
            seconds: Limit of the wait for the output, which ends earlier where nothing arrives for `STALL_S`.
            thread_s: Limit of the wait for the end of the thread.

        Returns:
            Whether all output has arrived.
        """
        deadline = monotonic() + seconds
        self._send_all()
        with self._sending:
            for hub, pieces in list(self._under_way.items()):
                # One after the other: a session that is slow, but takes them, is waited for.
                while pieces and not self._wait([pieces[0]], max(min(STALL_S, deadline - monotonic()), 0.0)):
                    pieces.popleft()
                self._keep(hub, pieces)
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(thread_s)
        return not self._under_way

    def _add(self, part: Part) -> None:
        if self._is_closed:
            return
        self._parts.append(part)
        self._size += len(part.text)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="nbactors-output", daemon=True)
            self._thread.start()
        if len(self._parts) == 1 or self._size > MAX_WAITING:  # else the sender gathers: each wake-up costs the writer
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._parts or self._is_closed)
                if self._is_closed:
                    return
                if self._size <= MAX_WAITING:
                    self._changed.wait(SEND_S)  # what follows soon goes with it
            self._send_all()

    def _send_all(self) -> None:
        with self._sending:
            with self._changed:
                self._is_sending = bool(self._parts)  # before they leave `_parts`: `finish` looks without the lock
                parts, self._parts, self._size = self._parts, [], 0
                self._changed.notify_all()  # those who wait for room
            try:
                self._send_parts(parts)
            finally:
                self._is_sending = False

    def _send_parts(self, parts: list[Part]) -> None:
        by_hub: dict[str, list[tuple[int, int, str]]] = {}
        for hub, cell, stream, text in parts:
            batch = by_hub.setdefault(hub, [])
            if batch and batch[-1][:2] == (cell, stream):
                batch[-1] = (cell, stream, batch[-1][2] + text)
            else:
                batch.append((cell, stream, text))
        for hub, batch in by_hub.items():
            under_way = self._under_way.get(hub, deque())
            is_stuck = False
            for piece in self._send(hub, batch):
                under_way.append(piece)
                while len(under_way) > MAX_PIECES and not is_stuck:
                    is_stuck = bool(self._wait([under_way[0]], ACK_S))
                    if not is_stuck:
                        under_way.popleft()
            self._keep(hub, under_way)

    def _keep(self, hub: str, pieces: deque[Any]) -> None:
        if pieces:
            self._under_way[hub] = pieces
        else:
            self._under_way.pop(hub, None)
