"""A connection to a peer that outlives its sockets.

A socket can break while both processes live: no descriptor is left for what one of them sends, for instance. That is
no death. So each side keeps the frames that it has sent until the other has told that it received them, as every frame
tells by the way (`PeerCodec`). When the socket is made anew, each side begins with how many frames it has received, and
is sent those behind them. Every frame is received once, whatever it holds: a call runs once, and its answer and the
items of a generator come from what its worker has kept.

Who has made the connection makes it anew, and tries until it is there or the node says that the other process has
ended. That alone closes it for good.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from nbactors import exceptions
from nbactors.local.client import failures
from nbactors.local.client.connection import MAX_FDS, MISSING, Connection
from nbactors.local.client.reactor import Reactor
from nbactors.local.wire import messages
from nbactors.local.wire.framing import FrameBuffer, FrameError, peer_codec, unpack_received

ACKNOWLEDGE_S = 1.0
"""What was received is told of after this time, if no frame has told of it before."""

ACKNOWLEDGE_BYTES = 1 << 20
"""It is told of at once when so much was received."""

FRAME_COST = 256
"""What a frame counts beside its bytes."""

GIVEN_UP = (1 << 64) - 1
"""Told instead of a number of frames for a connection that was closed: going on might run its calls a second time."""

KEPT_BYTES = 64 << 20
"""What is kept at most of answers to a caller that cannot be reached; the oldest become errors."""

_ANSWERS = (messages.Reply, messages.Results, messages.Yielded)


class PeerConnection(Connection):
    """A connection to a session or worker.

    The descriptors that go with what it sends are those of segments, which stay open as long as the receiver's hold
    is counted. So it need not duplicate them.

    Args:
        on_break: Called with (connection, why) when the socket has broken. The leader's thread.

    Attributes:
        link: Names the connection to the side that was connected to; 0 for one that ends with its socket.
        received: How many frames have come.
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket | None,
        on_message: Callable[[Connection, Any], None],
        on_close: Callable[[Connection, str], None],
        on_break: Callable[[PeerConnection, str], None],
    ) -> None:
        super().__init__(reactor, sock, peer_codec(), on_message, on_close)
        self._peer_codec = peer_codec()
        self._encode_batch = self._peer_codec.encode
        self._decode_batch = self._peer_codec.decode
        self._on_break = on_break
        self._broken = sock is None
        self.link = 0
        self.received = 0
        self.tries = 0
        """How often it was tried in vain to make the socket anew."""
        self._kept: deque[tuple[bytes, Sequence[int]]] = deque()
        self._kept_bytes = 0
        self._forgotten = 0
        self._evicted = 0
        self._told = 0
        self._untold = 0
        self._telling = False
        self._resuming = False
        self._progress = (0, 0)

    # ------------------------------------------------------------------------------------------------------ sending

    def _own(self, fds: Sequence[int]) -> list[int]:
        return list(fds)

    def _disown(self, fds: Sequence[int]) -> None:
        """Do nothing: they are the segments'."""

    def _encode(self, batch: list[Any], fds: Sequence[int]) -> bytes:
        try:
            frame = self._encode_batch(batch, self.received)
        except FrameError:
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            first = sum(map(_count_segments, batch[:half])) if fds else 0
            return self._encode(batch[:half], fds[:first]) + self._encode(batch[half:], fds[first:])
        self._told = self.received
        self._untold = 0
        self._kept.append((frame, fds))
        if self._broken:
            self._limit(len(frame) + FRAME_COST)
        return frame

    def acknowledge(self) -> None:
        """Tell the other side what was received, if nothing has told of it yet. The leader's thread."""
        with self._lock:
            if self._told == self.received or self._broken or self.closed:
                return
            self._told = self.received
            self._untold = 0
            self._transmit([(memoryview(self._peer_codec.encode([], self.received)), [])])

    def _transmit(self, frames: list[tuple[memoryview, list[int]]]) -> None:
        waits = bool(self._backlog)
        self._backlog.extend(frames)
        if not waits and not self._push():
            self._await_room()

    # ---------------------------------------------------------------------------------------------------- receiving

    def _decode(self, body: bytes | memoryview) -> list[Any]:
        batch = self._decode_batch(body)
        (theirs,) = unpack_received(body)
        if theirs != self._forgotten and not self._resuming:
            self._forget(theirs)
        if not batch:
            if self._resuming:
                self._resume(theirs)
            return batch
        if not self.received and type(batch[0]) is messages.Hello:
            return batch
        self.received += 1
        self._untold = untold = self._untold + len(body) + FRAME_COST
        if not self._telling:
            self._telling = True
            self._reactor.call_later(ACKNOWLEDGE_S, self._tell)
        if untold > ACKNOWLEDGE_BYTES:
            self.acknowledge()
        if self.received_fds and MISSING in self.received_fds:
            self._pair(sum(map(_count_segments, batch)))
        return batch

    def _tell(self) -> None:
        self._telling = False
        self.acknowledge()

    def _forget(self, received: int) -> None:
        """The other side has so many frames: they need not be kept."""
        kept = self._kept
        while self._forgotten < received and kept:
            kept.popleft()
            self._forgotten += 1
            if self._evicted:
                self._evicted -= 1

    def _pair(self, count: int) -> None:
        """Put `MISSING` in place of each descriptor of this frame that was cut off.

        What comes with one send is cut off at its end, and one receive never has the descriptors of two sends. So those
        before the mark are in their places, and as many are missing as make the send complete.
        """
        queue = self.received_fds
        whole: list[int] = []
        while len(whole) < count:
            part = min(count - len(whole), MAX_FDS)
            end = len(whole) + part
            while len(whole) < end:
                fd = queue.popleft() if queue else MISSING
                if fd == MISSING:
                    whole += [MISSING] * (end - len(whole))
                else:
                    whole.append(fd)
        queue.extendleft(reversed(whole))

    # --------------------------------------------------------------------------------------- breaking and resuming

    @property
    def broken(self) -> bool:
        """Whether it has no socket that could be used."""
        return self._broken

    @property
    def unsent(self) -> bool:
        """See the base class."""
        return not self.closed and bool(self._outbox or self._backlog or (self._broken and self._kept))

    def lose(self, why: str) -> None:
        """The socket has broken, or what was read of it is in doubt. The leader's thread."""
        with self._lock:
            if self.closed:
                return
            self._let_go()
            progress = (self.received, self._forgotten)
            self.tries = self.tries + 1 if progress == self._progress else 0
            self._progress = progress
        self._on_break(self, why)

    def _let_go(self) -> None:
        self._broken = True
        self._resuming = False
        self._detach()
        self.sock = None
        self._frames = FrameBuffer(self._peer_codec.limit)

    def offer(self, sock: socket.socket) -> None:
        """Go on with a new socket once the other side has told what it has received. The side that connects."""
        sock.setblocking(False)
        with self._lock:
            if self.closed:
                sock.close()
                return
            self.sock = sock
            self._resuming = True
        self.start()

    def confirm(self, received: int) -> None:
        """Tell what was received, also if that is nothing: the other side waits for it to go on."""
        with self._lock:
            self._transmit([(memoryview(self._peer_codec.encode([], received)), [])])

    def _resume(self, received: int) -> None:
        with self._lock:
            self._resuming = False
            if not self._forgotten <= received <= self._forgotten + len(self._kept):
                raise FrameError("the other side has given this connection up")
            self._forget(received)
            self._broken = False
            self._kept_bytes = 0
            self._transmit([(memoryview(frame), list(fds)) for frame, fds in self._kept])

    def adopt(self, other: PeerConnection, received: int) -> None:
        """Go on with the socket of a new connection, whose side has received so many frames. The leader's thread."""
        with self._lock, other._lock:
            sock, other.sock = other.sock, None
            other.closed = True
            self._reactor.unregister(sock.fileno())
            self._let_go()
            self.sock = sock
            self._forget(received)
            self._broken = False
            self._kept_bytes = 0
            frames: list[tuple[memoryview, list[int]]] = [(memoryview(self._peer_codec.encode([], self.received)), [])]
            self._reactor.register(sock.fileno(), selectors.EVENT_READ, self._on_ready)
            self._transmit(frames + [(memoryview(frame), list(fds)) for frame, fds in self._kept])

    def _limit(self, size: int) -> None:
        """Make errors of the oldest answers if too much is kept for who cannot be reached. Under the lock."""
        self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES and self._evicted < len(self._kept) and not self.state.outgoing:
            frame, _ = self._kept[self._evicted]
            batch = [_without_values(message) for message in self._peer_codec.decode(memoryview(frame)[4:])]
            small = self._peer_codec.encode(batch, self.received)
            self._kept[self._evicted] = (small, ())
            self._evicted += 1
            self._kept_bytes -= len(frame) - len(small)
        if self._kept_bytes > 2 * KEPT_BYTES and not self.state.outgoing:
            # Small answers, which are no smaller as errors: those of a generator may have no end.
            self._reactor.call_later(0, lambda: self.close("too many answers were kept for a caller out of reach"))


def _count_segments(thing: Any) -> int:
    """Return how many descriptors go with a message."""
    if isinstance(thing, messages.Segment):
        return 1
    if isinstance(thing, messages.Message):
        return sum(_count_segments(getattr(thing, name)) for name in thing.__struct_fields__)
    if isinstance(thing, list | tuple):
        return sum(map(_count_segments, thing))
    return 0


def _without_values(message: Any) -> Any:
    if not isinstance(message, _ANSWERS):
        return message
    error = messages.Value(
        failures.encode(
            exceptions.RaySystemError(
                "the answer to this call is lost: its caller could not be reached for so long that too many answers "
                f"waited for it (more than {KEPT_BYTES >> 20} MiB). The call itself has run."
            )
        ),
        error=True,
    )
    if isinstance(message, messages.Yielded):
        return messages.Yielded(message.number, message.index, b"", error)
    return messages.Results(message.number, [error])
