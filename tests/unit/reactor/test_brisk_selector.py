"""When the selector spins instead of sleeping."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import select
import selectors
import socket
from collections.abc import Callable, Iterator
from time import monotonic

import pytest

from nbactors.local.reactor import brisk_selector
from nbactors.local.reactor.brisk_selector import (
    AGAIN_S,
    GLANCE_S,
    PUSHED_ASIDE_S,
    REST_S,
    SPIN_S,
    BriskLoopSelector,
    BriskSelector,
)
from nbactors.speedups import compiled

LONG_S = 5 * SPIN_S
NEVER_S = 30.0


class Pipe:
    """A pipe that the selector watches."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def write(self) -> None:
        os.write(self._writer, b"x")

    def read(self) -> None:
        os.read(self.reader, 1)

    def close(self) -> None:
        os.close(self.reader)
        os.close(self._writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture(autouse=True)
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have selectors spin by the steps in Python, where a test can act between two of them."""
    monkeypatch.setattr(brisk_selector, "compiled", None)


@pytest.fixture(params=["with two processors"])
def selector(request: pytest.FixtureRequest, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> Iterator[BriskSelector]:
    processors = 2 if request.param == "with two processors" else 1
    monkeypatch.setattr(brisk_selector, "_processors", lambda: processors)
    with BriskSelector() as selector:
        selector.register(pipe.reader, selectors.EVENT_READ)
        yield selector


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Run an action whenever the selector yields the processor between two polls."""
    return lambda action: monkeypatch.setattr(brisk_selector, "_give_way", action)


TICK_S = 2.0**-20
"""A microsecond that sums up without rounding, whatever the time since the machine's start is."""


@pytest.fixture
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the selector's clock stand nearly still: a busy machine may take the processor away in any wait."""
    times = itertools.count(monotonic(), TICK_S)
    monkeypatch.setattr(brisk_selector, "monotonic", lambda: next(times))


def wait_shortly(selector: BriskSelector, pipe: Pipe) -> None:
    """Wait for an event that is there already, until such a wait was short on this machine, too."""
    for _ in range(1000):
        pipe.write()
        assert selector.select_briskly(NEVER_S)
        pipe.read()
        if selector._is_brisk or not selector._may_spin:
            return


def pass_time(seconds: float) -> None:
    until = monotonic() + seconds
    while monotonic() < until:
        pass


@pytest.mark.usefixtures("no_time_passes")
def test_the_selector_spins_after_a_short_wait(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    between_looks(pipe.write)
    assert [key.fd for key, _ in selector.select_briskly(NEVER_S)] == [pipe.reader]


@pytest.mark.usefixtures("no_time_passes")
def test_the_selector_keeps_spinning_while_waits_are_short(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    between_looks(pipe.write)
    for _ in range(10):
        assert selector.select_briskly(NEVER_S)
        pipe.read()


def test_the_first_wait_does_not_spin(selector, between_looks):
    looks: list[int] = []
    between_looks(lambda: looks.append(1))
    assert selector.select_briskly(LONG_S) == []
    assert not looks


def test_the_selector_does_not_spin_after_a_long_wait(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    looks: list[int] = []
    between_looks(lambda: looks.append(1))
    assert selector.select_briskly(LONG_S) == []
    assert looks
    looks.clear()
    assert selector.select_briskly(LONG_S) == []
    assert not looks


def test_a_wait_with_a_short_timeout_does_not_spin(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    between_looks(pipe.write)
    assert selector.select_briskly(0) == []


def test_a_wait_that_spins_ends_at_its_timeout(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    between_looks(lambda: None)
    began = monotonic()
    assert selector.select_briskly(LONG_S) == []
    assert LONG_S <= monotonic() - began < NEVER_S


def test_the_selector_stops_spinning_while_another_process_keeps_the_processor(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    between_looks(lambda: pass_time(2 * PUSHED_ASIDE_S))
    assert selector.select_briskly(LONG_S) == []
    wait_shortly(selector, pipe)
    looks: list[int] = []
    between_looks(lambda: looks.append(1))
    assert selector.select_briskly(LONG_S) == []
    assert not looks


def test_the_selector_sleeps_at_once_when_it_was_pushed_aside(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    looks: list[int] = []

    def push_aside() -> None:
        looks.append(1)
        pass_time(1.1 * PUSHED_ASIDE_S)

    between_looks(push_aside)
    assert selector.select_briskly(LONG_S) == []
    assert len(looks) == 1


def test_the_selector_rests_longer_each_time_that_it_is_pushed_aside_again(selector):
    rests, now = [], 100.0
    for _ in range(8):
        selector._rest(now)
        rests.append(selector._rests_until - now)
        now = selector._rests_until + REST_S / 2
    assert rests == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2])
    now += 2 * AGAIN_S
    selector._rest(now)
    assert selector._rests_until - now == pytest.approx(REST_S)


def rest(selector: BriskSelector) -> None:
    """Have the selector rest, after a short wait."""
    selector._rests_until = monotonic() + NEVER_S
    selector._is_brisk = selector._may_spin


def count_looks(selector: BriskSelector, monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Return a list of the timeouts of the polls to come."""
    looks: list[float | None] = []

    def look(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        looks.append(timeout)
        return BriskSelector.look(selector, timeout)

    monkeypatch.setattr(selector, "look", look)
    return looks


@pytest.mark.usefixtures("no_time_passes")
def test_a_selector_that_rests_glances_and_does_not_give_way(selector, pipe, between_looks, monkeypatch):
    rest(selector)
    between_looks(lambda: pytest.fail("it gives way"))
    looks = count_looks(selector, monkeypatch)
    assert selector.select_briskly(LONG_S) == []
    assert set(looks[:-1]) == {0}
    assert looks[-1] > 0
    assert 2 <= len(looks) <= 1 + math.ceil(GLANCE_S / TICK_S)


@pytest.mark.usefixtures("no_time_passes")
@pytest.mark.parametrize("first", [1, 3])
def test_a_glance_finds_what_comes_meanwhile(selector, pipe, monkeypatch, first: int):
    rest(selector)
    looks = itertools.count(1)

    def look(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if next(looks) == first:
            pipe.write()
        return BriskSelector.look(selector, timeout)

    monkeypatch.setattr(selector, "look", look)
    assert selector.select_briskly(NEVER_S)
    assert selector.found_at_once == (first == 1)


def test_after_glances_that_find_nothing_ever_more_waits_are_without_one(selector, pipe, monkeypatch):
    looks = count_looks(selector, monkeypatch)

    def glances() -> bool:
        rest(selector)
        looks.clear()
        assert selector.select_briskly(2 * SPIN_S) == []
        return len(looks) > 1

    skipped = [next(n for n in itertools.count() if glances()) for _ in range(9)]
    assert skipped == [0, 1, 2, 4, 8, 16, 32, 64, 64]
    selector._skips = 0
    pipe.write()
    rest(selector)
    assert selector.select_briskly(NEVER_S)
    pipe.read()
    assert [next(n for n in itertools.count() if glances()) for _ in range(3)] == [0, 1, 2]


def test_the_selector_does_not_glance_after_a_long_wait(selector, pipe, monkeypatch):
    rest(selector)
    assert selector.select_briskly(LONG_S) == []
    looks = count_looks(selector, monkeypatch)
    selector._skips = 0
    assert selector.select_briskly(LONG_S) == []
    assert len(looks) == 1


@pytest.mark.parametrize("selector", ["with one processor"], indirect=True)
def test_the_selector_never_glances_on_one_processor(selector, pipe, monkeypatch):
    wait_shortly(selector, pipe)
    rest(selector)
    looks = count_looks(selector, monkeypatch)
    assert selector.select_briskly(LONG_S) == []
    assert len(looks) == 1


@pytest.mark.parametrize("selector", ["with one processor"], indirect=True)
def test_the_selector_never_spins_on_one_processor(selector, pipe, between_looks):
    wait_shortly(selector, pipe)
    looks: list[int] = []
    between_looks(lambda: looks.append(1))
    assert selector.select_briskly(LONG_S) == []
    assert not looks


def test_the_selector_of_an_event_loop_spins_too(pipe, between_looks, monkeypatch):
    monkeypatch.setattr(brisk_selector, "_processors", lambda: 2)
    with BriskLoopSelector() as selector:
        selector.register(pipe.reader, selectors.EVENT_READ)
        wait_shortly(selector, pipe)
        between_looks(pipe.write)
        assert selector.select(NEVER_S)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll")
@pytest.mark.parametrize("point", ["before", "after"])
def test_a_change_that_a_handler_interrupts_with_another_one_leaves_both_records_alike(point: str) -> None:
    ours, theirs = socket.socketpair()
    selector = BriskSelector()
    both = selectors.EVENT_READ | selectors.EVENT_WRITE
    selector.register(ours.fileno(), selectors.EVENT_READ)
    poller = selector._poller

    class Interrupted:
        def modify(self, fd: int, events: int) -> None:
            selector._poller = selector._selector = poller
            if point == "after":
                poller.modify(fd, events)
            selector.modify(fd, both)
            selector.modify(fd, selectors.EVENT_READ)
            if point == "before":
                poller.modify(fd, events)

    selector._poller = selector._selector = Interrupted()  # type: ignore[attr-defined, assignment]
    selector.modify(ours.fileno(), both)
    selector.modify(ours.fileno(), both)
    assert [mask for _, mask in selector.look(0)] == [selectors.EVENT_WRITE]
    selector.modify(ours.fileno(), selectors.EVENT_READ)
    assert selector.look(0) == []
    selector.close()
    ours.close()
    theirs.close()


def test_what_is_not_watched_cannot_be_changed() -> None:
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    selector = BriskSelector()
    with pytest.raises(KeyError, match=str(fd)):
        selector.modify(fd, selectors.EVENT_READ)
    selector.register(fd, selectors.EVENT_READ)
    ours.close()
    with pytest.raises(OSError, match=r"Bad file descriptor|No such file"):
        selector.modify(fd, selectors.EVENT_WRITE)
    assert fd not in selector.get_map()
    selector.close()
    with pytest.raises(KeyError, match=str(fd)):
        selector.modify(fd, selectors.EVENT_READ)
    theirs.close()


@pytest.mark.parametrize("form", ["compiled", "in Python"])
def test_a_child_that_renews_its_selector_polls_by_one_of_its_own(
    pipe: Pipe, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "compiled":
        monkeypatch.setattr(brisk_selector, "compiled", compiled)
    with BriskSelector() as selector:
        selector.register(pipe.reader, selectors.EVENT_READ, "data")
        child = os.fork()
        if not child:
            selector.renew()
            pipe.write()
            found = [(key.fd, key.data, mask) for key, mask in selector.look(NEVER_S)]
            pipe.read()
            is_silent = not selector.look(0)
            selector.unregister(pipe.reader)
            os._exit(0 if is_silent and found == [(pipe.reader, "data", selectors.EVENT_READ)] else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert not selector.look(0)
        pipe.write()
        assert [key.data for key, _ in selector.look(NEVER_S)] == ["data"], "the child has unregistered its own only"


class NotInherited:
    """Like a kqueue of Python 3.10 or 3.11: forked children have its object, but not its descriptor."""

    def __init__(self) -> None:
        self._number = os.open(os.devnull, os.O_RDONLY)

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        number, self._number = self._number, -1
        if number >= 0:
            with contextlib.suppress(OSError):
                os.close(number)

    __del__ = close


def test_a_selector_that_is_renewed_stays_open_though_its_number_was_free() -> None:
    with BriskSelector() as selector:
        selector._selector.close()
        selector._selector = NotInherited()
        os.close(selector._selector.fileno())  # as a fork does in the child
        selector.renew()
        assert os.fstat(selector._selector.fileno()), "the end of the former object has not closed it"
