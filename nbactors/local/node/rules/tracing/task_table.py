"""`TaskTable`: the latest calls of all sessions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator

import msgspec

from nbactors.local.node.rules.tracing.totals_table import CANCELLED, FAILED, FINISHED, TotalsTable
from nbactors.local.wire import messages

KEEP = 10_000
"""How many ended calls of one session are kept; if there are more, the oldest are forgotten."""

KEEP_SESSIONS = 2
"""Of how many ended sessions calls are kept."""

MOST_LIVE = 50_000
"""Most calls that are waiting or running in the table."""

GRACE_S = 2.5
"""Seconds for which a call without an end is kept after it has left the reports: the report of its end may come."""

REMEMBERED = 20_000
"""How many forgotten calls a reader can be told of. A reader that is further behind gets a snapshot."""

KINDS = 1000
"""Most functions of which calls without a row are counted."""

CELLS = 1000
"""Of how many cells of one session the ids are kept, the latest ones."""

_QUEUED = ("PENDING_ARGS_AVAIL", "PENDING_NODE_ASSIGNMENT")

replace = msgspec.structs.replace


class Record(msgspec.Struct, eq=False):
    """One call.

    Attributes:
        row: The call as it is shown.
        worker: The process in whose reports the call is live, and that runs it; empty for none.
        caller: The process in whose reports the call is live, and that has made it; empty for none.
        is_guess: Whether the node has ended the call, since its process has ended, and no process has told more.
        is_counted: Whether this guess is among the counted ends.
        is_partial: Whether the call has ended by the word of its caller, who knows less than its worker.
    """

    row: messages.TaskRow
    worker: bytes = b""
    caller: bytes = b""
    is_guess: bool = False
    is_counted: bool = False
    is_partial: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether the call has ended, and is not to be tried again as far as the node knows."""
        return self.row.ended > 0


class Sequence:
    """The numbers of changes, which the tables share."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        """Return the number of a new change."""
        self.last += 1
        return self.last


class TaskTable:
    """Calls by id, in the order of their last changes.

    Two processes report a call: its caller while it has no answer, and its worker from its arrival to its end. All
    times are of one clock, so the table can tell the order of two reports. The worker's word counts, except where the
    caller says later that the call waits again, which is a new try.

    Args:
        sequence: Numbers the changes.
    """

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence
        self._records: dict[bytes, Record] = {}
        self._live: dict[bytes, set[bytes]] = {}
        self._ended: dict[bytes, deque[bytes]] = {}
        self._ended_sessions: deque[bytes] = deque()
        self._cells: dict[bytes, dict[int, str]] = {}
        """The front end's ids of the cells of each session, by origin."""
        self._left: deque[tuple[float, bytes]] = deque()
        self._removed: deque[tuple[int, bytes]] = deque()
        self._forgotten_up_to = 0
        self.unlisted: dict[str, int] = {}
        """How many calls of each function have ended that have no row."""
        self.ended: Counter[str] = Counter()
        """How many calls have ended in each way, forgotten ones and those without a row included."""
        self.totals = TotalsTable()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[messages.TaskRow]:
        return (record.row for record in self._records.values())

    def find(self, task_id: bytes) -> messages.TaskRow | None:
        """Return a call, None if it is unknown."""
        record = self._records.get(task_id)
        return record.row if record is not None else None

    # ----------------------------------------------------------------------------------------------------- reporting

    def report(self, process_id: bytes, job: bytes, report: messages.TaskReport, actor_id: bytes = b"") -> None:
        """Take in the report of a process.

        Args:
            process_id: The process.
            job: Its session.
            report: Its calls.
            actor_id: Its actor, empty for none.
        """
        if report.cells:
            self._note_cells(job, report.cells)
        for row in report.ended:
            self._end(process_id, job, row)
        if report.live is not None:
            self._replace_live(process_id, job, report.live, report.at)
        for name, count in report.unlisted.items():
            if name in self.unlisted or len(self.unlisted) < KINDS:
                self.unlisted[name] = self.unlisted.get(name, 0) + count
        failed = sum(each.failed + each.cancelled for each in report.failures)
        self.ended["FINISHED"] += max(0, sum(report.unlisted.values()) - failed)
        self.ended["FAILED"] += failed
        self.totals.add(actor_id, FINISHED, report.finished, self._sequence.next)
        for each in report.failures:
            self.totals.add(each.actor_id, FAILED, each.failed, self._sequence.next)
            self.totals.add(each.actor_id, CANCELLED, each.cancelled, self._sequence.next)
        self.drop_left(report.at)

    def _end(self, process_id: bytes, job: bytes, row: messages.TaskRow) -> None:
        record = self._records.get(row.task_id)
        # Only the worker knows when the call has arrived.
        is_partial = row.worker not in (b"", process_id) and not row.arrived
        if record is None:
            if is_partial:  # its worker has counted it only, or has not told of it
                return
            record = Record(row)
        else:
            old = record.row
            has_word = record.has_ended and not record.is_guess
            # What the node has noted at the end of a process gives way to any word of a process: the node may have read
            # the end of the connection later than the caller.
            if has_word and (is_partial or (old.ended > row.ended and not record.is_partial)):
                return
            if row.worker and not is_partial:
                row = replace(row, attempt=_attempt(old, row))
            elif old.started and not has_word:
                # The caller tells how a call has ended that a worker had begun.
                row = replace(
                    row,
                    arrived=old.arrived,
                    started=old.started,
                    worker=old.worker,
                    pid=old.pid,
                    waits=old.waits,
                    name=old.name,
                    attempt=old.attempt,
                )
            else:
                row = replace(row, attempt=old.attempt)
        if process_id == record.worker:
            record.worker = b""
        is_known = self._records.get(row.task_id) is record
        had_ended = record.has_ended and is_known and (record.is_counted or not record.is_guess)
        record.is_guess, record.is_partial = False, is_partial
        self._store(record, replace(row, job=record.row.job if is_partial else job))
        if not had_ended:
            self.ended[row.state] += 1
        self._note_end(record)

    def _note_cells(self, job: bytes, cells: dict[int, str]) -> None:
        known = self._cells.setdefault(job, {})
        known.update(cells)
        for origin in list(known)[:-CELLS]:
            del known[origin]
        # A worker may have told of a call before its caller has told the cell.
        for task_id in set().union(*self._live.values()):
            record = self._records.get(task_id)
            if record is not None and record.row.job == job and record.row.origin in cells and not record.row.cell_id:
                self._store(record, record.row)

    def states(self) -> Counter[str]:
        """Return how many of the known calls that have not ended are in each state."""
        return Counter(record.row.state for record in self._records.values() if not record.has_ended)

    def _note_end(self, record: Record) -> None:
        ended = self._ended.setdefault(record.row.job, deque())
        ended.append(record.row.task_id)
        while len(ended) > KEEP:
            self._forget_if_ended(ended.popleft())

    def _replace_live(self, process_id: bytes, job: bytes, rows: Iterable[messages.TaskRow], at: float) -> None:
        before = self._live.get(process_id, set())
        now: set[bytes] = set()
        for row in rows:
            record = self._records.get(row.task_id)
            if record is None:
                if len(self._records) >= MOST_LIVE + KEEP * len(self._ended):
                    continue
                record = Record(row)
                self._mark(record, process_id, bool(row.worker))
                self._store(record, replace(row, job=job))
            else:
                self._mark(record, process_id, bool(row.worker))
                self._merge_live(record, row, at)
            now.add(row.task_id)
        if now:
            self._live[process_id] = now
        else:
            self._live.pop(process_id, None)
        for task_id in before - now:
            self._leave(process_id, task_id, at)

    @staticmethod
    def _mark(record: Record, process_id: bytes, is_worker: bool) -> None:
        if is_worker:
            record.worker = process_id
        else:
            record.caller = process_id

    def _merge_live(self, record: Record, row: messages.TaskRow, at: float) -> None:
        old = record.row
        if row.worker:
            if old.ended and row.arrived < old.ended:
                return
            row = replace(row, job=old.job, attempt=_attempt(old, row), seq=old.seq, cell_id=old.cell_id)
        else:
            is_again = row.state in _QUEUED and (old.ended < at if old.ended else old.arrived < at)
            if (old.worker or old.ended) and not is_again:
                return
            attempt = old.attempt + (1 if old.ended else 0)
            row = replace(row, job=old.job, attempt=attempt, seq=old.seq, cell_id=old.cell_id)
        if row != old:
            self._store(record, row)

    def _store(self, record: Record, row: messages.TaskRow) -> None:
        records, before = self._records, record.row
        is_known = records.pop(row.task_id, None) is record
        cell_id = row.cell_id or self._cells.get(row.job, _NO_CELLS).get(row.origin, "")
        record.row = replace(row, seq=self._sequence.next(), cell_id=cell_id)
        records[row.task_id] = record
        if is_known:
            self._count(before, -1)
        self._count(record.row, 1)

    def _count(self, row: messages.TaskRow, number: int) -> None:
        """Count a call that has ended in the totals of its actor."""
        if row.ended and row.kind == "ACTOR_TASK":
            how = FINISHED if row.state == "FINISHED" else CANCELLED if row.error_type == "TASK_CANCELLED" else FAILED
            self.totals.add(row.actor_id, how, number, lambda: self._sequence.last)

    # ------------------------------------------------------------------------------------------------------- leaving

    def _leave(self, process_id: bytes, task_id: bytes, at: float) -> None:
        """Note that a call is in a process's reports no more."""
        record = self._records.get(task_id)
        if record is None:
            return
        if record.worker == process_id:
            record.worker = b""
        if record.caller == process_id:
            record.caller = b""
        if not (record.worker or record.caller or record.has_ended):
            self._left.append((at, task_id))

    @property
    def has_left(self) -> bool:
        """Whether calls wait for the report of their end, see `drop_left`."""
        return bool(self._left)

    def drop_left(self, now: float) -> None:
        """Forget calls whose end no process has reported: their workers have counted them only.

        If their workers have ended, the guess of the node stays, and counts.
        """
        left = self._left
        while left and left[0][0] < now - GRACE_S:
            _, task_id = left.popleft()
            record = self._records.get(task_id)
            if record is None:
                continue
            if record.is_guess and record.has_ended:
                self.ended["FAILED"] += not record.is_counted
                record.is_counted = True
            elif not (record.worker or record.caller or record.has_ended):
                self._forget(task_id)

    def process_gone(self, process_id: bytes, now: float) -> None:
        """End the calls that a process has run which is gone, as failed ones.

        Their callers may tell later that the calls are tried again, or had ended before. Then the guess is void.
        """
        for task_id in self._live.pop(process_id, ()):
            record = self._records.get(task_id)
            if record is None:
                continue
            if record.worker == process_id and not record.has_ended:
                record.worker = b""
                failed = replace(record.row, state="FAILED", ended=now, error_type=_DIED, error=_UNTOLD)
                record.is_guess, record.is_counted = True, False
                self._store(record, failed)
                self._left.append((now, task_id))
                self._note_end(record)
            else:
                self._leave(process_id, task_id, now)

    def session_ended(self, job: bytes) -> None:
        """Keep the ended calls of the last sessions only."""
        if job in self._ended_sessions:
            return
        self._ended_sessions.append(job)
        self._cells.pop(job, None)
        while len(self._ended_sessions) > KEEP_SESSIONS:
            for task_id in self._ended.pop(self._ended_sessions.popleft(), ()):
                self._forget_if_ended(task_id)

    def _forget_if_ended(self, task_id: bytes) -> None:
        record = self._records.get(task_id)
        if record is not None and record.has_ended:
            self._forget(task_id)

    def _forget(self, task_id: bytes) -> None:
        del self._records[task_id]
        self._removed.append((self._sequence.next(), task_id))
        if len(self._removed) > REMEMBERED:
            self._forgotten_up_to, _ = self._removed.popleft()

    # ------------------------------------------------------------------------------------------------------- reading

    def is_too_old(self, after: int) -> bool:
        """Return whether a reader that knows the changes up to `after` can only be served by a snapshot."""
        return after < self._forgotten_up_to

    def changed(self, after: int, most: int) -> tuple[list[messages.TaskRow], bool]:
        """Return the first `most` calls that have changed after the change `after`, and whether there are more."""
        found: list[messages.TaskRow] = []
        for record in reversed(self._records.values()):
            if record.row.seq <= after:
                break
            found.append(record.row)
        found.reverse()
        return found[:most], len(found) > most

    def removed(self, after: int, up_to: int) -> list[bytes]:
        """Return the calls that were forgotten after the change `after`, up to the change `up_to`."""
        found = []
        for seq, task_id in reversed(self._removed):
            if seq <= after:
                break
            if seq <= up_to:
                found.append(task_id)
        return found


_DIED = "WORKER_DIED"
_UNTOLD = "its process has ended, and has not told before how the call has ended"
_NO_CELLS: dict[int, str] = {}


def _attempt(old: messages.TaskRow, row: messages.TaskRow) -> int:
    """Return the number of the try that `row` tells of: another one than `old` if the worker got the call anew."""
    return old.attempt + 1 if old.arrived and row.arrived > old.arrived else old.attempt
