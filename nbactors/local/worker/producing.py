"""Generators: running them, sending what they yield, and pausing them while nobody reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from nbactors.local.client.waiter import Waiter
from nbactors.num_returns import STREAMING
from nbactors.user_code import lets_through

if TYPE_CHECKING:
    from nbactors.local.client.process import Process
    from nbactors.local.wire import messages
    from nbactors.local.worker.answers import Answers
    from nbactors.local.worker.job import Job


class Production:
    """How far one generator is. Written by the thread that runs it, and by the leader's for what is read.

    Attributes:
        stopped: Nobody reads any more.
    """

    __slots__ = ("_limit", "_read", "_wake", "_yielded", "stopped")

    def __init__(self, message: messages.Call | messages.Run) -> None:
        # With "dynamic" nothing is read before all is there.
        self._limit = message.backpressure if message.num_returns == STREAMING else 0
        self._yielded = 0
        self._read = 0
        self.stopped = False
        self._wake: Callable[[], None] | None = None

    def next_index(self) -> int:
        """Count one more value."""
        self._yielded += 1
        return self._yielded

    @property
    def must_pause(self) -> bool:
        """Whether as much is unread as may be."""
        return 0 < self._limit <= self._yielded - self._read and not self.stopped

    def pause(self, wake: Callable[[], None] | None) -> None:
        """Have `wake` called when something changes; look at `must_pause` again after calling this."""
        self._wake = wake

    def read(self, count: int) -> None:
        """So many were read. The leader's thread."""
        self._read = max(self._read, count)
        self._stir()

    def stop(self) -> None:
        """Nobody reads any more, or the call was cancelled. Any thread."""
        self.stopped = True
        self._stir()

    def _stir(self) -> None:
        wake = self._wake
        if wake is not None:
            wake()


def is_generator(result: Any) -> bool:
    """Return whether what a method has returned is what it will yield."""
    return hasattr(result, "__next__") or hasattr(result, "__anext__")


def not_a_generator(job: Job, result: Any) -> TypeError:
    """Return the error of a call with num_returns="streaming" that gives something else."""
    return TypeError(
        f"{job.name} was called with num_returns='streaming' (or 'dynamic'), so it must be a generator; it returned "
        f"{type(result).__name__}"
    )


@lets_through
def take(values: Iterator[Any], count: int) -> Any:
    """Return what a generator yields as the results of a call with so many of them.

    Raises:
        ValueError: It yields fewer or more; it is not run on beyond the first too many.
    """
    taken: list[Any] = []
    try:
        for value in values:
            _check_room(taken, count)
            taken.append(value)
    finally:
        _close(values)
    return _results(taken, count)


async def take_async(values: Any, count: int) -> Any:
    """Like `take`, of an asynchronous generator."""
    taken: list[Any] = []
    try:
        if count > 0:
            async for value in values:
                _check_room(taken, count)
                taken.append(value)
    finally:
        await values.aclose()
    return _results(taken, count)


def _check_room(taken: list[Any], count: int) -> None:
    if len(taken) == count:
        raise ValueError(f"Task returned more than num_returns={count} objects.")


def _results(taken: list[Any], count: int) -> Any:
    if len(taken) < count:
        raise ValueError(f"Task returned {len(taken)} objects, but num_returns={count}.")
    return taken[0] if count == 1 else taken


def produce(
    process: Process, answers: Answers, job: Job, values: Iterator[Any], step: Callable[[Any], tuple[bool, Any]]
) -> None:
    """Run a generator to its end on this thread, which it blocks.

    `step` takes the generator's next value, as user code: it returns whether there was one, and the value.
    """
    production = job.production
    assert production is not None
    try:
        while not production.stopped and job.cancel is None:
            more, value = step(values)
            if not more:
                return
            answers.give_yielded(job, production.next_index(), value)
            del value
            while production.must_pause:
                waiter = Waiter()
                production.pause(waiter.finish)
                if production.must_pause:
                    process.reactor.wait(waiter, None)
    finally:
        production.pause(None)
        _close(values)


def _close(values: Any) -> None:
    close = getattr(values, "close", None)
    if close is not None:
        close()


async def produce_async(answers: Answers, job: Job, values: Any) -> None:
    """Run a generator, asynchronous or not, to its end on the running loop."""
    import asyncio  # noqa: PLC0415 - only asyncio actors need it

    production = job.production
    assert production is not None
    loop = asyncio.get_running_loop()
    try:
        while not production.stopped:
            try:
                # A plain generator lets the loop run between its values.
                value = await anext(values) if inspect.isasyncgen(values) else await _next(values)
            except StopAsyncIteration:
                return
            answers.give_yielded(job, production.next_index(), value)
            del value
            while production.must_pause:
                changed = loop.create_future()
                production.pause(partial(_wake, loop, changed))
                if production.must_pause:
                    await changed
    finally:
        production.pause(None)
        if inspect.isasyncgen(values):
            await values.aclose()
        else:
            _close(values)


async def _next(values: Any) -> Any:
    import asyncio  # noqa: PLC0415 - as above

    await asyncio.sleep(0)
    try:
        return next(values)
    except StopIteration:
        raise StopAsyncIteration from None


def _wake(loop: Any, changed: Any) -> None:
    loop.call_soon_threadsafe(_set, changed)


def _set(future: Any) -> None:
    if not future.done():
        future.set_result(None)
