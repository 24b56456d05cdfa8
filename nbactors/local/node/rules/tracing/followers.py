"""`Tracing`: the tables of task events, and the readers that wait for the next change."""

from __future__ import annotations

from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.lifecycle import State
from nbactors.local.node.rules.records import Actor, Process, Worker
from nbactors.local.node.rules.tracing.actor_log import ActorLog
from nbactors.local.node.rules.tracing.task_table import GRACE_S, Sequence, TaskTable
from nbactors.local.wire import messages

PAGE = 1000
"""Most calls in one answer."""

GATHER_S = 0.1
"""Seconds for which changes are gathered before waiting readers are answered."""

TIDY_S = GRACE_S + 0.1
"""Seconds after which calls are forgotten whose end no process has reported."""

MOST_WAITING = 100
"""Most readers that wait at the same time; the one that waits for longest is then answered."""


class Tracing:
    """What the node knows of calls, for readers. A reader that does not ask costs nothing.

    Args:
        context: The parts that all rules share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sequence = Sequence()
        self.tasks = TaskTable(self._sequence)
        self.actors = ActorLog(self._sequence)
        self._waiting: list[tuple[Ask, messages.Follow]] = []
        self._is_due = False
        self._is_tidying = False

    def report(self, ask: Ask, report: messages.TaskReport) -> None:
        """Take in the report of a process."""
        process = ask.asker
        actor = process.actor if isinstance(process, Worker) else None
        self.tasks.report(process.process_id, _job_of(process), report, actor.actor_id if actor is not None else b"")
        if report.waits:
            self.actors.note_waits(process.process_id, process.pid, report.waits)
        self._changed()

    def actor_changed(self, actor: Actor) -> None:
        """Note the state of an actor."""
        worker = actor.worker
        self.actors.note(
            self._context.now,
            actor.actor_id,
            actor.creation.class_name,
            actor.creation.name,
            actor.shown,
            process_id=worker.process_id if worker is not None else b"",
            pid=worker.pid if worker is not None and actor.state is not State.DEAD else 0,
            job=actor.home.job_id,
        )
        self._changed()

    def process_gone(self, process: Process) -> None:
        """Note that a process is gone, and with it the calls that it has run."""
        self.tasks.process_gone(process.process_id, self._context.now)
        if process.session is not None:
            self.tasks.session_ended(process.session.job_id)
        self._changed()

    def follow(self, ask: Ask, asked: messages.Follow) -> None:
        """Answer a reader, now or at the next change."""
        is_known = asked.node_id == self._context.facts.node_id and not self.tasks.is_too_old(asked.after)
        if not is_known or asked.after < self._sequence.last or not asked.wait_s:
            ask.answer(self._news(asked))
            return
        self._waiting.append((ask, asked))
        if len(self._waiting) > MOST_WAITING:
            self._answer(*self._waiting.pop(0))
        self._context.later(asked.wait_s, lambda: self._give_up(ask, asked))

    def _give_up(self, ask: Ask, asked: messages.Follow) -> None:
        if (ask, asked) in self._waiting:
            self._waiting.remove((ask, asked))
            self._answer(ask, asked)

    def _changed(self) -> None:
        self._tidy_later()
        if self._waiting and not self._is_due:
            self._is_due = True
            self._context.later(GATHER_S, self._answer_all)

    def _tidy(self) -> None:
        self._is_tidying = False
        before = self._sequence.last
        self.tasks.drop_left(self._context.now)
        if self._sequence.last > before:
            self._changed()
        else:
            self._tidy_later()

    def _tidy_later(self) -> None:
        if self.tasks.has_left and not self._is_tidying:
            self._is_tidying = True
            self._context.later(TIDY_S, self._tidy)

    def _answer_all(self) -> None:
        self._is_due = False
        waiting, self._waiting = self._waiting, []
        for ask, asked in waiting:
            self._answer(ask, asked)

    def _answer(self, ask: Ask, asked: messages.Follow) -> None:
        if ask.asker.lost:
            ask.withdraw()
        else:
            ask.answer(self._news(asked))

    def _news(self, asked: messages.Follow) -> messages.TaskNews:
        node_id, after = self._context.facts.node_id, asked.after
        is_snapshot = asked.node_id != node_id or self.tasks.is_too_old(after) or not after
        if is_snapshot:
            after = 0
        tasks, has_more = self.tasks.changed(after, PAGE)
        up_to = tasks[-1].seq if has_more else self._sequence.last
        return messages.TaskNews(
            asked.rid,
            node_id,
            up_to,
            is_snapshot,
            tasks,
            [] if is_snapshot else self.tasks.removed(after, up_to),
            self.actors.moments(after, up_to),
            self.actors.waits(after, up_to),
            self.tasks.unlisted,
            not has_more,
            self.tasks.totals.changed(after, up_to),
        )


def _job_of(process: Process) -> bytes:
    """Return the session of a process, empty for none."""
    if isinstance(process, Worker):
        return process.home.job_id
    return process.session.job_id if process.session is not None else b""
