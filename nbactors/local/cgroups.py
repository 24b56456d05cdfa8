"""The limits of this process's cgroup, and of the cgroups around it."""

from __future__ import annotations

import os
from typing import NamedTuple

_PROC = "/proc/self"
_CGROUP = "/sys/fs/cgroup"
_UNLIMITED = 1 << 60
"""A limit in bytes that is none."""


class MemoryLimit(NamedTuple):
    """A limit of memory of this process's cgroup, or of one around it.

    Attributes:
        directory: The cgroup's directory.
        size: Bytes.
        version: 1 or 2, the version of the cgroup.
    """

    directory: str
    size: int
    version: int


def memory() -> float:
    """Return the machine's memory in bytes, or a cgroup's limit if that is less."""
    total = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min([total, *(float(limit.size) for limit in memory_limits())])


def memory_limits() -> list[MemoryLimit]:
    """Return the limits of memory, those of version 2 first."""
    found = [MemoryLimit(path, number(os.path.join(path, "memory.max")), 2) for path in own_cgroups("")]
    v1 = own_cgroups("memory")
    found += [MemoryLimit(path, number(os.path.join(path, "memory.limit_in_bytes")), 1) for path in v1]
    return [limit for limit in found if 0 < limit.size < _UNLIMITED]


def own_cgroups(controller: str) -> list[str]:
    """Return the directories of this process's cgroup and of its parents, as far as they are mounted.

    Args:
        controller: The controller in version 1; empty for version 2, which has one tree for all controllers.
    """
    for line in read(f"{_PROC}/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            break
    else:
        return []
    found: list[str] = []
    for root, place in _mounts(controller):
        inside = path.removeprefix(root) if root != "/" and f"{path}/".startswith(f"{root}/") else path
        parts = [part for part in inside.split("/") if part and part != ".."]
        # A path that is not below the mount may be the host's: then only the place itself is this container's.
        found += [os.path.join(place, *parts[:count]) for count in range(len(parts), -1, -1)]
    return found


def _mounts(controller: str) -> list[tuple[str, str]]:
    """Return where the tree of a controller is mounted: the part of the tree, such as a container's, and the place.

    A container may have its own cgroup bind-mounted at the place of the whole tree.
    """
    mounts = []
    for line in read(f"{_PROC}/mountinfo").splitlines():
        fields, _, kind = line.partition(" - ")
        words, of_kind = fields.split(), kind.split()
        if len(words) < 5 or len(of_kind) < 3:
            continue
        is_v2 = of_kind[0] == "cgroup2" and not controller
        if is_v2 or (of_kind[0] == "cgroup" and controller in of_kind[2].split(",")):
            mounts.append((_plain(words[3]), _plain(words[4])))
    return mounts or [("/", os.path.join(_CGROUP, controller) if controller else _CGROUP)]


def _plain(path: str) -> str:
    """Return a path of `mountinfo` without its escapes."""
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def number(path: str) -> int:
    """Return the number in a file, -1 if there is none."""
    text = read(path).strip()
    return int(text) if text.isdigit() else -1


def read(path: str) -> str:
    """Return the content of a file, empty if it cannot be read."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
