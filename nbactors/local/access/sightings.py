"""Finds the nodes of this user, of any version of nbactors, even if they do not reply.

A node is found by its socket, and by its command in the list of processes. Either can fail: a cleaner of temporary
files removes the socket, and a process outside this container is not visible. This module neither starts nodes nor
sends signals.

Guarantee: `is_node` is only set for a process of this user that has a node's command and the same view of the file
system. In another view, the directory's path might name another directory.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from typing import NamedTuple

from nbactors.local import sockets
from nbactors.local.access.discovery import NODE_MARK, NODE_SOCKET

_CONNECT_S = 0.5

_MARK = NODE_MARK.encode()


class Sighting(NamedTuple):
    """A node, or another process that listens where a node should.

    Attributes:
        pid: Its process id; 0 if the process is not visible from here.
        directory: The folder of its socket, even if the socket is gone.
        protocol: The protocol that it speaks; 0 if unknown.
        version: Its version of nbactors; empty if unknown.
        is_node: Whether its process is known to be a node.
        listens: Whether it was found by its socket.
    """

    pid: int
    directory: str
    protocol: int = 0
    version: str = ""
    is_node: bool = False
    listens: bool = False

    def connect(self) -> socket.socket:
        """Return a blocking socket that is connected to the node.

        Raises:
            OSError: It does not listen (any more), or its queue of connections is full.
        """
        return sockets.connect(os.path.join(self.directory, NODE_SOCKET), _CONNECT_S)


def within(runtime_directory: str) -> list[Sighting]:
    """Return the nodes of a runtime directory, which may have been removed; the latest protocol first."""
    homes = [runtime_directory, *_folders(runtime_directory)]
    found = {command.pid: command for command in commands() if _lies_in(command.directory, runtime_directory)}
    unseen = []
    for home in homes:
        listener = _listener(home)
        if listener is None:
            continue
        known = found.get(listener.pid)
        if known is not None and os.path.realpath(known.directory) == os.path.realpath(home):
            found[listener.pid] = Sighting(
                known.pid, home, known.protocol or listener.protocol, known.version, True, True
            )
        else:
            unseen.append(listener)
    return sorted([*found.values(), *unseen], key=lambda node: (-node.protocol, node.pid))


def everywhere() -> list[Sighting]:
    """Return the nodes of all runtime directories whose processes are visible; the latest protocol first."""
    places = {_runtime_directory(command.directory) for command in commands()}
    return [node for place in sorted(places) for node in within(place)]


def commands() -> Iterator[Sighting]:
    """Yield the processes of this user that have a node's command."""
    for pid, arguments in _linux_commands() if sys.platform == "linux" else _other_commands():
        try:
            mark = next(place for place, argument in enumerate(arguments) if _MARK in argument)
            _, _, directory, _, version, *rest = arguments[mark + 1 :]
            # The process that started the node had the same command for a moment, but leads no session.
            if arguments[mark - 1] != b"-c" or os.getsid(pid) != pid:
                continue
        except (StopIteration, ValueError, OSError):
            continue
        protocol = int(rest[0]) if rest and rest[0].isdigit() else 0
        yield Sighting(pid, os.fsdecode(directory), protocol, os.fsdecode(version), is_node=True)


def may_be_bound(path: str) -> bool:
    """Return whether a process may have a socket that was bound to this path, even if the file is gone.

    A quick check for a node that starts: listing all processes takes the longer the more there are.
    """
    if sys.platform != "linux":
        return True
    try:
        with open("/proc/net/unix", "rb") as table:
            return b" " + os.fsencode(path) + b"\n" in table.read()
    except OSError:
        return True


def _linux_commands() -> Iterator[tuple[int, list[bytes]]]:
    """Do what psutil does, in a tenth of the time, because a node that starts does this, too."""
    user, view = os.getuid(), _view("self")
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid != user:
                continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read()
            if _MARK in command and _view(name) == view:
                yield int(name), command.rstrip(b"\0").split(b"\0")
        except OSError:  # the process has ended meanwhile
            continue


def _view(pid: str) -> tuple[int, int]:
    """Return what identifies a process's view of the file system, which a container has of its own."""
    found = os.stat(f"/proc/{pid}/ns/mnt")
    return found.st_dev, found.st_ino


def _other_commands() -> Iterator[tuple[int, list[bytes]]]:
    import psutil  # noqa: PLC0415 - not needed on Linux

    for process in psutil.process_iter():
        try:
            if process.uids().real == os.getuid():
                yield process.pid, [os.fsencode(argument) for argument in process.cmdline()]
        except psutil.Error:
            continue


def _listener(home: str) -> Sighting | None:
    """Return the process that listens on the node's socket in this folder, None if none does."""
    name = os.path.basename(home)
    protocol = int(name) if name.isdecimal() else 0
    try:
        with Sighting(0, home).connect() as sock:
            return Sighting(sockets.peer_pid(sock), home, protocol, listens=True)
    except OSError:
        return None


def _folders(runtime_directory: str) -> list[str]:
    """Return the folders of all protocols."""
    try:
        return [os.path.join(runtime_directory, name) for name in os.listdir(runtime_directory) if name.isdecimal()]
    except OSError:
        return []


def _runtime_directory(home: str) -> str:
    """Return the runtime directory of a node's folder. Nodes of protocol 7 and older have no folder of their own."""
    parent, name = os.path.split(home)
    return parent if name.isdecimal() else home


def _lies_in(home: str, runtime_directory: str) -> bool:
    wanted = os.path.realpath(runtime_directory)
    return wanted in (os.path.realpath(home), os.path.realpath(_runtime_directory(home)))
