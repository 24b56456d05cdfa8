"""Histories of a small model of the runtime: a legal history has no violation, and a spoiled one has."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from nbactors.testing.records import (
    CANCELLED,
    ERROR,
    UNAVAILABLE,
    VALUE,
    Answered,
    Begun,
    Born,
    Call,
    Created,
    Ended,
    Invoked,
    Killed,
    Left,
    Record,
    Saved,
)
from nbactors.testing.rules import find_violations

replace = msgspec.structs.replace


class Model:
    """Submitters and one ordered actor that restarts, which write a legal history.

    A call waits in `queue`. The actor runs one call after another, and may crash at any moment.
    """

    def __init__(self, seed: int, max_retries: int, is_list: bool, checkpoints: bool) -> None:
        self.random = random.Random(seed)
        self.max_retries = max_retries
        self.is_list = is_list
        self.checkpoints = checkpoints
        self.history: list[Record] = [Created(actor="a", max_restarts=-1)]
        self.queue: list[Invoked] = []
        self.budget: dict[Call, int] = {}
        self.numbers = {"x": 0, "y": 0}
        self.births = 0
        self.saved: list[str] = []
        self.bear()

    def state(self, names: list[str]) -> int | list[str]:
        return list(names) if self.is_list else len(names)

    def bear(self) -> None:
        self.births += 1
        self.life = f"a{self.births}"
        self.names = list(self.saved)
        self.history.append(Born(actor="a", life=self.life, state=self.state(self.names)))

    def submit(self) -> None:
        submitter = self.random.choice("xy")
        retries = self.random.choice([0, self.max_retries])
        invoked = Invoked(call=Call(submitter, self.numbers[submitter]), target="a", retries=retries)
        self.numbers[submitter] += 1
        self.budget[invoked.call] = retries
        self.queue.append(invoked)
        self.history.append(invoked)

    def answer(self, call: Call, outcome: str, value: str = "") -> None:
        self.history.append(Answered(call=call, outcome=outcome, value=value))

    def crash(self) -> None:
        """End the process. All calls that wait were sent to it: they need a retry."""
        self.history.append(Killed(victim=1))
        for invoked in list(self.queue):
            if self.budget[invoked.call] == 0:
                self.queue.remove(invoked)
                self.answer(invoked.call, UNAVAILABLE)
            else:
                self.budget[invoked.call] -= 1
        self.bear()

    def run(self) -> None:
        if not self.queue:
            return
        call = self.queue[0].call
        changes = self.random.random() < 0.7
        self.history.append(Begun(call=call, life=self.life, changes=changes))
        if self.random.random() < 0.1:
            self.crash()
            return
        seen = self.state(self.names)
        outcome = ERROR if self.random.random() < 0.1 else VALUE
        if changes and (outcome == VALUE or self.random.random() < 0.5):
            self.names.append(str(call))
        ended = Ended(call=call, life=self.life, outcome=outcome, value=f"{call} {len(self.names)}", state=seen)
        self.history.append(ended)
        if self.random.random() < 0.05:
            self.crash()
            return
        self.queue.pop(0)
        self.answer(call, outcome, ended.value)

    def cancel(self) -> None:
        if self.queue:
            self.answer(self.queue.pop(self.random.randrange(len(self.queue))).call, CANCELLED)

    def save(self) -> None:
        if self.checkpoints:
            self.saved = list(self.names)
            self.history.append(Saved(actor="a", state=self.state(self.saved)))

    def play(self, steps: int) -> list[Record]:
        kinds = [self.submit, self.run, self.crash, self.cancel, self.save]
        for _ in range(steps):
            self.random.choices(kinds, [10, 10, 1, 1, 1])[0]()
        while self.queue:
            self.run()
        return [*self.history, Left(submitter="x"), Left(submitter="y")]


histories = st.builds(
    lambda seed, retries, is_list, checkpoints, steps: Model(seed, retries, is_list, checkpoints).play(steps),
    st.integers(0, 2**32),
    st.sampled_from([0, 1, 2, -1]),
    st.booleans(),
    st.booleans(),
    st.integers(5, 80),
)


@settings(deadline=None, max_examples=150)
@given(histories)
def test_a_legal_history_has_no_violation(history: list[Record]) -> None:
    assert [str(violation) for violation in find_violations(history)] == []


@settings(deadline=None, max_examples=50)
@given(histories, st.integers(0, 10**6))
def test_the_beginning_of_a_legal_history_has_no_violation(history: list[Record], length: int) -> None:
    assert find_violations(history[: length % len(history)]) == []


def is_answered(history: list[Record], record: Record) -> bool:
    """Whether a record is the end of a run whose value or error is the answer of its call."""
    return isinstance(record, Ended) and any(
        isinstance(other, Answered)
        and (other.call, other.outcome, other.value) == (record.call, record.outcome, record.value)
        for other in history
    )


def is_value(record: Record) -> bool:
    return isinstance(record, Answered) and record.outcome in (VALUE, ERROR)


def is_last_of_its_kind(history: list[Record], place: int) -> bool:
    record = history[place]
    return not any(type(other) is type(record) and other.call == record.call for other in history[place + 1 :])  # type: ignore[union-attr]


Spoil = Callable[[list[Record], int], list[Record] | None]


def lose_answer(history: list[Record], place: int) -> list[Record] | None:
    if isinstance(history[place], Answered):
        return history[:place] + history[place + 1 :]
    return None


def answer_twice(history: list[Record], place: int) -> list[Record] | None:
    if isinstance(history[place], Answered):
        return [*history, history[place]]
    return None


def change_value(history: list[Record], place: int) -> list[Record] | None:
    record = history[place]
    if isinstance(record, Answered) and is_value(record):
        return [*history[:place], replace(record, value="another"), *history[place + 1 :]]
    return None


def lose_run(history: list[Record], place: int) -> list[Record] | None:
    record = history[place]
    if is_answered(history, record) and is_last_of_its_kind(history, place):
        assert isinstance(record, Ended)
        return [other for other in history if not (isinstance(other, Begun | Ended) and other.call == record.call)]
    return None


def run_late(history: list[Record], place: int) -> list[Record] | None:
    """Run an answered call again, in the last incarnation."""
    record = history[place]
    if isinstance(record, Answered) and is_value(record):
        life = next(other.life for other in reversed(history) if isinstance(other, Born))
        return [*history, Begun(call=record.call, life=life)]
    return None


def run_in_an_earlier_life(history: list[Record], place: int) -> list[Record] | None:
    lives = [record.life for record in history if isinstance(record, Born)]
    record = history[place]
    if (
        isinstance(record, Begun)
        and record.life != lives[0]
        and lives[0] in [other.life for other in history if isinstance(other, Begun)]
    ):
        return [replace(other, life=lives[0]) if other == record else other for other in history]
    return None


def lose_call(history: list[Record], place: int) -> list[Record] | None:
    record = history[place]
    if isinstance(record, Begun):
        return [other for other in history if not (isinstance(other, Invoked) and other.call == record.call)]
    return None


def lose_change(history: list[Record], place: int) -> list[Record] | None:
    """Let a run see one change less. Not where a failed run makes the state uncertain."""
    record = history[place]
    if not isinstance(record, Ended) or not record.state:
        return None
    if any(isinstance(other, Ended) and other.outcome == ERROR for other in history):
        return None
    state = record.state[:-1] if isinstance(record.state, list) else record.state - 1
    return [*history[:place], replace(record, state=state), *history[place + 1 :]]


def add_change(history: list[Record], place: int) -> list[Record] | None:
    record = history[place]
    if not isinstance(record, Ended) or record.state is None:
        return None
    if any(isinstance(other, Ended) and other.outcome == ERROR for other in history):
        return None
    state = [*record.state, "x/9999"] if isinstance(record.state, list) else record.state + 1
    return [*history[:place], replace(record, state=state), *history[place + 1 :]]


def swap_order(history: list[Record], place: int) -> list[Record] | None:
    """Let two calls that one submitter has made one after the other change their numbers when they are made."""
    record = history[place]
    if not isinstance(record, Begun):
        return None
    runs = [other for other in history if isinstance(other, Begun) and other.life == record.life]
    later = [other for other in runs[runs.index(record) + 1 :] if other.call.submitter == record.call.submitter]
    failed = {other.call for other in history if isinstance(other, Ended) and other.outcome == ERROR}
    if not later or later[0].call == record.call or failed & {record.call, later[0].call}:
        return None
    first, second = record.call, later[0].call
    names = {first: second, second: first}

    def swapped(other: Record) -> Record:
        if isinstance(other, Invoked | Begun | Ended | Answered) and other.call in names:
            return replace(other, call=names[other.call])
        return other

    return [swapped(other) for other in history]


SPOILS: list[Spoil] = [
    lose_answer,
    answer_twice,
    change_value,
    lose_run,
    run_late,
    run_in_an_earlier_life,
    lose_call,
    lose_change,
    add_change,
    swap_order,
]


@settings(deadline=None, max_examples=150)
@given(histories, st.sampled_from(SPOILS), st.integers(0, 10**6))
def test_a_spoiled_history_has_a_violation(history: list[Record], spoil: Spoil, start: int) -> None:
    for offset in range(len(history)):
        spoiled = spoil(history, (start + offset) % len(history))
        if spoiled is not None:
            assert find_violations(spoiled)
            return
