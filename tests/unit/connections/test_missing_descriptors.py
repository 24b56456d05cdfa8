"""The kernel cuts off descriptors for which a process has no room: those that came stay with their messages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbactors.local.connections.intake import MISSING
from nbactors.local.connections.outbox import MAX_FDS
from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire import messages
from nbactors.local.wire.framing import peer_codec


@pytest.mark.parametrize(
    ("count", "sends", "expected"),
    [
        (2, [[7], None], [7, MISSING]),
        (2, [None], [MISSING, MISSING]),
        (MAX_FDS + 2, [[1] * 3, None, [2, 3]], [1] * 3 + [MISSING] * (MAX_FDS - 3) + [2, 3]),
        (MAX_FDS + 2, [[1] * MAX_FDS, None], [1] * MAX_FDS + [MISSING] * 2),
        (MAX_FDS + 2, [None, [2], None], [MISSING] * MAX_FDS + [2, MISSING]),
    ],
)
def test_descriptors_stay_with_their_messages_when_some_were_cut_off(
    tmp_path: Path, count: int, sends: list[list[int] | None], expected: list[int]
) -> None:
    def opened(number: int) -> int:
        return os.open(tmp_path / str(number), os.O_RDONLY | os.O_CREAT)

    def number_of(fd: int) -> int:
        if fd == MISSING:
            return MISSING
        number = int(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
        os.close(fd)
        return number

    reactor = Reactor("test-io")
    connection = PeerConnection(reactor, None, lambda c, m: None, lambda c, w: None, lambda c, w: None)
    for numbers in sends:
        connection._fds.extend([MISSING] if numbers is None else map(opened, numbers))
    frame = peer_codec().encode([messages.Arena(number, 1) for number in range(count)])
    connection._chunks.append((frame, [], 0, None))
    connection._decode(connection._chunks[0])
    arenas = connection._messages[::-1]
    assert [number_of(connection.take_fd(arena)) for arena in arenas] == expected
    for arena in arenas:
        connection.forget_fd(arena)
    assert not connection._fds
    assert not connection._fd_of
    reactor.close()
