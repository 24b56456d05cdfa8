"""`PendingEvents`: the task events of calls at their submitter: the calls that wait, and those that fail there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.limits import MAX_NAME
from nbactors.local.task_events import error_types
from nbactors.local.task_events.recorder import MOST, QUIET_PACE_S, YOUNG_S, Recorder
from nbactors.local.wire import ids, messages

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.views.summaries import CallFacts

REMEMBERED_S = 2 * QUIET_PACE_S
"""Seconds after its answer for which a call is remembered: longer than its worker takes to report its end."""


class Pending(Protocol):
    """A call that has not returned, see `PendingCall`."""

    number: int
    origin: int
    parent_id: bytes
    submitted: float
    awaited: Any
    target: Any
    connection: Any
    watcher: PendingEvents | None

    def facts(self) -> CallFacts:
        """Return a summary of the call."""


class PendingEvents:
    """Makes rows of the calls that this process has submitted. Any thread.

    Args:
        membership: Knows the process's id.
        recorder: Gets the rows.
        pending: Returns the calls of this process that have not returned.
    """

    def __init__(self, membership: Membership, recorder: Recorder, pending: Callable[[], Iterable[Pending]]) -> None:
        self._membership = membership
        self.recorder = recorder
        self._pending = pending
        self._answered: deque[tuple[bytes, messages.TaskRow]] = deque(maxlen=MOST)
        """The rows of reported calls that were answered lately, with the id of the process that has answered."""

    def live(self, now: float) -> tuple[list[messages.TaskRow], set[int]]:
        """Return the pending calls that are not young, and the origins of the young ones."""
        before = now - YOUNG_S
        self._forget(now)
        pending = [call for call in self._pending() if call.submitted]
        for call in islice(pending, MOST):
            call.watcher = self
        old = [call for call in pending if call.submitted < before]
        young = {call.origin for call in pending if call.submitted >= before} if len(old) < len(pending) else set()
        return [self._row(call, *self._phase(call)) for call in islice(old, MOST)], young

    def failed(self, call: Pending, error: bytes) -> None:
        """Record that a call has failed without an answer of a worker. `error` is the pickled error."""
        recorder = self.recorder
        if not recorder.has_room(MOST):
            facts = call.facts()
            recorder.count_failure(facts.label, facts.actor_id, error_types.of_failure(error)[0])
            return
        kind, text = error_types.of_failure(error)
        recorder.add(self._row(call, "FAILED", "", monotonic(), kind, text[: messages.MAX_ERROR_TEXT]))

    def answered(self, call: Pending, connection: Any, error: bytes | None = None) -> None:
        """Remember how a call has ended that the node may know as a live one. The leader's thread.

        Its worker reports that, too, and knows more. But a worker that is killed loses its last report.

        Args:
            call: The call, which still has its target.
            connection: The connection to its worker.
            error: The pickled error if the worker has answered with one.
        """
        if call.target is None:  # a repeated handling of the answer
            return
        now = monotonic()
        self._forget(now)
        kind, text = error_types.of_failure(error) if error is not None else ("", "")
        worker, pid = connection.peer_id, connection.in_flight.pid
        state = "FAILED" if kind else "FINISHED"
        row = self._row(call, state, "", now, kind, text[: messages.MAX_ERROR_TEXT], worker, pid)
        self._answered.append((worker, row))

    def worker_lost(self, process_id: bytes) -> None:
        """Report the ends of calls that a worker may not have reported, which has ended. The leader's thread."""
        self._forget(monotonic())
        for worker, row in self._answered:
            if worker == process_id and self.recorder.has_room(MOST):
                self.recorder.add(row)

    def _forget(self, now: float) -> None:
        answered = self._answered
        while answered and answered[0][1].ended < now - REMEMBERED_S:
            answered.popleft()

    @staticmethod
    def _phase(call: Pending) -> tuple[str, str]:
        """Return the state of a call, and the text of what it waits for."""
        awaited, target = call.awaited, call.target
        if awaited is not None:
            return "PENDING_ARGS_AVAIL", f"ObjectRef({awaited.id.hex()})"
        if call.connection is not None:
            return "SUBMITTED_TO_WORKER", ""
        return "PENDING_NODE_ASSIGNMENT", (target.awaited(call) if target is not None else "")[:MAX_NAME]

    def _row(
        self,
        call: Pending,
        state: str,
        awaited: str,
        ended: float = 0.0,
        kind: str = "",
        error: str = "",
        worker: bytes = b"",
        pid: int = 0,
    ) -> messages.TaskRow:
        facts = call.facts()
        label = facts.label[:MAX_NAME]
        return messages.TaskRow(
            task_id=ids.task_id(self._membership.process_id, call.number),
            state=state,
            name=label,
            function=label,
            kind="ACTOR_TASK" if facts.actor_id else "NORMAL_TASK",
            actor_id=facts.actor_id,
            parent=call.parent_id,
            origin=call.origin,
            awaited=awaited,
            submitted=call.submitted,
            arrived=0.0,
            started=0.0,
            ended=ended,
            error_type=kind,
            error=error,
            worker=worker,
            pid=pid,
        )
