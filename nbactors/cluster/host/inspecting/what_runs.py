"""What a host's process does now, for panels: see `nbactors.util.state.inspect_actor`."""

from __future__ import annotations

import os
import time
import types
from collections.abc import Mapping
from typing import Any

import ray

from nbactors.cluster.host.inspecting.called import called_with, frames_of
from nbactors.cluster.host.running import Begun, Running
from nbactors.definitions.hooks import NOW
from nbactors.in_worker.thread_frames import current_frames

MOST = 200
"""The most calls in an answer."""

_SINCE_1970 = time.time() - time.monotonic()
"""The begin of the monotonic clock, read once, so that a call has the same times in each answer."""


def inspection(running: Running, limits: Mapping[str, int], calls: frozenset[types.CodeType]) -> dict[str, Any]:
    """Return the facts. Any thread; stops no call. What waits in Ray's own queue is not known here.

    Args:
        running: The calls that run.
        limits: How many calls each concurrency group runs at the same time.
        calls: The code of the host that calls the user's functions.
    """
    times = os.times()
    begun = list(running.calls.values())[:MOST]
    frames = current_frames()
    shown = [called_with(frames_of(each, frames.get(each.thread), calls)) for each in begun]
    frames.clear()  # one of them is that of this function, and the cycle would keep the arguments of ended calls
    return {
        "pid": os.getpid(),
        "worker_id": ray.get_runtime_context().get_worker_id(),
        "cpu_s": times.user + times.system,
        "memory": _memory(),
        "at": time.time(),
        "since": _SINCE_1970 + _started(),
        "groups": [
            {
                "name": name,
                "size": size,
                "running": [each.call.number.hex() for each in begun if _group(each) == name],
                "queued": 0,
            }
            for name, size in limits.items()
        ],
        "running": [
            {
                "task_id": each.call.number.hex(),
                "name": each.call.label,
                "group": _group(each),
                "since": _SINCE_1970 + each.since,
                "arguments": arguments,
                "paused": paused,
            }
            for each, (arguments, paused) in zip(begun, shown, strict=True)
        ],
        "queued": [],
    }


def _group(begun: Begun) -> str:
    return NOW if begun.call.method == NOW else begun.call.group


def _memory() -> int:
    """Return the bytes in RAM, without files and shared memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        fields = file.read().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")


def _started() -> float:
    """Return the start of this process, in seconds since the start of the machine."""
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")
