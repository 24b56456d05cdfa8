"""What a connection receives beside bytes: file descriptors, and marks for actions between two messages."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

CUT_OFF = int(socket.MSG_CTRUNC)
"""The flag that `recvmsg` sets if it had to drop descriptors. A plain number: an enum's `&` takes a microsecond."""

MISSING = -1
"""Stands in place of a received descriptor that the kernel has dropped, since this process may not open any more.

The kernel tells that it has dropped descriptors (``MSG_CTRUNC``), but not how many."""


class Mark(NamedTuple):
    """An entry among the received messages that is no message but an action.

    Attributes:
        action: Called on the leader's thread after all messages before the mark were handled.
    """

    action: Callable[[], None]


def _fds(ancillary: Any) -> Iterator[int]:
    for level, kind, numbers in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            yield from memoryview(numbers[: len(numbers) - len(numbers) % 4]).cast("i")


def with_fds(fds: deque[int], ancillary: Any, flags: int) -> deque[int]:
    """Return a new queue of `fds` and, behind them, the descriptors that came with a chunk."""
    fresh = deque([*fds, *_fds(ancillary)])
    if flags & CUT_OFF:
        fresh.append(MISSING)
    return fresh


def close_chunks(chunks: Iterable[Any]) -> None:
    """Close the descriptors of received chunks that will not be decoded."""
    for _, ancillary, _, _ in chunks:
        close_fds(_fds(ancillary))


def close_fds(fds: Iterable[int]) -> None:
    """Close descriptors; `MISSING` is skipped."""
    for fd in fds:
        if fd != MISSING:
            os.close(fd)
