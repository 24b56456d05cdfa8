"""`nbactors.timeline`: what ran when, as a trace for Perfetto and Chrome.

The format is the JSON array of Chrome's "Trace Event Format". Each process has a track for each call that it runs at
the same time. A call is a slice; its waits in `get` and `wait` are slices within it. The time from a call's submission
to its begin is an asynchronous slice, and so are spills and restores of the object store. An arrow leads from the
caller's slice to the call's slice. Changes of actors' states, such as restarts, are instants.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nbactors import engine
from nbactors.util.files import text_file

if TYPE_CHECKING:
    from nbactors.engine.observer import TaskChanges

TIMEOUT_S = 30.0

_SUBMITS, _WAITS, _FIRST_LANE = 0, 1, 2
"""The tracks of a process: the submissions of a driver, its waits, and then one for each call at the same time."""

Event = dict[str, Any]


def timeline(filename: str | None = None) -> list[Event] | None:
    """Return what the calls of this machine did as trace events, or write them to a file. Needs no session.

    Open the file on https://ui.perfetto.dev or on chrome://tracing. The node keeps the latest calls, as
    `nbactors.util.state.list_tasks` tells. Blocks. Any thread. Source: Ray's `timeline`.

    Args:
        filename: The path of the file. Without it, the events are returned.

    Returns:
        A list of dicts; times in microseconds since 1970. None if they were written to a file.

    Raises:
        OSError: The file cannot be written, or the node does not answer.

    Example:
        nbactors.timeline("trace.json")
    """
    observer = engine.observe()
    events = trace(observer.tasks(TIMEOUT_S), observer.processes(TIMEOUT_S), time.time())
    if filename is None:
        return events
    text_file.write(filename, json.dumps(events))
    return None


def timeline_of(task_ids: Collection[str], begin: float, end: float) -> tuple[list[Event], int]:
    """Return the trace events of some calls, and how many of them the node still knows. Blocks. Any thread.

    Args:
        task_ids: The calls.
        begin: The begin of the time from which waits are taken, in seconds since 1970.
        end: Its end, which is also the end of what still runs.

    Raises:
        OSError: The node does not answer.
    """
    observer = engine.observe()
    changes = observer.tasks(TIMEOUT_S)
    tasks = [row for row in changes.tasks if row["task_id"] in task_ids]
    members = {member for row in tasks for member in (row["worker_id"], _caller(row))}
    actors = {row["actor_id"] for row in tasks}
    of_calls = changes._replace(
        tasks=tasks,
        waits=[
            wait
            for wait in changes.waits
            if wait["worker_id"] in members and wait["start"] <= end and (wait["end"] or end) >= begin
        ],
        actors=[moment for moment in changes.actors if moment["actor_id"] in actors and moment["at"] <= end],
    )
    processes = [row for row in observer.processes(TIMEOUT_S) if row["worker_id"] in members]
    return trace(of_calls, processes, end), len(tasks)


def trace(changes: TaskChanges, processes: Sequence[dict[str, Any]], now: float) -> list[Event]:
    """Return the trace events of calls.

    Args:
        changes: All calls.
        processes: The sessions and workers, as rows of `list_workers(detail=True)`.
        now: The end of what still runs, in seconds since 1970.
    """
    pids = {row["worker_id"]: row["pid"] for row in processes}
    pids.update({row["worker_id"]: row["worker_pid"] for row in changes.tasks if row["worker_id"]})
    pids.update({row["worker_id"]: row["pid"] for row in changes.waits})
    drivers = {row["job_id"]: row["pid"] for row in processes if row["worker_type"] == "DRIVER"}
    begun = sorted((row for row in changes.tasks if row["times"][2]), key=lambda row: row["times"][2])
    lanes = _lanes(begun, now)
    events: list[Event] = []
    for row in begun:
        events += _slices(row, lanes, now)
    for row in changes.tasks:
        events += _queue(row, pids, now)
        events += _arrow(row, lanes, pids.get(_caller(row)) or _creator(row, drivers))
    for wait in changes.waits:
        end = wait["end"] or now
        if wait["kind"].startswith("ray."):
            events.append(_slice(wait["kind"], "wait", wait["pid"], _WAITS, wait["start"], end, {}))
        else:
            events += _move(wait, end)
    events += _instants(changes)
    events.sort(key=lambda event: event["ts"])
    return [*_names(changes, processes, pids, lanes), *events]


def _lanes(rows: Sequence[dict[str, Any]], now: float) -> dict[str, tuple[int, int]]:
    """Return the process and the track of each call, so that the calls on one track do not overlap."""
    ends: dict[int, list[float]] = {}
    found = {}
    for row in rows:
        _, _, started, ended = row["times"]
        busy = ends.setdefault(row["worker_pid"], [])
        lane = next((lane for lane, end in enumerate(busy) if end <= started), len(busy))
        busy[lane : lane + 1] = [ended or now]
        found[row["task_id"]] = (row["worker_pid"], _FIRST_LANE + lane)
    return found


def _slice(name: str, kind: str, pid: int, tid: int, start: float, end: float, args: dict[str, Any]) -> Event:
    begin = _us(start)
    return {
        "ph": "X",
        "name": name,
        "cat": kind,
        "pid": pid,
        "tid": tid,
        "ts": begin,
        "dur": max(_us(end) - begin, 0),
        "args": args,
    }


def _us(moment: float) -> int:
    return round(moment * 1e6)


def _slices(row: dict[str, Any], lanes: dict[str, tuple[int, int]], now: float) -> Iterator[Event]:
    """Return the slice of a call, and those of its waits."""
    pid, tid = lanes[row["task_id"]]
    _, _, start, end = row["times"]
    end = end or now
    args = {key: row[key] for key in ("task_id", "actor_id", "state", "attempt_number", "error_type", "cell")}
    yield _slice(row["name"], "task", pid, tid, start, end, {key: arg for key, arg in args.items() if arg})
    for kind, begin, stop in row["waits"]:
        if start <= begin <= end:
            yield _slice(kind, "wait", pid, tid, begin, min(stop or now, end), {})


def _caller(row: dict[str, Any]) -> str:
    """Return the id of the process that has made a call."""
    task_id: str = row["task_id"]
    return task_id[:32]


def _queue(row: dict[str, Any], pids: dict[str, int], now: float) -> Iterator[Event]:
    """Return the begin and the end of the time in which a call waited."""
    submitted, _, started, ended = row["times"]
    pid = row["worker_pid"] or pids.get(_caller(row))
    if not submitted or not pid:
        return
    known = {"cat": "queue", "name": f"{row['name']} waits", "id": row["task_id"], "pid": pid, "tid": _SUBMITS}
    yield {
        **known,
        "ph": "b",
        "ts": _us(submitted),
        "args": {"waits_for": row["waits_for"]} if row["waits_for"] else {},
    }
    yield {**known, "ph": "e", "ts": _us(max(started or ended or now, submitted)), "args": {}}


def _move(wait: dict[str, Any], end: float) -> Iterator[Event]:
    """Return the begin and the end of a move of values. Several threads may move values at the same time."""
    name = wait["kind"]
    number = f"{wait['pid']} {wait['start']} {name}"
    known = {"cat": "store", "name": name, "id": number, "pid": wait["pid"], "tid": _SUBMITS, "args": {}}
    yield {**known, "ph": "b", "ts": _us(wait["start"])}
    yield {**known, "ph": "e", "ts": _us(end)}


def _creator(row: dict[str, Any], drivers: dict[str, int]) -> int | None:
    """Return the driver's process for the construction of an actor, whose id does not tell its caller."""
    return drivers.get(row["job_id"]) if row["type"] == "ACTOR_CREATION_TASK" else None


def _arrow(row: dict[str, Any], lanes: dict[str, tuple[int, int]], pid: int | None) -> Iterator[Event]:
    """Return the arrow from the caller of a call that has begun. `pid`: the caller's process, None if it has ended."""
    submitted, _, started, _ = row["times"]
    target = lanes.get(row["task_id"])
    if target is None or not submitted:
        return
    source = lanes.get(row["parent_task_id"])
    if source is None:
        if pid is None:
            return
        source = (pid, _SUBMITS)
        yield _slice(f"submit {row['name']}", "submit", *source, submitted, submitted, {})
    known = {"cat": "call", "name": "call", "id": row["task_id"], "args": {}}
    yield {**known, "ph": "s", "pid": source[0], "tid": source[1], "ts": _us(submitted)}
    yield {**known, "ph": "f", "bp": "e", "pid": target[0], "tid": target[1], "ts": _us(max(started, submitted))}


def _instants(changes: TaskChanges) -> Iterator[Event]:
    """Return the changes of actors' states, each at the process that the actor has or has had."""
    latest: dict[str, int] = {}
    for moment in changes.actors:
        pid = latest[moment["actor_id"]] = moment["pid"] or latest.get(moment["actor_id"], 0)
        if pid:
            args = {"actor_id": moment["actor_id"], "name": moment["name"]}
            name = f"{moment['class_name']} {moment['state']}"
            yield {
                "ph": "i",
                "s": "p",
                "name": name,
                "cat": "actor",
                "pid": pid,
                "tid": _SUBMITS,
                "ts": _us(moment["at"]),
                "args": args,
            }


def _names(
    changes: TaskChanges,
    processes: Sequence[dict[str, Any]],
    pids: dict[str, int],
    lanes: dict[str, tuple[int, int]],
) -> list[Event]:
    """Return the names of the processes and their tracks."""
    labels = dict.fromkeys(pids.values(), "worker")
    labels.update({moment["pid"]: moment["name"] or moment["class_name"] for moment in changes.actors if moment["pid"]})
    labels.update({row["pid"]: f"session {row['label']}" for row in processes if row["worker_type"] == "DRIVER"})
    tracks = {(pid, tid): f"calls {tid - _FIRST_LANE + 1}" for pid, tid in lanes.values()}
    tracks.update(
        {(pid, _WAITS): "waits" for pid in {row["pid"] for row in changes.waits if row["kind"].startswith("ray.")}}
    )
    made = [("process_name", pid, 0, f"{label} (pid {pid})") for pid, label in labels.items()]
    made += [("thread_name", pid, tid, label) for (pid, tid), label in tracks.items()]
    return [
        {"ph": "M", "name": name, "pid": pid, "tid": tid, "ts": 0, "args": {"name": label}}
        for name, pid, tid, label in made
    ]
