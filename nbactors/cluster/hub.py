"""`Hub`: the actor of a session through which its workers and the session talk, beside the calls themselves."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

EASY_ANSWERS = 50
"""How many hosts that wait for orders get an answer without one each second: each costs the hub 2 ms of processor time.
With more hosts each waits longer, up to `LONG_S`."""

LONG_S = 4.0
"""Seconds of such a wait that are still safe: Ray kills an actor whose last handle is gone after 5 s."""

MOST_ANSWERS = 250
"""How many hosts get such an answer each second, however many there are. Then hooks of such actors may not run."""

MAX_BYTES = 64 << 20
"""Bytes of reports that wait for the session. Beyond it workers wait, see `Hub.report`."""

TAKE_BYTES = 4 << 20
"""Bytes of reports that the session takes at once, about: an answer waits for that much room in the object store."""

MANY_EVENTS = 200
"""Batches of events that wait until the session asks for them. With more of them, the hub has it ask."""

MOST_EVENTS = 2000
"""Batches of events that are kept for a session that does not ask, the latest ones."""


class Hub:
    """A Ray actor of coroutines, one for each session, which it ends with. It imports nothing but asyncio.

    Workers report output and news, which the session takes in the order of their arrival. The session gives orders,
    which hosts ask for, see `host.orders`. If its process crashes, Ray starts it again, without what was in it.

    Args:
        was_restarted: Returns whether this process is not the first one.
    """

    def __init__(self, was_restarted: Callable[[], bool] = lambda: False) -> None:
        self._was_restarted = was_restarted()
        self._reports: deque[tuple[str, Any, Any]] = deque()
        self._pieces: dict[tuple[bytes, int], dict[int, bytes]] = {}
        self._early: dict[bytes, dict[int, tuple[str, Any, Any]]] = {}
        self._next: dict[bytes, int] = {}
        self._events: deque[tuple[str, Any, Any]] = deque(maxlen=MOST_EVENTS)
        self._size = 0
        self._has_reports = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._orders: defaultdict[bytes, deque[tuple[int, str, tuple[Any, ...]]]] = defaultdict(deque)
        self._has_orders: dict[bytes, asyncio.Event] = {}
        self._left: set[bytes] = set()
        self._asking: set[bytes] = set()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0

    async def report(
        self,
        kind: str,
        source: Any,
        content: Any,
        process: bytes = b"",
        number: int = 0,
        piece: int = 0,
        pieces: int = 1,
    ) -> None:
        """Take a report, or a piece of one. The answer tells that there is room for the next one.

        Ray runs the calls of an actor of coroutines in any order, so reports whose order counts have numbers. These
        are packed, see `packed_report`.

        Args:
            kind: What it is. The session takes "events" when somebody looks at them, or when there are many.
            source: Who reports it.
            content: What is reported.
            process: The id of the reporting process; empty where the order does not count.
            number: The number of the report in that process, from 1 on.
            piece: The number of the piece in that report, from 0 on.
            pieces: How many pieces the report has.
        """
        if pieces > 1:
            arrived = self._pieces.setdefault((process, number), {})
            arrived[piece] = content
            if len(arrived) < pieces:
                return
            del self._pieces[process, number]
            content = b"".join(arrived[each] for each in range(pieces))
        if kind == "events":
            self._events.append((kind, source, content))
            if len(self._events) < MANY_EVENTS:
                return
        elif process:
            early = self._early.setdefault(process, {})
            early[number] = (kind, source, content)
            self._next.setdefault(process, number if self._was_restarted else 1)
            if number < self._next[process]:  # its first ones after the crash of the hub have come in another order
                self._add(early.pop(number))
            while (following := self._next[process]) in early:
                self._add(early.pop(following))
                self._next[process] = following + 1
        else:
            self._add((kind, source, content))
        self._has_reports.set()
        if self._size > MAX_BYTES:
            self._has_room.clear()
            await self._has_room.wait()

    def _add(self, report: tuple[str, Any, Any]) -> None:
        self._reports.append(report)
        self._size += _size(report)

    async def await_reports(self, wait_s: float) -> None:
        """Wait until there is a report, for `wait_s` seconds at most."""
        if not self._reports and len(self._events) < MANY_EVENTS:
            self._has_reports.clear()
            try:
                await asyncio.wait_for(self._has_reports.wait(), wait_s)
            except asyncio.TimeoutError:
                pass

    async def wake(self) -> None:
        """Have `await_reports` return: its session ends."""
        self._has_reports.set()

    async def take(self) -> tuple[list[tuple[str, Any, Any]], bool]:
        """Return the oldest reports, the events last, and whether there are more."""
        taken: list[tuple[str, Any, Any]] = []
        size = 0
        while self._reports and size < TAKE_BYTES:
            taken.append(self._reports.popleft())
            size += _size(taken[-1])
        self._size -= size
        has_more = bool(self._reports)
        if not has_more:
            taken += self._events
            self._events.clear()
        if self._size <= MAX_BYTES:
            self._has_room.set()
        return taken, has_more

    async def order(self, address: bytes, name: str, args: tuple[Any, ...], wait_s: float) -> Any:
        """Have a host carry out an order, and return its answer.

        Raises:
            TimeoutError: It has not answered within `wait_s` seconds.
        """
        self._number += 1
        number = self._number
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        order = (number, name, args)
        self._orders[address].append(order)
        if address in self._has_orders:
            self._has_orders[address].set()
        try:
            return await asyncio.wait_for(answer, wait_s)
        except asyncio.TimeoutError:
            raise TimeoutError(f"the worker has not answered within {wait_s:g} s") from None
        finally:
            del self._answers[number]
            waiting = self._orders.get(address)
            if waiting and order in waiting:
                waiting.remove(order)

    async def knows(self, address: bytes) -> bool:
        """Return whether a host has asked for orders, and has not left."""
        return address in self._asking

    async def flush(self, address: bytes, wait_s: float) -> None:
        """Have a host send what it has written, or all hosts for an empty address. Returns once the output is here.

        A host that has never asked for orders is not waited for, nor one that did not answer the last time.

        Args:
            address: To whom the order is. It is about to be killed, so it is asked only once.
            wait_s: Seconds after which a host is not waited for any more.
        """
        addresses = [each for each in ([address] if address else list(self._asking)) if each in self._asking]
        answers = (self.order(each, "flush", (), wait_s) for each in addresses)
        for each, answer in zip(addresses, await asyncio.gather(*answers, return_exceptions=True), strict=True):
            if address or isinstance(answer, TimeoutError):
                self._asking.discard(each)

    async def orders(self, address: bytes, wait_s: float) -> list[tuple[int, str, tuple[Any, ...]]]:
        """Return the orders for a host; wait for one for `wait_s` seconds, longer where many hosts ask.

        The first question of a process does not wait: an actor that has been started again is there now, though its
        last process may have left, or have crashed while it asked.
        """
        if not wait_s:
            self._left.discard(address)
        if not wait_s or self._was_restarted:
            self._asking.add(address)
        earlier = self._has_orders.pop(address, None)
        if earlier is not None:
            earlier.set()
        if not self._orders[address] and address not in self._left:  # its leave may have come first
            event = self._has_orders[address] = asyncio.Event()
            try:
                await asyncio.wait_for(event.wait(), patience(wait_s, len(self._has_orders)) if wait_s else 0.0)
            except asyncio.TimeoutError:
                pass
            if self._has_orders.get(address) is not event:
                return []  # a later process of the actor asks now
            del self._has_orders[address]
        return list(self._orders.pop(address, ()))

    async def leave(self, address: bytes) -> None:
        """Answer a host that waits for orders, and is about to end: Ray ends a worker after its last call has ended."""
        self._left.add(address)
        self._asking.discard(address)
        if address in self._has_orders:
            self._has_orders[address].set()

    async def answer(self, number: int, value: Any) -> None:
        """Take a host's answer."""
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return
        if isinstance(value, Exception):
            answer.set_exception(value)
        else:
            answer.set_result(value)


def _size(report: tuple[str, Any, Any]) -> int:
    content = report[2]
    return len(content) if isinstance(content, bytes) else 0


def patience(wait_s: float, hosts: int) -> float:
    """Return how long a host waits for an order.

    Args:
        wait_s: The seconds that it asks for.
        hosts: How many hosts wait.
    """
    return max(wait_s, min(hosts / EASY_ANSWERS, LONG_S), hosts / MOST_ANSWERS)
