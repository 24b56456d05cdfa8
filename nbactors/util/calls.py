"""Cancelling calls and interrupting actors: the calls of this process, and those of all processes of this user.

`pending_calls` and `cancel_all` are about the calls of this process. `cancel_call` and `interrupt_actor` work from any
process of the user, without a session: they need no main thread of the process that has made the calls. In a session on
a Ray cluster they are about the calls and actors there.
"""

from __future__ import annotations

from typing import Any

from nbactors import engine
from nbactors.exceptions import NodeMissingError
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.options.checks import check_bool
from nbactors.util import call_ids

__all__ = ["call_id", "cancel_all", "cancel_call", "interrupt_actor", "kill_actor", "pending_calls"]

TIMEOUT_S = 5.0
"""Seconds to wait for the answers of processes. An answer takes some milliseconds on an idle machine."""


def pending_calls() -> list[dict[str, Any]]:
    """Return a row for each call of this process that has not returned; none where no session is open. Never blocks.

    Returns:
        `call` (such as "Counter.increment"), `actor_id` (hexadecimal digits, "" for a task), `sent` (False while it
        waits in this process for its arguments, its actor or a worker), `plain` (True for a method of an actor without
        `async def`: once it runs, only an interrupt ends it).
    """
    running = engine.running()
    if running is None:
        return []
    return [
        {"call": call.label, "actor_id": call.actor_id.hex(), "sent": call.sent, "plain": call.plain}
        for call in running.pending_calls()
    ]


def cancel_all(*, force: bool = False, interrupt: bool = False) -> int:
    """Cancel every pending call of this process, and the calls that these have made. Returns at once.

    Args:
        force: End the processes of running tasks. Calls of actors are cancelled as without it.
        interrupt: Raise KeyboardInterrupt in running plain methods, too; see `nbactors.cancel`.

    Returns:
        How many calls were cancelled.

    Raises:
        TypeError: An argument is no bool.
        ValueError: Both arguments are True.
    """
    _check_modes("cancel_all", force, interrupt)
    running = engine.running()
    return running.cancel_all(force, interrupt) if running is not None else 0


def call_id(ref: ObjectRef[Any] | ObjectRefGenerator[Any]) -> str:
    """Return the id that `nbactors.util.state.list_tasks` has for the call that returns a reference. Never blocks."""
    return engine.observe().call_id(ref.completed() if isinstance(ref, ObjectRefGenerator) else ref)


def cancel_call(
    task_id: str | ObjectRef[Any] | ObjectRefGenerator[Any],
    *,
    force: bool = False,
    interrupt: bool = False,
    timeout: float = TIMEOUT_S,
) -> str:
    """Cancel a call of any process of this user, and the calls that it has made. Needs no session. Any thread.

    Has the effect of `nbactors.cancel`. The caller's background thread cancels the call. If the caller has ended, or
    does not answer within half a second (it keeps the GIL, or a signal has stopped it), the worker that runs the call
    is asked instead. Blocks until the call is cancelled, not until it has ended.

    Example: `cancel_call(list_tasks(filters=[("state", "=", "RUNNING")])[0].task_id, interrupt=True)`.

    Args:
        task_id: The id as in `nbactors.util.state.list_tasks`, 48 hexadecimal digits; or the short id as in
            `nbactors list`, such as "3f9a-17"; or a reference that the call returns.
        force: End a task's process, and do not retry the task. Not allowed for an actor's calls.
        interrupt: Raise KeyboardInterrupt in a running method of an actor without `async def`, too.
        timeout: Seconds to wait for answers.

    Returns:
        "CANCELLED", or "ENDED" if the call had ended before.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: No call or several calls have this id, it is the construction of an actor, `force` is given for an
            actor's call, or `force` and `interrupt` are given both.
        NodeMissingError: No node runs, which knows the calls.
        TimeoutError: Neither the caller nor a worker has answered in time.
    """
    _check_modes("cancel_call", force, interrupt)
    observer = engine.observe()
    if not isinstance(task_id, str):
        if not isinstance(task_id, ObjectRef | ObjectRefGenerator):
            raise TypeError(f"cancel_call() takes the id of a call, or a reference. Got: {task_id!r:.80}")
        whole = call_id(task_id)
    elif call_ids.is_whole(task_id.lower()):
        whole = task_id.lower()
    else:
        rows = observer.tasks(timeout).tasks
        if not rows and observer.node_status(with_actors=False) is None:
            raise NodeMissingError("no node runs, so no call is known by a short id")
        whole = call_ids.find(task_id, rows)["task_id"]
    if whole.startswith(_CONSTRUCTION):
        raise ValueError("the construction of an actor cannot be cancelled; `nbactors.kill` ends the actor")
    return observer.cancel_call(whole, force, interrupt, timeout)


def interrupt_actor(actor: Any, timeout: float = TIMEOUT_S) -> int:
    """Interrupt every call that runs in an actor now, whichever process has made it. Needs no session. Any thread.

    Synchronous methods get KeyboardInterrupt and `async def` methods are cancelled, as by
    `nbactors.cancel(ref, interrupt=True)`: `get` raises TaskCancelledError, and the actor lives on. Calls that wait
    stay, and run next. The actor's process needs no caller for that, so the callers may hang. A running constructor
    goes on.

    Example: `interrupt_actor("model")`.

    Args:
        actor: A handle, the actor's id in hexadecimal digits, or its name.
        timeout: Seconds to wait for the answer.

    Returns:
        How many calls were interrupted.

    Raises:
        TypeError: `actor` is neither.
        ValueError: No actor or several actors have this id or name, or the actor has no process yet.
        RayActorError: The actor is dead.
        NodeMissingError: No node runs.
        TimeoutError: The actor's process has not answered in time.
    """
    return engine.observe().interrupt_actor(actor, timeout)


def kill_actor(actor: Any, timeout: float = TIMEOUT_S) -> None:
    """End an actor at once, as `nbactors.kill` does, by its id or name. Needs no session and no handle. Any thread.

    Example: `kill_actor("model")`.

    Args:
        actor: A handle, the actor's id in hexadecimal digits, or its name.
        timeout: Seconds to wait for the node's answer. The process has been told to end by then.

    Raises:
        ValueError: No actor or several actors have this id or name.
        NodeMissingError: No node runs.
        TimeoutError: The node has not answered in time.
    """
    engine.observe().kill_actor(actor, timeout)


_CONSTRUCTION = "f" * 16
"""How the id of an actor's construction begins, as in Ray."""


def _check_modes(verb: str, force: bool, interrupt: bool) -> None:
    for name, value in (("force", force), ("interrupt", interrupt)):
        check_bool({name: value}, name)
    if force and interrupt:
        raise ValueError(f"{verb}(force=True, interrupt=True): either end the processes, or interrupt what runs.")
