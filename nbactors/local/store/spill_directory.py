"""The directory to which values are spilled that do not fit into memory."""

from __future__ import annotations

import os
from typing import NamedTuple

VARIABLE = "NBACTORS_SPILL_DIR"

_IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}


class SpillDirectory(NamedTuple):
    """A directory for spilled values.

    Attributes:
        path: The directory; empty if there is none.
        in_memory: Whether what is written there takes memory.
    """

    path: str
    in_memory: bool


def find() -> SpillDirectory:
    """Return the directory that the environment names, or else the first usual one whose files are on a disk."""
    named = os.environ.get(VARIABLE)
    if named:
        return SpillDirectory(named, _is_in_memory(named))
    home = os.path.expanduser("~")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    for path in (cache, "/var/tmp", os.environ.get("TMPDIR") or "/tmp"):
        if os.path.isabs(path) and os.access(path, os.W_OK | os.X_OK) and not _is_in_memory(path):
            return SpillDirectory(path, False)
    return SpillDirectory("", False)


def _is_in_memory(path: str) -> bool:
    """Return whether the file system of a directory keeps its files in memory. Linux tells; elsewhere none does."""
    try:
        device = os.stat(path).st_dev
        with open("/proc/self/mountinfo", "rb") as file:
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split()[2:3] == [number]:
            return kind.split()[0] in _IN_MEMORY
    return False
