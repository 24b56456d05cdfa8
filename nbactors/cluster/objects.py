"""`Objects`: the objects of Ray that a process refers to, and the waits for them."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray

from nbactors import exceptions
from nbactors.cluster.common.pieces import Pieces
from nbactors.cluster.lost_record import LostRecord
from nbactors.cluster.object_records import ENDED, Record, StreamRecord
from nbactors.cluster.refusals import sending
from nbactors.cluster.translation import translated
from nbactors.cluster.watcher import Origin, Watcher
from nbactors.exceptions import reasons
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import DynamicObjectRefGenerator

FEW = 4
"""Ready objects that are searched for among those that were waited for."""

KEPT_DEATHS = 1000
"""Ids of dead actors that are remembered."""


class Objects:
    """The objects of one engine. Any thread.

    Args:
        watcher: Tells when objects are final.
        is_divided: Returns whether waits of the calling thread come back to Python code often, where an interrupt
            reaches them.

    Attributes:
        watcher: Tells when objects are final.
        pieces: How waits are divided.
        died: The ids of actors that are dead, as this process has been told by an error; the latest last.
        on_interrupt: Called with the user's interrupt of a wait for a generator, and with its call.
        is_over: Whether the session has been shut down.
    """

    def __init__(self, watcher: Watcher, is_divided: Callable[[], bool]) -> None:
        self.watcher = watcher
        self.pieces = Pieces(is_divided)
        self.died: OrderedDict[bytes, None] = OrderedDict()
        self.on_interrupt: Callable[[KeyboardInterrupt, Sequence[Record]], None] = lambda _error, _awaited: None
        self.is_over = False
        self._records: weakref.WeakValueDictionary[bytes, Record] = weakref.WeakValueDictionary()

    def referring(self, ref: Any) -> ObjectRef[Any]:
        """Return this process's reference for one of Ray's. There is at most one for an object."""
        return self._known(ref.binary()) or self._known_by(Record(self, ref))

    def find(self, object_id: bytes) -> ObjectRef[Any]:
        """Return this process's reference for an id. If the owner is not known here, `get` raises ObjectLostError."""
        found = self._known(object_id)
        if found is not None:
            return found
        ref = ray.ObjectRef(object_id)
        record = Record(self, ref)
        return self._known_by(record if record.owner else LostRecord(self, ref))

    def _known(self, object_id: bytes) -> ObjectRef[Any] | None:
        record = self._records.get(object_id)
        if record is None or type(record) is LostRecord:
            return None
        return record.known() or self.made(record)

    def _known_by(self, record: Record) -> ObjectRef[Any]:
        """Return the reference of an object, which was lost here until now, or is new."""
        lost = self._records.get(record.id)
        ref = lost.known() if lost is not None else None
        if ref is None:
            return self.made(record)
        ref._entry = record
        self._keep(record, ref)
        return ref

    def borrowed(self, ref: Any, origin: Origin) -> ObjectRef[Any]:
        """Return this process's reference for one that another process has sent."""
        found = self._known(ref.binary())
        if found is not None:
            return found
        record = Record(self, ref, origin)
        record.is_read = True  # the process that has made the call tells of an error that nobody reads
        return self._known_by(record)

    def made(self, record: Record) -> ObjectRef[Any]:
        """Return a new reference."""
        ref: ObjectRef[Any] = ObjectRef(record)
        self._keep(record, ref)
        return ref

    def _keep(self, record: Record, ref: ObjectRef[Any]) -> None:
        record.known = weakref.ref(ref)
        self._records[record.ref.binary()] = record

    def of_own_calls(self) -> list[Record]:
        """Return the objects that calls of this process make, and that something here still needs."""
        records = [record for kept in self._records.valuerefs() if (record := kept()) is not None]
        return [record for record in records if record.serial]

    def put(self, value: Any) -> ObjectRef[Any]:
        """Store a value."""
        with sending([value]):
            return self.referring(ray.put(value))

    def load(self, record: Record, timeout: float | None = 0) -> Any:
        """Return the value of an object.

        Raises:
            GetTimeoutError: It was not ready within `timeout` seconds.
            Exception: The object's error.
        """
        if record.verdict is not None:
            record.is_read = True
            raise record.verdict
        try:
            value = ray.get(record.ref, timeout=timeout)
        except ray.exceptions.GetTimeoutError as error:
            raise translated(error) from None
        except ray.exceptions.RayError as error:
            record.is_read = True
            told = translated(error, record.call_id(), record.origin.label)
            if record.limit_s and isinstance(told, exceptions.TaskCancelledError):
                # Ray itself answers for a task that has not begun, and a worker for one that has.
                phase = "running" if record.has_begun or isinstance(told, exceptions.RayTaskError) else "queued"
                told = record.verdict = exceptions.CallTimeoutError(record.call_id(), phase, record.limit_s)
            if isinstance(told, exceptions.ActorDiedError) and told.actor_id:
                self._note_death(told.actor_id)
            raise told from None
        record.is_read = True
        record.await_end()
        if record.end_verdict is not None:
            raise record.end_verdict
        return self.received(value)

    def _note_death(self, actor_id: str) -> None:
        """Note that an actor is dead, unless it is about to be started again."""
        key = bytes.fromhex(actor_id)
        if key in self.died or ray._private.state.actors(actor_id).get("State") != "DEAD":
            return
        self.died[key] = None
        while len(self.died) > KEPT_DEATHS:
            self.died.popitem(last=False)

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """Return the values, or raise the first error in their order. See `Engine.get`."""
        __tracebackhide__ = True
        records: list[Record] = [ref._entry for ref in refs]
        self.check(records)
        with self.pieces.of(timeout, any(record.is_watched for record in records)) as pieces:
            for seconds in pieces:
                try:
                    return [self.load(records[0], seconds)] if len(records) == 1 else self._load_all(records, seconds)
                except exceptions.GetTimeoutError as error:
                    if isinstance(error, exceptions.RayTaskError):  # a call has raised it
                        raise
        which = f"ObjectRef({records[0].id.hex()})" if len(records) == 1 else f"some of {len(records)} objects"
        cancelled = ((one.origin.label, one.cancelled) for one in records if one.cancelled and not one.done())
        raise reasons.not_ready(which, timeout, next(cancelled, None))

    def _load_all(self, records: list[Record], timeout: float | None) -> list[Any]:
        """Return the values of several objects. An error that is there ends the wait for the others."""
        __tracebackhide__ = True
        if any(record.verdict is not None for record in records):
            self._raise_ready(records)
        try:
            values = ray.get([record.ref for record in records], timeout=timeout)
        except ray.exceptions.GetTimeoutError as error:
            raise translated(error) from None
        except ray.exceptions.RayError:
            self._raise_ready(records)
            return [self.load(record, timeout) for record in records]
        if any(record.settle is not None or record.end_verdict is not None for record in records):
            for record in records:
                record.await_end()
            if any(record.end_verdict is not None for record in records):
                self._raise_ready(records)
        for record in records:
            record.is_read = True
        return self.all_received(values)

    def _raise_ready(self, records: list[Record]) -> None:
        """Raise the first error that is there. The user knows of it: errors of the others are no news."""
        __tracebackhide__ = True
        asked = list(dict.fromkeys(record.ref for record in records if record.verdict is None))
        with translating():
            ready = set(ray.wait(asked, num_returns=len(asked), timeout=0, fetch_local=False)[0]) if asked else set()
        try:
            for record in records:
                if record.verdict is not None or record.ref in ready:
                    self.load(record, None)
        except Exception:
            for record in records:
                record.is_claimed = True
            raise

    def all_received(self, values: list[Any]) -> list[Any]:
        """Return what user code gets for values that Ray has brought."""
        if ray.DynamicObjectRefGenerator in set(map(type, values)):  # at the speed of C: there are few of them
            return [self.received(value) for value in values]
        return values

    def received(self, value: Any) -> Any:
        """Return what user code gets for a value that Ray has brought."""
        if type(value) is ray.DynamicObjectRefGenerator:
            return DynamicObjectRefGenerator([self.referring(ref) for ref in value])
        return value

    def check(self, records: Sequence[Record]) -> None:
        """Raise ObjectLostError for an object of another session."""
        for record in records:
            if record.home is not self:
                raise exceptions.ObjectLostError(record.id.hex(), detail=ENDED)

    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """Split references and generators into ready ones and others. See `Engine.wait`."""
        records: list[Record | StreamRecord] = [ref._entry for ref in refs]
        found: list[int] = []
        with self.pieces.of(timeout, any(record.is_watched for record in records)) as pieces:
            for seconds in pieces:
                found = _ready(records, num_returns, seconds, fetch_local)
                if len(found) >= num_returns:
                    break
        return _split(refs, found[:num_returns])


def _ready(
    records: Sequence[Record | StreamRecord], num_returns: int, timeout: float | None, fetch_local: bool
) -> list[int]:
    """Return the places of the ready objects."""
    decided = {index for index, record in enumerate(records) if record.verdict is not None}
    waited = [record.waited for record in records]
    asked = [thing for index, thing in enumerate(waited) if index not in decided] if decided else waited
    wanted = min(num_returns - len(decided), len(asked))
    ready: list[Any] = []
    if asked:
        with translating():
            ready = ray.wait(
                asked, num_returns=max(wanted, 1), timeout=timeout if wanted > 0 else 0, fetch_local=fetch_local
            )[0]
    if len(ready) > FEW:  # a search for each would take the square of the time
        places = {thing: index for index, thing in enumerate(waited)}
        return sorted(decided | {places[thing] for thing in ready})
    return sorted(decided | {waited.index(thing) for thing in ready})


def _split(refs: list[ObjectRef[Any]], chosen: list[int]) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    """Return the references at these places, which are in order, and the others."""
    if len(chosen) == 1:  # as in a loop that takes results one by one
        place = chosen[0]
        return [refs[place]], refs[:place] + refs[place + 1 :]
    them = set(chosen)
    return [refs[place] for place in chosen], [ref for place, ref in enumerate(refs) if place not in them]


@contextmanager
def translating() -> Iterator[None]:
    """Raise Ray's errors as those of nbactors."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise translated(error) from None
