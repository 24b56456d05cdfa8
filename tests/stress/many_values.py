"""Many large values at once, with few descriptors. Runs as a script: `python many_values.py COUNT DESCRIPTORS`.

The session puts COUNT values of 110 kB, an actor reads and keeps all of them, and the session reads all of them, too.
No process may have more than DESCRIPTORS open files. Prints how many each of the two has more at the end, and before
that its progress to stderr: the number of values, and seconds. 100,000 values take 12 GB of memory and disk.
"""

from __future__ import annotations

import os
import pickle
import resource
import sys
import time
from typing import Any

import nbactors as ray

SIZE = 110_000
PROGRESS = 5000


class Buffer:
    """A value whose bytes are read where they lie, as those of an array."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Buffer, (pickle.PickleBuffer(self.data),)


def opened() -> int:
    return len(os.listdir("/proc/self/fd"))


def value(number: int) -> Buffer:
    return Buffer(bytearray(number.to_bytes(4, "big") * (SIZE // 4)))


def is_whole(read: Buffer, number: int) -> bool:
    data, expected = memoryview(read.data), number.to_bytes(4, "big")
    return bytes(data[:4]) == bytes(data[-4:]) == expected


@ray.remote
class Reader:
    def __init__(self) -> None:
        self._before = opened()
        self._kept: list[Buffer] = []

    def keep(self, first: int, refs: list[Any]) -> bool:
        read = ray.get(refs)
        self._kept += read
        return all(is_whole(each, first + index) for index, each in enumerate(read))

    def opened(self) -> int:
        return opened() - self._before


def main(count: int, descriptors: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    ray.init(num_cpus=1)
    before, start = opened(), time.perf_counter()
    reader: Any = Reader.remote()
    refs: list[Any] = []
    for first in range(0, count, 1000):
        part = [ray.put(value(number)) for number in range(first, min(first + 1000, count))]
        assert ray.get(reader.keep.remote(first, part))
        refs += part
        if len(refs) % PROGRESS == 0:
            print(f"{len(refs)} values, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    kept = [ray.get(ref) for ref in refs]
    assert all(is_whole(each, number) for number, each in enumerate(kept))
    print(opened() - before, ray.get(reader.opened.remote()))
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
