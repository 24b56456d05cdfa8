"""`World`: virtual time, the queue of what happens next, and the numbers that stand for chance."""

from __future__ import annotations

import heapq
import random
import zlib
from collections.abc import Callable
from typing import Any, Protocol

BEGIN_S = 1000.0
"""The time of the monotonic clock at which a simulation begins."""

PLAN_S = BEGIN_S + 5.0
"""The time at which the plan begins: the session is open by then."""

_MASK = (1 << 64) - 1


class Being(Protocol):
    """A simulated process, or the node.

    Attributes:
        name: The name in the trace.
        pid: The number of the process.
        dead: Whether it has ended; then nothing happens in it any more.
        countdown: After how many actions it crashes; 0 for never.
        visit_at: When it looks at its sockets and timers next.
    """

    name: str
    pid: int
    dead: bool
    countdown: int
    visit_at: float

    def visit(self) -> None:
        """Look at the sockets and timers."""

    def look_ahead(self) -> None:
        """Plan what this process does next, after something has happened in it."""


class World:
    """One simulation. All that happens is an action in a queue, ordered by virtual time.

    No action draws numbers from a shared stream, since one action more would change the fate of all later ones.
    `number` makes each number from its place (a socket, and a chunk on it), so a shrunk plan meets the same delays.

    Args:
        seed: Decides all numbers.
        is_traced: Whether to keep the text of each action.

    Attributes:
        now: The monotonic clock of all processes, in seconds.
        acting: The process in which an action runs now.
        digest: A checksum of all actions so far: equal digests mean the same run.
        complaints: Failures that the code under test has reported instead of raising.
    """

    def __init__(self, seed: int, is_traced: bool = False) -> None:
        self.seed = seed
        self.now = BEGIN_S
        self.acting: Any = None
        self.digest = 0
        self.actions = 0
        self.complaints: list[str] = []
        self.loses_frames = False
        """Whether a process has died that had frames to send again, since a connection had broken before."""
        self.ledger: Any = None
        self.birth: Any = None
        """The name and the network of the process that is made now."""
        self.trace: list[str] | None = [] if is_traced else None
        self._queue: list[tuple[float, int, Any, Callable[[], None] | None, str]] = []
        self._count = 0
        self._touched: dict[Any, None] = {}
        self._random = random.Random(seed)
        self._last_fd = 10
        self._last_pid = 100
        self._serial = 0

    # ------------------------------------------------------------------------------------------------------- chance

    def number(self, place: int, index: int = 0) -> int:
        """Return the number of 64 bits of a place."""
        x = (self.seed * 0x9E3779B97F4A7C15 ^ place * 0xC2B2AE3D27D4EB4F ^ index * 0x165667B19E3779F9) & _MASK
        x ^= x >> 31
        x = x * 0xBF58476D1CE4E5B9 & _MASK
        return x ^ x >> 29

    def random_bytes(self, count: int) -> bytes:
        """Stand for `os.urandom`."""
        return self._random.randbytes(count)

    def new_fd(self) -> int:
        """Return the number of a fresh descriptor. No two of one simulation are equal."""
        self._last_fd += 1
        return self._last_fd

    def new_pid(self) -> int:
        """Return the number of a fresh process."""
        self._last_pid += 1
        return self._last_pid

    def new_serial(self) -> int:
        """Return a number that stands for an object's address, by which sets of objects are ordered."""
        self._serial += 1
        return self._serial

    # --------------------------------------------------------------------------------------------------------- time

    def later(self, delay_s: float, being: Any, action: Callable[[], None], what: str) -> None:
        """Run an action in a process after a delay, unless the process is dead by then."""
        self.at(self.now + delay_s, being, action, what)

    def at(self, when: float, being: Any, action: Callable[[], None], what: str) -> None:
        """Do what `later` does, at a time."""
        self._count += 1
        heapq.heappush(self._queue, (max(when, self.now), self._count, being, action, what))

    def visit(self, when: float, being: Being) -> None:
        """Have a process look at its sockets and timers at a time, unless it has planned another time by then."""
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, being, None, "looks"))

    def touch(self, being: Any) -> None:
        """Have a process look ahead after the current action."""
        self._touched[being] = None

    def run(self, until: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Run all actions up to a time, or until `is_over`. The clock then shows that time, or the last action's."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            when, _, being, action, what = heapq.heappop(queue)
            if being.dead:
                continue
            if action is None:
                if when != being.visit_at:
                    continue
                action = being.visit
            self.now = when
            self.act(being, action, what)
            # An exception that has ended a process may keep this frame, but not what a past action refers to.
            action = None
            if is_over():
                return
        self.now = max(self.now, until)

    def act(self, being: Any, action: Callable[[], None], what: str) -> None:
        """Run an action in a process now."""
        self.actions += 1
        text = f"{self.now - BEGIN_S:.6f} {being.name} {what}"
        self.digest = zlib.crc32(text.encode(), self.digest)
        if self.trace is not None:
            self.trace.append(text)
        if being.countdown:
            being.countdown -= 1
            if not being.countdown:
                being.on_crash()
                return
        self.acting = being
        self._touched[being] = None
        try:
            action()
        finally:
            self.acting = None
        while self._touched:
            touched, self._touched = self._touched, {}
            for one in touched:
                if not one.dead:
                    one.look_ahead()

    def note(self, text: str) -> None:
        """Write a line of the trace that is not an action."""
        if self.trace is not None:
            self.trace.append(f"{self.now - BEGIN_S:.6f}     {text}")
