"""Ends a node, even if it hangs, is stopped by a signal, has another version, or has lost its socket.

The steps, each taken only if the node still runs after the one before:

1. The node is asked over its socket, if it speaks this protocol. It ends its actors gracefully. 2. SIGTERM, which asks
a node of any version for the same; SIGCONT resumes a node that was stopped by a signal. 3. SIGKILL. The workers end by
themselves when they notice that their node is gone.

After that, forkservers and workers that still run are killed, and the files that they have left are removed.

A signal is sent only to a process that was found to be a node of this user, or a descendant of such a node, and that is
still the same process: psutil compares the start times.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import psutil

from nbactors.exceptions import NodeMissingError
from nbactors.local import sockets
from nbactors.local.access import discovery
from nbactors.local.access.control import ControlClient
from nbactors.local.access.next_node import mark_stopped
from nbactors.local.access.sightings import Sighting
from nbactors.local.wire import messages

ANSWER_S = 3.0
"""How long, in seconds, a node may take to reply."""

_STOP_S = 12.0
"""How long, in seconds, a node may then take to end its actors gracefully. It kills the last of them after 4.5 s."""

_TERM_S = 8.0
_KILL_S = 5.0
_FAMILY_S = 1.0
"""How long, in seconds, forkservers and workers may take to notice that their node is gone."""

_WORKER_TITLE = "ray::"

T = TypeVar("T")


def stop(node: Sighting, force: bool) -> bool:
    """End a node and all that runs on it. Blocks, for about half a minute at most.

    Args:
        node: The node as it was found.
        force: Whether to kill the actors instead of ending them gracefully.

    Returns:
        Whether the node had to be killed.

    Raises:
        ConnectionError: The process is not known to be a node, and does not reply like one.
        TimeoutError: The process has not ended, even by SIGKILL.
    """
    process = process_of(node.pid) if node.is_node else None
    family = members(process) if process is not None else []
    was_killed = False
    has_ended = node.listens and not is_stopped(process) and _asked(node, force)
    if process is not None and not has_ended:
        was_killed = _signalled(process, force, node.directory)
    if process is None and sockets.is_alive(os.path.join(node.directory, discovery.NODE_SOCKET)):
        raise ConnectionError(_no_node(node))
    if process is not None and not _wait([process], _KILL_S):
        mark_stopped(node.directory, process.pid)
        process.kill()
        was_killed = True
        if not _wait([process], _KILL_S):
            raise TimeoutError(
                f"the node (pid {node.pid}) has not ended by SIGKILL: the system keeps it, for instance since a disk "
                "does not answer (ps shows its state as D). It ends when the system lets it go"
            )
    _end(family)
    _clear(node.directory)
    return was_killed


def stop_without_node(directory: str) -> bool:
    """End the workers of a crashed node, and the search for the next node, if none runs. Blocks for a few seconds.

    Args:
        directory: The folder of the node's protocol.

    Returns:
        Whether there were workers.
    """
    if sockets.is_alive(os.path.join(directory, discovery.NODE_SOCKET)):
        return False
    survivors = _survivors(directory)
    has_workers = any(map(is_worker, survivors))
    if survivors:
        mark_stopped(directory, discovery.ANY_NODE)
        _clear(directory)
    return has_workers


def members(node: psutil.Process) -> list[psutil.Process]:
    """Return a node's forkservers, their workers, and the processes that workers started in their process groups."""
    below: list[psutil.Process] = _answer(lambda: node.children(recursive=True), [])
    parents = {process.pid: _answer(process.ppid, 0) for process in below}
    forkservers = {pid for pid, parent in parents.items() if parent == node.pid}
    workers = {pid for pid, parent in parents.items() if parent in forkservers}
    groups = {process.pid: _answer(partial(os.getpgid, process.pid), 0) for process in below}
    return [process for process in below if process.pid in forkservers or groups[process.pid] in workers]


def is_worker(process: psutil.Process) -> bool:
    """Return whether a process has the title that workers give themselves."""
    return "".join(_answer(process.cmdline, [""])[:1]).startswith(_WORKER_TITLE)


def is_stopped(process: psutil.Process | None) -> bool:
    """Return whether a signal has stopped a process."""
    return process is not None and _answer(process.status, "") in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def process_of(pid: int) -> psutil.Process | None:
    """Return the process with this id, None if there is none."""
    return _answer(lambda: psutil.Process(pid) if pid else None, None)


def _answer(question: Callable[[], T], otherwise: T) -> T:
    """Return what the system answers about a process; the other value if the process has ended or may not be seen."""
    try:
        return question()
    except (psutil.Error, ProcessLookupError, PermissionError):
        return otherwise


def _asked(node: Sighting, force: bool) -> bool:
    """Ask a node to end. Return whether it has ended."""
    try:
        with ControlClient(node.connect(), timeout_s=ANSWER_S) as client:
            answer = client.request(messages.Stop(client.next_rid(), force), _STOP_S)
            if isinstance(answer, messages.Done):
                client.receive(messages.Done, timeout_s=_KILL_S)  # ends when the node closes the connection, at last
            return False
    except NodeMissingError:
        return True
    except OSError:  # the node does not listen, does not reply, or speaks another protocol
        return False


def _signalled(node: psutil.Process, force: bool, directory: str) -> bool:
    """End a node by signals. Return whether it was killed."""
    try:
        if not force:
            node.terminate()
            node.resume()
            if _wait([node], _TERM_S):
                return False
        mark_stopped(directory, node.pid)
        node.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _end(family: Iterable[psutil.Process]) -> None:
    left = [process for process in family if not _is_gone(process)]
    if not _wait(left, _FAMILY_S):
        for process in left:
            _answer(process.kill, None)
        _wait(left, _KILL_S)


def _clear(directory: str) -> None:
    """Remove the files of a killed node, and kill workers that have outlived their node and forkserver."""
    if sockets.is_alive(os.path.join(directory, discovery.NODE_SOCKET)):  # another node was started meanwhile
        return
    _end(process for process in _survivors(directory) if is_worker(process))
    sockets.survivors(os.path.join(directory, "p"))
    sockets.remove(os.path.join(directory, discovery.NODE_SOCKET))
    shutil.rmtree(os.path.join(directory, "logs"), ignore_errors=True)


def _survivors(directory: str) -> list[psutil.Process]:
    """Return the sessions and workers that live."""
    found = [process_of(pid) for pid in sockets.survivors(os.path.join(directory, "p")).values()]
    return [process for process in found if process is not None]


def _wait(processes: Iterable[psutil.Process], timeout_s: float) -> bool:
    """Wait until processes have ended, by polling: they are no children. Return whether all have ended."""
    deadline = time.monotonic() + timeout_s
    for process in processes:
        while not _is_gone(process):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
    return True


def _is_gone(process: psutil.Process) -> bool:
    return _answer(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, True)


def _no_node(node: Sighting) -> str:
    path = os.path.join(node.directory, discovery.NODE_SOCKET)
    process = process_of(node.pid)
    if process is None:
        return (
            f"the process that listens at {path!r} cannot be seen from here, and does not answer: it runs in another "
            "container, perhaps. Run `nbactors stop` there"
        )
    command = " ".join(_answer(process.cmdline, ["?"]))
    return (
        f"what listens at {path!r} is no node of nbactors and was left alone: pid {node.pid}, {command:.200}. End it "
        "by yourself, or set NBACTORS_DIR to another directory"
    )
