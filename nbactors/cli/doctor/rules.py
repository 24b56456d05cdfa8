"""The checks of `nbactors doctor`: pure functions that make findings of facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from nbactors import byte_sizes
from nbactors.cli.doctor.facts import Facts
from nbactors.cli.doctor.finding import FAIL, OK, WARN, Finding

OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 13)
"""The latest version with which nbactors is tested."""

PACKAGES = {
    "ipykernel": "6.26",
    "ipywidgets": "8.1",
    "anywidget": "0.9.13",
    "tblib": "3",
    "jupyterlab": "4.2",
    "notebook": "7.2",
    "textual": "6.0",
}
"""The least version of each optional package. `pyproject.toml` has the same ones."""

_KERNEL = ("ipykernel", "ipywidgets", "anywidget", "tblib")
_FRONT_ENDS = ("jupyterlab", "notebook")

FEW_FILES = 1024
"""An actor takes about four descriptors of its session."""

FEW_PROCESSES = 256
"""A worker has some threads, and each counts."""

LITTLE_MEMORY = 512 << 20
LITTLE_SHARED_MEMORY = 256 << 20
LITTLE_DISK = 1 << 30
SLOW_DISK = 50e6
"""Bytes per second: a value of 1 GiB takes 20 seconds."""

NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "lustre", "beegfs", "ceph", "glusterfs", "9p"}
"""Kinds of file systems on other machines."""

_WRONG_NODES = {
    "STOPPED": (FAIL, "is stopped (SIGSTOP)", "`kill -CONT {pid}` lets it go on, `nbactors stop` ends it"),
    "SILENT": (FAIL, "does not answer", "`nbactors stop` ends it, with its actors"),
    "CUT_OFF": (WARN, "has lost its socket", "wait some seconds; `nbactors stop` ends a node that does not recover"),
    "NO_NODE": (FAIL, "is another program, which listens there", "end it, or set NBACTORS_DIR to another directory"),
    "OTHER_PROTOCOL": (
        WARN,
        "speaks protocol {protocol}, and counts all CPUs as well",
        "restart its programs with this version, or end it with its actors: `nbactors stop`",
    ),
}


def examine(facts: Facts) -> list[Finding]:
    """Return the findings of all checks, in a fixed order."""
    return [finding for check in CHECKS for finding in check(facts)]


def _python(facts: Facts) -> Iterator[Finding]:
    found = f"Python {'.'.join(map(str, facts.python))}, {facts.executable}"
    if facts.python < OLDEST_PYTHON:
        yield Finding("python", FAIL, found, f"use Python {_dotted(OLDEST_PYTHON)} or newer")
    elif facts.python[:2] > NEWEST_PYTHON:
        yield Finding(
            "python", WARN, f"{found}, is not tested", f"Python {_dotted(NEWEST_PYTHON)} is the latest tested one"
        )
    else:
        yield Finding("python", OK, found)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _nbactors(facts: Facts) -> Iterator[Finding]:
    yield Finding("nbactors", OK, f"nbactors {facts.version}, protocol {facts.surroundings['protocol']}")


def _compiled(facts: Facts) -> Iterator[Finding]:
    if not facts.why_not_compiled:
        yield Finding("calls", OK, "the compiled part is in use")
    elif facts.platform != "linux":
        yield Finding("calls", OK, "the compiled part is for Linux only; the steps in Python do the same")
    else:
        yield Finding(
            "calls",
            WARN,
            f"the compiled part is not in use ({facts.why_not_compiled}), so a call takes more processor time",
            "with a C compiler and the headers of Python (Debian: apt-get install gcc python3-dev), install again",
        )


def _kernel(facts: Facts) -> Iterator[Finding]:
    install = f'{facts.executable} -m pip install --upgrade "nbactors[jupyter]"'
    if not set(_KERNEL) & set(facts.packages):
        yield Finding("kernel", OK, f"no kernel in this environment: it runs programs. For notebooks: {install}")
        return
    missing = [name for name in _KERNEL if name not in facts.packages]
    if missing:
        yield Finding("kernel", WARN, f"{', '.join(missing)} not installed: no live panels", install)
    yield from _versions("kernel", facts, [name for name in _KERNEL if name in facts.packages], install)


def _front_ends(facts: Facts) -> Iterator[Finding]:
    present = [name for name in _FRONT_ENDS if name in facts.packages]
    if not present:
        yield Finding("front end", OK, "no JupyterLab or notebook in this environment; another one may have it")
        return
    yield from _versions(
        "front end", facts, present, f"{facts.executable} -m pip install --upgrade {' '.join(present)}"
    )


def _top(facts: Facts) -> Iterator[Finding]:
    install = f'{facts.executable} -m pip install --upgrade "nbactors[cli]"'
    if "textual" not in facts.packages:
        yield Finding("top", OK, f"textual not installed. For `nbactors top`: {install}")
        return
    yield from _versions("top", facts, ["textual"], install)


def _versions(check: str, facts: Facts, names: list[str], mend: str) -> Iterator[Finding]:
    """Yield what the versions of installed packages tell."""
    for name in names:
        if numbers(facts.packages[name]) < numbers(PACKAGES[name]):
            yield Finding(check, WARN, f"{name} {facts.packages[name]} is older than {PACKAGES[name]}", mend)
    good = [name for name in names if numbers(facts.packages[name]) >= numbers(PACKAGES[name])]
    if good:
        yield Finding(check, OK, ", ".join(f"{name} {facts.packages[name]}" for name in good))


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers at the begin of a version, to compare it."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _nodes(facts: Facts) -> Iterator[Finding]:
    if facts.nodes_problem:
        return  # the runtime directory tells the same
    if not facts.nodes:
        yield Finding("node", OK, "none runs; the next session starts one")
    for node in facts.nodes:
        yield _node(node, facts)


def _node(node: dict[str, Any], facts: Facts) -> Finding:
    label = f"node {node['version'] or 'of an unknown version'}, pid {node['pid'] or '?'}, in {node['directory']}"
    if node["state"] in _WRONG_NODES:
        result, what, mend = _WRONG_NODES[node["state"]]
        return Finding("node", result, f"{label}, {what.format(**node)}", mend.format(**node))
    if node["is_own"] and node["version"] != facts.version:
        return Finding(
            "node",
            WARN,
            f"{label}, is of another version than nbactors {facts.version}, with the same protocol",
            "it serves this version, too; `nbactors stop` ends it and its actors, and the next session starts another",
        )
    if not node["is_own"]:
        return Finding(
            "node",
            WARN,
            f"{label}, is not the one of this directory and version, and counts all CPUs as well",
            'give all programs the same NBACTORS_DIR, and `init` no address="local", which starts such a node; '
            "`nbactors stop --all` ends all nodes with their actors",
        )
    return Finding("node", OK, f"{label}, answers")


def _runtime_directory(facts: Facts) -> Iterator[Finding]:
    found = facts.surroundings
    path, kind = found["runtime_directory"], found["runtime_directory_kind"]
    size, most = found["socket_path_bytes"], found["socket_path_most"]
    if found["runtime_directory_problem"]:
        text, _, mend = found["runtime_directory_problem"].partition(": set ")
        yield Finding(
            "runtime directory", FAIL, text, f"set {mend}" if mend else "set NBACTORS_DIR to a private directory"
        )
    elif kind in NETWORK:
        yield Finding(
            "runtime directory",
            FAIL,
            f"{path} is on another machine ({kind}), where sockets and locks do not work",
            "set NBACTORS_DIR to a directory of a local file system, such as one in /tmp",
        )
    else:
        yield Finding("runtime directory", OK, f"{path}, private; a socket's path has {size} of {most} bytes")


def _dead_sockets(facts: Facts) -> Iterator[Finding]:
    dead = facts.surroundings["dead_sockets"]
    if not dead:
        yield Finding("sockets", OK, "none left by ended processes")
        return
    more = f" and {len(dead) - 1} more" if len(dead) > 1 else ""
    yield Finding(
        "sockets",
        WARN,
        f"left by processes that were killed: {dead[0]}{more}",
        "they cost nothing; the next node of their version removes them, and so does `rm`",
    )


def _limits(facts: Facts) -> Iterator[Finding]:
    # nbactors raises the soft limit of files in its own processes, up to the hard one.
    files = facts.limits["files"] if facts.open_files_hard == 0 else facts.open_files_hard
    yield _least("open files", files, FEW_FILES, "`ulimit -n`", "few actors can run at the same time")
    yield _least("processes", facts.limits["processes"], FEW_PROCESSES, "`ulimit -u`", "workers cannot be started")
    space = facts.limits["address_space"]
    if space is None:
        yield Finding("address space", OK, "no limit")
    else:
        yield Finding(
            "address space",
            WARN,
            f"limited to {byte_sizes.shown(space)}: shared memory counts, too, so large values fail with MemoryError",
            "`ulimit -v unlimited`; `memory_limit=` limits single actors",
        )


def _least(name: str, value: int | None, few: int, command: str, effect: str) -> Finding:
    if value is None:
        return Finding(name, OK, "no limit")
    if value < few:
        return Finding(name, WARN, f"at most {value}: {effect}", f"raise it to {few} or more: {command} {few}")
    return Finding(name, OK, f"at most {value}")


def _cgroup(facts: Facts) -> Iterator[Finding]:
    found = facts.surroundings
    memory = byte_sizes.shown(found["memory"])
    limits = found["memory_limits"]
    source = f", by cgroup v{limits[0]['version']} {limits[0]['directory']}" if limits else ", no cgroup limits it"
    if found["memory"] < LITTLE_MEMORY:
        mend = "give the container more memory (docker run --memory), or start fewer workers: init(num_cpus=1)"
        yield Finding("memory", WARN, f"{memory}{source}: a worker takes about 30 MiB", mend)
    else:
        yield Finding("memory", OK, f"{memory}{source}")
    cpus, machine = found["cpus"], found["machine_cpus"]
    limited = f", since a cgroup or the scheduler allows no more of {machine}" if cpus < machine else ""
    yield Finding("cpus", OK, f"{cpus:g}{limited}")
    if found["processes"]:
        mend = "raise the limit (docker run --pids-limit)"
        yield _pids(found["processes"], mend)


def _pids(most: int, mend: str) -> Finding:
    if most < FEW_PROCESSES:
        return Finding("cgroup processes", WARN, f"at most {most}: workers cannot be started", mend)
    return Finding("cgroup processes", OK, f"at most {most}")


def _shared_memory(facts: Facts) -> Iterator[Finding]:
    size, place = facts.surroundings["shared_memory"], facts.surroundings["shared_memory_directory"]
    if size == float("inf"):
        yield Finding("shared memory", OK, "anonymous files, which /dev/shm does not limit")
    elif size < LITTLE_SHARED_MEMORY:
        yield Finding(
            "shared memory",
            WARN,
            f"{byte_sizes.shown(size)} free in {place}: large values are spilled early",
            "make it larger: docker run --shm-size=2g, or mount -o remount,size=2g /dev/shm",
        )
    else:
        yield Finding("shared memory", OK, f"{byte_sizes.shown(size)} free in {place}")


def _spill(facts: Facts) -> Iterator[Finding]:
    found = facts.surroundings["spill"]
    path, mend = found["path"], "set NBACTORS_SPILL_DIR to a directory on a fast local disk with room"
    if not path:
        yield Finding("spill directory", WARN, "none: values that do not fit into memory fail", mend)
    elif found["problem"]:
        yield Finding("spill directory", FAIL, f"{path} cannot be used: {found['problem']}", mend)
    elif found["in_memory"]:
        yield Finding("spill directory", WARN, f"{path} is in memory ({found['kind']}): a spill frees none", mend)
    elif found["free"] < LITTLE_DISK:
        yield Finding("spill directory", WARN, f"{path} has only {byte_sizes.shown(found['free'])} free", mend)
    elif found["kind"] in NETWORK:
        yield Finding("spill directory", WARN, f"{path} is on another machine ({found['kind']})", mend)
    elif found["speed"] and found["speed"] < SLOW_DISK:
        yield Finding("spill directory", WARN, f"{path} is slow: {_speed(found['speed'])}", mend)
    else:
        speed = f", {_speed(found['speed'])}" if found["speed"] else ""
        yield Finding("spill directory", OK, f"{path}, {byte_sizes.shown(found['free'])} free{speed}")


def _speed(speed: float) -> str:
    return f"{byte_sizes.shown(speed)} per second"


def _selinux(facts: Facts) -> Iterator[Finding]:
    if facts.selinux is not None:
        yield Finding("selinux", OK, "enforces its rules" if facts.selinux else "does not enforce its rules")


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _python,
    _nbactors,
    _compiled,
    _kernel,
    _front_ends,
    _top,
    _nodes,
    _runtime_directory,
    _dead_sockets,
    _limits,
    _cgroup,
    _shared_memory,
    _spill,
    _selinux,
)
"""Each yields its findings. A new check is a function here, and its facts in `facts.py`."""
