"""Values in shared memory: their layout, the reuse of blocks, and the rule that mapped pages are not written again."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbactors.exceptions import RaySystemError
from nbactors.local.store import allocator, warm_blocks
from nbactors.local.store.arena import Arena, Descriptor
from nbactors.local.store.room import Room
from nbactors.local.store.segments import ALIGN, LARGE, SegmentStore, Stored
from nbactors.local.store.spill_directory import SpillDirectory


@pytest.fixture
def store():
    store = SegmentStore(lambda action: action(), Room(512 << 20))
    yield store
    gc.collect()
    store.close()


def fill(size: int, byte: int) -> memoryview:
    return memoryview(bytearray([byte]) * size)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 3 << 20), max_size=4))
def test_a_value_reads_back_as_written(data, sizes):
    store = SegmentStore(lambda action: action(), Room(64 << 20))
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


def place(stored: Stored) -> tuple[Arena, int]:
    block = stored.hold.block
    return block.arena, block.start


SIZES = pytest.mark.parametrize("size", [120_000, 1 << 20, 10 << 20, 80 << 20])
"""Values of both kinds of arenas, and one with an arena of its own."""


@SIZES
def test_a_freed_block_is_reused(store, size):
    stored = store.write(b"", [fill(size, 1)])
    first = place(stored)
    del stored
    in_memory = store.in_memory
    again = store.write(b"", [fill(size, 2)])
    assert place(again) == first
    assert store.in_memory == in_memory
    assert bytes(again.views()[1][0][:3]) == b"\2\2\2"


@SIZES
def test_a_view_keeps_its_block_from_reuse(store, size):
    stored = store.write(b"", [fill(size, 1)])
    views = stored.views()[1]
    part = views[0][5:10]
    first = place(stored)
    del stored, views
    other = store.write(b"", [fill(size, 2)])
    assert place(other) != first
    assert bytes(part) == b"\1" * 5
    del part
    third = store.write(b"", [fill(size, 3)])
    assert place(third) == first


def test_an_object_made_of_a_view_keeps_its_block_from_reuse(store):
    """Whatever takes the buffer: a PickleBuffer, another memoryview of another shape, an array."""
    stored = store.write(b"", [fill(1 << 20, 1)])
    first = place(stored)
    makers = [memoryview, pickle.PickleBuffer, lambda view: view.cast("I"), lambda view: view[::-1]]
    for make in makers:
        made = make(stored.views()[1][0])
        del stored
        other = store.write(b"", [fill(1 << 20, 1)])
        assert place(other) != first
        del made
        stored = store.write(b"", [fill(1 << 20, 1)])
        assert place(stored) == first
        del other


def test_a_hold_of_a_receiver_keeps_its_block_from_reuse(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    hold = store.grant(stored)
    first = place(stored)
    del stored
    other = store.write(b"", [fill(1 << 20, 2)])
    assert place(other) != first
    store.released(hold)
    assert place(store.write(b"", [fill(1 << 20, 2)])) == first


def test_a_lost_hold_forbids_reuse_for_ever(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    other = store.write(b"", [fill(1 << 20, 1)])
    hold = store.grant(stored)
    before = store.in_memory
    arena, first = place(stored)
    del stored
    store.lost(hold)
    again = store.write(b"", [fill(1 << 20, 2)])
    assert place(again)[0] is not arena, "an arena with a lost block is left, so that its memory is freed some day"
    assert store.in_memory > before, "what may be mapped somewhere counts"
    assert bytes(memoryview(arena.readable())[first : first + 3]) == b"\1\1\1"
    del other
    assert store.in_memory < before, "the last value of the arena is gone, and the arena with it"


def test_releasing_an_unknown_hold_changes_nothing(store):
    stored = store.write(b"", [fill(1 << 20, 1)])
    number = store.grant(stored)
    store.released(12345)
    store.lost(12345)
    assert store._given == {number: stored.hold}
    assert not stored.hold.lost
    store.released(number)


def received(store, reader, stored, given_back):
    """Have a reader take over a value, as from a peer."""
    block = stored.hold.block
    arena = reader.allocator.take_over(Descriptor(os.dup(block.arena.fd)), block.arena.size)
    got = reader.receive(arena, block.start, stored.size, stored.spans, lambda: given_back.append("given back"))
    reader.allocator.leave(arena)
    return got


def test_a_received_block_is_given_back_after_its_last_view(store):
    given_back = []
    stored = store.write(b"abc", [fill(200_000, 5)])
    reader = SegmentStore(lambda action: action(), Room(0))
    got = received(store, reader, stored, given_back)
    data, views = got.views()
    assert bytes(data) == b"abc"
    assert bytes(views[0][:2]) == b"\5\5"
    del got, data
    assert not given_back
    del views
    gc.collect()
    assert given_back == ["given back"]


def test_a_view_that_outlives_its_value_and_a_collection_gives_its_hold_back(store):
    before = len(os.listdir("/proc/self/fd"))
    stored = store.write(b"", [fill(1000, 7)])
    opened = len(os.listdir("/proc/self/fd"))
    given_back: list[str] = []
    reader = SegmentStore(lambda action: action(), Room(0))
    got = received(store, reader, stored, given_back)
    views = got.views()[1]
    del got, reader
    gc.collect()
    assert given_back == []
    assert bytes(views[0][:2]) == b"\7\7"
    del views
    assert given_back == ["given back"]
    assert len(os.listdir("/proc/self/fd")) == opened > before


def test_many_values_take_few_descriptors(store):
    before = len(os.listdir("/proc/self/fd"))
    kept = [store.write(b"", [fill(110_000, byte % 256)]) for byte in range(500)]
    views = [stored.views() for stored in kept]
    assert [bytes(view[1][0][:1]) for view in views] == [bytes([byte % 256]) for byte in range(500)]
    assert len(os.listdir("/proc/self/fd")) - before <= 3


def test_few_freed_blocks_are_kept_for_values_of_their_sizes(store):
    sizes = [120_000 + 16_384 * step for step in range(warm_blocks.SIZES + 2)]
    for size in sizes:
        kept = [store.write(b"", [fill(size, 1)]) for _ in range(warm_blocks.BLOCKS + 2)]
        places = {place(stored) for stored in kept}
        del kept
        again = [store.write(b"", [fill(size, 2)]) for _ in range(warm_blocks.BLOCKS + 2)]
        assert {place(stored) for stored in again} == places
        del again
    assert len(store.allocator._warm._by_size) <= warm_blocks.SIZES
    assert all(len(blocks) <= warm_blocks.BLOCKS for blocks in store.allocator._warm._by_size.values())
    assert store.free_bytes == store.in_memory
    store.trim()
    assert (store.in_memory, store.allocator._warm._by_size) == (0, {})


def test_a_kept_block_of_an_arena_that_is_left_is_not_used(store):
    lost, other = [store.write(b"", [fill(1 << 20, 1)]) for _ in range(2)]
    arena = place(lost)[0]
    hold = store.grant(lost)
    del other, lost
    store.lost(hold)
    assert place(store.write(b"", [fill(1 << 20, 1)]))[0] is not arena
    assert store.in_memory < 3 << 20, "the arena is gone with the kept block"


def test_a_new_arena_is_made_when_the_others_are_full(store, monkeypatch):
    kind = allocator._Kind(4 << 20, 16 << 10, 4 << 20)
    monkeypatch.setattr(allocator, "_KINDS", (kind,))
    kept = [store.write(b"", [fill(3 << 20, byte)]) for byte in range(6)]
    arenas = [stored.hold.block.arena for stored in kept]
    assert [arena.size >> 20 for arena in arenas] == [4, 4, 8, 8, 8, 8]
    assert (arenas[2], arenas[4]) == (arenas[3], arenas[5])
    assert [bytes(stored.views()[1][0][:1]) for stored in kept] == [bytes([byte]) for byte in range(6)]


def test_segments_beyond_the_memory_limit_are_files_on_disk(tmp_path):
    store = SegmentStore(lambda action: action(), Room(1 << 20), directory=SpillDirectory(str(tmp_path), False))
    kept = [store.write(b"", [fill(1 << 19, byte)]) for byte in range(5)]
    assert store.in_memory <= 1 << 20
    assert [bytes(stored.views()[1][0][:1]) for stored in kept] == [bytes([byte]) for byte in range(5)]
    assert not list(tmp_path.iterdir()), "the files are unlinked at once, so that nothing can be left behind"
    del kept
    store.close()


@SIZES
def test_trimming_gives_memory_back(store, size):
    closed = []
    store.allocator.on_closed = lambda arena: closed.append(arena.number)
    stored = store.write(b"", [fill(size, 1)])
    number = stored.hold.block.arena.number
    del stored
    assert store.free_bytes >= size
    store.trim()
    assert store.free_bytes == 0
    assert store.in_memory == 0
    assert closed == [number]


def test_the_memory_between_values_is_given_back(store):
    kept = [store.write(b"", [fill(1 << 20, byte)]) for byte in range(10)]
    in_memory, arena = store.in_memory, kept[0].hold.block.arena
    del kept[::2]
    assert store.free_bytes == in_memory // 2
    store.trim()
    assert store.free_bytes == 0
    assert store.in_memory == in_memory // 2
    assert os.fstat(arena.fd).st_blocks * 512 <= in_memory // 2
    assert [bytes(stored.views()[1][0][:1]) for stored in kept] == [bytes([byte]) for byte in range(1, 10, 2)]
    again = store.write(b"", [fill(1 << 20, 77)])
    assert bytes(again.views()[1][0][-2:]) == bytes([77, 77])
    assert store.in_memory > in_memory // 2


def test_free_memory_makes_room_for_a_value_of_another_size(tmp_path):
    store = SegmentStore(lambda action: action(), Room(20 << 20), directory=SpillDirectory(str(tmp_path), False))
    small = [store.write(b"", [fill(1 << 20, 1)]) for _ in range(15)]
    kept = small.pop(7)
    del small
    large = store.write(b"", [fill(15 << 20, 2)])
    assert large.hold.block.arena.in_memory
    assert store.in_memory <= 20 << 20
    assert bytes(kept.views()[1][0][:1]) == b"\1"


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
    store = SegmentStore(posted.append, Room(64 << 20))
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
