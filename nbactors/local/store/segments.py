"""`SegmentStore`: the large values of a process. The theory is in this room's `__init__`."""

from __future__ import annotations

import itertools
import mmap
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pickle import PickleBuffer
from typing import ClassVar

from nbactors.local.store.allocator import Allocator
from nbactors.local.store.arena import Arena, Block
from nbactors.local.store.forks import Forks
from nbactors.local.store.hold import Hold
from nbactors.local.store.room import Room
from nbactors.local.store.spill_directory import SpillDirectory
from nbactors.local.store.spiller import Spiller

ALIGN = 64
LARGE = 1 << 20
"""Buffers of at least this size (bytes) start at a page. Copying 800 MB to offset 128 of a page took four times as long
as to offset 0, because the C library then cannot use its streaming copy."""


class Stored:
    """A value in a block. It keeps the block in use until the last reference to this object is gone."""

    __slots__ = ("hold", "size", "spans", "store")

    def __init__(self, store: SegmentStore, hold: Hold, size: int, spans: list[tuple[int, int]]) -> None:
        self.store = store
        self.hold = hold
        self.size = size
        self.spans = spans

    def views(self) -> tuple[memoryview, list[memoryview]]:
        """Return read-only views of the pickle stream and of each buffer. The views keep the block in use.

        Raises:
            RaySystemError: This process has no descriptor left.
        """
        view = self.store.view(self.hold, self.size)
        parts = [view[offset : offset + length] for offset, length in self.spans]
        return parts[0], parts[1:]

    def __del__(self) -> None:
        try:
            self.hold.is_valued = False
            self.store.discard(self.hold)
        except AttributeError:  # an asynchronous exception came before the attributes were set
            pass


class SegmentStore:
    """The values that this process has stored, and those that it has received.

    Args:
        post: Runs an action soon on the reactor's thread; finalizers call it.
        room: The memory for this process's own values; the least recently used ones are spilled to disk.
        directory: The directory for spilled values; None to find one when it is needed.
        forks: Tells which blocks a forked child has mapped.

    Attributes:
        allocator: The arenas of this process, and those of its peers.
    """

    _viewed: ClassVar[dict[int, weakref.ref[memoryview]]] = {}
    """Of all stores, by their ids: the hash of such a reference would be that of all bytes of the view.

    Nothing else keeps these while there are views: a collection would take them, and no hold end."""

    def __init__(
        self,
        post: Callable[[Callable[[], None]], None],
        room: Room,
        directory: SpillDirectory | None = None,
        forks: Forks | None = None,
    ) -> None:
        self._post = post
        self.allocator = allocator = Allocator(room, forks)
        self._spiller = Spiller(allocator, room, directory, self._drop)
        self._numbers = itertools.count(1)
        self._given: dict[int, Hold] = {}
        self._dropped: deque[Hold] = deque()

    def tell_moves(self, moved: Callable[[str, int, float], None]) -> None:
        """Have `moved` called when values were spilled or restored, see `Spiller.on_moved`."""
        self._spiller.on_moved = moved

    # ------------------------------------------------------------------------------------------------------ writing

    def write(self, data: bytes, buffers: Sequence[memoryview]) -> Stored:
        """Copy a pickled value into a block. Any thread."""
        end = len(data)
        spans, parts = [(0, end)], [(0, memoryview(data))]
        for buffer in buffers:
            size = buffer.nbytes
            align = ALIGN if size < LARGE else mmap.PAGESIZE
            start = -(-end // align) * align
            spans.append((start, size))
            parts.append((start, buffer))
            end = start + size
        # After `del ref`, the next put must find the block free now, not when the reactor runs the action.
        self._drop_discarded()
        hold = Hold(self.allocator.take_warm(end) or self._spiller.take(end), end, self._recycle)
        try:
            block = hold.block
            fill = block.arena.write_in_place if block.arena.is_populated(block) else self._spiller.fill
            fill(block, parts)
            stored = Stored(self, hold, end, spans)
        except BaseException:
            self._spiller.unfill(hold.block)
            self._drop(hold)
            raise
        self._spiller.add(hold)
        return stored

    # ------------------------------------------------------------------------------------------------------ reading

    def receive(
        self, arena: Arena, offset: int, size: int, spans: list[tuple[int, int]], on_done: Callable[[], None]
    ) -> Stored:
        """Take over a value in a peer's arena. `on_done` is called to give the hold back."""

        def free(hold: Hold) -> None:
            self.allocator.leave(arena)
            on_done()

        arena.live += 1
        return Stored(self, Hold(Block(arena, offset, 0, self.allocator.born), size, free), size, spans)

    def view(self, hold: Hold, size: int) -> memoryview:
        """Return a read-only view of a block. The hold is counted until this view, and all views of it, are gone."""
        self._spiller.use(hold)
        hold.count += 1
        ref = None
        try:
            block = hold.block
            part = memoryview(block.arena.readable())[block.start : block.start + size]
            ref = weakref.ref(part, lambda gone: self._unviewed(gone, hold))
            self._viewed[id(ref)] = ref
        except BaseException:
            if ref is None:
                self._drop(hold)
            raise
        # A slice of a view refers to the exporter of the buffer, not to the view. Behind a PickleBuffer, `part` is the
        # exporter: so it lives as long as any slice.
        return memoryview(PickleBuffer(part))

    def _unviewed(self, gone: weakref.ref[memoryview], hold: Hold) -> None:
        """The last view has gone. Any thread, in the collection of garbage too."""
        self._viewed.pop(id(gone), None)
        self.discard(hold)

    # ----------------------------------------------------------------------------------------------------- counting

    def grant(self, stored: Stored) -> int:
        """Count a hold for a receiver. Return its number, with which the receiver gives it back."""
        number = next(self._numbers)
        if stored.hold.block.arena.in_memory:
            self._spiller.use(stored.hold)
        # A spilled value is not restored, since the leader must not read files: the receiver maps the file.
        stored.hold.count += 1
        self._given[number] = stored.hold
        return number

    def released(self, number: int) -> None:
        """Take back a hold from a receiver."""
        hold = self._given.pop(number, None)
        if hold is not None:
            self._drop(hold)

    def lost(self, number: int) -> None:
        """Note that a hold is lost, because the receiver's connection broke."""
        hold = self._given.pop(number, None)
        if hold is not None:
            hold.lost = True
            self._drop(hold)

    def discard(self, hold: Hold) -> None:
        """Note that a view or a value is gone. Finalizers call this, so it only appends and posts."""
        self._dropped.append(hold)
        if not self.allocator.is_closed:
            self._post(self._drop_discarded)
        else:  # the reactor has ended
            self._drop_discarded()

    def _drop_discarded(self) -> None:
        while self._dropped:
            try:
                hold = self._dropped.popleft()
            except IndexError:  # another thread was faster
                return
            self._drop(hold)

    def _drop(self, hold: Hold) -> None:
        hold.count -= 1
        if hold.count == 0:
            self._end(hold)
        elif hold.is_aside and hold.count == 1:
            self._spiller.unpin(hold)

    def _end(self, hold: Hold) -> None:
        """Free a block, or give it back, when no forked child has it."""
        allocator = self.allocator
        if not allocator.has_children or not allocator.after_forks(hold.block.born, lambda: self._end(hold)):
            hold.on_free(hold)

    def _recycle(self, hold: Hold) -> None:
        self._spiller.remove(hold)
        if hold.lost:
            self.allocator.give_lost(hold.block)
        else:
            self.allocator.give_warm(hold.block)

    # ------------------------------------------------------------------------------------------------------- memory

    @property
    def in_memory(self) -> int:
        """Bytes of memory that this process's own arenas take."""
        return self.allocator.in_memory

    @property
    def free_bytes(self) -> int:
        """Bytes of them that are kept for further values."""
        return self.allocator.free_bytes

    @property
    def spilled(self) -> int:
        """Bytes of the values on disk, the copies of values in memory among them."""
        return self.allocator.on_disk

    def trim(self) -> None:
        """Give free memory back to the system."""
        self.allocator.trim()

    def make_room(self) -> None:
        """Spill what the room owes to the node, on a thread of its own. Any thread."""
        self._spiller.make_room()

    def forget(self) -> None:
        """In a forked child: leave the arenas to the parent. The child reads the values that it has, and no more."""
        self.allocator.is_closed = True

    def close(self) -> None:
        """Leave all arenas. Those in use are freed with their last views."""
        self._drop_discarded()
        self.allocator.close()
        for hold in list(self._given.values()):
            hold.lost = True
