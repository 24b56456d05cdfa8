"""`Events`: what a worker reports of the calls that it runs, for listings, panels and traces.

A call costs an entry in a dict, a tuple, and two looks at the clock. A thread makes the reports, a quarter of a second
after the first event, so short calls are one batch. Where a batch could not list all, the next one is made after a
second. The thread waits until the hub has got a batch before it makes the next one, so a process has at most one batch
under way.

Calls that user code makes here are reported, too: 16 bytes each. Their own workers report the rest.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable
from time import time
from typing import Any, TypeVar

from nbactors.cluster.common.call_report import ID_SIZE, CallReport
from nbactors.cluster.host.call import Call
from nbactors.exceptions import CallTimeoutError, TaskCancelledError

GATHER_S = 0.25
"""Seconds for which events are gathered."""

BUSY_S = 1.0
"""The same after a batch that could not list all: a batch costs this process, the hub and the session about 3 ms."""

MOST = 50
"""Short calls in one batch. Further ones are only counted."""

MOST_FAILED = 50
"""Failed calls in one batch beside these."""

MOST_LIVE = 200
"""Running calls of a process that are reported at the same time."""

MOST_TEXT = 2000
"""Characters of an error, the last ones."""

MOST_NAME = 200
"""Characters of a name."""

KEPT = 100_000
"""Ended calls that wait for the thread, the latest ones: code in C that keeps the GIL may hold it up."""

CANCELLED = "TASK_CANCELLED"
_FAILED = "TASK_EXECUTION_EXCEPTION"

_Thing = TypeVar("_Thing")
_Live = tuple[Call, float]
_Ended = tuple[Call, float, float, str, str]


class Events:
    """The reports of one process. Any thread.

    Args:
        send: Sends a batch to the hub with this name, and waits until it has arrived, for some seconds at most.
        facts: Returns `actor_id`, `class_name`, `node_id`, `worker_id` and `pid` of this process.
    """

    def __init__(self, send: Callable[[str, dict[str, Any]], object], facts: Callable[[], dict[str, Any]]) -> None:
        self._send = send
        self._facts = facts
        self._live: dict[bytes, _Live] = {}
        self._ended: deque[_Ended] = deque(maxlen=KEPT)
        self._submitted: deque[tuple[Call, bytes, float]] = deque(maxlen=KEPT)
        self._told: set[bytes] = set()
        self._sending = threading.Lock()
        self._has_news = threading.Event()
        self._pause_s = GATHER_S
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, call: Call) -> None:
        """Note that a call begins."""
        if call.submitted:
            self._live[call.number] = call, time()
            if not self._has_news.is_set():
                self._wake()

    def end(self, call: Call, error: BaseException | None) -> None:
        """Note that a call has ended, with what the caller gets raised, if anything. Later ends of it count nothing."""
        begun = self._live.pop(call.number, None)
        if begun is not None:
            self._ended.append((*begun, time(), *(_told(error) if error is not None else ("", ""))))
            if not self._has_news.is_set():
                self._wake()

    def submitted(self, result_id: bytes, at: float, parent: Call | None) -> None:
        """Note that a call has submitted another one, whose host is not told of it.

        Args:
            result_id: Ray's id of its result.
            at: The time, in seconds since 1970.
            parent: The call that has submitted it. What a thread submits, which has no call or one without a number, is
                not reported.
        """
        if parent is not None and parent.number:
            self._submitted.append((parent, result_id[:ID_SIZE], at))
            if not self._has_news.is_set():
                self._wake()

    def flush(self) -> None:
        """Send what is known now. Blocks until it has arrived, for some seconds at most."""
        with self._sending:
            facts = self._facts()
            batches: dict[str, _Batch] = {}
            for parent, key, at in _popped(self._submitted):
                keys, times = _of_hub(batches, parent).submitted.setdefault(parent.number, ([], array("d")))
                keys.append(key)
                times.append(at)
            self._add_ended(batches, facts)
            for call, started in list(self._live.values()):
                if call.number not in self._told and len(self._told) < MOST_LIVE:
                    self._told.add(call.number)
                    _of_hub(batches, call).calls.append(_report(call, facts, started))
            self._pause_s = BUSY_S if any(batch.is_full() for batch in batches.values()) else GATHER_S
            for hub, batch in batches.items():
                self._send(hub, {**facts, **batch.content()})

    def close(self, seconds: float) -> None:
        """Send what is known, and end the thread. Wait for its end for some seconds at most."""
        self._is_closed.set()
        self._has_news.set()
        self.flush()
        if self._thread is not None:
            self._thread.join(seconds)

    def _add_ended(self, batches: dict[str, _Batch], facts: dict[str, Any]) -> None:
        for call, started, ended, error_type, error in _popped(self._ended):
            batch = _of_hub(batches, call)
            if call.method != "__init__":
                outcome = "cancelled" if error_type == CANCELLED else "failed" if error_type else "finished"
                batch.totals[outcome] += 1
            was_told = call.number in self._told
            self._told.discard(call.number)
            if was_told or batch.has_room(bool(error_type)):
                batch.calls.append(_report(call, facts, started, ended, error_type, error))
            else:
                batch.unlisted[_function(call, facts)] += 1

    def _wake(self) -> None:
        self._has_news.set()
        if self._thread is None:
            with self._sending:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="nbactors-events", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not self._is_closed.is_set():
            self._has_news.wait()
            self._is_closed.wait(self._pause_s)
            self._has_news.clear()
            try:
                self.flush()
            except (Exception, SystemExit):  # noqa: BLE001 - this worker is about to end
                return


class _Batch:
    """What is reported to one hub."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.unlisted: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()
        self.submitted: dict[bytes, tuple[list[bytes], array[float]]] = {}
        self._ended = 0
        self._failed = 0

    def is_full(self) -> bool:
        """Return whether the process makes or runs so many calls that not all of them are listed."""
        return bool(self.unlisted) or sum(len(times) for _, times in self.submitted.values()) > MOST

    def content(self) -> dict[str, Any]:
        """Return it as `TaskTable.take` takes it."""
        submitted = [(parent, b"".join(keys), times.tobytes()) for parent, (keys, times) in self.submitted.items()]
        return {"calls": self.calls, "unlisted": self.unlisted, "totals": self.totals, "submitted": submitted}

    def has_room(self, has_failed: bool) -> bool:
        """Return whether one more call that has ended is reported, and count it."""
        if has_failed:
            self._failed += 1
            return self._failed <= MOST_FAILED
        self._ended += 1
        return self._ended <= MOST


def _of_hub(batches: dict[str, _Batch], call: Call) -> _Batch:
    return batches.setdefault(call.hub, _Batch())


def _popped(them: deque[_Thing]) -> Iterable[_Thing]:
    try:
        for _ in range(len(them)):
            yield them.popleft()
    except IndexError:  # none is left: the deque has dropped some
        pass


def _report(
    call: Call, facts: dict[str, Any], started: float, ended: float = 0.0, error_type: str = "", error: str = ""
) -> tuple[Any, ...]:
    kind = "NORMAL_TASK"
    if facts["actor_id"]:
        kind = "ACTOR_CREATION_TASK" if call.method == "__init__" else "ACTOR_TASK"
    function, name = _function(call, facts), call.label[:MOST_NAME]
    made = CallReport(call.number, name, function, kind, call.cell, call.parent, call.submitted, started)
    return tuple(made._replace(ended=ended, error_type=error_type, error=error))


def _function(call: Call, facts: dict[str, Any]) -> str:
    name = f"{facts['class_name']}.{call.method}" if facts["actor_id"] else call.method
    return name[:MOST_NAME]


def _told(error: BaseException) -> tuple[str, str]:
    """Return the kind of an error and its text."""
    if not isinstance(error, Exception):  # the actor has ended itself
        return "", ""
    kind = CANCELLED if isinstance(error, TaskCancelledError) and not isinstance(error, CallTimeoutError) else _FAILED
    try:
        return kind, str(getattr(error, "traceback_str", "") or error)[-MOST_TEXT:]
    except Exception:  # noqa: BLE001 - the text of a user's error is user code
        return kind, type(error).__name__
