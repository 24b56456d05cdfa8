"""The machine's limits for spilled values: the speed of `write` and `read` on the disk, in bytes per second.

Nothing waits for the disk itself (`fsync`), neither here nor in the measured runtime.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from typing import IO

from benchmarks.workloads import PAGE, look_at, warm_up
from nbactors.local.store import spill_directory


def directory() -> str:
    """Return the directory to which nbactors spills values; empty if there is none on a disk."""
    found = spill_directory.find()
    return "" if found.in_memory else found.path


def write(size: int, count: int) -> float | None:
    """Return the speed of writing `count` values of `size` bytes to a new file, or None without a directory for it."""
    if not directory():
        return None
    with tempfile.TemporaryFile(dir=directory(), buffering=0) as file:
        return size * count / _write(file, size, count)


def read(size: int, count: int, memory: int) -> float | None:
    """Return the speed of reading such values, each of which is looked at, or None without a directory for them.

    They are read into `memory` bytes, which are used again and again, as those of a small store.
    """
    if not directory():
        return None
    with tempfile.TemporaryFile(dir=directory(), buffering=0) as file, mmap.mmap(-1, memory) as target:
        _write(file, size, count)
        with memoryview(target) as view:
            return size * count / _read(file, size, count, view)


def _write(file: IO[bytes], size: int, count: int) -> float:
    value = memoryview(bytes([0x5A]) * size)
    warm_up(size * count)
    start = time.perf_counter()
    for _ in range(count):
        left = value
        while left:
            left = left[os.write(file.fileno(), left) :]
    return time.perf_counter() - start


def _read(file: IO[bytes], size: int, count: int, memory: memoryview) -> float:
    places = memory.nbytes // size
    memory[::PAGE] = bytes(len(memory[::PAGE]))
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    start = time.perf_counter()
    for number in range(count):
        first = number % places * size
        left = memory[first : first + size]
        while left:
            left = left[os.readv(file.fileno(), [left]) :]
        look_at(memory[first : first + size])
    return time.perf_counter() - start
