"""Unix sockets in the runtime directory: listening, connecting, and identifying the process at the other end."""

from __future__ import annotations

import os
import socket
import struct
import sys

from nbactors.local.wire.ids import socket_name

MAX_PATH = 104
"""The limit of a socket's path in bytes, with the final zero, on the strictest system: macOS. Linux allows 108."""

BACKLOG = 1024

_LOOK_S = 0.2
"""How long, in seconds, a check of a socket waits while its queue of connections is full."""


def process_socket_path(directory: str, process_id: bytes) -> str:
    """Return the path on which a session or worker listens. Any process, any thread."""
    return os.path.join(directory, "p", socket_name(process_id))


def spare_socket_path(directory: str, process_id: bytes) -> str:
    """Return the path on which a spare listens, until it becomes a worker. Any process, any thread."""
    return os.path.join(directory, "s", socket_name(process_id))


def check_path(path: str) -> None:
    """Check the length of a socket's path.

    Raises:
        OSError: The path is too long; the text says what to do.
    """
    length = len(os.fsencode(path))
    if length >= MAX_PATH:
        raise OSError(
            f"the socket path {path!r} has {length} bytes, and unix sockets allow {MAX_PATH - 1}: set NBACTORS_DIR to "
            "a directory with a shorter path, for instance one in /tmp"
        )


def listen(path: str) -> socket.socket:
    """Return a socket that listens at `path`, for this user only. A stale file at the path is replaced.

    Raises:
        OSError: The path is too long, or cannot be bound.
    """
    check_path(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        try:
            listener.bind(path)
        except OSError as error:
            raise OSError(
                error.errno,
                f"no unix socket can be made at {path!r} ({error.strerror}): set NBACTORS_DIR to a directory of a "
                "local file system, for instance one in /tmp",
            ) from error
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: str, timeout: float) -> socket.socket:
    """Return a blocking socket that is connected to `path`.

    Args:
        path: The path of a listening socket.
        timeout: Seconds to wait while the listener's queue of connections is full.

    Raises:
        PermissionError: A process of another user listens there.
        OSError: No process listens (FileNotFoundError, ConnectionRefusedError), or not in time (BlockingIOError).
    """
    check_path(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A send timeout also limits connect(). With Python's own timeout, a full queue would fail at once.
        _set_send_timeout(sock, timeout)
        sock.connect(path)
        _set_send_timeout(sock, 0)
        check_peer(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def identity(path: str) -> tuple[int, int] | None:
    """Return what identifies a file among all that ever have the same path; None if there is no file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_alive(path: str) -> bool:
    """Return whether a process listens at `path`, even if it does not accept connections now."""
    try:
        connect(path, _LOOK_S).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True
    return True


def is_process_alive(directory: str, process_id: bytes) -> bool:
    """Return whether a session or worker listens on its socket, even if it does not accept connections now."""
    return is_alive(process_socket_path(directory, process_id))


def survivors(directory: str) -> dict[str, int]:
    """Return the processes that listen on the sockets of a directory, and remove the sockets of ended ones.

    Returns:
        The pids by the names of the sockets; 0 for a process that is not visible, or does not accept connections now.
    """
    found = {}
    for path in _paths(directory):
        try:
            with connect(path, _LOOK_S) as sock:
                found[os.path.basename(path)] = peer_pid(sock)
        except (ConnectionRefusedError, FileNotFoundError):
            remove(path)
        except OSError:
            found[os.path.basename(path)] = 0
    return found


def remove_spares(directory: str) -> None:
    """Remove the sockets of all spares of a node, which end with it."""
    for path in _paths(os.path.join(directory, "s")):
        remove(path)


def remove(path: str) -> None:
    """Remove a file, if it exists."""
    try:
        os.unlink(path)
    except OSError:
        pass


def _paths(directory: str) -> list[str]:
    try:
        return [os.path.join(directory, name) for name in os.listdir(directory)]
    except OSError:
        return []


def check_peer(sock: socket.socket) -> None:
    """Check that the process at the other end runs as the same user. Call it before the first byte is read.

    Raises:
        PermissionError: It runs as another user.
        OSError: The other end is gone already.
    """
    uid = _peer_uid(sock)
    if uid != os.getuid():
        raise PermissionError(
            f"the process at the other end of the connection belongs to user id {uid}, this one to {os.getuid()}: "
            "nbactors speaks only to processes of the same user"
        )


def peer_pid(sock: socket.socket) -> int:
    """Return the pid of the process at the other end; if this process has connected, of the process that listens.

    The pid is 0 if that process is invisible, in a container that shares the socket.

    Raises:
        OSError: The other end is gone already.
    """
    if sys.platform == "darwin":
        sol_local, local_peerpid = 0, 2
        return int(sock.getsockopt(sol_local, local_peerpid))
    return _credentials(sock)[0]


def _peer_uid(sock: socket.socket) -> int:
    if sys.platform == "darwin":
        sol_local, local_peercred = 0, 1
        # struct xucred: version, uid, number of groups, groups
        credentials = sock.getsockopt(sol_local, local_peercred, 76)
        return int(struct.unpack_from("=II", credentials)[1])
    return _credentials(sock)[1]


def _credentials(sock: socket.socket) -> tuple[int, int, int]:
    """Return the other end's pid, user id and group id, as Linux reports them."""
    return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))


def _set_send_timeout(sock: socket.socket, seconds: float) -> None:
    whole = int(seconds)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", whole, int((seconds - whole) * 1e6)))
