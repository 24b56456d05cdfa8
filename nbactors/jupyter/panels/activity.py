"""`Activity`: what each actor does and has done, gathered from the event stream. Pure: no thread, no clock."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nbactors.exceptions.source_lines import raised
from nbactors.util.state import TaskChanges

_ENDED = frozenset({"FINISHED", "FAILED"})

KINDS = 50
"""Kinds of errors that are counted."""


class ActorActivity:
    """The calls of one actor.

    Attributes:
        live: The calls that wait or run, by id, as rows of `nbactors.util.state.list_tasks(detail=True)`.
        creation: The row of its construction, None if it is not known.
        done, failed, cancelled: How many calls have ended, as the node counts. The construction is not counted.
        error: The row of the call that has failed last.
        version: Changes with each change of the others.
    """

    def __init__(self) -> None:
        self.live: dict[str, dict[str, Any]] = {}
        self.creation: dict[str, Any] | None = None
        self.done = 0
        self.failed = 0
        self.cancelled = 0
        self.error: dict[str, Any] | None = None
        self.version = 0

    @property
    def running(self) -> list[dict[str, Any]]:
        """The calls that run, those that have begun first at the beginning."""
        return sorted(
            (row for row in self.live.values() if is_running(row)), key=lambda row: (row["times"][2], row["task_id"])
        )

    @property
    def queued(self) -> list[dict[str, Any]]:
        """The calls that wait, in the order in which they were made."""
        return sorted(
            (row for row in self.live.values() if not is_running(row)),
            key=lambda row: (row["times"][0], row["task_id"]),
        )


_NONE = ActorActivity()


class Activity:
    """The calls of all actors, and the tasks that wait or run. Used by one thread.

    Attributes:
        errors: How many calls of actors have failed, by the line that names the exception.
    """

    def __init__(self) -> None:
        self._actors: dict[str, ActorActivity] = {}
        self._places: dict[str, str] = {}
        """The actor of each call that is known, by the call's id."""
        self._tasks: dict[str, dict[str, Any]] = {}
        """The tasks that wait or run, by id."""
        self._failed: set[str] = set()
        """The ids of the calls that have failed, and whose errors are counted."""
        self.errors: Counter[str] = Counter()
        self._versions = 0

    def live(self, task_id: str) -> dict[str, Any] | None:
        """Return the row of a call that waits or runs, of an actor's or a task; None if it is not known."""
        return self._tasks.get(task_id) or self.of(self._places.get(task_id, "")).live.get(task_id)

    def tasks(self) -> list[dict[str, Any]]:
        """Return the rows of the tasks that wait or run, those that have changed last at the end."""
        return list(self._tasks.values())

    def of(self, actor_id: str) -> ActorActivity:
        """Return the activity of an actor, an empty one if nothing is known of it. The caller changes nothing in it."""
        return self._actors.get(actor_id, _NONE)

    def apply(self, changes: TaskChanges) -> set[str]:
        """Take changes in. Returns the ids of the actors whose calls have changed."""
        if changes.is_snapshot:
            self._actors.clear()
            self._places.clear()
            self._tasks.clear()
            self._failed.clear()
            self.errors.clear()
        for row in changes.tasks:
            if not row["actor_id"]:
                self._tasks.pop(row["task_id"], None)
                if row["state"] not in _ENDED:
                    self._tasks[row["task_id"]] = row
        changed = {self._take(row) for row in changes.tasks if row["actor_id"]}
        for totals in changes.totals:
            actor = self._actors.setdefault(totals["actor_id"], ActorActivity())
            actor.done, actor.failed, actor.cancelled = totals["finished"], totals["failed"], totals["cancelled"]
            changed.add(totals["actor_id"])
        for task_id in changes.removed:
            actor_id = self._places.pop(task_id, "")
            self._failed.discard(task_id)
            self._tasks.pop(task_id, None)
            known = self._actors.get(actor_id)
            if known is not None and known.live.pop(task_id, None) is not None:
                changed.add(actor_id)
        for actor_id in changed:
            self._versions += 1
            self._actors[actor_id].version = self._versions
        return changed

    def _take(self, row: dict[str, Any]) -> str:
        actor_id: str = row["actor_id"]
        actor = self._actors.setdefault(actor_id, ActorActivity())
        task_id = row["task_id"]
        self._places[task_id] = actor_id
        if row["type"] == "ACTOR_CREATION_TASK":
            actor.creation = row
            return actor_id
        if row["state"] not in _ENDED:
            actor.live[task_id] = row
            self._failed.discard(task_id)  # it is tried again
            return actor_id
        actor.live.pop(task_id, None)
        if row["state"] == "FAILED" and row["error_type"] != "TASK_CANCELLED" and task_id not in self._failed:
            self._failed.add(task_id)
            actor.error = row
            kind = error_line(row)
            if kind in self.errors or len(self.errors) < KINDS:
                self.errors[kind] += 1
        return actor_id


def is_running(row: dict[str, Any]) -> bool:
    """Return whether a call runs, or waits in the middle of its run."""
    return str(row["state"]).startswith("RUNNING")


def error_line(row: dict[str, Any]) -> str:
    """Return the line that names the exception of a failed call, at most 200 characters."""
    text = (row["error_message"] or "").strip()
    named = raised(text).strip()[:200] if '  File "' in text else first_line(text)
    return named or row["error_type"] or "an error"


def first_line(text: str | None) -> str:
    """Return the last line of an error's text that is not empty, which names the exception; at most 200 characters."""
    lines = [line for line in (text or "").strip().split("\n") if line.strip()]
    return lines[-1].strip()[:200] if lines else ""
