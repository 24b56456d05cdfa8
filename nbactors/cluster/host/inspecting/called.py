"""The frames and the arguments of running calls. Nothing is stored for these readers.

The host's frame has the user's function and its arguments as they were passed, until the function returns. The frames
within it are those of the function.
"""

from __future__ import annotations

import gc
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType
from typing import Any

from nbactors.cluster.host.running import Begun
from nbactors.in_worker import arguments_now, pausing

_WITHOUT_ATTRIBUTES = ("async_generator_asend", "coroutine_wrapper")
"""Types that stand between a coroutine and what it awaits, and have no attribute for it."""

_DEEPEST = 1000
"""The most coroutines that await each other."""


def frames_of(begun: Begun, frame: FrameType | None, calls: frozenset[CodeType]) -> list[FrameType]:
    """Return the frames of a running call, the host's first; none while it begins or answers. Any thread.

    Args:
        begun: The call.
        frame: The innermost frame of its thread.
        calls: The code of the host that calls the user's functions.
    """
    for found in (_on_thread(frame), _awaited(begun.task)):
        for index, own in enumerate(found):
            if own.f_code in calls and getattr(own.f_locals.get("call"), "number", None) == begun.call.number:
                return found[index:]
    return []


def called_with(frames: list[FrameType]) -> tuple[arguments_now.Arguments, bool]:
    """Return the names of a call's arguments, with short texts of them, and whether it waits for its user. Any thread.

    Args:
        frames: What `frames_of` returns.
    """
    paused = pausing.waits_for_user(frames)
    found = frames[0].f_locals if frames else {}
    if "function" not in found or "kwargs" not in found:
        return [], paused
    return arguments_now.of_call((found["function"], tuple(found["args"]), found["kwargs"]), None, paused), paused


def _on_thread(frame: FrameType | None) -> list[FrameType]:
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _awaited(task: Any) -> list[FrameType]:
    """Return the frames of a suspended task. Its own `get_stack` sees only Ray's coroutine, which has none."""
    found = []
    awaited = task.get_coro() if task is not None else None
    for _ in range(_DEEPEST):
        if type(awaited).__name__ in _WITHOUT_ATTRIBUTES:
            kinds = (CoroutineType, AsyncGeneratorType)
            awaited = next((each for each in gc.get_referents(awaited) if type(each) in kinds), None)
        if awaited is None:
            break
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if type(frame) is FrameType:
            found.append(frame)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return found
