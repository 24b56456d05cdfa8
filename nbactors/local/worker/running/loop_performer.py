"""Performs the jobs of an asyncio actor on its event loops."""

from __future__ import annotations

import asyncio
import inspect
import threading
import types
from collections.abc import Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any

from nbactors.local.worker.running import producing
from nbactors.local.worker.running.ending import ActorExit
from nbactors.local.worker.running.interrupts import invoke

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.performer import Performer


class LoopPerformer:
    """Begins each job at once; what remains of an asynchronous one is a coroutine, for a task of its own."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._hosted = performer.hosted
        self._answers = performer.answers
        self.leave_by = performer.leave_by
        self.catch_up = performer.reactor.catch_up
        self._main_thread = threading.main_thread().ident

    def call(self, job: Job, ends: Callable[[Job], None]) -> Coroutine[Any, Any, None] | None:
        """Call a job's method on a loop's thread; return what remains to be awaited, None if nothing does.

        Args:
            job: The job.
            ends: Called with it at the end of what is returned, also if that is cancelled before it begins.
        """
        performer = self._performer
        self._hosted.enter(job)
        if job.thread != self._main_thread:
            performer.window()  # its arguments are unpickled in it, too
        try:
            function, args, kwargs = performer.prepare(job)
            if job.cancel is not None:
                performer.refuse(job)
                return None
            if job.thread == self._main_thread:
                result = invoke(function, args, kwargs)
            else:
                result = self._invoke_on_group_loop(job, function, args, kwargs)
            del args, kwargs
            if job.message.num_returns < 0 or _is_to_await(function, result):
                rest = self._await(job, result, ends)
                # To where it waits for its turn. A task is not told that it was cancelled before it has begun, so this
                # has begun: a callback of the task, which would tell, costs a sixth of a small call.
                rest.send(None)
                return rest
            performer.deliver(job, result)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
            performer.raised(job, error)
        finally:
            self._hosted.leave(job)
        return None

    def _invoke_on_group_loop(
        self, job: Job, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a method where signals do not reach: a plain one is interrupted as on a pool thread."""
        window = self._performer.window()
        try:
            window.open(job)
            return invoke(function, args, kwargs)
        finally:
            window.shut()

    async def _await(self, job: Job, result: Any, ends: Callable[[Job], None]) -> None:
        """Finish an asynchronous call."""
        num_returns = job.message.num_returns
        raised: BaseException | None = None
        try:
            await _turn()
            job.task, job.launched = job.launched, None
            if job.cancel is None:
                if isinstance(result, CoroutineType):
                    result = await result
                if num_returns < 0:
                    if not producing.is_generator(result):
                        raise producing.not_a_generator(job, result)
                    await producing.produce_async(self._answers, job, result)
                elif isinstance(result, AsyncGeneratorType):
                    result = await producing.take_async(result, num_returns)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
            raised = error
        try:
            if isinstance(result, CoroutineType) and (job.launched is not None or job.cancel is not None):
                result.close()  # cancelled before it began; one that has ended does not mind
            self._answer(job, result, raised)
        finally:
            raised = None  # else it and this frame, which is in its traceback, would wait for the garbage collector
            ends(job)

    def _answer(self, job: Job, result: Any, raised: BaseException | None) -> None:
        # From here on nothing awaits: an interrupt is raised in it as in a plain method. Before the look at `cancel`.
        job.task = None
        # Cancelled is what its caller has cancelled, whether or not the method has swallowed it.
        if job.cancel is not None:
            self._performer.refuse(job, raised or asyncio.CancelledError())
        elif raised is not None:
            self._raised(job, raised)
        elif job.message.num_returns < 0:
            self._answers.end_stream(job)
        else:
            self._hosted.enter(job)
            try:
                self._answers.give(job, result)
            except KeyboardInterrupt as error:
                self._performer.raised(job, error)
            finally:
                self._hosted.leave(job)

    def _raised(self, job: Job, error: BaseException) -> None:
        """Answer with what a call has raised that its caller did not cancel."""
        if isinstance(error, (ActorExit, SystemExit)):
            self._performer.raised(job, error)
        elif isinstance(error, asyncio.CancelledError):  # by itself, or by code of the actor's
            self._answers.fail_canceled(job, error)
        else:
            self._answers.fail(job, error)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    yield


def _is_to_await(function: Callable[..., Any], result: Any) -> bool:
    """Return whether what a method has returned stands for work of its own that is still to be done.

    As in Ray, a plain method that returns a coroutine returns just that, which cannot be pickled.
    """
    if isinstance(result, CoroutineType):
        # The first asks the same of most methods, five times as fast.
        return getattr(function, "__code__", None) is result.cr_code or inspect.iscoroutinefunction(function)
    return isinstance(result, AsyncGeneratorType)
