"""Signals that do not end the system call in which the main thread sleeps: the handler runs at once all the same.

The system delivers such a signal to another thread, or just before the main thread sleeps.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

import nbactors as ray
from nbactors import engine
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.testing import eventually

LIMIT_S = 5.0


@ray.remote
class Sleeper:
    def sleep(self, event: Any = None) -> None:
        threading.Event().wait(60)


@pytest.fixture
def sleeper() -> Iterator[Any]:
    ray.init(num_cpus=1)
    yield Sleeper.remote()
    ray.shutdown()


def interrupt_elsewhere(is_asleep: Callable[[], bool]) -> threading.Thread:
    """Signal another thread than the main one, once that sleeps."""

    def run() -> None:
        eventually(is_asleep)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def main_thread_sleeps() -> bool:
    """Whether the main thread waits in a system call that polls descriptors."""
    with open(f"/proc/self/task/{os.getpid()}/wchan") as file:
        return "poll" in file.read()


def test_a_get_is_interrupted(sleeper: Any) -> None:
    ref = sleeper.sleep.remote()
    began = monotonic()
    thread = interrupt_elsewhere(lambda: INTERRUPTS.sleeper is not None and main_thread_sleeps())
    with pytest.raises(KeyboardInterrupt, match="waited for 1 call"):
        ray.get(ref, timeout=30)
    assert monotonic() - began < LIMIT_S
    thread.join()


def test_an_await_is_interrupted(sleeper: Any) -> None:
    async def main() -> None:
        INTERRUPTS.install()  # as at the beginning of a cell
        nonlocal thread
        thread = interrupt_elsewhere(main_thread_sleeps)
        await asyncio.wait_for(sleeper.sleep.remote(), 30)

    thread = threading.Thread()
    began = monotonic()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        asyncio.run(main())
    assert monotonic() - began < LIMIT_S
    thread.join()


def test_a_session_leaves_no_wakeup_descriptor_behind(sleeper: Any) -> None:
    ray.shutdown()
    assert signal.set_wakeup_fd(-1) == -1


def test_a_forked_child_does_not_signal_its_parent(sleeper: Any) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"none" if signal.set_wakeup_fd(-1) == -1 else b"one!")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 4) == b"none"
    os.close(reader)
    os.close(writer)
    left = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(left)
    assert left >= 0, "the parent's stays"


def test_another_owners_wakeup_descriptor_stays() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    try:
        ray.init(num_cpus=1)
        ray.shutdown()
        assert signal.set_wakeup_fd(-1) == writer
    finally:
        signal.set_wakeup_fd(-1)
        os.close(reader)
        os.close(writer)


def test_a_session_that_ends_on_another_thread_leaves_its_pipe_to_the_next(sleeper: Any) -> None:
    thread = threading.Thread(target=ray.shutdown)
    thread.start()
    thread.join()
    left = signal.set_wakeup_fd(-1)
    assert left >= 0
    signal.set_wakeup_fd(left)
    ray.init(num_cpus=1)
    assert signal.set_wakeup_fd(left) == left


def test_a_signal_that_a_handler_in_between_has_read_does_no_harm(sleeper: Any) -> None:
    engine.current()._wakeup._on_signal(selectors.EVENT_READ)  # type: ignore[attr-defined]
    assert ray.get(ray.put(1)) == 1
