"""`Lending`: lends memory to the object stores of processes, and asks the processes what their stores take."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from nbactors.local.node.rules.alarms import Alarm
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.gpus import UNIT
from nbactors.local.node.rules.memory.store_room import Lack, StoreRoom
from nbactors.local.node.rules.records import Process, Session, Worker
from nbactors.local.wire import messages

ANSWER_WITHIN_S = 0.2
"""How long, in seconds, a question to the processes may take. A stopped process never answers."""


AGAIN_S = 1.0
"""For how long, in seconds, a process is not asked again to give room back."""


NO_LACK = Lack(0, {})


class _Question:
    """A question to several processes.

    Attributes:
        silent: The processes that have not answered.
        then: What to do when all have answered, or when the time is over. It gets the processes that are silent.
        alarm: Ends the wait.
    """

    __slots__ = ("alarm", "silent", "then")

    def __init__(self, silent: set[bytes], then: Callable[[set[bytes]], None]) -> None:
        self.silent = silent
        self.then = then
        self.alarm: Alarm | None = None


class Lending:
    """The object stores of all processes, as far as the node knows them.

    Processes do not report by themselves, so a put costs nothing for this. The node asks them when a user wants to
    know, and when a process lacks room that others may have and not use. The process is answered when the others have
    told, `ANSWER_WITHIN_S` later at most. What another one has to spill for it comes back later still. A process that
    was silent is not asked for room until it is heard again.

    Args:
        context: What all rules share.
        limit: Bytes of memory for the object stores of all sessions.
    """

    def __init__(self, context: Context, limit: int) -> None:
        self._context = context
        self._room = StoreRoom(limit)
        self._uses: dict[bytes, messages.StoreUse] = {}
        """What each process with an object store has told last. A process asks for room before it stores anything."""
        self._numbers = itertools.count(1)
        self._questions: dict[int, _Question] = {}
        self._lacking: dict[bytes, list[messages.AskRoom]] = {}
        """What processes want that are answered when others have told."""
        self._asked_at: dict[bytes, float] = {}
        """When each process was asked to give room back; without an answer to the last question infinite."""

    def lend(self, ask: Ask, message: messages.AskRoom) -> None:
        """Answer a process that wants room, or gives room back."""
        process = ask.asker
        process_id = process.process_id
        self._uses.setdefault(process_id, messages.StoreUse(0, 0, 0))
        if message.wanted > message.held:
            waiting = self._lacking.get(process_id)
            if waiting is not None:
                waiting.append(message)
                return
            lack = self._room.lacking(process_id, *self._share(process), message.wanted)
            due = {holder for holder in lack.shares if self._asked_at.get(holder, 0.0) <= self._context.now - AGAIN_S}
            if due:
                self._lacking[process_id] = [message]
                self._asked_at.update(dict.fromkeys(due, self._context.now))
                self._ask(due, lambda silent: self._lend_what_came_back(process, silent), lack)
                return
        self._lend(process, message)

    def _lend_what_came_back(self, process: Process, silent: set[bytes]) -> None:
        self._asked_at.update(dict.fromkeys(silent & self._asked_at.keys(), math.inf))
        for message in self._lacking.pop(process.process_id, []):
            self._lend(process, message)

    def _lend(self, process: Process, message: messages.AskRoom) -> None:
        job_id, limit = self._share(process)
        lent = self._room.lend(process.process_id, job_id, limit, message.held, message.wanted)
        self._context.send(process, messages.Room(lent, limit, limit != self._room.limit))

    def _share(self, process: Process) -> tuple[bytes, int]:
        """Return the session that a process counts for, and the session's limit."""
        session = _session(process)
        return (b"", self._room.limit) if session is None else (session.job_id, _limit(session))

    def gone(self, process: Process) -> None:
        """Forget a process that has ended: its memory is free, or belongs to its readers."""
        process_id = process.process_id
        self._room.gone(process_id)
        self._uses.pop(process_id, None)
        self._asked_at.pop(process_id, None)
        self._lacking.pop(process_id, None)
        for number in list(self._questions):
            self._answered(number, process_id)

    # ------------------------------------------------------------------------------------------------------- asking

    def _ask(self, process_ids: set[bytes], then: Callable[[set[bytes]], None], lack: Lack = NO_LACK) -> None:
        """Ask processes what their stores take, and for room. Call `then` once, within `ANSWER_WITHIN_S`."""
        if not process_ids:
            then(set())
            return
        number = next(self._numbers)
        self._questions[number] = question = _Question(set(process_ids), then)
        for process_id in process_ids:
            share = lack.shares.get(process_id, messages.KEEP_ALL)
            self._context.tell(process_id, messages.AskUse(number, lack.size, share))
        question.alarm = self._context.later(ANSWER_WITHIN_S, lambda: self._end(number))

    def told(self, ask: Ask, message: messages.StoreUse) -> None:
        """Note what a process has told."""
        process_id = ask.asker.process_id
        if process_id in self._uses:
            self._uses[process_id] = message
            self._room.take_back(process_id, message.returned)
            if self._asked_at.get(process_id) == math.inf:
                self._asked_at[process_id] = self._context.now
        self._answered(message.number, process_id)

    def _answered(self, number: int, process_id: bytes) -> None:
        question = self._questions.get(number)
        if question is not None:
            question.silent.discard(process_id)
            if not question.silent:
                self._end(number)

    def _end(self, number: int) -> None:
        question = self._questions.pop(number, None)
        if question is not None:
            self._context.alarms.take_back(question.alarm)
            question.then(question.silent)

    # ------------------------------------------------------------------------------------------------------ telling

    def list_for(self, asker: Process, then: Callable[[list[messages.StoreRow]], None]) -> None:
        """Have `then` called with the rows of a `Listing`, soon."""
        self._ask(set(self._uses), lambda silent: then(self._rows(asker, silent)))

    def _rows(self, asker: Process, silent: set[bytes]) -> list[messages.StoreRow]:
        sessions = self._context.sessions.values() if asker.session is None else [asker.session]
        named = [session for session in sessions if session.opened.object_store_memory >= 0]
        return [self._row(None, silent), *(self._row(session, silent) for session in named)]

    def _row(self, session: Session | None, silent: set[bytes]) -> messages.StoreRow:
        ids = [
            process_id
            for process_id in self._uses
            if session is None or _session(self._context.processes.get(process_id)) is session
        ]
        held = sum(self._uses[process_id].held for process_id in ids)
        spilled = sum(self._uses[process_id].spilled for process_id in ids)
        mute = sum(process_id in silent for process_id in ids)
        if session is None:
            return messages.StoreRow(b"", 0, "", held, spilled, self._room.limit, mute)
        driver, limit = session.driver, _limit(session)
        return messages.StoreRow(session.job_id, driver.pid, session.namespace, held, spilled, limit, mute)


def _session(process: Process | None) -> Session | None:
    return process.home if isinstance(process, Worker) else process.session if process is not None else None


def _limit(session: Session) -> int:
    return session.pool.total.get("object_store_memory", 0) // UNIT
