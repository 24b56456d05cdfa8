"""Failed calls whose errors no code reads: what is told of them, and when."""

from __future__ import annotations

from typing import Any

import pytest
from members import Session, settle

from nbactors import exceptions
from nbactors.frontend.sink import DROPPED, HELD, READ, UnreadError
from nbactors.frontend.unread_printer import VARIABLE, UnreadPrinter
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting.arguments import Arguments, prepare
from nbactors.local.submitting.pending_call import PendingCall, make_call
from nbactors.local.wire import failures
from nbactors.local.wire.cancel_mode import CancelMode

TRACE = 'Traceback (most recent call last):\n  File "loader.py", line 3, in bad\nValueError: x'
BAD = failures.encode_task_error("Loader.bad", TRACE, ValueError("x"), 7)
CELL = 12


@pytest.fixture
def told(session: Session) -> list[tuple[str, str]]:
    """What a session is told: the name of each call's exception, and what has become of the error."""
    events: list[tuple[str, str]] = []
    session.objects.unread.tell = lambda error, state: events.append((error.kind, state))
    return events


def call_of(session: Session, num_returns: int = 1) -> tuple[PendingCall, list[Any]]:
    """Return a call from a cell, and the references to its results."""
    number = next(session.numbers)
    call, result = make_call(session.objects, number, num_returns, None, None, None)
    call.origin = 1 << 32 | CELL
    return call, result if num_returns > 1 else [result]


def failed(session: Session, data: bytes = BAD, num_returns: int = 1) -> list[Any]:
    """Return the references to the results of a call that has failed."""
    call, refs = call_of(session, num_returns)
    call.fail(data)
    settle(session)
    return refs


def test_an_error_is_dropped_with_its_last_reference(session: Session, told: list[Any]) -> None:
    refs = failed(session)
    assert told == [("ValueError", HELD)]
    refs.clear()
    settle(session)
    assert told == [("ValueError", HELD), ("ValueError", DROPPED)]


def test_the_results_of_one_call_have_one_error(session: Session, told: list[Any]) -> None:
    refs = failed(session, num_returns=3)
    del refs[0]
    settle(session)
    assert told == [("ValueError", HELD)]
    refs.clear()
    settle(session)
    assert told == [("ValueError", HELD), ("ValueError", DROPPED)]


@pytest.mark.parametrize(
    "read",
    [
        lambda session, ref: session.get(ref),
        lambda session, ref: session.objects.waiting.get([session.put(1), ref], None),
        lambda session, ref: ref.result(),
        lambda session, ref: ref.future().result(),
    ],
)
def test_an_error_that_was_raised_is_read(session: Session, told: list[Any], read: Any) -> None:
    refs = failed(session)
    with pytest.raises(ValueError, match="x"):
        read(session, refs[0])
    refs.clear()
    settle(session)
    assert told == [("ValueError", HELD), ("ValueError", READ)]


def test_an_exception_that_was_asked_for_is_read(session: Session, told: list[Any]) -> None:
    assert isinstance(failed(session)[0].exception(), ValueError)
    settle(session)
    assert told == [("ValueError", HELD), ("ValueError", READ)]


def test_what_a_get_has_asked_for_counts_as_read_though_it_fails_later(session: Session, told: list[Any]) -> None:
    refs, (late, kept) = failed(session), call_of(session)
    with pytest.raises(ValueError, match="x"):
        session.objects.waiting.get([*refs, *kept], None)
    late.fail(BAD)
    settle(session)
    refs.clear()
    kept.clear()
    settle(session)
    assert [state for _, state in told] == [HELD, READ, HELD, READ]


def test_the_error_of_an_argument_becomes_the_error_of_the_call(session: Session, told: list[Any]) -> None:
    refs = failed(session)
    arguments = prepare(session.objects.values, tuple(refs), {})
    assert isinstance(arguments, Arguments)
    assert arguments.failure() is refs[0]._entry
    settle(session)
    assert told == [("ValueError", HELD), ("ValueError", READ)]


def test_a_wait_reads_nothing(session: Session, told: list[Any]) -> None:
    refs = failed(session)
    session.objects.waiting.wait(refs, 1, None)
    refs.clear()
    settle(session)
    assert told[-1] == ("ValueError", DROPPED)


def test_an_outcome_that_comes_a_second_time_is_not_told_again(session: Session, told: list[Any]) -> None:
    refs = failed(session)
    with pytest.raises(ValueError, match="x"):
        session.get(refs[0])
    refs[0]._entry.resolve(BAD, error=True)
    refs.clear()
    settle(session)
    assert [state for _, state in told] == [HELD, READ]


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (exceptions.WorkerCrashedError("gone"), True),
        (exceptions.OutOfMemoryError("much"), True),
        (exceptions.CallTimeoutError("aa", "running", 1.0), True),
        (exceptions.ActorDiedError("gone", b"a" * 16, "crashed"), False),
        (exceptions.ActorDiedError("gone", b"a" * 16, "killed"), False),
        (exceptions.ActorDiedError("gone", b"a" * 16, "creation_failed"), False),
        (exceptions.TaskCancelledError("aa"), False),
        (exceptions.RaySystemError("shut down"), False),
    ],
)
def test_of_the_runtime_s_errors_those_are_told_that_the_user_cannot_know(
    session: Session, told: list[Any], error: BaseException, is_told: bool
) -> None:
    refs = failed(session, failures.encode(error))
    refs.clear()
    settle(session)
    assert [kind for kind, _ in told] == [type(error).__name__] * (2 if is_told else 0)


@pytest.mark.parametrize(
    ("mode", "count"), [(CancelMode.INTERRUPT, 0), (CancelMode.CANCEL, 0), (CancelMode.TIMEOUT, 1)]
)
def test_a_call_that_the_user_has_cancelled_may_raise_anything(
    session: Session, told: list[Any], mode: CancelMode, count: int
) -> None:
    call, refs = call_of(session)
    call.canceled = mode
    call.fail(BAD)
    settle(session)
    assert len(told) == count
    assert refs


def test_an_object_without_a_call_has_no_unread_error(session: Session, told: list[Any]) -> None:
    Entry(session.objects, next(session.numbers)).resolve(BAD, error=True)
    settle(session)
    assert told == []


@pytest.mark.parametrize(
    ("variable", "option", "count"), [("1", None, 0), ("1", False, 1), ("", True, 0), ("", None, 1)]
)
def test_reports_are_turned_off_by_a_variable_or_an_option(
    session: Session, told: list[Any], monkeypatch: pytest.MonkeyPatch, variable: str, option: bool | None, count: int
) -> None:
    monkeypatch.setenv(VARIABLE, variable)
    session.objects.unread.is_ignored = option
    refs = failed(session)
    assert len(told) == count
    assert refs


class TestPrinter:
    def test_each_kind_is_printed_whole_once(self, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
        printer = UnreadPrinter(session.reactor.call_later)
        error = UnreadError(0, "A.bad", "ValueError", "ValueError: x", "Traceback (most recent call last):\nVal", 7)
        for number in range(3):
            printer.take(error._replace(error=f"ValueError: {number}"), DROPPED)
        printer.take(error, HELD)
        printer.flush()
        head = "Unhandled error in 3 calls (suppress with 'RAY_IGNORE_UNHANDLED_ERRORS=1'): "
        assert capsys.readouterr().err == f"{head}ray::A.bad() (pid=7)\nVal\n"
        printer.take(error, DROPPED)
        printer.flush()
        last = capsys.readouterr().err.rstrip()
        assert last.startswith("Unhandled error in 1 more call (")
        assert last.endswith("ValueError: x (in A.bad)")

    def test_an_error_of_the_runtime_names_the_call(self, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
        printer = UnreadPrinter(session.reactor.call_later)
        printer.take(UnreadError(0, "work", "WorkerCrashedError", "…", "WorkerCrashedError: gone"), DROPPED)
        printer.flush()
        assert capsys.readouterr().err.endswith("=1'): work: WorkerCrashedError: gone\n")
