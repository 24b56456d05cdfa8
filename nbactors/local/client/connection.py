"""A framed, buffered, non-blocking connection, with file descriptors beside the frames."""

from __future__ import annotations

import os
import selectors
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from nbactors.local.client.reactor import Reactor
from nbactors.local.wire.framing import Codec, FrameBuffer, FrameError

GATHER = 256
"""Messages that are gathered before a send, unless something flushes earlier."""

MAX_FDS = 64
"""Descriptors that go with one send. The kernel never joins those of two sends in one receive, which has room for as
many; more in one send would be cut off there."""

MISSING = -1
"""Stands among the received descriptors for one that did not come, since this process may have no more of them.

The kernel cuts off those for which there is no room, and tells only that it did (``MSG_CTRUNC``)."""

_ANCILLARY = socket.CMSG_SPACE(MAX_FDS * 4)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Connection:
    """One connection of this process.

    `send` and `flush` may be called on any thread; `on_message` and `on_close` run on the leader's thread, and
    `on_close` exactly once. A failing write closes nothing by itself: the reader sees the end of the stream, so that
    there is one place where a connection ends.

    Args:
        on_message: Called with (connection, message).
        on_close: Called with (connection, why).
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket | None,
        codec: Codec[Any],
        on_message: Callable[[Connection, Any], None],
        on_close: Callable[[Connection, str], None],
    ) -> None:
        self.sock: Any = sock
        if sock is not None:
            sock.setblocking(False)
        self.peer_id = b""
        self.state: Any = None
        """Whatever the side that made the connection keeps with it."""
        self.received_fds: deque[int] = deque()
        self.closed = False
        self.after_batch: Callable[[Connection], None] | None = None
        """Called on the leader's thread when all messages that had arrived were handled."""
        self._reactor = reactor
        self._codec = codec
        self._frames = FrameBuffer(codec.limit)
        self._on_message = on_message
        self._on_close = on_close
        self._lock = reactor.new_lock()
        self._outbox: list[Any] = []
        self._fds: list[int] = []
        self._backlog: deque[tuple[memoryview, list[int]]] = deque()
        self._broken = False

    def hand_to(self, on_message: Callable[[Connection, Any], None]) -> None:
        """Call something else with what arrives, from the next batch on. The leader's thread."""
        self._on_message = on_message

    def start(self) -> None:
        """Begin to receive."""
        self._reactor.register(self.sock.fileno(), selectors.EVENT_READ, self._on_ready)

    # ------------------------------------------------------------------------------------------------------ sending

    def send(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Queue a message; it goes out with the next flush. `fds` are duplicated here and may be closed at once."""
        with self._lock:
            outbox = self._outbox
            first = not outbox
            outbox.append(message)
            full = len(outbox) >= GATHER
            if fds:
                self._fds.extend(self._own(fds))
                full = full or len(self._fds) >= MAX_FDS // 2
            if full:
                self._flush()
        if first and not full:
            self._reactor.soon(self)

    def send_within(self, message: Any, seconds: float) -> None:
        """Queue a message that goes out in so many seconds, if nothing is sent on this connection before.

        For threads beside the one that leads: `send` would wake that one for each message that is the first.
        """
        with self._lock:
            first = not self._outbox
            self._outbox.append(message)
            full = len(self._outbox) >= GATHER
            if full:
                self._flush()
        if first and not full:
            self._reactor.call_later(seconds, self.flush)

    def send_now(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Send a message, and all that is queued before it, at once. `fds` may be closed afterwards, as for `send`."""
        with self._lock:
            if fds and len(fds) <= MAX_FDS and not (self._outbox or self._backlog or self._broken or self.closed):
                self._send_lent(message, fds)
                return
            self._outbox.append(message)
            if fds:
                self._fds.extend(self._own(fds))
            self._flush()

    def _send_lent(self, message: Any, fds: Sequence[int]) -> None:
        """Send a message with nothing before it: its descriptors are duplicated only if they have to wait."""
        frame = memoryview(self._encode([message], fds))
        try:
            sent = socket.send_fds(self.sock, [frame], fds)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._break()
            return
        if sent < len(frame):
            self._backlog.append((frame[sent:], [] if sent else self._own(fds)))
            self._await_room()

    def _encode(self, batch: list[Any], fds: Sequence[int]) -> bytes:
        """Return what is sent for these messages. Under the lock."""
        return self._codec.encode(batch)

    def _own(self, fds: Sequence[int]) -> list[int]:
        """Return descriptors that stay open until they are sent, see `_disown`."""
        return list(map(os.dup, fds))

    def _disown(self, fds: Sequence[int]) -> None:
        """They were sent, or will not be."""
        _close_all(fds)

    def _break(self) -> None:
        """Nothing more can be sent. Under the lock."""
        self._broken = True
        try:
            # What was refused may be a descriptor and not the connection: its reader has to see an end in any case.
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it; the rest follows when it is writable."""
        if self._outbox:
            with self._lock:
                self._flush()

    def _flush(self) -> None:
        batch, self._outbox = self._outbox, []
        fds, self._fds = self._fds, []
        if not batch:
            return
        if self.closed:
            self._disown(fds)
            return
        try:
            frame = memoryview(self._encode(batch, fds))
        except FrameError:
            self._disown(fds)
            raise
        if self._broken:
            self._disown(fds)
            return
        waits = bool(self._backlog)
        # A frame is complete with its last byte, so what goes ahead of that is there when it is read: each part but
        # the last takes one byte along. There are enough, since each descriptor is announced in the frame.
        ahead = max(len(fds) - 1, 0) // MAX_FDS
        for index in range(ahead):
            self._backlog.append((frame[index : index + 1], fds[index * MAX_FDS : (index + 1) * MAX_FDS]))
        self._backlog.append((frame[ahead:], fds[ahead * MAX_FDS :]))
        if not waits and not self._push():
            self._await_room()

    def _await_room(self) -> None:
        """Have the reactor push on when the socket takes more. Under the lock."""
        self._reactor.modify(self.sock.fileno(), selectors.EVENT_READ | selectors.EVENT_WRITE, self._on_ready)
        self._reactor.nudge()

    def _push(self) -> bool:
        """Send the backlog as far as the socket takes it; return whether nothing of it is left. Under the lock."""
        backlog = self._backlog
        while backlog:
            rest, fds = backlog[0]
            try:
                sent = socket.send_fds(self.sock, [rest], fds) if fds else self.sock.send(rest)
            except BlockingIOError:
                return False
            except OSError:
                self._break()
                for _, left in backlog:
                    self._disown(left)
                backlog.clear()
                return True
            self._disown(fds)
            if sent < len(rest):
                backlog[0] = (rest[sent:], [])
                return False
            backlog.popleft()
        return True

    def _drain(self) -> None:
        with self._lock:
            if self._push() and not (self._broken or self.closed):
                self._reactor.modify(self.sock.fileno(), selectors.EVENT_READ, self._on_ready)

    @property
    def unsent(self) -> bool:
        """Whether something is queued or waits for the socket to become writable."""
        return bool(self._outbox or self._backlog) and not (self._broken or self.closed)

    # ---------------------------------------------------------------------------------------------------- receiving

    def _on_ready(self, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._drain()
        if mask & selectors.EVENT_READ and self.sock is not None:
            self._receive()

    def _receive(self) -> None:
        scratch = self._reactor.scratch
        try:
            count, ancillary, flags, _ = self.sock.recvmsg_into([scratch], _ANCILLARY, _CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(f"the connection broke: {error.strerror or error}")
            return
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                whole = len(data) - len(data) % 4
                self.received_fds.extend(memoryview(data[:whole]).cast("i"))
        if flags & socket.MSG_CTRUNC:
            self.received_fds.append(MISSING)
        if not count:
            self.lose("the other side closed the connection")
            return
        on_message = self._on_message
        try:
            for body in self._frames.feed(bytes(scratch[:count])):
                for message in self._decode(body):
                    try:
                        on_message(self, message)
                    except FrameError:
                        raise
                    except Exception:  # noqa: BLE001 - one that cannot be handled must not take the next along
                        self._reactor.complain(message)
        except FrameError as error:
            self.close(str(error))
            return
        if self.after_batch is not None:
            self.after_batch(self)

    def _decode(self, body: bytes | memoryview) -> list[Any]:
        """Return the messages of a frame. The leader's thread."""
        return self._codec.decode(body)

    def lose(self, why: str) -> None:
        """Nothing more comes on this socket, or nothing that could be understood. The leader's thread."""
        self.close(why)

    def take_fd(self) -> int:
        """Return the next received descriptor, which the caller owns; `MISSING` for one that there was no room for.

        Raises:
            FrameError: A message announced one that was not sent.
        """
        if not self.received_fds:
            raise FrameError("a message announced a file descriptor that was not sent")
        return self.received_fds.popleft()

    def close(self, why: str = "closed") -> None:
        """Close, and call `on_close` if this is the first time."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._disown(self._fds)
            self._outbox = []
            self._detach()
        self._on_close(self, why)

    def _detach(self) -> None:
        """Let go of the socket, and of what was received or is to be sent on it in part. Under the lock."""
        for _, fds in self._backlog:
            self._disown(fds)
        self._backlog.clear()
        if self.sock is not None:
            self._reactor.unregister(self.sock.fileno())
            self.sock.close()
        _close_all(self.received_fds)
        self.received_fds.clear()


def _close_all(fds: Sequence[int] | deque[int]) -> None:
    for fd in fds:
        if fd != MISSING:
            os.close(fd)
