"""The bases of the classes that serve a call in its worker, in the form of this process.

The C types hold the attributes that both forms of the steps use, which those classes name. In their stead stand classes
without attributes, for which no case is the usual one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.speedups.form import compiled

__all__ = [
    "AnswersBase",
    "CallerJobsBase",
    "ExecutorBase",
    "JobBase",
    "LaneBase",
    "LookoutBase",
    "LoopBase",
    "LoopPerformerBase",
    "PerformerBase",
    "know_jobs",
]

if TYPE_CHECKING:
    from nbactors.speedups._compiled import (
        AnswersBase,
        CallerJobsBase,
        ExecutorBase,
        JobBase,
        LaneBase,
        LookoutBase,
        LoopBase,
        LoopPerformerBase,
        PerformerBase,
        know_jobs,
    )
elif compiled is not None:
    AnswersBase = compiled.AnswersBase
    JobBase = compiled.JobBase
    LookoutBase = compiled.LookoutBase
    PerformerBase = compiled.PerformerBase
    ExecutorBase = compiled.ExecutorBase
    CallerJobsBase = compiled.CallerJobsBase
    LaneBase = compiled.LaneBase
    LoopBase = compiled.LoopBase
    LoopPerformerBase = compiled.LoopPerformerBase
    know_jobs = compiled.know_jobs
else:

    class JobBase:
        """A job."""

        __slots__ = (
            "answered",
            "cancel",
            "children",
            "connection",
            "deps",
            "failure",
            "interrupts",
            "is_task",
            "label",
            "launched",
            "message",
            "module",
            "name",
            "production",
            "read_at",
            "rest",
            "since",
            "task",
            "thread",
            "waits",
        )

    class CallerJobsBase:
        """The jobs of one caller."""

        __slots__ = ("events", "running", "waiting")

    class LookoutBase:
        """Begins and ends the jobs of one queue."""

        __slots__ = ("_catch_up", "_ended", "_unread_s", "is_shut_to_tasks")

        def _pop_quickly(self, queue: Any, /) -> Any:
            return None

        def _finish_quickly(self, job: Any, /) -> float | None:
            return None

    class ExecutorBase:
        """Takes calls and tasks in."""

        enqueue: Any

        def take_in(self, connection: Any, message: Any, /) -> None:
            """Take a call or task in. The leader's thread."""
            self.enqueue(connection, message)

    class LaneBase:
        """Takes calls in that run at the same time."""

        put: Any
        gather: Any

        def put_quickly(self, job: Any, /) -> None:
            """Do what `put` does. The leader's thread."""
            self.put(job)

        def gather_quickly(self, visit: Any, /) -> bool:
            """Do what `gather` does. A callback of the loop."""
            result: bool = self.gather(visit)
            return result

        def _admit_quickly(self) -> bool:
            return False

        def _launch_quickly(self, job: Any, rest: Any, /) -> bool:
            return False

        def _serve_quickly(self, lookout: Any, ident: int, /) -> None:
            pass

    class LoopBase:
        """A loop that nobody makes."""

    class LoopPerformerBase:
        """Calls methods on event loops."""

        begin: Any

        def call(self, job: Any, ends: Any, /) -> Any:
            """Call a job's method. A loop's thread."""
            return self.begin(job, ends)

    class PerformerBase:
        """Finds the methods of calls."""

        def _name_quickly(self, job: Any, /) -> bool:
            return False

        def _prepare_quickly(self, job: Any, /) -> Any:
            return None

    class AnswersBase:
        """Answers calls."""

        def _give_quickly(self, job: Any, result: Any, /) -> bool:
            return False

    def know_jobs(job: type, call: type, run: type, reply: type, /) -> None:
        """Have the steps in C serve these types."""
