"""A framed, buffered, non-blocking connection, with file descriptors beside the frames.

A signal's handler, a finalizer and an exception from outside may come at any bytecode of the code below, and handlers
and finalizers may use this very connection. So there is no lock to wait for, and each change of state is one step:

- A comparison and the stores that follow it, with no call between, are one step: CPython looks for signals, for other
  threads and for exceptions from outside at calls and at jumps backwards only. So is one call of a C function. The
  condition of a `while` is no such comparison: a jump backwards comes between it and the loop's body.
- *Sending* is done by one thread at a time, the connection's `_sender`. Another thread leaves its message in the
  outbox, and the sender looks there again before it leaves. A handler on the sender's own thread sends on in its place.
- *Receiving* is done by the reactor's leader. Bytes are read and kept in one step, and a message is taken out only when
  it was handled. A handler that has interrupted that goes on with the same message, so handling is idempotent.
"""

from __future__ import annotations

import gc
import os
import selectors
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from itertools import starmap
from threading import get_ident
from typing import Any

from nbactors.local.client.outbox import MAX_FDS, Outbox, Parcel, Part, parts
from nbactors.local.client.reactor import Reactor
from nbactors.local.wire.framing import Codec, FrameError, Tail, cut

GATHER = 256
"""Messages that are gathered before a send, unless something flushes earlier."""

CHUNK = 1 << 16
"""Bytes that one receive takes at most."""

_RECEIVE = ((CHUNK, socket.CMSG_SPACE(MAX_FDS * 4), getattr(socket, "MSG_CMSG_CLOEXEC", 0)),)

_COLLECTS_IN_CALLS = sys.version_info < (3, 12)
"""Whether the garbage collector, and with it finalizers, may run inside a call of a C function."""


class Sent:
    """Something that is told when its message is on its way.

    Attributes:
        connection: What the message was sent on.
    """

    __slots__ = ("connection",)

    connection: Connection | None


_NOBODY = Sent()


class _Inbox:
    """What was received and not handled yet: messages, their descriptors, and the begin of the next frame."""

    __slots__ = ("fds", "messages", "tail")

    def __init__(self, messages: deque[Any], fds: deque[int], tail: Tail) -> None:
        self.messages = messages
        self.fds = fds
        self.tail = tail


class Connection:
    """One connection of this process.

    `send` and `flush` may be called on any thread; `on_message` and `on_close` run on the leader's thread, and
    `on_close` exactly once. A failing write closes nothing by itself: the reader sees the end of the stream, so that
    there is one place where a connection ends.

    Args:
        on_message: Called with (connection, message). An exception from outside may tear it; then it is called again.
        on_close: Called with (connection, why).
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        codec: Codec[Any],
        on_message: Callable[[Connection, Any], None],
        on_close: Callable[[Connection, str], None],
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.peer_id = b""
        self.state: Any = None
        """Whatever the side that made the connection keeps with it."""
        self.closed = False
        self.after_batch: Callable[[Connection], None] | None = None
        """Called on the leader's thread when all messages that had arrived were handled."""
        self._reactor = reactor
        self._codec = codec
        self._on_message = on_message
        self._on_close = on_close
        self._outbox = Outbox()
        self._batch: Outbox | None = None
        """What is being encoded."""
        self._part: Part | None = None
        """What is being sent."""
        self._sender = 0
        self._broken = False
        self._chunks: deque[Any] = deque()
        self._inbox = _Inbox(deque(), deque(), Tail())

    def hand_to(self, on_message: Callable[[Connection, Any], None]) -> None:
        """Call something else with what arrives. The leader's thread."""
        self._on_message = on_message

    def start(self) -> None:
        """Begin to receive."""
        self._reactor.register(self.sock.fileno(), selectors.EVENT_READ, self._on_ready)

    # ------------------------------------------------------------------------------------------------------ sending

    def send(self, message: Any, fds: Sequence[int] = (), sent: Sent | None = None) -> None:
        """Queue a message; it goes out with the next flush. `fds` are duplicated here and may be closed at once.

        The message is queued and `sent` told its connection in one step: an exception from outside finds both or none.
        """
        count = 0
        mark = _NOBODY if sent is None else sent
        if fds:
            message = Parcel(message, fds)
            count = len(fds)
        if self._outbox.messages:
            self._outbox.fds += count
            mark.connection = self
            self._outbox.messages.append(message)
            if len(self._outbox.messages) >= GATHER or self._outbox.fds >= MAX_FDS // 2:
                self.flush()
            return
        try:
            self._outbox.fds += count
            mark.connection = self
            self._outbox.messages.append(message)
        finally:
            # Without this the messages behind it would wait for ever: only the first has the reactor flush.
            self._reactor.dirty.append(self)
        self._reactor.nudge()

    def send_within(self, message: Any, seconds: float) -> None:
        """Queue a message that goes out in so many seconds, if nothing is sent on this connection before.

        For threads beside the one that leads: `send` would wake that one for each message that is the first.
        """
        if self._outbox.messages:
            self._outbox.messages.append(message)
            if len(self._outbox.messages) >= GATHER:
                self.flush()
            return
        try:
            self._outbox.messages.append(message)
        finally:
            self._reactor.call_later(seconds, self.flush)

    def send_now(self, message: Any, fds: Sequence[int] = (), sent: Sent | None = None) -> None:
        """Send a message, and all that is queued before it, at once. See `send`."""
        count = 0
        mark = _NOBODY if sent is None else sent
        if fds:
            message = Parcel(message, fds)
            count = len(fds)
        self._outbox.fds += count
        mark.connection = self
        self._outbox.messages.append(message)
        self.flush()

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it; the rest follows when it is writable. Any thread."""
        me = get_ident()
        while self._outbox.messages or self._part is not None or self._batch is not None:
            if self._sender == me:  # interrupted while it sent
                self._drain()
                return
            if self._sender:
                return  # that thread looks at the outbox again before it leaves
            self._sender = me
            is_done = blocked = False
            try:
                blocked = not self._drain()
                is_done = True
            finally:
                self._sender = 0
                if not is_done:
                    self._reactor.dirty.append(self)
            if blocked:
                self._await_room()
                return

    def _drain(self) -> bool:
        """Send; return False if the socket takes no more now. The sender's thread."""
        while True:
            part = self._part
            if part is not None:
                if not self._push(part):
                    return False
                continue
            batch = self._batch
            if batch is not None:
                self._encode(batch)
                continue
            if self._broken or self.closed:
                self._outbox = Outbox()
                return True
            fresh = Outbox()
            if not self._outbox.messages:
                return True
            if self._batch is None and self._part is None:
                self._batch = self._outbox
                self._outbox = fresh

    def _encode(self, batch: Outbox) -> None:
        messages = batch.messages
        try:
            if batch.fds:
                frame = self._codec.encode([m.message if type(m) is Parcel else m for m in messages])
                part = parts(frame, messages)
            else:
                part = Part(memoryview(self._codec.encode(messages)), (), (), None)
        except FrameError:
            if self._batch is batch:
                self._batch = None
            raise
        if self._batch is batch:
            self._part = part
            self._batch = None

    def _push(self, part: Part) -> bool:
        sent = part.sent
        attempt = part.attempt(self.sock)
        try:
            if self._part is part and not sent:
                sent.extend(attempt)
        except BlockingIOError:
            return False
        except OSError:
            self._broken = True
            self._part = self._batch = None
            return True
        rest = part.rest() if sent else part
        if self._part is part:
            self._part = rest
        return True

    def _await_room(self) -> None:
        """Have the reactor push on when the socket takes more."""
        self._reactor.modify(self.sock.fileno(), selectors.EVENT_READ | selectors.EVENT_WRITE, self._on_ready)
        self._reactor.nudge()

    @property
    def unsent(self) -> bool:
        """Whether something is queued or waits for the socket to become writable."""
        waits = bool(self._outbox.messages) or self._part is not None or self._batch is not None
        return waits and not (self._broken or self.closed)

    # ---------------------------------------------------------------------------------------------------- receiving

    def _on_ready(self, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._reactor.modify(self.sock.fileno(), selectors.EVENT_READ, self._on_ready)
            self.flush()
        if mask & selectors.EVENT_READ:
            self._receive()

    def _receive(self) -> None:
        reactor = self._reactor
        outer, reactor.reading = reactor.reading, self
        try:
            try:
                self._read()
            except BlockingIOError:
                return
            except OSError as error:
                self.close(f"the connection broke: {error.strerror or error}")
                return
            self.go_on()
        finally:
            reactor.reading = outer

    def _read(self) -> None:
        if _COLLECTS_IN_CALLS and gc.isenabled():
            try:
                gc.disable()
                self._chunks.extend(starmap(self.sock.recvmsg, _RECEIVE))
            finally:
                gc.enable()
        else:
            self._chunks.extend(starmap(self.sock.recvmsg, _RECEIVE))

    def go_on(self) -> None:
        """Handle what was received, beginning where an interrupted call of this has stopped. The leader's thread."""
        is_done = False
        try:
            while not self.closed:
                messages = self._inbox.messages
                while True:
                    if not messages:
                        break
                    message = messages[0]
                    self._handle_one(message)
                    if messages and messages[0] is message:
                        messages.popleft()
                if not self._chunks or self.closed:
                    break
                self._decode(self._chunks[0])
            is_done = True
        finally:
            if not is_done:
                self._reactor.trash.append(self.go_on)
        if self.after_batch is not None and not self.closed:
            self.after_batch(self)

    def _handle_one(self, message: Any) -> None:
        if type(message) is _End:
            self.close(message.why)
            return
        on_message = self._on_message
        try:
            on_message(self, message)
        except FrameError as error:
            self.close(str(error))
        except BaseException as error:  # noqa: BLE001 - see `blame`
            self._reactor.blame(error, on_message, self, message)

    def _decode(self, chunk: Any) -> None:
        data, ancillary, _, _ = chunk
        inbox = self._inbox
        fds = inbox.fds
        if ancillary:
            fds = fds.copy()
            for level, kind, numbers in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    whole = len(numbers) - len(numbers) % 4
                    fds.extend(memoryview(numbers[:whole]).cast("i"))
        messages: deque[Any] = deque()
        tail = inbox.tail
        if not data:
            messages.append(_End("the other side closed the connection"))
        else:
            try:
                bodies, tail = cut(tail, data, self._codec.limit)
                for body in bodies:
                    messages.extend(self._codec.decode(body))
            except FrameError as error:
                messages.append(_End(str(error)))
        fresh = _Inbox(messages, fds, tail)
        if self._inbox is inbox and self._chunks and self._chunks[0] is chunk:
            self._inbox = fresh
            self._chunks.popleft()

    def take_fd(self) -> int:
        """Return the next received descriptor; the caller owns it.

        Raises:
            FrameError: A message announced one that did not come.
        """
        if not self._inbox.fds:
            raise FrameError("a message announced a file descriptor that did not arrive")
        return self._inbox.fds.popleft()

    def close(self, why: str = "closed") -> None:
        """Close, and call `on_close` if this is the first time."""
        if self.closed:
            return
        self.closed = True
        self._part = self._batch = None
        self._outbox = Outbox()
        self._reactor.unregister(self.sock.fileno())
        self.sock.close()
        fds, self._inbox = self._inbox.fds, _Inbox(deque(), deque(), Tail())
        for fd in fds:
            os.close(fd)
        for _, ancillary, _, _ in self._chunks:
            for _, _, numbers in ancillary:
                for fd in memoryview(numbers[: len(numbers) - len(numbers) % 4]).cast("i"):
                    os.close(fd)
        self._chunks.clear()
        self._on_close(self, why)


class _End:
    """Stands behind the last message: the connection is to be closed."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why
