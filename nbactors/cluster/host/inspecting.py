"""What a host's process does now, for panels: see `nbactors.util.state.inspect_actor`."""

from __future__ import annotations

import os
import time
from typing import Any

import ray

from nbactors.cluster.host.running import Running
from nbactors.definitions.hooks import NOW

MOST = 200
"""The most calls in an answer."""

_SINCE_1970 = time.time() - time.monotonic()
"""The begin of the monotonic clock, read once, so that a call has the same times in each answer."""


def inspection(running: Running) -> dict[str, Any]:
    """Return the facts. Any thread; stops no call. What waits in Ray's own queue is not known here."""
    times = os.times()
    return {
        "pid": os.getpid(),
        "worker_id": ray.get_runtime_context().get_worker_id(),
        "cpu_s": times.user + times.system,
        "memory": _memory(),
        "at": time.time(),
        "since": _SINCE_1970 + _started(),
        "groups": [],
        "running": [
            {
                "task_id": each.call.number.hex(),
                "name": each.call.label,
                "group": NOW if each.call.method == NOW else "",
                "since": _SINCE_1970 + each.since,
                "arguments": [],
                "paused": False,
            }
            for each in list(running.calls.values())[:MOST]
        ],
        "queued": [],
    }


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
