"""What comes with the bytes that a connection receives: descriptors, and the end."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

CUT_OFF = int(socket.MSG_CTRUNC)
"""The flag of a receive that had no room for all descriptors. As a number: an enum's `&` takes a microsecond."""

MISSING = -1
"""Stands among the received descriptors for one that did not come, since this process may have no more of them.

The kernel cuts off those for which there is no room, and tells only that it did (``MSG_CTRUNC``)."""


class Mark(NamedTuple):
    """Stands among received messages: something else to do when those before it were handled.

    Attributes:
        action: What to do. On the leader's thread.
    """

    action: Callable[[], None]


def _fds(ancillary: Any) -> Iterator[int]:
    for level, kind, numbers in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            yield from memoryview(numbers[: len(numbers) - len(numbers) % 4]).cast("i")


def with_fds(fds: deque[int], ancillary: Any, flags: int) -> deque[int]:
    """Return descriptors with those that came with a chunk."""
    fresh = deque([*fds, *_fds(ancillary)])
    if flags & CUT_OFF:
        fresh.append(MISSING)
    return fresh


def close_chunks(chunks: Iterable[Any]) -> None:
    """Close the descriptors of chunks that will not be looked at."""
    for _, ancillary, _, _ in chunks:
        close_fds(_fds(ancillary))


def close_fds(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        if fd != MISSING:
            os.close(fd)
