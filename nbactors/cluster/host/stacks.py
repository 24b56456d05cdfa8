"""A text of what a host does at this moment."""

from __future__ import annotations

import os
import traceback
import types
from time import monotonic

import ray

from nbactors.cluster.host.running import Begun, Running
from nbactors.exceptions.user_frames import is_hidden
from nbactors.in_worker.thread_frames import current_frames

MAX_FRAMES = 100
"""The most frames that are shown of a stack; of a deeper stack, the innermost ones."""

_RAY = os.path.dirname(ray.__file__) + os.sep


def describe(running: Running) -> str:
    """Return what the calls of a host do now. Any thread; stops none of them."""
    frames = current_frames()
    parts = [_part(begun, frames.get(begun.thread)) for begun in list(running.calls.values())]
    return "\n".join(parts).rstrip() if parts else "Nothing runs."


def _part(begun: Begun, frame: types.FrameType | None) -> str:
    found = []
    if begun.task is not None:
        stack = begun.task.get_stack()
        found = [(each, each.f_lineno) for each in stack]
    elif frame is not None:
        found = list(traceback.walk_stack(frame))[::-1]
    mine = [each for each in found if _is_users(each[0].f_code.co_filename)][-MAX_FRAMES:]
    lines = traceback.StackSummary.extract(iter(mine)).format()
    return f"{begun.call.label}, running for {monotonic() - begun.since:.1f} s\n{''.join(lines)}"


def _is_users(path: str) -> bool:
    """Return whether a frame of this file is shown: it is neither the runtime's nor Ray's."""
    return not is_hidden(path) and not path.startswith(_RAY)
