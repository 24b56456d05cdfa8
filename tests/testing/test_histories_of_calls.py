"""What processes record, and how answers are named."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

import nbactors as ray
from nbactors import exceptions
from nbactors.testing import History, HistoryError, outcome_of
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
    Ended,
    Invoked,
    describe,
)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history")


def test_a_history_without_a_record_is_legal(history: History) -> None:
    history.check()
    assert history.records() == []


def test_calls_and_runs_are_recorded_in_order(history: History) -> None:
    life = history.born("adder")
    submitter = history.submitter("main")
    call = submitter.invoke("adder", "add", retries=1)
    with life.run(call, changes=True) as run:
        run.saw(0)
        assert run.returns(5) == 5
    assert submitter.take(call, lambda: 5) == 5
    submitter.leave()
    history.check()
    _, invoked, begun, ended, answered, _ = history.records()
    assert isinstance(invoked, Invoked)
    assert (invoked.call, invoked.target, invoked.retries, invoked.pid) == (call, "adder", 1, os.getpid())
    assert isinstance(begun, Begun)
    assert (begun.call, begun.life, begun.changes) == (call, life.id, True)
    assert isinstance(ended, Ended)
    assert (ended.call, ended.outcome, ended.value, ended.state) == (call, VALUE, "5", 0)
    assert isinstance(answered, Answered)
    assert (answered.call, answered.outcome, answered.value) == (call, VALUE, "5")


def test_check_tells_each_violation(history: History) -> None:
    submitter = history.submitter("main")
    calls = [submitter.invoke("adder") for _ in range(7)]
    for call in calls:
        submitter.answer(call, VALUE, 5)
    with pytest.raises(HistoryError, match=r"(?s)^7 violations in .*no run: main/0 is .* main/4 is .*and 2 more$"):
        history.check()


@pytest.mark.parametrize(("error", "outcome"), [(ValueError("no"), ERROR), (KeyboardInterrupt(), STOPPED)])
def test_a_run_that_raises_is_recorded_and_its_exception_goes_on(
    history: History, error: BaseException, outcome: str
) -> None:
    call = history.submitter("main").invoke("task")
    with pytest.raises(type(error), match=r"^(no)?$"), history.run(call):
        raise error
    ended = history.records()[-1]
    assert isinstance(ended, Ended)
    assert ended.outcome == outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (exceptions.RayTaskError("f", "", ValueError("no")), ERROR),
        (exceptions.RayTaskError("f", "", exceptions.ActorDiedError()).as_instanceof_cause(), ERROR),
        (exceptions.ActorDiedError(), DIED),
        (exceptions.ActorUnavailableError("it restarts", b"1" * 16), UNAVAILABLE),
        (exceptions.WorkerCrashedError(), UNAVAILABLE),
        (exceptions.TaskCancelledError(), CANCELLED),
        (exceptions.RayTaskError("f", "", exceptions.TaskCancelledError()).as_instanceof_cause(), CANCELLED),
        (exceptions.GetTimeoutError(), NOTHING),
        (exceptions.ObjectLostError("0" * 56, "", ""), FAILED),
        (ValueError(), FAILED),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_exception_of_get_has_an_outcome(error: Exception, outcome: str) -> None:
    assert outcome_of(error) == outcome


def test_a_long_value_is_named_by_its_beginning_and_a_digest() -> None:
    first, second = describe(b"x" * 10_000), describe(b"x" * 9_999 + b"y")
    assert first != second
    assert len(first) < 300


def test_a_history_can_be_passed_to_another_process(history: History) -> None:
    call = history.submitter("main").invoke("task")
    other, same = pickle.loads(pickle.dumps((history, call)))
    with other.run(same):
        pass
    assert history.violations() == []
    assert len(history.records()) == 3


def test_threads_do_not_tear_each_others_records(history: History) -> None:
    def submit(name: str) -> None:
        submitter = history.submitter(name)
        for _ in range(100):
            submitter.invoke("task", "x" * 2_000)

    threads = [threading.Thread(target=submit, args=(str(index),)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [record.call for record in history.records() if isinstance(record, Invoked)]
    assert len(numbers) == 400
    for name in "0123":
        assert [call.number for call in numbers if call.submitter == name] == list(range(100))


WRITER = """
import sys
from nbactors.testing import History
submitter = History(sys.argv[1]).submitter("main")
for number in range(10**9):
    submitter.invoke("task", "x" * 3_000)
    print(number, flush=True)
"""


def test_a_killed_process_loses_no_record(history: History) -> None:
    command = [sys.executable, "-c", WRITER, history.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()) as writer:
        assert writer.stdout is not None
        seen = [writer.stdout.readline() for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
        seen += writer.stdout.readlines()
    written = [record.call.number for record in history.records() if isinstance(record, Invoked)]
    assert written == list(range(len(written)))
    assert len(written) >= int(seen[-1]) + 1


@pytest.mark.slow
def test_an_actor_that_restarts_keeps_the_rules(history: History) -> None:
    class Adder:
        def __init__(self, history: History) -> None:
            self.life = history.born("adder")
            self.changes = 0

        def add(self, call: object, crash: bool) -> int:
            with self.life.run(call, changes=True) as run:  # type: ignore[arg-type]
                run.saw(self.changes)
                self.changes += 1
                if crash:
                    os.kill(os.getpid(), signal.SIGKILL)
                return run.returns(self.changes)

    ray.init(num_cpus=1)
    history.created("adder", max_restarts=1)
    adder = ray.remote(Adder).options(max_restarts=1, max_task_retries=1).remote(history)
    submitter = history.submitter("main")
    calls = [submitter.invoke("adder", "add", retries=retries) for retries in (1, 0, 1)]
    refs = [
        adder.add.options(max_task_retries=0 if call is calls[1] else 1).remote(call, call is calls[1])
        for call in calls
    ]
    values = [submitter.take(call, partial(ray.get, ref, timeout=30)) for call, ref in zip(calls, refs, strict=True)]
    submitter.leave()
    del adder
    ray.shutdown()
    history.check()
    assert values == [1, None, 1]
    assert sum(isinstance(record, Born) for record in history.records()) == 2
