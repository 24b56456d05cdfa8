"""`RaySession`: the engine of a session, which is a driver of Ray."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import Any

import ray

from nbactors import exceptions
from nbactors.cluster.common import hubs, job_records
from nbactors.cluster.common.context import was_restarted
from nbactors.cluster.common.hubs import NAMESPACE
from nbactors.cluster.common.packed_report import unpacked
from nbactors.cluster.common.pieces import Visits
from nbactors.cluster.hub import Hub
from nbactors.cluster.news import News
from nbactors.cluster.object_records import Record
from nbactors.cluster.observing.actor_logs import ActorLogs
from nbactors.cluster.observing.deaths import Deaths
from nbactors.cluster.preflight.checking import check_session
from nbactors.cluster.ray_engine import RayEngine
from nbactors.cluster.wanted import Wanted
from nbactors.cluster.watcher import Dropped
from nbactors.engine import interrupt_text
from nbactors.exceptions.one_line import brief
from nbactors.frontend import calling_cell, redirected
from nbactors.frontend.bar import BarState
from nbactors.frontend.sink import Sink, UnreadError
from nbactors.object_ref import ObjectRef
from nbactors.views.summaries import ActorFacts

TAKE_S = 20.0
"""Seconds of one question to the hub for reports."""

CLOSE_S = 10.0
"""Seconds to wait for the end of a thread, which the end of the hub wakes."""


class RaySession(RayEngine):
    """The engine of a session.

    Args:
        owns_ray: Whether `shutdown` ends this process's connection to Ray: the session has opened it.
        news: Shows what the workers report.
        cancels_on_interrupt: Whether an interrupt cancels the calls that the interrupted code waits for.
        reports_unread: Returns whether errors are shown that no code has read.
    """

    def __init__(
        self, owns_ray: bool, news: News, cancels_on_interrupt: bool, reports_unread: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._pid = os.getpid()
        self._owns_ray = owns_ray
        self._news = news
        self.task_table = news.task_table
        self.task_table.job_id = ray.get_runtime_context().get_job_id()
        self.calls.note_submission = self.task_table.submissions.note
        self._cancels = cancels_on_interrupt
        self._reports_unread = reports_unread
        self.objects.on_interrupt = self._on_interrupt
        self._hub_name = f"hub-{ray.get_runtime_context().get_job_id()}-{os.urandom(4).hex()}"
        if not news.shows_output:
            job_records.keep_silence(self._hub_name)
        self._hub = (
            ray.remote(Hub)
            .options(
                name=self._hub_name, namespace=NAMESPACE, num_cpus=0, max_concurrency=hubs.CAPACITY, max_restarts=-1
            )
            .remote(was_restarted)
        )
        self.wanted = Wanted(news.warn)
        self._logs = self.actor_logs = ActorLogs()
        self._deaths = Deaths()
        self._visits = Visits()
        self._taking = threading.RLock()
        self._taken: Any = None
        """Ray's reference of the reports that the hub has given, and that have not arrived yet."""
        self._arrived: deque[tuple[str, Any, Any]] = deque()
        """Reports that have not been shown yet."""
        self._is_closed = False
        self._checker: threading.Thread | None = None
        self._reader = threading.Thread(target=self._read, name="nbactors-news", daemon=True)
        self._reader.start()

    def check_cluster(self, runtime_env: Mapping[str, Any]) -> None:
        """Tell of what does not fit between this session and its cluster, in a while, from a thread of its own."""
        args = (runtime_env,)
        self._checker = threading.Thread(target=self._check_cluster, args=args, name="nbactors-preflight", daemon=True)
        self._checker.start()

    def _check_cluster(self, runtime_env: Mapping[str, Any]) -> None:
        try:
            found = check_session(runtime_env, lambda: self._is_closed)
        except (Exception, SystemExit):  # noqa: BLE001 - the session has ended meanwhile
            return
        for misfit in () if self._is_closed else found:
            self._news.warn(f"{misfit.text}: {misfit.mend}.")

    def hub_name(self) -> str:
        return self._hub_name

    def calling_cell(self) -> int:
        return calling_cell.current()

    # ------------------------------------------------------------------------------------------------------- waits

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        __tracebackhide__ = True
        try:
            return super().get(refs, timeout)
        except KeyboardInterrupt as error:
            self._on_interrupt(error, [ref._entry for ref in refs])
            raise
        finally:
            self._await_lines()

    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        try:
            return super().wait(refs, num_returns, timeout, fetch_local)
        except KeyboardInterrupt as error:
            self._on_interrupt(error, [ref._entry.call for ref in refs])
            raise
        finally:
            if timeout != 0:
                self._await_lines()

    def _await_lines(self) -> None:
        """Wait for the lines of calls that have ended, if a block has redirected the output."""
        if redirected.has_any():
            self.catch_up(redirected.WAIT_S)

    def _on_interrupt(self, error: KeyboardInterrupt, awaited: Sequence[Record]) -> None:
        """Name the awaited calls in the error of an interrupt, and cancel them if the user has chosen so."""
        calls = {record.number or record.id: record for record in awaited}
        running = [record for record in calls.values() if not record.done()]
        if self._cancels:
            self.calls.cancel(running, False, True, True)
        if not error.args:
            text = interrupt_text.of_cancelled if self._cancels else interrupt_text.of_uncancelled
            error.args = (text(len(calls), len(running)),)

    def call_in_wait(self, callback: Callable[[], None]) -> bool:
        return self._visits.ask(callback)

    def cancel_interrupted(self, ref: ObjectRef[Any]) -> None:
        self.cancel(ref, False, True, True)

    # ---------------------------------------------------------------------------------------------------- front end

    def set_sink(self, sink: Sink | None) -> None:
        super().set_sink(sink)
        self._news.sink = sink
        self.objects.pieces.visits = self._visits if sink is not None else None

    def catch_up(self, timeout: float) -> None:
        self._take(0.0, timeout)

    def report_bar(self, state: BarState) -> bool:
        cell = state.cell or calling_cell.current()
        if self.sink is None or not cell:
            return False
        self.sink.bar(state._replace(cell=cell))
        return True

    def _read(self) -> None:
        while not self._is_closed:
            if not self._take(TAKE_S, TAKE_S * 2):
                return

    def _end_reader(self) -> None:
        """End the thread that waits for reports: Ray aborts a process whose threads still use it after its end."""
        if not ray.is_initialized():
            return
        try:
            self._hub.wake.remote()
        except Exception:  # noqa: BLE001 - Ray is shut down
            return
        if self._reader is not threading.current_thread():
            self._reader.join(CLOSE_S)

    def _take(self, wait_s: float, timeout: float) -> bool:
        """Show what has been reported. Return whether the hub lives."""
        if not ray.is_initialized():
            return False
        try:
            if wait_s:
                ray.get(self._hub.await_reports.remote(wait_s), timeout=timeout)
            try:
                if self._taking.acquire(timeout=timeout):  # in the order of the reports
                    self._show_reports(timeout)
            finally:  # an interrupt may have come just after the lock was taken
                if self._taking._is_owned():  # type: ignore[attr-defined] # as `threading.Condition` asks it
                    self._taking.release()
        except ray.exceptions.GetTimeoutError:
            return True
        except (ray.exceptions.ActorUnavailableError, ray.exceptions.ObjectLostError):
            self._taken = None
            sleep(hubs.RESTART_S)  # the hub has crashed, and starts again
            return True
        except (Exception, SystemExit):  # noqa: BLE001 - Ray is shut down, which it tells by SystemExit, or unreachable
            self._taken = None
            return False
        return True

    def _show_reports(self, timeout: float) -> None:
        """Show what has been reported. Whatever ends it, the next one goes on: an interrupt, or a late answer."""
        deadline = monotonic() + timeout
        has_more = True
        while self._arrived or has_more:
            if not self._arrived:
                if self._taken is None:
                    self._taken = self._hub.take.remote()
                arrived, has_more = ray.get(self._taken, timeout=max(deadline - monotonic(), 0.0))
                self._arrived, self._taken = deque(arrived), None
            while self._arrived:
                kind, source, content = self._arrived[0]
                try:
                    self._news.show(kind, source, unpacked(content))
                except Exception:
                    self._arrived.popleft()
                    raise
                self._arrived.popleft()

    def on_dropped_end(self, dropped: Dropped) -> None:
        if dropped.is_claimed or not self._reports_unread() or self._is_closed:
            return
        from nbactors.cluster.translation import translated  # noqa: PLC0415 - for failed calls only

        try:
            ray.get(dropped.ref, timeout=0)
        except ray.exceptions.GetTimeoutError:
            return
        except ray.exceptions.RayError as raised:
            error = translated(raised)
        except Exception as raised:  # noqa: BLE001 - its class cannot be unpickled here
            error = raised
        else:
            return
        if isinstance(error, exceptions.TaskCancelledError | exceptions.ActorDiedError):
            return
        cause = getattr(error, "cause", error)
        kind = type(cause).__name__
        line = f"{kind}: {brief(str(cause))}"
        text = getattr(error, "traceback_str", line)
        self._news.unread(
            UnreadError(dropped.origin.cell, dropped.origin.label, kind, line, text, getattr(error, "pid", 0))
        )

    def facts_of(self, link: Any) -> ActorFacts:
        known = self._news.actors.get(link.actor_id)
        pid = known["pid"] if known is not None else 0
        facts = super().facts_of(link)
        cause = self._deaths.cause(link.handle)
        if cause is not None or facts.state == "dead":
            return ActorFacts("dead", pid, cause or "", facts.calls)
        return ActorFacts("starting" if known is None else "alive", pid, "", facts.calls)

    def shutdown(self) -> None:
        if self._is_closed or os.getpid() != self._pid:
            return
        self._logs.close()
        self.checkpoints.clear()
        if ray.is_initialized():  # else the user's code has ended Ray itself
            self._await_output(self._hub)
        self._take(0.0, TAKE_S)
        self.objects.watcher.catch_up()
        self._news.close()
        self._is_closed = True
        self.usage.close(CLOSE_S)
        # A call of Ray's without a connection would start a cluster. So all threads end before the connection does.
        self._end_reader()
        if self._checker is not None:
            self._checker.join(CLOSE_S)
        super().shutdown()
        if not self._news.shows_output and ray.is_initialized():
            job_records.forget_silence(self._hub_name)
        if self._owns_ray:
            if ray.is_initialized():
                ray.shutdown()
        elif ray.is_initialized():
            ray.kill(self._hub)
