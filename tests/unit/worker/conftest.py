"""Fixtures of the tests of workers."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import ASYNC, KINDS, THREADED, WAIT_S, Scene, scene_of, stage

from nbactors.local.submitting import task_queue
from nbactors.local.submitting.construction import Concurrency


@pytest.fixture(autouse=True)
def _empty_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with an empty stage. The atexit functions are the test process's own: a graceful end only notes them."""
    stage.clear()
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: stage.log.append("atexit"))


@pytest.fixture(autouse=True)
def _signals_given_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    after = {number: signal.getsignal(number) for number in before}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A worker for tasks, or for an actor that runs its calls one by one on the main thread."""
    with scene_of(tmp_path) as made:
        yield made


@pytest.fixture
def threaded(tmp_path: Path) -> Iterator[Scene]:
    """A worker for an actor that runs four calls at the same time, on threads."""
    with scene_of(tmp_path, THREADED) as made:
        yield made


@pytest.fixture
def on_loop(tmp_path: Path) -> Iterator[Scene]:
    """A worker for an asyncio actor that runs four calls at the same time."""
    with scene_of(tmp_path, ASYNC) as made:
        yield made


@pytest.fixture(params=KINDS)
def each(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A worker for an actor of each kind in turn: plain, threaded, asyncio."""
    with scene_of(tmp_path, KINDS[request.param]) as made:
        yield made


@pytest.fixture
def groups(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A worker for an actor with the concurrency that the test is parametrized with."""
    concurrency: Concurrency = request.param
    with scene_of(tmp_path, concurrency) as made:
        yield made


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that sends tasks ahead as soon as one has returned, and keeps its lease, however slow the machine."""
    monkeypatch.setattr(task_queue, "SHORT_S", WAIT_S)
    monkeypatch.setattr(task_queue, "LINGER_S", WAIT_S)
    monkeypatch.setattr(task_queue, "RENEW_S", WAIT_S)
