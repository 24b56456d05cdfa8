"""A connection to a peer that outlives its sockets. See this room's `__init__`."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from nbactors import exceptions
from nbactors.local.connections.connection import Connection, receiver_of, unpack
from nbactors.local.connections.intake import CUT_OFF, MISSING, Mark, close_chunks, close_fds, with_fds
from nbactors.local.connections.outbox import MAX_FDS, Outbox, Part, Rest, parts
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire import failures, messages
from nbactors.local.wire.framing import (
    HEAD,
    HEADER,
    NOTHING,
    SMALL,
    FrameError,
    cut,
    peer_codec,
    unpack_head,
    unpack_received,
)

ACKNOWLEDGE_S = 1.0
"""Seconds after which received frames are acknowledged by an empty frame, if no other frame has done so before."""

ACKNOWLEDGE_BYTES = 1 << 20
"""Number of received bytes that are acknowledged at once."""

FORGET = 16
"""Number of acknowledged frames that are forgotten together: this costs less than to forget them one by one."""

FRAME_COST = 256
"""Bytes that a kept frame counts beside its own, for the memory of its objects."""

GIVEN_UP = (1 << 64) - 1
"""Sent as the number of received frames of a closed connection: a resumed one might run its calls a second time."""

KEPT_BYTES = 64 << 20
"""The most bytes of answers that are kept for a caller that cannot be reached; the oldest answers become errors."""

_ANSWERS = (messages.Reply, messages.Results, messages.Yielded)


class _Tell(NamedTuple):
    """An empty frame is due, which acknowledges received frames.

    Attributes:
        received: The number of frames to tell; None for the number at the time of sending.
    """

    received: int | None


class _Resume(NamedTuple):
    """All kept frames are due, on a new socket.

    Attributes:
        tells: Whether an empty frame goes first, which acknowledges received frames.
    """

    tells: bool


class PeerConnection(Connection):
    """A connection to a session or worker.

    It sends only descriptors of arenas, each beside its `Arena` message. A kept frame refers to them, and a descriptor
    stays open as long as something refers to it, so the connection need not duplicate it. A frame counts as received
    when it was decoded: from then on its messages lie in `_messages`, which outlives the socket.

    Args:
        on_break: Called on the leader's thread with (connection, why) when the socket has broken.

    Attributes:
        received: The number of frames received.
        is_outgoing: Whether this process made the connection.
        attempt: Identifies the code that makes a socket now, which may be interrupted; None if there is none.
        link: The number that the process that made the connection has given it; 0 if it ends with its socket.
        tries: How many attempts to make the socket anew have failed in a row.
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket | None,
        on_message: Callable[[Connection, Any], None],
        on_close: Callable[[Connection, str], None],
        on_break: Callable[[PeerConnection, str], None],
    ) -> None:
        codec = self._peer_codec = peer_codec()
        super().__init__(reactor, sock, codec, on_message, on_close)
        self._encode_batch = self._peer_codec.encode
        self._decode_batch = self._peer_codec.decode
        self._limit_of_frame = self._peer_codec.limit
        self._on_break = on_break
        self._lends = True
        self._broken = sock is None
        self.is_outgoing = False
        self.attempt: object = None
        self.link = 0
        self.tries = 0
        self.received = 0
        self._acknowledged = 0
        self._resuming = False
        self._untold = 0
        self._kept: deque[tuple[bytes, Sequence[int]]] = deque()
        self._kept_bytes = 0
        self._forgotten = 0
        self._evicted = 0
        self._told = 0
        self._telling = False
        self._progress = (0, 0)
        self._equip_line()

    def _equip_line(self) -> None:
        """Give the steps of `ConnectionBase` what they need beside the attributes of the steps here."""
        self._no_tail = NOTHING
        self._encode_quickly = self._peer_codec.encode_body
        self._decode_quickly = self._peer_codec.decode_body
        self._forget_at = FORGET
        self._untold_limit = ACKNOWLEDGE_BYTES
        self._is_quick = True

    def route(self, handlers: dict[type, Callable[[Any, Any], None]], once: frozenset[type]) -> None:
        """Have the steps of `ConnectionBase` call the handler of each message's type, as `Peers.dispatch` does.

        Args:
            handlers: The function that handles a message, by the message's type.
            once: Messages whose effect must not come twice, see `begin_once`.
        """
        self._once = once
        self._handlers = handlers

    # ------------------------------------------------------------------------------------------------------ sending

    def _encode(self, batch: Outbox | Rest) -> None:
        received = self.received
        if isinstance(batch, tuple):
            frame, taken = batch
            part = Part(memoryview(frame)[taken:], (), (), None)
            if self._batch is batch:
                if not self._broken:
                    self._part = part
                self._batch = None
            return
        if batch.fds or self.closed:
            self._encode_all(batch)
            return
        try:
            frame = self._encode_batch(batch.messages, received)
        except FrameError:  # the batch is too long for one frame
            self._encode_all(batch)
            return
        part = Part(frame, (), (), None)
        if self._batch is batch:
            if not self._broken:
                self._part = part
            self._batch = None
            self._told = received
            self._kept.append((frame, ()))
        if self._broken:
            self._limit([(frame, ())])

    def _encode_all(self, batch: Outbox) -> None:
        """Do what `_encode` does, for a batch with descriptors, and for one that becomes several frames or none."""
        received = self.received
        frames: list[tuple[bytes, Sequence[int]]] = []
        try:
            if not self.closed:
                contents, fds, _ = unpack(batch)
                self._add_frames(contents, fds, received, frames)
        except FrameError:
            if self._batch is batch:
                self._batch = None
            raise
        part = _chain(frames)
        if self._batch is batch:
            if not self._broken:
                self._part = part
            self._batch = None
            self._told = received
            self._kept.extend(frames)
        if self._broken:
            self._limit(frames)

    def _add_frames(
        self, batch: list[Any], fds: list[int], received: int, frames: list[tuple[bytes, Sequence[int]]]
    ) -> None:
        """Encode messages into one frame, or into several if one were longer than the receiver accepts."""
        try:
            frames.append((self._encode_batch(batch, received), fds))
        except FrameError:
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            first = sum(map(_has_fd, batch[:half])) if fds else 0
            self._add_frames(batch[:half], fds[:first], received, frames)
            self._add_frames(batch[half:], fds[first:], received, frames)

    def _do_due(self) -> None:
        due = self._due
        received = self.received
        if type(due) is _Resume:
            frames = list(self._kept)
            if due.tells:
                frames.insert(0, (self._encode_batch([], received), ()))
            part = _chain(frames)
            if self._due is due:
                self._due = None
                self._part = part
                self._told = received
                self._kept_bytes = 0
                self._broken = False
        elif type(due) is _Tell:
            told = received if due.received is None else due.received
            part = Part(self._encode_batch([], told), (), (), None)
            if self._due is due:
                self._due = None
                if not self._broken:
                    self._told = received
                    self._part = part

    def acknowledge(self) -> None:
        """Acknowledge the received frames, if no frame has done so yet. The leader's thread."""
        if self._told != self.received and self._due is None and not (self._broken or self.closed):
            self._due = _Tell(None)
            self.flush()

    # ---------------------------------------------------------------------------------------------------- receiving

    def _decode(self, chunk: Any) -> None:
        data, ancillary, flags, _ = chunk
        size = len(data)
        has_fds = ancillary or flags & CUT_OFF or self._fds
        if size > HEAD and not has_fds and self._tail is NOTHING and self.received:
            length, acknowledged = unpack_head(data)
            if length + HEADER == size and length < SMALL:
                self._decode_one(chunk, acknowledged, size)
                return
        fds = with_fds(self._fds, ancillary, flags) if ancillary or flags & CUT_OFF else self._fds
        tail, received = self._tail, self.received
        acknowledged, resuming = self._acknowledged, self._resuming
        found: list[Any] = []
        fd_of = self._fd_of
        try:
            bodies, tail = cut(tail, data, self._limit_of_frame)
            for body in bodies:
                batch = self._decode_batch(body)
                (acknowledged,) = unpack_received(body)
                if not batch:
                    if resuming:
                        resuming = False
                        found.append(Mark(partial(self._resume, acknowledged)))
                    continue
                if received or type(batch[0]) is not messages.Hello:
                    received += 1
                    if fds:
                        fds, fd_of = _assign(fds, fd_of, batch)
                if found:
                    found += batch
                else:
                    found = batch
        except FrameError as error:
            found.append(Mark(partial(self.close, str(error))))
        if not data:
            found.append(Mark(partial(self.lose, "the other side closed the connection")))
        count = len(data)
        found.reverse()
        if self._chunks and self._chunks[0] is chunk:
            self._messages = found
            self._fds = fds
            self._fd_of = fd_of
            self._tail = tail
            self.received = received
            self._acknowledged = acknowledged
            self._resuming = resuming
            self._untold += count
            self._chunks.popleft()
        if acknowledged - self._forgotten >= FORGET or not self._telling or self._untold > ACKNOWLEDGE_BYTES:
            self._keep_books()

    def _decode_one(self, chunk: Any, acknowledged: int, size: int) -> None:
        """Do what `_decode` does, for the most frequent kind of chunk: one small frame without descriptors."""
        try:
            batch: list[Any] = self._decode_batch(chunk[0][HEADER:])
        except FrameError as error:
            batch = [Mark(partial(self.close, str(error)))]
        if not batch and self._resuming:
            batch = [Mark(partial(self._resume, acknowledged))]
            received = self.received
        else:
            received = self.received + 1 if batch else self.received
        batch.reverse()
        if self._chunks and self._chunks[0] is chunk:
            self._messages = batch
            self.received = received
            self._acknowledged = acknowledged
            self._resuming = False
            self._untold += size
            self._chunks.popleft()
        if acknowledged - self._forgotten >= FORGET or not self._telling or self._untold > ACKNOWLEDGE_BYTES:
            self._keep_books()

    def _keep_books(self) -> None:
        if not self._telling:
            self._telling = True
            self._reactor.call_later(ACKNOWLEDGE_S, self._tell)
        if not (self._resuming or self._broken):
            self._forget(self._acknowledged)
        if self._untold > ACKNOWLEDGE_BYTES:
            self._untold = 0
            self.acknowledge()

    def _tell(self) -> None:
        self._telling = False
        self._untold = 0
        if not (self._resuming or self._broken):
            self._forget(self._acknowledged)
        self.acknowledge()

    def _forget(self, received: int) -> None:
        """Drop kept frames, since the other side has acknowledged this number of frames."""
        kept = self._kept
        while True:
            if self._forgotten >= received or not kept:
                break
            # One step with the comparison, since the call comes last: a handler that waits may forget frames, too.
            self._forgotten += 1
            if self._evicted:
                self._evicted -= 1
            kept.popleft()

    def _end(self, why: str) -> None:
        """See the base class. The kept frames go, and with them the descriptors that they refer to."""
        self._kept.clear()
        super()._end(why)

    # --------------------------------------------------------------------------------------- breaking and resuming

    @property
    def broken(self) -> bool:
        """Whether the connection has no usable socket at the moment."""
        return self._broken

    @property
    def unsent(self) -> bool:
        """See the base class."""
        waits = bool(self._outbox.messages) or self._part is not None or self._batch is not None
        return not self.closed and (waits or (self._broken and bool(self._kept)))

    def lose(self, why: str) -> None:
        """Give the socket up, since it has broken or its bytes are in doubt. The leader's thread."""
        if self.closed:
            return
        self._leave_socket()
        progress = (self.received, self._forgotten)
        self.tries = self.tries + 1 if progress == self._progress else 0
        self._progress = progress
        self._on_break(self, why)

    def _leave_socket(self) -> None:
        """Drop the socket and all that was not decoded, which the other side sends again; keep the decoded messages."""
        self._broken = True
        self._part = None
        self._due = None
        self._let_go()
        self._tail = NOTHING
        self._resuming = False
        nothing: deque[int] = deque()
        fds, self._fds = self._fds, nothing  # no call comes between the two stores
        close_fds(fds)

    def begin(self, sock: socket.socket) -> None:
        """Take the first socket, and send at once. The side that connects, any thread."""
        if self._take(sock, _Resume(False), resuming=False):
            self.set_out()

    def offer(self, sock: socket.socket) -> None:
        """Take a new socket, and send after the other side has told what it has received. The side that connects."""
        if self._take(sock, None, resuming=True):
            self.set_out()

    def set_out(self) -> None:
        """Receive on the socket that was taken, and send what is due. Repeated if an exception has aborted it."""
        if self.sock is not None:
            self.start()
            self.flush()

    def _take(self, sock: socket.socket, due: Any, *, resuming: bool) -> bool:
        """Take a socket and what it begins with, in one step, unless there is a socket already."""
        sock.setblocking(False)
        receiver, fd = receiver_of(sock), sock.fileno()
        if self.closed or self.sock is not None:  # a calling thread and the leader's timer have both made a socket
            sock.close()
            return False
        self._receiver = receiver
        self._fd = fd
        self.sock = sock
        self._due = due
        self._resuming = resuming
        return True

    def confirm(self, received: int) -> None:
        """Tell the number of received frames, even a 0: the other side waits for the number before it sends."""
        self._due = _Tell(received)
        self.flush()

    def _resume(self, received: int) -> None:
        """Send all kept frames that the other side has not received, once. Run again as `adopt` is."""
        if not self._broken:
            return
        if not self._forgotten <= received <= self._forgotten + len(self._kept):
            self.close("the other side has given this connection up")
            return
        self._forget(received)
        due = _Resume(False)
        if self._broken:  # one step with the store: else a handler has sent them
            self._due = due
        self.flush()

    def adopt(self, other: PeerConnection, received: int) -> None:
        """Take over the new socket of `other`, whose side has received `received` frames. The leader's thread.

        Run again where an exception aborts it, or where a handler interrupts it and waits.
        """
        sock, old = other.sock, self.sock
        if sock is not None:
            self._reactor.unregister(sock.fileno())
            self._forget(received)
            self._replace(old, sock, other)
        self.set_out()

    def _replace(self, old: Any, sock: Any, other: PeerConnection) -> None:
        """Have the socket of `other` in place of the old one, and drop what was not decoded; see `_leave_socket`."""
        receiver, fd, due, trash = receiver_of(sock), sock.fileno(), _Resume(True), self._reactor.trash
        chunks: deque[Any] = deque()
        fds: deque[int] = deque()
        try:
            if other.sock is sock and self.sock is old:
                # One step to the call, which has the leader set out in case that this is interrupted from now on.
                other.sock = None
                other.closed = True
                self._broken = True
                self._part = None
                self._tail = NOTHING
                self._resuming = False
                chunks, self._chunks = self._chunks, chunks
                fds, self._fds = self._fds, fds
                self._receiver = receiver
                self._fd = fd
                self.sock = sock
                self._due = due
                trash.append(self.set_out)
                if old is not None:
                    self._close_socket(old)
        except BaseException:  # from outside: nothing else refers to the old socket, which would still be watched
            if old is not None and self.sock is sock:
                trash.append(partial(self._close_socket, old))
            raise
        close_chunks(chunks)
        close_fds(fds)

    def _limit(self, frames: list[tuple[bytes, Sequence[int]]]) -> None:
        """Replace the oldest kept answers by errors if too many bytes are kept. The sender's thread."""
        self._kept_bytes += sum(len(frame) + FRAME_COST for frame, _ in frames)
        while self._kept_bytes > KEPT_BYTES and self._evicted < len(self._kept) and not self.is_outgoing:
            frame, fds = self._kept[self._evicted]
            batch = [_without_values(message) for message in self._peer_codec.decode(memoryview(frame)[4:])]
            small = self._peer_codec.encode(batch, self.received)
            if len(small) < len(frame):
                self._kept[self._evicted] = (small, fds)
                self._kept_bytes -= len(frame) - len(small)
            self._evicted += 1
        if self._kept_bytes > 2 * KEPT_BYTES and not self.is_outgoing:
            # Small answers do not shrink when they become errors, and a generator's items may have no end.
            self._reactor.call_later(0, lambda: self.close("too many answers were kept for a caller out of reach"))


def _chain(frames: list[tuple[bytes, Sequence[int]]]) -> Part | None:
    """Return the first of the parts of these frames, which are linked in order; None if there is no frame."""
    part = None
    for frame, fds in reversed(frames):
        part = parts(frame, fds, (), part)
    return part


def _assign(fds: deque[int], fd_of: dict[int, int], batch: list[Any]) -> tuple[deque[int], dict[int, int]]:
    """Assign descriptors to a frame's arenas. Returns copies of both, so `_decode` can be repeated."""
    arenas = [message for message in batch if _has_fd(message)]
    fds = _pair(fds, len(arenas)) if MISSING in fds else fds.copy()
    fd_of = fd_of.copy()
    for arena in arenas:
        if fds:
            fd_of[id(arena)] = fds.popleft()
    return fds, fd_of


def _has_fd(message: Any) -> bool:
    return type(message) is messages.Arena and message.has_fd


def _pair(fds: deque[int], count: int) -> deque[int]:
    """Return the descriptors with `MISSING` in each place of the next frame whose descriptor the kernel has dropped.

    The kernel drops descriptors from the end of one send, and one receive never has the descriptors of two sends. So
    the descriptors before the mark `MISSING` are in their places, and all further ones of that send are missing.
    """
    queue = fds.copy()
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
    return queue


def _without_values(message: Any) -> Any:
    if not isinstance(message, _ANSWERS):
        return message
    error = messages.Value(
        failures.encode_loss(
            exceptions.RaySystemError(
                "the answer to this call is lost: its caller could not be reached for so long that too many answers "
                f"waited for it (more than {KEPT_BYTES >> 20} MiB)."
            )
        ),
        error=True,
    )
    if isinstance(message, messages.Yielded):
        return messages.Yielded(message.number, message.index, b"", error)
    return messages.Results(message.number, [error])
