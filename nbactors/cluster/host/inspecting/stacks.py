"""A text of what a host does at this moment."""

from __future__ import annotations

import os
import traceback
import types
from time import monotonic

import ray

from nbactors.cluster.host.inspecting.called import frames_of
from nbactors.cluster.host.running import Begun, Running
from nbactors.exceptions.user_frames import is_hidden
from nbactors.in_worker.thread_frames import current_frames

MAX_FRAMES = 100
"""The most frames that are shown of a stack; of a deeper stack, the innermost ones."""

_RAY = os.path.dirname(ray.__file__) + os.sep


def describe(running: Running, calls: frozenset[types.CodeType]) -> str:
    """Return what the calls of a host do now. Any thread; stops none of them.

    Args:
        running: The calls that run.
        calls: The code of the host that calls the user's functions.
    """
    frames = current_frames()
    parts = [_part(begun, frames.get(begun.thread), calls) for begun in list(running.calls.values())]
    frames.clear()  # one of them is that of this function
    return "\n".join(parts).rstrip() if parts else "Nothing runs."


def _part(begun: Begun, frame: types.FrameType | None, calls: frozenset[types.CodeType]) -> str:
    found = frames_of(begun, frame, calls)
    if not found and begun.task is None:  # a call beside the queue, which the host runs elsewhere
        found = [each for each, _ in traceback.walk_stack(frame)][::-1]
    mine = [(each, each.f_lineno) for each in found if _is_users(each.f_code.co_filename)][-MAX_FRAMES:]
    lines = traceback.StackSummary.extract(iter(mine)).format()
    return f"{begun.call.label}, running for {monotonic() - begun.since:.1f} s\n{''.join(lines)}"


def _is_users(path: str) -> bool:
    """Return whether a frame of this file is shown: it is neither the runtime's nor Ray's."""
    return not is_hidden(path) and not path.startswith(_RAY)
