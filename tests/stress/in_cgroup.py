"""More values than the memory cgroup has room for. Runs as a script: `python in_cgroup.py CGROUP GIGABYTES`.

The script enters the cgroup, puts values, has an actor return as many, and reads all of them.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import nbactors as ray

SIZE = 10_000_000


def value(number: int) -> bytes:
    return bytes([number % 256]) * SIZE


@ray.remote
class Maker:
    def make(self, number: int) -> bytes:
        return value(number)


def main(cgroup: str, gigabytes: float) -> None:
    with open(os.path.join(cgroup, "cgroup.procs"), "w") as file:
        file.write(str(os.getpid()))
    ray.init(num_cpus=1)
    maker: Any = Maker.remote()
    count = int(gigabytes * 1e9 / SIZE)
    puts = [ray.put(value(number)) for number in range(count)]
    results = [maker.make.remote(number) for number in range(count)]
    for refs in (puts, results):
        for number, ref in enumerate(refs):
            assert ray.get(ref) == value(number)
    print("all there")
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
