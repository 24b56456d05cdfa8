"""Generators: running them, sending what they yield, and pausing them while nobody reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from nbactors.frontend.user_code import lets_through
from nbactors.local.reactor.waiter import Waiter

if TYPE_CHECKING:
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.answers import Answers


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
    reactor: Reactor, answers: Answers, job: Job, values: Iterator[Any], step: Callable[[Any], tuple[bool, Any]]
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
                    reactor.wait(waiter, None)
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
