"""Cancels a call, or interrupts what an actor runs, as any process of the user. Needs no session.

    this process ──CancelCall──► caller ──Cancel──► worker
         └───CancelJobs, if the caller does not answer───┘

A call is cancelled by its caller, which has the call's queue, retries and references. The caller's background thread
answers, whatever the main thread does. Only a process whose code keeps the GIL, or that a signal has stopped, does not
answer. Then the worker cancels the job without the caller, which still reads the question when it goes on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from time import monotonic

from nbactors.local.stack_of_actor import ask, ask_actor
from nbactors.local.wire import ids, messages
from nbactors.local.wire.cancel_mode import CancelMode

CALLER_S = 0.5
"""Seconds in which the caller answers before the worker is asked. An answer takes a millisecond on an idle machine."""

CANCELLED, ENDED = "CANCELLED", "ENDED"

_REFUSED = (
    "force=True is not supported for actor tasks: it would end the actor. `nbactors.kill` does that; interrupt=True "
    "stops a running synchronous method and leaves the actor."
)


def cancel_call(
    directory: str,
    task_id: bytes,
    force: bool,
    interrupt: bool,
    timeout: float,
    find: Callable[[float], messages.TaskRow | None],
) -> str:
    """Cancel a call. Blocks. Any thread. For the result and the errors see `nbactors.util.calls.cancel_call`.

    Args:
        directory: The node's directory.
        task_id: The call.
        force: See `nbactors.cancel`.
        interrupt: See `nbactors.cancel`.
        timeout: Seconds to wait for answers.
        find: Returns the node's row of the call, None if it is unknown, within the given seconds.
    """
    ends = monotonic() + timeout
    caller = ids.owner_of(task_id)
    question = messages.CancelCall(ids.number_of(task_id), force, interrupt)
    is_gone = False
    try:
        return _outcome(ask(directory, caller, question, messages.Canceled, min(timeout, CALLER_S)))
    except TimeoutError:
        pass
    except ConnectionError:
        is_gone = True
    row = find(max(ends - monotonic(), CALLER_S))
    if row is None:
        raise ValueError(f"no call with the id {task_id.hex()} is known: list_tasks() tells which there are")
    if row.ended:
        return ENDED
    if force and row.kind != "NORMAL_TASK":
        raise ValueError(_REFUSED)
    # A task whose process is killed would be tried again by the caller, which has not read the question yet.
    if row.worker and (is_gone or not force):
        job = messages.CancelJobs(task_id, CancelMode.of(force, interrupt))
        nudge = _signaller(row.pid) if not force and (interrupt or row.kind == "NORMAL_TASK") else None
        try:
            return _outcome(
                ask(directory, row.worker, job, messages.Canceled, max(ends - monotonic(), CALLER_S), nudge)
            )
        except ConnectionError:  # the worker has ended
            return ENDED if is_gone else CANCELLED
    if is_gone:
        return ENDED
    try:
        return _outcome(ask(directory, caller, question, messages.Canceled, max(ends - monotonic(), CALLER_S)))
    except ConnectionError:
        return ENDED
    except TimeoutError:
        raise TimeoutError(
            f"the process that has made the call has not answered within {timeout:g} seconds: its code keeps the GIL, "
            "or it is stopped by a signal. It cancels the call when it goes on."
        ) from None


def _outcome(answer: messages.Canceled) -> str:
    if answer.is_refused:
        raise ValueError(_REFUSED)
    return CANCELLED if answer.count else ENDED


def interrupt_actor(directory: str, rows: Sequence[messages.ActorRow], timeout: float) -> int:
    """Interrupt all calls that run in an actor; return their number. Blocks. Any thread.

    For the errors see `ask_actor`.

    Args:
        directory: The node's directory.
        rows: The node's row for the actor, or empty.
        timeout: Seconds to wait for the answer.
    """
    question = messages.CancelJobs(b"", CancelMode.INTERRUPT)
    nudge = _signaller(rows[0].pid) if rows and rows[0].state == "ALIVE" else None
    return ask_actor(directory, rows, question, messages.Canceled, timeout, "running calls", nudge).count


def _signaller(pid: int) -> Callable[[], None]:
    """Return what sends a worker SIGINT: native code that keeps the GIL, such as `re`, then lets the GIL go.

    The worker reads the question in its handler, and decides what the signal interrupts; without a question, nothing.
    """

    def send() -> None:
        if pid:
            try:
                os.kill(pid, signal.SIGINT)
            except OSError:  # the worker has ended; its socket is about to tell so
                pass

    return send
