"""`Arena`: a large segment of shared memory, or a file, that contains blocks with values."""

from __future__ import annotations

import errno
import mmap
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from nbactors import exceptions
from nbactors.exceptions import reasons
from nbactors.local import memory_files
from nbactors.local.store.page_map import PageMap

COLD, RESIDENT, POPULATED = 0, 1, 2
"""The states of a unit: it takes no memory; it takes memory; it takes memory and the writable mapping shows it."""

_POPULATE_WRITE = 23
"""Advice to map pages for writing (Linux 5.14)."""

_REMOVE = getattr(mmap, "MADV_REMOVE", None)
_DONT_FORK = getattr(mmap, "MADV_DONTFORK", None)
_NAMELESS: int | None = getattr(os, "O_TMPFILE", None)
_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
"""The answers of file systems and kernels that make no file without a name."""

_UNTRACKED: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""Python's mmap keeps a descriptor of its own, which only resizing needs."""


class Descriptor(int):
    """An open descriptor. It is closed when the last reference to this object is gone."""

    __slots__ = ()
    _close = staticmethod(os.close)

    def __del__(self) -> None:
        # This may run at the end of the interpreter, when modules are empty.
        self._close(self)


class FileDescriptor(Descriptor):
    """A descriptor of a file that stands for memory, and whose file system may be full."""

    __slots__ = ()


class Block(NamedTuple):
    """A run of units in an arena.

    Attributes:
        start: The first byte.
        units: The number of units.
        born: The number of forks of this process before the block was taken.
    """

    arena: Arena
    start: int
    units: int
    born: int


class Arena:
    """A segment of this process, or one that a peer has sent. Its file is anonymous, so the kernel frees it at last.

    Args:
        number: This process's number for it.
        fd: Its descriptor; None if it was lost on the way from the peer.
        size: Bytes that are mapped. Pages take memory when they are written for the first time.
        unit: Bytes; the sizes and the places of blocks are whole numbers of units.
        in_memory: Whether its pages take memory rather than space on a disk.

    Attributes:
        resident: The state of each unit. Whoever has a unit in use may change its state.
        live: The number of its blocks that are in use.
        is_file: Whether its bytes lie in a file system, so that a write fails if this is full, and a page fault would
            end the process.
        counts: Whether its bytes count as memory: those of files in a tmpfs do, too.
        may_have_free: Whether free units may take memory, since blocks were freed after the last search for such units.
        is_retired: Whether no block is taken in it any more. It is closed when no block is in use.
        told: The connections of the peers that have its descriptor.
        ask: Asks the peer for the descriptor again, and waits for it.
        inode: The file's device and inode, under which the store finds a peer's arena.
    """

    __slots__ = (
        "_readable",
        "_target",
        "_writable",
        "ask",
        "counts",
        "fd",
        "in_memory",
        "inode",
        "is_file",
        "is_retired",
        "live",
        "map",
        "may_have_free",
        "number",
        "resident",
        "size",
        "told",
        "unit",
    )

    def __init__(self, number: int, fd: Descriptor | None, size: int, unit: int, in_memory: bool = True) -> None:
        self.number = number
        self.fd = fd
        self.size = size
        self.unit = unit
        self.in_memory = self.counts = in_memory
        self.is_file = not in_memory or isinstance(fd, FileDescriptor)
        self.map = PageMap(size // unit)
        self.resident = bytearray(size // unit)
        self.live = 0
        self.is_retired = self.may_have_free = False
        self.told: dict[Any, None] = {}
        self.inode = (0, 0)
        self.ask: Callable[[], None] | None = None
        self._readable: mmap.mmap | None = None
        self._writable: mmap.mmap | None = None
        self._target: memoryview | None = None

    def __repr__(self) -> str:
        kind = "memory" if self.in_memory else "disk"
        return f"<Arena {self.number}, {self.size >> 10} KiB in {kind}, {self.live} blocks>"

    # ------------------------------------------------------------------------------------------------------ reading

    def readable(self) -> mmap.mmap:
        """Return the read-only mapping of the whole arena.

        Raises:
            RaySystemError: This process has no descriptor left, or had none when the arena's descriptor arrived.
        """
        mapping = self._readable
        if mapping is None:
            if self.fd is None and self.ask is not None:
                self.ask()
            fd = self.fd
            if fd is None:
                raise reasons.no_descriptor("a large value could not be received")
            mapping = self._readable = _map(fd, self.size, mmap.PROT_READ)
        return mapping

    # ------------------------------------------------------------------------------------------------------ writing

    def span(self, block: Block) -> slice:
        """Return the place of a block's units in `resident`."""
        first = block.start // self.unit
        return slice(first, first + block.units)

    def cold_bytes(self, block: Block) -> int:
        """Return how many bytes of memory, or of disk, the block takes in addition when it is written."""
        first = block.start // self.unit
        return self.resident.count(COLD, first, first + block.units) * self.unit

    def write(self, block: Block, parts: list[tuple[int, memoryview]]) -> None:
        """Write buffers into a block, each with its offset in the block.

        Writing a file is faster than page faults for pages that were never written, and fails rather than killing the
        process where a disk is full. For pages that are mapped already, copying is faster.
        """
        span = self.span(block)
        size = block.units * self.unit
        is_cold = self.resident.count(COLD, span.start, span.stop) > 0
        if self.is_file or (is_cold and size > IN_PLACE):
            self.resident[span] = bytes((RESIDENT,)) * block.units
            for offset, part in parts:
                _write_all(self.fd, part, block.start + offset)
            return
        self.writable()
        if is_cold:
            self.resident[span] = bytes((POPULATED,)) * block.units
        else:
            self.populate(block)
        self.write_in_place(block, parts)

    def is_populated(self, block: Block) -> bool:
        """Return whether the writable mapping shows all pages of a block."""
        first = block.start // self.unit
        return self.resident.count(POPULATED, first, first + block.units) == block.units

    def write_in_place(self, block: Block, parts: list[tuple[int, memoryview]]) -> None:
        """Do what `write` does, for a block whose pages are mapped."""
        target = self._target
        if target is None:
            target = self._target = memoryview(self.writable())
        for offset, part in parts:
            start = block.start + offset
            target[start : start + part.nbytes] = part

    def copy(self, block: Block, target: Block, size: int) -> None:
        """Copy the first bytes of a block into one of another arena: from memory to disk, or back."""
        if target.arena.is_file:
            # The pages of the mapping in which the value was written need not be mapped once more.
            mapping = self.writable() if self.is_populated(block) else self.readable()
            source = memoryview(mapping)[block.start : block.start + size]
            target.arena.write(target, [(0, source)])
            return
        arena, start = target.arena, target.start
        view = memoryview(arena.writable())[start : start + size]
        arena.populate(target)
        _read_all(self.fd, view, block.start)

    def writable(self) -> mmap.mmap:
        """Return the writable mapping of the whole arena. A forked child does not inherit it."""
        mapping = self._writable
        if mapping is None:
            assert self.fd is not None
            mapping = _map(self.fd, self.size, mmap.PROT_READ | mmap.PROT_WRITE)
            if _DONT_FORK is not None:
                mapping.madvise(_DONT_FORK)
            self._writable = mapping
        return mapping

    def populate(self, block: Block) -> None:
        """Have the writable mapping show all pages of a block, so that `write_in_place` meets no page fault.

        A file is not written in its mapping: a page that its file system has no room for would end the process.
        """
        if self.is_file or self.is_populated(block):
            return
        self.resident[self.span(block)] = bytes((POPULATED,)) * block.units
        try:
            self.writable().madvise(_POPULATE_WRITE, block.start, block.units * self.unit)
        except (OSError, ValueError, AttributeError):  # an old kernel, or macOS: the pages fault one by one
            pass

    # ------------------------------------------------------------------------------------------------------ freeing

    def remove(self, block: Block) -> int:
        """Give the memory, or the space on disk, of an unused block back to the system. Return the number of bytes.

        The caller has taken the block, so that nobody else writes into it.
        """
        span = self.span(block)
        held = (block.units - self.resident.count(COLD, *_ends(span))) * self.unit
        if not held or _REMOVE is None:
            return 0
        try:
            self.writable().madvise(_REMOVE, block.start, block.units * self.unit)
        except (OSError, exceptions.RaySystemError):  # no descriptor, or a file system without holes in files
            return 0
        self.resident[span] = bytes(block.units)
        return held

    @property
    def resident_bytes(self) -> int:
        """Bytes of memory, or of disk, that the arena takes."""
        return (len(self.resident) - self.resident.count(COLD)) * self.unit

    def drop_mappings(self) -> None:
        """Leave the mappings to the views that need them. The arena is mapped again if it is used again."""
        self._readable = self._writable = self._target = None


IN_PLACE = 1 << 20
"""A block of up to this size (bytes) is filled in its mapping at once. Above, `pwrite` is faster than page faults."""


def memory_file() -> Descriptor | None:
    """Return an anonymous file in memory, or a file that stands for one. Return None if neither can be made.

    Raises:
        RaySystemError: The process has no descriptor left.
    """
    try:
        fd = memory_files.anonymous("nbactors-segment")
        return Descriptor(fd) if fd is not None else disk_file(memory_files.directory(), FileDescriptor)
    except OSError as error:
        if reasons.is_no_descriptor(error):
            raise reasons.no_descriptor("a large value could not be stored") from None
        return None


def disk_file(directory: str, kind: type[Descriptor] = Descriptor) -> Descriptor:
    """Return an unlinked file in a directory.

    Raises:
        RaySystemError: The process has no descriptor left.
        OSError: The directory cannot be written to.
    """
    try:
        return kind(_nameless(directory))
    except OSError as error:
        if reasons.is_no_descriptor(error):
            raise reasons.no_descriptor("a large value could not be stored") from None
        raise


def _nameless(directory: str) -> int:
    """Open a file without a name, which a process that is killed at any moment leaves nothing of."""
    if _NAMELESS is not None:
        try:
            return os.open(directory, _NAMELESS | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
    import tempfile  # noqa: PLC0415 - takes 7 ms, and few file systems need it

    fd, path = tempfile.mkstemp(prefix="nbactors-", dir=directory)
    try:
        os.unlink(path)
    except OSError:
        os.close(fd)
        raise
    return fd


def _ends(span: slice) -> tuple[int, int]:
    return span.start, span.stop


def _map(fd: int, size: int, prot: int) -> mmap.mmap:
    """Map a file. Before 3.13, Python's mmap duplicates the descriptor, which may fail because none is free."""
    try:
        return mmap.mmap(fd, size, flags=mmap.MAP_SHARED, prot=prot, **_UNTRACKED)
    except OSError as error:
        if reasons.is_no_descriptor(error):
            raise reasons.no_descriptor("a large value could not be mapped") from None
        raise


def _read_all(fd: int | None, target: memoryview, offset: int) -> None:
    assert fd is not None
    while target.nbytes:
        count = os.preadv(fd, [target], offset)
        if not count:
            raise OSError(errno.EIO, "a file with spilled values is too short")
        target = target[count:]
        offset += count


def _write_all(fd: int | None, part: memoryview, offset: int) -> None:
    assert fd is not None
    while part.nbytes:
        count = os.pwrite(fd, part, offset)
        part = part[count:]
        offset += count
