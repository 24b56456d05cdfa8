"""Where a node process begins, detached from whoever started it (see `nbactors.local.discovery`)."""

from __future__ import annotations

import sys

if "msgspec" not in sys.modules:
    # msgspec takes typing_extensions for old types that no message has; it is a third of msgspec's import time.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    import msgspec  # noqa: F401

    del sys.modules["typing_extensions"]

import fcntl
import gc
import os
import resource
import shutil
import socket
import time

from nbactors.local import discovery, linger, sockets
from nbactors.local.node import machine
from nbactors.local.node.context import Facts
from nbactors.local.node.server import Server

_MOST_DESCRIPTORS = 1 << 16
_LOCK_WITHIN_S = 8.0
"""What a new node waits for the one that is just leaving."""


def main(directory: str, ready: int, package_version: str) -> None:
    """Be the node. Returns when it is no longer needed, or when there is another one.

    Args:
        directory: The runtime directory.
        ready: A pipe to write to when the node listens.
        package_version: nbactors' own.
    """
    os.chdir("/")
    os.umask(0o077)
    _close_others(ready)
    lock = _lock(directory)
    if lock < 0:
        os.write(ready, discovery.READY)
        return
    _allow_many_descriptors()
    _clear(directory)
    try:
        server = Server(_facts(directory, package_version), directory)
    except (OSError, ValueError) as error:  # told to the session by the log, whose end it shows
        raise SystemExit(f"the node cannot listen: {error}") from None
    os.write(ready, discovery.READY)
    os.close(ready)
    gc.freeze()
    server.run()
    # Not after an exception: its traceback is in the log.
    _clear(directory)
    shutil.rmtree(os.path.join(directory, "logs"), ignore_errors=True)


def _close_others(ready: int) -> None:
    """Close what was inherited from the session: other libraries do not always mark their descriptors."""
    os.closerange(3, ready)
    os.closerange(ready + 1, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1024))


def _lock(directory: str) -> int:
    """Become the one node of the directory. Returns the lock's descriptor, -1 if another node lives and listens."""
    lock = os.open(os.path.join(directory, discovery.NODE_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            pass
        try:
            sockets.connect(os.path.join(directory, discovery.NODE_SOCKET), 1.0).close()
            return -1
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"another node holds {directory}/{discovery.NODE_LOCK} but does not listen: end it with kill"
                ) from None
        time.sleep(0.01)


def _clear(directory: str) -> None:
    """Remove sockets that nobody listens on: left by a node that was killed, and by processes that were."""
    processes = os.path.join(directory, "p")
    try:
        names = os.listdir(processes)
    except OSError:
        return
    for name in names:
        path = os.path.join(processes, name)
        try:
            sockets.connect(path, 0.2).close()
        except (ConnectionRefusedError, FileNotFoundError):
            try:
                os.unlink(path)
            except OSError:
                pass
        except OSError:
            continue


def _allow_many_descriptors() -> None:
    """A worker takes four descriptors, so a thousand of them more than the usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            pass


def _facts(directory: str, package_version: str) -> Facts:
    return Facts(
        node_id=os.urandom(28),
        pid=os.getpid(),
        hostname=socket.gethostname(),
        directory=directory,
        package_version=package_version,
        linger_s=linger.linger_s(),
        cpus=machine.cpus(),
        memory=machine.memory(),
        new_id=lambda: os.urandom(16),
        gpus=machine.gpus,
    )
