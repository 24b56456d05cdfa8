"""`Allocator`: the arenas of this process, and the memory that they take."""

from __future__ import annotations

import itertools
import mmap
import os
import re
from collections.abc import Callable
from typing import NamedTuple

from nbactors.local.store.arena import COLD, Arena, Block, Descriptor, disk_file, memory_file
from nbactors.local.store.forks import Forks
from nbactors.local.store.room import Room
from nbactors.local.store.spill_directory import SpillDirectory
from nbactors.local.store.warm_blocks import WarmBlocks

_FREE_RUN = re.compile(b"\0+")


class _Kind(NamedTuple):
    """Which arena a value goes to.

    Attributes:
        most: The most bytes of a value; 0 for values that have an arena each.
        unit, first: Bytes of a unit, and of the first arenas.
    """

    most: int
    unit: int
    first: int

    def size(self, count: int) -> int:
        """Return the bytes of the next arena if there are `count` already.

        The size doubles with each second arena. So few descriptors suffice for many values, in memory and on disk, and
        an arena takes no memory for the part that was never written.
        """
        return self.first << min(count // 2, 3)


_KINDS = (_Kind(4 << 20, 16 << 10, 256 << 20), _Kind(64 << 20, 1 << 20, 1 << 30))
"""A unit is a small part of any value of its kind, and an arena's map is so small that it is copied in a moment."""

_MOST, _UNIT, _ = _KINDS[0]

_OWN = _Kind(0, 0, 0)
"""Larger values have an arena each, which is freed at once as a whole."""


class Allocator:
    """Takes blocks in arenas, counts the memory that they take, and gives free memory back.

    It never spills and never waits. All methods may be called on any thread.

    Args:
        room: The memory for this process's own values.
        forks: Tells which blocks a forked child has mapped.

    Attributes:
        in_memory: Bytes of memory that this process's own arenas take.
        is_closed: Whether no block is used again: the process leaves, or is a forked child.
        on_closed: Called with each arena that is closed, or that its owner has closed.
    """

    def __init__(self, room: Room, forks: Forks | None = None) -> None:
        self._room = room
        self._forks = forks
        self._numbers = itertools.count(1)
        self._arenas: dict[tuple[_Kind, bool], list[Arena]] = {}
        """The arenas in which blocks are taken, by their kind, and by whether they are in memory."""
        self._retired: dict[Arena, None] = {}
        self._received: dict[tuple[int, int], Arena] = {}
        """The arenas of peers by the inode of the file: a second connection may bring the same arena."""
        self._warm = WarmBlocks()
        self.in_memory = 0
        self.is_closed = False
        self.on_closed: Callable[[Arena], None] = lambda arena: None

    # ------------------------------------------------------------------------------------------------------- blocks

    def take_warm(self, size: int) -> Block | None:
        """Take a block of this size that was freed a moment ago: its memory is counted, and its pages are mapped."""
        unit = _UNIT if size <= _MOST else _kind(size).unit or size
        block = self._warm.take(-(-size // unit) * unit)
        if block is None:
            return None
        if block.arena.is_retired:
            self._give(block)
            return None
        born = self._forks.count if self._forks is not None else 0
        return block if block.born == born else block._replace(born=born)

    def take(self, size: int, directory: SpillDirectory | None = None) -> Block | None:
        """Take a block for `size` bytes, in a new arena if need be. Return None if there is no memory file.

        The caller reserves the memory that the block takes in addition: `Arena.cold_bytes`.

        Args:
            size: Bytes.
            directory: Where the file is, for a block on a disk; None for one in memory.

        Raises:
            RaySystemError: This process has no descriptor left.
            OSError: The directory cannot be written to.
        """
        kind = _kind(size)
        in_memory = directory is None
        arenas = self._arenas.setdefault((kind, in_memory), [])
        if kind is _OWN:
            best = _best(arenas, size)
            found = [best] if best is not None else []
        else:
            found = list(arenas)
        for arena in found:
            block = self._take_in(arena, size)
            if block is not None:
                return block
        fd = memory_file() if directory is None else disk_file(directory.path)
        if fd is None:
            return None
        capacity = kind.size(len(arenas)) if kind is not _OWN else _whole_pages(size)
        os.ftruncate(fd, capacity)
        arena = Arena(next(self._numbers), fd, capacity, kind.unit or capacity, in_memory)
        arena.counts = directory is None or directory.in_memory
        block = self._take_in(arena, size)
        assert block is not None
        arenas.append(arena)
        return block

    def _take_in(self, arena: Arena, size: int) -> Block | None:
        unit, forks = arena.unit, self._forks
        units = -(-size // unit) or 1
        start = arena.map.take(units)
        if start < 0:
            return None
        arena.live += 1
        return Block(arena, start * unit, units, forks.count if forks is not None else 0)

    @property
    def born(self) -> int:
        """The number of forks so far, see `Block.born`."""
        return self._forks.count if self._forks is not None else 0

    def reserve(self, count: int) -> bool:
        """Count bytes of memory. Return False if there would be more than the limit."""
        if count and self.in_memory + count > self._room.lent:
            return False
        self.in_memory += count
        return True

    @property
    def has_children(self) -> bool:
        """Whether a forked child may have a block: a quick question before `after_forks`."""
        return self._forks is not None and bool(self._forks.children)

    def after_forks(self, born: int, action: Callable[[], None]) -> bool:
        """Do `action` after the end of the forked children that have a block. Return False if there is no such child.

        Args:
            born: See `Block.born`.
            action: Called on the leader's thread; it asks again.
        """
        return self._forks is not None and self._forks.guards(born, action)

    def give(self, block: Block) -> None:
        """Make a block free, after the end of the forked children that have it."""
        if not self.after_forks(block.born, lambda: self.give(block)):
            self._give(block)

    def give_warm(self, block: Block) -> None:
        """Make a block free that no forked child has, or keep it for the next value of its size."""
        if self.is_closed or not self._warm.keep(block):
            self._give(block)

    def give_spilled(self, block: Block) -> None:
        """Keep a block whose value was spilled for the next value of its size, after the end of forked children."""
        if self.after_forks(block.born, lambda: self.give_spilled(block)):
            return
        arena = block.arena
        has_more = arena.unit < arena.size
        if has_more and not self.is_closed:
            arena.populate(block)
        if not has_more or self.is_closed or not self._warm.keep_spilled(block):
            self._give(block)

    def give_lost(self, block: Block) -> None:
        """Leave a block that is never used again. Its arena goes when no other block is in use."""
        self._retire(block.arena)
        self.leave(block.arena)

    def _give(self, block: Block) -> None:
        arena = block.arena
        if self.is_closed:
            self._retire(arena)
        else:
            first, units = block.start // arena.unit, block.units
            arena.map.give(first, units)
            if not arena.may_have_free and arena.resident.count(COLD, first, first + units) < units:
                arena.may_have_free = True
        self.leave(arena)

    # ------------------------------------------------------------------------------------------------------- arenas

    def take_over(self, fd: Descriptor | None, size: int) -> Arena:
        """Return an arena that a peer has announced. Undone by `leave`.

        Args:
            fd: Its descriptor; None if that was lost on the way.
            size: Its bytes.
        """
        found = os.fstat(fd) if fd is not None else None
        inode = (found.st_dev, found.st_ino) if found is not None else (0, 0)
        arena = self._received.get(inode)
        if arena is None:
            arena = Arena(next(self._numbers), fd, size, size)
            arena.is_retired = True
            if fd is not None:
                arena.inode = inode
                self._received[inode] = arena
        arena.live += 1
        return arena

    def _retire(self, arena: Arena) -> None:
        if arena.is_retired:
            return
        arena.is_retired = True
        self._retired[arena] = None
        for arenas in list(self._arenas.values()):
            if arena in arenas:
                arenas.remove(arena)

    def leave(self, arena: Arena) -> None:
        """Note that a block of an arena is no longer in use, or that the connection to its owner is closed."""
        arena.live -= 1
        if arena.live == 0 and arena.is_retired:
            self._close(arena)

    def _close(self, arena: Arena) -> None:
        """Forget an arena without a block in use. The kernel frees it with the last mapping in any process."""
        self._retired.pop(arena, None)
        self._received.pop(arena.inode, None)
        resident, arena.resident = arena.resident, bytearray(len(arena.resident))
        if arena.counts:
            self.in_memory -= (len(resident) - resident.count(0)) * arena.unit
        arena.drop_mappings()
        arena.ask = None
        self.on_closed(arena)

    def close(self) -> None:
        """Leave all arenas. Those in use are freed with their last blocks."""
        self._cool()
        self.is_closed = True
        if self._forks is not None:
            self._forks.close()
        for arenas in list(self._arenas.values()):
            for arena in list(arenas):
                arena.live += 1
                self._retire(arena)
                self.leave(arena)

    # ----------------------------------------------------------------------------------------------------- trimming

    def trim(self, wanted: int | None = None) -> bool:
        """Give free memory back, all of it or until `wanted` bytes are free below the limit. Return if they are."""
        self._cool()
        for arenas in list(self._arenas.values()):
            for arena in list(arenas):
                if wanted is None or (self.in_memory + wanted > self._room.lent and arena.counts):
                    self._trim_arena(arenas, arena)
        for arena in list(self._retired):
            self._punch(arena)
        return wanted is None or self.in_memory + wanted <= self._room.lent

    def trim_disk(self) -> None:
        """Give the free space on disk back."""
        for (_, in_memory), arenas in list(self._arenas.items()):
            if not in_memory:
                for arena in list(arenas):
                    self._trim_arena(arenas, arena)

    def _cool(self) -> None:
        """Make the warm blocks free."""
        for block in self._warm.drain():
            self._give(block)

    def _trim_arena(self, arenas: list[Arena], arena: Arena) -> None:
        if arena.live or not arena.map.take_all():
            self._punch(arena)
            return
        arena.is_retired = True
        try:
            arenas.remove(arena)
        except ValueError:  # it was retired meanwhile
            pass
        self._close(arena)

    def _punch(self, arena: Arena) -> None:
        """Give the memory of an arena's free units back.

        The search takes as long as the arena has units. Each put comes here when memory is full, so an arena is
        searched again only when a block in it was freed since: else many values would take quadratic time.
        """
        if not arena.may_have_free:
            return
        arena.may_have_free = False
        for run in _FREE_RUN.finditer(arena.map.units):
            start, count = run.start(), run.end() - run.start()
            if arena.resident.count(0, start, start + count) < count and arena.map.take_at(start, count):
                freed = arena.remove(Block(arena, start * arena.unit, count, 0))
                if arena.counts:
                    self.in_memory -= freed
                if not freed:
                    arena.may_have_free = True
                arena.map.give(start, count)

    @property
    def in_use(self) -> int:
        """Bytes of memory of the blocks that are in use, and of those that are lost."""
        arenas = [arena for some in list(self._arenas.values()) for arena in list(some)] + list(self._retired)
        return sum(arena.map.used * arena.unit for arena in arenas if arena.counts) - self._warm.size

    @property
    def free_bytes(self) -> int:
        """Bytes of memory that are kept for further values."""
        arenas = [arena for some in list(self._arenas.values()) for arena in list(some) if arena.counts]
        return self._warm.size + sum(arena.resident_bytes - arena.map.used * arena.unit for arena in arenas)

    @property
    def on_disk(self) -> int:
        """Bytes of the blocks on disk that are in use."""
        arenas = [arena for (_, in_memory), some in list(self._arenas.items()) if not in_memory for arena in list(some)]
        return sum(arena.map.used * arena.unit for arena in arenas)


def _kind(size: int) -> _Kind:
    for kind in _KINDS:
        if size <= kind.most:
            return kind
    return _OWN


def _best(arenas: list[Arena], size: int) -> Arena | None:
    """Return a free arena for a value that has an arena of its own: the smallest one, and not a far larger one.

    Of several such the most recent one: its pages are the likeliest to be in the processor's cache.
    """
    exact = _whole_pages(size)
    found, smallest = None, 4 * size + 1
    for arena in reversed(list(arenas)):
        if size <= arena.size < smallest and arena.live == 0:
            found, smallest = arena, arena.size
            if smallest == exact:
                break
    return found


def _whole_pages(size: int) -> int:
    return max(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE, mmap.PAGESIZE)
