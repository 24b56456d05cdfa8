"""`Recorder`: gathers the task events of a process, and reports them to the node at a pace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain, islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from nbactors import byte_sizes
from nbactors.frontend import calling_cell
from nbactors.limits import MAX_NAME
from nbactors.local.task_events.error_types import CANCELED
from nbactors.local.wire import ids, messages

if TYPE_CHECKING:
    from nbactors.local.reactor.reactor import Reactor

PACE_S = 0.5
"""Seconds from the first event to the report of it."""

SOON_S = 0.05
"""Seconds from the end of a call that readers may have seen to its report, in a process that has sent none lately."""

QUIET_PACE_S = 1.0
QUIETEST_PACE_S = 2.0
"""Seconds between two looks at calls that live and do not change: at first, and later. After each look the event loop
of an asynchronous actor polls for a tenth of a second: a thousand actors that await calls would fill two cores."""

YOUNG_S = 0.25
"""Seconds for which a live call is not reported: most calls have ended by then."""

LONG_S = 0.05
"""Seconds after which a call is long."""

LISTED = 200
"""Short calls get a row while a period has fewer rows than this. A row costs three processes 10 µs together."""

LISTED_LONG = 250
"""So do long calls: some room is left for them. More rows would wake the garbage collector of a busy actor, which looks
at all calls that are in flight: 500 rows cost an asynchronous actor 2 µs for each of 17,000 calls."""

MOST = 2000
"""So do calls that have failed. It is also the most live calls in one report."""

BUSY = 250
"""After so many calls without a row, the other calls of a period are only counted, except calls that have failed."""

PER_MESSAGE = 200
"""Calls that have ended in one message: the texts of thousands of errors would be too long for a frame."""

CELLS = 500
"""Most cells whose ids are told to one node. The later ones have none."""

KINDS = 200
"""Most functions of which the calls without a row are counted, and most waits, in one report."""


class Telling(Protocol):
    """The connection to the node, see `NodeLink`."""

    @property
    def tag(self) -> bytes:
        """What tells this node from the nodes before and after it."""

    def send_now(self, message: Any) -> None:
        """Send a message that has no answer. Any thread; does nothing when the node is gone."""


class Recorder:
    """The task events of one process, between two reports. Methods: any thread, except where a thread is named.

    There is no lock: threads append to lists, and the leader's thread takes from their fronts. A thread first stores an
    event and then reads `is_armed`. `_due` clears `is_armed` first and then takes the events. So each event is in this
    report, or has armed the next one.

    Args:
        reactor: Has the timer.
        node: Gets the reports.

    Attributes:
        is_armed: Whether a report is due.
        ended: The calls that have ended.
        waits: The waits of the driver's own code, and the moves of values between memory and disk.
        unlisted: The functions of the calls that have finished and get no row, once for each call.
        failures: The calls that have failed and get no row: function, actor's id, and whether they were cancelled.
        count_fast: Counts a call by its function. Set while a busy period lasts: then even a look at the clock for each
            call would cost more than a twentieth of a small call.
        sources: Return the calls that wait or run in this process and are not young at the given time, and the origins
            of the young ones.
    """

    def __init__(self, reactor: Reactor, node: Telling) -> None:
        self._reactor = reactor
        self._node = node
        self.is_armed = False
        self.ended: list[messages.TaskRow] = []
        self.waits: list[messages.Wait] = []
        self.sources: list[Callable[[float], tuple[list[messages.TaskRow], set[int]]]] = []
        self.unlisted: list[str] = []
        self.failures: list[tuple[str, bytes, bool]] = []
        self.count_fast: Callable[[str], None] | None = None
        self._reported: list[messages.TaskRow] = []
        self._reported_at = -PACE_S
        self._tag = b""
        self._told: set[int] = set()
        """The origins whose cells the node knows."""
        self._pause = QUIET_PACE_S
        self._looks = 0

    def arm(self, delay: float = PACE_S) -> None:
        """Have a report made, unless one is due."""
        if not self.is_armed:
            self.is_armed = True
            self._reactor.call_later(delay, self._due)

    def has_room(self, limit: int) -> bool:
        """Return whether one more call that has ended gets a row. `limit`: `LISTED`, `LISTED_LONG` or `MOST`."""
        return len(self.ended) < limit

    def add(self, row: messages.TaskRow) -> None:
        """Add a call that has ended."""
        self.ended.append(row)
        if not self.is_armed:
            is_rare = row.ended - row.submitted > YOUNG_S and row.ended - self._reported_at > PACE_S
            self.arm(SOON_S if is_rare else PACE_S)

    def count(self, function: str) -> None:
        """Count a call that has finished and gets no row."""
        functions = self.unlisted
        functions.append(function)
        if not self.is_armed:
            self.arm()
        if len(functions) >= BUSY:
            self.count_fast = functions.append

    def count_failure(self, function: str, actor_id: bytes, kind: str) -> None:
        """Count a call that has failed and gets no row. `actor_id` is empty for a task, `kind` is of `error_types`."""
        self.failures.append((function, actor_id, kind == CANCELED))
        self.arm()

    def add_wait(self, kind: str, start: float, end: float) -> None:
        """Add a wait of the driver's own code, or another stretch of time of this process."""
        if len(self.waits) < KINDS:
            self.waits.append(messages.Wait(kind, start, end))
            self.arm()

    def add_move(self, kind: str, size: int, start: float) -> None:
        """Add a "spill" or "restore" of values, of so many bytes."""
        self.add_wait(f"{kind} {byte_sizes.shown(size)}", start, monotonic())

    def _due(self) -> None:
        self.is_armed = False
        self.report()

    def _look_later(self) -> None:
        """Look again at live calls that have not changed, unless events have a report made before."""
        look = self._looks
        self._reactor.call_later(self._pause, lambda: self._look(look))
        self._pause = min(2 * self._pause, QUIETEST_PACE_S)

    def _look(self, look: int) -> None:
        if look == self._looks and not self.is_armed:
            self.report()

    def report(self) -> None:
        """Send the events since the last report, and the live calls if they have changed. The leader's thread."""
        self._looks += 1
        now = monotonic()
        found = [source(now) for source in self.sources]
        live = list(islice(chain.from_iterable(rows for rows, _ in found), MOST))
        ended, waits = self.ended[:MOST], self.waits[:KINDS]
        self.count_fast = None
        functions, failures = self.unlisted.copy(), self.failures.copy()
        counts = _counted(functions)
        counts.update(function for function, _, _ in failures)
        unlisted = {name[:MAX_NAME]: count for name, count in islice(counts.items(), KINDS)}
        tag = self._node.tag
        has_changed = live != self._reported or (tag != self._tag and bool(live))
        # The worker tells of a young call, which may soon have a row: its cell is told now.
        cells = self._new_cells({row.origin for row in chain(live, ended)}.union(*(young for _, young in found)), tag)
        if has_changed or ended or waits or unlisted or cells:
            first, rest = ended[:PER_MESSAGE], ended[PER_MESSAGE:]
            shown = live if has_changed else None
            totals = _by_actor(failures)
            report = messages.TaskReport(now, shown, first, unlisted, waits, len(functions), totals, cells)
            self._node.send_now(report)
            self._reported_at = now
            for start in range(0, len(rest), PER_MESSAGE):
                self._node.send_now(messages.TaskReport(now, None, rest[start : start + PER_MESSAGE], {}, []))
        self._reported, self._tag = live, tag
        # Removed after the sending, so that no asynchronous exception loses them. Other threads append meanwhile.
        del self.ended[: len(ended)]
        del self.waits[: len(waits)]
        del self.unlisted[: len(functions)]
        del self.failures[: len(failures)]
        # A young call may be the last one, and run for hours: without another report no reader would ever see it.
        has_young = any(young for _, young in found)
        if has_changed or ended or has_young:
            self._pause = QUIET_PACE_S
        if self.ended or has_young or (live and has_changed):
            self.arm(PACE_S if has_changed else QUIET_PACE_S)
        elif live:
            self._look_later()

    def _new_cells(self, origins: set[int], tag: bytes) -> dict[int, str]:
        """Return the front end's ids of the cells of these origins, except those that the node knows."""
        id_of = calling_cell.id_of
        if id_of is None:
            return {}
        if tag != self._tag:
            self._told.clear()
        fresh = origins - self._told
        cells = {origin: id_of(ids.cell_of(origin)) for origin in islice(fresh, CELLS - len(self._told))}
        self._told.update(cells)
        return {origin: cell_id[:MAX_NAME] for origin, cell_id in cells.items() if cell_id}


def _counted(functions: list[str]) -> Counter[str]:
    """Return how often each function is in the list."""
    # A busy process has 50,000 calls in half a second, and often one function. To count identical texts takes 6 ns for
    # each, a Counter takes 25 ns.
    names = set(functions)
    return Counter({names.pop(): len(functions)} if len(names) == 1 else functions)


def _by_actor(failures: list[tuple[str, bytes, bool]]) -> list[messages.ActorTotals]:
    """Return how many calls of each actor have failed, and were cancelled; of tasks with an empty id."""
    counts = Counter((actor_id, is_cancelled) for _, actor_id, is_cancelled in failures)
    actors = dict.fromkeys(actor_id for actor_id, _ in counts)
    return [
        messages.ActorTotals(actor_id, 0, counts[actor_id, False], counts[actor_id, True])
        for actor_id in islice(actors, KINDS)
    ]
