"""`PendingEvents`: the task events of calls at their submitter: the calls that wait, and those that fail there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.limits import MAX_NAME
from nbactors.local.task_events import error_types
from nbactors.local.task_events.recorder import MOST, YOUNG_S, Recorder
from nbactors.local.wire import ids, messages

if TYPE_CHECKING:
    from nbactors.views.summaries import CallFacts


class Pending(Protocol):
    """A call that has not returned, see `PendingCall`."""

    number: int
    origin: int
    parent_id: bytes
    submitted: float
    awaited: Any
    target: Any
    connection: Any

    def facts(self) -> CallFacts:
        """Return a summary of the call."""


class PendingEvents:
    """Makes rows of the calls that this process has submitted. Any thread.

    Args:
        process_id: This process's id, 16 bytes.
        recorder: Gets the rows.
        pending: Returns the calls of this process that have not returned.
    """

    def __init__(self, process_id: bytes, recorder: Recorder, pending: Callable[[], Iterable[Pending]]) -> None:
        self._process_id = process_id
        self.recorder = recorder
        self._pending = pending

    def live(self, now: float) -> tuple[list[messages.TaskRow], set[int]]:
        """Return the pending calls that are not young, and the origins of the young ones."""
        before = now - YOUNG_S
        pending = [call for call in self._pending() if call.submitted]
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
        self, call: Pending, state: str, awaited: str, ended: float = 0.0, kind: str = "", error: str = ""
    ) -> messages.TaskRow:
        facts = call.facts()
        label = facts.label[:MAX_NAME]
        return messages.TaskRow(
            task_id=ids.task_id(self._process_id, call.number),
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
        )
