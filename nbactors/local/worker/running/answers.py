"""Answers to callers: values, yielded values and errors."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.exceptions import reasons
from nbactors.exceptions.hints import hint
from nbactors.exceptions.user_traceback import clear, user_traceback
from nbactors.in_worker.snapshot import snapshot
from nbactors.local.task_events import error_types
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.worker.memory.limit import is_lack as is_lack_of_memory
from nbactors.pickling import pickling
from nbactors.speedups.worker import AnswersBase, LaneBase

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.held import Held
    from nbactors.local.objects.values import Values
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.memory.limit import MemoryLimit
    from nbactors.local.worker.printing.output_pipes import OutputPipes
    from nbactors.local.worker.running.taking import Taken

FLUSH_S = 0.001
"""Seconds for which answers are gathered while further calls wait."""


class Answers(AnswersBase):
    """Sends answers. Methods run on any thread.

    Args:
        values: Packs the values that calls return.
        reactor: The event loop.
        is_busy: Returns whether more calls wait, so that answers are better gathered.
        output: Sends the output of a call, which goes before the call's answer.

    Attributes:
        backlog: What alone tells whether more calls wait, so that `is_busy` need not be called: the queue of the main
            thread, or the only lane; None if more is to be looked at.
    """

    def __init__(self, values: Values, reactor: Reactor, is_busy: Callable[[], bool], output: OutputPipes) -> None:
        self._values = values
        self._reactor = reactor
        self._is_busy = is_busy
        self.backlog: deque[Any] | LaneBase | None = None
        self._output = output
        self._flushed = 0.0
        self._main_thread = threading.main_thread().ident
        self.memory: MemoryLimit | None = None
        """The limit of this worker's memory, which explains a MemoryError."""
        self.invoke: Callable[..., Any] | None = None
        """Calls user code for a job so that it can be interrupted: `Interrupts.invoke`."""

    def give(self, job: Job, result: Any, is_relieved: bool = False) -> None:
        """Answer with the result of a call. For most small results this is one step, `_give_quickly`, if compiled.

        Args:
            job: The call.
            result: What it has returned.
            is_relieved: Whether the memory limit was raised for the answer already.

        Raises:
            KeyboardInterrupt: The call was interrupted while its result was pickled.
        """
        message = job.message
        try:
            if message.num_returns == 1:
                data = pickling.dumps_atom(result)
                if data is not None:
                    self.send(job, messages.Reply(message.number, data))
                    return
                held = self._hold(job, result)
                if held.plain:
                    self.send(job, messages.Reply(message.number, held.data))
                    return
                parts = [held]
            else:
                parts = self._split(job, result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an exception of user code is the call's answer
            memory = self.memory
            if memory is None or is_relieved or not isinstance(error, MemoryError) or not memory.relieve():
                self.fail(job, error)
                return
        else:
            self._send_results(job.connection, message.number, parts)
            return
        # The method has left nothing of its memory. A small result gets through with a little more.
        self.give(job, result, is_relieved=True)

    def give_taken(self, job: Job, taken: Taken) -> None:
        """Answer with what a generator has yielded; what is missing of the results is the generator's error.

        An error after all results has no place among them. It goes to the worker's stderr, as in Ray.

        Raises:
            KeyboardInterrupt: The call was interrupted while a value was pickled.
        """
        values, error = taken
        count = job.message.num_returns
        if not values and error is not None:
            self.fail(job, error)
            return
        if len(values) < count:
            assert error is not None
            try:
                parts = [self._hold(job, value) for value in values]
            except Exception as wrong:  # noqa: BLE001 - an exception of user code is the call's answer
                self.fail(job, wrong)
                return
            failure, is_retriable = self._failure(job, error)
            packed = [self._values.pack(job.connection, held, False) for held in parts]
            missing = [failure] * (count - len(values))
            self.send(job, messages.Results(job.message.number, packed + missing, is_retriable))
            return
        if error is not None:
            trace = user_traceback(error).rstrip()
            print(
                f"{job.name} failed after its {count} values, so no reference has its error:\n{trace}", file=sys.stderr
            )
            clear(error)
        self.give(job, values[0] if count == 1 else values)

    def give_yielded(self, job: Job, index: int, value: Any) -> None:
        """Send a value that a generator has yielded.

        Raises:
            TypeError: The value cannot be pickled.
        """
        number = job.message.number
        data = pickling.dumps_atom(value)
        if data is None:
            held = self._hold(job, value)
            if not held.plain:
                packed = self._values.pack(job.connection, held, False)
                job.connection.send_now(messages.Yielded(number, index, b"", packed))
                # The visit reads which blocks are free again. A reused one is still in the processor's cache.
                self._reactor.visit()
                return
            data = held.data
        self.send(job, messages.Yielded(number, index, data))

    def end_stream(self, job: Job) -> None:
        """Answer the call of a generator that has ended."""
        job.connection.send_now(messages.Reply(job.message.number, _NONE))

    def fail(self, job: Job, error: BaseException) -> None:
        """Answer with the exception that a call has raised."""
        failure, is_retriable = self._failure(job, error)
        self.send(job, messages.Results(job.message.number, [failure], is_retriable))

    def _failure(self, job: Job, error: BaseException) -> tuple[messages.Value, bool]:
        """Return an exception as a result of its call, and whether the call may be tried again after it."""
        message = job.message
        memory = self.memory
        is_lack = memory is not None and is_lack_of_memory(error)
        if is_lack:
            memory.relieve()  # type: ignore[union-attr]
        retriable = _is_retriable(message.retry_exceptions, error)
        trace, explanation = user_traceback(error), hint(error)
        job.failure = (error_types.EXECUTION, failures.excerpt(trace))
        if is_lack:
            explanation = memory.explain(job.name, lives_on=not job.is_task)  # type: ignore[union-attr]
        if explanation:
            trace = f"{trace}\n{explanation}"
        # Only a notebook's debugger shows frames. Calls of a script have no origin, and their failures stay cheap.
        frames = snapshot(error) if message.origin else ()
        data = failures.encode_task_error(job.label or job.name, trace, error, os.getpid(), frames)
        clear(error)
        return messages.Value(data, error=True), retriable

    def fail_canceled(self, job: Job, error: BaseException) -> None:
        """Answer a call that was cancelled and has raised `error`, whose traceback tells where the call was."""
        cancel = job.cancel
        canceled: exceptions.RayError = exceptions.TaskCancelledError(job.task_id.hex())
        kind = error_types.CANCELED
        if cancel is not None and cancel.mode is CancelMode.MEMORY:
            canceled, kind = reasons.out_of_memory(job.name, cancel.text), error_types.OUT_OF_MEMORY
        job.failure = (kind, str(canceled))
        trace = user_traceback(error) if error.__traceback__ is not None else "Traceback (most recent call last):"
        text = f"{trace.rstrip()}\n{type(canceled).__module__}.{type(canceled).__name__}: {canceled}"
        data = failures.encode_task_error(job.label or job.name, text, canceled, os.getpid())
        clear(error)
        self.send(job, messages.Results(job.message.number, [messages.Value(data, error=True)]))

    def refuse(self, job: Job, cancel: messages.Cancel, phase: str, detail: str = "") -> None:
        """Answer a call that was cancelled, without a traceback."""
        data = failures.canceled(job.task_id, cancel, phase, detail)
        job.failure = error_types.of_failure(data)
        job.connection.send_now(messages.Results(job.message.number, [messages.Value(data, error=True)]))

    def send(self, job: Job, message: Any) -> None:
        """Send an answer, unless the caller has one: at once, or together with the next ones if more calls wait.

        A long call delays the answers before it by one tick at most, after which the background thread sends them.
        """
        if job.answered:
            return
        if self._output.descriptors_origin:
            self._output.end()
        now = monotonic()
        if not self._is_busy() or now - self._flushed > FLUSH_S:
            self._flushed = now
            job.connection.send_now(message)
        elif job.thread in (0, self._main_thread):
            job.connection.send(message)
        else:
            job.connection.send_within(message, FLUSH_S)

    def _hold(self, job: Job, value: Any) -> Held:
        assert self.invoke is not None
        return self._values.hold_pickled(self.invoke(job, pickling.dumps, value))

    def _split(self, job: Job, result: Any) -> list[Held]:
        num_returns = job.message.num_returns
        if num_returns == 0:
            return []
        count = len(result)
        if count != num_returns:
            raise ValueError(f"Task returned {count} objects, but num_returns={num_returns}.")
        return [self._hold(job, part) for part in result]

    def _send_results(self, connection: Connection, number: int, parts: list[Held]) -> None:
        if self._output.descriptors_origin:
            self._output.end()
        connection.send(messages.Results(number, [self._values.pack(connection, held, False) for held in parts]))
        connection.flush()


_NONE = pickling.dumps(None).data


def _is_retriable(allowed: bytes, error: BaseException) -> bool:
    if not allowed or not isinstance(error, Exception):
        return False
    if allowed == b"*":
        return True
    types = pickling.loads(allowed)
    return isinstance(error, tuple(types) if isinstance(types, list) else types)
