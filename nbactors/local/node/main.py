"""The start of a node process, which is detached from the process that started it; see `nbactors.local.access`."""

from __future__ import annotations

import sys

if "msgspec" not in sys.modules:
    # msgspec imports typing_extensions for old types that no message has; that is a third of msgspec's import time.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    import msgspec  # noqa: F401

    del sys.modules["typing_extensions"]

import gc
import os
import resource
import shutil
import socket

from nbactors.local import cgroups, memory_files, sockets
from nbactors.local.access import discovery, linger, memory_threshold
from nbactors.local.node.rules.context import Facts
from nbactors.local.node.shell import machine
from nbactors.local.node.shell.premises import Premises
from nbactors.local.node.shell.server import Server
from nbactors.local.wire import restart_files
from nbactors.local.wire.ids import new_node_id
from nbactors.local.wire.messages import PROTOCOL_VERSION

_MAX_DESCRIPTORS = 1 << 16


def main(directory: str, ready: int, package_version: str, protocol: int = 0) -> None:
    """Run a node. Returns when the node is no longer needed, or when another node has the directory.

    Args:
        directory: The node's folder: that of its protocol in the runtime directory.
        ready: The descriptor of a pipe; the node writes to it once it listens.
        package_version: The version of nbactors.
        protocol: The protocol of the process that starts the node; 0 before protocol 8, which did not pass it.
    """
    os.chdir("/")
    os.umask(0o077)
    if protocol != PROTOCOL_VERSION:
        raise SystemExit(
            f"nbactors was installed anew since the program began that starts this node: it has nbactors "
            f"{package_version} in memory, whose protocol is not {PROTOCOL_VERSION}, that of the files on disk. "
            "Restart the program (in a notebook, the kernel)."
        )
    _close_others(ready)
    premises = Premises(directory)
    if not premises.take():
        os.write(ready, discovery.READY)
        return
    _allow_many_descriptors()
    sockets.remove(os.path.join(directory, discovery.STOPPED))
    survivors = sockets.survivors(os.path.join(directory, "p"))
    sockets.remove_spares(directory)
    try:
        server = Server(_facts(directory, package_version, survivors), premises)
    except (OSError, ValueError) as error:  # the session reads this from the end of the log
        raise SystemExit(f"the node cannot listen: {error}") from None
    try:
        os.write(ready, discovery.READY)
    except BrokenPipeError:  # an interrupt has ended the start of the session
        if discovery.is_own(os.path.dirname(directory)):
            _remove(directory)
        raise
    os.close(ready)
    gc.freeze()
    server.run()
    # Not in a `finally`: after an exception the log must stay, with the traceback.
    if premises.is_ours():
        sockets.survivors(os.path.join(directory, "p"))
        for folder in ("s", "logs", restart_files.FOLDER):
            shutil.rmtree(os.path.join(directory, folder), ignore_errors=True)
        if discovery.is_own(os.path.dirname(directory)):
            _remove(directory)


def _remove(directory: str) -> None:
    """Remove the folder of a node that was for one session alone, and the runtime directory around it."""
    shutil.rmtree(directory, ignore_errors=True)
    try:
        os.rmdir(os.path.dirname(directory))
    except OSError:  # there is something of another in it
        pass


def _close_others(ready: int) -> None:
    """Close the descriptors that were inherited from the session: libraries do not always set close-on-exec."""
    os.closerange(3, ready)
    os.closerange(ready + 1, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1024))


def _allow_many_descriptors() -> None:
    """Raise the limit of open files: each worker takes four, so a thousand workers exceed the usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            pass


def _facts(directory: str, package_version: str, survivors: dict[str, int]) -> Facts:
    return Facts(
        node_id=new_node_id(),
        pid=os.getpid(),
        hostname=socket.gethostname(),
        directory=directory,
        package_version=package_version,
        linger_s=linger.linger_s(),
        memory_threshold=memory_threshold.memory_threshold(),
        cpus=machine.cpus(),
        memory=cgroups.memory(),
        store_room=memory_files.limit(),
        new_id=lambda: os.urandom(16),
        gpus=machine.gpus,
        survivors=survivors,
    )
