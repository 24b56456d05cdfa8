"""What comes beside the bytes: descriptors, and the mark of those that were cut off."""

from __future__ import annotations

import array
import os
import socket
from collections import deque

from nbactors.local.connections.intake import CUT_OFF, MISSING, close_chunks, close_fds, with_fds


def sent(*fds: int) -> tuple[int, int, bytes]:
    """Return an ancillary message of descriptors, as `recvmsg` does."""
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes()


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_new_descriptors_follow_waiting_descriptors() -> None:
    waiting = deque([3])
    assert with_fds(waiting, [sent(4, 5), sent(6)], 0) == deque([3, 4, 5, 6])
    assert waiting == deque([3]), "the argument stays as it is: an exception may tear this, and it is done again"


def test_a_mark_stands_where_descriptors_were_cut_off() -> None:
    assert with_fds(deque(), [sent(4)], CUT_OFF) == deque([4, MISSING])
    assert with_fds(deque(), [], CUT_OFF) == deque([MISSING])


def test_other_ancillary_messages_and_incomplete_descriptors_are_ignored() -> None:
    level, kind, numbers = sent(4, 5)
    assert with_fds(deque(), [(level, kind, numbers[:-1]), (level, kind + 1, numbers)], 0) == deque([4])


def test_close_chunks_closes_the_descriptors() -> None:
    fds = os.pipe()
    close_chunks([(b"", [sent(fds[0])], 0, None), (b"", [], 0, None), (b"", [sent(fds[1])], CUT_OFF, None)])
    assert not any(map(is_open, fds))


def test_a_missing_descriptor_is_not_closed() -> None:
    reader, writer = os.pipe()
    close_fds([reader, MISSING, writer])
    assert not is_open(reader)
    assert not is_open(writer)
