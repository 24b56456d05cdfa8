"""`SegmentStore`: the segments of a process. The theory is in this room's `__init__`."""

from __future__ import annotations

import itertools
import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nbactors.exceptions import reasons

ALIGN = 64
LARGE = 1 << 20
"""Buffers of at least this size (bytes) start at a page. Copying 800 MB to offset 128 of a page took four times as long
as to offset 0, because the C library then cannot use its streaming copy."""

_POPULATE = getattr(mmap, "MAP_POPULATE", 0)
_IN_PLACE = 1 << 20
"""A new segment of up to this size (bytes) is mapped and filled at once. Above, `pwrite` is faster than page faults."""


class Hold:
    """Counts the uses of a segment in this process: by its value, by its mapping, and by holds of receivers.

    Args:
        fd: The segment's descriptor, owned by this object.
        on_free: Called with (hold) when the count falls to zero.
    """

    __slots__ = ("capacity", "count", "fd", "lost", "mapping", "number", "on_free", "writable")

    def __init__(self, number: int, fd: int, capacity: int, on_free: Callable[[Hold], None]) -> None:
        self.number = number
        self.fd = fd
        self.capacity = capacity
        self.on_free = on_free
        self.count = 0
        self.lost = False
        self.mapping: weakref.ref[mmap.mmap] | None = None
        self.writable: mmap.mmap | None = None

    def close(self) -> None:
        """Close the descriptor. This may run at the end of the interpreter, when modules are empty."""
        if self.writable is not None:
            try:
                self.writable.close()
            except BufferError:  # a view of it is still being written; the mapping goes with that view
                pass
            self.writable = None
        fd, self.fd = self.fd, -1
        if fd >= 0:
            self.close_fd(fd)

    close_fd = staticmethod(os.close)


class Stored:
    """A value in a segment. It keeps the segment in use until the last reference to this object is gone."""

    __slots__ = ("hold", "size", "spans", "store")

    def __init__(self, store: SegmentStore, hold: Hold, size: int, spans: list[tuple[int, int]]) -> None:
        self.store = store
        self.hold = hold
        self.size = size
        self.spans = spans

    def views(self) -> tuple[memoryview, list[memoryview]]:
        """Return read-only views of the pickle stream and of each buffer. The views keep the mapping alive."""
        view = memoryview(self.store.map(self.hold, self.size))
        parts = [view[offset : offset + length] for offset, length in self.spans]
        return parts[0], parts[1:]

    def __del__(self) -> None:
        try:
            self.store.discard(self.hold)
        except AttributeError:  # an asynchronous exception came before the attributes were set
            pass


class SegmentStore:
    """The segments that this process has made, and those that it has received.

    Args:
        post: Runs an action soon on the reactor's thread; finalizers call it.
        limit: Bytes of memory for this process's own segments; further segments are files on disk.
        directory: The directory for these files; None for the system's temporary directory.
    """

    _mapped: ClassVar[set[weakref.ref[mmap.mmap]]] = set()
    """Of all stores. Nothing else keeps these while there are views: a collection would take them, and no hold end."""

    def __init__(self, post: Callable[[Callable[[], None]], None], limit: int, directory: str | None = None) -> None:
        self._post = post
        self._limit = limit
        self._directory = directory
        self._numbers = itertools.count(1)
        self._free: list[Hold] = []
        self._given: dict[int, Hold] = {}
        self._dropped: deque[Hold] = deque()
        self._closed = False
        self.in_memory = 0
        self.on_first_map: Callable[[], None] | None = None
        """Called once, when this process maps its first value."""

    # ------------------------------------------------------------------------------------------------------ writing

    def write(self, data: bytes, buffers: Sequence[memoryview]) -> Stored:
        """Copy a pickled value into a segment. Any thread."""
        spans = [(0, len(data))]
        end = len(data)
        for buffer in buffers:
            align = ALIGN if buffer.nbytes < LARGE else mmap.PAGESIZE
            start = -(-end // align) * align
            spans.append((start, buffer.nbytes))
            end = start + buffer.nbytes
        hold = self._take(end)
        parts = [memoryview(data), *buffers]
        if hold.writable is not None:
            target = memoryview(hold.writable)
            for (start, length), part in zip(spans, parts, strict=True):
                target[start : start + length] = part
        else:
            for (start, _), part in zip(spans, parts, strict=True):
                _write_all(hold.fd, part, start)
        return Stored(self, hold, end, spans)

    def _take(self, size: int) -> Hold:
        # After `del ref`, the next put must find the segment free now, not when the reactor runs the action.
        self._drop_discarded()
        best = self._claim_free(size)
        if best is None:
            return self._make(size)
        try:
            if best.writable is None:
                best.writable = _map(
                    best.fd, best.capacity, flags=mmap.MAP_SHARED | _POPULATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
                )
        except BaseException:
            self._drop(best)
            raise
        return best

    def _claim_free(self, size: int) -> Hold | None:
        """Take a free segment: the smallest that is large enough, and of several such the most recent. Mark it used.

        The pages of the most recent one are the likeliest to be in the processor's cache. A generator's items often
        have one size, and many segments may be free: a segment of exactly the right size ends the search.
        """
        exact = _whole_pages(size)
        while True:
            found, smallest = None, max(4 * size, 1 << 20) + 1
            for hold in reversed(list(self._free)):
                if size <= hold.capacity < smallest:
                    found, smallest = hold, hold.capacity
                    if smallest == exact:
                        break
            if found is None:
                return None
            try:
                self._free.remove(found)
            except ValueError:  # another thread was faster
                continue
            found.count = 1
            return found

    def _make(self, size: int) -> Hold:
        capacity = _whole_pages(size)
        in_memory = self._reserve(capacity)
        if not in_memory:
            self._trim(capacity)
            in_memory = self._reserve(capacity)
        number = next(self._numbers)
        fd = -1
        if in_memory:
            try:
                fd = _memory_file()
            finally:
                if fd < 0:
                    self.in_memory -= capacity
        if fd < 0:
            in_memory = False
            fd = _disk_file(self._directory)
        hold = Hold(number, fd, capacity, self._recycle if in_memory else Hold.close)
        hold.count = 1
        try:
            os.ftruncate(fd, capacity)
            if capacity <= _IN_PLACE:
                hold.writable = _map(fd, capacity, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        except BaseException:
            hold.lost = True  # the file may be shorter than `capacity`
            self._drop(hold)
            raise
        return hold

    def _reserve(self, capacity: int) -> bool:
        """Count bytes of memory. Return False if there would be more than the limit."""
        if self.in_memory + capacity > self._limit:
            return False
        self.in_memory += capacity
        return True

    # ------------------------------------------------------------------------------------------------------ reading

    def receive(self, fd: int, size: int, spans: list[tuple[int, int]], on_done: Callable[[], None]) -> Stored:
        """Take over a descriptor that a peer sent. `on_done` is called to give the hold back."""

        def free(hold: Hold) -> None:
            hold.close()
            on_done()

        hold = Hold(0, fd, size, free)
        hold.count = 1
        return Stored(self, hold, size, spans)

    def map(self, hold: Hold, size: int) -> mmap.mmap:
        """Return a read-only mapping of the segment, shared by all current readers in this process."""
        while True:
            known = hold.mapping
            mapping = known() if known is not None else None
            if mapping is not None:
                break
            mapping = _map(hold.fd, max(size, 1), flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
            fresh = weakref.ref(mapping, lambda gone: self._unmapped(gone, hold))
            if hold.mapping is known:
                hold.mapping = fresh
                hold.count += 1
                self._mapped.add(fresh)
                break
        on_first_map, self.on_first_map = self.on_first_map, None
        if on_first_map is not None:
            on_first_map()
        return mapping

    def _unmapped(self, gone: weakref.ref[mmap.mmap], hold: Hold) -> None:
        """The last view of a mapping has gone. Any thread, in the collection of garbage too."""
        self._mapped.discard(gone)
        self.discard(hold)

    # ----------------------------------------------------------------------------------------------------- counting

    def grant(self, stored: Stored) -> int:
        """Count a hold for a receiver. Return its number, with which the receiver gives it back."""
        number = next(self._numbers)
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
        if not self._closed:
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
            hold.on_free(hold)

    def _recycle(self, hold: Hold) -> None:
        hold.mapping = None
        if hold.lost or self._closed:
            self.in_memory -= hold.capacity
            hold.close()
        else:
            self._free.append(hold)

    # ----------------------------------------------------------------------------------------------------- trimming

    def trim(self) -> None:
        """Close free segments. Called when the process has been idle for a while."""
        self._trim(None)

    def _trim(self, wanted: int | None) -> None:
        while self._free and (wanted is None or self.in_memory + wanted > self._limit):
            try:
                hold = self._free.pop(0)
            except IndexError:  # another thread was faster
                return
            self.in_memory -= hold.capacity
            hold.close()

    @property
    def free_bytes(self) -> int:
        """Bytes in segments that are kept for reuse."""
        return sum(hold.capacity for hold in list(self._free))

    def close(self) -> None:
        """Close all free segments. Segments in use are closed with their last views."""
        self._closed = True
        self._drop_discarded()
        self._limit = 0
        self._trim(None)
        for hold in list(self._given.values()):
            hold.lost = True


def _map(fd: int, size: int, flags: int, prot: int) -> mmap.mmap:
    """Map a segment. Python's mmap duplicates the descriptor, which may fail because none is free."""
    try:
        return mmap.mmap(fd, size, flags=flags, prot=prot)
    except OSError as error:
        if reasons.is_no_descriptor(error):
            raise reasons.no_descriptor("a large value could not be mapped") from None
        raise


def _whole_pages(size: int) -> int:
    return max(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE, mmap.PAGESIZE)


def _write_all(fd: int, part: memoryview, offset: int) -> None:
    while part.nbytes:
        count = os.pwrite(fd, part, offset)
        part = part[count:]
        offset += count


def _memory_file() -> int:
    make: Any = getattr(os, "memfd_create", None)
    if make is None:
        return -1
    try:
        return make("nbactors-segment", os.MFD_CLOEXEC)  # type: ignore[no-any-return]
    except OSError as error:
        if reasons.is_no_descriptor(error):
            raise reasons.no_descriptor("a large value could not be stored") from None
        return -1


def _disk_file(directory: str | None) -> int:
    import tempfile  # noqa: PLC0415 - takes 7 ms, and few sessions need it

    try:
        fd, path = tempfile.mkstemp(prefix="nbactors-", dir=directory)
    except OSError as error:
        if reasons.is_no_descriptor(error):
            raise reasons.no_descriptor("a large value could not be stored") from None
        raise
    os.unlink(path)
    return fd
