"""A bell ends a poll, however often it is rung, and whoever has closed it."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from nbactors.local.reactor.bell import Bell


@pytest.fixture
def bell() -> Iterator[Bell]:
    made = Bell()
    yield made
    made.close()


def rings(bell: Bell) -> bool:
    """Return whether who polls the bell is woken."""
    return bool(select.select([bell.fileno()], [], [], 0)[0])


def test_a_bell_rings_until_still(bell: Bell) -> None:
    assert not rings(bell)
    bell.ring()
    bell.ring()
    assert rings(bell)
    bell.still()
    assert not rings(bell)


def test_a_silent_bell_may_be_made_still(bell: Bell) -> None:
    bell.still()
    assert not rings(bell)


def test_a_bell_with_a_full_pipe_may_be_rung(bell: Bell) -> None:
    os.set_blocking(bell._writer, False)
    while True:
        try:
            os.write(bell._writer, bytes(4096))
        except BlockingIOError:
            break
    bell.ring()
    assert rings(bell)


def test_a_closed_bell_may_be_rung_and_closed_again(bell: Bell) -> None:
    assert bell.is_open
    bell.close()
    assert not bell.is_open
    bell.ring()
    bell.close()


def test_a_forked_child_does_not_wake_the_parent(bell: Bell) -> None:
    reader, writer = bell._reader, bell._writer
    bell.forget()
    assert not bell.is_open
    bell.ring()
    assert not rings(bell)
    bell.close()
    os.close(reader)  # still open: the copy in a child is left to the child's end
    os.close(writer)


def test_a_child_that_renews_its_bell_has_one_of_its_own(bell: Bell) -> None:
    numbers = bell.fileno(), bell.writer
    child = os.fork()
    if not child:
        bell.ring()  # the pipe is still the parent's
        bell.renew()
        was_silent = not rings(bell)
        bell.ring()
        os._exit(0 if was_silent and rings(bell) and (bell.fileno(), bell.writer) == numbers else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert rings(bell)
    assert os.read(bell.fileno(), 10) == b"\0", "the child has rung this one once, before it had its own"
