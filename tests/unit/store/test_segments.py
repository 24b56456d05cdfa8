"""Shared memory: its layout, its reuse, and the rule that mapped pages are never written again."""

from __future__ import annotations

import contextlib
import gc
import os
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbactors.exceptions import RaySystemError
from nbactors.local.store.segments import ALIGN, LARGE, SegmentStore


@pytest.fixture
def store():
    store = SegmentStore(lambda action: action(), limit=64 << 20)
    yield store
    gc.collect()
    store.close()


def fill(size: int, byte: int) -> memoryview:
    return memoryview(bytearray([byte]) * size)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 3 << 20), max_size=4))
def test_a_value_reads_back_as_written(data, sizes):
    store = SegmentStore(lambda action: action(), limit=64 << 20)
    buffers = [fill(size, index + 1) for index, size in enumerate(sizes)]
    stored = store.write(data, buffers)
    read, views = stored.views()
    assert bytes(read) == data
    assert [bytes(view) for view in views] == [bytes(buffer) for buffer in buffers]
    for (offset, length), size in zip(stored.spans[1:], sizes, strict=True):
        assert length == size
        assert offset % (4096 if size >= LARGE else ALIGN) == 0
    del read, views, stored
    store.close()


def test_views_are_read_only(store):
    stored = store.write(b"", [fill(1000, 7)])
    _, views = stored.views()
    assert views[0].readonly
    with pytest.raises(TypeError, match="read-only"):
        views[0][0] = 1


def test_a_freed_segment_is_reused(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    number = stored.hold.number
    del stored
    again = store.write(b"", [fill(1 << 20, 2)])
    assert again.hold.number == number
    assert bytes(again.views()[1][0][:3]) == b"\2\2\2"


def test_a_view_keeps_its_segment_from_reuse(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    _, views = stored.views()
    del stored
    other = store.write(b"", [fill(1 << 20, 2)])
    assert bytes(views[0][:3]) == b"\1\1\1"
    number = other.hold.number
    del views
    third = store.write(b"", [fill(1 << 20, 3)])
    assert third.hold.number != number


def test_a_hold_of_a_receiver_keeps_its_segment_from_reuse(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    hold = store.grant(stored)
    first = stored.hold.number
    del stored
    assert store.write(b"", [fill(1 << 20, 2)]).hold.number != first
    store.released(hold)
    assert first in {entry.number for entry in store._free}


def test_a_lost_hold_forbids_reuse_for_ever(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    hold = store.grant(stored)
    before = store.in_memory
    del stored
    store.lost(hold)
    assert not store._free
    assert store.in_memory < before


def test_releasing_an_unknown_hold_changes_nothing(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    number = store.grant(stored)
    store.released(12345)
    store.lost(12345)
    assert store._given == {number: stored.hold}
    assert not store._free
    assert not stored.hold.lost
    store.released(number)


def test_a_received_segment_is_given_back_after_its_last_view(store):
    given_back = []
    stored = store.write(b"abc", [fill(200_000, 5)])
    receiver = SegmentStore(lambda action: action(), limit=0)
    got = receiver.receive(os.dup(stored.hold.fd), stored.size, stored.spans, lambda: given_back.append(1))
    data, views = got.views()
    assert bytes(data) == b"abc"
    assert bytes(views[0][:2]) == b"\5\5"
    del got, data
    assert not given_back
    del views
    gc.collect()
    assert given_back == [1]


def test_a_view_that_outlives_its_value_and_a_collection_gives_its_hold_back(store):
    stored = store.write(b"", [fill(1000, 7)])
    given_back: list[str] = []
    copy = os.dup(stored.hold.fd)
    reader = SegmentStore(lambda action: action(), limit=0)
    received = reader.receive(copy, stored.size, stored.spans, lambda: given_back.append("given back"))
    views = received.views()[1]
    del received, reader
    gc.collect()
    assert given_back == []
    assert bytes(views[0][:2]) == b"\7\7"
    del views
    assert given_back == ["given back"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(copy)


def test_segments_beyond_the_memory_limit_are_files_on_disk(tmp_path):
    store = SegmentStore(lambda action: action(), limit=1 << 20, directory=str(tmp_path))
    kept = [store.write(b"", [fill(1 << 19, byte)]) for byte in range(5)]
    assert store.in_memory <= 1 << 20
    assert [bytes(stored.views()[1][0][:1]) for stored in kept] == [bytes([byte]) for byte in range(5)]
    assert not list(tmp_path.iterdir()), "the files are unlinked at once, so that nothing can be left behind"
    del kept
    store.close()


def test_trimming_gives_memory_back(store):
    stored = store.write(b"", [fill(4 << 20, 1)])
    del stored
    assert store.free_bytes >= 4 << 20
    store.trim()
    assert store.free_bytes == 0
    assert store.in_memory == 0


def test_discarded_values_leave_no_descriptor_open(store):
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        stored = store.write(b"x", [fill(100_000, 1)])
        stored.views()
        del stored
    store.trim()
    gc.collect()
    assert len(os.listdir("/dev/fd")) == before


def test_a_value_that_outlives_the_store_frees_its_descriptor_with_its_last_view():
    posted = []
    store = SegmentStore(posted.append, limit=64 << 20)
    before = set(os.listdir("/proc/self/fd"))
    stored = store.write(b"", [fill(2 << 20, 1)])
    views = stored.views()
    store.close()
    # The posted actions never run.
    posted.clear()
    assert bytes(views[1][0][:2]) == b"\1\1"
    del stored, views
    gc.collect()
    assert not posted
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_value_that_cannot_be_stored_leaves_nothing(store):
    stored = store.write(b"x" * 300_000, ())  # so that lazy imports are done
    del stored
    store.trim()
    before = store.in_memory
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for free in range(2):  # no descriptor for the segment, then none for its mapping
            if free:
                os.close(held.pop())
            with pytest.raises(RaySystemError, match=r"large value could not be (stored|mapped).*ulimit -n"):
                store.write(b"x" * 400_000, ())
            assert store.in_memory == before
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert store.in_memory == before
