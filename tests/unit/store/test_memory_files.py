"""Where the system has no anonymous files, values lie in files, and the limit is no more than their file system has."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nbactors.exceptions import ObjectStoreFullError
from nbactors.local import memory_files
from nbactors.local.store.arena import Arena, Block
from nbactors.local.store.room import Room
from nbactors.local.store.segments import SegmentStore, Stored
from nbactors.local.store.spill_directory import SpillDirectory

MIB = 1 << 20
REFUSALS = [errno.ENOSYS, errno.EPERM]


def refuse(code: int) -> Any:
    def memfd_create(name: str, flags: int = 0) -> int:
        raise OSError(code, os.strerror(code))

    return memfd_create


@pytest.fixture(params=["macOS", *REFUSALS])
def memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for memory on a system without anonymous files."""
    if request.param == "macOS":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    else:
        monkeypatch.setattr(os, "memfd_create", refuse(request.param), raising=False)
    path = tmp_path / "memory"
    path.mkdir()
    monkeypatch.setattr(memory_files, "_SHARED_MEMORY", str(path))
    return path


@pytest.fixture
def store(memory: Path, tmp_path: Path) -> Iterator[SegmentStore]:
    spilled = tmp_path / "spilled"
    spilled.mkdir()
    made = SegmentStore(lambda action: action(), Room(20 * MIB), SpillDirectory(str(spilled), False))
    yield made
    made.close()


def put(store: SegmentStore, number: int, size: int = 4 * MIB - 1000) -> Stored:
    return store.write(b"", [memoryview(bytearray([number]) * size)])


def path_of(stored: Stored) -> str:
    fd = stored.hold.block.arena.fd
    assert fd is not None
    return os.readlink(f"/proc/self/fd/{int(fd)}")


def number(stored: Stored) -> int:
    data = bytes(stored.views()[1][0])
    assert data == data[:1] * len(data)
    return data[0]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the test looks at descriptors")
@pytest.mark.parametrize("size", [200_000, 4 * MIB - 1000, 10 * MIB])
def test_values_lie_in_unlinked_files_and_count_as_memory(store: SegmentStore, memory: Path, size: int) -> None:
    value = put(store, 7, size)
    assert path_of(value).startswith(f"{memory}/")
    assert path_of(value).endswith(" (deleted)")
    assert os.listdir(memory) == []
    assert number(value) == 7
    assert store.in_memory >= size
    assert store.spilled == 0


def test_values_are_spilled_and_come_back_as_from_memory(store: SegmentStore) -> None:
    values = [put(store, index) for index in range(12)]
    assert store.in_memory <= 20 * MIB
    assert store.spilled >= 28 * MIB
    assert [number(value) for value in values] == list(range(12))
    assert store.in_memory <= 20 * MIB


def test_a_file_that_was_never_written_is_not_mapped_for_writing(store: SegmentStore) -> None:
    """A write to a page that a full file system cannot provide would end the process."""
    for size in (200_000, 4 * MIB - 1000):
        for index in range(3):
            value = put(store, index, size)
            assert number(value) == index
            assert value.hold.block.arena._writable is None
            del value


def test_a_block_whose_value_was_spilled_is_not_written_in_its_mapping(
    store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last value may have left pages of the block unwritten, which a full file system cannot provide."""
    mapped: list[Block] = []
    written = Arena.write_in_place

    def write_in_place(arena: Arena, block: Block, parts: list[tuple[int, memoryview]]) -> None:
        mapped.append(block)
        written(arena, block, parts)

    monkeypatch.setattr(Arena, "write_in_place", write_in_place)
    values = [put(store, index, 4 * MIB - 13_000 + index * 1000) for index in range(12)]
    assert store.spilled > 0
    assert mapped == []
    assert [number(value) for value in values] == list(range(12))


def test_a_full_file_system_is_an_error(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = put(store, 1)

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(ObjectStoreFullError, match="No space left on device"):
            put(store, 2)
    assert number(put(store, 3)) == 3
    assert number(kept) == 1


class _Space(NamedTuple):
    f_frsize: int
    f_bavail: int


def test_the_limit_is_what_the_file_system_has(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def statvfs(path: str) -> _Space:
        asked.append(path)
        return _Space(4096, 100)

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert memory_files.limit() == 409_600
    assert asked == [str(memory)]


def test_without_shared_memory_the_temporary_directory_is_used(
    memory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory_files, "_SHARED_MEMORY", str(tmp_path / "none"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert memory_files.directory() == str(tmp_path)
    assert 0 < memory_files.limit() < math.inf
    monkeypatch.delenv("TMPDIR")
    assert memory_files.directory() == "/tmp"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no anonymous files")
def test_anonymous_files_have_no_limit() -> None:
    assert memory_files.limit() == math.inf


def test_without_a_descriptor_the_limit_is_not_known_to_be_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "memfd_create", refuse(errno.EMFILE), raising=False)
    assert memory_files.limit() == math.inf
