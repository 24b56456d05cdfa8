"""Where a node process begins, detached from whoever started it (see `nbactors.local.access.discovery`)."""

from __future__ import annotations

import sys

if "msgspec" not in sys.modules:
    # msgspec takes typing_extensions for old types that no message has; it is a third of msgspec's import time.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    import msgspec  # noqa: F401

    del sys.modules["typing_extensions"]

import gc
import os
import resource
import shutil
import socket

from nbactors.local import sockets
from nbactors.local.access import discovery, linger
from nbactors.local.node.rules.context import Facts
from nbactors.local.node.shell import machine
from nbactors.local.node.shell.premises import Premises
from nbactors.local.node.shell.server import Server
from nbactors.local.wire.messages import PROTOCOL_VERSION

_MOST_DESCRIPTORS = 1 << 16


def main(directory: str, ready: int, package_version: str, protocol: int = 0) -> None:
    """Be the node. Returns when it is no longer needed, or when there is another one.

    Args:
        directory: Where to listen: the protocol's folder in the runtime directory.
        ready: A pipe to write to when the node listens.
        package_version: nbactors' own.
        protocol: What the process that starts the node speaks; before protocol 8 they did not say.
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
    sockets.remove_dead(os.path.join(directory, "p"))
    try:
        server = Server(_facts(directory, package_version), premises)
    except (OSError, ValueError) as error:  # told to the session by the log, whose end it shows
        raise SystemExit(f"the node cannot listen: {error}") from None
    os.write(ready, discovery.READY)
    os.close(ready)
    gc.freeze()
    server.run()
    # Not after an exception: its traceback is in the log.
    if premises.is_ours():
        sockets.remove_dead(os.path.join(directory, "p"))
        shutil.rmtree(os.path.join(directory, "logs"), ignore_errors=True)


def _close_others(ready: int) -> None:
    """Close what was inherited from the session: other libraries do not always mark their descriptors."""
    os.closerange(3, ready)
    os.closerange(ready + 1, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1024))


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
