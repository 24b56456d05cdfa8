"""A text of what a worker does at this moment: its calls, its other threads and its asyncio tasks.

The leader's thread makes it while the other threads run on, without a lock and without waiting. So the stacks of two
threads may be of slightly different times.
"""

from __future__ import annotations

import os
import threading
import traceback
import types
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.exceptions.user_frames import is_hidden
from nbactors.in_worker.thread_frames import current_frames

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.hosted import Hosted
    from nbactors.local.worker.jobs.job import Job

MAX_FRAMES = 100
"""The most frames that are shown of a stack; of a deeper stack, the innermost ones."""

Stack = list[tuple[types.FrameType, int]]
"""Frames of user code with their lines, outermost first."""

_ASYNCIO = f"{os.sep}asyncio{os.sep}"

_OF_NO_USER = ("nbactors-", "tqdm_monitor")
"""How the names of threads begin that run no user code. tqdm starts one with the first bar of a process."""


def describe(hosted: Hosted, running: list[Job], waiting: int) -> str:
    """Return a text of what the process does now. The leader's thread.

    Args:
        hosted: The worker's actor.
        running: The running calls.
        waiting: The number of calls that have not begun.
    """
    parts = []
    for title, since, stack in now(hosted, running):
        seconds = f", running for {monotonic() - since if since else 0.0:.1f} s" if since is not None else ""
        parts.append(_part(title + seconds, stack))
    if not parts:
        parts.append("Nothing runs.\n")
    if waiting:
        parts.append(f"{waiting} more {'call waits' if waiting == 1 else 'calls wait'}.\n")
    return "\n".join(parts).rstrip()


def now(hosted: Hosted, running: list[Job]) -> Iterator[tuple[str, float | None, Stack]]:
    """Yield what the process does now: calls, asyncio tasks, threads of user code. Any thread.

    Args:
        hosted: The worker's actor.
        running: The running calls.

    Yields:
        The title, the time at which a call has begun (None for other things, 0.0 if it is not known), and the frames.
    """
    frames = current_frames()
    main = threading.main_thread().ident
    told: set[int] = set()
    tasks = set()
    for job in _with_constructor(hosted, running):
        if job.task is not None:
            tasks.add(job.task)
            stack = _stack_of_task(job.task) or _stack(frames.get(job.thread))
        else:
            told.add(job.thread or main or 0)
            stack = _stack(frames.get(job.thread or main or 0))
        yield job.label or job.name or "a call", job.since, stack
    for task in _tasks(hosted):
        if task not in tasks:
            yield f"asyncio task {task.get_name()}", None, _stack_of_task(task)
    for thread in threading.enumerate():
        # The main thread and the threads of nbactors run user code only in calls and asyncio tasks.
        if thread.ident in told or thread is threading.main_thread() or thread.name.startswith(_OF_NO_USER):
            continue
        stack = _stack(frames.get(thread.ident or 0))
        if stack:
            yield f"thread {thread.name}", None, stack


def _with_constructor(hosted: Hosted, running: list[Job]) -> list[Job]:
    """Return the running calls, oldest first, with the constructor's call if it runs."""
    on_main = hosted.running
    if on_main is not None and on_main not in running and not hosted.made.is_set():
        running = [*running, on_main]
    return sorted(running, key=lambda job: job.since)


def _tasks(hosted: Hosted) -> Iterator[Any]:
    """Yield the asyncio tasks of the actor's loops."""
    calls = hosted.calls
    if calls is None or not calls.is_async:
        return
    import asyncio  # noqa: PLC0415 - an asyncio actor has it already

    for loop in calls.loops():
        try:
            yield from asyncio.all_tasks(loop)
        except RuntimeError:  # too many tasks begin and end just now
            continue


def _stack_of_task(task: Any) -> Stack:
    """Return the frames of an asyncio task and of the coroutines that it awaits; nothing while the task runs."""
    found: Stack = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(found) < MAX_FRAMES:
        frame, following = None, None
        for kind in ("cr", "gi", "ag"):
            frame = frame or getattr(awaited, f"{kind}_frame", None)
            following = following or getattr(awaited, f"{kind}_await", getattr(awaited, f"{kind}_yieldfrom", None))
        if frame is not None and _is_users(frame):
            found.append((frame, _line(frame)))
        awaited = following
    return found


def _stack(frame: types.FrameType | None) -> Stack:
    """Return the frames of user code on a thread, outermost first."""
    whole: list[types.FrameType] = []
    while frame is not None:
        whole.append(frame)
        frame = frame.f_back
    whole.reverse()
    # Frames before the first frame of nbactors belong to the interpreter's start, or to the start of a thread.
    first = next((index for index, frame in enumerate(whole) if is_hidden(frame.f_code.co_filename)), 0)
    while first < len(whole) and whole[first].f_code.co_filename == threading.__file__:
        first += 1
    return [(frame, _line(frame)) for frame in whole[first:] if _is_users(frame)]


def _is_users(frame: types.FrameType) -> bool:
    name = frame.f_code.co_filename
    return not is_hidden(name) and _ASYNCIO not in name and not name.startswith("<frozen")


def _part(title: str, stack: Stack) -> str:
    if not stack:
        return f"{title}\n"
    cut = stack[-MAX_FRAMES:]
    more = f"  … {len(stack) - len(cut)} more frames\n" if len(cut) < len(stack) else ""
    return f"{title}\n{more}{''.join(traceback.StackSummary.extract(iter(cut)).format())}"


def _line(frame: types.FrameType) -> int:
    """Return a frame's line; the first one of its function if Python does not tell, as between two lines."""
    line: int | None = frame.f_lineno
    return line if line is not None else frame.f_code.co_firstlineno
