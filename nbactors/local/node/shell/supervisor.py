"""The forkservers and their workers: starting, killing, and noticing exits."""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Callable

from nbactors.exceptions import hints
from nbactors.local import sockets
from nbactors.local.access.discovery import tail
from nbactors.local.node.rules.events import (
    Event,
    Exited,
    Forked,
    ForkserverLost,
    NotPreloaded,
    SpareMade,
    Spawn,
    Vanished,
)
from nbactors.local.node.rules.listing import LOGS, log_name
from nbactors.local.node.shell.loop import READ, WRITE, Loop
from nbactors.local.node.shell.output import WorkerOutput, close_all
from nbactors.local.wire import messages, os_bytes
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, Codec, FrameBuffer, FrameError, fork_codec
from nbactors.local.wire.ids import socket_name

Post = Callable[[Event], None]

_UNCOMPILED = b"PYTHONDONTWRITEBYTECODE"


class Forkserver:
    """The node's end of a forkserver.

    Args:
        on_lost: Called with (forkserver) when it ends without having been closed.
    """

    def __init__(
        self,
        loop: Loop,
        post: Post,
        environment: int,
        log_path: str,
        facts: messages.Environment,
        on_lost: Callable[[Forkserver], None],
    ) -> None:
        self._environment = environment
        self._loop = loop
        self._post = post
        self._on_lost = on_lost
        self.log_path = log_path
        self.workers: set[bytes] = set()
        """All workers that it was told to fork and whose ends it has not reported."""
        self._codec = fork_codec()
        self._frames = FrameBuffer(MAX_CONTROL_FRAME)
        self._backlog: deque[tuple[bytes, list[int]]] = deque()
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.pid = _spawn(facts, theirs, log_path)
        except BaseException:
            self._sock.close()
            raise
        finally:
            theirs.close()
        self._sock.setblocking(False)
        environment_codec = Codec[messages.Environment](messages.Environment, MAX_CONTROL_FRAME)
        self._send(environment_codec.encode([facts]), [])

    def fork(self, order: messages.Fork, descriptors: list[int]) -> None:
        """Have a worker forked. This closes the descriptors when they are sent."""
        self.workers.add(order.process_id)
        self._send(self._codec.encode([order]), descriptors)

    def close(self) -> None:
        """Close the socket, at which the forkserver exits."""
        self._loop.unwatch(self._sock.fileno())
        self._sock.close()
        for _, descriptors in self._backlog:
            close_all(descriptors)
        self._backlog.clear()

    def _send(self, frame: bytes, descriptors: list[int]) -> None:
        self._backlog.append((frame, descriptors))
        self._flush()

    def _flush(self) -> None:
        while self._backlog:
            frame, descriptors = self._backlog[0]
            try:
                sent = socket.send_fds(self._sock, [frame], descriptors) if descriptors else self._sock.send(frame)
            except BlockingIOError:
                break
            except OSError:  # the forkserver is gone; the next read notices that
                break
            close_all(descriptors)
            if sent < len(frame):
                self._backlog[0] = (frame[sent:], [])
            else:
                self._backlog.popleft()
        self._loop.watch(self._sock.fileno(), READ | WRITE if self._backlog else READ, self._on_ready)

    def _on_ready(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
        if mask & READ:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            for body in self._frames.feed(data):
                for message in self._codec.decode(body):
                    if isinstance(message, messages.Forked):
                        if not message.pid:
                            self.workers.discard(message.process_id)
                        self._post(Forked(message.process_id, message.pid, message.text))
                    elif isinstance(message, messages.Exited):
                        self.workers.discard(message.process_id)
                        self._post(Exited(message.process_id, message.status))
                    elif isinstance(message, messages.SpareMade):
                        self._post(SpareMade(self._environment, message.process_id))
                    elif isinstance(message, messages.NotPreloaded):
                        self._post(NotPreloaded(self._environment, message.reasons))
        except FrameError:
            data = b""
        if not data:
            self.close()
            self._on_lost(self)


class Supervisor:
    """All forkservers and workers."""

    def __init__(self, loop: Loop, post: Post, directory: str) -> None:
        self._loop = loop
        self._post = post
        self._directory = directory
        self._forkservers: dict[int, Forkserver] = {}
        self._outputs: dict[bytes, WorkerOutput] = {}
        self._pids: dict[bytes, tuple[int, int]] = {}
        self._leaving: set[int] = set()
        self._survivors: dict[str, tuple[int, int]] = {}
        """The pids of the processes that have survived a crashed node and descriptors of them, by socket name."""

    def open(self, environment: int, facts: messages.Environment) -> Forkserver | str:
        """Return the environment's forkserver, started if there is none, or the reason why it cannot be started."""
        server = self._forkservers.get(environment)
        if server is not None:
            return server
        log_path = os.path.join(self._directory, LOGS, f"forkserver-{environment}.log")
        try:
            server = Forkserver(
                self._loop,
                self._post,
                environment,
                log_path,
                facts,
                lambda server: self._forkserver_lost(environment, server),
            )
        except OSError as error:
            return hints.start_failed("no process that forks workers", os_bytes.decode(facts.executable), error)
        self._forkservers[environment] = server
        return server

    def close(self, environment: int) -> None:
        """Close a forkserver."""
        server = self._forkservers.pop(environment, None)
        if server is not None:
            server.close()
            self._leaving.add(server.pid)
            sockets.remove(server.log_path)  # the log is only needed for the text about a lost forkserver

    def spawn(self, instruction: Spawn) -> None:
        """Have a worker forked. The event `Forked` reports the result."""
        process_id = instruction.order.process_id
        server = self.open(instruction.environment, instruction.facts)
        if isinstance(server, str):
            self._post(Forked(process_id, 0, server))
            return
        try:
            readers, writers, kept = _two_pipes()
        except OSError as error:
            text = f"no pipes for its output ({error.strerror}): raise the limit of open files (ulimit -n)"
            self._post(Forked(process_id, 0, text))
            return
        log_path = os.path.join(self._directory, LOGS, log_name(process_id))
        self._outputs[process_id] = WorkerOutput(self._loop, self._post, process_id, readers, log_path)
        server.fork(instruction.order, writers + kept)

    def forked(self, process_id: bytes, pid: int) -> None:
        """Keep a descriptor of a new worker, so that its pid cannot come to mean another process."""
        if pid:
            self._pids[process_id] = (pid, _pidfd(pid))

    def adopt(self, name: str, pid: int) -> None:
        """Watch a process that has survived a crashed node. `name` is the name of its socket."""
        descriptor = _pidfd(pid)
        self._survivors[name] = (pid, descriptor)
        if descriptor >= 0:
            self._loop.watch(descriptor, READ, lambda _: self._vanished(name))

    def look_after_survivors(self) -> None:
        """Notice ends of survivors on a system that has no descriptors of processes, or has none left."""
        for name, (_, descriptor) in list(self._survivors.items()):
            if descriptor < 0 and not sockets.is_alive(os.path.join(self._directory, "p", name)):
                self._vanished(name)

    def _vanished(self, name: str) -> None:
        self._forget_survivor(name)
        self._post(Vanished(name))

    def _forget_survivor(self, name: str) -> None:
        _, descriptor = self._survivors.pop(name)
        if descriptor >= 0:
            self._loop.unwatch(descriptor)
            os.close(descriptor)

    def read_again(self, process_id: bytes) -> None:
        """Expect the pipes of a worker that has survived a crashed node."""
        log_path = os.path.join(self._directory, LOGS, log_name(process_id))
        self._outputs[process_id] = WorkerOutput(self._loop, self._post, process_id, None, log_path)

    def exited(self, process_id: bytes) -> None:
        """Forget the pid of a worker that has exited, so that it is not killed any more."""
        _, descriptor = self._pids.pop(process_id, (0, -1))
        if descriptor >= 0:
            os.close(descriptor)

    def kill(self, process_id: bytes) -> None:
        """Kill a worker that has not exited yet."""
        pid, descriptor = self._pids.get(process_id) or self._survivors.get(socket_name(process_id), (0, -1))
        try:
            if descriptor >= 0:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            elif pid:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def output(self, process_id: bytes) -> WorkerOutput | None:
        """Return a worker's output, if some of it is unread."""
        return self._outputs.get(process_id)

    def output_ended(self, process_id: bytes) -> None:
        """Note that all of a worker's output was read."""
        self._outputs.pop(process_id, None)

    def forget(self, process_id: bytes) -> None:
        """Forget a worker, and close its pipes."""
        self.exited(process_id)
        output = self._outputs.pop(process_id, None)
        if output is not None:
            output.close()

    def remove_log(self, process_id: bytes) -> None:
        """Remove the log of a worker."""
        sockets.remove(os.path.join(self._directory, LOGS, log_name(process_id)))

    def remove_socket(self, process_id: bytes, is_spare: bool) -> None:
        """Remove the socket of a process, which may have ended without doing so."""
        path = sockets.spare_socket_path if is_spare else sockets.process_socket_path
        sockets.remove(path(self._directory, process_id))

    def place_socket(self, process_id: bytes) -> bool:
        """Move the socket of a spare to where those of workers are. Return False if its file was removed."""
        try:
            os.rename(
                sockets.spare_socket_path(self._directory, process_id),
                sockets.process_socket_path(self._directory, process_id),
            )
        except OSError:
            return False
        return True

    def reap(self) -> None:
        """Reap forkservers that have exited. Called on SIGCHLD."""
        for pid in list(self._leaving):
            if _has_exited(pid):
                self._leaving.discard(pid)

    def close_all(self) -> None:
        """Close all forkservers and pipes, at the node's end."""
        for environment in list(self._forkservers):
            self.close(environment)
        for process_id in list(self._outputs):
            self.forget(process_id)
        for process_id in list(self._pids):
            self.exited(process_id)
        for name in list(self._survivors):
            self._forget_survivor(name)

    def _forkserver_lost(self, environment: int, server: Forkserver) -> None:
        if self._forkservers.get(environment) is not server:
            return
        del self._forkservers[environment]
        if not _has_exited(server.pid):
            os.kill(server.pid, signal.SIGKILL)
            self._leaving.add(server.pid)
        text = f"the process that forks workers has ended. The end of its log, {server.log_path}:\n"
        self._post(ForkserverLost(list(server.workers), text + tail(server.log_path)))


def _spawn(facts: messages.Environment, sock: socket.socket, log_path: str) -> int:
    """Start a forkserver's interpreter; return its pid."""
    # The forkserver compiles modules to files, once. It sets the variable again for the workers.
    environ = {name: value for name, value in facts.environ.items() if name != _UNCOMPILED}
    os.makedirs(os.path.dirname(log_path), mode=0o700, exist_ok=True)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.set_inheritable(sock.fileno(), True)
        return os.posix_spawn(
            facts.executable,
            [facts.executable, *facts.boot, str(sock.fileno()).encode()],
            environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE],
        )
    finally:
        os.close(log)


def _two_pipes() -> tuple[tuple[int, int], list[int], list[int]]:
    """Return the read ends of two pipes, the write ends, and duplicates of the read ends.

    The worker keeps the duplicates. If the node crashes, they keep its output, and the next node gets them.
    """
    made: list[int] = []
    try:
        made += os.pipe()
        made += os.pipe()
        made += (os.dup(made[0]), os.dup(made[2]))
    except OSError:
        close_all(made)
        raise
    return (made[0], made[2]), [made[1], made[3]], made[4:]


def _pidfd(pid: int) -> int:
    """Return a descriptor of a process, -1 if the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _has_exited(pid: int) -> bool:
    """Reap a child if it has exited. Return whether it has."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
