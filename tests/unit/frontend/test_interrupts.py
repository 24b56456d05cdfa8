"""Where SIGINT is raised: in the user's code, and never in the runtime's."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from nbactors.engine.base import Engine
from nbactors.frontend.interrupts import INTERRUPTS, Interrupts
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
from nbactors.pickling import pickling


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


class Interrupting:
    """Interrupts whoever pickles it: the user's code, called by the runtime."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        interrupt()
        return Interrupting, ()


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    INTERRUPTS.install()
    yield INTERRUPTS
    INTERRUPTS.due = False
    INTERRUPTS.remove()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_user_code_is_interrupted(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        interrupt()
    assert not interrupts.due


def test_user_code_called_by_the_runtime_is_interrupted(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        pickling.dumps(Interrupting())


def test_the_runtime_is_not_interrupted_but_the_user_code_after_it(interrupts: Interrupts) -> None:
    reactor = Reactor("test")
    seen: list[bool] = []

    def serve() -> bool:
        interrupt()
        seen.append(interrupts.due)
        return True

    class Output:
        pass

    output = Output()
    output.serve = serve  # type: ignore[attr-defined]
    reactor.dirty.append(output)  # type: ignore[arg-type]
    raised = threading.Event()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        try:
            reactor._settle()
            raised.wait(20)
        finally:
            reactor.close()
    assert seen == [True], "it went on to its end first"


def test_a_due_interrupt_is_raised_by_the_next_verb(interrupts: Interrupts) -> None:
    interrupts.due = True
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        interrupts.raise_due()
    interrupts.raise_due()


def test_another_thread_does_not_raise_a_due_interrupt(interrupts: Interrupts) -> None:
    interrupts.due = True
    thread = threading.Thread(target=interrupts.raise_due)
    thread.start()
    thread.join()
    assert interrupts.due


def test_an_interrupt_ends_a_wait(interrupts: Interrupts) -> None:
    reactor = Reactor("test")
    waiter = Waiter()
    threading.Timer(0.01, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        reactor.wait(waiter, 20)
    assert interrupts.sleeper is None
    assert not reactor.is_led
    reactor.close()


def test_a_handler_that_does_not_raise_lets_the_wait_go_on() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    INTERRUPTS.install()
    reactor, waiter = Reactor("test"), Waiter()
    timers = [threading.Timer(0.01, os.kill, [os.getpid(), signal.SIGINT]), threading.Timer(0.05, waiter.finish)]
    for timer in timers:
        timer.start()
    try:
        assert reactor.wait(waiter, 20)
        assert heard == [signal.SIGINT]
    finally:
        for timer in timers:
            timer.join()
        reactor.close()
        INTERRUPTS.remove()
        signal.signal(signal.SIGINT, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    INTERRUPTS.install()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, before)


def test_no_wait_of_the_user_passes_a_frame_that_keeps_interrupts_out() -> None:
    """A session on a cluster waits outside of the rooms whose code no signal tears: it has to wait as before."""
    assert {"get", "get_one", "wait"} <= Engine.__abstractmethods__
