"""What the runtime has from the machine around it: directories, sockets, memory and limits. Starts nothing."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import time
from typing import Any

from nbactors.local import cgroups, memory_files, sockets
from nbactors.local.access import discovery
from nbactors.local.node.shell import machine
from nbactors.local.store import spill_directory
from nbactors.local.wire.messages import PROTOCOL_VERSION

_PROBE_BYTES = 16 << 20
"""Bytes that are written to measure the speed of a disk."""


def surroundings() -> dict[str, Any]:
    """Return the facts; see `nbactors.util.surroundings`. Writes a file of 16 MiB for a moment. Blocks."""
    path, problem = _runtime_directory()
    longest = sockets.process_socket_path(os.path.join(path, str(PROTOCOL_VERSION)), bytes(16)) if path else ""
    return {
        "protocol": PROTOCOL_VERSION,
        "runtime_directory": path,
        "runtime_directory_problem": problem or _socket_problem(path),
        "runtime_directory_kind": file_system(path),
        "socket_path_bytes": len(os.fsencode(longest)),
        "socket_path_most": sockets.MAX_PATH - 1,
        "dead_sockets": _dead_sockets(path),
        "cpus": machine.cpus(),
        "machine_cpus": os.cpu_count() or 1,
        "memory": cgroups.memory(),
        "memory_limits": [limit._asdict() for limit in cgroups.memory_limits()],
        "processes": _most_processes(),
        "shared_memory": memory_files.limit(),
        "shared_memory_directory": memory_files.directory(),
        "spill": _spill(),
    }


def _runtime_directory() -> tuple[str, str]:
    """Return the runtime directory, and why it cannot be used."""
    try:
        path = discovery.located()
    except OSError as error:
        return "", str(error)
    try:
        discovery.ensure_directory()
    except OSError as error:
        return path, str(error)
    return path, ""


def _socket_problem(path: str) -> str:
    """Return why no socket can be bound and reached in a directory."""
    name = os.path.join(path, f"probe-{os.getpid()}")
    try:
        with sockets.listen(name), sockets.connect(name, 1.0):
            return ""
    except OSError as error:
        return str(error)
    finally:
        sockets.remove(name)


def _dead_sockets(path: str) -> list[str]:
    """Return the sockets in a runtime directory on which no process listens."""
    dead = []
    try:
        for place, _, names in os.walk(path):
            dead += [one for one in (os.path.join(place, name) for name in names) if _is_dead(one)]
    except OSError:
        pass
    return dead


def _is_dead(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):  # a connection to any other file is refused, too
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(0.2)
            sock.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:  # it is gone, or its process is busy
        return False
    return False


def _most_processes() -> int:
    """Return how many processes and threads this process's cgroups allow, 0 for any number."""
    places = [*cgroups.own_cgroups(""), *cgroups.own_cgroups("pids")]
    found = [cgroups.number(os.path.join(place, "pids.max")) for place in places]
    return min((number for number in found if number > 0), default=0)


def _spill() -> dict[str, Any]:
    """Return the directory for spilled values, its free bytes, its speed in bytes per second, and its problem."""
    found = spill_directory.find()
    facts = {**found._asdict(), "free": 0, "speed": 0.0, "problem": "", "kind": file_system(found.path)}
    if not found.path:
        return facts
    try:
        system = os.statvfs(found.path)
        facts["free"] = system.f_frsize * system.f_bavail
        if facts["free"] > 4 * _PROBE_BYTES:
            facts["speed"] = _speed(found.path)
    except OSError as error:
        facts["problem"] = error.strerror or str(error)
    return facts


def _speed(path: str) -> float:
    """Return the bytes per second that reach the disk."""
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=path) as file:
        begin = time.perf_counter()
        for _ in range(_PROBE_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return _PROBE_BYTES / max(time.perf_counter() - begin, 1e-6)


def file_system(path: str) -> str:
    """Return the kind of the file system of a path, such as "ext4" or "nfs4"; empty if it is not known."""
    try:
        device = os.stat(path).st_dev
    except OSError:
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in cgroups.read("/proc/self/mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split()[2:3] == [number]:
            return kind.split()[0]
    return ""
