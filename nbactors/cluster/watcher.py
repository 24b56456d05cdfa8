"""`Watcher`: the thread of an engine that tells when objects are final."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol

import ray

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


class Origin(NamedTuple):
    """What is known of the calls that make objects. Many calls have the same one.

    Attributes:
        label: The name of the call; empty if it is not known here.
        actor_id: The actor that runs the call; empty for none.
        cell: The number of the calling cell, 0 for none.
        hub: The name of the hub of the session that the call works for.
    """

    label: str = ""
    actor_id: bytes = b""
    cell: int = 0
    hub: str = ""


class Dropped(NamedTuple):
    """A call whose reference no code has any more, before its result was read.

    Attributes:
        serial, submitted, parent: See `Record`.
        is_claimed: Whether its error is no news, though: see `Record.is_claimed`.
    """

    ref: Any
    origin: Origin
    serial: int
    submitted: float = 0.0
    parent: bytes = b""
    is_claimed: bool = False

    @property
    def number(self) -> bytes:
        """Ray's id of the call."""
        return self.ref.task_id().binary()  # type: ignore[no-any-return]


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
        self._new: SimpleQueue[_Watched | Dropped | Callable[[], None] | None] = SimpleQueue()
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

    def soon(self, errand: Callable[[], None]) -> None:
        """Call `errand` on the watcher's thread. A finalizer calls this."""
        if not self._is_closed:
            self._new.put(errand)

    def pending_dropped(self) -> list[Dropped]:
        """Return the dropped calls that have not ended."""
        return list(self._dropped.copy().values())

    def catch_up(self) -> None:
        """Wait until dropped calls that have ended are told. Not on the watcher's thread."""
        for _ in range(2 if self._thread.is_alive() else 0):  # between the two errands is one look
            has_come = threading.Event()
            self._new.put(has_come.set)
            has_come.wait(10 * LOOK_S)

    def close(self) -> None:
        """Watch no more, and wait until the thread has ended."""
        self._is_closed = True
        self._new.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(10 * LOOK_S)

    def _run(self) -> None:
        while not self._is_closed and self._look():
            pass
        self._watched.clear()
        self._dropped.clear()

    def _look(self) -> bool:
        """Wait for the objects for a while, and tell of those that are final. Return whether Ray still runs.

        A method of its own: its variables must not keep references while the thread waits for new objects.
        """
        self._take(block=not self._watched and not self._dropped)
        if self._is_closed or not ray.is_initialized():
            return False
        refs = [*self._watched, *(ref for ref in self._dropped if ref not in self._watched)]
        decided = [ref for ref, them in self._watched.items() if any(each.record.verdict for each in them)]
        try:
            ready = ray.wait(refs, num_returns=1, timeout=0 if decided else LOOK_S, fetch_local=False)[0]
            if ready and len(refs) > 1:
                ready = ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)[0]
            self._fetch([ref for ref in ready if ref in self._watched and ref not in decided])
        except (Exception, SystemExit):  # noqa: BLE001 - Ray is shut down, which it tells by SystemExit
            return False
        for ref in {*ready, *decided}:
            self._tell(ref)
        return True

    def _fetch(self, refs: list[Any]) -> None:
        """Tell later of those of the final objects that are on other nodes: whoever is told reads without a wait."""
        away = ray.wait(refs, num_returns=len(refs), timeout=0, fetch_local=True)[1] if refs else ()
        for ref in away:
            tell = partial(_call_all, self._watched.pop(ref))
            ref.future().add_done_callback(lambda fetched, tell=tell: self._new.put(partial(tell, fetched)))

    def _take(self, block: bool) -> None:
        try:
            while True:
                new = self._new.get(block)
                block = False
                if type(new) is _Watched:
                    self._watched.setdefault(new.record.ref, []).append(new)
                elif type(new) is Dropped:
                    self._dropped[new.ref] = new
                elif callable(new):
                    _call(new)
        except Empty:
            pass

    def _tell(self, ref: Any) -> None:
        _call_all(self._watched.pop(ref, ()))
        dropped = self._dropped.pop(ref, None)
        if dropped is not None:
            _call(lambda: self._on_dropped_end(dropped))


def _call_all(watched: Iterable[_Watched], fetched: Any = None) -> None:
    """Call back. `fetched` keeps the value on this node meanwhile."""
    for each in watched:
        _call(each.callback)
    del fetched


def _call(function: Callable[[], None]) -> None:
    """Call a function. Its error does not keep the others from being told."""
    try:
        function()
    except Exception:
        logging.getLogger("nbactors").exception("the end of a call could not be told")
