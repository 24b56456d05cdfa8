"""Each rule of a history: legal histories that it accepts, and histories that it has to reject."""

from __future__ import annotations

from typing import Any

import pytest

from nbactors.testing.records import (
    CANCELLED,
    DIED,
    ERROR,
    FAILED,
    NOTHING,
    STOPPED,
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
    decode,
    encode,
)
from nbactors.testing.rules import find_violations

FIRST = Born(actor="a", life="a1")
SECOND = Born(actor="a", life="a2")


def call(number: int, submitter: str = "main") -> Call:
    return Call(submitter, number)


def made(number: int, submitter: str = "main", target: str = "a", **more: Any) -> Invoked:
    return Invoked(call=call(number, submitter), target=target, **more)


def begun(number: int, life: str = "a1", submitter: str = "main", **more: Any) -> Begun:
    return Begun(call=call(number, submitter), life=life, **more)


def ended(number: int, life: str = "a1", submitter: str = "main", **more: Any) -> Ended:
    return Ended(call=call(number, submitter), life=life, **{"value": str(number), **more})


def ran(number: int, life: str = "a1", submitter: str = "main", **more: Any) -> list[Record]:
    return [begun(number, life, submitter), ended(number, life, submitter, **more)]


def changed(number: int, state: Any, life: str = "a1") -> list[Record]:
    return [begun(number, life, changes=True), ended(number, life, state=state)]


def answered(number: int, outcome: str = VALUE, value: str | None = None, submitter: str = "main") -> Answered:
    return Answered(call=call(number, submitter), outcome=outcome, value=str(number) if value is None else value)


def rules(*history: Any) -> list[str]:
    """The rules that are broken, each with records that show it."""
    records = [record for part in history for record in (part if isinstance(part, list) else [part])]
    found = find_violations(records)
    for violation in found:
        assert violation.records
        assert set(violation.records) <= {*records} if not _has_lists(records) else violation.records
        assert str(violation).startswith(f"{violation.rule}: ")
    return [violation.rule for violation in found]


def _has_lists(records: list[Record]) -> bool:
    return any(isinstance(getattr(record, "state", None), list) for record in records)


def test_a_history_of_nothing_is_legal() -> None:
    assert rules() == []


def test_calls_that_run_once_and_in_order_are_legal() -> None:
    assert rules(FIRST, made(0), made(1), ran(0), ran(1), answered(0), answered(1), Left(submitter="main")) == []


@pytest.mark.parametrize("outcome", [CANCELLED, UNAVAILABLE, DIED, FAILED])
@pytest.mark.parametrize("runs", [[], [begun(0)], ran(0)], ids=["not run", "begun", "run"])
def test_a_call_that_fails_may_have_run_or_not(outcome: str, runs: list[Record]) -> None:
    assert rules(FIRST, made(0), runs, answered(0, outcome)) == []


def test_a_violation_tells_what_has_happened_with_its_records() -> None:
    (violation,) = find_violations([FIRST, made(0, method="add"), *ran(0), *ran(0)])
    text, *lines = str(violation).splitlines()
    assert text == "at most once: main/0 has no retries and has run 2 times."
    assert [line.partition(": ")[2] for line in lines] == [
        "main/0 is made: a.add, retries=0",
        "main/0 begins in a1",
        "main/0 ends in a1 with value 0",
        "main/0 begins in a1",
        "main/0 ends in a1 with value 0",
    ]


class TestRuns:
    def test_a_call_without_retries_runs_twice(self) -> None:
        assert rules(FIRST, made(0), ran(0), ran(0)) == ["at most once"]

    def test_a_call_without_retries_runs_again_after_a_restart(self) -> None:
        assert rules(FIRST, made(0), begun(0), SECOND, ran(0, "a2"), answered(0)) == ["at most once"]

    def test_a_task_without_retries_runs_twice(self) -> None:
        assert rules(made(0, target="task"), ran(0, ""), ran(0, "")) == ["at most once"]

    @pytest.mark.parametrize("retries", [1, 2, -1])
    def test_a_call_with_a_retry_may_run_twice(self, retries: int) -> None:
        assert rules(FIRST, made(0, retries=retries), begun(0), SECOND, ran(0, "a2"), answered(0)) == []

    def test_a_call_runs_more_often_than_its_retries(self) -> None:
        third = Born(actor="a", life="a3")
        runs = [begun(0), SECOND, begun(0, "a2"), third, begun(0, "a3")]
        assert rules(FIRST, made(0, retries=1), runs) == ["retry budget"]
        assert rules(FIRST, made(0, retries=2), runs) == []

    def test_a_call_that_nobody_has_made(self) -> None:
        assert rules(FIRST, ran(0)) == ["unknown call"]

    def test_a_call_that_runs_before_it_was_made(self) -> None:
        assert rules(FIRST, begun(0), made(0), ended(0)) == ["unknown call"]

    def test_a_call_that_runs_in_another_actor(self) -> None:
        assert rules(Born(actor="b", life="b1"), made(0), ran(0, "b1")) == ["wrong actor"]

    def test_a_call_that_runs_in_an_actor_that_was_not_born(self) -> None:
        assert rules(made(0), ran(0)) == ["wrong actor"]


class TestAnswers:
    def test_a_value_without_a_run(self) -> None:
        assert rules(FIRST, made(0), answered(0)) == ["no run"]

    def test_a_value_of_a_run_that_has_not_ended(self) -> None:
        assert rules(FIRST, made(0), begun(0), answered(0), ended(0)) == ["no run"]

    def test_a_value_of_a_run_that_has_raised(self) -> None:
        assert rules(FIRST, made(0), ran(0, outcome=ERROR), answered(0)) == ["no run"]

    def test_an_error_of_a_run_that_has_returned(self) -> None:
        assert rules(FIRST, made(0), ran(0), answered(0, ERROR)) == ["no run"]

    def test_the_value_of_a_run_that_was_stopped(self) -> None:
        assert rules(FIRST, made(0), ran(0, outcome=STOPPED), answered(0)) == ["no run"]
        assert rules(FIRST, made(0), ran(0, outcome=STOPPED), answered(0, CANCELLED)) == []

    @pytest.mark.parametrize("outcome", [VALUE, ERROR])
    def test_what_the_run_has_given(self, outcome: str) -> None:
        history = [FIRST, made(0), *ran(0, outcome=outcome, value="7")]
        assert rules(history, answered(0, outcome, "7")) == []
        assert rules(history, answered(0, outcome, "8")) == ["wrong value"]

    def test_the_value_of_the_run_before_the_restart(self) -> None:
        runs = [*ran(0, value="1"), SECOND, *ran(0, "a2", value="2")]
        assert rules(FIRST, made(0, retries=1), runs, answered(0, value="2")) == []
        assert rules(FIRST, made(0, retries=1), runs, answered(0, value="1")) == ["wrong value"]

    def test_a_run_after_the_answer(self) -> None:
        history = [FIRST, made(0, retries=-1), *ran(0), answered(0), SECOND]
        assert rules(history, ran(0, "a2")) == ["late run"]

    def test_a_late_run_of_a_call_that_was_given_up_is_legal(self) -> None:
        assert rules(FIRST, made(0), answered(0, UNAVAILABLE), ran(0)) == []

    def test_two_answers(self) -> None:
        assert rules(FIRST, made(0), ran(0), answered(0), answered(0)) == ["answered twice"]
        assert rules(FIRST, made(0), ran(0), answered(0), answered(0, DIED)) == ["answered twice"]

    def test_no_answer_within_the_limit(self) -> None:
        assert rules(FIRST, made(0), ran(0), answered(0, NOTHING)) == ["no answer"]

    def test_no_answer_though_the_submitter_has_left(self) -> None:
        assert rules(FIRST, made(0), ran(0), Left(submitter="main")) == ["no answer"]

    def test_the_calls_of_a_killed_submitter_are_open(self) -> None:
        other = made(0, "other")
        history = [
            FIRST,
            other,
            made(0),
            made(1),
            *ran(0),
            Killed(victim=7),
            answered(0, submitter="other", outcome=DIED),
        ]
        assert rules(history, Left(submitter="other")) == []


class TestRetries:
    def test_a_call_that_has_used_its_retry_may_fail(self) -> None:
        history = [FIRST, made(0, retries=1), begun(0), SECOND, begun(0, "a2")]
        assert rules(history, answered(0, UNAVAILABLE)) == []

    @pytest.mark.parametrize("retries", [1, -1])
    def test_a_call_that_fails_with_a_retry_left(self, retries: int) -> None:
        assert rules(FIRST, made(0, retries=retries), begun(0), answered(0, UNAVAILABLE), SECOND) == ["gave up early"]

    def test_an_error_may_have_used_the_retry(self) -> None:
        history = [FIRST, made(0, retries=1), *ran(0, outcome=ERROR), begun(0)]
        assert rules(history, answered(0, UNAVAILABLE)) == []

    def test_the_death_of_the_actor_ends_all_retries(self) -> None:
        assert rules(FIRST, made(0, retries=-1), begun(0), answered(0, DIED)) == []


class TestOrder:
    def test_calls_out_of_order(self) -> None:
        assert rules(FIRST, made(0), made(1), ran(1), ran(0)) == ["order"]

    def test_calls_of_two_submitters_have_no_order(self) -> None:
        assert rules(FIRST, made(0), made(0, "b"), made(1), ran(0, submitter="b"), ran(0), ran(1)) == []
        assert rules(FIRST, made(1), made(0, "b"), ran(1), ran(0, submitter="b")) == []

    def test_calls_of_two_lanes_have_no_order(self) -> None:
        assert rules(FIRST, made(0, lane="io"), made(1), ran(1), ran(0)) == []

    def test_calls_without_a_lane_have_no_order(self) -> None:
        assert rules(FIRST, made(0, lane=None), made(1, lane=None), ran(1), ran(0)) == []

    def test_a_gap_is_legal(self) -> None:
        assert rules(FIRST, made(0), made(1), made(2), ran(0), ran(2)) == []

    def test_a_restart_begins_with_the_calls_that_were_cut_off(self) -> None:
        history = [FIRST, *(made(number, retries=1) for number in range(3)), *ran(0), begun(1), SECOND]
        assert rules(history, ran(0, "a2"), ran(1, "a2"), ran(2, "a2")) == []
        assert rules(history, ran(2, "a2"), ran(1, "a2")) == ["order"]

    def test_a_call_that_has_raised_may_run_again_after_later_ones(self) -> None:
        history = [FIRST, made(0, retries=1), made(1), *ran(0, outcome=ERROR), *ran(1)]
        assert rules(history, ran(0), answered(0)) == []


class TestLives:
    def test_a_process_that_goes_on_after_the_next_one_was_born(self) -> None:
        assert rules(FIRST, made(0), SECOND, ran(0)) == ["two lives"]
        assert rules(FIRST, made(0), begun(0), SECOND, ended(0)) == ["two lives"]

    def test_an_actor_may_be_born_as_often_as_it_has_restarts(self) -> None:
        assert rules(Created(actor="a", max_restarts=1), FIRST, SECOND) == []
        assert rules(Created(actor="a", max_restarts=-1), FIRST, SECOND) == []

    def test_an_actor_that_has_died_is_not_born_again(self) -> None:
        assert rules(FIRST, made(0), SECOND, answered(0, DIED)) == []
        assert rules(FIRST, made(0), answered(0, DIED), SECOND) == ["not dead"]

    def test_an_actor_that_is_born_too_often(self) -> None:
        assert rules(Created(actor="a"), FIRST, SECOND) == ["restart budget"]


class TestState:
    """A state is the number of changes, or the list of the calls that have made them."""

    @pytest.mark.parametrize("states", [[0, 1], [[], ["main/0"]]], ids=["number", "list"])
    def test_each_run_sees_the_changes_before(self, states: list[Any]) -> None:
        birth = Born(actor="a", life="a1", state=states[0])
        assert rules(birth, made(0), made(1), changed(0, states[0]), changed(1, states[1])) == []

    @pytest.mark.parametrize("states", [[0, 0], [[], []]], ids=["number", "list"])
    def test_a_change_is_lost(self, states: list[Any]) -> None:
        birth = Born(actor="a", life="a1", state=states[0])
        assert rules(birth, made(0), made(1), changed(0, states[0]), changed(1, states[1])) == ["lost state"]

    @pytest.mark.parametrize("state", [1, ["main/1"], ["other/0"]], ids=["number", "own", "other"])
    def test_a_change_is_there_that_nobody_has_made(self, state: Any) -> None:
        birth = Born(actor="a", life="a1", state=[] if isinstance(state, list) else 0)
        assert rules(birth, made(0), made(1), changed(0, state)) == ["foreign state"]

    def test_a_change_is_there_twice(self) -> None:
        birth = Born(actor="a", life="a1", state=[])
        history = [birth, made(0), made(1), *changed(0, [])]
        assert rules(history, changed(1, ["main/0", "main/0"])) == ["foreign state"]

    @pytest.mark.parametrize("state", [0, 1, [], ["main/0"]])
    def test_a_run_that_goes_on_may_have_changed_the_state_or_not(self, state: Any) -> None:
        birth = Born(actor="a", life="a1", state=[] if isinstance(state, list) else 0)
        history = [birth, made(0, lane=None), made(1, lane=None), begun(0, changes=True), *changed(1, state)]
        assert rules(history) == []

    @pytest.mark.parametrize("state", [0, 1])
    def test_a_run_that_has_raised_may_have_changed_the_state_or_not(self, state: int) -> None:
        failed = [begun(0, changes=True), ended(0, outcome=ERROR)]
        assert rules(FIRST, made(0), made(1), failed, changed(1, state)) == []

    def test_a_run_that_reads_changes_nothing(self) -> None:
        assert rules(FIRST, made(0), made(1), ran(0, state=0), ran(1, state=0)) == []
        assert rules(FIRST, made(0), made(1), ran(0, state=0), ran(1, state=1)) == ["foreign state"]

    def test_a_new_process_begins_with_the_constructors_state(self) -> None:
        history = [FIRST, made(0), made(1), *changed(0, 0), SECOND]
        assert rules(history, changed(1, 0, "a2")) == []
        assert rules(history, changed(1, 1, "a2")) == ["foreign state"]

    def test_a_new_process_begins_with_the_saved_state(self) -> None:
        history = [FIRST, made(0), made(1), *changed(0, 0), Saved(actor="a", state=1)]
        assert rules(history, Born(actor="a", life="a2", state=1), changed(1, 1, "a2")) == []
        assert rules(history, Born(actor="a", life="a2", state=0)) == ["lost state"]
        assert rules(history, Born(actor="a", life="a2", state=2)) == ["foreign state"]

    def test_a_new_process_begins_with_the_saved_list(self) -> None:
        birth = Born(actor="a", life="a1", state=[])
        history = [birth, made(0), made(1), *changed(0, []), Saved(actor="a", state=["main/0"])]
        assert rules(history, Born(actor="a", life="a2", state=["main/0"]), changed(1, ["main/0"], "a2")) == []
        assert rules(history, Born(actor="a", life="a2", state=[])) == ["lost state"]
        assert rules(history, Born(actor="a", life="a2", state=["main/0", "main/1"])) == ["foreign state"]


class TestFile:
    RECORDS = (
        Created(actor="a", max_restarts=-1),
        Born(actor="a", life="a1", state=["main/0"]),
        Saved(actor="a", state=3),
        Killed(victim=7, what="worker"),
        made(0, lane=None, method="add"),
        begun(0, changes=True),
        ended(0, state=2),
        answered(0, ERROR, "ValueError: «ü»"),
        Left(submitter="main"),
    )

    def test_records_are_read_as_they_were_written(self) -> None:
        data = b"".join(encode(record) for record in self.RECORDS)
        assert decode(data.splitlines()) == [*self.RECORDS]

    def test_the_piece_of_a_record_that_a_killed_process_leaves_is_left_out(self) -> None:
        whole = encode(made(1))
        for length in range(len(whole)):
            data = encode(made(0)) + whole[:length] + encode(made(2))
            expected = [made(0), *([made(1)] if length == len(whole) - 1 else []), made(2)]
            assert decode(data.splitlines()) == expected
