"""Values that do not fit into memory: which of them lie on disk, how they come back, and what a full disk does."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbactors.exceptions import ObjectStoreFullError
from nbactors.local.store import allocator, spill_directory, spiller
from nbactors.local.store import arena as arena_module
from nbactors.local.store.arena import Arena, Block
from nbactors.local.store.hold import Hold
from nbactors.local.store.room import Room
from nbactors.local.store.segments import SegmentStore, Stored
from nbactors.local.store.spill_directory import SpillDirectory
from nbactors.local.store.spiller import Spiller

MIB = 1 << 20
LIMIT = 20 * MIB
Make = Callable[..., SegmentStore]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes stores of 20 MiB that spill into the test's directory. None of them spills before a value needs it."""
    monkeypatch.setattr(spiller, "HIGH", 2.0)
    made: list[SegmentStore] = []

    def store(directory: str = str(tmp_path), in_memory: bool = False, limit: int = LIMIT) -> SegmentStore:
        made.append(SegmentStore(lambda action: action(), Room(limit), SpillDirectory(directory, in_memory)))
        return made[-1]

    yield store
    for each in made:
        each.close()


def put(store: SegmentStore, number: int, size: int = 4 * MIB - 1000) -> Stored:
    return store.write(b"", [memoryview(bytearray([number]) * size)])


def number(stored: Stored) -> int:
    """Read a value, all of which must be one number."""
    data = bytes(stored.views()[1][0])
    assert data == data[:1] * len(data)
    return data[0]


def on_disk(*values: Stored) -> list[bool]:
    return [not value.hold.block.arena.in_memory for value in values]


def test_the_least_recently_used_values_are_spilled(make: Make) -> None:
    store = make()
    values = [put(store, index) for index in range(5)]
    assert on_disk(*values) == [False] * 5
    number(values[0])
    store.released(store.grant(values[2]))
    values.append(put(store, 5))
    assert on_disk(*values) == [False, True, False, False, False, False]
    assert store.in_memory <= LIMIT
    assert [number(value) for value in values] == list(range(6))


def test_a_spilled_value_comes_back_when_it_is_read(make: Make) -> None:
    store = make()
    values = [put(store, index) for index in range(8)]
    assert on_disk(values[0]) == [True]
    assert number(values[0]) == 0
    assert on_disk(values[0]) == [False]
    assert store.in_memory <= LIMIT
    assert store.spilled >= 12 * MIB


@pytest.mark.parametrize("pin", ["view", "grant"])
def test_a_value_that_somebody_has_mapped_stays(make: Make, pin: str) -> None:
    store = make()
    first = put(store, 0)
    kept: Any = first.views() if pin == "view" else store.grant(first)
    values = [put(store, index) for index in range(1, 10)]
    assert on_disk(first) == [False]
    assert number(first) == 0
    assert [number(value) for value in values] == list(range(1, 10))
    if pin == "grant":
        store.released(kept)


def test_without_room_in_memory_a_value_is_written_to_disk_and_read_from_there(make: Make) -> None:
    store = make()
    kept = [put(store, index) for index in range(5)]
    views = [value.views() for value in kept]
    late = put(store, 9)
    assert on_disk(late) == [True]
    assert number(late) == 9
    assert on_disk(late) == [True], "all memory is in use"
    assert store.in_memory <= LIMIT
    del views
    assert number(late) == 9
    assert on_disk(late) == [False]


def test_a_value_that_is_larger_than_the_memory_lies_on_disk(make: Make) -> None:
    store = make()
    large = put(store, 3, 70 * MIB)
    assert on_disk(large) == [True]
    assert number(large) == 3
    assert store.in_memory == 0


def test_a_value_in_use_is_looked_at_once_and_again_when_its_use_ends(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Hold] = []
    spill_value = Spiller._spill_value

    def look(self: Spiller, hold: Hold) -> int | None:
        looked.append(hold)
        return spill_value(self, hold)

    monkeypatch.setattr(Spiller, "_spill_value", look)
    store = make()
    values = [put(store, index) for index in range(5)]
    views = [value.views() for value in values]
    late = [put(store, index) for index in range(5, 9)]
    assert len(looked) == 5
    assert on_disk(*values, *late) == [False] * 5 + [True] * 4
    del views[2]
    values.append(put(store, 9))
    assert on_disk(*values) == [False, False, True, False, False, False]
    assert len(looked) == 6
    assert [number(value) for value in [*values, *late]] == [0, 1, 2, 3, 4, 9, 5, 6, 7, 8]


def test_a_value_whose_use_ends_while_it_is_set_aside_can_be_spilled(make: Make) -> None:
    class Hasty(Hold):
        """Its other use ends just before it is marked."""

        def __setattr__(self, name: str, to: Any) -> None:
            if name == "is_aside" and to:
                object.__setattr__(self, "count", 1)
            object.__setattr__(self, name, to)

    store = make()
    first = put(store, 0)
    store._spiller.remove(first.hold)
    first.hold = Hasty(first.hold.block, first.hold.size, store._recycle)
    first.hold.count = 2
    store._spiller.add(first.hold)
    store._spiller._spill(1)
    assert on_disk(first) == [True]


def test_arenas_without_free_memory_are_not_searched(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each put that finds no room asks for free memory. A search takes as long as an arena has units."""
    searched: list[bytes] = []

    class Search:
        def finditer(self, units: bytes) -> Any:
            searched.append(units)
            return free_run.finditer(units)

    free_run = allocator._FREE_RUN
    monkeypatch.setattr(allocator, "_FREE_RUN", Search())
    store = make()
    values = [put(store, index % 256, 110_000) for index in range(LIMIT // 115_000)]
    views = [value.views() for value in values]
    values += [put(store, index % 256, 110_000) for index in range(100)]
    assert not searched
    del values[:3], views[:3]
    last = put(store, 7, 250_000)
    assert len(searched) == 1
    assert on_disk(last) == [False]


@pytest.mark.parametrize("size", [110_000, MIB, 5 * MIB])
def test_a_value_takes_over_the_pages_of_those_that_were_spilled_for_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The system clears a page that it gives, which takes longer than to copy a value."""
    store = make()
    values = [put(store, index % 256, size) for index in range(LIMIT // size)]
    removed: list[Block] = []
    remove = Arena.remove
    monkeypatch.setattr(Arena, "remove", lambda self, block: removed.append(block) or remove(self, block))
    # The thread that spills ahead is done just after a put has found no room.
    monkeypatch.setattr(Room, "ask", lambda self, wanted: store._spiller._spill(3 * size))
    values += [put(store, index % 256, size) for index in range(LIMIT // size, 3 * LIMIT // size)]
    assert not removed
    assert store.in_memory <= LIMIT
    assert all(number(value) == index % 256 for index, value in enumerate(values))


def test_pages_of_spilled_values_are_given_back_for_a_value_of_another_size(make: Make) -> None:
    store = make()
    values = [put(store, index, MIB) for index in range(20)]
    values += [put(store, index, 3 * MIB) for index in range(20, 30)]
    assert on_disk(values[-1]) == [False]
    assert store.in_memory <= LIMIT
    assert store.free_bytes + store.allocator.in_use == store.in_memory
    assert [number(value) for value in values] == list(range(30))
    assert store.free_bytes + store.allocator.in_use == store.in_memory


def test_a_forked_child_reads_a_spilled_value_where_it_lies(make: Make) -> None:
    """The memory is the parent's: a value that the child restored would overwrite one of the parent's."""
    store = make()
    values = [put(store, index) for index in range(8)]
    assert on_disk(values[0]) == [True]
    del values[-1]
    maps = [arena.map.units for arenas in store.allocator._arenas.values() for arena in arenas]
    store.forget()
    assert number(values[0]) == 0
    assert on_disk(values[0]) == [True]
    assert [arena.map.units for arenas in store.allocator._arenas.values() for arena in arenas] == maps


def test_a_value_with_a_lost_hold_is_not_moved(make: Make) -> None:
    """A process further down may still read the block, which must not be used again."""
    store = make()
    first = put(store, 0)
    store.lost(store.grant(first))
    values = [put(store, index) for index in range(1, 8)]
    assert on_disk(first) == [False]
    assert [number(value) for value in [first, *values]] == list(range(8))


def test_spilled_values_that_are_freed_leave_no_file(make: Make, tmp_path: Path) -> None:
    store = make()
    before = len(os.listdir("/proc/self/fd"))
    values = [put(store, index) for index in range(12)]
    assert not list(tmp_path.iterdir()), "the files are unlinked at once, so that nothing can be left behind"
    assert store.spilled > 0
    del values
    store.trim()
    assert (store.spilled, store.in_memory) == (0, 0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_never_has_a_name_that_a_killed_process_would_leave(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_RDWR))
    except (AttributeError, OSError):
        pytest.skip("neither macOS nor old file systems make files without a name")
    named: list[str] = []
    monkeypatch.setattr(os, "unlink", named.append)
    store = make()
    values = [put(store, index) for index in range(12)]
    assert store.spilled > 0
    assert named == []
    assert [number(value) for value in values] == list(range(12))


@pytest.mark.parametrize("refusal", [None, errno.EOPNOTSUPP, errno.EISDIR])
def test_where_no_file_without_a_name_can_be_made_it_loses_its_name_at_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int | None
) -> None:
    opened = os.open

    def open_(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if refusal is not None and flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(refusal, os.strerror(refusal))
        return opened(path, flags, *args, **kwargs)

    if refusal is None:
        monkeypatch.setattr(arena_module, "_NAMELESS", None)
    monkeypatch.setattr(os, "open", open_)
    store = make()
    values = [put(store, index) for index in range(12)]
    assert store.spilled > 0
    assert not list(tmp_path.iterdir())
    assert [number(value) for value in values] == list(range(12))


def test_values_are_spilled_ahead_by_a_thread_of_their_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spiller, "HIGH", 0.9)
    ended = threading.Event()
    begin = spiller.start_new_thread

    def start(function: Callable[[], None], args: tuple[()]) -> int:
        def run() -> None:
            function()
            ended.set()

        return begin(run, args)

    monkeypatch.setattr(spiller, "start_new_thread", start)
    store = make()
    values = [put(store, index) for index in range(5)]
    assert ended.wait(10)
    assert on_disk(*values)[0]
    assert store.in_memory - store.free_bytes <= LIMIT * spiller.LOW
    assert [number(value) for value in values] == list(range(5))


def test_only_the_bytes_of_a_value_are_written_and_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of a value over 4 MiB ends at a whole MiB."""
    size = 4 * MIB + 1000
    store = make()
    moved: list[int] = []

    class CountingOs:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def pwrite(self, fd: int, part: memoryview, offset: int) -> int:
            count = os.pwrite(fd, part, offset)
            if not os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:"):
                moved.append(count)
            return count

        def preadv(self, fd: int, parts: list[memoryview], offset: int) -> int:
            count = os.preadv(fd, parts, offset)
            moved.append(-count)
            return count

    monkeypatch.setattr(arena_module, "os", CountingOs())
    values = [put(store, each, size) for each in range(5)]
    assert on_disk(*values) == [True, *[False] * 4]
    assert moved == [size]
    values.pop()
    values.pop()
    moved.clear()
    assert number(values[0]) == 0
    assert moved == [-size]


def test_a_file_that_somebody_has_cut_is_an_error_when_its_value_is_read(make: Make) -> None:
    store = make()
    values = [put(store, each) for each in range(6)]
    block = values[0].hold.block
    assert not block.arena.in_memory
    assert block.arena.fd is not None
    os.ftruncate(block.arena.fd, 0)
    del values[1:]
    with pytest.raises(OSError, match="too short"):
        number(values[0])


class FullDisk:
    """`os` of a process whose disk has room for some bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pwrite(self, fd: int, part: memoryview, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:"):
            return os.pwrite(fd, part, offset)
        count = os.pwrite(fd, part[: self.room], offset)
        self.room -= count
        if not count:
            raise OSError(errno.ENOSPC, "No space left on device")
        return count


def test_a_full_disk_is_an_error_that_says_what_to_do_and_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make()
    monkeypatch.setattr(arena_module, "os", FullDisk(6 * MIB))
    values: list[Stored] = []
    with pytest.raises(ObjectStoreFullError, match="finds no room") as caught:
        while len(values) < 50:
            values.append(put(store, len(values)))
    text = str(caught.value)
    for part in (f"pid {os.getpid()}", "of 20 MiB in memory", str(tmp_path), "No space left"):
        assert part in text
    assert "del ref" in text
    assert "init(object_store_memory=BYTES)" in text
    assert spill_directory.VARIABLE in text
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(ObjectStoreFullError, match="finds no room"):
            put(store, 100)
    assert len(os.listdir("/proc/self/fd")) == opened
    assert [number(value) for value in values] == list(range(len(values)))
    values.pop(0)
    values.pop(0)
    assert number(put(store, 77)) == 77, "later values that fit find room"


def test_without_a_directory_memory_is_all_there_is(make: Make) -> None:
    store = make("")
    values = [put(store, index) for index in range(5)]
    with pytest.raises(ObjectStoreFullError, match="no directory on a disk"):
        put(store, 5)
    assert [number(value) for value in values] == list(range(5))


def test_a_directory_in_memory_counts_as_memory(make: Make) -> None:
    store = make(in_memory=True)
    values = [put(store, index) for index in range(5)]
    with pytest.raises(ObjectStoreFullError, match="take memory, too"):
        put(store, 5)
    assert [number(value) for value in values] == list(range(5))


def test_a_directory_that_does_not_exist_is_named(make: Make) -> None:
    store = make("/nowhere/at/all")
    kept = [put(store, index) for index in range(5)]
    with pytest.raises(ObjectStoreFullError, match=r"cannot spill more to /nowhere/at/all: No such file"):
        put(store, 5)
    del kept


@pytest.mark.parametrize("seed", range(3))
def test_values_stay_whole_whatever_is_put_read_sent_and_freed(make: Make, seed: int) -> None:
    draw = random.Random(seed)
    store = make()
    values: dict[int, Stored] = {}
    views: list[tuple[int, memoryview]] = []
    granted: list[int] = []
    for step in range(150):
        action = draw.choice(["put", "put", "free", "read", "let go", "grant", "release", "trim"])
        some = draw.choice(list(values)) if values else None
        if action == "put":
            values[step] = put(store, step % 256, draw.choice([110_000, MIB, 5 * MIB]))
        elif action == "let go" and views:
            views.pop(draw.randrange(len(views)))
        elif action == "release" and granted:
            store.released(granted.pop(draw.randrange(len(granted))))
        elif action == "trim":
            store.trim()
        elif some is not None and action == "free":
            del values[some]
        elif some is not None and action == "read":
            views.append((some, values[some].views()[1][0]))
        elif some is not None and action == "grant":
            granted.append(store.grant(values[some]))
        assert store.in_memory <= LIMIT
        for index, view in views:
            assert view[0] == view[-1] == index % 256
    assert all(number(value) == index % 256 for index, value in values.items())
    for hold in granted:
        store.released(hold)


class TestDirectory:
    @pytest.fixture
    def in_memory(self, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        """The directories that are in memory, as the test says."""
        found: set[str] = set()
        monkeypatch.setattr(spill_directory, "_is_in_memory", found.__contains__)
        return found

    def test_a_named_one_is_taken_even_if_it_is_in_memory(
        self, in_memory: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        in_memory.add(str(tmp_path))
        monkeypatch.setenv(spill_directory.VARIABLE, str(tmp_path))
        assert spill_directory.find() == SpillDirectory(str(tmp_path), True)

    def test_the_cache_comes_first_and_one_in_memory_is_passed_over(
        self, in_memory: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv(spill_directory.VARIABLE, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert spill_directory.find() == SpillDirectory(str(tmp_path), False)
        in_memory.add(str(tmp_path))
        assert spill_directory.find().path == "/var/tmp"
        in_memory.update(["/var/tmp", str(tmp_path / "tmp")])
        monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
        assert spill_directory.find() == SpillDirectory("", False)

    @pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no tmpfs here")
    def test_a_tmpfs_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(spill_directory.VARIABLE, "/dev/shm")
        assert spill_directory.find().in_memory
        monkeypatch.setenv(spill_directory.VARIABLE, "/nowhere")
        assert not spill_directory.find().in_memory
