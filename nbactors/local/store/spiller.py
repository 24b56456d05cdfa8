"""`Spiller`: moves values from memory to disk, and back."""

from __future__ import annotations

import errno
import os
from _thread import start_new_thread
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from nbactors.exceptions import ObjectStoreFullError, RayError
from nbactors.local.store.allocator import Allocator
from nbactors.local.store.arena import Block
from nbactors.local.store.hold import Hold
from nbactors.local.store.room import AHEAD, Room
from nbactors.local.store.spill_directory import VARIABLE, SpillDirectory, find

HIGH, LOW = 0.9, 0.8
"""Shares of the limit: above the first, values are spilled until the second is reached."""

SPILL_BYTES = 16 << 20
"""Bytes that are spilled at least before room is looked for again."""

REST_S = 1.0
"""Seconds before the next attempt to spill, if there was nothing to spill."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Spiller:
    """Finds blocks for values: in memory, for which it spills the least recently used values, or else on disk.

    All methods may be called on any thread. A value moves only while nothing but the value's own reference holds it.

    Args:
        allocator: The blocks of this process.
        room: The memory for them.
        directory: The directory for spilled values; None to find one when it is needed.
        drop: Called with a hold whose count was raised here, to lower it.

    Attributes:
        on_moved: Called with "spill" or "restore", the bytes that were moved and the time of the begin. Any thread.
    """

    def __init__(
        self, allocator: Allocator, room: Room, directory: SpillDirectory | None, drop: Callable[[Hold], None]
    ) -> None:
        self._allocator = allocator
        self._room = room
        self._found_directory = directory
        self._drop = drop
        self._in_order: OrderedDict[Hold, None] = OrderedDict()
        """The own values in memory without those set aside; the least recently used one comes first."""
        self._is_spilling = False
        self.on_moved: Callable[[str, int, float], None] = lambda kind, size, start: None
        self._rests_until = 0.0

    # ------------------------------------------------------------------------------------------------------- values

    def add(self, hold: Hold) -> None:
        """Note a new value. If much of the room is taken, look for more, or begin to spill."""
        if hold.block.arena.in_memory:
            self._in_order[hold] = None
            if self._allocator.in_memory > self._room.lent * AHEAD:
                self._look_ahead()

    def use(self, hold: Hold) -> None:
        """Note that a value is used, and restore it if it was spilled."""
        if hold.block.arena.in_memory:
            try:
                self._in_order.move_to_end(hold)
            except KeyError:  # a peer's, or one that is set aside
                pass
        else:
            self._restore(hold)

    def unpin(self, hold: Hold) -> None:
        """Note that a value that was set aside has one use left. If that is the value itself, it can be spilled."""
        hold.is_aside = False
        if hold.is_valued and hold.block.arena.in_memory:
            self._in_order[hold] = None

    def remove(self, hold: Hold) -> None:
        """Note that a value is gone."""
        self._in_order.pop(hold, None)
        if hold.on_disk is not None and hold.on_disk is not hold.block:
            self._allocator.give(hold.on_disk)

    # ------------------------------------------------------------------------------------------------------- blocks

    def take(self, size: int) -> Block:
        """Take a block for a new value.

        Raises:
            ObjectStoreFullError: There is no room in memory, and none on disk.
            RaySystemError: This process has no descriptor left.
        """
        return self._take_in_memory(size) or self._take_on_disk(size)

    def _take_in_memory(self, size: int) -> Block | None:
        """Take a block in memory, and spill others for it. Return None if there is no room."""
        allocator, room = self._allocator, self._room
        while True:
            block = allocator.take_warm(size)
            if block is not None:
                return block
            block = allocator.take(size)
            if block is None:
                return None
            cold = block.arena.cold_bytes(block)
            if allocator.reserve(cold):
                return block
            room.ask(allocator.in_memory + cold)
            if allocator.reserve(cold):
                return block
            warm = allocator.take_warm(size)  # another thread has spilled values meanwhile
            if warm is None and allocator.trim(cold) and allocator.reserve(cold):
                return block
            allocator.give(block)
            if warm is not None:
                return warm
            if cold > room.lent or not self._spill(max(cold, min(SPILL_BYTES, room.lent // 8))):
                return None

    def _take_on_disk(self, size: int) -> Block:
        directory = self._directory
        if not directory.path:
            raise self._full(size, "no directory on a disk was found")
        try:
            block = self._allocator.take(size, directory)
        except OSError as error:
            raise self._full(size, error.strerror or str(error)) from None
        assert block is not None
        if block.arena.counts and not self._allocator.reserve(block.arena.cold_bytes(block)):
            self._allocator.give(block)
            raise self._full(size, "its files take memory, too")
        return block

    def fill(self, block: Block, parts: list[tuple[int, memoryview]]) -> None:
        """Write buffers into a block, each with its offset.

        Raises:
            ObjectStoreFullError: The disk is full.
        """
        try:
            try:
                block.arena.write(block, parts)
            except OSError:
                self._allocator.trim_disk()
                block.arena.write(block, parts)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise self._full(sum(part.nbytes for _, part in parts), str(error.strerror)) from None

    def unfill(self, block: Block) -> None:
        """Take back the memory that was reserved for a block, since it could not be filled."""
        if block.arena.counts:
            self._allocator.in_memory -= block.arena.cold_bytes(block)
        if not block.arena.in_memory:
            self._allocator.trim_disk()

    def _full(self, size: int, why: str) -> ObjectStoreFullError:
        path, allocator = self._directory.path, self._allocator
        return ObjectStoreFullError(
            f"A value of {size >> 20} MiB finds no room. The object store of this process (pid {os.getpid()}) holds "
            f"{allocator.in_memory >> 20} of {self._room.lent >> 20} MiB in memory, {allocator.on_disk >> 20} MiB on "
            f"disk, and cannot spill more to {path or 'a disk'}: {why}. {VARIABLE} names another directory for this."
        )

    @property
    def _directory(self) -> SpillDirectory:
        if self._found_directory is None:
            self._found_directory = find()
        return self._found_directory

    # ----------------------------------------------------------------------------------------------------- spilling

    def _spill(self, wanted: int) -> int:
        """Spill the least recently used values that nobody reads. Return the number of bytes. Any thread."""
        spilled = 0
        start = monotonic()
        while spilled < wanted and not self._directory.in_memory:
            try:
                hold, _ = self._in_order.popitem(last=False)
            except KeyError:
                break
            size = self._spill_value(hold)
            if size is None:
                break
            spilled += size
        if spilled:
            self.on_moved("spill", spilled, start)
        return spilled

    def _spill_value(self, hold: Hold) -> int | None:
        """Move a value to disk, or set it aside if something besides the value's own reference holds it.

        Args:
            hold: The caller has taken it out of the order.

        Returns:
            The bytes that this frees; None if there is no room on the disk.
        """
        if hold.count != 1 or hold.lost or not hold.is_valued:
            self._set_aside(hold)
            return 0
        hold.count += 1  # with no call since the comparison: nobody frees the block while it is copied
        is_spilled = False
        block = hold.block
        size = block.units * block.arena.unit
        try:
            target = hold.on_disk
            if target is None:
                target = hold.on_disk = self._copy_to_disk(block, hold.size)
            if target is None:
                return None
            if not self._move(hold, target):
                return 0
            is_spilled = True
            self._allocator.give_spilled(block)
            return size
        finally:
            if not is_spilled:
                self._in_order[hold] = None
                self._in_order.move_to_end(hold, last=False)
            self._drop(hold)

    def _set_aside(self, hold: Hold) -> None:
        """Look at a value again only when its last view is gone. Else each put would look at all values in use."""
        hold.is_aside = True
        if hold.count == 1 and not hold.lost:  # its last view went before the line above
            self.unpin(hold)

    def _copy_to_disk(self, block: Block, size: int) -> Block | None:
        try:
            target = self._take_on_disk(size)
        except RayError:  # no room on the disk, or no descriptor
            return None
        try:
            block.arena.copy(block, target, size)
        except OSError:  # the disk is full
            self._allocator.give(target)
            self._allocator.trim_disk()
            return None
        return target

    def _restore(self, hold: Hold) -> None:
        """Move a spilled value back into memory, if there is room. Otherwise it is read from the file.

        The copy on disk stays, so that the value need not be written again.
        """
        block = hold.block
        if self._allocator.is_closed or block.arena.in_memory or hold.count != 1 or not hold.is_valued:
            return
        hold.count += 1
        start = monotonic()
        try:
            target = self._take_in_memory(hold.size)
            if target is not None:
                try:
                    block.arena.copy(block, target, hold.size)
                    hold.on_disk = block
                    if self._move(hold, target):
                        self._in_order[hold] = None
                        target = None
                        self.on_moved("restore", block.units * block.arena.unit, start)
                finally:
                    if target is not None:
                        self._allocator.give(target)
        finally:
            self._drop(hold)

    @staticmethod
    def _move(hold: Hold, target: Block) -> bool:
        """Move a value that this thread holds, unless somebody else holds it by now."""
        if hold.count == 2 and hold.is_valued and not hold.lost:
            hold.block = target
        return hold.block is target

    # -------------------------------------------------------------------------------------------------------- ahead

    def _look_ahead(self) -> None:
        """Ask for more room, or begin to spill, before a put needs it. Any thread."""
        self._room.look_ahead(self._allocator.in_memory)
        if self._allocator.in_memory > self._room.lent * HIGH and self._room.is_short and not self._is_spilling:
            self._begin_to_spill()

    def _begin_to_spill(self) -> None:
        """Spill on a thread of its own until a part of the limit is free, so that later puts find room. Any thread."""
        if monotonic() > self._rests_until and self._is_crowded():
            self._is_spilling = True
            try:
                start_new_thread(self._spill_ahead, ())
            except RuntimeError:  # no thread is left: a put that finds no room spills itself
                self._is_spilling = False

    def make_room(self) -> None:
        """Spill what the room owes, on a thread of its own. Any thread."""
        if not self._is_spilling:
            self._begin_to_spill()
        if not self._is_spilling:
            self._room.settle(self._allocator.in_memory)

    def _is_crowded(self) -> bool:
        return self._allocator.in_use > self._room.lent * LOW

    def _spill_ahead(self) -> None:
        try:
            while not self._allocator.is_closed and self._is_crowded():
                if not self._spill(min(SPILL_BYTES, self._room.lent // 8 or 1)):
                    self._rests_until = monotonic() + REST_S
                    break
        finally:
            self._is_spilling = False
            if self._room.owes:
                self._allocator.trim()
                self._room.settle(self._allocator.in_memory)
