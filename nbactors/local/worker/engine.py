"""The engine of a worker: the local engine, with the worker's own facts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbactors.engine.base import FoundActor, RuntimeFacts
from nbactors.frontend.bar import BarState
from nbactors.local.session.engine import LocalEngine
from nbactors.local.wire import messages
from nbactors.local.worker.running.ending import ActorExit

if TYPE_CHECKING:
    from nbactors.local.member import Process
    from nbactors.local.worker.running.executor import Executor


class WorkerEngine(LocalEngine):
    """The current engine in every worker.

    Attributes:
        assign: The node's assignment. There is none before `take`.
    """

    assign: messages.Assign

    def __init__(self, process: Process, executor: Executor) -> None:
        super().__init__(process, b"", "")
        self._executor = executor

    def take(self, assign: messages.Assign) -> None:
        """Take over an assignment: the first one, and a task worker's with each lease."""
        self.assign = assign
        self.job_id, self._namespace = assign.job_id, assign.namespace

    def runtime_facts(self) -> RuntimeFacts:
        assign = self.assign
        running = self._executor.current_job()
        return RuntimeFacts(
            node_id=self.node_id,
            job_id=assign.job_id,
            worker_id=self.process.process_id,
            namespace=assign.namespace,
            is_driver=False,
            actor_id=assign.actor_id,
            actor_name=assign.name,
            task_id=running.task_id if running is not None else b"",
            task_name=running.label if running is not None else "",
            function_name=f"{running.module}.{running.name}" if running is not None else "",
            assigned_resources=dict(assign.resources),
            gpu_ids=list(assign.gpu_ids),
            is_canceled=running is not None and running.cancel is not None,
            was_restarted=assign.restarts > 0,
        )

    def current_actor(self) -> FoundActor:
        if not self.assign.actor_id or self._executor.hosted.cls is None:
            return super().current_actor()
        from nbactors.actor import actor_meta  # noqa: PLC0415 - the public class is above the seam

        up = messages.ActorUp(self.assign.actor_id, self.process.process_id, os.getpid())
        meta = actor_meta(self._executor.hosted.cls)._replace(groups=self._executor.groups)
        return self.process.actors.own(up), meta, None

    def calling_cell(self) -> int:
        return self.process.origin()

    def report_bar(self, state: BarState) -> bool:
        job, origin = self.process.caller()
        origin = state.cell or origin
        if not origin:
            return False
        call = job.cancel_id if job is not None else state.call
        self.process.node.send(messages.Bar.of(state._replace(cell=origin, call=call)))
        return True

    def exit_actor(self) -> None:
        if not self.assign.actor_id:
            super().exit_actor()
        reason = ActorExit("exit_actor() is called.")
        self._executor.exit_called(reason)
        raise reason

    def hosted_class(self) -> type | None:
        return self._executor.hosted.cls

    def shutdown(self) -> None:
        """Do nothing: a worker's membership ends with its process."""

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "worker_id": self.process.process_id.hex()}
