"""Large values in shared memory: written once, mapped read-only by every reader, reused when nobody maps them.

A segment is an anonymous file (memfd; where that does not exist or the memory limit is reached, an unlinked file), so
the kernel frees it with its last descriptor and mapping: nothing can be left behind, and the size of `/dev/shm` does
not matter. Descriptors travel beside the message that announces the value.

Reuse is what makes a second `put` fast (its pages are mapped already), and what could corrupt a reader. The rule:

- Whoever hands a segment on counts a *hold* for the receiver. The receiver gives it back by `ReleaseSegment` once its
  last view is gone and everyone to whom it handed the segment has given back theirs.
- A hold given back permits reuse. A hold that is lost, because the receiver's connection broke, forbids it for ever:
  somebody further down may still map the pages. The segment is then left to the kernel.

So each process reasons about its neighbours only. There is no lock: a signal's handler or a finalizer that interrupts
this code may come here again, and must not wait for what it has interrupted. To change a count and to look at it, with
no call between, is one step in CPython, and so is one call of a C function. The runtime's own finalizers only post to
the reactor.
"""

from __future__ import annotations

import itertools
import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nbactors.local.store import descriptors

ALIGN = 64
LARGE = 1 << 20
"""Buffers from this size on begin on a page: copying 800 MB to offset 128 of a page took four times as long as to
offset 0, since the C library then cannot use its streaming copy."""

_POPULATE = getattr(mmap, "MAP_POPULATE", 0)
_IN_PLACE = 1 << 20
"""Up to this size a fresh segment is mapped and filled at once; above, `pwrite` is faster than faulting pages in."""


class Hold:
    """Counts why a segment is still in use in this process: its value, its mapping, and holds handed on.

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
        """Let go of the segment. It may be the end of the interpreter, when modules have no contents any more."""
        if self.writable is not None:
            try:
                self.writable.close()
            except BufferError:  # a view of it is still being written; it goes with the view
                pass
            self.writable = None
        fd, self.fd = self.fd, -1
        if fd >= 0:
            self.close_fd(fd)

    close_fd = staticmethod(os.close)


class Stored:
    """A value in a segment. Keeps the segment alive; freed with the last reference to this object."""

    __slots__ = ("hold", "size", "spans", "store")

    def __init__(self, store: SegmentStore, hold: Hold, size: int, spans: list[tuple[int, int]]) -> None:
        self.store = store
        self.hold = hold
        self.size = size
        self.spans = spans

    def views(self) -> tuple[memoryview, list[memoryview]]:
        """Return read-only views of the pickle stream and of each buffer. They keep the mapping alive."""
        view = memoryview(self.store.map(self.hold, self.size))
        parts = [view[offset : offset + length] for offset, length in self.spans]
        return parts[0], parts[1:]

    def __del__(self) -> None:
        try:
            self.store.discard(self.hold)
        except AttributeError:  # an exception from outside came before it had any
            pass


class SegmentStore:
    """The segments that this process made, and those that it was handed.

    Args:
        post: Runs an action soon on the reactor's thread; called by finalizers.
        limit: Bytes of memory that this process's own segments may take before further ones go to disk.
        directory: Where files lie that replace memory; None for the system's temporary directory.
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
        """Called once, when this process first maps a value."""

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
        # `del ref` before the next put: its segment is to be found free now, not when the reactor comes to it.
        self._settle()
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
        """Take the best of the free segments out: the smallest that fits, of those the latest. It counts as used.

        Its pages are the likeliest to lie in the processor's cache. A generator's items are all of one size, and many
        of them may be free: one that fits exactly ends the search.
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
            hold.lost = True  # it may be shorter than it says
            self._drop(hold)
            raise
        return hold

    def _reserve(self, capacity: int) -> bool:
        """Count bytes of memory; return False if that would be more than the limit."""
        if self.in_memory + capacity > self._limit:
            return False
        self.in_memory += capacity
        return True

    # ------------------------------------------------------------------------------------------------------ reading

    def receive(self, fd: int, size: int, spans: list[tuple[int, int]], on_done: Callable[[], None]) -> Stored:
        """Take over a descriptor that a peer handed to this process. `on_done` gives the hold back."""

        def free(hold: Hold) -> None:
            hold.close()
            on_done()

        hold = Hold(0, fd, size, free)
        hold.count = 1
        return Stored(self, hold, size, spans)

    def map(self, hold: Hold, size: int) -> mmap.mmap:
        """Return a read-only mapping of the segment, shared by all who read it at this time."""
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
        """Count a hold for a receiver; returns the number it will give back."""
        number = next(self._numbers)
        stored.hold.count += 1
        self._given[number] = stored.hold
        return number

    def released(self, number: int) -> None:
        """A receiver gives back a hold."""
        hold = self._given.pop(number, None)
        if hold is not None:
            self._drop(hold)

    def lost(self, number: int) -> None:
        """A receiver's connection broke while it had a hold."""
        hold = self._given.pop(number, None)
        if hold is not None:
            hold.lost = True
            self._drop(hold)

    def discard(self, hold: Hold) -> None:
        """A view or a value is gone. Called by finalizers, therefore only notes it and posts."""
        self._dropped.append(hold)
        if not self._closed:
            self._post(self._settle)
        else:  # the reactor has ended
            self._settle()

    def _settle(self) -> None:
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
        """Give free segments back to the system. Called when the process has been quiet for a while."""
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
        """Bytes kept for reuse."""
        return sum(hold.capacity for hold in list(self._free))

    def close(self) -> None:
        """Close every free segment; those in use go with their last view."""
        self._closed = True
        self._settle()
        self._limit = 0
        self._trim(None)
        for hold in list(self._given.values()):
            hold.lost = True


def _map(fd: int, size: int, flags: int, prot: int) -> mmap.mmap:
    """Map a segment. Python's mapping keeps a duplicate of the descriptor, for which there may be none left."""
    try:
        return mmap.mmap(fd, size, flags=flags, prot=prot)
    except OSError as error:
        if descriptors.is_exhausted(error):
            raise descriptors.exhausted("a large value could not be mapped") from None
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
        if descriptors.is_exhausted(error):
            raise descriptors.exhausted("a large value could not be stored") from None
        return -1


def _disk_file(directory: str | None) -> int:
    import tempfile  # noqa: PLC0415 - 7 ms that few sessions need

    try:
        fd, path = tempfile.mkstemp(prefix="nbactors-", dir=directory)
    except OSError as error:
        if descriptors.is_exhausted(error):
            raise descriptors.exhausted("a large value could not be stored") from None
        raise
    os.unlink(path)
    return fd
