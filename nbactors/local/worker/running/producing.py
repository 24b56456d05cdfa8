"""Running generators: their values are sent one by one, and they pause while too many values are unread."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from nbactors.local.reactor.waiter import Waiter
from nbactors.local.worker.running.taking import close

if TYPE_CHECKING:
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.answers import Answers


def is_generator(result: Any) -> bool:
    """Return whether a method's result is a generator, asynchronous or not."""
    return hasattr(result, "__next__") or hasattr(result, "__anext__")


def not_a_generator(job: Job, result: Any) -> TypeError:
    """Return the error of a call with num_returns="streaming" whose result is no generator."""
    return TypeError(
        f"{job.name} was called with num_returns='streaming' (or 'dynamic'), so it must be a generator; it returned "
        f"{type(result).__name__}"
    )


def produce(
    reactor: Reactor, answers: Answers, job: Job, values: Iterator[Any], step: Callable[[Any], tuple[bool, Any]]
) -> None:
    """Run a generator to its end on the calling thread, which waits while too many values are unread.

    `step` runs the generator to its next value, as user code. It returns whether there was one, and the value.
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
        close(values)


async def produce_async(answers: Answers, job: Job, values: Any) -> None:
    """Run a generator, asynchronous or not, to its end on the running loop."""
    import asyncio  # noqa: PLC0415 - only asyncio actors need it

    production = job.production
    assert production is not None
    loop = asyncio.get_running_loop()
    try:
        while not production.stopped:
            try:
                # The loop runs other callbacks between two values of a plain generator.
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
            close(values)


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
