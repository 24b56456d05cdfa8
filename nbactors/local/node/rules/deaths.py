"""Texts for the user that say why a process ended."""

from __future__ import annotations

import signal

from nbactors.local.wire.messages import NO_RUNTIME_ENV

_MEANINGS = {
    "SIGKILL": "somebody killed it, or the system did so for lack of memory",
    "SIGSEGV": "a crash in native code: an extension module touched memory that it does not own",
    "SIGBUS": "a crash in native code, or memory that could not be had",
    "SIGABRT": "native code gave up, for instance after a failed assertion",
    "SIGILL": "native code that was built for another processor",
    "SIGFPE": "a crash in native code, for instance an integer division by zero",
    "SIGTERM": "somebody asked it to end",
}

CRASHES = ("crashed", "out_of_memory")
"""The kinds of a process's end after which an actor restarts."""

KILLED = "it was killed by `ray.kill`."
OUT_OF_SCOPE = (
    "all handles to it had gone out of scope; a weak handle, as from get_actor(), does not keep it alive. Keep the "
    "handle that .remote() has returned, or create the actor with lifetime='detached'."
)
SESSION_ENDED = "the session that it belonged to has ended."
NODE_STOPPED = "the node was stopped (`nbactors stop`), and with it everything that ran."
UNKNOWN = "the node knows no actor of this id. It might be dead or it's from a different cluster."


def owner_died(pid: int) -> str:
    """Return why an actor ends whose creator has ended."""
    return f"its owner has died: the process that created it (pid {pid}) has ended, and it is not detached."


def how(pid: int, status: int | None, tail: str, was_registered: bool) -> str:
    """Return how a worker process ended.

    Args:
        pid: The process id, 0 if the process never existed.
        status: Exit code, negative for a signal, None if unknown.
        tail: The last lines of its stderr.
        was_registered: False if it ended before it was ready for work.
    """
    process = f"its worker process (pid {pid})" if pid else "its worker process"
    when = "" if was_registered else " before it was ready for work"
    if status is None:
        ended = f"{process} has ended{when}; how is not known."
    elif has_no_runtime_env(status, was_registered):
        ended = f"{process} could not apply its runtime_env."
    elif status < 0:
        name = _signal_name(-status)
        meaning = _MEANINGS.get(name, "")
        ended = f"{process} was killed by {name}{when}{f' ({meaning})' if meaning else ''}."
    else:
        ended = f"{process} exited unexpectedly with exit code {status}{when}."
    if tail:
        ended += " The last lines of its stderr:\n" + "\n".join(f"    {line}" for line in tail.splitlines())
    return ended


def oom_killed(pid: int) -> str:
    """Return how a worker process ended that the kernel has killed for lack of memory."""
    return (
        f"its worker process (pid {pid}) was killed by the kernel's OOM killer (SIGKILL, and the count of oom_kill has "
        "risen just then): the machine or the container had no memory left. Use less at the same time, or set a "
        "memory_limit; the node ends tasks and actors before the kernel does if memory does not run out too fast "
        "(NBACTORS_MEMORY_THRESHOLD)."
    )


def has_no_runtime_env(status: int | None, was_registered: bool) -> bool:
    """Return whether a worker process ended because it could not apply its runtime_env."""
    return status == NO_RUNTIME_ENV and not was_registered


def not_started(error: str) -> str:
    """Return why a worker process was never started."""
    return f"its worker process could not be started: {error}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
