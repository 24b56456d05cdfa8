"""The machine's limits for large values: the speed at which one thread copies memory, in bytes per second."""

from __future__ import annotations

import mmap
import os
import statistics
import time

REPEATS = 3


def _source(size: int) -> mmap.mmap:
    """Return memory whose pages were written, since reading unwritten pages reads the one zero page of the system."""
    memory = mmap.mmap(-1, size)
    line = b"\x5a" * (1 << 20)
    for start in range(0, size, len(line)):
        stop = min(start + len(line), size)
        memory[start:stop] = line[: stop - start]
    return memory


def into_mapped(size: int) -> float:
    """Return the speed of a copy into memory whose pages were written before. No `put` can be faster."""
    with _source(size) as source, _source(size) as target, memoryview(source) as reading, memoryview(target) as writing:
        writing[:] = reading
        return size / statistics.median(_copy_seconds(reading, writing) for _ in range(REPEATS))


def into_fresh_file(size: int) -> float | None:
    """Return the speed of writing to an anonymous memory file, or None where there are no such files (macOS)."""
    if not hasattr(os, "memfd_create"):
        return None
    with _source(size) as source, memoryview(source) as reading:
        return size / statistics.median(_write_seconds(reading) for _ in range(REPEATS))


def _copy_seconds(source: memoryview, target: memoryview) -> float:
    start = time.perf_counter()
    target[:] = source
    return time.perf_counter() - start


def _write_seconds(source: memoryview) -> float:
    descriptor = os.memfd_create("nbactors-benchmark")
    try:
        start = time.perf_counter()
        written = 0
        while written < len(source):
            written += os.write(descriptor, source[written:])
        return time.perf_counter() - start
    finally:
        os.close(descriptor)
