"""`Running`: how a host stops its calls."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from nbactors.cluster.host.call import Call
from nbactors.cluster.host.interrupt_signal import INTERRUPT
from nbactors.cluster.host.running import Running, Stop, Stopped
from nbactors.exceptions import CallTimeoutError


def call(number: int) -> Call:
    return Call("method", (), 0, "", "Class.method", number=number.to_bytes(24, "little"))


@pytest.fixture
def running() -> Iterator[Running]:
    before = signal.getsignal(INTERRUPT)
    running = Running()
    running.listen()
    yield running
    signal.signal(INTERRUPT, before)


def test_a_call_that_was_stopped_before_it_began_never_begins(running: Running) -> None:
    assert running.stop(call(1).number, Stop()) == "queued"
    with pytest.raises(Stopped, match="Stop") as raised:
        running.begin(call(1))
    assert raised.value.stop == Stop()
    assert running.stop(call(1).number, Stop()) == "ended"


def test_a_limit_of_time_has_its_own_error(running: Running) -> None:
    running.stop(call(1).number, Stop(True, 0.5))
    with pytest.raises(Stopped, match="Stop") as raised:
        running.begin(call(1))
    error = raised.value.stop.error("12", "queued")
    assert isinstance(error, CallTimeoutError)
    assert "still queued after the 0.5 s" in str(error)


def test_an_interrupt_ends_a_sleep(running: Running) -> None:
    begun = running.begin(call(1))
    answers: list[str] = []
    other = threading.Thread(target=lambda: answers.append(running.stop(call(1).number, Stop(interrupts=True))))
    with pytest.raises(KeyboardInterrupt, match="was cancelled"):
        other.start()
        time.sleep(60)
    other.join()
    assert answers == ["running"]
    assert begun.stop == Stop(interrupts=True)
    running.end(begun)
    assert running.stop(call(1).number, Stop(True)) == "ended"


def test_a_running_call_goes_on_unless_it_is_to_be_interrupted(running: Running) -> None:
    begun = running.begin(call(1))
    assert running.stop(call(1).number, Stop()) == "running"
    running.end(begun)
    assert begun.stop == Stop()
    assert not begun.is_struck


def test_an_interrupt_reaches_python_code_on_another_thread(running: Running) -> None:
    has_begun = threading.Event()
    caught: list[bool] = []

    def run() -> None:
        begun = running.begin(call(1))
        has_begun.set()
        end = time.monotonic() + 60
        try:
            while time.monotonic() < end:
                time.sleep(0.001)
        except KeyboardInterrupt:
            caught.append(begun.is_struck)
        running.end(begun)

    other = threading.Thread(target=run)
    other.start()
    assert has_begun.wait(10)
    assert running.stop(call(1).number, Stop(interrupts=True)) == "running"
    other.join(10)
    assert caught == [True]


def test_a_call_that_goes_on_gets_a_second_interrupt(running: Running) -> None:
    begun = running.begin(call(1))
    other = threading.Thread(target=lambda: running.stop(call(1).number, Stop(interrupts=True)))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt, match="was cancelled"):
            if not begun.is_struck:
                other.start()
            time.sleep(60)
    other.join()
    running.end(begun)
    assert begun.is_struck


def test_a_plain_method_on_an_event_loop_is_interrupted(running: Running) -> None:
    begun = running.begin(call(1), task=object(), loop=object())
    running.open_plain(begun)
    other = threading.Thread(target=lambda: running.stop(call(1).number, Stop(interrupts=True)))
    with pytest.raises(KeyboardInterrupt, match="was cancelled"):
        other.start()
        time.sleep(60)
    other.join()
    running.end(begun)
    assert begun.is_struck


def test_a_call_is_deaf_after_two_interrupts(running: Running) -> None:
    begun = running.begin(call(1))
    assert running.why_deaf(call(1).number) == ""
    begun.strikes = 2
    assert "ignored two interrupts" in running.why_deaf(call(1).number)
    running.end(begun)
    assert running.why_deaf(call(1).number) == ""


def test_an_interrupt_reaches_no_later_call(running: Running) -> None:
    first = running.begin(call(1))
    running.end(first)
    assert running.stop(call(1).number, Stop(interrupts=True)) == "ended"
    second = running.begin(call(2))
    running.end(second)
    assert second.stop is None
