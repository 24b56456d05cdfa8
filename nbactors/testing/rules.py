"""The rules that a history has to keep. Pure code: records in, violations out.

| rule | what breaks it |
|---|---|
| `unknown call` | A call runs that nobody has made, or before it was made. |
| `wrong actor` | A call runs in an incarnation of another actor, or in one that was never born. |
| `at most once` | A call without retries runs twice. |
| `retry budget` | A call runs more often than once and its retries. |
| `restart budget` | An actor is born more often than once and `max_restarts`. |
| `no run` | A call is answered with a value or an error, and no run has ended so before. |
| `wrong value` | A call is answered with another value or error than its last run has given. |
| `late run` | A call begins to run after its value or error has arrived. |
| `order` | Calls of one submitter to one actor and lane start in one incarnation out of the order of submission. |
| `two lives` | A process of an actor goes on after the next one was born. |
| `not dead` | A call is answered as if its actor had died, and the actor is born again later. |
| `lost state` | A run does not see a change of an earlier run, or an incarnation not the saved state. |
| `foreign state` | A run or a new incarnation sees changes that nobody has made there, or one change twice. |
| `answered twice` | A call has two answers. |
| `no answer` | The wait for an answer has met its limit, or the submitter has left without the answer. |
| `gave up early` | A call fails as unavailable although it has a retry left. |

Two rules have exceptions. A call that runs again since it has raised an error may start after later calls, as in Ray.
A run that has not returned may have changed the state or not.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from nbactors.testing.records import (
    DIED,
    ERROR,
    NOTHING,
    UNAVAILABLE,
    VALUE,
    Answered,
    Begun,
    Born,
    Call,
    Created,
    Ended,
    Invoked,
    Left,
    Record,
    Saved,
    State,
)

_SHOWN = 12


@dataclass(frozen=True)
class Violation:
    """A rule that was broken.

    Attributes:
        rule: The rule's name in the table of this module.
        text: What has happened, in one sentence.
        records: The records that show it, in order.
    """

    rule: str
    text: str
    records: tuple[Record, ...] = ()

    def __str__(self) -> str:
        shown = [f"    {record}" for record in self.records[:_SHOWN]]
        if len(self.records) > _SHOWN:
            shown.append(f"    ... {len(self.records) - _SHOWN} more")
        return "\n".join([f"{self.rule}: {self.text}", *shown])


@dataclass(eq=False)
class _Run:
    """A run, with the places of its beginning and its end among all records."""

    begun: Begun
    start: int
    ended: Ended | None = None
    end: int = 0

    def has_returned(self) -> bool:
        return self.ended is not None and self.ended.outcome == VALUE

    def records(self) -> list[Record]:
        return [self.begun, *([self.ended] if self.ended is not None else [])]


@dataclass(eq=False)
class _Life:
    """An incarnation: its birth, its runs, and the place of its last record."""

    born: Born
    start: int
    runs: list[_Run] = field(default_factory=list)
    last: int = 0
    last_record: Record | None = None


@dataclass(eq=False)
class _CallHistory:
    """All about one call."""

    call: Call
    invoked: Invoked | None = None
    start: int = 0
    runs: list[_Run] = field(default_factory=list)
    answers: list[tuple[int, Answered]] = field(default_factory=list)

    @property
    def retries(self) -> int:
        return self.invoked.retries if self.invoked is not None else -1

    def records(self) -> list[Record]:
        """Return the records of the call, in order."""
        placed: list[tuple[int, Record]] = [*self.answers]
        if self.invoked is not None:
            placed.append((self.start, self.invoked))
        for run in self.runs:
            placed.append((run.start, run.begun))
            if run.ended is not None:
                placed.append((run.end, run.ended))
        return [record for _, record in sorted(placed, key=lambda pair: pair[0])]


class _Index:
    """The records of a history, by call, incarnation and actor."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.calls: dict[Call, _CallHistory] = {}
        self.lives: dict[str, _Life] = {}
        self.lives_of: defaultdict[str, list[_Life]] = defaultdict(list)
        self.created: dict[str, Created] = {}
        self.found_dead: dict[str, tuple[int, Answered]] = {}
        self.saved: defaultdict[str, list[tuple[int, Saved]]] = defaultdict(list)
        self.left: dict[str, Left] = {}
        running: defaultdict[tuple[Call, str, int], list[_Run]] = defaultdict(list)
        for place, record in enumerate(records):
            if isinstance(record, Invoked):
                known = self._call(record.call)
                known.invoked, known.start = record, place
            elif isinstance(record, Begun):
                run = _Run(record, place)
                self._call(record.call).runs.append(run)
                running[record.call, record.life, record.pid].append(run)
                if record.life in self.lives:
                    self.lives[record.life].runs.append(run)
            elif isinstance(record, Ended):
                open_runs = running[record.call, record.life, record.pid]
                if open_runs:
                    run = open_runs.pop()
                    run.ended, run.end = record, place
            elif isinstance(record, Answered):
                known = self._call(record.call)
                known.answers.append((place, record))
                if record.outcome == DIED and known.invoked is not None:
                    self.found_dead.setdefault(known.invoked.target, (place, record))
            elif isinstance(record, Born):
                life = self.lives[record.life] = _Life(record, place)
                self.lives_of[record.actor].append(life)
            elif isinstance(record, Created):
                self.created[record.actor] = record
            elif isinstance(record, Saved):
                self.saved[record.actor].append((place, record))
            elif isinstance(record, Left):
                self.left[record.submitter] = record
            if isinstance(record, Begun | Ended) and record.life in self.lives:
                life = self.lives[record.life]
                life.last, life.last_record = place, record

    def _call(self, call: Call) -> _CallHistory:
        found = self.calls.get(call)
        if found is None:
            found = self.calls[call] = _CallHistory(call)
        return found


def find_violations(records: Iterable[Record]) -> list[Violation]:
    """Return the rules that a history breaks; empty for a legal history.

    Args:
        records: The history, in the order in which the records were written. Calls without an answer are open, and may
            have run or not, unless their submitter has left.
    """
    index = _Index(records)
    found: list[Violation] = []
    for call in index.calls.values():
        found += [*_check_runs(index, call), *_check_answers(index, call)]
    for actor, lives in index.lives_of.items():
        found += [*_check_lives(index, actor, lives), *_check_births(index, actor, lives)]
        for life in lives:
            found += [*_check_order(index, life), *_check_state(life)]
    return found


def _check_runs(index: _Index, known: _CallHistory) -> Iterator[Violation]:
    call, runs, invoked = known.call, known.runs, known.invoked
    if runs and (invoked is None or runs[0].start < known.start):
        yield _violation("unknown call", f"{call} has run before it was made.", known)
    if invoked is not None:
        for run in runs:
            life = index.lives.get(run.begun.life)
            if run.begun.life and life is None:
                yield _violation("wrong actor", f"{call} has run in {run.begun.life}, which was not born.", known)
            elif life is not None and life.born.actor != invoked.target:
                text = f"{call} was made to {invoked.target} and has run in {run.begun.life}."
                yield Violation("wrong actor", text, (invoked, life.born, *run.records()))
    if known.retries == 0 and len(runs) > 1:
        yield _violation("at most once", f"{call} has no retries and has run {len(runs)} times.", known)
    elif 0 < known.retries < len(runs) - 1:
        text = f"{call} has {known.retries} retries and has run {len(runs)} times."
        yield _violation("retry budget", text, known)


def _check_answers(index: _Index, known: _CallHistory) -> Iterator[Violation]:
    call, answers = known.call, known.answers
    if len(answers) > 1:
        yield _violation("answered twice", f"{call} has {len(answers)} answers.", known)
    if not answers:
        if known.invoked is not None and call.submitter in index.left:
            yield _violation("no answer", f"{call} has no answer, and its submitter has left.", known)
        return
    place, answer = answers[0]
    if answer.outcome == NOTHING:
        yield _violation("no answer", f"The answer to {call} has not come within the limit.", known)
    elif answer.outcome == UNAVAILABLE and known.invoked is not None:
        lives = index.lives_of.get(known.invoked.target)
        if lives:
            # A retry has gone to a process that was born while the call waited, or has followed an error.
            births = sum(known.start < life.start < place for life in lives)
            errors = sum(run.ended is not None and run.ended.outcome == ERROR for run in known.runs)
            if known.retries < 0 or births + errors < known.retries:
                text = (
                    f"{call} has failed as unavailable after {births} restarts and {errors} errors, "
                    f"with {known.retries} retries."
                )
                yield _violation("gave up early", text, known, [life.born for life in lives])
    elif answer.outcome in (VALUE, ERROR):
        fitting = [run for run in known.runs if run.ended is not None and run.end < place]
        fitting = [run for run in fitting if run.ended is not None and run.ended.outcome == answer.outcome]
        if not fitting:
            text = f"{call} is answered with the {answer.outcome} {answer.value}, and no run has ended so before."
            yield _violation("no run", text, known)
        elif (ended := fitting[-1].ended) is not None and ended.value != answer.value:
            text = f"{call} is answered with the {answer.outcome} {answer.value}; its last run has given {ended.value}."
            yield _violation("wrong value", text, known)
        if any(run.start > place for run in known.runs):
            yield _violation("late run", f"{call} has begun to run after its answer had arrived.", known)


def _check_lives(index: _Index, actor: str, lives: list[_Life]) -> Iterator[Violation]:
    created = index.created.get(actor)
    if created is not None and 0 <= created.max_restarts < len(lives) - 1:
        text = f"{actor} has {created.max_restarts} restarts and was born {len(lives)} times."
        yield Violation("restart budget", text, (created, *(life.born for life in lives)))
    place, answer = index.found_dead.get(actor, (0, None))
    if answer is not None and lives[-1].start > place:
        text = f"{answer.call} was answered as if {actor} had died; {lives[-1].born.life} was born later."
        yield Violation("not dead", text, (answer, lives[-1].born))
    for life, following in pairwise(lives):
        if life.last > following.start and life.last_record is not None:
            text = f"{life.born.life} goes on although {following.born.life} was born."
            yield Violation("two lives", text, (life.born, following.born, life.last_record))


def _check_order(index: _Index, life: _Life) -> Iterator[Violation]:
    last: dict[tuple[str, str], _Run] = {}
    for run in life.runs:
        known = index.calls[run.begun.call]
        if known.invoked is None or known.invoked.lane is None:
            continue
        if any(other.ended is not None and other.ended.outcome == ERROR for other in known.runs if other is not run):
            continue
        key = (known.call.submitter, known.invoked.lane)
        earlier = last.get(key)
        if earlier is not None and earlier.begun.call.number > known.call.number:
            text = f"{known.call} starts in {life.born.life} after {earlier.begun.call}, which was made later."
            yield Violation("order", text, (known.invoked, earlier.begun, run.begun))
        else:
            last[key] = run


def _check_births(index: _Index, actor: str, lives: list[_Life]) -> Iterator[Violation]:
    """Compare the state at each birth with what was saved, and with what the earlier incarnations can have changed."""
    calls: set[str] = set()
    most = 0
    for life in lives:
        state = life.born.state
        saved = [record for place, record in index.saved[actor] if place < life.start]
        if saved and (missing := _missing(state, saved[-1].state)):
            text = f"{life.born.life} does not start from the saved state: {missing} is missing."
            yield Violation("lost state", text, (saved[-1], life.born))
        for record in saved:
            calls.update(record.state if isinstance(record.state, list) else ())
            most = max(most, _size(record.state))
        if _size(state) > most or (isinstance(state, list) and not calls.issuperset(state)):
            text = f"{life.born.life} starts from {state}, which no earlier incarnation can have had as its state."
            births: list[Record] = [other.born for other in lives if other.start <= life.start]
            yield Violation("foreign state", text, tuple(births))
        changes = [str(run.begun.call) for run in life.runs if run.begun.changes]
        calls.update(changes, state if isinstance(state, list) else ())
        most = max(most, _size(state) + len(changes))


def _check_state(life: _Life) -> Iterator[Violation]:
    """Compare the state that each run saw with the changes before it in the same incarnation."""
    base = life.born.state
    changing = [run for run in life.runs if run.begun.changes]
    runs = Counter(str(run.begun.call) for run in changing)
    starts = [run.start for run in changing]
    ends = sorted(run.end for run in changing if run.has_returned())
    for run in life.runs:
        if run.ended is None or run.ended.state is None:
            continue
        state = run.ended.state
        where = f"{run.begun.call} in {life.born.life} saw the state {state}"
        if not isinstance(state, list):
            least = _size(base) + bisect(ends, run.start)
            most = _size(base) + bisect(starts, run.end) - run.begun.changes
            if state < least:
                shown = [other for other in changing if other.has_returned() and other.end < run.start][-3:]
                text = f"{where}; {least} changes had been made before."
                yield Violation("lost state", text, (life.born, *_all_records(shown), *run.records()))
            elif state > most:
                text = f"{where}; at most {most} changes can have been made."
                yield Violation("foreign state", text, (life.born, *run.records()))
            continue
        others = {str(other.begun.call): other for other in changing if other is not run and other.start < run.end}
        surely = {name: other for name, other in others.items() if other.has_returned() and other.end < run.start}
        born_with = base if isinstance(base, list) else []
        missing = [name for name in [*born_with, *surely] if name not in state]
        if missing:
            shown = [other for name, other in surely.items() if name in missing]
            text = f"{where} without {missing}, although the change had been made before."
            yield Violation("lost state", text, (life.born, *_all_records(shown), *run.records()))
        extra = [name for name in state if name not in others and name not in born_with]
        extra += [name for name, times in Counter(state).items() if times > max(runs[name], 1)]
        if extra:
            text = f"{where} with {extra}, which cannot be in it, or not so often."
            yield Violation("foreign state", text, (life.born, *run.records()))


def _size(state: State) -> int:
    return len(state) if isinstance(state, list) else state


def _missing(state: State, saved: State) -> str:
    """Return a text about what of the saved state is missing; empty if nothing is."""
    if isinstance(state, list) and isinstance(saved, list):
        return ", ".join(call for call in saved if call not in state)
    lack = _size(saved) - _size(state)
    return f"{lack} changes" if lack > 0 else ""


def _all_records(runs: Iterable[_Run]) -> list[Record]:
    return [record for run in runs for record in run.records()]


def _violation(rule: str, text: str, known: _CallHistory, more: Iterable[Record] = ()) -> Violation:
    return Violation(rule, text, (*known.records(), *more))
