"""A session and a worker that the test plays, tied to each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from members import Session, acting_as, settle, tied
from played_worker import PlayedWorker

from nbactors.local.objects import values, waiting
from nbactors.local.submitting import actor_link, pending_call, replies, task_queue, tasks
from nbactors.speedups import compiled


@pytest.fixture(autouse=True, params=["python"] if compiled is None else ["python", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are made, sent and answered by the steps in Python, and by the compiled part."""
    if request.param == "python":
        do_in_python(monkeypatch)


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have calls made, sent and answered by the steps in Python, which a test may interrupt anywhere."""
    do_in_python(monkeypatch)


def do_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no case be the usual one."""
    for module, name in (
        (actor_link, "submit"),
        (pending_call, "begin"),
        (pending_call, "go_out"),
        (task_queue, "send_tasks"),
        (tasks, "submit_task"),
        (replies, "settle"),
        (replies, "tell_answered"),
        (values, "load_atom"),
        (waiting, "load_atoms"),
    ):
        monkeypatch.setattr(module, name, None)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session without a thread of its own."""
    return Session(tmp_path, in_background=False)


@pytest.fixture
def worker(session: Session, tmp_path: Path) -> Iterator[PlayedWorker]:
    """A worker that the session can reach."""
    made = PlayedWorker(tmp_path)
    with tied(session, made), acting_as(session):
        yield made


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals that would have been sent: (process, signal). None is sent."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


@pytest.fixture
def workers(session: Session, worker: PlayedWorker, tmp_path: Path) -> Iterator[list[PlayedWorker]]:
    """Three workers that the session can reach; `worker` is the first."""
    others = [PlayedWorker(tmp_path) for _ in range(2)]
    session.others.update({each.process_id: each for each in others})
    yield [worker, *others]
    settle(session, *others)
    for each in others:
        each.leave()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions of the compiled part that have met the usual case."""
    met: list[str] = []

    def watch(module: Any, name: str) -> None:
        function = getattr(compiled, name)

        def run(*args: Any) -> Any:
            result = function(*args)
            met.extend([name] * (result if type(result) is int else result not in (None, False)))
            return result

        monkeypatch.setattr(module, name, run)

    watch(actor_link, "submit")
    watch(pending_call, "go_out")
    watch(task_queue, "send_tasks")
    watch(tasks, "submit_task")
    watch(replies, "settle")
    return met
