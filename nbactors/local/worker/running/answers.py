"""What callers get back: values, yielded values and errors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.exceptions.hints import hint
from nbactors.local.wire import failures, messages, pickling
from nbactors.local.worker.inspecting.snapshot import snapshot
from nbactors.local.worker.inspecting.traces import clear, user_traceback

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.member import Process
    from nbactors.local.objects.held import Held
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.printing.output_pipes import OutputPipes

FLUSH_S = 0.001
"""Answers are gathered for this long while further calls are waiting."""


class Answers:
    """Sends them. Any thread.

    Args:
        is_busy: Whether more calls are waiting, so that answers are better gathered.
        output: The output of a call goes out before its answer.
    """

    def __init__(self, process: Process, is_busy: Callable[[], bool], output: OutputPipes) -> None:
        self._process = process
        self._is_busy = is_busy
        self._output = output
        self._flushed = 0.0
        self._main_thread = threading.main_thread().ident
        self.invoke: Callable[..., Any] | None = None
        """Calls the user's code for a job, so that it may be interrupted: `Interrupts.invoke`."""

    def give(self, job: Job, result: Any) -> None:
        """A call has returned.

        Raises:
            KeyboardInterrupt: It was interrupted while its result was pickled.
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
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
            self.fail(job, error)
            return
        self._send_results(job.connection, message.number, parts)

    def give_yielded(self, job: Job, index: int, value: Any) -> None:
        """A generator has yielded.

        Raises:
            TypeError: The value cannot be pickled.
        """
        number = job.message.number
        data = pickling.dumps_atom(value)
        if data is None:
            held = self._hold(job, value)
            if not held.plain:
                packed, fds = self._process.values.pack(job.connection, held, False)
                job.connection.send_now(messages.Yielded(number, index, b"", packed), fds)
                # To read which segments are free again: the next value goes into one that is in the processor's cache.
                self._process.reactor.visit()
                return
            data = held.data
        self.send(job, messages.Yielded(number, index, data))

    def end_stream(self, job: Job) -> None:
        """A generator has ended."""
        job.connection.send_now(messages.Reply(job.message.number, _NONE))

    def fail(self, job: Job, error: BaseException) -> None:
        """A call has raised."""
        message = job.message
        retriable = isinstance(message, messages.Run) and _is_retriable(message.retry_exceptions, error)
        trace, explanation = user_traceback(error), hint(error)
        if explanation:
            trace = f"{trace}\n{explanation}"
        # Only a notebook has a debugger to show them in; a script's failures stay as cheap as they are.
        frames = snapshot(error) if message.origin else ()
        data = failures.encode_task_error(job.name, trace, error, os.getpid(), frames)
        clear(error)
        self.send(job, messages.Results(message.number, [messages.Value(data, error=True)], retriable))

    def fail_canceled(self, job: Job, error: BaseException) -> None:
        """A call was cancelled, and `error` came out of it: the answer tells where it was by then."""
        canceled = exceptions.TaskCancelledError(job.task_id.hex())
        trace = user_traceback(error) if error.__traceback__ is not None else "Traceback (most recent call last):"
        text = f"{trace.rstrip()}\n{type(canceled).__module__}.{type(canceled).__name__}: {canceled}"
        data = failures.encode_task_error(job.name, text, canceled, os.getpid())
        clear(error)
        self.send(job, messages.Results(job.message.number, [messages.Value(data, error=True)]))

    def refuse(self, job: Job, cancel: messages.Cancel, phase: str, detail: str = "") -> None:
        """A call was cancelled."""
        data = failures.canceled(job.task_id, cancel, phase, detail)
        job.connection.send_now(messages.Results(job.message.number, [messages.Value(data, error=True)]))

    def send(self, job: Job, message: Any) -> None:
        """Send an answer: now, or with the next few if more calls are waiting.

        A call that takes long delays answers before it by one tick at most: then the background thread sends them.
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
        return self._process.values.hold_pickled(self.invoke(job, pickling.dumps, value))

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
        values: list[messages.Value] = []
        fds: list[int] = []
        for held in parts:
            value, more = self._process.values.pack(connection, held, False)
            values.append(value)
            fds += more
        connection.send(messages.Results(number, values), fds)
        connection.flush()


_NONE = pickling.dumps(None).data


def _is_retriable(allowed: bytes, error: BaseException) -> bool:
    if not allowed or not isinstance(error, Exception):
        return False
    if allowed == b"*":
        return True
    types = pickling.loads(allowed)
    return isinstance(error, tuple(types) if isinstance(types, list) else types)
