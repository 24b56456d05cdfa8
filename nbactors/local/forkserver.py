"""The forkserver: a process that has imported what workers need, and forks them. One per Python environment.

The node starts it. It has one thread, and its only state is which worker has which pid. So forking is safe and cheap: a
worker shares the memory of all that was imported here. It exits when the node closes its socket. Workers notice the end
of the node by their own connections.
"""

from __future__ import annotations

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import PathFinder
from typing import Any, NoReturn

from nbactors.local import preloading, spare
from nbactors.local.wire import messages, os_bytes
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, Codec, FrameBuffer, fork_codec

WORKER = "nbactors.local.worker.main"
"""The module of a worker's program.

It has the functions `prepare()`, `make()` and `before_forks()`. A child calls the method `begin(process_id, directory)`
of what `make` has returned; a spare then calls its method `join_as_spare()`. With the order the child calls the method
`take_order(readers)`, and at last `run(worker, title, runtime_env)`.
"""

_Ordered = tuple[messages.Fork, list[int]]
"""An order, and the descriptors with it."""

_UNCOMPILED = b"PYTHONDONTWRITEBYTECODE"
_MAX_FDS = 64

SPARE_AFTER_S = 0.0
"""Seconds without an order after which a spare is forked. Workers that are ordered at once are forked one by one."""


def main(descriptor: int, worker: str = WORKER, unsettled: Iterable[str] = ()) -> None:
    """Run the forkserver until the node closes the socket.

    Args:
        descriptor: The socket to the node. The first frame is the `Environment`, each later one a `Fork`.
        worker: The module of a worker's program.
        unsettled: Names that a module of the standard library shares with a file that precedes it on the session's
            path, and of which the session has imported neither.
    """
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    order = preloading.resumed()
    if order is None:
        codec = Codec[messages.Environment](messages.Environment, MAX_CONTROL_FRAME)
        order = preloading.Order(codec.decode(_read_frame(sock))[0])
    environ = dict(os.environ)
    program = importlib.import_module(worker)
    program.prepare()
    _adopt(order.environment, unsettled)
    dropped = preloading.carry_out(order, environ, sock.fileno())
    forkserver = Forkserver(sock, program)
    if dropped:
        forkserver.tell_dropped(dropped)
    forkserver.run()


def _read_frame(sock: socket.socket) -> bytes:
    """Read the first frame and no byte more, because descriptors come with the next frame."""
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        wanted = 4 + int.from_bytes(data[:4], "big") if len(data) >= 4 else 4
        piece = sock.recv(wanted - len(data))
        if not piece:
            raise SystemExit(0)
        data += piece
    return data[4:]


def _adopt(environment: messages.Environment, unsettled: Iterable[str]) -> None:
    """Take over the session's settings."""
    if _UNCOMPILED in environment.environ:
        os.environb[_UNCOMPILED] = environment.environ[_UNCOMPILED]
        sys.dont_write_bytecode = bool(environment.environ[_UNCOMPILED])
    sys.path[:] = os_bytes.decode_all(environment.sys_path)
    for name in unsettled:
        _unsettle(name)
    sys.argv[:] = [""]
    if environment.cwd:  # if the session's was removed, this process stays in the root directory
        _change_directory(os_bytes.decode(environment.cwd))


def _unsettle(name: str) -> None:
    """Forget a library module if user code would get another one by its name. Modules that have imported it keep it."""
    module = sys.modules.get(name)
    if module is None:
        return
    found = PathFinder.find_spec(name, sys.path)
    if found is not None and found.has_location and found.origin != getattr(module, "__file__", None):
        for known in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
            del sys.modules[known]


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:  # it may have been removed since; the session itself would go on, too
        print(f"the working directory {path!r} cannot be entered ({error.strerror})", file=sys.stderr, flush=True)


class Forkserver:
    """The main loop: reads orders from the node, forks workers, and reports their exits."""

    def __init__(self, sock: socket.socket, program: Any) -> None:
        self._sock = sock
        self._frames = FrameBuffer(MAX_CONTROL_FRAME)
        self._program = program
        self._worker = program.make()
        """What each child becomes a worker with. It was made before the fork, so that children share its memory."""
        self._codec = fork_codec()
        self._descriptors: deque[int] = deque()
        self._workers: dict[int, bytes] = {}
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._is_left = False
        self._spare: spare.Spare | None = None
        self._directory = b""
        """The node's directory, known since the first order."""
        self._may_make_spare = False
        """Whether an order came since the last spare was made, or tried. Otherwise one after another might die."""
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._settle()

    def run(self) -> None:
        """Run until the node closes the socket. If the node has crashed, then until the last worker has ended.

        The workers go on, and somebody has to reap them, and to kill the processes that they leave.
        """
        while True:
            needs_spare = self._spare is None and self._may_make_spare and not self._is_left
            ready = self._selector.select(SPARE_AFTER_S if needs_spare else None)
            if not ready:
                self._make_spare()
            for key, _ in ready:
                if key.fd == self._wake_reader:
                    _drain(self._wake_reader)
                    self._reap()
                elif not self._read():
                    self._selector.unregister(self._sock)
                    self._is_left = True
                    self._end_spare()
            if self._is_left and not self._workers:
                return

    def _make_spare(self) -> None:
        self._may_make_spare = False
        try:
            self._spare = spare.Spare(self._live_as_spare)
        except OSError:  # the next order forks a worker itself, or reports why that fails
            pass
        else:
            self._send(messages.SpareMade(self._spare.process_id))

    def _end_spare(self) -> None:
        if self._spare is not None:
            self._spare.end()
            self._spare = None

    def _taken_spare(self, order: messages.Fork) -> spare.Spare | None:
        """Return the spare if it was made for this order.

        It stays if the order has another id: the node did not know of the spare yet, or the worker has a runtime_env.
        """
        found = self._spare
        if found is None or found.process_id != order.process_id:
            return None
        if order.runtime_env is not None or order.directory != self._directory:
            self._end_spare()
            return None
        self._spare = None
        return found

    def tell_dropped(self, dropped: dict[str, str]) -> None:
        """Tell the node why modules were not imported, by their names."""
        self._send(messages.NotPreloaded(dropped))

    def _read(self) -> bool:
        """Read orders and their descriptors. Return False when the node has closed the socket."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._sock, 1 << 16, _MAX_FDS)
        except OSError:
            return False
        if flags & socket.MSG_CTRUNC:
            # It is unknown which order lacks its pipes, so later orders would get the wrong ones. The node sends all
            # open orders to another forkserver.
            raise SystemExit("the pipes of a worker did not arrive: too many open files; raise the limit (ulimit -n)")
        self._descriptors.extend(descriptors)
        if not data:
            return False
        for body in self._frames.feed(data):
            for message in self._codec.decode(body):
                if isinstance(message, messages.Fork):
                    self._fork(message)
        return True

    def _fork(self, order: messages.Fork) -> None:
        pipes = [self._descriptors.popleft() for _ in range(4)]
        self._import(order.modules)
        child = self._taken_spare(order)
        self._directory = order.directory
        self._may_make_spare = True
        try:
            pid = child.pid if child is not None and child.give(order, pipes) else os.fork()
        except OSError as error:
            text = f"fork failed ({error.strerror}): the system has no memory or no process number left"
            self._send(messages.Forked(order.process_id, 0, text))
        else:
            if pid == 0:
                self._become_worker(order, pipes)
            self._workers[pid] = order.process_id
            self._send(messages.Forked(order.process_id, pid, ""))
        finally:
            for pipe in pipes:
                os.close(pipe)

    def _settle(self) -> None:
        """Have all that is here now shared by later workers: the garbage collector of a worker writes to none of it."""
        self._program.before_forks()
        _flush_streams()  # what imported modules have printed goes to the log, and is not left to each child
        gc.collect()
        gc.freeze()

    def _import(self, modules: list[str]) -> None:
        """Import what this worker and similar ones need, so that it is done once and its memory is shared."""
        missing = [module for module in modules if module not in sys.modules]
        if missing:
            self._end_spare()  # it does not have them
        for module in missing:
            try:
                importlib.import_module(module)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the module may be a file of the user's
                print(f"{module} cannot be imported: {error!r}", file=sys.stderr, flush=True)
        if missing:
            self._settle()

    def _send(self, message: messages.ForkMessage) -> None:
        try:
            self._sock.sendall(self._codec.encode([message]))
        except OSError:  # the node is gone; the next read notices that
            pass

    def _reap(self) -> None:
        """Report workers that have ended, and kill the processes that they have started."""
        for pid, status in _ended_children(self._kill_group):
            if self._spare is not None and self._spare.pid == pid:
                self._spare.close()
                self._spare = None
            process_id = self._workers.pop(pid, None)
            if process_id is not None:
                self._send(messages.Exited(process_id, pid, os.waitstatus_to_exitcode(status)))

    def _kill_group(self, pid: int) -> None:
        """Kill the processes that a worker has started, unless they have left its process group."""
        if pid in self._workers:
            try:
                os.killpg(pid, signal.SIGKILL)
            except OSError:  # the group is empty
                pass

    def _live_as_spare(self, process_id: bytes, sock: socket.socket) -> NoReturn:
        """Begin as a worker, in the child, join the node, and wait for the order."""

        def ordered() -> _Ordered:
            self._begin(process_id, self._directory)
            self._worker.join_as_spare()
            return spare.receive(sock, self._codec)

        self._live(ordered)

    def _own_descriptors(self) -> list[int]:
        """Return the descriptors that a child must not have. To close their Python objects would touch more memory."""
        own = [self._wake_reader, self._wake_writer, *self._descriptors, self._sock.fileno()]
        if hasattr(selectors, "EpollSelector") and isinstance(self._selector, selectors.EpollSelector):
            own.append(self._selector.fileno())  # a kqueue is not inherited
        if self._spare is not None:
            own.append(self._spare.fileno())  # its end must not stay open when the forkserver ends
        return own

    def _become_worker(self, order: messages.Fork, pipes: list[int]) -> NoReturn:
        """Continue as a worker, in the child."""

        def ordered() -> _Ordered:
            os.dup2(pipes[1], 2)  # there the actor's creator reads why the worker cannot begin
            self._begin(order.process_id, order.directory)
            return order, pipes

        self._live(ordered)

    def _begin(self, process_id: bytes, directory: bytes) -> None:
        self._worker.begin(process_id, os_bytes.decode(directory))

    def _live(self, ordered: Callable[[], _Ordered]) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for descriptor in self._own_descriptors():
                os.close(descriptor)
            order, (out, err, *readers) = ordered()
            for descriptor, stream in ((out, 1), (err, 2)):
                os.dup2(descriptor, stream)
                os.close(descriptor)
            for descriptor in readers:
                os.set_inheritable(descriptor, False)
            self._worker.take_order(tuple(readers))
            if order.sys_path:
                sys.path[:] = os_bytes.decode_all(order.sys_path)
            if order.cwd:
                _change_directory(os_bytes.decode(order.cwd))
            self._program.run(self._worker, order.title, order.runtime_env)
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:  # noqa: BLE001 - no exception may return to the forkserver's loop
            import traceback  # noqa: PLC0415 - rarely needed

            traceback.print_exc()
        finally:
            _flush_streams()
            os._exit(status)


def _ended_children(before_collecting: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """Reap the children that have ended; yield their pids and wait statuses.

    Args:
        before_collecting: Called with each pid, while no other process or group can have the same number.
    """
    while True:
        try:
            if hasattr(os, "waitid"):
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None:
                    return
                before_collecting(found.si_pid)
                yield os.waitpid(found.si_pid, 0)
            else:  # macOS before Python 3.13
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                before_collecting(pid)
                yield pid, status
        except ChildProcessError:
            return


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001 - it is closed, or user code has put anything in its place
            pass


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        pass


def _ignore_signal(_number: int, _frame: object) -> None:
    """Do nothing: the wakeup descriptor wakes the loop."""
