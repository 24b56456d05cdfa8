"""The logs of the node and of its workers, under Ray's names. `nbactors.util.state` has these functions, too."""

from __future__ import annotations

import codecs
import fnmatch
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from nbactors import engine
from nbactors.exceptions import NodeMissingError
from nbactors.util.files import log_end

TIMEOUT_S = 30

_INTERVAL_S = 0.1
_CHUNK = 1 << 16
_NAME_DIGITS = 16
"""The digits of a worker's id that are the name of its log."""

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def list_logs(
    address: str | None = None,
    node_id: str | None = None,
    node_ip: str | None = None,
    glob_filter: str | None = None,
    timeout: float = TIMEOUT_S,
) -> dict[str, list[str]]:
    """Return the names of the log files of the running node. Follows Ray's `list_logs`. Any thread. Blocks.

    Args:
        address: Changes nothing.
        node_id: The id of the node, which may be left out: there is one.
        node_ip: Changes nothing, as `node_id`.
        glob_filter: Only names that this pattern matches, such as "node*".
        timeout: Changes nothing.

    Returns:
        The sorted names of each group that has some: "node", "forkserver" (the processes that fork workers) and
        "worker". `get_log(filename=...)` has their text.

    Raises:
        NodeMissingError: No node runs, and logs live no longer than the node.
        ValueError: There is no node of this id.
        NotImplementedError: The session is on a Ray cluster.
    """
    del address, node_ip, timeout
    found: dict[str, list[str]] = {}
    for name in sorted(fnmatch.filter(os.listdir(_folder(node_id)), glob_filter or "*")):
        if name.endswith(".log"):
            kind = name.partition(".")[0].partition("-")[0]
            found.setdefault(kind if kind in ("node", "forkserver") else "worker", []).append(name)
    return found


def get_log(
    address: str | None = None,
    node_id: str | None = None,
    node_ip: str | None = None,
    filename: str | None = None,
    actor_id: str | None = None,
    task_id: str | None = None,
    pid: int | None = None,
    follow: bool = False,
    tail: int = -1,
    timeout: float = TIMEOUT_S,
    suffix: str = "out",
    encoding: str | None = "utf-8",
    errors: str | None = "strict",
    submission_id: str | None = None,
    attempt_number: int = 0,
    _interval: float | None = None,
    filter_ansi_code: bool = False,
) -> Iterator[Any]:
    """Yield the text of a log, in parts. Follows Ray's `get_log`. Any thread. Blocks.

    Args:
        address: Changes nothing.
        node_id: The id of the node, which may be left out: there is one.
        node_ip: Changes nothing, as `node_id`.
        filename: A name that `list_logs` returns; or give one of the next three.
        actor_id: The id of an actor. `nbactors.util.state.actor_logs` finds actors by their names, too.
        task_id: The id of a call. The log is that of its worker, and has the lines of the worker's other calls.
        pid: The number of a worker's process.
        follow: Go on with text that is added until the process has ended; without end for the log of the node.
        tail: How many of the last lines; -1 for all.
        timeout: Seconds to wait for the node's answer.
        suffix: "out": a worker has one log, with what it writes to stdout and stderr.
        encoding: The encoding of the text; None to yield bytes.
        errors: What becomes of bytes that are no text, as in `bytes.decode`.
        submission_id: Refused.
        attempt_number: Changes nothing: the log is that of the last attempt.
        _interval: Seconds between two looks for added text.
        filter_ansi_code: Leave out the codes for colours and the like.

    Raises:
        NodeMissingError: No node runs, and logs live no longer than the node.
        ValueError: There is no such node, log, actor, call or process, or `suffix` is "err".
        NotImplementedError: `submission_id` is given, or the session is on a Ray cluster.
    """
    del address, node_ip, attempt_number
    if submission_id is not None:
        raise NotImplementedError(
            "get_log(submission_id=...): no jobs are submitted to a node; a script runs by itself"
        )
    if suffix != "out":
        raise ValueError(f'get_log(suffix={suffix!r}): a worker\'s stdout and stderr are "out", as one file has both')
    folder = _folder(node_id)
    worker_id = _worker(actor_id, task_id, pid, timeout) if filename is None else ""
    name = f"{worker_id[:_NAME_DIGITS]}.log" if filename is None else filename
    path = os.path.join(folder, name)
    if os.path.basename(name) != name or not name.endswith(".log") or not os.path.isfile(path):
        if worker_id:  # it has written nothing so far
            return
        raise ValueError(f"{name!r} is no log of the node: list_logs() tells which there are")
    parts = _parts(path, tail, follow, _INTERVAL_S if _interval is None else _interval, _is_alive(name, timeout))
    if encoding is None:
        yield from parts
        return
    yield from _texts(parts, encoding, errors or "strict", filter_ansi_code)


def _folder(node_id: str | None) -> str:
    """Return the directory of the running node's logs."""
    running = engine.running()
    if running is not None and running.name != "local":
        raise NotImplementedError("a session on a Ray cluster reads no files of its nodes: `ray logs` does")
    status = engine.observe().node_status(with_actors=False)
    if status is None:
        raise NodeMissingError("no node runs, and logs live no longer than the node")
    if node_id is not None and node_id != status["node_id"]:
        raise ValueError(f"there is no node {node_id!r} (any more): the one that runs is {status['node_id']}")
    return os.path.join(status["directory"], "logs")


def _worker(actor_id: str | None, task_id: str | None, pid: int | None, timeout: float) -> str:
    """Return the id of the worker that is meant."""
    observer = engine.observe()
    if actor_id is not None:
        rows = [row for row in observer.actors(timeout) if row["actor_id"] == actor_id]
        workers = [row for row in observer.processes(timeout) if rows and row["pid"] == rows[0]["pid"]]
        what = f"there is no actor {actor_id!r} with a process: list_actors() tells which there are"
    elif task_id is not None:
        workers = [row for row in observer.tasks(timeout).tasks if row["task_id"] == task_id and row["worker_id"]]
        what = f"there is no call {task_id!r} with a worker: list_tasks() tells which there are"
    elif pid is not None:
        workers = [row for row in observer.processes(timeout) if row["pid"] == pid and row["worker_type"] != "DRIVER"]
        what = f"there is no worker with pid {pid}: list_workers() tells which there are"
    else:
        raise ValueError("get_log() needs one of filename, actor_id, task_id or pid")
    if not workers:
        raise ValueError(what)
    return str(workers[-1]["worker_id"])


def _is_alive(name: str, timeout: float) -> Callable[[], bool]:
    """Return what tells whether the process of a log may still write."""

    def ask() -> bool:
        observer = engine.observe()
        if name.startswith(("node", "forkserver")):
            return observer.node_status(with_actors=False) is not None
        rows = observer.processes(timeout)
        return any(row["worker_id"].startswith(name.partition(".")[0]) and row["is_alive"] for row in rows)

    return ask


def _parts(path: str, tail: int, follow: bool, interval: float, is_alive: Callable[[], bool]) -> Iterator[bytes]:
    with open(path, "rb") as file:
        if tail >= 0:
            file.seek(log_end.find(file, tail)[0])
        while True:
            # Asked before the file is read, so that the last lines of a process that ends in between are read.
            is_last = not follow or not is_alive()
            while part := file.read(_CHUNK):
                yield part
            if is_last:
                return
            time.sleep(interval)


def _texts(parts: Iterator[bytes], encoding: str, errors: str, without_ansi: bool) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for part in parts:
        text = decoder.decode(part)
        yield _ANSI.sub("", text) if without_ansi else text
    if rest := decoder.decode(b"", final=True):
        yield rest
