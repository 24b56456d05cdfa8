"""`Calls`: the calls that a process makes, until they have ended."""

from __future__ import annotations

import concurrent.futures
import itertools
import weakref
from collections.abc import Callable, Sequence
from operator import attrgetter
from time import time
from typing import Any, NamedTuple

import ray

from nbactors import exceptions
from nbactors.cluster.common.hubs import hub_named
from nbactors.cluster.common.timing import later
from nbactors.cluster.host.call import CURRENT, Call
from nbactors.cluster.host.running import Stop
from nbactors.cluster.lost_record import LostRecord
from nbactors.cluster.object_records import Record, StreamRecord
from nbactors.cluster.objects import Objects
from nbactors.cluster.observing.task_table import Pending
from nbactors.cluster.refusals import refuse
from nbactors.cluster.route import Route
from nbactors.cluster.watcher import Dropped, Origin
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.views.summaries import CallFacts

ORDER_S = 10.0
"""Seconds in which a host answers an order."""

GIVE_UP_S = 2.5
"""Seconds after which whoever waits for an interrupted call is told that it goes on."""

CANCEL_S = 0.5
"""Seconds that `cancel` waits until the host of a call has got the order. Then a queued call never runs. The hub keeps
the order for a host that is not up yet, which asks for it before it runs a call."""


class _Pending(NamedTuple):
    thing: Record | Dropped
    label: str
    actor_id: bytes


class Calls:
    """The calls of one engine. Any thread.

    Args:
        objects: The objects that calls make.
        cell: Returns the number of the calling cell where no call runs.
        hub: Returns the name of the session's hub where no call runs.

    Attributes:
        note_submission: Called for each call that does not tell its host when it was submitted and by which call: with
            Ray's id of its result, the time, and the call that has made it, None for none.
    """

    def __init__(self, objects: Objects, cell: Callable[[], int], hub: Callable[[], str]) -> None:
        self._objects = objects
        self._cell = cell
        self._hub = hub
        self.note_submission: Callable[[bytes, float, Call | None], object] = _note_nothing
        self._serials = itertools.count(1)

    def placed(self, call: Call) -> Call:
        """Return a call with the calling cell, the session's hub, and the call that makes it."""
        parent = CURRENT.get()
        if parent is not None:
            return call._replace(cell=parent.cell, hub=parent.hub, parent=parent.number)
        return call._replace(cell=self._cell(), hub=self._hub())

    def hub_name(self) -> str:
        """Return the name of the hub of the session that the calling code works for."""
        parent = CURRENT.get()
        return parent.hub if parent is not None else self._hub()

    def hub(self) -> Any:
        """Return the handle of the hub of the session that the calling code works for, None if it has ended."""
        return hub_named(self.hub_name())

    def submit(self, route: Route, args: tuple[Any, ...], kwargs: dict[str, Any], code: Any = None) -> Any:
        """Submit a call to a host, or a task, and return what `remote` returns.

        Args:
            route: Its way.
            args: The positional arguments.
            kwargs: The keyword arguments.
            code: The user's function of a task.
        """
        parent = CURRENT.get()
        values = [sent(value) for value in (*args, *kwargs.values())]
        submitted = time() if route.is_reported else 0.0
        if parent is None:
            cell, hub, caller = self._cell(), self._hub(), b""
        else:
            cell, hub, caller = parent.cell, parent.hub, parent.number
        try:
            if hub == route.home and hub and not kwargs:
                function, origin = route.places.get(cell) or route.make_place(cell)
                returned = function.remote(*values)
                if submitted and returned is not None:  # the host does not tell it
                    first = returned[0] if type(returned) is list else returned
                    self.note_submission(first.binary(), submitted, parent)
            else:
                origin = route.origin(cell, hub)
                facts = Call(route.method, tuple(kwargs), cell, hub, route.label, submitted, caller, route.group)
                returned = route.telling.remote(route.mark + facts.packed(), *values)
        except Exception as error:  # noqa: BLE001 - users' __reduce__ and __getstate__ may raise anything
            refuse(error, [code, *values], route.method)
        if returned is None:
            return None
        if isinstance(returned, list):
            return [self._objects.made(self._record(ref, route, origin, submitted, caller)) for ref in returned]
        if isinstance(returned, ray.ObjectRefGenerator):
            record = self._record(returned.completed(), route, origin, submitted, caller)
            record.is_stream = True
            stream = StreamRecord(self._objects, returned, record, self._stop_stream)
            return ObjectRefGenerator(stream, self._objects.made(record))
        return self._objects.made(self._record(returned, route, origin, submitted, caller))

    def _record(self, ref: Any, route: Route, origin: Origin, submitted: float, caller: bytes) -> Record:
        record = Record(self._objects, ref, origin, next(self._serials), submitted, caller)
        if route.timeout_s is not None:
            record.is_watched = True
            self._limit(record, route.timeout_s)
        return record

    def _limit(self, record: Record, timeout_s: float) -> None:
        """Stop a call that has not ended within `timeout_s` seconds."""
        kept = weakref.ref(record)

        def stop() -> None:
            late = kept()
            if late is None or late.done():
                return
            if late.origin.actor_id:
                self._order_stop(late, True, timeout_s, True)
            else:
                late.limit_s = timeout_s
                ray.cancel(late.ref)
                later(CANCEL_S, lambda: _decide(kept, timeout_s))

        later(timeout_s, stop)

    # ------------------------------------------------------------------------------------------------------ pending

    def facts(self) -> list[CallFacts]:
        """Return the calls that have not ended. Asks Ray, and does not wait."""
        return [CallFacts(each.label, each.actor_id, True, True) for each in self._pending()]

    def listed(self) -> list[Pending]:
        """Return the calls that have not ended, for listings. Asks Ray, and does not wait."""
        return [
            Pending(thing.number, each.label, each.actor_id.hex(), thing.origin.cell, thing.submitted)
            for each in self._pending()
            if (thing := each.thing).submitted
        ]

    def find(self, task_id: str) -> Record | Dropped | None:
        """Return a call that this process has made and still knows, by its id."""
        return next((each for each in self._things() if each.ref.task_id().hex() == task_id), None)

    def _things(self) -> list[Record | Dropped]:
        """Return the calls that this process has made and still knows."""
        return [*self._objects.of_own_calls(), *self._objects.watcher.pending_dropped()]

    def _pending(self) -> list[_Pending]:
        things: dict[Any, Record | Dropped] = {each.ref: each for each in self._objects.watcher.pending_dropped()}
        things.update((record.ref, record) for record in self._objects.of_own_calls() if record.verdict is None)
        if not things:
            return []
        try:
            waiting = ray.wait(list(things), num_returns=len(things), timeout=0, fetch_local=False)[1]
        except ray.exceptions.RaySystemError:  # the session has ended
            return []
        found = {things[ref].number: things[ref] for ref in waiting}
        return [
            _Pending(each, each.origin.label, each.origin.actor_id)
            for each in sorted(found.values(), key=attrgetter("serial"))
        ]

    def cancel_all(self, force: bool, interrupt: bool) -> int:
        """Cancel every call that has not ended, the latest first. See `Engine.cancel_all`."""
        pending = self._pending()[::-1]
        orders = [self._cancel(each.thing, force and not each.actor_id, True, interrupt) for each in pending]
        _await_orders(orders)
        return len(pending)

    def cancel(self, records: Sequence[Record | Dropped], force: bool, recursive: bool, interrupt: bool) -> None:
        """Cancel the calls that make these objects, the latest first. See `Engine.cancel`."""
        _await_orders([self._cancel(record, force, recursive, interrupt) for record in reversed(records)])

    def _cancel(self, thing: Record | Dropped, force: bool, recursive: bool, interrupt: bool) -> Any:
        """Begin to cancel a call, and return Ray's reference of the order; None if there is none."""
        if thing.origin.actor_id:
            return self._order_stop(thing, interrupt, 0.0, recursive)
        if isinstance(thing, Record):
            thing.cancelled = "task"
        try:
            ray.cancel(thing.ref, force=force, recursive=recursive)
        except (ValueError, TypeError):  # it was put, or belongs to an actor that this process does not know
            pass
        return None

    def cancel_children(self, number: bytes, interrupt: bool) -> None:
        """Cancel the calls that a call has made."""
        for thing in self._things():
            if thing.parent == number and not (isinstance(thing, Record) and thing.done()):
                self._cancel(thing, False, True, interrupt)

    def _stop_stream(self, record: Record) -> None:
        """Have the call of a generator that nobody reads any more end: one of an actor at its next value."""
        if record.done():
            return
        if not record.origin.actor_id:
            self._cancel(record, False, True, False)
            return
        hub = hub_named(record.origin.hub)
        if hub is not None:
            hub.order.remote(record.origin.actor_id, "drop", (record.number,), ORDER_S)

    def _order_stop(self, thing: Record | Dropped, interrupts: bool, timeout_s: float, recursive: bool) -> Any:
        """Have the host stop a call. Does not wait for it. Return what `_await_orders` takes."""
        hub = hub_named(thing.origin.hub) if thing.origin.hub else self.hub()
        if hub is None:
            return None
        if isinstance(thing, Record):
            thing.is_watched = True
            thing.cancelled = "interrupted" if interrupts else "cancelled"
        args = (thing.number, interrupts, timeout_s, recursive)
        answer = hub.order.remote(thing.origin.actor_id, "stop", args, ORDER_S)
        if not isinstance(thing, Record):
            return answer
        kept, future, is_stream = weakref.ref(thing), answer.future(), thing.is_stream

        def settle(done: Any) -> None:
            late = kept()
            phase = done.result() if done.exception() is None else ""
            if late is None:
                return
            if phase == "queued":
                late.verdict = Stop(interrupts, timeout_s).error(late.call_id(), phase)
            elif phase == "running" and is_stream:
                late.end_verdict = Stop(interrupts, timeout_s).error(late.call_id(), phase)
            elif phase == "running" and interrupts:
                later(GIVE_UP_S, lambda: self._give_up(kept, hub, timeout_s))
            late.settle = None

        def wait() -> None:
            try:
                future.exception(ORDER_S)
            except concurrent.futures.TimeoutError:
                return
            settle(future)

        if is_stream:
            # Ray may tell of the end that the order has brought about before the host's answer is here.
            thing.settle = wait
        future.add_done_callback(settle)
        return answer

    def _give_up(self, kept: weakref.ref[Record], hub: Any, timeout_s: float) -> None:
        """Tell who waits for an interrupted call that it goes on, if it does."""
        record = kept()
        if record is None or record.done():
            return
        try:
            why = ray.get(
                hub.order.remote(record.origin.actor_id, "why_deaf", (record.number,), ORDER_S), timeout=ORDER_S
            )
        except Exception:  # noqa: BLE001 - the actor or the session has ended
            return
        if why:
            why += " kill(handle) ends its process."
            kind = exceptions.CallTimeoutError(record.call_id(), "running", timeout_s, why)
            record.verdict = kind if timeout_s else exceptions.TaskCancelledError(record.call_id(), why)


def _note_nothing(result_id: bytes, at: float, parent: Call | None) -> None:
    del result_id, at, parent


def _decide(kept: weakref.ref[Record], timeout_s: float) -> None:
    """Tell who waits for a task whose time is over, and which its worker does not end."""
    record = kept()
    if record is not None and not record.done():
        record.verdict = exceptions.CallTimeoutError(record.call_id(), "running", timeout_s)


def _await_orders(orders: list[Any]) -> None:
    """Wait until the hosts have got orders."""
    given = [order for order in orders if order is not None]
    if given:
        ray.wait(given, num_returns=len(given), timeout=CANCEL_S, fetch_local=False)


def sent(value: Any) -> Any:
    """Return what stands for an argument: Ray replaces its own references by their values.

    Raises:
        ObjectLostError: It is a reference to an object whose owner is not known here.
    """
    if type(value) is not ObjectRef:
        return value
    record: Record = value._entry
    if isinstance(record, LostRecord):
        raise record.error()
    record.is_claimed = True
    return record.ref
