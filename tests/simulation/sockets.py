"""Simulated stream sockets, and the selector that watches them."""

from __future__ import annotations

import errno
import selectors
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from simulation.world import World

CAPACITY = 1 << 16
"""The most bytes of one direction that were sent and not read."""

_SHORT_IN = 16
"""One of so many sends takes only a part of the bytes."""

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Weather(NamedTuple):
    """How long a chunk of bytes is on its way: mostly up to `usual_s`, one of `odd_in` chunks up to `odd_s`."""

    usual_s: float = 0.0001
    odd_in: int = 50
    odd_s: float = 0.002


class Slow(NamedTuple):
    """All chunks from one on, up to another, are late."""

    first: int
    last: int
    seconds: float


class Socket:
    """One end of a connection. Bytes that a process has sent arrive in order, some time later.

    Args:
        owner: The process whose end this is.
        place: What decides the delays of the bytes that are sent here, see `World.number`.
        weather: The delays.
        on_arrival: Called with received bytes instead of keeping them; with b"" at the end.

    Attributes:
        cut_at: The number of sent bytes behind which the connection breaks.
        slow: Delays of some chunks.
    """

    def __init__(
        self, world: World, owner: Any, place: int, weather: Weather, on_arrival: Callable[[bytes], None] | None = None
    ) -> None:
        self._world = world
        self.owner = owner
        self._place = place
        self._weather = weather
        self._on_arrival = on_arrival
        self._fd = world.new_fd()
        self.peer: Socket
        self._inbox: list[bytes] = []
        self._in_flight = 0
        """Bytes that were sent here and not read there."""
        self._epoch = 0
        self._last_arrival = 0.0
        self._chunks = 0
        self._sent = 0
        self.ended = False
        """Whether the other end's last byte has arrived."""
        self._is_reset = False
        self._broken = False
        self.closed = self.is_cut = False
        self.cut_at: int | None = None
        self.slow: Slow | None = None
        owner.sockets[self._fd] = self
        self._ready = owner.ready

    def getsockopt(self, level: int, option: int, size: int = 0) -> int | bytes:
        """Return the pid at the other end, which the runtime asks for: as bytes where it gives a size, as on Linux."""
        pid: int = self.peer.owner.pid
        return struct.pack("3i", pid, 0, 0) if size else pid

    @property
    def has_lost_bytes(self) -> bool:
        """Whether bytes that were sent here may never arrive: the connection is cut, or was and neither end knows."""
        return self.is_cut or (self.cut_at is not None and self._sent > self.cut_at)

    def fileno(self) -> int:
        return -1 if self.closed else self._fd

    def setblocking(self, flag: bool) -> None:
        pass

    # ------------------------------------------------------------------------------------------------------ sending

    @property
    def writable(self) -> bool:
        return self._broken or self._in_flight < CAPACITY

    def send(self, data: Any) -> int:
        if self.closed:
            raise OSError(errno.EBADF, "closed")
        if self._broken:
            raise BrokenPipeError(errno.EPIPE, "broken")
        room = len(data) if self._on_arrival is not None else CAPACITY - self._in_flight
        if room <= 0:
            raise BlockingIOError
        number = self._world.number(self._place, self._chunks)
        self._chunks += 1
        count = min(len(data), room)
        if count > 1 and not number % _SHORT_IN:
            count = 1 + number // _SHORT_IN % (count - 1)
        chunk = bytes(data[:count])
        is_cut = self.cut_at is not None and self._sent + count >= self.cut_at
        if is_cut:
            chunk = chunk[: max(self.cut_at - self._sent, 0)]  # type: ignore[operator]
        self._sent += count
        self._in_flight += count
        self._deliver(chunk, number)
        if is_cut:
            self._world.later(self._delay(number >> 7), self.owner, self.cut, f"finds its connection {self._fd} cut")
        return count

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self.send(data) :]

    def _delay(self, number: int) -> float:
        usual_s, odd_in, odd_s = self._weather
        longest = odd_s if not (number >> 20) % odd_in else usual_s
        return longest * ((number >> 30) % 1000 + 1) / 1000

    def _deliver(self, chunk: bytes, number: int) -> None:
        delay = self._delay(number)
        slow = self.slow
        if slow is not None and slow.first <= self._chunks <= slow.last:
            delay += slow.seconds
        when = self._last_arrival = max(self._last_arrival, self._world.now + delay)
        peer, epoch = self.peer, self._epoch
        if chunk:
            what = f"gets {len(chunk)} bytes on {peer._fd} from {self.owner.name} ({zlib.crc32(chunk):08x})"
        else:
            what = f"gets the end of {peer._fd} from {self.owner.name}"
        self._world.at(when, peer.owner, lambda: peer._arrive(chunk, epoch), what)

    # ---------------------------------------------------------------------------------------------------- receiving

    def _arrive(self, chunk: bytes, epoch: int) -> None:
        if self.closed or epoch != self.peer._epoch:
            return
        if self._on_arrival is not None:
            if not self.peer.writable:
                self._world.touch(self.peer.owner)
            self.peer._in_flight -= len(chunk)
            if not chunk:
                self.ended = self._broken = True
            self._on_arrival(chunk)
            return
        if chunk:
            self._inbox.append(chunk)
        else:
            # A send fails from now on. That it does so before the last bytes were read would be possible, but a reader
            # has those bytes in its queue then, which is not so here: they are on their way.
            self.ended = self._broken = True
        self._ready[self._fd] = self

    def recvmsg(self, size: int, *_: Any) -> tuple[bytes, list[Any], int, None]:
        if self.closed:
            raise OSError(errno.EBADF, "closed")
        if self._inbox:
            data = b"".join(self._inbox)
            self._inbox = [data[size:]] if len(data) > size else []
            data = data[:size]
            was_full = not self.peer.writable
            self.peer._in_flight -= len(data)
            if was_full:
                self._world.touch(self.peer.owner)
            if not self._inbox and not self.ended:
                self._ready.pop(self._fd, None)
            return data, [], 0, None
        if self.ended:
            if self._is_reset:
                self._is_reset = False
                raise ConnectionResetError(errno.ECONNRESET, "reset")
            return b"", [], 0, None
        raise BlockingIOError

    # --------------------------------------------------------------------------------------------------------- ends

    def shutdown(self, how: int) -> None:
        """End both directions. What was sent before still arrives."""
        if self.closed:
            raise OSError(errno.EBADF, "closed")
        self._hang_up()
        self.ended = self._broken = True
        self._ready[self._fd] = self
        self._world.touch(self.owner)

    def close(self) -> None:
        if self.closed:
            return
        self._hang_up()
        self.closed = True
        self.peer._is_reset = bool(self._inbox)
        self._inbox = []
        self.owner.sockets.pop(self._fd, None)
        self._ready.pop(self._fd, None)

    def _hang_up(self) -> None:
        if not self._broken or not self.peer.ended:
            self._deliver(b"", self._world.number(self._place, self._chunks))

    def cut(self) -> None:
        """Break the connection. What is on its way is lost, what has arrived is not.

        A connection whose other end is closed does not break: all that was sent before is in the reader's queue.
        """
        if self.closed or self.peer.closed or self.is_cut:
            return
        self.is_cut = self.peer.is_cut = True
        for end in (self, self.peer):
            end._epoch += 1
            end._broken = end.ended = True
            end._ready[end._fd] = end
            self._world.touch(end.owner)


class Key(NamedTuple):
    """As in the standard library."""

    fd: int
    events: int
    data: Callable[[int], None]


class Selector:
    """Tells which sockets of a process are ready. It never waits.

    Args:
        process: Whose sockets it watches.
    """

    found_at_once = False

    def __init__(self, process: Any) -> None:
        self._process = process
        self._keys: dict[int, Key] = {}
        self._writing: dict[int, Key] = {}
        """The sockets that are watched for room."""

    def register(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        assert fd >= 0, "a closed socket is registered"
        assert fd not in self._keys, "a socket is registered twice"
        self._keys[fd] = Key(fd, events, callback)

    def modify(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        if fd not in self._keys:
            raise KeyError(fd)
        key = self._keys[fd] = Key(fd, events, callback)
        if events & WRITE:
            self._writing[fd] = key
        else:
            self._writing.pop(fd, None)

    def unregister(self, fd: int) -> None:
        del self._keys[fd]
        self._writing.pop(fd, None)

    @property
    def has_ready(self) -> bool:
        """Whether `look` would return anything."""
        keys = self._keys
        for fd in self._process.ready:
            if fd in keys:
                return True
        return bool(self._writing) and any(self._process.sockets[fd].writable for fd in self._writing)

    def look(self, timeout: float | None = None) -> list[tuple[Key, int]]:
        keys, sockets = self._keys, self._process.sockets
        found = [(keys[fd], READ) for fd in self._process.ready if fd in keys]
        found += [(key, WRITE) for fd, key in self._writing.items() if sockets[fd].writable]
        if len(found) > 1 and self._process.flips():  # epoll promises no order
            found.reverse()
        return found

    select_briskly = look

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self._keys.clear()
        self._writing.clear()


class Bell:
    """Stands for the pipe that ends a blocking poll. No poll blocks here."""

    is_open = True
    writer = -1

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def ring(self) -> None:
        pass

    still = forget = ring

    def close(self) -> None:
        self.is_open = False
