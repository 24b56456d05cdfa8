"""What becomes of a child that a method has forked: the hooks are called here as `os.fork` calls them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nbactors.local.worker.jobs.hosted import Hosted
from nbactors.local.worker.printing.output_pipes import OutputPipes
from nbactors.local.worker.running import forked
from nbactors.local.worker.running.forked import ForkHooks


class Exited(BaseException):
    """Raised where the process would end."""


class Performer:
    def deliver(self, job: Any, result: Any) -> None:
        raise AssertionError("the parent's")

    refuse = raised = deliver


class Answers:
    def give(self, job: Any, result: Any) -> None:
        raise AssertionError("the parent's")

    give_yielded = end_stream = refuse = send = fail = fail_canceled = give


class Hooks:
    """The registered hooks of one worker.

    Attributes:
        given_back: How often signals were given back.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        registered: dict[str, Callable[[], None]] = {}
        # Functions that are registered once are called at every fork of this process.
        monkeypatch.setattr(os, "register_at_fork", lambda **hooks: registered.update(hooks))
        self.hosted, self.performer, self.answers = Hosted(), Performer(), Answers()
        self.output = OutputPipes(lambda *_: None, lambda: None)
        self.output.keep(os.pipe())
        self.given_back = 0
        ForkHooks(self.hosted, self.performer, self.answers, self.output, self._give_back).register()
        self.before = registered["before"]
        self.in_parent = registered["after_in_parent"]
        self.in_child = registered["after_in_child"]

    def _give_back(self) -> None:
        assert signal.SIGTERM in blocked()  # a signal that comes now must not find the parent's handlers
        self.given_back += 1


def blocked() -> set[Any]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses with which processes would have ended."""
    found: list[int] = []

    def leave(status: int) -> None:
        found.append(status)
        raise Exited("ended")

    monkeypatch.setattr(os, "_exit", leave)
    return found


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch, statuses: list[int]) -> Iterator[Hooks]:
    made = Hooks(monkeypatch)
    yield made
    made.output.forget()


@pytest.fixture
def child(hooks: Hooks) -> Hooks:
    """The worker's parts, in a child."""
    hooks.before()
    hooks.in_child()
    return hooks


@pytest.fixture(autouse=True)
def _signals_unblocked() -> Iterator[None]:
    before = blocked()
    yield
    assert blocked() == before


def test_signals_are_blocked_until_parent_and_child_have_handlers_of_their_own(hooks: Hooks) -> None:
    hooks.before()
    assert {signal.SIGTERM, signal.SIGINT} <= blocked()
    hooks.in_parent()
    assert hooks.given_back == 0
    hooks.before()
    hooks.in_child()
    assert hooks.given_back == 1


def test_the_read_ends_of_the_output_stay_with_the_parent(hooks: Hooks) -> None:
    (_, ends), *_ = hooks.output.readers()
    hooks.before()
    hooks.in_child()
    assert hooks.output.readers() == []
    for descriptor in ends:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_signals_that_the_user_has_blocked_stay_blocked(hooks: Hooks) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    hooks.before()
    hooks.in_parent()
    assert signal.SIGTERM in blocked()
    assert signal.SIGINT not in blocked()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


@pytest.mark.parametrize("name", ["give", "give_yielded", "end_stream", "refuse", "send"])
def test_a_child_that_would_answer_exits(child: Hooks, statuses: list[int], name: str) -> None:
    with pytest.raises(Exited, match="ended"):
        getattr(child.answers, name)(None, 5)
    assert statuses == [0]


def test_a_child_whose_method_has_returned_exits(child: Hooks, statuses: list[int]) -> None:
    with pytest.raises(Exited, match="ended"):
        child.performer.deliver(None, 5)
    with pytest.raises(Exited, match="ended"):
        child.performer.refuse(None, 5)
    assert statuses == [0, 0]


def test_a_child_whose_constructor_has_returned_exits(child: Hooks, statuses: list[int]) -> None:
    with pytest.raises(Exited, match="ended"):
        child.hosted.made.set()
    assert statuses == [0]


@pytest.mark.parametrize("name", ["fail", "fail_canceled"])
def test_a_child_that_has_raised_prints_it_and_exits(
    child: Hooks, statuses: list[int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exited, match="ended"):
        getattr(child.answers, name)(None, LookupError("no such thing"))
    assert statuses == [1]
    assert capsys.readouterr().err == "LookupError: no such thing\n"


@pytest.mark.parametrize(
    ("code", "status", "printed"), [(None, 0, ""), (0, 0, ""), (3, 3, ""), ("why", 1, "why\n"), ((), 1, "()\n")]
)
def test_a_child_that_has_called_sys_exit_exits_with_its_code(
    child: Hooks, statuses: list[int], code: Any, status: int, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exited, match="ended"):
        child.performer.raised(None, SystemExit(code))
    assert statuses == [status]
    assert capsys.readouterr().err == printed


def test_a_coroutine_that_gives_control_back_ends_the_child_and_says_why(
    hooks: Hooks, statuses: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    class Calls:
        end: Callable[[], None]
        paused = False

        def pause(self) -> None:
            self.paused = True

        def leave_loop(self, end: Callable[[], None]) -> None:
            self.end = end  # type: ignore[method-assign]

    calls = Calls()
    hooks.hosted.calls = calls  # type: ignore[assignment]
    hooks.before()
    hooks.in_child()
    with pytest.raises(Exited, match="ended"):
        calls.end()
    assert statuses == [1]
    assert "the event loop is the actor's own" in capsys.readouterr().err


def test_output_is_flushed_and_a_closed_stream_does_not_matter(
    statuses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []

    class Open:
        def flush(self) -> None:
            flushed.append("flushed")

    class Closed:
        def flush(self) -> None:
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(sys, "stderr", Open())
    with pytest.raises(Exited, match="ended"):
        forked.leave(4)
    assert (statuses, flushed) == ([4], ["flushed"])


def test_each_thread_that_forks_gets_its_own_mask_back(hooks: Hooks) -> None:
    masks: list[bool] = []

    def fork() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        hooks.before()
        hooks.in_parent()
        masks.append(signal.SIGTERM in blocked())

    hooks.before()
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    hooks.in_parent()
    assert masks == [True]
    assert signal.SIGTERM not in blocked()
