"""`Verbs`: what user code does in a simulated process, in a session or in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.definitions.metadata import ActorMeta, FunctionMeta, MethodMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.local.connections import node_link
from nbactors.local.wire import messages
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions, TaskOptions
from nbactors.options.actor_options import ActorOptions
from simulation.subject import Handle, Steps, Subject, task

if TYPE_CHECKING:
    from simulation.ledger import Ledger
    from simulation.plan import Create
    from simulation.process import SimulatedProcess

_RUN = MethodMeta("run", ANYTHING)
_CALL_OPTIONS: dict[tuple[int | None, bool], CallOptions] = {}
_TASK_OPTIONS: dict[tuple[int, bool], TaskOptions] = {}


class Verbs:
    """The verbs of one process.

    Args:
        process: The process, whose engine carries them out.
        ledger: Notes the calls.
    """

    def __init__(self, process: SimulatedProcess, ledger: Ledger) -> None:
        self._process = process
        self._ledger = ledger
        self._task = FunctionMeta(task, "task", ANYTHING)

    def create(self, wanted: Create, things: list[Any]) -> Handle:
        """Create an actor."""
        meta = ActorMeta("Subject", Subject.__module__, {}, max_task_retries=wanted.max_task_retries)
        options = ActorOptions(
            max_restarts=wanted.max_restarts,
            max_concurrency=wanted.max_concurrency,
            max_task_retries=wanted.max_task_retries,
        )
        arguments = (wanted.actor, wanted.kind, *things)
        link, _, hold = self._process.engine.create_actor(meta, Subject, options, arguments, {})
        return Handle(link, wanted.actor, hold)

    def call(
        self,
        handle: Handle,
        number: int,
        retries: int | None,
        steps: Steps,
        retries_errors: bool = False,
        things: Any = (),
    ) -> ObjectRef[Any]:
        """Call an actor."""
        options = _CALL_OPTIONS.get((retries, retries_errors))
        if options is None:
            options = CallOptions(max_task_retries=retries, retry_exceptions=retries_errors)
            options = _CALL_OPTIONS.setdefault((retries, retries_errors), options)
        ref = handle.link.call(_RUN, (number, steps, *things), {}, options, handle.hold)
        if retries is None:
            retries = handle.link._max_retries
        self._ledger.submitted(
            self._process,
            number,
            handle.name,
            retries,
            retries_errors,
            bool(things),
            ref._entry,
            is_weak=handle.hold is None,
        )
        return ref

    def submit(
        self, number: int, retries: int, steps: Steps, retries_errors: bool = False, things: Any = ()
    ) -> ObjectRef[Any]:
        """Submit a task."""
        options = _TASK_OPTIONS.get((retries, retries_errors))
        if options is None:
            options = _TASK_OPTIONS.setdefault(
                (retries, retries_errors), TaskOptions(max_retries=retries, retry_exceptions=retries_errors)
            )
        ref = self._process.engine.submit_task(self._task, (number, steps, *things), {}, options)
        self._ledger.submitted(self._process, number, 0, retries, retries_errors, bool(things), ref._entry)
        return ref

    def put(self, value: Any) -> ObjectRef[Any]:
        """Store a value."""
        ref: ObjectRef[Any] = self._process.engine.put(value)
        return ref

    def kill(self, handle: Handle, no_restart: bool) -> None:
        """Kill an actor, without waiting for the node's answer."""
        node, actor_id = self._process.node, handle.link.actor_id
        request = node_link._Request()
        rid = node.number()
        request.message = messages.KillActor(rid, actor_id, no_restart)
        request.connection = node._connection
        node._waiting[rid] = request
        node._connection.send_now(request.message)
        if node.lost:
            request.finish()
        self._ledger.requests.append((self._process, request))

    def cancel(self, ref: ObjectRef[Any], number: int, force: bool) -> None:
        """Cancel a call."""
        record = self._ledger.records.get(number)
        if record is not None:
            record.is_canceled = True
            self._process.engine.cancel(ref, force and not record.target, True, False)
