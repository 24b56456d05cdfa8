"""The memory that this process uses."""

from __future__ import annotations

import os
import resource
import sys
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """Memory of this process in bytes.

    Attributes:
        own: In RAM, without files and without shared memory.
        mapped: What the kernel counts for RLIMIT_DATA, with the stack of the main thread.
    """

    own: int
    mapped: int


def now() -> Usage:
    """Return what this process uses now. On a system without /proc both numbers are the most that it has ever used."""
    try:
        with open("/proc/self/statm", "rb") as file:
            _, resident, shared, _, _, data, _ = map(int, file.read().split())
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        most = most if sys.platform == "darwin" else most * 1024
        return Usage(most, most)
    return Usage((resident - shared) * _PAGE, data * _PAGE)
