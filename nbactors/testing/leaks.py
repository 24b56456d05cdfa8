"""Detection of leaks: processes, threads, descriptors, shared memory and socket files that a block of code leaves.

By default the node and its forkserver do not count as leaks: they belong to the user, not to a session, and end by
themselves. With `include_node=True` they count.

Assumptions about the platform: psutil can read the environment of this user's processes; `/proc/self/fd` (Linux) or
`/dev/fd` (macOS) lists the descriptors. Mapped shared memory is found on Linux only.
"""

from __future__ import annotations

import gc
import glob
import os
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

_SHOWN_CHARACTERS = 400
"""Most characters of a command in a message. The node's command names the node only after 300 characters."""


class LeakError(AssertionError):
    """Raised for leaks. The message lists them."""


@dataclass(frozen=True)
class Holdings:
    """The resources that this process and its runtime hold at one moment. For each resource a text describes it."""

    processes: dict[tuple[int, float], str]
    threads: dict[int, str]
    descriptors: dict[tuple[int, str], str]
    segments: dict[str, str]
    sockets: dict[str, str]

    @classmethod
    def now(cls, include_node: bool = False) -> Holdings:
        """Return the present holdings. Takes about as long as listing the machine's processes. Any thread."""
        return cls(
            processes=_processes(include_node),
            threads={thread.ident or 0: repr(thread) for thread in threading.enumerate()},
            descriptors=_descriptors(),
            segments=_mapped_segments(),
            sockets=_socket_files(),
        )

    def beyond(self, earlier: Holdings) -> list[str]:
        """Return a line of text for each resource that `earlier` does not have."""
        return [
            f"{kind}: {text}"
            for kind in ("processes", "threads", "descriptors", "segments", "sockets")
            for key, text in getattr(self, kind).items()
            if key not in getattr(earlier, kind)
        ]


@contextmanager
def check_leaks(timeout_s: float = 5.0, include_node: bool = False) -> Iterator[None]:
    """Raise LeakError if the block leaves a process or other resource that did not exist before. Any thread.

    Use it around code that starts and ends its own session::

        with nbactors.testing.check_leaks():
            ray.init()
            ...
            ray.shutdown()

    Args:
        timeout_s: Seconds after the block in which processes and other resources may still end.
        include_node: Count the node and its forkserver, too; by default they end a second after the last session.

    Raises:
        LeakError: The block has left a resource. Not raised if the block itself has raised an error.
    """
    before = Holdings.now(include_node)
    yield
    settle(before, timeout_s, include_node)


def settle(before: Holdings, timeout_s: float = 5.0, include_node: bool = False) -> None:
    """Wait until this process holds nothing beyond `before`. The second half of `check_leaks`, for fixtures.

    Raises:
        LeakError: A resource is left after `timeout_s` seconds.
    """
    leaked = Holdings.now(include_node).beyond(before)
    if not leaked:
        return
    # A collection takes longer than `Holdings.now`, and most code leaves nothing, so it comes only now.
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
    """Return the process id of this user's node, or 0 if no node runs. Does not start a node."""
    path = os.path.join(node_directory(), "node.sock")
    try:
        with sockets.connect(path, 1.0) as connection:
            return sockets.peer_pid(connection)
    except OSError:
        return 0


def _processes(include_node: bool) -> dict[tuple[int, float], str]:
    """Return this process's descendants, and the processes that belong to the runtime directory."""
    parents, started = _process_table()
    node = node_pid()
    lingering = {node} | {pid for pid, parent in parents.items() if node and parent == node}
    ours = _descendants({os.getpid(), node} - {0}, parents)
    marker = os.environ.get("NBACTORS_DIR")
    found: dict[tuple[int, float], str] = {}
    for pid, start in started.items():
        key = (pid, start)
        if pid == os.getpid() or (pid in lingering and not include_node):
            continue
        if not include_node and parents[pid] in lingering - {node} and _is_spare(pid, parents[pid]):
            continue
        if pid in ours or (marker and _is_marked(key, marker, parents)):
            text = _describe(pid)
            if text:
                found[key] = text
    return found


def _is_spare(pid: int, forkserver: int) -> bool:
    """Return whether a child of a forkserver waits to become a worker, which has a title of its own."""
    try:
        return psutil.Process(pid).cmdline() == psutil.Process(forkserver).cmdline()
    except psutil.Error:
        return False


_Stat = tuple[int, int, float]
"""The inode of a process's directory in /proc, the parent's id, and the start time."""

_stats: dict[int, _Stat] = {}
"""The last table of processes on Linux. Replaced, not changed, since several threads may look for leaks."""


def _process_table() -> tuple[dict[int, int], dict[int, float]]:
    """Return the parent's id and the start time of each process on the machine. The unit of time is not defined."""
    global _stats
    if sys.platform != "linux":
        parents: dict[int, int] = {}
        started: dict[int, float] = {}
        for process in psutil.process_iter(["ppid", "create_time"]):
            parents[process.pid] = process.info["ppid"] or 0
            started[process.pid] = process.info["create_time"] or 0.0
        return parents, started
    # A check runs around every test, so it reads only what can differ from the last table. The kernel gives the
    # directory of a new process a new inode, also if the process has the id of an earlier one. A process gets another
    # parent only when its parent ends.
    with os.scandir("/proc") as entries:
        inodes = {int(entry.name): entry.inode() for entry in entries if entry.name.isdigit()}
    known = {pid: stat for pid, stat in _stats.items() if inodes.get(pid) == stat[0]}
    stats: dict[int, _Stat] = {}
    for pid, inode in inodes.items():
        stat = known.get(pid)
        if stat is None or (stat[1] and stat[1] not in known):
            stat = _read_stat(pid, inode)
        if stat is not None:
            stats[pid] = stat
    _stats = stats
    return {pid: stat[1] for pid, stat in stats.items()}, {pid: stat[2] for pid, stat in stats.items()}


def _read_stat(pid: int, inode: int) -> _Stat | None:
    """Return a process's facts from /proc, or None if the process has ended. Takes a tenth of the time of psutil."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The command's name is in parentheses, and may itself contain parentheses and spaces.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return inode, int(fields[1]), float(fields[19])


def _descendants(roots: set[int], parents: dict[int, int]) -> set[int]:
    """Return the `roots` and all their descendants."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return found


_foreign: dict[tuple[int, float], str] = {}
"""The directory to which a process does not belong. Cached, since it never changes and a check is slow."""


def _is_marked(key: tuple[int, float], marker: str, parents: dict[int, int]) -> bool:
    """Return whether the process belongs to the runtime directory `marker`, even if no session here has started it.

    The ancestors of this process do not count, since a shell that runs the tests may have NBACTORS_DIR set, too.
    """
    if _foreign.get(key) == marker:
        return False
    pid, _ = key
    try:
        process = psutil.Process(pid)
        # The environment of an exiting process or of a zombie cannot be read.
        if process.environ().get("NBACTORS_DIR") == marker or _listens_in(process, marker):
            return os.getpid() not in _descendants({pid}, parents)
    except psutil.Error:
        pass
    _foreign[key] = marker
    return False


def _listens_in(process: psutil.Process, directory: str) -> bool:
    """Return whether a worker listens in the directory. A worker's title overwrites its environment in memory."""
    if not any(part.startswith("ray::") for part in process.cmdline()[:1]):
        return False
    # This cheap check comes first, since `net_connections` reads all sockets of the machine.
    if not _has_sockets(directory):
        return False
    listening = (str(connection.laddr) for connection in process.net_connections(kind="unix"))
    return any(path.startswith(f"{os.path.abspath(directory)}/") for path in listening)


def _has_sockets(directory: str) -> bool:
    """Return whether the directory contains sockets of processes."""
    return any(glob.iglob(os.path.join(glob.escape(directory), "*", "p", "*")))


def _describe(pid: int) -> str:
    """Return a line of text about a process; empty if the process has ended and is not a child of this process."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE and process.ppid() != os.getpid():
                return ""
            age = time.time() - process.create_time()
            command = " ".join(" ".join(process.cmdline()).split()) or process.name()
            return f"pid {pid} ({process.status()}, {age:.1f} s old): {command[:_SHOWN_CHARACTERS]}"
    except psutil.Error:
        return ""


def _descriptors() -> dict[tuple[int, str], str]:
    """Return this process's open descriptors, on Linux with the names of their files."""
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
    """Return this process's mappings of shared memory, by address range."""
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
    """Return the socket files of processes in the runtime directory, without the node's own sockets."""
    directory = os.path.join(node_directory(), "p")
    try:
        return {entry.name: entry.path for entry in os.scandir(directory)}
    except OSError:
        return {}
