"""Tells what a piece of code left behind: processes, threads, descriptors, shared memory, socket files.

The node and its forkserver are no leak while they linger: they belong to the user, not to a session, and leave by
themselves. `include_node=True` counts them too.

Assumed of the platform: psutil reads the environment of this user's processes; descriptors are listed in
`/proc/self/fd` (Linux) or `/dev/fd` (macOS). Mapped shared memory is seen on Linux only.
"""

from __future__ import annotations

import gc
import glob
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from nbactors.local import sockets
from nbactors.local.access.discovery import node_directory
from nbactors.testing.polling import eventually

_MAPPED_MEMORY = ("/memfd:", "/dev/shm/")

_TOLD = 400
"""Characters of a command that are told: those of the node name what it runs only after 300, behind its first lines."""


class LeakError(AssertionError):
    """Something was left behind; the message lists it."""


@dataclass(frozen=True)
class Holdings:
    """What this process and its runtime hold at one moment, as text by key, so that a leak can be shown."""

    processes: dict[tuple[int, float], str]
    threads: dict[int, str]
    descriptors: dict[tuple[int, str], str]
    segments: dict[str, str]
    sockets: dict[str, str]

    @classmethod
    def now(cls, include_node: bool = False) -> Holdings:
        """Look. Takes about as long as listing the machine's processes. Any thread."""
        return cls(
            processes=_processes(include_node),
            threads={thread.ident or 0: repr(thread) for thread in threading.enumerate()},
            descriptors=_descriptors(),
            segments=_mapped_segments(),
            sockets=_socket_files(),
        )

    def beyond(self, earlier: Holdings) -> list[str]:
        """Return a line for each thing that `earlier` does not have."""
        return [
            f"{kind}: {text}"
            for kind in ("processes", "threads", "descriptors", "segments", "sockets")
            for key, text in getattr(self, kind).items()
            if key not in getattr(earlier, kind)
        ]


@contextmanager
def check_leaks(timeout_s: float = 5.0, include_node: bool = False) -> Iterator[None]:
    """Fail when the block leaves anything behind that was not there before.

    Use it around code that starts and ends its own session::

        with nbactors.testing.check_leaks():
            ray.init()
            ...
            ray.shutdown()

    Args:
        timeout_s: Seconds that things which are on their way out get for leaving.
        include_node: Count the node and its forkserver as well; they linger for a second after the last session.

    Raises:
        LeakError: Something is left. Not raised when the block itself raised.
    """
    before = Holdings.now(include_node)
    yield
    settle(before, timeout_s, include_node)


def settle(before: Holdings, timeout_s: float = 5.0, include_node: bool = False) -> None:
    """Wait until nothing is held beyond `before`. The second half of `check_leaks`, for fixtures.

    Raises:
        LeakError: Something is left after `timeout_s`.
    """
    leaked = Holdings.now(include_node).beyond(before)
    if not leaked:
        return
    # Only now, since most code leaves nothing and a collection takes longer than the look.
    gc.collect()

    def is_settled() -> bool:
        leaked[:] = Holdings.now(include_node).beyond(before)
        return not leaked

    try:
        eventually(is_settled, timeout_s)
    except TimeoutError:
        raise LeakError(
            f"left behind, {timeout_s:g} s after the end:\n  "
            + "\n  ".join(leaked)
            + "\nEnd the session with shutdown(), close what was opened, and drop references to large values."
        ) from None


def node_pid() -> int:
    """Return the process id of this user's node, or 0 if none runs. Starts none."""
    path = os.path.join(node_directory(), "node.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(path)
            return sockets.peer_pid(connection)
        except OSError:
            return 0


def _processes(include_node: bool) -> dict[tuple[int, float], str]:
    """Return this process's descendants, and the processes that belong to the runtime directory."""
    parents, started = _process_table()
    node = node_pid()
    lingering = {node} | {pid for pid, parent in parents.items() if node and parent == node}
    roots = {os.getpid(), node} - {0}
    marker = os.environ.get("NBACTORS_DIR")
    found: dict[tuple[int, float], str] = {}
    for pid, start in started.items():
        key = (pid, start)
        if pid == os.getpid() or (pid in lingering and not include_node):
            continue
        if _descends(pid, roots, parents) or (marker and _is_marked(key, marker, parents)):
            text = _describe(pid)
            if text:
                found[key] = text
    return found


def _process_table() -> tuple[dict[int, int], dict[int, float]]:
    """Return the parent, and the time of the start in some unit, of each process on the machine."""
    parents: dict[int, int] = {}
    started: dict[int, float] = {}
    if sys.platform != "linux":
        for process in psutil.process_iter(["ppid", "create_time"]):
            parents[process.pid] = process.info["ppid"] or 0
            started[process.pid] = process.info["create_time"] or 0.0
        return parents, started
    # As psutil does it, in a tenth of the time: a guard around every test must not be what a test run spends it on.
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The command's name stands in parentheses and may hold anything.
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            parents[int(name)] = int(fields[1])
            started[int(name)] = float(fields[19])
    return parents, started


def _descends(pid: int, roots: set[int], parents: dict[int, int]) -> bool:
    """Return whether `pid` is one of `roots` or comes from one."""
    seen: set[int] = set()
    while pid and pid not in seen:
        if pid in roots:
            return True
        seen.add(pid)
        pid = parents.get(pid, 0)
    return False


_foreign: dict[tuple[int, float], str] = {}
"""Processes known not to belong to a directory: whose a process is never changes, and reading it is slow."""


def _is_marked(key: tuple[int, float], marker: str, parents: dict[int, int]) -> bool:
    """Return whether the process belongs to the runtime directory `marker`, whoever started it.

    Not if this process descends from it: whoever runs the tests may have the same variable.
    """
    if _foreign.get(key) == marker:
        return False
    pid, _ = key
    try:
        process = psutil.Process(pid)
        # A process that is exiting, and a zombie, have no environment to read any more.
        if process.environ().get("NBACTORS_DIR") == marker or _listens_in(process, marker):
            return not _descends(os.getpid(), {pid}, parents)
    except psutil.Error:
        pass
    _foreign[key] = marker
    return False


def _listens_in(process: psutil.Process, directory: str) -> bool:
    """Return whether a worker listens in the directory. Its title lies where its environment was."""
    if not any(part.startswith("ray::") for part in process.cmdline()[:1]):
        return False
    # First what is cheap: what a process listens to is found by reading all sockets of the machine.
    if not _has_sockets(directory):
        return False
    listening = (str(connection.laddr) for connection in process.net_connections(kind="unix"))
    return any(path.startswith(f"{os.path.abspath(directory)}/") for path in listening)


def _has_sockets(directory: str) -> bool:
    """Return whether a process may listen in the directory."""
    return any(glob.iglob(os.path.join(glob.escape(directory), "*", "p", "*")))


def _describe(pid: int) -> str:
    """Return a line that tells a human which process this is; empty when it has ended and is no child of ours."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE and process.ppid() != os.getpid():
                return ""
            age = time.time() - process.create_time()
            command = " ".join(" ".join(process.cmdline()).split()) or process.name()
            return f"pid {pid} ({process.status()}, {age:.1f} s old): {command[:_TOLD]}"
    except psutil.Error:
        return ""


def _descriptors() -> dict[tuple[int, str], str]:
    """Return this process's open descriptors, with what they lead to where the system tells."""
    directory = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    found = {}
    for name in os.listdir(directory):
        descriptor = int(name)
        try:
            target = os.readlink(f"{directory}/{name}") if sys.platform == "linux" else str(os.fstat(descriptor))
        except OSError:
            continue  # the listing's own descriptor
        found[descriptor, target] = f"{descriptor} -> {target}"
    return found


def _mapped_segments() -> dict[str, str]:
    """Return the shared memory that is mapped into this process, once per mapping."""
    if sys.platform != "linux":
        return {}
    found = {}
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, _, _, _, _, *rest = line.split(maxsplit=5)
            if rest and rest[0].startswith(_MAPPED_MEMORY):
                found[span] = line.strip()
    return found


def _socket_files() -> dict[str, str]:
    """Return the sockets of processes in the runtime directory; the node's own is not among them."""
    directory = os.path.join(node_directory(), "p")
    try:
        return {entry.name: entry.path for entry in os.scandir(directory)}
    except OSError:
        return {}
