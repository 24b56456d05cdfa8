"""`TraceSpans`: the calls of one cell and of their callees, from the event stream. Pure: no thread, no clock."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from nbactors.jupyter.panels.activity import is_running
from nbactors.util.state import TaskChanges

MOST_SPANS = 2_000
"""The most calls that are drawn, those that were told first."""

MOST_CALLS = 20_000
"""The most calls that the table counts. Of more, only the number is known."""

SETTLE_S = 1.5
"""Seconds after the last news until a trace without live calls is over: processes report twice a second, the node
gathers for a tenth of a second, and the feed looks four times a second."""

LOST_S = 5.0
"""Seconds after a snapshot until a call that ran before, and is not in it, counts as lost: the node has crashed."""

FINAL = frozenset({"done", "failed", "cancelled", "ended"})


@dataclass(slots=True)
class Call:
    """One call. Times in seconds since 1970, 0 for "not yet"."""

    number: int
    task_id: str
    parent: str
    name: str
    actor_id: str
    mark: str = "queued"
    submitted: float = 0.0
    started: float = 0.0
    ended: float = 0.0


class TraceSpans:
    """The calls of one trace. Used by one thread at a time.

    Args:
        cell: The number of the cell whose calls are traced; 0 in a terminal, where all calls of the session count that
            are made before `cell_ended`.
        began: When the trace began, in seconds since 1970.
        unlisted: How many calls of each function had ended without a row before; None if the first changes tell it.

    Attributes:
        jobs: The ids of the sessions whose cells have this number.
        cell_ended: When the cell ended, 0 before.
        calls: By the call's id, in the order in which they were told.
    """

    def __init__(self, cell: int, began: float, unlisted: dict[str, int] | None = None) -> None:
        self._cell = cell
        self.began = began
        self.cell_ended = 0.0
        self.jobs: set[str] = set()
        self.calls: dict[str, Call] = {}
        self._live: set[str] = set()
        self._lost: set[str] = set()
        """Live calls that are missing in the snapshot of `_lost_since`."""
        self._lost_since = 0.0
        self._beyond = 0
        self._unlisted_before = unlisted
        self._unlisted_now: dict[str, int] = unlisted or {}
        self._news_at = began

    def apply(self, changes: TaskChanges, now: float) -> bool:
        """Take changes in. Returns whether a call of the trace has changed. What the node has forgotten stays."""
        if self._unlisted_before is None:
            self._unlisted_before = changes.unlisted
        self._unlisted_now = changes.unlisted
        count = 0
        # A caller ends after its callees, so it may be told later: each round finds the callees of the last one.
        rest = changes.tasks
        while ours := [row for row in rest if self._is_ours(row)]:
            for row in ours:
                self._take(row)
            count += len(ours)
            rest = [row for row in rest if row["task_id"] not in self.calls]
            if len(self.calls) >= MOST_CALLS:
                break
        if changes.is_snapshot:
            told = {row["task_id"] for row in changes.tasks}
            self._lost, self._lost_since = self._live - told, now
        if count:
            self._news_at = now
        return count > 0

    def _is_ours(self, row: dict[str, Any]) -> bool:
        if row["task_id"] in self.calls or row["parent_task_id"] in self.calls:
            return True
        if row["job_id"] not in self.jobs or _made(row) < self.began:
            return False
        if self._cell:
            return bool(row["cell"] == self._cell)
        return not self.cell_ended or _made(row) <= self.cell_ended

    def _take(self, row: dict[str, Any]) -> None:
        task_id = row["task_id"]
        mark = _mark(row)
        call = self.calls.get(task_id)
        if call is None:
            if len(self.calls) >= MOST_CALLS:
                self._beyond += mark in FINAL
                return
            call = Call(len(self.calls) + 1, task_id, row["parent_task_id"], row["name"], row["actor_id"] or "")
            self.calls[task_id] = call
        call.mark = mark
        call.submitted, call.started, call.ended = _made(row), row["times"][2], row["times"][3]
        self._lost.discard(task_id)
        if mark in FINAL:
            self._live.discard(task_id)
        else:
            self._live.add(task_id)

    def is_over(self, now: float) -> bool:
        """Return whether the cell and all calls have ended, and no more news is to come. Gives lost calls up."""
        if self._lost and now - self._lost_since >= LOST_S:
            for task_id in self._lost:
                self.calls[task_id].mark, self.calls[task_id].ended = "ended", self._lost_since
            self._live -= self._lost
            self._lost = set()
        latest = max(self._news_at, self.cell_ended)
        settle = SETTLE_S if self.jobs else 0.0  # without a session nobody reports
        return bool(self.cell_ended) and not self._live and now - latest >= settle

    @property
    def ended(self) -> float:
        """When the cell and all calls that are known had ended; 0 if some go on."""
        if self._live or not self.cell_ended:
            return 0.0
        return max([self.cell_ended, *(call.ended for call in self.calls.values())])

    @property
    def live(self) -> int:
        """The number of calls that wait or run."""
        return len(self._live)

    @property
    def dropped(self) -> int:
        """The number of calls that are not drawn, since there are too many."""
        return max(0, len(self.calls) - MOST_SPANS) + self._beyond

    @property
    def unlisted(self) -> int:
        """The number of short calls of the trace's functions that were counted only, also for other cells."""
        names = {call.name for call in self.calls.values()}
        before = self._unlisted_before or {}
        return sum(max(0, self._unlisted_now.get(name, 0) - before.get(name, 0)) for name in names)

    def drawn(self) -> list[Call]:
        """Return the calls to draw."""
        return list(self.calls.values())[:MOST_SPANS]

    def functions(self) -> list[dict[str, Any]]:
        """Return a row for each function, those that ran longest in total at the beginning. Times in seconds.

        A row has `name`, `count`, `live`, `failed` (cancelled ones included), `total`, and median and maximum as
        `queue` and `run`, None if no call has begun or ended.
        """
        groups: dict[str, list[Call]] = {}
        for call in self.calls.values():
            groups.setdefault(call.name, []).append(call)
        rows = [_function(name, calls) for name, calls in groups.items()]
        return sorted(rows, key=lambda row: -row["total"])


def _function(name: str, calls: list[Call]) -> dict[str, Any]:
    queue = [max(0.0, call.started - call.submitted) for call in calls if call.started]
    run = [max(0.0, call.ended - call.started) for call in calls if call.started and call.ended]
    return {
        "name": name,
        "count": len(calls),
        "live": sum(call.mark not in FINAL for call in calls),
        "failed": sum(call.mark in FINAL and call.mark != "done" for call in calls),
        "total": _us(sum(run)),
        "queue": [_us(statistics.median(queue)), _us(max(queue))] if queue else None,
        "run": [_us(statistics.median(run)), _us(max(run))] if run else None,
    }


def _us(seconds: float) -> float:
    return round(seconds, 6)


def _made(row: dict[str, Any]) -> float:
    """Return when a call was submitted, or the first time that is known of it."""
    return float(next((moment for moment in row["times"] if moment), 0.0))


def _mark(row: dict[str, Any]) -> str:
    if row["state"] == "FINISHED":
        return "done"
    if row["state"] == "FAILED":
        return "cancelled" if row["error_type"] == "TASK_CANCELLED" else "failed"
    if is_running(row):
        return "busy"
    return "waiting" if row["waits_for"] else "queued"
