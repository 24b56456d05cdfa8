"""Performs the jobs of an asyncio actor on its event loops."""

from __future__ import annotations

import asyncio
import inspect
import threading
import types
from collections.abc import Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any

from nbactors.local.worker.running import producing, taking
from nbactors.local.worker.running.ending import ActorExit
from nbactors.local.worker.running.interrupts import invoke
from nbactors.speedups.worker import LoopPerformerBase

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.performer import Performer


class LoopPerformer(LoopPerformerBase):
    """Calls the method of each job at once. An asynchronous job is completed by a coroutine in an asyncio task."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._hosted = performer.hosted
        self._answers = performer.answers
        self.leave_by = performer.leave_by
        self.catch_up = performer.reactor.catch_up
        self._main_thread = threading.main_thread().ident or 0
        self._invoke = invoke

    def begin(self, job: Job, ends: Callable[[Job], None]) -> Coroutine[Any, Any, None] | None:
        """Call a job's method on a loop's thread; return a coroutine that completes the job, None if it is complete.

        The usual case is `call`, where that is compiled.

        Args:
            job: The job.
            ends: Called with the job at the end of the coroutine, also if that is cancelled before it begins.
        """
        performer, hosted, is_async = self._performer, self._hosted, False
        memory, is_on_main = performer.memory, job.thread == self._main_thread
        if is_on_main:
            hosted.running = job  # what SIGINT interrupts
        if memory is not None:
            memory.__enter__()
        if not is_on_main:
            performer.window()  # made now, so that the unpickling of the arguments can be interrupted
        try:
            function, args, kwargs = performer._prepare_quickly(job) or performer.prepare(job)
            if job.cancel is not None:
                performer.refuse(job)
                return None
            if is_on_main:
                result = invoke(function, args, kwargs)
            else:
                result = self._invoke_on_group_loop(job, function, args, kwargs)
            del args, kwargs
            rest = self._rest(job, function, result, ends)
            is_async = rest is not None
            return rest
        except BaseException as error:  # noqa: BLE001 - an exception of user code is the call's answer
            performer.raised(job, error)
        finally:
            if memory is not None and not is_async:
                memory.__exit__()
            if hosted.running is job:
                hosted.running = None
        return None

    def _invoke_on_group_loop(
        self, job: Job, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a method on a group's loop thread, which no signal reaches: it is interrupted as on a pool thread."""
        window = self._performer.window()
        try:
            window.open(job)
            return invoke(function, args, kwargs)
        finally:
            window.shut()

    def _rest(
        self, job: Job, function: Callable[..., Any], result: Any, ends: Callable[[Job], None]
    ) -> Coroutine[Any, Any, None] | None:
        """Return a coroutine that completes an asynchronous call; complete another one, and return None."""
        if job.message.num_returns < 0 or _is_to_await(function, result):
            return self._await(job, result, ends)
        self._performer.deliver(job, result)
        return None

    async def _await(self, job: Job, result: Any, ends: Callable[[Job], None]) -> None:
        """Complete an asynchronous call, and answer."""
        raised: BaseException | None = None
        try:
            try:
                if job.task is None:  # it does not run in its task yet
                    await _turn()
                    job.task, job.launched = job.launched, None
                if job.cancel is None:
                    if isinstance(result, CoroutineType):
                        result = await result
                    if self._answers._give_quickly(job, result):
                        return
                    num_returns = job.message.num_returns
                    if num_returns < 0:
                        if not producing.is_generator(result):
                            raise producing.not_a_generator(job, result)
                        await producing.produce_async(self._answers, job, result)
                    elif isinstance(result, AsyncGeneratorType):
                        result = await taking.take_async(result, num_returns)
            except BaseException as error:  # noqa: BLE001 - an exception of user code is the call's answer
                raised = error
            if isinstance(result, CoroutineType) and (job.launched is not None or job.cancel is not None):
                result.close()  # it was perhaps cancelled before it began; closing an ended coroutine does nothing
            try:
                self._answer(job, result, raised)
            except MemoryError as error:  # on the way to the steps that catch it
                self._raised(job, error)
        finally:
            raised = None  # breaks the cycle of the exception and this frame, which is in its traceback
            if self._performer.memory is not None:
                self._performer.memory.__exit__()
            ends(job)

    def _answer(self, job: Job, result: Any, raised: BaseException | None) -> None:
        # From here on the job awaits nothing, so it is interrupted like a plain method. `task` is cleared before
        # `cancel` is read: a later `Cancel` is seen there, or raises an interrupt.
        job.task = None
        # A job that its caller has cancelled is answered as cancelled, even if the method has caught CancelledError.
        if job.cancel is not None:
            self._performer.refuse(job, raised or asyncio.CancelledError())
        elif raised is not None:
            self._raised(job, raised)
        elif job.message.num_returns < 0:
            self._answers.end_stream(job)
        else:
            self._hosted.enter(job)
            try:
                if isinstance(result, taking.Taken):
                    self._answers.give_taken(job, result)
                else:
                    self._answers.give(job, result)
            except KeyboardInterrupt as error:
                self._performer.raised(job, error)
            finally:
                self._hosted.leave(job)

    def _raised(self, job: Job, error: BaseException) -> None:
        """Answer with the exception of a call that its caller has not cancelled."""
        if isinstance(error, (ActorExit, SystemExit)):
            self._performer.raised(job, error)
        elif isinstance(error, asyncio.CancelledError):  # user code in the actor has cancelled it
            self._answers.fail_canceled(job, error)
        else:
            self._answers.fail(job, error)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    yield


def _is_to_await(function: Callable[..., Any], result: Any) -> bool:
    """Return whether a method's result is its own coroutine or asynchronous generator, which is still to be run.

    As in Ray, a coroutine that a plain method returns is that method's result, which cannot be pickled.
    """
    if isinstance(result, CoroutineType):
        # For most methods the first comparison decides, which is five times as fast.
        return getattr(function, "__code__", None) is result.cr_code or inspect.iscoroutinefunction(function)
    return isinstance(result, AsyncGeneratorType)
