"""Messages on their way out: who owns their descriptors, and how a frame is divided for them."""

from __future__ import annotations

import gc
import os
import socket

import pytest
from two_sides import Files

from nbactors.local.connections.outbox import MAX_FDS, Outbox, Parcel, Part, parts

Pair = tuple[socket.socket, socket.socket]


def chain(part: Part | None) -> list[Part]:
    """Return a part and the following parts."""
    found = []
    while part is not None:
        found.append(part)
        part = part.following
    return found


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_fresh_outbox_is_empty() -> None:
    outbox = Outbox()
    assert (outbox.messages, outbox.fds) == ([], 0)


def test_an_owning_parcel_duplicates_and_closes_the_descriptors(files: Files) -> None:
    (fd,) = files.of_sizes(5)
    parcel = Parcel("message", [fd], owns=True)
    (copy,) = parcel.fds
    assert copy != fd
    assert os.fstat(copy).st_size == 5
    del parcel
    assert not is_open(copy)
    assert is_open(fd)


def test_a_parcel_leaves_lent_descriptors_open(files: Files) -> None:
    (fd,) = files.of_sizes(5)
    parcel = Parcel("message", [fd], owns=False)
    assert list(parcel.fds) == [fd]
    del parcel
    assert is_open(fd)


def test_a_parcel_that_fails_closes_the_duplicates(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    (fd,) = files.of_sizes(5)
    copies: list[int] = []
    dup = os.dup

    def dup_and_note(fd: int) -> int:
        copies.append(dup(fd))
        return copies[-1]

    monkeypatch.setattr(os, "dup", dup_and_note)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        Parcel("message", [fd, -1], owns=True)
    del caught
    gc.collect()
    assert [is_open(copy) for copy in copies] == [False]


def test_a_parcel_without_attributes_may_be_deleted() -> None:
    assert Parcel.__new__(Parcel).__del__() is None, "and raises nothing"


def test_a_frame_without_descriptors_is_one_part() -> None:
    (part,) = chain(parts(b"frame", (), ()))
    assert (bytes(part.view), list(part.fds)) == (b"frame", [])


@pytest.mark.parametrize(
    ("count", "views", "counts"),
    [
        (1, [b"frame"], [1]),
        (MAX_FDS, [b"frame"], [MAX_FDS]),
        (MAX_FDS + 1, [b"f", b"rame"], [MAX_FDS, 1]),
        (3 * MAX_FDS, [b"f", b"r", b"ame"], [MAX_FDS] * 3),
    ],
)
def test_each_send_takes_a_limited_number_of_descriptors_and_a_byte_at_least(
    count: int, views: list[bytes], counts: list[int]
) -> None:
    found = chain(parts(b"frame", range(count), ()))
    assert [bytes(part.view) for part in found] == views
    assert [len(part.fds) for part in found] == counts
    assert [fd for part in found for fd in part.fds] == list(range(count))


def test_the_parts_of_a_frame_precede_the_next_frame() -> None:
    following = parts(b"next", (), ())
    found = chain(parts(b"frame", range(MAX_FDS + 1), (), following))
    assert [bytes(part.view) for part in found] == [b"f", b"rame", b"next"]


def test_the_rest_of_a_partial_send_has_no_descriptors(pair: Pair, files: Files) -> None:
    part = parts(b"frame", files.of_sizes(5), ())
    attempt = part.attempt(pair[0])
    with pytest.raises(BlockingIOError, match="temporarily unavailable"):
        pair[1].recv(10, socket.MSG_DONTWAIT)
    part.sent.extend(attempt)
    data, (fd,), _, _ = socket.recv_fds(pair[1], 10, 2)
    assert (data, os.fstat(fd).st_size) == (b"frame", 5)
    os.close(fd)
    part.sent[0] = 2
    rest = part.rest()
    assert (bytes(rest.view), rest.size, list(rest.fds), rest.sent) == (b"ame", 3, [], [])
