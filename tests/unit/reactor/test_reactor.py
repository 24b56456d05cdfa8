"""Leader and followers: which thread reads, which one is woken, and what an interrupt must not break."""

from __future__ import annotations

import os
import selectors
import signal
import threading

import pytest

from nbactors.local.reactor import background, guard
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
from nbactors.testing.polling import eventually


@pytest.fixture
def reactor():
    reactor = Reactor("test-io")
    background.start(reactor)
    yield reactor
    reactor.close()


@pytest.fixture
def pipe(reactor):
    """A pipe whose read end finishes the waiters named by the bytes that arrive."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    waiters: dict[int, Waiter] = {}

    def on_ready(mask: int) -> None:
        for number in os.read(read, 100):
            waiters[number].finish()

    reactor.register(read, selectors.EVENT_READ, on_ready)
    yield waiters, lambda number: os.write(write, bytes([number]))
    reactor.unregister(read)
    os.close(read)
    os.close(write)


def test_a_callback_added_with_call_at_last_runs_when_the_reactor_closes(reactor: Reactor) -> None:
    done: list[str] = []
    reactor.call_at_last(3600, lambda: done.append("before"))
    reactor.close()
    assert done == ["before"]
    reactor.call_at_last(3600, lambda: done.append("after"))
    assert done == ["before", "after"]


class Outlet:
    """A target of flushes. A signal handler that polls interrupts the end of its first step."""

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.queued = ["first"]
        self.sent: list[str] = []

    def serve(self) -> bool:
        is_interrupted = not self.sent
        self.sent += self.queued
        self.queued.clear()
        if is_interrupted:
            self.reactor.poll(0)  # by the handler
            self.queued.append("second")  # by another thread
            self.reactor.soon(self)
        return True

    def flush(self) -> None:
        self.serve()


def test_what_is_queued_after_a_handler_has_flushed_goes_out() -> None:
    """The interrupted flush must not take back the request for the next one: the rest would wait for ever."""
    reactor = Reactor("test-io")
    outlet = Outlet(reactor)
    reactor.soon(outlet)
    reactor.poll(0)
    reactor.poll(0)
    reactor.close()
    assert outlet.sent == ["first", "second"]


def test_a_waiting_thread_reads_its_own_reply(reactor, pipe):
    waiters, send = pipe
    for number in range(100):
        waiters[number] = Waiter()
        send(number)
        assert reactor.wait(waiters[number], 5)


def test_a_wait_ends_at_its_timeout(reactor):
    assert not reactor.wait(Waiter(), 0.01)
    assert not reactor.wait(Waiter(), 0)


def test_many_threads_wait_at_the_same_time(reactor, pipe):
    waiters, send = pipe
    for number in range(40):
        waiters[number] = Waiter()
    done: list[int] = []

    def wait(number: int) -> None:
        if reactor.wait(waiters[number], 20):
            done.append(number)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for number in reversed(range(40)):
        send(number)
    for thread in threads:
        thread.join(20)
    assert sorted(done) == list(range(40))


def test_another_thread_can_finish_the_waiter_of_the_leader(reactor):
    for _ in range(200):
        waiter = Waiter()
        thread = threading.Thread(target=waiter.finish)
        thread.start()
        assert reactor.wait(waiter, 5)
        thread.join()


def test_finishing_a_waiter_ends_the_blocking_poll_of_the_leader(reactor):
    waiter = Waiter()

    def finish_when_it_sleeps() -> None:
        eventually(lambda: reactor._sleeping and waiter.led is not None)
        waiter.finish()

    thread = threading.Thread(target=finish_when_it_sleeps)
    thread.start()
    assert reactor.wait(waiter, 10)
    thread.join()


def test_a_thread_that_has_led_before_can_follow_again(reactor):
    def lead(waiter: Waiter) -> threading.Thread:
        thread = threading.Thread(target=reactor.wait, args=(waiter, 10))
        thread.start()
        eventually(lambda: waiter.led is not None)
        return thread

    first, again, other = Waiter(), Waiter(), Waiter()
    leader = lead(first)
    reactor.call_later(0.02, first.finish)
    assert not reactor.wait(again, 0.05), "it is made the leader before its timeout"
    leader.join()
    assert again.led is not None
    leader = lead(other)
    assert not reactor.wait(again, 0.02)
    assert reactor.is_led, "the other thread still leads"
    assert reactor.leader is other
    other.finish()
    leader.join()


def test_callbacks_run_while_no_thread_waits(reactor):
    happened = threading.Event()
    reactor.call_later(0.001, happened.set)
    assert happened.wait(5)
    again = threading.Event()
    reactor.discard(again.set)
    assert again.wait(5)


def test_a_failing_callback_does_not_stop_the_reactor(reactor, capfd):
    def fail() -> None:
        raise ValueError("from a callback")

    reactor.discard(fail)
    after = threading.Event()
    reactor.discard(after.set)
    assert after.wait(5)
    assert "from a callback" in capfd.readouterr().err


def test_a_sigint_ends_the_wait_and_leaves_the_reactor_usable(reactor, pipe):
    waiters, send = pipe
    main = threading.main_thread().ident
    assert main is not None
    for number in range(50):
        waiters[number] = Waiter()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            # On a busy machine the signal comes before the wait.
            reactor.call_later(0.001, lambda: signal.pthread_kill(main, signal.SIGINT))
            reactor.wait(waiters[number], 10)
        send(number)
        assert reactor.wait(waiters[number], 10), "the session is usable right after"


def test_a_wait_inside_a_callback_of_the_leader_leads_in_its_place(reactor, pipe):
    """A signal handler or a finalizer that interrupts the leader may wait like this."""
    waiters, send = pipe
    waiters[1], waiters[2] = Waiter(), Waiter()
    inner: list[bool] = []

    def interrupting() -> None:
        send(2)
        inner.append(reactor.wait(waiters[2], 10))
        send(1)

    reactor.call_later(0, interrupting)
    assert reactor.wait(waiters[1], 10)
    assert inner == [True]


def test_a_result_that_comes_during_an_inner_wait_ends_the_outer_wait(reactor):
    outer = Waiter()

    def interrupting() -> None:
        outer.finish()
        reactor.wait(Waiter(), 0)

    reactor.call_later(0, interrupting)
    assert reactor.wait(outer, 10)


def test_an_asynchronous_exception_ends_the_wait_and_the_leadership(reactor):
    errors = [ValueError("from outside")]
    done: list[str] = []

    def torn() -> None:
        if errors:
            raise errors.pop()
        done.append("torn")

    waiter = Waiter()
    leader = threading.Thread(target=lambda: reactor.wait(waiter, 10))

    def wait() -> None:
        reactor.discard(torn)
        reactor.wait(Waiter(), 10)

    # If the background thread leads, it runs the callback, and the exception is only written to stderr.
    while not done:
        errors[:] = [ValueError("from outside")]
        try:
            wait()
        except ValueError:
            break
    assert done == ["torn"]
    leader.start()
    eventually(lambda: waiter.led is not None)
    waiter.finish()
    leader.join(10)
    assert not leader.is_alive()


class Standing:
    """A host that does nothing but note that the guard has asked it."""

    def __init__(self):
        self.asked = threading.Event()

    def nudge(self):
        pass

    def left(self):
        pass

    def is_idle(self):
        self.asked.set()
        return False


def test_a_host_does_not_displace_the_thread_that_leads(reactor):
    waiter, host = Waiter(), Standing()
    leader = threading.Thread(target=lambda: reactor.wait(waiter, 10))
    leader.start()
    eventually(lambda: waiter.led is not None)
    guard.host(reactor, host)
    assert host.asked.wait(5)
    assert reactor.is_led
    waiter.finish()
    leader.join()


def test_closing_the_reactor_ends_all_waits():
    reactor = Reactor("test-io")
    background.start(reactor)
    waiting = threading.Event()
    results: list[bool] = []

    def wait() -> None:
        waiting.set()
        results.append(reactor.wait(Waiter(), 30))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert waiting.wait(5)
    reactor.close()
    for thread in threads:
        thread.join(5)
    assert results == [False] * 3


# -------------------------------------------------------------------------------------- step by step, without a thread


@pytest.fixture
def quiet():
    """A reactor without a background thread."""
    made = Reactor("test-io")
    yield made
    if not made.closed:
        made.close()


class Output:
    """Something with buffered output.

    Attributes:
        flushed: How often it was flushed in whole.
    """

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.flushed = 0

    def serve(self) -> bool:
        self.flush()
        return True

    def flush(self) -> None:
        if self.errors:
            raise self.errors.pop()
        self.flushed += 1


def test_output_is_flushed_before_the_next_poll(quiet: Reactor) -> None:
    outputs = [Output(), Output()]
    for output in outputs:
        quiet.soon(output)
    assert quiet.visit()
    quiet.visit()
    assert [output.flushed for output in outputs] == [1, 1]


def test_an_exception_from_outside_in_a_flush_is_raised_and_no_output_is_lost(quiet: Reactor) -> None:
    torn, other = Output(LookupError("from outside")), Output()
    quiet.soon(torn)
    quiet.soon(other)
    with pytest.raises(LookupError, match="from outside"):
        quiet.visit()
    quiet.visit()
    assert torn.flushed >= 1
    assert other.flushed == 1


def test_a_flush_that_fails_by_itself_is_told_and_stops_no_other(
    quiet: Reactor, capfd: pytest.CaptureFixture[str]
) -> None:
    class Failing(Output):
        def flush(self) -> None:
            raise LookupError("of the flush")

    other = Output()
    quiet.soon(Failing())
    quiet.soon(other)
    quiet.visit()
    assert other.flushed == 1
    assert "of the flush" in capfd.readouterr().err


def test_a_visit_does_not_disturb_the_leader(quiet: Reactor) -> None:
    visits: list[bool] = []
    quiet.discard(lambda: visits.append(quiet.visit()))
    assert quiet.visit()
    assert visits == [False]


def test_catch_up_runs_waiting_actions(quiet: Reactor) -> None:
    done: list[int] = []
    quiet.discard(lambda: done.append(1))
    quiet.catch_up()
    assert done == [1]


def test_catch_up_waits_for_the_thread_that_leads(quiet: Reactor) -> None:
    done: list[int] = []
    waiter = Waiter()
    leader = threading.Thread(target=quiet.wait, args=(waiter, 10))
    leader.start()
    eventually(lambda: waiter.led is not None)
    quiet.discard(lambda: done.append(1))
    quiet.catch_up()
    assert done == [1]
    waiter.finish()
    leader.join(10)


def test_an_unknown_descriptor_may_be_unregistered(quiet: Reactor) -> None:
    before = dict(quiet._selector.get_map())
    quiet.unregister(12345)
    assert dict(quiet._selector.get_map()) == before


def test_a_wait_in_a_forked_child_returns_at_once(quiet: Reactor) -> None:
    quiet.leader = Waiter()  # the parent's, whose thread is not in the child
    pipe = quiet._bell._reader, quiet._bell._writer
    quiet.forget()
    assert not quiet.wait(Waiter(), 30)
    assert quiet.leader is None
    quiet._selector.close()
    for fd in pipe:  # the copies, which are left to the child's end
        os.close(fd)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None], ids=["ignored", "no-exception"])
def test_a_wait_continues_after_a_signal_without_an_exception(quiet: Reactor, handler: object) -> None:
    before = signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]
    try:
        waiter = Waiter()
        quiet.discard(lambda: signal.raise_signal(signal.SIGINT))
        quiet.call_later(0.001, waiter.finish)
        assert quiet.wait(waiter, 10)
        quiet.discard(lambda: signal.raise_signal(signal.SIGINT))
        assert not quiet.wait(Waiter(), 0)
    finally:
        signal.signal(signal.SIGINT, before)
