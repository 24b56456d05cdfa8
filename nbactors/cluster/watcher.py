"""`Watcher`: the thread of an engine that tells when objects are final."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol

import ray

CLOSE_S = 5.0
"""Seconds to wait for the end of the thread, which a callback may hold up."""

LOOK_S = 0.1
"""Seconds of one wait for the watched objects. New ones are seen after it."""


class Watchable(Protocol):
    """An object that is watched."""

    @property
    def ref(self) -> Any:
        """Ray's reference."""

    @property
    def verdict(self) -> BaseException | None:
        """The error that this process knows before Ray does."""


class Dropped(NamedTuple):
    """A call whose reference no code has any more, before its result was read."""

    ref: Any
    label: str
    number: bytes
    actor_id: bytes
    cell: int


class _Watched(NamedTuple):
    record: Watchable
    callback: Callable[[], None]


class Watcher:
    """Waits for objects, as long as there is one to wait for. Any thread, finalizers included.

    What is new goes through a queue that finalizers may use, since no lock of Python's is taken.

    Args:
        on_dropped_end: Called on the watcher's thread with each dropped call that has ended.
    """

    def __init__(self, on_dropped_end: Callable[[Dropped], None]) -> None:
        self._on_dropped_end = on_dropped_end
        self._new: SimpleQueue[_Watched | Dropped | None] = SimpleQueue()
        self._watched: dict[Any, list[_Watched]] = {}
        self._dropped: dict[Any, Dropped] = {}
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="nbactors-watcher", daemon=True)
        self._thread.start()

    def add(self, record: Watchable, callback: Callable[[], None]) -> None:
        """Call `callback` on the watcher's thread when an object is final."""
        self._new.put(_Watched(record, callback))

    def dropped(self, dropped: Dropped) -> None:
        """Keep a call until its end. A finalizer calls this."""
        if not self._is_closed:
            self._new.put(dropped)

    def pending_dropped(self) -> list[Dropped]:
        """Return the dropped calls that have not ended."""
        return list(self._dropped.copy().values())

    def close(self) -> None:
        """Watch no more. Waits for the thread, which looks every `LOOK_S`."""
        self._is_closed = True
        self._new.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._is_closed:
            self._take(block=not self._watched and not self._dropped)
            if self._is_closed or not ray.is_initialized():
                break
            refs = [*self._watched, *(ref for ref in self._dropped if ref not in self._watched)]
            decided = [ref for ref, them in self._watched.items() if any(each.record.verdict for each in them)]
            try:
                ready = ray.wait(refs, num_returns=1, timeout=0 if decided else LOOK_S, fetch_local=False)[0]
                if ready and len(refs) > 1:
                    ready = ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)[0]
            except (Exception, SystemExit):  # noqa: BLE001 - Ray is shut down, which it tells by SystemExit
                break
            for ref in {*ready, *decided}:
                self._tell(ref)
            del ref, refs, ready, decided
        self._watched.clear()
        self._dropped.clear()

    def _take(self, block: bool) -> None:
        try:
            while True:
                new = self._new.get(block)
                block = False
                if type(new) is _Watched:
                    self._watched.setdefault(new.record.ref, []).append(new)
                elif type(new) is Dropped:
                    self._dropped[new.ref] = new
        except Empty:
            pass

    def _tell(self, ref: Any) -> None:
        for each in self._watched.pop(ref, ()):
            each.callback()
        dropped = self._dropped.pop(ref, None)
        if dropped is not None:
            self._on_dropped_end(dropped)
