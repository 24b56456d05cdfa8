"""An event loop as the host of the reactor."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from nbactors.local.worker.running.loop_host import LoopHost

variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")


class Thing:
    pass


class Reactor:
    """One whose leader can be somebody else, and with a timer that is due in a minute."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.is_led = False
        self.visits = 0
        self.timer_due = time.monotonic() + 60

    def fileno(self) -> int:
        return self.reader

    def visit(self) -> bool:
        self.visits += not self.is_led
        return not self.is_led


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    os.close(reactor.reader)
    os.close(reactor.writer)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("is_led", [False, True], ids=["it reads", "another thread reads"])
def test_it_keeps_nothing_of_the_call_that_has_sent_something(
    reactor: Any, loop: asyncio.AbstractEventLoop, is_led: bool
) -> None:
    host = LoopHost(reactor, loop, reactor.visit)

    async def call() -> weakref.ref[Thing]:
        thing = Thing()
        variable.set(thing)
        reactor.is_led = is_led
        host.nudge()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reactor.is_led = False
        host.left()
        return weakref.ref(thing)

    thing = loop.run_until_complete(call())
    loop.run_until_complete(asyncio.sleep(0))
    assert reactor.visits > 0
    gc.collect()
    assert thing() is None


def test_it_watches_again_when_the_other_thread_has_left(reactor: Any, loop: asyncio.AbstractEventLoop) -> None:
    host = LoopHost(reactor, loop, reactor.visit)

    async def call() -> None:
        reactor.is_led = True
        host.nudge()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reactor.is_led = False
        host.left()
        await asyncio.sleep(0)
        visits = reactor.visits
        os.write(reactor.writer, b"\0")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert reactor.visits > visits

    loop.run_until_complete(call())
