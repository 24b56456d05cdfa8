"""`Server`: the node's main loop. It receives messages, passes events to `NodeState`, and carries out instructions."""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections import deque

import msgspec

from nbactors.local import sockets
from nbactors.local.access.discovery import NODE_SOCKET
from nbactors.local.node.rules import events
from nbactors.local.node.rules.context import Facts
from nbactors.local.node.rules.state import NodeState
from nbactors.local.node.shell.connection import Connection
from nbactors.local.node.shell.door import Door
from nbactors.local.node.shell.journal import note
from nbactors.local.node.shell.loop import READ, WRITE, Loop
from nbactors.local.node.shell.memory_sampler import MemorySampler
from nbactors.local.node.shell.output import close_all
from nbactors.local.node.shell.premises import LOOK_NOW, LOOK_S, Premises
from nbactors.local.node.shell.supervisor import Supervisor
from nbactors.local.wire import messages, restart_files
from nbactors.local.wire.framing import Codec, FrameError, control_codec

_CHUNK = 1 << 18
_HIGH_WATER = 1 << 20
"""With more unsent bytes than this to a session, its workers' output is not read until fewer than `_LOW_WATER` remain.
"""
_LOW_WATER = 1 << 18
_MAX_UNSENT = 64 << 20
"""With more unsent bytes than this, a client is disconnected: it does not read, and the node's memory must be bounded.
"""

_MAX_FDS = 64
"""The highest number of descriptors in one receive; a client never sends more at once."""

_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

_SLICE_S = 0.1
"""How long, in seconds, the messages of one client are handled before other clients have their turn.

Ordinary clients need much less. That is wanted, because messages of two clients about one thing (a handle is sent, and
dropped) are best handled in the order in which they arrive."""

_FINAL_SEND_S = 1.0
"""How long, in seconds, a node that ends waits for clients to receive what it has sent."""


class Server:
    """The node.

    Args:
        facts: What does not change while the node runs.
        premises: The node's folder, which it has locked.
    """

    def __init__(self, facts: Facts, premises: Premises) -> None:
        self._facts = facts
        self._premises = premises
        self._directory = premises.directory
        self._loop = Loop()
        self._queue: deque[events.Event] = deque()
        self._state = NodeState(facts, time.monotonic())
        self._supervisor = Supervisor(self._loop, self._queue.append, premises.directory)
        self._memory = MemorySampler()
        self._codec: Codec[messages.Control] = control_codec()
        self._connections: dict[int, Connection] = {}
        self._with_messages: dict[int, Connection] = {}
        self._dirty: set[int] = set()
        self._next_number = 0
        self._leaving = False
        self._check_at = time.monotonic() + LOOK_S
        self._is_evicted = False
        for name, pid in facts.survivors.items():
            self._supervisor.adopt(name, pid)
        self._door = Door(self._loop, os.path.join(self._directory, NODE_SOCKET), self._admit)

    def run(self) -> None:
        """Run until the node has no clients left, or is told to stop."""
        self._catch_signals()
        while not self._leaving:
            self._loop.turn(self._timeout_s())
            self._door.tend()
            if self._check_at <= time.monotonic():
                self._check_folder()
            if self._state.deadline is not None and self._state.deadline <= time.monotonic():
                self._queue.append(events.Tick())
            self._work()
        self._shut_down()

    # ------------------------------------------------------------------------------------------------- instructions

    def _timeout_s(self) -> float | None:
        """Return how long the loop may wait, in seconds."""
        if self._with_messages:
            return 0.0
        deadlines = (self._state.deadline, self._door.due, self._check_at)
        return max(0.0, min(when for when in deadlines if when is not None) - time.monotonic())

    def _work(self) -> None:
        """Handle all events and a time slice of each client's messages, and send the resulting messages."""
        self._handle_events()
        heard, self._with_messages = self._with_messages, {}
        for client in heard.values():
            self._handle_messages(client)
        while self._dirty:
            dirty, self._dirty = self._dirty, set()
            for number in dirty:
                connection = self._connections.get(number)
                if connection is not None:
                    self._send_outbox(connection)
            self._handle_events()

    def _handle_messages(self, connection: Connection) -> None:
        """Handle the messages of one client, until its time slice is over."""
        inbox = connection.inbox
        end = time.monotonic() + _SLICE_S
        while inbox and not connection.closing:
            self._queue.append(events.Received(connection.number, inbox.popleft()))
            self._handle_events()
            if time.monotonic() > end:
                break
        if connection.closing:
            inbox.clear()
        elif inbox:
            self._with_messages[connection.number] = connection

    def _handle_events(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            if isinstance(event, events.Forked):
                self._supervisor.forked(event.process_id, event.pid)
            elif isinstance(event, events.Exited) and event.status == -signal.SIGKILL and self._memory.has_struck():
                event = msgspec.structs.replace(event, has_oom_killer_struck=True)
            for instruction in self._state.handle(event, time.monotonic()):
                try:
                    self._carry_out(instruction, event)
                except Exception as error:  # noqa: BLE001 - a bug that concerns one process must not end all
                    note(f"an error in carrying out {type(instruction).__name__}:\n{traceback.format_exc()}")
                    self._carry_out_failed(instruction, error)
            if isinstance(event, events.Exited):
                self._supervisor.exited(event.process_id)
            elif isinstance(event, events.OutputEnded):
                self._supervisor.output_ended(event.process_id)

    def _carry_out(self, instruction: events.Instruction, event: events.Event) -> None:
        supervisor = self._supervisor
        if isinstance(instruction, events.Send):
            self._queue_message(instruction, event)
        elif isinstance(instruction, events.Close):
            connection = self._connections.get(instruction.conn)
            if connection is not None:
                connection.closing = True
                self._dirty.add(instruction.conn)
        elif isinstance(instruction, events.Spawn):
            if not self._door.is_there():  # otherwise the worker could not register
                self._check_folder()
            supervisor.spawn(instruction)
        elif isinstance(instruction, events.Kill):
            supervisor.kill(instruction.process_id)
        elif isinstance(instruction, events.OpenForkserver):
            supervisor.open(instruction.environment, instruction.facts)
        elif isinstance(instruction, events.CloseForkserver):
            supervisor.close(instruction.environment)
        elif isinstance(instruction, events.AddPipes):
            self._add_pipes(instruction)
        elif isinstance(instruction, events.ReadAgain):
            supervisor.read_again(instruction.process_id)
        elif isinstance(instruction, events.ReadOutput):
            output = supervisor.output(instruction.process_id)
            if output is not None:
                output.read_on()
            if instruction.then is not None:
                self._queue.append(instruction.then)
        elif isinstance(instruction, events.FinishOutput):
            self._finish_output(instruction.process_id)
        elif isinstance(instruction, events.Forget):
            supervisor.forget(instruction.process_id)
        elif isinstance(instruction, events.RemoveLog):
            supervisor.remove_log(instruction.process_id)
        elif isinstance(instruction, events.RemoveRestartFiles):
            for path in restart_files.all_of(self._directory, instruction.actor_id):
                sockets.remove(path)
        elif isinstance(instruction, events.SampleMemory):
            self._queue.append(self._memory.sample(instruction.pids))
        elif isinstance(instruction, events.Note):
            note(instruction.text)
        elif isinstance(instruction, events.RemoveSocket):
            supervisor.remove_socket(instruction.process_id, instruction.is_spare)
        elif isinstance(instruction, events.PlaceSocket):
            if not supervisor.place_socket(instruction.process_id):
                self._check_folder()  # the worker learns that it has to listen again
        else:
            self._leaving = self._leaving or instruction.final or self._door.shut_unless_connecting()

    def _carry_out_failed(self, instruction: events.Instruction, error: Exception) -> None:
        """Post the event that would otherwise never come, so that the rules answer the clients that wait for it."""
        if isinstance(instruction, events.Spawn):
            self._queue.append(events.Forked(instruction.order.process_id, 0, f"{type(error).__name__}: {error}"))
        elif isinstance(instruction, events.ReadOutput):
            if instruction.then is not None:
                self._queue.append(instruction.then)
        elif isinstance(instruction, events.FinishOutput):
            self._queue.append(events.OutputEnded(instruction.process_id, ""))
        elif isinstance(instruction, events.SampleMemory):
            self._queue.append(events.MemorySampled(0, 1, {}))

    def _add_pipes(self, instruction: events.AddPipes) -> None:
        connection = self._connections.get(instruction.conn)
        if connection is None:
            return
        if len(connection.descriptors) < 2:
            # The descriptors were lost: this process had none free. The worker then uses its first pipes.
            connection.outbox.append(messages.PipesLost(instruction.origin))
            self._dirty.add(instruction.conn)
            note("pipes of a worker did not arrive: too many open files; raise the limit (ulimit -n)")
            return
        pair = (connection.descriptors.popleft(), connection.descriptors.popleft())
        output = self._supervisor.output(instruction.process_id)
        if output is not None:
            output.add(instruction.origin, pair)
        else:
            close_all(pair)

    def _finish_output(self, process_id: bytes) -> None:
        output = self._supervisor.output(process_id)
        if output is None:
            self._queue.append(events.OutputEnded(process_id, ""))
        else:
            output.finish()

    def _queue_message(self, instruction: events.Send, event: events.Event) -> None:
        connection = self._connections.get(instruction.conn)
        if connection is None:
            return
        message: messages.Control = instruction.message  # type: ignore[assignment]
        connection.outbox.append(message)
        self._dirty.add(instruction.conn)
        if isinstance(event, (events.OutputRead, events.Displayed)):
            connection.sources.add(event.process_id)
            if connection.is_congested:
                self._pause(event.process_id)

    # -------------------------------------------------------------------------------------------------- connections

    def _admit(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._next_number += 1
        connection = Connection(self._next_number, sock)
        self._connections[connection.number] = connection
        self._watch(connection)
        self._queue.append(events.Connected(connection.number))

    def _watch(self, connection: Connection) -> None:
        mask = READ | WRITE if connection.unsent else READ
        self._loop.watch(connection.sock.fileno(), mask, lambda ready: self._on_ready(connection, ready))

    def _on_ready(self, connection: Connection, mask: int) -> None:
        if mask & WRITE:
            self._flush(connection)
        if mask & READ and connection.number in self._connections and not connection.inbox:
            self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(connection.sock, _CHUNK, _MAX_FDS, _CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        connection.descriptors.extend(descriptors)
        if not data:
            self._drop(connection)
            return
        if connection.closing:
            return
        try:
            for body in connection.frames.feed(data):
                connection.inbox.extend(self._decode(connection, body))
        except FrameError as error:
            note(f"a connection is closed: {error}")
            if connection.has_spoken:  # otherwise it is no client of nbactors
                text = (
                    f"the node has ended the connection, since it does not understand what this process sent: {error}."
                )
                connection.outbox.append(messages.Refused(0, "value", text))
                self._send_outbox(connection)
            self._drop(connection)
        else:
            if connection.inbox:
                self._with_messages[connection.number] = connection

    def _decode(self, connection: Connection, body: bytes | memoryview) -> list[messages.Control]:
        """Decode a frame. If the first one is of another version, decode its Hello, which names that version."""
        try:
            batch = self._codec.decode(body)
        except FrameError:
            if connection.has_spoken:
                raise
            batch = [_first_hello(body)]
        connection.has_spoken = True
        return batch

    def _send_outbox(self, connection: Connection) -> None:
        batch, connection.outbox = connection.outbox, []
        if batch:
            for frame in self._encode(batch):
                connection.unsent += frame
        self._flush(connection)

    def _encode(self, batch: list[messages.Control]) -> list[bytes]:
        try:
            return [self._codec.encode(batch)]
        except FrameError as error:
            if len(batch) == 1:
                note(f"a message is not sent: {error}")
                rid = getattr(batch[0], "rid", 0)
                if not rid or isinstance(batch[0], messages.Refused):
                    return []
                return self._encode([messages.Refused(rid, "internal", f"the node's answer cannot be sent: {error}")])
            middle = len(batch) // 2
            return self._encode(batch[:middle]) + self._encode(batch[middle:])

    def _flush(self, connection: Connection) -> None:
        try:
            while connection.unsent:
                sent = connection.sock.send(memoryview(connection.unsent)[:_CHUNK])
                del connection.unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)
            return
        if connection.closing and not connection.unsent:
            self._drop(connection)
            return
        if len(connection.unsent) > _MAX_UNSENT:
            note(f"a connection is closed: its client has left {len(connection.unsent)} bytes unread")
            self._drop(connection)
            return
        self._watch(connection)
        self._regulate(connection)

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        self._loop.unwatch(connection.sock.fileno())
        connection.sock.close()
        close_all(connection.descriptors)
        connection.descriptors.clear()
        connection.unsent.clear()
        self._regulate(connection)
        self._with_messages.pop(connection.number, None)
        # Its last messages are handled, except for queries, whose answers it cannot receive.
        for message in connection.inbox:
            if not isinstance(message, messages.Query | messages.FetchLog):
                self._queue.append(events.Received(connection.number, message))
        connection.inbox.clear()
        self._queue.append(events.Disconnected(connection.number))

    def _regulate(self, connection: Connection) -> None:
        """Pause the workers whose output the client does not read, or resume them."""
        if not connection.is_congested and len(connection.unsent) > _HIGH_WATER:
            connection.is_congested = True
            for process_id in connection.sources:
                self._pause(process_id)
        elif connection.is_congested and len(connection.unsent) < _LOW_WATER:
            connection.is_congested = False
            sources, connection.sources = connection.sources, set()
            for process_id in sources:
                output = self._supervisor.output(process_id)
                if output is not None:
                    output.resume()

    def _pause(self, process_id: bytes) -> None:
        output = self._supervisor.output(process_id)
        if output is not None:
            output.pause()

    # ----------------------------------------------------------------------------------------------- coming, leaving

    def _check_folder(self) -> None:
        """Check what a cleaner of temporary files may have removed: the node's folder, and other processes' sockets."""
        now = time.monotonic()
        self._check_at = now + LOOK_S
        self._supervisor.look_after_survivors()
        if self._is_evicted:
            return
        why = self._premises.look_after(self._door, now)
        if why:
            note(f"the node ends, with all that runs on it: {why}")
            self._is_evicted = True
            self._queue.append(events.StopAsked())
            return
        try:
            names = os.listdir(os.path.join(self._directory, "p"))
        except OSError:  # the directory is missing, and could not be created now
            return
        self._queue.append(events.SocketsSeen(frozenset(names)))

    def _catch_signals(self) -> None:
        """Have SIGTERM stop the node like `nbactors stop`, and SIGCHLD report that a forkserver has exited."""
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore_signal)
        signal.signal(signal.SIGTERM, _ignore_signal)
        signal.signal(LOOK_NOW, _ignore_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

        def on_signal(_: int) -> None:
            for number in os.read(reader, 512):
                if number == signal.SIGTERM:
                    self._queue.append(events.StopAsked())
                elif number == LOOK_NOW:
                    self._check_folder()
                elif number == signal.SIGCHLD:
                    self._supervisor.reap()

        self._loop.watch(reader, READ, on_signal)

    def _shut_down(self) -> None:
        """Send all remaining bytes, and close everything."""
        self._door.shut()
        deadline = time.monotonic() + _FINAL_SEND_S
        for connection in list(self._connections.values()):
            connection.sock.setblocking(True)
            connection.sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection.sock.sendall(connection.unsent)
            except OSError:
                pass
            connection.sock.close()
        self._supervisor.close_all()
        self._loop.close()


def _first_hello(body: bytes | memoryview) -> messages.Hello:
    """Return the Hello at the beginning of a frame, whatever else is in the frame.

    Raises:
        FrameError: The frame does not begin with a Hello.
    """
    try:
        first = msgspec.msgpack.decode(body, type=list[msgspec.Raw])[0]
        return msgspec.msgpack.decode(first, type=messages.Hello)
    except (msgspec.MsgspecError, RecursionError, IndexError) as error:
        raise FrameError(f"malformed first frame: {error}") from error


def _ignore_signal(_number: int, _frame: object) -> None:
    """Do nothing: the wakeup descriptor wakes the loop."""
