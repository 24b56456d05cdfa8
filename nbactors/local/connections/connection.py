"""A framed, buffered, non-blocking connection, with file descriptors beside the frames. See this room's `__init__`."""

from __future__ import annotations

import gc
import os
import selectors
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import get_ident
from typing import Any

from nbactors.local.connections.intake import CUT_OFF, MISSING, Mark, close_chunks, close_fds, with_fds
from nbactors.local.connections.outbox import MAX_FDS, Outbox, Parcel, Part, Rest, parts
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire.framing import NOTHING, Codec, FrameError, cut
from nbactors.speedups import ConnectionBase

GATHER = 256
"""The number of queued messages at which `send` flushes, if nothing has flushed earlier."""

CHUNK = 1 << 16
"""The most bytes that one receive takes."""

CLOSE_S = 1.0
"""Seconds after which a socket is closed that another thread may be sending on."""

_RECEIVE = (CHUNK, socket.CMSG_SPACE(MAX_FDS * 4), getattr(socket, "MSG_CMSG_CLOEXEC", 0))

_COLLECTS_IN_CALLS = sys.version_info < (3, 12)
"""Whether the garbage collector, and with it finalizers, may run inside a call of a C function."""


class Sent:
    """The base of calls: it records that the message of the call was queued.

    Attributes:
        connection: The connection on which the message was queued; None before.
    """

    __slots__ = ("connection",)

    connection: Connection | None


class Once(Sent):
    """Has a message queued once, also where the code that sends it is run again. See `Connection.send`."""

    __slots__ = ()

    def __init__(self) -> None:
        self.connection = None


class Connection(ConnectionBase):
    """One connection of this process.

    `send` and `flush` may be called on any thread. `on_message` and `on_close` run on the leader's thread. A failing
    write does not close the connection: it shuts the socket down, and the leader closes when it reads the end of the
    stream, so that a connection ends in one place only.

    The usual case of sending and receiving is one step of `ConnectionBase`, if that is compiled; all else are the steps
    here.

    Args:
        on_message: Called with (connection, message); called again if an asynchronous exception aborts it.
        on_close: Called with (connection, why); called again if an asynchronous exception aborts it, or if a handler
            interrupts it and waits.
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket | None,
        codec: Codec[Any],
        on_message: Callable[[Connection, Any], None],
        on_close: Callable[[Connection, str], None],
    ) -> None:
        self.sock: Any = None
        self._fd = -1
        """The number of the socket's descriptor, while there is a socket."""
        self._is_quick = False
        """Whether the steps of `ConnectionBase` may serve this connection."""
        self._receiver: Iterator[Any] = iter(())
        """Each step of this iterator is one receive, and yields the received chunk."""
        if sock is not None:
            sock.setblocking(False)
            self._use(sock)
        self.peer_id = b""
        self.in_flight: Any = None
        self.jobs: Any = None
        self.claims: Any = None
        """Records of other rooms: `InFlight` for calls, `CallerJobs` in a worker, `Claims` on objects."""
        self.tag = b""
        """On a control connection: tells the node from the nodes before and after it, see `NodeLink.tag`."""
        self.closed = False
        self._is_told = False
        """Whether `on_close` has come to its end."""
        self.after_batch: Callable[[Connection], None] | None = None
        """Called on the leader's thread after all messages that have arrived were handled."""
        self._reactor = reactor
        self._codec = codec
        self._on_message = on_message
        self._on_close = on_close
        self._outbox = Outbox()
        self._batch: Outbox | Rest | None = None
        """The messages that the sender encodes now, or what the steps of `ConnectionBase` have left to be sent."""
        self._part: Part | None = None
        """The part that the sender sends now."""
        self._due: Any = None
        """A frame to be sent that comes from no message, see `PeerConnection`."""
        self._sender = 0
        self._lends = False
        """Whether sent descriptors stay open until they were received, so that `send` need not duplicate them."""
        self._broken = False
        self._chunks: deque[Any] = deque()
        self._messages: list[Any] = []
        """Decoded messages that were not handled yet; the next one to be handled stands last."""
        self._fds: deque[int] = deque()
        """Received descriptors that belong to the next frame."""
        self._fd_of: dict[int, int] = {}
        """The descriptors of messages that were not handled yet, by the `id` of the message that each belongs to."""
        self._begun: Any = None
        self.unpacked: dict[int, Any] = {}
        """Results that the handling of the current message has made, by the `id` of the received value."""
        self._tail = NOTHING
        """The bytes of the next frame that have arrived."""

    def hand_to(self, on_message: Callable[[Connection, Any], None]) -> None:
        """Call another function with each message from now on. The leader's thread."""
        self._on_message = on_message

    def _use(self, sock: socket.socket) -> None:
        receiver, fd = receiver_of(sock), sock.fileno()
        self._receiver = receiver
        self._fd = fd
        self.sock = sock

    def start(self) -> None:
        """Have the reactor watch the socket, so that the leader receives. Repeated if an exception has aborted it."""
        sock = self.sock
        fd = sock.fileno()
        while True:
            self._reactor.unregister(fd)  # an aborted start has perhaps noted it without telling the system
            try:
                self._reactor.register(fd, selectors.EVENT_READ, self._on_ready)
                return
            except (KeyError, FileExistsError):  # a handler has interrupted this, and has done the same
                if self.sock is not sock:
                    return

    # ------------------------------------------------------------------------------------------------------ sending

    def send(self, message: Any, fds: Sequence[int] = (), sent: Sent | None = None) -> None:
        """Queue a message, with descriptors, for the next flush. Any thread. The caller may close `fds` after the call.

        Queueing the message and setting `sent.connection` are one step, so an asynchronous exception comes before or
        after both. If `sent.connection` is set already, a handler that has interrupted this thread has queued the
        message, and it is not queued again.
        """
        count = 0
        if fds:
            message = Parcel(message, fds, not self._lends)
            count = len(fds)
        is_first = False
        try:
            if sent is None:
                is_first = not self._outbox.messages
                self._outbox.fds += count
                self._outbox.messages.append(message)
            elif sent.connection is None:
                sent.connection = self
                is_first = not self._outbox.messages
                self._outbox.fds += count
                self._outbox.messages.append(message)
        finally:
            # Only the first message asks for a flush. Were that lost, all messages behind it would wait for ever.
            if is_first:
                self._reactor.dirty.append(self)
        if is_first:
            self._reactor.nudge()
        elif len(self._outbox.messages) >= GATHER or self._outbox.fds >= MAX_FDS // 2:
            self.flush()

    def send_within(self, message: Any, seconds: float) -> None:
        """Queue a message that goes out after `seconds`, or earlier with another flush of this connection.

        For threads that do not lead: `send` wakes the leader for each message that finds the outbox empty.
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
        """Send a message at once, behind the messages that are queued already. For the arguments see `send`."""
        count = 0
        if fds:
            message = Parcel(message, fds, not self._lends)
            count = len(fds)
        try:
            is_sent = None if fds else self._send_now_quickly(message, sent)
            if is_sent:
                return
            if is_sent is False:  # it is queued
                pass
            elif sent is None:
                self._outbox.fds += count
                self._outbox.messages.append(message)
            elif sent.connection is None:
                sent.connection = self
                self._outbox.fds += count
                self._outbox.messages.append(message)
            is_served = self.serve()
        except BaseException:
            self._reactor.dirty.append(self)
            raise
        if not is_served:
            self._reactor.dirty.append(self)

    def flush(self) -> None:
        """Send queued messages as far as the socket takes them; the leader sends the rest later. Any thread."""
        if not self.serve():
            self._reactor.dirty.append(self)

    def serve(self) -> bool:
        """Do what `flush` does, unless another thread is the sender.

        Returns:
            False if another thread is the sender. It looks into the outbox again before it leaves; but a signal handler
            may wait on its thread before that, so the caller has the reactor flush, too.
        """
        if self._send_quickly():
            return True
        me = get_ident()
        while self._outbox.messages or self._part is not None or self._batch is not None or self._due is not None:
            if self._sender == me:  # a handler or finalizer has interrupted this thread while it sent
                if not self._drain():  # the interrupted sender may be kept from this by a wait here
                    self._await_room()
                break
            if self._sender:
                return False
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
                break
        return True

    def _drain(self) -> bool:
        """Send all that is queued; return False if the socket takes no more now. The sender's thread."""
        while True:
            part = self._part
            if part is None:
                batch = self._batch
                if batch is None:
                    if not self._outbox.messages:
                        if self._due is None:
                            return True
                        self._do_due()
                        continue
                    fresh = Outbox()
                    if self._batch is None and self._part is None and self._outbox.messages:
                        self._batch = self._outbox
                        self._outbox = fresh
                    batch = self._batch
                    if batch is None:
                        continue
                self._encode(batch)
                continue
            sent = part.sent
            try:
                attempt = part.attempt(self.sock) if part.fds else map(self.sock.send, (part.view,))
                if self._part is part and not sent:
                    sent.extend(attempt)
            except BlockingIOError:
                return False
            except (OSError, AttributeError):  # the socket broke, or the leader has set `sock` to None
                if self._part is part:
                    self._broken = True
                    self._part = None
                    self._shut_down(self.sock)
                continue
            rest = part if not sent else part.following if sent[0] == part.size else part.rest()
            if self._part is part:
                self._part = rest

    def _do_due(self) -> None:
        """Make a part of the frame that is due beside messages, see `PeerConnection`. The sender's thread."""
        self._due = None

    def _encode(self, batch: Any) -> None:
        """Encode a batch into parts; drop the batch if the connection is broken or closed. The sender's thread."""
        part: Part | None = None
        try:
            if not (self._broken or self.closed):
                messages, fds, parcels = unpack(batch)
                part = parts(self._codec.encode(messages), fds, parcels)
        except FrameError:
            if self._batch is batch:
                self._batch = None
            raise
        if self._batch is batch:
            self._part = part
            self._batch = None

    @staticmethod
    def _shut_down(sock: socket.socket | None) -> None:
        """Make the leader read an end of the stream; a refused descriptor alone would leave the socket connected."""
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _await_room(self) -> None:
        """Have the leader go on sending when the socket is writable.

        Only the leader sets the watch, since only the leader closes sockets. If another thread had looked up a socket's
        number, that could be another connection's socket by then, which would never be read again.
        """
        self._reactor.discard(self._watch_room)

    def _watch_room(self) -> None:
        if self._part is not None:
            self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _watch(self, events: int) -> None:
        """Change the events that the socket is watched for. The leader's thread."""
        sock = self.sock
        try:
            if sock is not None:
                self._reactor.modify(sock.fileno(), events, self._on_ready)
        except (KeyError, ValueError, OSError):  # it was closed meanwhile
            pass

    @property
    def unsent(self) -> bool:
        """Whether messages are queued, or wait for the socket to become writable."""
        waits = bool(self._outbox.messages) or self._part is not None or self._batch is not None
        return waits and not (self._broken or self.closed)

    # ---------------------------------------------------------------------------------------------------- receiving

    def _on_ready(self, mask: int) -> None:
        if mask == selectors.EVENT_READ and self._receive_quickly():
            return
        if mask & selectors.EVENT_WRITE:
            self._watch(selectors.EVENT_READ)
            self.flush()
        if mask & selectors.EVENT_READ and self.sock is not None:
            self._receive()

    def _receive(self) -> None:
        reactor = self._reactor
        outer, reactor.reading = reactor.reading, self
        try:
            try:
                if _COLLECTS_IN_CALLS and gc.isenabled():
                    try:
                        gc.disable()
                        # Receiving a chunk and keeping it are one step: there is no call between them.
                        for chunk in self._receiver:
                            self._chunks.append(chunk)
                            break
                    finally:
                        gc.enable()
                else:
                    for chunk in self._receiver:
                        self._chunks.append(chunk)
                        break
            except BlockingIOError:
                return
            except OSError as error:
                self._broke(error)
                return
            self.go_on()
        finally:
            reactor.reading = outer
            if self._chunks or self._messages:  # an exception has aborted their handling
                reactor.trash.append(self.go_on)

    def _broke(self, error: OSError) -> None:
        """Handle an error of a receive, behind the messages. The system tells it once.

        The mark is handled again by a handler that interrupts the handling and waits.
        """
        self._messages.insert(0, Mark(partial(self.lose, f"the connection broke: {error.strerror or error}")))
        self.go_on()

    def go_on(self) -> None:
        """Handle what was received; an interrupted `go_on` is continued at its message. The leader's thread."""
        try:
            while True:
                messages = self._messages
                while True:
                    if not messages or self.closed:
                        break
                    message = messages[-1]
                    on_message = self._on_message
                    try:
                        if type(message) is Mark:
                            message.action()
                        else:
                            on_message(self, message)
                    except BaseException as error:  # noqa: BLE001 - see `blame`
                        self._blame(error, on_message, message)
                    if self.unpacked:
                        self._finish(message)
                    elif messages and messages[-1] is message:
                        messages.pop()
                chunks = self._chunks
                if not chunks:
                    break
                self._decode(chunks[0])
            if self.after_batch is not None and not self.closed:
                self.after_batch(self)
        except BaseException:
            self._reactor.trash.append(self.go_on)
            raise

    def _blame(self, error: BaseException, on_message: Callable[..., None], message: Any) -> None:
        """Handle an exception of the handling of a message. Called in the `except` clause that caught it."""
        if isinstance(error, FrameError):
            self.close(str(error))
            return
        self._begun = None
        self._reactor.blame(error, on_message, self, message)

    def _decode(self, chunk: Any) -> None:
        """Decode a chunk into `_messages`, which is empty. If aborted, it can be repeated: its stores are one step."""
        data, ancillary, flags, _ = chunk
        fds = with_fds(self._fds, ancillary, flags) if ancillary or flags & CUT_OFF else self._fds
        messages: list[Any] = []
        tail = self._tail
        try:
            bodies, tail = cut(tail, data, self._codec.limit)
            for body in bodies:
                messages.extend(self._codec.decode(body))
        except FrameError as error:
            messages.append(Mark(partial(self.close, str(error))))
        if not data:
            messages.append(Mark(partial(self.lose, "the other side closed the connection")))
        messages.reverse()
        if self._chunks and self._chunks[0] is chunk:
            self._messages = messages
            self._fds = fds
            self._tail = tail
            self._chunks.popleft()

    def take_fd(self, message: Any) -> int:
        """Return a duplicate of the descriptor that came with a message, or `MISSING`. The caller owns the duplicate.

        The connection keeps the original: if an asynchronous exception aborts the handling of the message, the handling
        runs again and takes the descriptor again.

        Raises:
            FrameError: The message announced a descriptor that was not sent.
        """
        fd = self._fd_of.get(id(message))
        if fd is None:
            raise FrameError("a message announced a file descriptor that was not sent")
        if fd == MISSING:
            return MISSING
        try:
            return os.dup(fd)
        except OSError:
            return MISSING

    def forget_fd(self, message: Any) -> None:
        """Close the connection's own copy of a message's descriptor. Called while the message is handled."""
        close_fds((self._fd_of.pop(id(message), MISSING),))

    def begin_once(self, message: Any) -> bool:
        """Return whether this is the first handling of a message. Called at the begin of the handling.

        A signal handler or finalizer that interrupts the handling, and waits, handles the same message a second time.
        Messages whose effect must not come twice return there, and leave the effect to the interrupted handling.
        """
        if self._begun is message:
            return False
        self._begun = message
        return True

    def _finish(self, message: Any) -> None:
        """Drop a message that was handled, and `unpacked` with it, in one step."""
        nothing: dict[int, Any] = {}
        messages = self._messages
        if messages and messages[-1] is message:
            self.unpacked = nothing
            messages.pop()

    def lose(self, why: str) -> None:
        """Handle the end of the socket: nothing more arrives on it. The leader's thread."""
        self.close(why)

    def close(self, why: str = "closed") -> None:
        """Close the connection and call `on_close`. Idempotent."""
        end, trash = partial(self._end, why), self._reactor.trash
        if not self.closed:
            # The store and the call are one step. The leader does the rest once more before its next poll, in case that
            # an exception aborts it here, or a handler interrupts it and waits for answers on this connection.
            self.closed = True
            trash.append(end)
            end()

    def _end(self, why: str) -> None:
        """Drop all that a closed connection has, and tell its end. Repeated until it has come to its own end."""
        if self._is_told:
            return
        self._part = self._batch = None
        self._outbox = Outbox()
        self._messages = []
        nothing: deque[int] = deque()
        fds, self._fds = self._fds, nothing  # no call comes between the two stores
        close_fds(fds)
        owned, self._fd_of = self._fd_of, {}
        close_fds(owned.values())
        self._let_go()
        if not self._is_told:
            self._on_close(self, why)
            self._is_told = True

    def forget(self) -> None:
        """In a forked child: close its copy of the socket, whose number may become that of another file."""
        self._is_quick = False
        if self.sock is not None:
            self.sock.close()

    def _let_go(self) -> None:
        """Close the socket, and drop the chunks that were not decoded."""
        sock, self.sock = self.sock, None
        if sock is not None:
            try:
                self._close_socket(sock)
            except BaseException:  # from outside: nothing else refers to the socket, which would still be watched
                self._reactor.trash.append(partial(self._close_socket, sock))
                raise
        nothing: deque[Any] = deque()
        chunks, self._chunks = self._chunks, nothing  # no call comes between the two stores
        close_chunks(chunks)

    def _close_socket(self, sock: Any) -> None:
        """Close a socket that this connection had. Repeated if an exception has aborted it."""
        if sock.fileno() < 0:
            return
        self._reactor.unregister(sock.fileno())
        if self._sender in (0, get_ident()):
            sock.close()
        else:
            # The sender may be about to send. Once closed, its socket's number may become another socket's.
            self._shut_down(sock)
            self._reactor.call_at_last(CLOSE_S, sock.close)


def receiver_of(sock: socket.socket) -> Iterator[Any]:
    """Return an iterator: each step is one receive, and yields the received chunk."""
    return iter(partial(sock.recvmsg, *_RECEIVE), None)


def unpack(batch: Outbox) -> tuple[list[Any], list[int], list[Parcel]]:
    """Return the messages of a batch, their descriptors, and the parcels that keep the descriptors open."""
    if not batch.fds:
        return batch.messages, [], []
    parcels = [message for message in batch.messages if type(message) is Parcel]
    fds = [fd for parcel in parcels for fd in parcel.fds]
    return [message.message if type(message) is Parcel else message for message in batch.messages], fds, parcels
