"""The members that other unit tests are made with: a session and a worker in one process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from members import Session, Worker, tied


class Counter:
    def __init__(self, value: int) -> None:
        self.value = value

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def fail(self) -> None:
        raise LookupError("no such thing")

    def thread(self) -> int:
        return threading.get_ident()


def test_a_call_runs_on_the_main_thread_and_comes_back(tmp_path: Path) -> None:
    session, worker = Session(tmp_path), Worker(tmp_path)
    with tied(session, worker):
        counter = session.create(worker, Counter, 5)
        assert worker.serve(lambda: session.get(session.call(counter, "add", 1))) == 6
        assert worker.status == 0


def test_a_task_runs_in_the_worker_that_the_test_grants(tmp_path: Path) -> None:
    session, worker = Session(tmp_path), Worker(tmp_path)

    def body() -> int:
        ref = session.submit(threading.get_ident)
        worker.grant(session)
        return session.get(ref)  # type: ignore[no-any-return]

    with tied(session, worker):
        assert worker.serve(body) == threading.get_ident()


def test_what_the_body_raises_comes_out_of_serve(tmp_path: Path) -> None:
    session, worker = Session(tmp_path), Worker(tmp_path)
    with tied(session, worker):
        counter = session.create(worker, Counter, 5)
        with pytest.raises(LookupError, match="no such thing"):
            worker.serve(lambda: session.get(session.call(counter, "fail")))
