"""`WorkerProcess`: what a worker of Ray has of ours: its output, its hubs, and the engine that its user code uses."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray

from nbactors.cluster.common import current, job_records
from nbactors.cluster.common.hubs import hub_named
from nbactors.cluster.common.packed_report import packed
from nbactors.cluster.common.unread import silence_ray
from nbactors.cluster.host.call import CURRENT, Call
from nbactors.cluster.host.errands import Errands
from nbactors.cluster.host.events import Events
from nbactors.cluster.host.forked import watch_forks
from nbactors.cluster.host.inspecting.user_line import UserLine
from nbactors.cluster.host.output.capture import Capture
from nbactors.cluster.host.output.lines import ACK_S, Lines
from nbactors.cluster.host.output.shown import HostBarSender, HostDisplays
from nbactors.cluster.host.output.thread_owners import ThreadOwners
from nbactors.frontend.bar import BarState
from nbactors.in_worker import breakpoints, ipython_display, questions, tqdm_bars
from nbactors.in_worker.thread_calls import ThreadCalls

EVENTS_ACK_S = 10.0
"""Seconds to wait until a batch of events has arrived, before the next one is sent all the same."""

RAY_BREAKPOINT = "ray.util.rpdb.set_trace"
"""The value of PYTHONBREAKPOINT that Ray sets in its workers."""

CLOSE_S = 1.0
"""Seconds to wait for the end of a thread, when the process ends."""

LAST_OUTPUT_S = 30.0
"""Seconds in which the last output of a process may arrive, at most: much output, and a busy session."""

_lock = threading.Lock()
_process: WorkerProcess | None = None


def of_process() -> WorkerProcess:
    """Return this process's record, and make it with the first call. Any thread."""
    global _process
    if _process is None:
        with _lock:
            if _process is None:
                _process = WorkerProcess()
    return _process


class WorkerProcess:
    """This process's output and hubs. Any thread.

    Attributes:
        label: What the lines of this process begin with: the actor's class or name, or the function of the task.
        events: The calls that this process runs, for listings.
        worker_id: Ray's id of this process, in hexadecimal digits.
    """

    def __init__(self) -> None:
        self.label = ""
        self.engine = current.of_process()
        watch_forks()
        silence_ray()
        self._errands = Errands()
        self._lines = Lines(self._send, _not_arrived)
        self._capture = Capture(self._lines)
        self._id = os.urandom(8)
        self._silent: dict[str, bool] = {}
        self._bar_senders: dict[str, HostBarSender] = {}
        self._numbers: dict[str, itertools.count[int]] = {}
        self._hubs: dict[str, Any] = {}
        self._finding = threading.RLock()
        self._on_hub: list[Callable[[Any], None]] = []
        self._facts: dict[str, Any] = {}
        self._is_closed = False
        os.register_at_fork(after_in_child=self._become_copy)
        self.worker_id = ray.get_runtime_context().get_worker_id()
        self.events = Events(self._send_events, self._facts_of_process)
        self.engine.calls.note_submission = self.events.submitted
        self.engine.show_bar = self._show_bar
        config = job_records.logging()
        if config is not None:
            from nbactors.logging_config import LoggingConfig  # noqa: PLC0415 - few sessions have one

            LoggingConfig.from_dict(config)._apply()
        tqdm_bars.install(lambda: None if self._is_closed else HostBarSender.of_caller(self))
        ipython_display.add_builtins()
        ipython_display.install(HostDisplays(self))
        ThreadCalls(ThreadOwners(self._capture.end_thread)).follow()
        line = UserLine(self.report_in_order)
        breakpoints.install(line, self.engine.calling_cell, RAY_BREAKPOINT)
        questions.install(line, self.engine.calling_cell)

    def _become_copy(self) -> None:
        """Have a forked child use no hub: Ray's threads, and those that send, are in its parent."""
        self._is_closed = self._capture.is_copy = True

    def written_since(self, position: int) -> tuple[int, str]:
        """Return what this process has written, see `Tail.since`."""
        return self._capture.tail.since(position)

    def begin(self, call: Call) -> Any:
        """Note that a call begins, and return what `end` takes. On the thread, or in the task, that runs it."""
        self._capture.begin(call)
        self.events.begin(call)
        return CURRENT.set(call)

    def split(self, call: Call, values: Sequence[Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return the positional and the keyword arguments of a call, as user code gets them."""
        return call.split(self.engine.objects.all_received(list(values))) if values else ((), {})

    def end(self, call: Call, token: Any, error: BaseException | None = None) -> None:
        """Note that a call has ended, and wait until its output has arrived. As `begin`. `error`: see `Events.end`."""
        if self.finish(call, token, error):
            self._lines.flush()

    def finish(self, call: Call, token: Any, error: BaseException | None = None) -> bool:
        """Do the same as `end`, but wait for nothing. Return whether there is output to `flush`, which blocks."""
        self.events.end(call, error)
        CURRENT.reset(token)
        return self._capture.end(call)

    def flush(self) -> None:
        """Wait until all output has arrived."""
        self._lines.flush()

    def flush_all(self) -> None:
        """Wait until all output has arrived, unfinished lines and what is left in the pipes included."""
        self._capture.drain()
        self._lines.finish_all()
        self._lines.flush()

    def close(self) -> None:
        """Send what is there, and have no thread use Ray any more: Ray aborts a process that uses it after its end."""
        self.events.close(CLOSE_S)
        self._capture.drain()
        self._lines.finish_all()
        if not self._lines.close(LAST_OUTPUT_S, CLOSE_S):
            text = "nbactors: the session did not take the last output of this process in time, so it may be lost there"
            os.write(self._capture.log_of(2), f"{text}\n".encode())
        self.engine.objects.watcher.close()
        self._is_closed = True

    def on_hub(self, use: Callable[[Any], None]) -> None:
        """Call `use` with each hub that this process gets to know."""
        self._on_hub.append(use)

    def hub(self, name: str) -> Any:
        """Return the handle of a hub, None if its session or this process has ended."""
        if self._is_closed:
            return None
        if name not in self._hubs:
            with self._finding:
                if name not in self._hubs:
                    handle = hub_named(name)
                    for use in self._on_hub if handle is not None else ():
                        use(handle)
                    self._hubs[name] = handle
        return self._hubs[name]

    def report(self, hub: str, kind: str, content: Any) -> Any:
        """Report something to a session, and return the reference of the report; None if the session has ended."""
        handle = self.hub(hub)
        return handle.report.remote(kind, (self.label, os.getpid()), content) if handle is not None else None

    def _facts_of_process(self) -> dict[str, Any]:
        if not self._facts:
            context = ray.get_runtime_context()
            hosted = self.engine.hosted
            self._facts = {
                "actor_id": (context.get_actor_id() or "") if hosted is not None else "",
                "class_name": hosted.actor_meta().class_name if hosted is not None else "",
                "node_id": context.get_node_id(),
                "worker_id": self.worker_id,
                "pid": os.getpid(),
            }
        return self._facts

    def _send_events(self, hub: str, batch: dict[str, Any]) -> None:
        arrived = self.report(hub, "events", batch)
        if arrived is not None:
            ray.wait([arrived], timeout=EVENTS_ACK_S)

    def _send(self, hub: str, batch: list[tuple[int, int, str]]) -> Iterator[Any]:
        if self.hub(hub) is not None and hub not in self._silent:
            self._silent[hub] = job_records.is_silent(hub)
        return iter(()) if self._silent.get(hub, False) else self._report_in_turn(hub, "output", batch)

    def report_in_order(self, hub: str, kind: str, content: Any) -> bool:
        """Report something after all output that was written before. Return whether that was possible."""
        if self._is_closed:
            return False
        call = CURRENT.get()
        if call is not None:
            self._capture.end(call)
        self._lines.flush()
        pieces = list(self._report_in_turn(hub, kind, content))
        _not_arrived(pieces, ACK_S)
        return bool(pieces)

    def report_later(self, hub: str, kind: str, content: Any) -> None:
        """Report something without waiting, in the order of these calls. Finalizers may call it."""
        self._errands.put(lambda: list(self._report_in_turn(hub, kind, content)))

    def _report_in_turn(self, hub: str, kind: str, content: Any) -> Iterator[Any]:
        """Report something piece by piece, and yield their references: none if the session has ended.

        The session takes these reports, and output, in the order in which the first pieces were asked for.
        """
        handle = self.hub(hub)
        if handle is None:
            return
        source = self.label, os.getpid()
        number = next(self._numbers.setdefault(hub, itertools.count(1)))
        pieces = packed(content)
        for index, piece in enumerate(pieces):
            yield handle.report.remote(kind, source, piece, self._id, number, index, len(pieces))

    def _show_bar(self, state: BarState) -> bool:
        if self._is_closed:
            return False
        # A bar that waits for calls may report on a thread that works for none, but begins on that of its call.
        sender = self._bar_senders.get(state.bar) or HostBarSender.of_caller(self)
        if sender is None:
            return False
        if state.closed:
            self._bar_senders.pop(state.bar, None)
        else:
            self._bar_senders[state.bar] = sender
        sender.send(state, state.closed)
        return True


def _not_arrived(pieces: list[Any], seconds: float) -> list[Any]:
    if not pieces:
        return []
    try:
        return list(ray.wait(pieces, num_returns=len(pieces), timeout=seconds)[1])
    except Exception:  # noqa: BLE001 - this worker is about to end
        return []
