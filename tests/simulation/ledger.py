"""`Ledger`: what the calls of a simulation were to do, and what they did. Judges both."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from nbactors.local.objects.object_life import READY
from nbactors.local.wire import failures


class Record:
    """One call of the plan. The call of a call that is tried again is submitted again under the same number.

    Attributes:
        target: The number of the actor; 0 for a task.
        tries: How many runs a submission may take.
        begun: The worker and the time of each begin of a run.
        answers: How often each submission was answered.
    """

    def __init__(self, number: int, target: int, submitter: str) -> None:
        self.number = number
        self.target = target
        self.submitter = submitter
        self.tries = 0.0
        self.retries_errors = False
        self.begun: list[tuple[str, float]] = []
        self.ended = 0
        self.submissions: list[Submission] = []
        self.is_canceled = False
        self.has_things = False


class Submission:
    """One submission of a call.

    Attributes:
        entry: What makes its answer; None after the answer.
        answers: How often the call was answered.
        kind: What the answer was: "value", or the name of the error.
        is_weak: Whether it was made through a weak handle.
    """

    def __init__(self, process: Any, entry: Any, is_weak: bool) -> None:
        self.process = process
        self.entry = entry
        self.is_weak = is_weak
        self.answers = 0
        self.kind = ""
        self.cause = ""


class Ledger:
    """What happens to all calls.

    Attributes:
        requests: The processes that have sent requests to the node, and their waits.
        failures: What broke a rule while the simulation ran.
        constructed: The numbers of the processes in which each actor was constructed.
        may_fail: Whether something in the plan lets calls fail: a crash, a kill, an exit.
    """

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.requests: list[tuple[Any, Any]] = []
        self.failures: list[str] = []
        self.constructed: dict[int, int] = defaultdict(int)
        self.max_restarts: dict[int, float] = {}
        self.kind_of_actor: dict[int, str] = {}
        self.deadly: set[int] = set()
        """The actors that a call or a kill may end, and 0 if a task may end its worker."""
        self._last_begun: dict[tuple[str, int, str], int] = {}
        self._order: dict[int, int] = {}
        self._signals: dict[int, list[Callable[[], None]] | None] = {}

    # -------------------------------------------------------------------------------------------------------- noting

    def submitted(
        self,
        process: Any,
        number: int,
        target: int,
        retries: int,
        retries_errors: bool,
        has_things: bool,
        entry: Any,
        is_weak: bool = False,
    ) -> None:
        """Note a submission."""
        record = self.records.get(number)
        if record is None:
            record = self.records[number] = Record(number, target, process.name)
            self._order[number] = len(self._order)
        record.tries += math.inf if retries < 0 else retries + 1
        record.retries_errors = retries_errors
        record.has_things = record.has_things or has_things
        submission = Submission(process, entry, is_weak)
        record.submissions.append(submission)
        entry.when_done(lambda: self._answered(record, submission))

    def _answered(self, record: Record, submission: Submission) -> None:
        submission.answers += 1
        entry, submission.entry = submission.entry, None
        if submission.answers > 1:
            self.failures.append(f"call {record.number} was answered twice")
            return
        if entry.state == READY:
            submission.kind = "value"
            if not entry.contained:
                value = entry.home.values.load(entry)
                if value[:2] != ("result", record.number):
                    self.failures.append(f"call {record.number} got the answer {value}")
            elif not record.ended:
                self.failures.append(f"call {record.number} has an answer before it has ended")
        else:
            error = failures.decode(entry.data)
            submission.kind = type(error).__name__
            submission.cause = getattr(error, "kind", "") or str(error)
        process = submission.process
        process.world.note(
            f"{process.name} has the answer of call {record.number}: {submission.kind} {submission.cause}"
        )

    def begins(self, name: str, number: int) -> int:
        """Note that a run of a call begins in a worker; return how many have begun."""
        record = self.records.get(number)
        if record is None:
            self.failures.append(f"call {number} runs, but nobody has submitted it")
            return 1
        record.begun.append((name, 0.0))
        if len(record.begun) > record.tries:
            self.failures.append(f"call {number} has begun {len(record.begun)} times, and {record.tries:g} are allowed")
        if record.target and len(record.submissions) == 1 and not record.retries_errors:
            key = (record.submitter, record.target, name)
            last = self._last_begun.get(key)
            if last is not None and self._order[last] > self._order[number]:
                self.failures.append(f"call {number} has begun in {name} after call {last}, which was submitted later")
            self._last_begun[key] = number
        return len(record.begun)

    def ends(self, number: int) -> None:
        """Note that a run of a call has ended by itself."""
        record = self.records.get(number)
        if record is not None:
            record.ended += 1

    def signal(self, number: int) -> None:
        """Let the programs go on that wait for a signal."""
        waiting = self._signals.get(number, [])
        self._signals[number] = None
        for go_on in waiting or ():
            go_on()

    def await_signal(self, number: int, go_on: Callable[[], None]) -> None:
        """Call `go_on` when a signal was given."""
        waiting = self._signals.setdefault(number, [])
        if waiting is None:
            go_on()
        else:
            waiting.append(go_on)

    def give_all_signals(self) -> None:
        """Let all programs go on."""
        for number in list(self._signals):
            self.signal(number)

    def waits_for_signals(self) -> bool:
        """Return whether a signal was awaited in vain."""
        return any(self._signals.values())

    def _open_requests(self) -> Iterator[tuple[Any, Any]]:
        return ((process, request) for process, request in self.requests if not (request.done or process.dead))

    def has_all_answers(self) -> bool:
        """Return whether the node has answered all requests."""
        return not any(self._open_requests())

    # ------------------------------------------------------------------------------------------------------- judging

    def judge(self, is_calm: bool, has_node_crash: bool) -> Iterator[str]:
        """Yield what is wrong with the calls, all of which should have an answer by now.

        Args:
            is_calm: Whether no process was killed but the node.
            has_node_crash: Whether the node was killed.
        """
        for process, request in self._open_requests():
            yield f"{process.name} has no answer to {request.message}"
        for record in self.records.values():
            for submission in record.submissions:
                if not submission.answers:
                    if not submission.process.dead:
                        yield f"call {record.number} of {submission.process.name} has no answer"
                    continue
                why = self._why_wrong(record, submission, is_calm, has_node_crash)
                if why:
                    yield f"call {record.number} was answered by {submission.kind}, {why}: {submission.cause}"

    def _why_wrong(self, record: Record, submission: Submission, is_calm: bool, has_node_crash: bool) -> str:
        kind = submission.kind
        if kind != "value" and not record.begun and record.has_things:
            return ""  # perhaps the error of one of its arguments
        if kind == "value":
            return "" if record.ended else "but no run of it has ended"
        if kind.startswith("RayTaskError"):
            return "" if record.begun else "but it has not begun"
        if kind == "TaskCancelledError":
            is_child = not submission.process.name.startswith("s")  # perhaps of a call that was cancelled
            return "" if record.is_canceled or is_child else "but nobody has cancelled it"
        if kind == "ActorDiedError":
            if submission.cause == "out_of_scope":
                return "" if submission.is_weak else "but its submitter has had a handle"
            # The next node does not know the actors that have died before.
            if submission.cause == "unknown" and not has_node_crash:
                return "but the node knows the actor, and why it has ended"
            if submission.cause == "unknown" and submission.is_weak:
                return ""  # it was out of scope before the crash
            if is_calm and record.target not in self.deadly:
                return "but nothing has ended the actor"
            return ""
        if kind == "ActorUnavailableError":
            return "but nothing has ended the actor" if is_calm and record.target not in self.deadly else ""
        if kind == "WorkerCrashedError":
            if is_calm and 0 not in self.deadly:
                return "but no worker was killed"
            return ""
        if kind == "TaskUnschedulableError":
            return "but its submitter was not about to end" if is_calm and not self.deadly else ""
        if kind == "OwnerDiedError":
            return "but no process has ended" if is_calm and not self.deadly else ""
        return "which is no error that a call may end with"
