"""Finds this user's node, and starts a node if none runs.

The runtime directory (private, mode 0700) has a folder for each protocol, named by the protocol's number. A folder has:

    node.sock     the socket on which the node listens
    node.lock     locked by the running node; the system unlocks it when the process ends, so it is never stale
    stopped       the pid of a node that was killed by `nbactors stop`; absent mostly
    start.lock    locked by a process that starts a node, so that twenty sessions at once start a single node
    p/            the sockets on which sessions and workers listen
    logs/         the output of the node and of the workers

So processes of different protocols never meet: a session finds the node of its own protocol by the path, or starts one
next to the others. The folder's name takes two of the 104 bytes that a socket's path may have. Nodes of protocol 7 and
older use the runtime directory itself. `nbactors.local.access.sightings` finds the nodes of all protocols.

A session of `init(address="local")` has a runtime directory of its own in the usual one: `own-` and eight hex digits.
Only this session and its workers look there, and the node removes it when it ends.

Sessions import this module at their start, so it imports little.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from nbactors.exceptions import hints
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local import sockets
from nbactors.local.wire.messages import PROTOCOL_VERSION
from nbactors.ownership import ANY_ACCESS, problem
from nbactors.version import PACKAGE, __version__

if TYPE_CHECKING:
    from pathlib import Path

NODE_SOCKET = "node.sock"
NODE_LOCK = "node.lock"
START_LOCK = "start.lock"
STOPPED = "stopped"
ANY_NODE = 0
"""Stands in the file `STOPPED` for the last node, whichever that was."""
NODE_LOG = "logs/node.log"

READY = b"ready"
"""A node writes this to the pipe that it was started with, once it listens."""

OWN_PREFIX = "own-"

_own = ""
"""The runtime directory of this process's session, if only that has it; else empty."""

_CONNECT_TIMEOUT_S = 5.0
_START_S = 30.0
_GLANCE_S = 0.05
"""How often, in seconds, a wait checks for an interrupt, which does not end a system call by itself."""

_LOG_LIMIT = 1 << 20
_TAIL = 4000

_BOOT = """\
import os, sys
if os.fork(): os._exit(0)
os.setsid()
package = type(sys)("nbactors")
package.__path__ = [sys.argv[1]]
sys.modules["nbactors"] = package
sys.path.append(sys.argv[2])
from nbactors.local.node.main import main
main(sys.argv[3], int(sys.argv[4]), sys.argv[5], int(sys.argv[6]))
"""
"""The program of a node's interpreter. The node detaches from its parent before anything that takes time. The program
skips the package's `__init__`, which imports the whole public API, and `site`; hence the second path.

Other processes recognize a node of any version by `NODE_MARK`, and its directory by the arguments that follow."""

NODE_MARK = "\nfrom nbactors.local.node.main import main\n"
"""A text that the command of every node contains. The arguments after it are two paths, the directory, a descriptor,
the version and, since protocol 8, the protocol."""


def runtime_directory() -> Path:
    """Return this user's runtime directory; create it if it does not exist.

    `$NBACTORS_DIR`, else `nbactors` in `$XDG_RUNTIME_DIR`, else `nbactors-<uid>` in the temporary directory.

    Raises:
        OSError: It belongs to another user, is a symbolic link, is open to other users, or cannot be created.
    """
    from pathlib import Path  # noqa: PLC0415 - sessions do not need it

    return Path(ensure_directory())


def ensure_directory() -> str:
    """Do what `runtime_directory` does, without importing pathlib."""
    path = located()
    sockets.check_path(sockets.process_socket_path(_node_directory(path), bytes(16)))
    try:
        _make(path)
        found = os.lstat(path)
    except OSError as error:
        raise OSError(
            f"the runtime directory {path!r} cannot be made ({error.strerror}): set NBACTORS_DIR to a directory that "
            "you may write to"
        ) from error
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISLNK(found.st_mode):
        raise NotADirectoryError(f"the runtime directory {path!r} is no directory: set NBACTORS_DIR to one of your own")
    unsafe = problem(found, ANY_ACCESS)
    if unsafe:
        raise PermissionError(
            f"the runtime directory {path!r} {unsafe}, so others could reach this user's actors: set NBACTORS_DIR to "
            f"a directory of your own, or make this one private (chown, chmod 700)"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(
            f"the runtime directory {path!r} cannot be written to (mode {found.st_mode & 0o777:o}, or a read-only file "
            "system): make it yours (chmod 700), or set NBACTORS_DIR to a directory that you may write to"
        )
    return path


def use_own() -> None:
    """Make a runtime directory for the session of this process alone, and use it until `leave_own`.

    Raises OSError like `runtime_directory`.
    """
    global _own
    _own = os.path.join(ensure_directory(), OWN_PREFIX + os.urandom(4).hex())
    try:
        ensure_directory()
    except OSError:
        _own = ""
        raise


def leave_own(*, is_left: bool = False) -> None:
    """Use the usual runtime directory again. The node removes the other one at its end.

    Args:
        is_left: Whether there is no node that does: remove the directory now.
    """
    global _own
    left, _own = _own, ""
    if left and is_left:
        import shutil  # noqa: PLC0415 - sessions do not need it

        shutil.rmtree(left, ignore_errors=True)


def own() -> str:
    """Return the runtime directory that only the session of this process has; empty if it has the usual one."""
    return _own


def is_own(directory: str) -> bool:
    """Return whether a runtime directory is one that a single session has."""
    return re.fullmatch(OWN_PREFIX + "[0-9a-f]{8}", os.path.basename(directory)) is not None


def node_directory() -> str:
    """Return the folder of this protocol's node in the runtime directory; create it if it does not exist.

    Raises OSError like `runtime_directory`.
    """
    path = _node_directory(ensure_directory())
    _make(path)
    return path


def _node_directory(directory: str) -> str:
    return os.path.join(directory, str(PROTOCOL_VERSION))


def find_node(timeout_s: float = _CONNECT_TIMEOUT_S) -> socket.socket | None:
    """Return a blocking socket connected to the running node, None if no node runs. Does not start a node.

    Raises:
        OSError: The directory is unsafe, or the node does not accept connections.
    """
    return _try_connect(node_directory(), timeout_s)


def connect_node(timeout_s: float = 30.0) -> socket.socket:
    """Return a blocking socket connected to the running node; start a node if none runs. Any thread.

    Raises:
        RaySystemError: The node could not be started; the text has the end of its log.
        OSError: The directory is unsafe.
    """
    directory = node_directory()
    deadline = time.monotonic() + timeout_s
    sock = _try_connect(directory, timeout_s)
    if sock is not None:
        return sock
    with _locked(os.path.join(directory, START_LOCK), deadline):
        while True:
            sock = _try_connect(directory, max(0.1, deadline - time.monotonic()))
            if sock is not None:
                return sock
            if time.monotonic() > deadline:
                raise _failed(directory, f"did not accept connections within {timeout_s:g} s")
            _start(directory, deadline)


def find(directory: str) -> socket.socket | None:
    """Return a blocking socket to the node of a folder, None if none runs. Any thread.

    Raises:
        OSError: The node does not accept connections.
    """
    return _try_connect(directory, _CONNECT_TIMEOUT_S)


def find_or_start(directory: str, environ: Mapping[bytes, bytes] | None = None) -> socket.socket | None:
    """Return a blocking socket to the node of a folder; start a node if none runs. Any thread.

    Args:
        directory: The folder.
        environ: The environment variables for a node that is started; None for those of this process.

    Returns:
        None if another process is starting a node now.

    Raises:
        RaySystemError: The node could not be started; the text has the end of its log.
        OSError: The folder cannot be used.
    """
    sock = _try_connect(directory, _CONNECT_TIMEOUT_S)
    if sock is not None:
        return sock
    make_folder(directory)
    try:
        with _locked(os.path.join(directory, START_LOCK), time.monotonic()):
            sock = _try_connect(directory, _CONNECT_TIMEOUT_S)
            if sock is None:
                _start(directory, time.monotonic() + _START_S, environ)
                sock = _try_connect(directory, _CONNECT_TIMEOUT_S)
            return sock
    except (TimeoutError, BlockingIOError):  # the lock is taken, or the node's queue of connections is full
        return None


def was_stopped(directory: str, pid: int) -> bool:
    """Return whether a node was killed by `nbactors stop`."""
    try:
        with open(os.path.join(directory, STOPPED)) as file:
            return file.read() in (str(pid), str(ANY_NODE))
    except OSError:
        return False


def make_folder(directory: str) -> None:
    """Create a node's folder, and what has to lie in it and around it. Any thread.

    Raises:
        OSError: That is not possible.
    """
    # The runtime directory comes first: `os.makedirs` would leave the rights of a directory around to the umask.
    inner = [os.path.join(directory, name) for name in ("p", "s", "logs")]
    for path in (os.path.dirname(directory), directory, *inner):
        _make(path)


def _make(path: str) -> None:
    """Create a directory that only this user can enter, if nothing exists at `path`."""
    try:
        os.makedirs(path, mode=0o700)
    except FileExistsError:
        return
    if os.lstat(path).st_mode & 0o700 != 0o700:  # the umask may have removed the owner's rights, too
        os.chmod(path, 0o700)


def located() -> str:
    """Return the path of the runtime directory, even if the directory is unsafe or does not exist."""
    if _own:
        return _own
    given = os.environ.get("NBACTORS_DIR")
    if given:
        return _absolute(given, "NBACTORS_DIR")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime) and os.stat(runtime).st_uid == os.getuid():
        return os.path.join(_absolute(runtime, "XDG_RUNTIME_DIR"), "nbactors")
    # Like tempfile.gettempdir, but importing tempfile takes longer than everything else here.
    temporary = os.environ.get("TMPDIR")
    if not temporary or not os.path.isdir(temporary) or not os.access(temporary, os.W_OK | os.X_OK):
        temporary = "/tmp"
    return os.path.join(_absolute(temporary, "TMPDIR"), f"nbactors-{os.getuid()}")


def located_node() -> str:
    """Return the path of the folder of this protocol's node, which may not exist."""
    return _node_directory(located())


def _absolute(path: str, variable: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{variable} is {path!r}, relative to the working directory, which was removed: set it to an absolute path"
        ) from None


def _try_connect(directory: str, timeout_s: float) -> socket.socket | None:
    try:
        return sockets.connect(os.path.join(directory, NODE_SOCKET), min(timeout_s, _CONNECT_TIMEOUT_S))
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
        return None


@contextmanager
def _locked(path: str, deadline: float) -> Iterator[None]:
    """Hold a lock file. `flock` has no timeout, so this tries repeatedly."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                INTERRUPTS.raise_due()
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"another process has been starting the node for too long (it holds {path!r}): end that "
                        "process, or try again"
                    ) from None
                time.sleep(0.005)
        yield
    finally:
        # A child that was forked meanwhile has a copy of the descriptor, which alone would keep the lock.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _start(directory: str, deadline: float, environ: Mapping[bytes, bytes] | None = None) -> None:
    """Start a node and wait until it listens."""
    make_folder(directory)
    reader, writer = os.pipe()
    try:
        intermediate = _spawn(directory, writer, os.environb if environ is None else environ)
        os.close(writer)
        writer = -1
        try:  # the intermediate process exits at once; the node is not a child of this process
            os.waitpid(intermediate, 0)
        except ChildProcessError:  # the user's program has reaped it already
            pass
        answer = os.read(reader, 64) if _await(reader, deadline) else None
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if answer != READY:
        raise _failed(directory, "was not ready in time" if answer is None else "ended before it was ready")


def _await(reader: int, deadline: float) -> bool:
    """Return whether a descriptor is readable by the deadline. An interrupt ends the wait, but not the node's start.

    `poll` takes any descriptor. `select` takes none from 1,024 on, and a session with many actors has more than that.
    """
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if poll.poll(max(0.0, min(left, _GLANCE_S)) * 1000):
            return True
        INTERRUPTS.raise_due()
        if left <= 0:
            return False


def _spawn(directory: str, ready: int, environ: Mapping[bytes, bytes]) -> int:
    """Start the interpreter of a node, which detaches itself. Return the intermediate process, to be reaped."""
    site = os.path.dirname(os.path.dirname(os.path.abspath(msgspec.__file__)))
    executable, protocol = interpreter(), str(PROTOCOL_VERSION)
    log = null = -1
    try:
        log = _open_log(directory)
        null = os.open(os.devnull, os.O_RDONLY)
        for descriptor in (ready, log, null):
            # Inheritable here, because dup2 in the child onto the same number would leave it closed on exec.
            os.set_inheritable(descriptor, True)
        return os.posix_spawn(
            executable,
            [executable, "-I", "-S", "-c", _BOOT, PACKAGE, site, directory, str(ready), __version__, protocol],
            # -I ignores the variables that change Python. The node compiles its modules once, for all later starts.
            environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE],
        )
    except OSError as error:
        raise _error(hints.start_failed("no node", executable, error)) from error
    finally:
        for descriptor in (log, null):
            if descriptor >= 0:
                os.close(descriptor)


def interpreter() -> str:
    """Return the path of this process's Python, with which the node and the workers are started.

    Raises:
        RaySystemError: Python does not know its path, as in a program that embeds it.
    """
    if not sys.executable:
        raise _error(
            f"Python does not know its own path (sys.executable is {sys.executable!r}), which is needed to start the "
            "node and the workers: set sys.executable to the Python interpreter whose packages this program uses"
        )
    return sys.executable


def _open_log(directory: str) -> int:
    path = os.path.join(directory, NODE_LOG)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        log = os.open(path, flags, 0o600)
    except FileNotFoundError:  # a node that leaves has just removed its logs
        _make(os.path.dirname(path))
        log = os.open(path, flags, 0o600)
    os.fchmod(log, 0o600)  # whatever the umask
    if os.fstat(log).st_size > _LOG_LIMIT:
        os.ftruncate(log, 0)
    return log


def _failed(directory: str, what: str) -> Exception:
    path = os.path.join(directory, NODE_LOG)
    return _error(f"the node could not be started: it {what}. The end of its log, {path}:\n{tail(path)}")


def _error(text: str) -> Exception:
    from nbactors.exceptions import RaySystemError  # noqa: PLC0415 - the node imports this module and does not need it

    return RaySystemError(text)


def tail(path: str, limit: int = _TAIL) -> str:
    """Return the end of a text file, "(empty)" if the file is empty or missing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
            return file.read().decode(errors="replace").strip() or "(empty)"
    except OSError:
        return "(empty)"
