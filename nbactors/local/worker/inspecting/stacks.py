"""What a worker does at this moment, for people to read: its calls, its other threads and its asyncio tasks.

Taken on the thread that reads the sockets, while the others run on: no lock of theirs is taken, and nothing waits.
So what is told of several threads need not have been so at the very same time.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.local.worker.inspecting.traces import hidden

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.hosted import Hosted
    from nbactors.local.worker.jobs.job import Job

MAX_FRAMES = 100
"""Of a deeper stack only so many are told, the innermost."""

_ASYNCIO = f"{os.sep}asyncio{os.sep}"


def describe(hosted: Hosted, running: list[Job], waiting: int) -> str:
    """Return what the process does now. The leader's thread.

    Args:
        hosted: What it hosts.
        running: The calls that run.
        waiting: How many have not begun.
    """
    frames = sys._current_frames()
    main = threading.main_thread().ident
    told: set[int] = set()
    parts = []
    tasks = set()
    for job in _with_constructor(hosted, running):
        if job.task is not None:
            tasks.add(job.task)
            stack = _stack_of_task(job.task) or _stack(frames.get(job.thread))
        else:
            told.add(job.thread or main or 0)
            stack = _stack(frames.get(job.thread or main or 0))
        seconds = monotonic() - job.since if job.since else 0.0
        parts.append(_part(f"{job.label or job.name or 'a call'}, running for {seconds:.1f} s", stack))
    others = (task for task in _tasks(hosted) if task not in tasks)
    parts.extend(_part(f"asyncio task {task.get_name()}", _stack_of_task(task)) for task in others)
    for thread in threading.enumerate():
        # The main thread and ours run nothing of the user's but calls and tasks.
        if thread.ident in told or thread is threading.main_thread() or thread.name.startswith("nbactors-"):
            continue
        stack = _stack(frames.get(thread.ident or 0))
        if stack:
            parts.append(_part(f"thread {thread.name}", stack))
    if not parts:
        parts.append("Nothing runs.\n")
    if waiting:
        parts.append(f"{waiting} more {'call waits' if waiting == 1 else 'calls wait'}.\n")
    return "\n".join(parts).rstrip()


def _with_constructor(hosted: Hosted, running: list[Job]) -> list[Job]:
    """Return the calls that run, the oldest first, and the constructor's."""
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
        except RuntimeError:  # too many come and go just now
            continue


def _stack_of_task(task: Any) -> list[tuple[types.FrameType, int]]:
    """Return where an asyncio task stands, through the coroutines that it awaits; nothing while it runs."""
    found: list[tuple[types.FrameType, int]] = []
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


def _stack(frame: types.FrameType | None) -> list[tuple[types.FrameType, int]]:
    """Return a thread's frames, the user's only, the outermost first."""
    whole: list[types.FrameType] = []
    while frame is not None:
        whole.append(frame)
        frame = frame.f_back
    whole.reverse()
    # What has called the runtime's first frame is the interpreter's own beginning, and that of a thread threading's.
    first = next((index for index, frame in enumerate(whole) if hidden(frame.f_code.co_filename)), 0)
    while first < len(whole) and whole[first].f_code.co_filename == threading.__file__:
        first += 1
    return [(frame, _line(frame)) for frame in whole[first:] if _is_users(frame)]


def _is_users(frame: types.FrameType) -> bool:
    name = frame.f_code.co_filename
    return not hidden(name) and _ASYNCIO not in name and not name.startswith("<frozen")


def _part(title: str, stack: list[tuple[types.FrameType, int]]) -> str:
    if not stack:
        return f"{title}\n"
    cut = stack[-MAX_FRAMES:]
    more = f"  … {len(stack) - len(cut)} more frames\n" if len(cut) < len(stack) else ""
    return f"{title}\n{more}{''.join(traceback.StackSummary.extract(iter(cut)).format())}"


def _line(frame: types.FrameType) -> int:
    """Return where a frame is; between two lines Python itself may not tell."""
    line: int | None = frame.f_lineno
    return line if line is not None else frame.f_code.co_firstlineno
