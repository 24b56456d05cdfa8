"""`CallTask`: the asyncio task of a call, which begins though it is cancelled before."""

from __future__ import annotations

import asyncio

from nbactors.cluster.host.call_task import CallTask, use_in


async def run_async_func_or_coro_in_event_loop(events: list[str]) -> None:
    """Stands for Ray's coroutine, which tells Ray of its end."""
    task = asyncio.current_task()
    assert type(task) is CallTask
    try:
        events.append("begun")
        task.begin()
        events.append("runs")
        await asyncio.sleep(30)
    finally:
        events.append("told")


def test_a_task_that_is_cancelled_before_its_start_begins_and_is_cancelled() -> None:
    async def run() -> tuple[bool, list[str]]:
        events: list[str] = []
        use_in(asyncio.get_running_loop())
        task = asyncio.ensure_future(run_async_func_or_coro_in_event_loop(events))
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), events

    assert asyncio.run(run()) == (True, ["begun", "told"])


def test_a_task_that_has_begun_is_cancelled_as_any() -> None:
    async def run() -> tuple[bool, list[str]]:
        events: list[str] = []
        use_in(asyncio.get_running_loop())
        task = asyncio.ensure_future(run_async_func_or_coro_in_event_loop(events))
        await asyncio.sleep(0)
        was_cancelled = task.cancel()
        await asyncio.wait([task])
        return was_cancelled and task.cancelled() and not task.cancel(), events

    assert asyncio.run(run()) == (True, ["begun", "runs", "told"])


def test_tasks_of_users_and_their_own_factories_stay_as_they_are() -> None:
    async def nothing() -> None:
        pass

    async def run() -> tuple[type, bool]:
        loop = asyncio.get_running_loop()
        use_in(loop)
        task = asyncio.ensure_future(nothing())
        task.cancel()
        await asyncio.wait([task])
        loop.set_task_factory(lambda loop, coroutine, **given: asyncio.Task(coroutine, loop=loop, **given))
        own = loop.get_task_factory()
        use_in(loop)
        return type(task), loop.get_task_factory() is own

    assert asyncio.run(run()) == (asyncio.Task, True)
