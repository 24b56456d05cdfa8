"""`TaskTable`: the calls that a session knows of, as rows of `list_tasks(detail=True)`. No input or output."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from nbactors.cluster.common.call_report import ID_SIZE, KNOWN, CallReport
from nbactors.cluster.observing.submissions import Submissions
from nbactors.engine.observer import TaskChanges

KEPT = 10_000
"""Ended calls that are kept, the latest ones."""

REMOVED_KEPT = 20_000
"""Ids of forgotten calls that are kept for readers. A reader that is further behind gets a snapshot."""

MOMENTS_KEPT = 10_000
"""Changes of actors' states that are kept, the latest ones."""

ACTORS_KEPT = 10_000
"""Actors whose ended calls are counted, those that were called last."""

FUNCTIONS_KEPT = 1000
"""Functions whose calls without a row are counted."""

SILENT_S = 2.0
"""Seconds after the end of a call of this session in which its worker may still report it."""

_ENDED = ("FINISHED", "FAILED")
_FACTS = (
    "name",
    "func_or_class_name",
    "type",
    "cell",
    "parent_task_id",
    "actor_id",
    "node_id",
    "worker_id",
    "worker_pid",
)
"""The columns of a row that its end does not change."""


class Pending(NamedTuple):
    """A call of this session that has not ended.

    Attributes:
        number: Ray's id of the call, 24 bytes.
        name: Its name.
        actor_id: The actor that runs it, in hexadecimal digits; empty for a task.
        cell: The number of the calling cell, 0 for none.
        submitted: When it was submitted.
    """

    number: bytes
    name: str
    actor_id: str
    cell: int
    submitted: float


class TaskTable:
    """The calls of one session. Any thread. Times in seconds since 1970.

    Attributes:
        job_id: The id of the session's job.
        submissions: When calls were submitted whose workers do not know it.
    """

    def __init__(self, job_id: str = "") -> None:
        self.job_id = job_id
        self.submissions = Submissions()
        self._orphans: OrderedDict[bytes, str] = OrderedDict()
        self._changed = threading.Condition()
        self._rows: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._seq = 0
        self._ended: deque[str] = deque()
        self._removed: deque[tuple[int, str]] = deque()
        self._forgotten = 0
        self._own: set[str] = set()
        self._silent: dict[str, float] = {}
        self._live: set[str] = set()
        self._unlisted: Counter[str] = Counter()
        self._totals: OrderedDict[str, tuple[int, Counter[str]]] = OrderedDict()
        self._actors: dict[str, tuple[str, str | None]] = {}
        self._moments: deque[tuple[int, dict[str, Any]]] = deque(maxlen=MOMENTS_KEPT)

    def take(self, batch: dict[str, Any]) -> None:
        """Take what a worker has reported, see `nbactors.cluster.host.events`."""
        with self._changed:
            worker = {
                "actor_id": batch["actor_id"] or None,
                "node_id": batch["node_id"],
                "worker_id": batch["worker_id"],
                "worker_pid": batch["pid"],
            }
            for parent, ids, times in batch.get("submitted", ()):
                for key in self.submissions.take(parent, ids, times):
                    if key in self._orphans:
                        self._adopt(self._orphans.pop(key), *(self.submissions.of(key) or (0.0, b"")))
            for told in batch["calls"]:
                self._take(CallReport(*told), worker)
            for function, count in batch["unlisted"].items():
                if function in self._unlisted or len(self._unlisted) < FUNCTIONS_KEPT:
                    self._unlisted[function] += count
            if batch["actor_id"] and batch["totals"]:
                self._count(batch["actor_id"], batch["totals"])
            self._changed.notify_all()

    def _take(self, told: CallReport, worker: dict[str, Any]) -> None:
        submitted, parent = self._submission(told)
        facts = {
            "name": told.name,
            "func_or_class_name": told.function,
            "type": told.kind,
            "cell": told.cell,
            "parent_task_id": parent.hex(),
            "state": "RUNNING" if not told.ended else "FAILED" if told.error_type else "FINISHED",
            **worker,
        }
        self._change(told.number.hex(), facts, submitted, told.started, told.ended, told.error_type, told.error)

    def _submission(self, told: CallReport) -> tuple[float, bytes]:
        """Return when a call was submitted, and Ray's id of the call that has made it; empty for none."""
        if told.submitted != KNOWN:
            return told.submitted, told.parent
        known = self.submissions.of(told.number)
        if known is not None:
            return known
        task_id = told.number.hex()
        row = self._rows.get(task_id)
        if row is not None:
            return row["times"][0], bytes.fromhex(row["parent_task_id"])
        self._orphans[told.number[:ID_SIZE]] = task_id  # the report of the process that has submitted it is on its way
        if len(self._orphans) > KEPT:
            self._orphans.popitem(last=False)
        return told.started, b""

    def _adopt(self, task_id: str, submitted: float, parent: bytes) -> None:
        """Put into a row what the process reports later that has submitted the call."""
        row = self._rows.get(task_id)
        if row is not None:
            facts = {name: row[name] for name in (*_FACTS, "state")}
            _, _, started, ended = row["times"]
            self._change(
                task_id,
                {**facts, "parent_task_id": parent.hex()},
                submitted,
                started,
                ended,
                row["error_type"] or "",
                row["error_message"] or "",
            )

    def _count(self, actor_id: str, totals: dict[str, int]) -> None:
        self._seq += 1
        before = self._totals.pop(actor_id, (0, Counter()))[1]
        self._totals[actor_id] = (self._seq, before + Counter(totals))
        if len(self._totals) > ACTORS_KEPT:
            self._totals.popitem(last=False)

    def pending(self, calls: Iterable[Pending], now: float) -> None:
        """Take the calls of this session that have not ended, which nobody else reports before they begin."""
        with self._changed:
            before = self._seq
            found = set()
            for call in calls:
                task_id = call.number.hex()
                found.add(task_id)
                self._silent.pop(task_id, None)
                if task_id not in self._rows and task_id not in self._own:
                    self._own.add(task_id)
                    self._wait_in_row(task_id, call)
            for task_id in self._own - found:
                row = self._rows.get(task_id)
                if row is None or row["state"] in _ENDED:
                    self._own.discard(task_id)
                    self._silent.pop(task_id, None)
                elif now - self._silent.setdefault(task_id, now) < SILENT_S:
                    pass
                elif row["times"][2]:
                    self._lose(row, now, "WORKER_DIED", "The call has ended, and its worker has not reported how.")
                else:  # its worker has only counted it, or it has never begun
                    self._seq += 1
                    self._forget(task_id)
            if self._seq != before:
                self._changed.notify_all()

    def _wait_in_row(self, task_id: str, call: Pending) -> None:
        facts = {
            "name": call.name,
            "func_or_class_name": call.name,
            "type": "ACTOR_TASK" if call.actor_id else "NORMAL_TASK",
            "cell": call.cell,
            "state": "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY" if call.actor_id else "PENDING_NODE_ASSIGNMENT",
            "actor_id": call.actor_id or None,
        }
        self._change(task_id, facts, call.submitted, 0.0, 0.0, "", "")

    def actors(self, rows: Collection[dict[str, Any]], now: float) -> None:
        """Take all actors, as `cluster.observing.actor_rows` lists them: the calls of dead ones have ended, too."""
        with self._changed:
            before = self._seq
            seen = {row["actor_id"]: (row["state"], row["worker_id"]) for row in rows}
            for row in rows:
                if self._actors.get(row["actor_id"]) != seen[row["actor_id"]]:
                    self._seq += 1
                    self._moments.append((self._seq, _moment(row)))
            self._actors = seen
            for row in [self._rows[task_id] for task_id in self._live]:
                state, worker_id = seen.get(row["actor_id"], ("", None))
                if state == "DEAD":
                    self._lose(row, now, "ACTOR_DIED", "The actor has died.")
                elif worker_id and row["worker_id"] and worker_id != row["worker_id"]:
                    self._lose(row, now, "WORKER_DIED", "The actor's process has died.")
            if self._seq != before:
                self._changed.notify_all()

    def ended_workers(self, has_ended: Callable[[str], bool], now: float) -> None:
        """Note that tasks have ended whose workers have died.

        Args:
            has_ended: Returns whether a worker has ended, by its id.
            now: The time.
        """
        with self._changed:
            found = {self._rows[task_id]["worker_id"] for task_id in self._live if not self._rows[task_id]["actor_id"]}
        gone = {worker_id for worker_id in found if worker_id and has_ended(worker_id)}
        with self._changed:
            for row in [self._rows[task_id] for task_id in self._live]:
                if row["worker_id"] in gone:
                    self._lose(row, now, "WORKER_DIED", "The worker has died.")
            if gone:
                self._changed.notify_all()

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
            moments = [moment for seq, moment in self._moments if is_snapshot or seq > after]
            unlisted = dict(self._unlisted)
            return TaskChanges(self._seq, is_snapshot, rows[::-1], removed, moments, [], unlisted, totals)

    def row(self, task_id: str) -> dict[str, Any] | None:
        """Return the row of a call, None if it is not known."""
        with self._changed:
            return self._rows.get(task_id)

    def _lose(self, row: dict[str, Any], now: float, error_type: str, error: str) -> None:
        facts = {name: row[name] for name in _FACTS}
        submitted, _, started, _ = row["times"]
        self._change(row["task_id"], {**facts, "state": "FAILED"}, submitted, started, now, error_type, error)

    def _change(
        self,
        task_id: str,
        facts: dict[str, Any],
        submitted: float,
        started: float,
        ended: float,
        error_type: str,
        error: str,
    ) -> None:
        before = self._rows.pop(task_id, None)
        self._seq += 1
        self._rows[task_id] = {
            "task_id": task_id,
            "attempt_number": 0,
            "job_id": self.job_id,
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
        (self._live.discard if ended else self._live.add)(task_id)
        if ended and (before is None or before["state"] not in _ENDED):
            self._ended.append(task_id)
            if len(self._ended) > KEPT:
                self._forget(self._ended.popleft())

    def _forget(self, task_id: str) -> None:
        self._live.discard(task_id)
        if self._rows.pop(task_id, None) is not None:
            self._removed.append((self._seq, task_id))
            if len(self._removed) > REMOVED_KEPT:
                self._forgotten = self._removed.popleft()[0]


def _moment(row: dict[str, Any]) -> dict[str, Any]:
    names = ("actor_id", "class_name", "name", "state", "at", "pid", "worker_id", "job_id")
    return {name: row[name] for name in names}


def _ms(at: float) -> int | None:
    return int(at * 1000) if at else None
