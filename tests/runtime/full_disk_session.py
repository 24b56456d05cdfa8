"""A session that spills to a directory until it is full. Runs as a script: `python full_disk_session.py BYTES`.

BYTES is the size of a value that finds room if no failed put has left anything.

Prints a line of JSON with what it has seen, or ends by a signal if the kernel kills it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import nbactors as ray

MIB = 1 << 20
MEMORY = 40 * MIB
SIZES = [110_000, 3 * MIB, 9 * MIB]
MOST = 200 * MIB


def value(number: int) -> bytes:
    return bytes([number % 256]) * SIZES[number % len(SIZES)]


def opened() -> int:
    return len(os.listdir("/proc/self/fd"))


def fill(refs: dict[int, Any]) -> str:
    """Put values until there is no room. Return the error's text."""
    held = 0
    while held < MOST:
        number = len(refs)
        try:
            refs[number] = ray.put(value(number))
        except ray.exceptions.ObjectStoreFullError as error:
            return str(error)
        held += SIZES[number % len(SIZES)]
    raise AssertionError("the store was never full")


def put_too_much() -> None:
    """Put a value for which there is no room, most likely."""
    try:
        ray.put(bytes(30 * MIB))
    except ray.exceptions.ObjectStoreFullError:
        pass


def main(large: int) -> None:
    ray.init(num_cpus=1, object_store_memory=MEMORY)
    refs: dict[int, Any] = {}
    text = fill(refs)
    put_too_much()  # it may move values to one more file, to make what room there is
    before = opened()
    for _ in range(20):
        put_too_much()
    after = opened()
    whole = all(ray.get(ref) == value(number) for number, ref in refs.items())
    for number in range(6):
        del refs[number]
    later = ray.get(ray.put(value(2))) == value(2)
    whole = whole and all(ray.get(ref) == value(number) for number, ref in refs.items())
    count = len(refs)
    refs.clear()
    last = ray.get(ray.put(bytes([7]) * large)) == bytes([7]) * large
    print(
        json.dumps(
            {
                "text": text,
                "descriptors": after - before,
                "whole": whole,
                "later": later,
                "values": count,
                "large": last,
            }
        )
    )
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
