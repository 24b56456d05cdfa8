"""`History`: what real processes have done, recorded so that their deaths lose nothing, and judged by rules."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from nbactors import exceptions
from nbactors.testing import records
from nbactors.testing.records import Call, Record, State, describe
from nbactors.testing.rules import Violation, find_violations

T = TypeVar("T")

_SHOWN = 5


class HistoryError(AssertionError):
    """Raised for a history that breaks a rule. The message tells what happened, with the records that show it."""


class History:
    """Records calls, runs, answers, restarts and deaths, and checks what the runtime guarantees.

    Every process of a test appends to one file. A record is one write in append mode: a process that is killed at any
    moment loses no record that it has written, and the order of the records is the order in which they were written.
    So the file has to be on a local disk. A `History` can be passed to actors and tasks. Any thread.

    The driver notes each call before it makes it, and its answer::

        history = History(tmp_path / "history")
        history.created("adder", max_restarts=1)
        adder = Adder.options(max_restarts=1).remote(history)
        submitter = history.submitter("main")
        call = submitter.invoke("adder", "add")
        ref = adder.add.remote(call, 5)
        submitter.take(call, lambda: ray.get(ref, timeout=30))
        submitter.leave()
        history.check()

    The actor notes its births and its runs::

        @ray.remote
        class Adder:
            def __init__(self, history):
                self.life = history.born("adder")
                self.total = self.changes = 0

            def add(self, call, number):
                with self.life.run(call, changes=True) as run:
                    run.saw(self.changes)
                    self.changes += 1
                    self.total += number
                    return run.returns(self.total)

    The rules are listed in `nbactors.testing.rules`.

    Args:
        path: The file. It need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    # ---------------------------------------------------------------------------------------------------- recording

    def write(self, record: Record) -> None:
        """Append a record. The process's id and the time are filled in."""
        filled = msgspec.structs.replace(record, pid=os.getpid(), at=time.time())
        # Opened each time: no descriptor stays open, and none is shared with a forked child.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, records.encode(filled))
        finally:
            os.close(descriptor)

    def submitter(self, name: str) -> Submitter:
        """Return a new submitter. Each thread or event loop of a process has its own, whose name no other one has."""
        return Submitter(self, name)

    def created(self, actor: str, max_restarts: int = 0) -> None:
        """Note that an actor is about to be created."""
        self.write(records.Created(actor=actor, max_restarts=max_restarts))

    def born(self, actor: str, state: State = 0) -> Life:
        """Note the start of an incarnation. An actor calls this in its constructor, and keeps the `Life`.

        Args:
            actor: The actor's name in this history.
            state: What the state contains: the number of calls that have changed it, or their list. More than 0 or
                [] if the state comes from a checkpoint.
        """
        life = Life(self, f"{actor}-{uuid.uuid4().hex[:8]}")
        self.write(records.Born(actor=actor, life=life.id, state=state))
        return life

    def saved(self, actor: str, state: State) -> None:
        """Note that a checkpoint of the actor's state was saved, and is what the next incarnation starts from."""
        self.write(records.Saved(actor=actor, state=state))

    def killed(self, victim: int, what: str = "") -> None:
        """Note that the test has killed the process with the pid `victim`."""
        self.write(records.Killed(victim=victim, what=what))

    def run(self, call: Call) -> Run:
        """Return a context manager around a task's run of a call. For actors: `Life.run`."""
        return Run(self, call, "", False)

    # ----------------------------------------------------------------------------------------------------- judging

    def records(self) -> list[Record]:
        """Return the records so far, in the order in which they were written."""
        path = Path(self.path)
        return records.decode(path.read_bytes().splitlines()) if path.exists() else []

    def violations(self) -> list[Violation]:
        """Return the rules that were broken."""
        return find_violations(self.records())

    def check(self) -> None:
        """Check all rules.

        Raises:
            HistoryError: A rule was broken.
        """
        found = self.violations()
        if found:
            shown = "\n".join(map(str, found[:_SHOWN]))
            more = f"\n... and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise HistoryError(f"{len(found)} violations in {self.path}:\n{shown}{more}")


class Submitter:
    """Notes the calls of one thread or event loop, and their answers. See `History.submitter`."""

    def __init__(self, history: History, name: str) -> None:
        self.name = name
        self._history = history
        self._numbers = itertools.count()

    def invoke(self, target: str, method: str = "", retries: int = 0, lane: str | None = "") -> Call:
        """Note a call, just before it is made.

        Args:
            target: The actor's name in this history, or a name for a kind of task.
            method: For the reader.
            retries: How often the call may run again (`max_task_retries`, or a task's `max_retries`), -1 for any
                number.
            lane: Calls to one actor and lane have to start in the order of their submission: "", or the concurrency
                group. None for calls without order: tasks, and calls to threaded actors.

        Returns:
            The call's name. Pass it to the run as an argument.
        """
        call = Call(self.name, next(self._numbers))
        self._history.write(records.Invoked(call=call, target=target, method=method, retries=retries, lane=lane))
        return call

    def take(self, call: Call, get: Callable[[], T]) -> T | None:
        """Note the answer that `get` returns or raises, and return it; None if it raises.

        A GetTimeoutError counts as no answer, so give `get` a limit that only a call reaches that hangs.
        """
        try:
            value = get()
        except Exception as error:  # noqa: BLE001 - the checker judges it
            self.answer(call, outcome_of(error), error)
            return None
        self.answer(call, records.VALUE, value)
        return value

    def answer(self, call: Call, outcome: str, value: Any = None) -> None:
        """Note an answer.

        Args:
            call: The call.
            outcome: One of `nbactors.testing.records.OUTCOMES`; see `outcome_of` for exceptions.
            value: The value or the exception.
        """
        self._history.write(records.Answered(call=call, outcome=outcome, value=_text(value)))

    def leave(self) -> None:
        """Note that all calls are answered. A call that is not, from here on counts as one that hangs."""
        self._history.write(records.Left(submitter=self.name))


class Life:
    """One incarnation of an actor: its process, from the constructor to the end. See `History.born`."""

    def __init__(self, history: History, id: str) -> None:  # noqa: A002 - as the attribute
        self.history = history
        self.id = id

    def run(self, call: Call, changes: bool = False) -> Run:
        """Return a context manager around the body of a method.

        Args:
            call: The call that the method runs.
            changes: Whether the run changes the state once if it returns.
        """
        return Run(self.history, call, self.id, changes)


class Run:
    """One run of a call: a context manager, which notes the beginning and the end. See `Life.run`, `History.run`."""

    def __init__(self, history: History, call: Call, life: str, changes: bool) -> None:
        self._history = history
        self._call = call
        self._life = life
        self._changes = changes
        self._state: State | None = None
        self._value: Any = None

    def saw(self, state: State) -> None:
        """Note the state before the run's own change: the number of calls that have changed it, or their list.

        A threaded actor does this and the change under one lock.
        """
        self._state = list(state) if isinstance(state, list) else state

    def returns(self, value: T) -> T:
        """Note the value that the run is about to return, and return it. A generator gives the list of its values."""
        self._value = value
        return value

    def __enter__(self) -> Run:  # noqa: PYI034 - Self is not in Python 3.10's typing
        self._history.write(records.Begun(call=self._call, life=self._life, changes=self._changes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        outcome, value = records.VALUE, self._value
        if error is not None:
            outcome, value = records.ERROR if isinstance(error, Exception) else records.STOPPED, error
        self._history.write(
            records.Ended(call=self._call, life=self._life, outcome=outcome, value=_text(value), state=self._state)
        )


def outcome_of(error: BaseException) -> str:
    """Return the outcome that an exception of `get` means, one of `nbactors.testing.records.OUTCOMES`."""
    if isinstance(error, exceptions.TaskCancelledError):  # also a RayTaskError, if the run was cancelled
        return records.CANCELLED
    if isinstance(
        error, exceptions.RayTaskError
    ):  # before the others: a run may have raised an error of a call of its own
        return records.ERROR
    if isinstance(error, exceptions.ActorDiedError):
        return records.DIED
    if isinstance(error, exceptions.ActorUnavailableError | exceptions.WorkerCrashedError):
        return records.UNAVAILABLE
    if isinstance(error, exceptions.GetTimeoutError):
        return records.NOTHING
    return records.FAILED


def _text(value: Any) -> str:
    """Describe a value, or an exception by its type's own name, which the type of a raised RayTaskError changes."""
    if isinstance(value, exceptions.RayTaskError):
        value = value.cause if isinstance(value.cause, BaseException) else value
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}".partition("\n")[0][:200]
    return describe(value)
