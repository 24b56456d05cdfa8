"""`TaskTable`: the calls that a session knows of, as rows of `list_tasks(detail=True)`. No input or output."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from nbactors.cluster.common.call_numbers import task_id_of
from nbactors.engine.observer import TaskChanges

KEPT = 10_000
"""Ended calls that are kept, the latest ones."""

REMOVED_KEPT = 20_000
"""Ids of forgotten calls that are kept for readers. A reader that is further behind gets a snapshot."""

SILENT_S = 2.0
"""Seconds after the end of a call of this session in which its worker may still report it."""

_ENDED = ("FINISHED", "FAILED")
_CANCELLED = "TASK_CANCELLED"


class Pending(NamedTuple):
    """A call of this session that has not ended.

    Attributes:
        number: The number of the call, 16 bytes.
        name: Its name.
        actor_id: The actor that runs it, in hexadecimal digits; empty for a task.
        cell: The number of the calling cell, 0 for none.
    """

    number: bytes
    name: str
    actor_id: str
    cell: int


class TaskTable:
    """The calls of one session. Any thread. Times in seconds since 1970.

    Attributes:
        job_id: The id of the session's job.
    """

    def __init__(self, job_id: str = "") -> None:
        self.job_id = job_id
        self._changed = threading.Condition()
        self._rows: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._seq = 0
        self._ended: deque[str] = deque()
        self._removed: deque[tuple[int, str]] = deque()
        self._forgotten = 0
        self._own: set[str] = set()
        self._silent: dict[str, float] = {}
        self._unlisted: Counter[str] = Counter()
        self._totals: dict[str, tuple[int, Counter[str]]] = {}

    def take(self, batch: dict[str, Any]) -> None:
        """Take what a worker has reported, see `nbactors.cluster.host.events`."""
        with self._changed:
            worker = {
                "actor_id": batch["actor_id"] or None,
                "node_id": batch["node_id"],
                "worker_id": batch["worker_id"],
                "worker_pid": batch["pid"],
            }
            for number, name, kind, cell, started, ended, error_type, error in batch["calls"]:
                task_id = task_id_of(number, kind == "ACTOR_CREATION_TASK")
                state = "RUNNING" if not ended else "FAILED" if error_type else "FINISHED"
                facts = {"name": name, "type": kind, "cell": cell, "state": state, **worker}
                self._change(task_id, facts, started, ended, error_type, error)
            self._unlisted.update(batch["unlisted"])
            if batch["actor_id"] and batch["totals"]:
                self._seq += 1
                before = self._totals.get(batch["actor_id"], (0, Counter()))[1]
                self._totals[batch["actor_id"]] = (self._seq, before + Counter(batch["totals"]))
            self._changed.notify_all()

    def pending(self, calls: Iterable[Pending], now: float) -> None:
        """Take the calls of this session that have not ended, which nobody else reports before they begin."""
        with self._changed:
            before = self._seq
            found = set()
            for call in calls:
                task_id = task_id_of(call.number)
                found.add(task_id)
                self._silent.pop(task_id, None)
                if task_id not in self._rows and task_id not in self._own:
                    self._own.add(task_id)
                    state = "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY" if call.actor_id else "PENDING_NODE_ASSIGNMENT"
                    kind = "ACTOR_TASK" if call.actor_id else "NORMAL_TASK"
                    facts = {"name": call.name, "type": kind, "cell": call.cell, "state": state}
                    self._change(task_id, {**facts, "actor_id": call.actor_id or None}, 0.0, 0.0, "", "", now)
            for task_id in self._own - found:
                row = self._rows.get(task_id)
                if row is None or row["state"] in _ENDED:
                    self._own.discard(task_id)
                    self._silent.pop(task_id, None)
                elif now - self._silent.setdefault(task_id, now) >= SILENT_S:
                    kind = "WORKER_DIED" if row["times"][2] else _CANCELLED
                    self._lost(row, now, kind, "The call has ended, and its worker has not reported how.")
            if self._seq != before:
                self._changed.notify_all()

    def dead(self, actor_ids: Collection[str], now: float) -> None:
        """Note that actors are dead: their calls have ended."""
        with self._changed:
            for row in [row for row in self._rows.values() if row["actor_id"] in actor_ids]:
                if row["state"] not in _ENDED:
                    self._lost(row, now, "ACTOR_DIED", "The actor has died.")

    def wait(self, after: int, timeout: float) -> bool:
        """Return whether there is a change after the change `after`; wait for one for `timeout` seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: self._seq > after, timeout)

    def changes(self, after: int) -> TaskChanges:
        """Return the changes after the change `after`; all for 0, and for a reader too far behind."""
        with self._changed:
            is_snapshot = not after or after < self._forgotten
            rows = []
            for row in reversed(self._rows.values()):
                if not is_snapshot and row["seq"] <= after:
                    break
                rows.append(row)
            removed = [] if is_snapshot else [task_id for seq, task_id in self._removed if seq > after]
            totals = [
                {"actor_id": actor_id, **{name: counts[name] for name in ("finished", "failed", "cancelled")}}
                for actor_id, (seq, counts) in self._totals.items()
                if is_snapshot or seq > after
            ]
            return TaskChanges(self._seq, is_snapshot, rows[::-1], removed, [], [], dict(self._unlisted), totals)

    def row(self, task_id: str) -> dict[str, Any] | None:
        """Return the row of a call, None if it is not known."""
        with self._changed:
            return self._rows.get(task_id)

    def _lost(self, row: dict[str, Any], now: float, error_type: str, error: str) -> None:
        facts = {name: row[name] for name in ("name", "type", "cell", "actor_id", "node_id", "worker_id", "worker_pid")}
        self._change(row["task_id"], {**facts, "state": "FAILED"}, row["times"][2], now, error_type, error)

    def _change(
        self,
        task_id: str,
        facts: dict[str, Any],
        started: float,
        ended: float,
        error_type: str,
        error: str,
        submitted: float = 0.0,
    ) -> None:
        before = self._rows.pop(task_id, None)
        if before is not None:
            submitted = before["times"][0]
        submitted = submitted or started
        self._seq += 1
        self._rows[task_id] = {
            "task_id": task_id,
            "attempt_number": 0,
            "job_id": self.job_id,
            "func_or_class_name": facts["name"],
            "parent_task_id": "",
            "node_id": "",
            "worker_id": None,
            "worker_pid": None,
            "error_type": error_type or None,
            "language": "PYTHON",
            "creation_time_ms": _ms(submitted),
            "start_time_ms": _ms(started),
            "end_time_ms": _ms(ended),
            "error_message": error or None,
            "waits_for": None,
            "cell_id": "",
            "times": [submitted, started, started, ended],
            "waits": [],
            **facts,
            "seq": self._seq,
        }
        if ended and (before is None or before["state"] not in _ENDED):
            self._ended.append(task_id)
            if len(self._ended) > KEPT:
                self._forget(self._ended.popleft())

    def _forget(self, task_id: str) -> None:
        if self._rows.pop(task_id, None) is not None:
            self._removed.append((self._seq, task_id))
            if len(self._removed) > REMOVED_KEPT:
                self._forgotten = self._removed.popleft()[0]


def _ms(at: float) -> int | None:
    return int(at * 1000) if at else None
