"""The queue of requests for resources, and the order in which they are granted.

Requests for the same amounts are granted in the order of arrival. A request that does not fit does not delay requests
for other amounts, so these can overtake a big request. After `PATIENCE` such overtakings the queue *reserves* for the
request what it asks for: for a while, no later request gets any of these resources. If the request still cannot be
granted, the next reservation lasts twice as long. So the request is granted in the end, if its resources are ever given
back. Each reservation ends, because the processes that hold the resources may themselves wait for later requests.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

import msgspec

from nbactors.limits import MAX_KINDS, MAX_PENDING
from nbactors.local.node.rules.resources import Allocation, Pool, Units

PATIENCE = 64
FIRST_RESERVATION_S = 2.0

_Shape = tuple[tuple[str, int], ...]
"""What requests of one line share: amounts, and the pool that they are taken from."""


class Request(msgspec.Struct, eq=False):
    """A request that waits for resources.

    Attributes:
        placement: The resources that must be free.
        resources: The resources that are then held; a part of `placement`.
        grant: Called with the allocation.
        pool: Where they are taken from.
        unmet: Why the pool has nothing, for a warning; empty if resources decide.
    """

    placement: Units
    resources: Units
    grant: Callable[[Allocation], None]
    pool: Pool
    unmet: str = ""
    number: int = 0
    withdrawn: bool = False
    overtaken: int = 0
    reservation_s: float = FIRST_RESERVATION_S
    reserved_until: float = 0.0


class _Line(deque[Request]):
    """Requests for the same amounts. `withdrawn` is the number of withdrawn ones among them."""

    withdrawn = 0


class PlacementQueue:
    """The waiting requests of one session, or of one placement group."""

    def __init__(self) -> None:
        self._lines: dict[_Shape, _Line] = {}
        self._numbers = itertools.count()

    def add(self, request: Request) -> None:
        """Queue a request; the next `pump` may grant it."""
        request.number = next(self._numbers)
        self._lines.setdefault(_shape(request.placement, request.resources, request.pool), _Line()).append(request)

    def __len__(self) -> int:
        """How many requests wait, including some withdrawn ones."""
        return sum(map(len, self._lines.values()))

    def is_full_for(self, placement: Units, resources: Units, pool: Pool) -> bool:
        """Return whether there are too many kinds of requests for a new kind: each kind takes time in each `pump`."""
        return len(self._lines) >= MAX_KINDS and _shape(placement, resources, pool) not in self._lines

    def withdraw(self, request: Request) -> None:
        """Forget a request. Does nothing if it was granted."""
        if request.withdrawn:
            return
        request.withdrawn = True
        line = self._lines.get(_shape(request.placement, request.resources, request.pool))
        if line is not None:
            # It stays in the line until it is the first, or until half of the line is withdrawn.
            line.withdrawn += 1
            if line.withdrawn * 2 > len(line):
                rest = [request for request in line if not request.withdrawn]
                line.clear()
                line.extend(rest)
                line.withdrawn = 0

    def __bool__(self) -> bool:
        """Return whether there may be a request to grant."""
        return bool(self._lines)

    def pump(self, now: float) -> float | None:
        """Grant all requests that can be granted.

        Return when to call this again at the latest, because a reservation ends; None without a reservation.
        """
        while True:
            heads = self._heads()
            granted = next((head for head in heads if self._may_have(head, heads, now)), None)
            if granted is None:
                break
            self._serve(granted, heads, now)
        return min((head.reserved_until for head in heads if head.reserved_until > now), default=None)

    def _heads(self) -> list[Request]:
        """Return the first request of each line, in the order of arrival; drop empty lines."""
        heads = []
        for shape, line in list(self._lines.items()):
            while line and line[0].withdrawn:
                line.popleft()
                line.withdrawn -= 1
            if line:
                heads.append(line[0])
            else:
                del self._lines[shape]
        heads.sort(key=lambda head: head.number)
        return heads

    def _may_have(self, request: Request, heads: list[Request], now: float) -> bool:
        if not request.pool.fits(request.placement):
            return False
        return not any(
            other.reserved_until > now and other.number < request.number and other.placement.keys() & request.placement
            for other in heads
        )

    def _serve(self, request: Request, heads: list[Request], now: float) -> None:
        for line in self._lines.values():
            if line and line[0] is request:
                line.popleft()
                break
        for other in heads:
            if other.number < request.number and not other.pool.shortage(other.placement):
                self._note_overtaken(other, now)
        request.grant(request.pool.allocate(request.resources))

    def _note_overtaken(self, request: Request, now: float) -> None:
        request.overtaken += 1
        if request.overtaken >= PATIENCE and request.reserved_until <= now:
            request.overtaken = 0
            request.reserved_until = now + request.reservation_s
            request.reservation_s *= 2


def _shape(placement: Units, resources: Units, pool: Pool) -> _Shape:
    return (*sorted(placement.items()), ("", id(pool)), *sorted(resources.items()))


def too_much(process_pending: int, queue: PlacementQueue, pool: Pool, placement: Units, resources: Units) -> str:
    """Return why a process may not queue another request now, empty if it may."""
    if process_pending >= MAX_PENDING:
        return f"this process has {MAX_PENDING} of them already: end or get some first."
    if queue.is_full_for(placement, resources, pool):
        return (
            f"requests for {MAX_KINDS} different amounts of resources wait already in this session: wait until some "
            "are served, or declare the resources in init()."
        )
    return ""
