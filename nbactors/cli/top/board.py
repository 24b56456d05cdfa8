"""`Board`: the actors and their open calls, gathered from listings and the event stream. Pure: no thread, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nbactors.util import call_ids
from nbactors.util.state import TaskChanges
from nbactors.views import actor_cells

_ENDED = ("FINISHED", "FAILED")

_WORDS = {
    "RUNNING_IN_RAY_GET": "in get",
    "RUNNING_IN_RAY_WAIT": "in wait",
    "RUNNING": "running",
    "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY": "queued",
    "SUBMITTED_TO_WORKER": "sent",
    "PENDING_ARGS_AVAIL": "waits for argument",
    "PENDING_NODE_ASSIGNMENT": "waits",
}


class ActorLine(NamedTuple):
    """What one row shows of an actor.

    Attributes:
        actor_id: The whole id.
        name: The name, or the beginning of the id.
        class_name: The class.
        does: What it does, such as "Counter.increment" or "idle".
        rank: Orders by state: those that run come first, then those that start, then the idle ones.
        since: Begin of what it does, in seconds since 1970; 0 if it does nothing.
        running: How many of its calls run.
        waiting: How many wait.
        pid: Its process, 0 for none.
        namespace: Its namespace.
        is_detached: Whether no session holds it.
        number: Its place in the order of creation.
    """

    actor_id: str
    name: str
    class_name: str
    does: str
    rank: int
    since: float
    running: int
    waiting: int
    pid: int
    namespace: str
    is_detached: bool
    number: int


class CallLine(NamedTuple):
    """What one row shows of a call: ids, its name, its state in words, and its begin in seconds since 1970."""

    task_id: str
    short_id: str
    name: str
    state: str
    since: float


class Board:
    """What is known of the actors that live. Used by one thread at a time.

    Attributes:
        tasks: How many calls of remote functions run or wait.
    """

    def __init__(self) -> None:
        self._actors: list[Mapping[str, Any]] = []
        self._calls: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._places: dict[str, str] = {}
        """The actor of each open call, "" for a call of a remote function."""

    @property
    def tasks(self) -> int:
        """How many calls of remote functions run or wait."""
        return len(self._calls.get("", ()))

    def list(self, actors: Sequence[Mapping[str, Any]]) -> None:
        """Take the rows of `list_actors` in the order of creation."""
        self._actors = [row for row in actors if row["state"] != "DEAD"]

    def apply(self, changes: TaskChanges) -> None:
        """Take changes in."""
        if changes.is_snapshot:
            self._calls.clear()
            self._places.clear()
        for task_id in changes.removed:
            self._forget(task_id)
        for row in changes.tasks:
            if row["state"] in _ENDED:
                self._forget(row["task_id"])
            else:
                place = row["actor_id"] or ""
                self._places[row["task_id"]] = place
                self._calls.setdefault(place, {})[row["task_id"]] = row

    def _forget(self, task_id: str) -> None:
        place = self._places.pop(task_id, None)
        if place is not None:
            calls = self._calls[place]
            del calls[task_id]
            if not calls:
                del self._calls[place]

    def lines(self) -> Sequence[ActorLine]:
        """Return a line for each living actor, in the order of creation."""
        return [self._line(number, row) for number, row in enumerate(self._actors)]

    def _line(self, number: int, row: Mapping[str, Any]) -> ActorLine:
        calls = self._calls.get(row["actor_id"], {}).values()
        methods = [call for call in calls if call_ids.is_call(call)]
        running = [call for call in methods if call["state"].startswith("RUNNING")]
        does, rank, since = "idle", 2, 0.0
        if row["state"] != "ALIVE":
            construction = next((call for call in calls if not call_ids.is_call(call)), None)
            awaited = construction["waits_for"] if construction is not None else None
            does, rank = f"waits for {awaited}" if awaited else _state(row), 1
            since = construction["times"][0] if construction is not None else 0.0
        elif running:
            first = min(running, key=lambda call: call["times"][2])
            does, rank, since = first["name"].partition(".")[2] or first["name"], 0, first["times"][2]
        return ActorLine(
            row["actor_id"],
            row["name"] or row["actor_id"][:12],
            row["class_name"],
            does,
            rank,
            since,
            len(running),
            len(methods) - len(running),
            row["pid"] or 0,
            row["ray_namespace"],
            row["is_detached"],
            number,
        )

    def calls(self, actor_id: str) -> Sequence[CallLine]:
        """Return the open calls of an actor: those that run, the oldest first, then those that wait, in order."""
        rows = [row for row in self._calls.get(actor_id, {}).values() if call_ids.is_call(row)]
        short = call_ids.short_ids(row["task_id"] for row in rows)
        found = [
            (not row["state"].startswith("RUNNING"), row["times"][2] or row["times"][0], row["task_id"], row)
            for row in rows
        ]
        return [
            CallLine(task_id, short[task_id], row["name"], _words(row), since)
            for _, since, task_id, row in sorted(found, key=lambda one: one[:3])
        ]


def _state(row: Mapping[str, Any]) -> str:
    """Return what an actor that is not ready does: without a process it waits for its resources."""
    if row["state"] == "PENDING_CREATION":
        return "starting" if row["pid"] else "waits for resources"
    return actor_cells.state(row)


def _words(row: Mapping[str, Any]) -> str:
    words = _WORDS.get(row["state"], row["state"].lower())
    awaited = row["state"] == "PENDING_NODE_ASSIGNMENT" and row["waits_for"]
    return f"{words} for {awaited}" if awaited else words
