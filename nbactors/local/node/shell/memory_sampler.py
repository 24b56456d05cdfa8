"""Reads the memory in use: of the machine or the container, and of processes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple

from nbactors.local import cgroups
from nbactors.local.node.rules.events import MemorySampled

RECENT_S = 3.0
"""How long, in seconds, after the kernel's OOM killer has struck a killed worker may have been its victim."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Group(NamedTuple):
    """A cgroup with a limit of memory."""

    limit: int
    usage: str
    stat: str
    inactive: str


class MemorySampler:
    """Reads files of /proc and of the cgroup. On a system without them, no memory is in use.

    Args:
        proc: The directory of the processes' files.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._groups = [_group(limit) for limit in cgroups.memory_limits()]
        self._counters = [os.path.join(path, "memory.events") for path in cgroups.own_cgroups("")]
        self._counters += [os.path.join(path, "memory.oom_control") for path in cgroups.own_cgroups("memory")]
        self._counters.append(os.path.join(proc, "vmstat"))
        self._kills = self._count_kills()
        self._killed_at = 0.0

    def sample(self, pids: Mapping[bytes, int]) -> MemorySampled:
        """Return the memory in use now, and that of the given processes.

        Of the machine and the cgroups with a limit, the fullest counts.
        """
        used, total = max([self._machine(), *map(_of_group, self._groups)], key=lambda pair: pair[0] / pair[1])
        self._look_for_kills()
        return MemorySampled(used, total, {key: self._process(pid) for key, pid in pids.items()})

    def has_struck(self) -> bool:
        """Return whether the kernel's OOM killer has killed a process of the cgroup or the machine just now."""
        self._look_for_kills()
        return self._killed_at > 0 and time.monotonic() - self._killed_at < RECENT_S

    def _look_for_kills(self) -> None:
        kills = self._count_kills()
        if kills > self._kills:
            self._killed_at = time.monotonic()
        self._kills = kills

    def _count_kills(self) -> int:
        """Return the number of kills in the first file that has it."""
        for path in self._counters:
            for line in cgroups.read(path).splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill" and count.strip().isdigit():
                    return int(count)
        return 0

    def _machine(self) -> tuple[int, int]:
        found = _table(os.path.join(self._proc, "meminfo"), ":")
        total = found.get("MemTotal", 1)
        return (total - found.get("MemAvailable", total)) * 1024, total * 1024

    def _process(self, pid: int) -> int:
        fields = cgroups.read(os.path.join(self._proc, str(pid), "statm")).split()
        return (int(fields[1]) - int(fields[2])) * _PAGE if len(fields) > 2 else 0


def _group(limit: cgroups.MemoryLimit) -> _Group:
    is_v2, directory = limit.version == 2, limit.directory
    usage = os.path.join(directory, "memory.current" if is_v2 else "memory.usage_in_bytes")
    inactive = "inactive_file" if is_v2 else "total_inactive_file"
    return _Group(limit.size, usage, os.path.join(directory, "memory.stat"), inactive)


def _of_group(group: _Group) -> tuple[int, int]:
    """Return the bytes in use and the limit. Files that were not read of late can be dropped, and do not count."""
    used = max(cgroups.number(group.usage), 0)
    return max(used - _table(group.stat, " ").get(group.inactive, 0), 0), group.limit


def _table(path: str, separator: str) -> dict[str, int]:
    """Return the numbers of a file with a name and a number in each line."""
    rows = (line.partition(separator) for line in cgroups.read(path).splitlines())
    return {name: int(fields[0]) for name, _, rest in rows if (fields := rest.split()) and fields[0].isdigit()}
