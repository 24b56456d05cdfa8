"""The event loop of an asyncio actor does what asyncio's own does."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from nbactors import speedups
from nbactors.local.worker.running import actor_loop
from nbactors.local.worker.running.actor_loop import ActorLoop, new_loop

variable: ContextVar[str] = ContextVar("variable", default="none")


@pytest.fixture(params=["own", "asyncio"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.AbstractEventLoop]:
    if request.param == "asyncio":
        monkeypatch.setattr(actor_loop, "_new_handle", None)
    made = new_loop()
    assert isinstance(made, ActorLoop) == (request.param == "own" and speedups.compiled is not None)
    yield made
    made.close()


def turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))


def test_callbacks_are_called_in_order_with_their_arguments_and_context(loop: asyncio.AbstractEventLoop) -> None:
    called: list[Any] = []
    given = copy_context()
    given.run(variable.set, "given")
    token = variable.set("current")
    loop.call_soon(lambda *args: called.append((args, variable.get())), 1, 2)
    loop.call_soon(lambda: called.append(variable.get()), context=given)
    loop.call_soon(called.append, "never").cancel()
    variable.reset(token)
    turn(loop)
    assert called == [((1, 2), "current"), "given"]


def test_a_handle_is_one_of_asyncios(loop: asyncio.AbstractEventLoop) -> None:
    handle = loop.call_soon(print, "text")
    assert type(handle) is asyncio.Handle
    assert "print" in repr(handle)
    assert not handle.cancelled()
    handle.cancel()
    assert handle.cancelled()
    assert "cancelled" in repr(handle)


def test_a_callback_that_raises_is_told(loop: asyncio.AbstractEventLoop) -> None:
    told: list[Any] = []
    loop.set_exception_handler(lambda loop, context: told.append(context["exception"].args))
    loop.call_soon(int, "no number")
    turn(loop)
    assert len(told) == 1


def test_debug_mode_tells_where_a_callback_was_made(loop: asyncio.AbstractEventLoop) -> None:
    loop.set_debug(True)
    assert loop.call_soon(print)._source_traceback[-1].filename == __file__  # type: ignore[attr-defined]
    task: Any = loop.create_task(turn_async())
    assert task._source_traceback[-1].filename == __file__
    with pytest.raises(TypeError, match="coroutines cannot be used"):
        loop.call_soon(turn_async)
    turn(loop)


async def turn_async() -> str:
    await asyncio.sleep(0)
    return asyncio.current_task().get_name()  # type: ignore[union-attr]


def test_a_closed_loop_takes_nothing(loop: asyncio.AbstractEventLoop) -> None:
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    unstarted = turn_async()
    with pytest.raises(RuntimeError, match="closed"):
        loop.create_task(unstarted)
    unstarted.close()


def test_tasks_have_the_name_that_was_given(loop: asyncio.AbstractEventLoop) -> None:
    assert loop.run_until_complete(loop.create_task(turn_async(), name="named")) == "named"
    assert loop.run_until_complete(loop.create_task(turn_async())).startswith("Task-")


def test_tasks_are_made_by_the_users_factory(loop: asyncio.AbstractEventLoop) -> None:
    made: list[Any] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    coroutine = turn_async()
    loop.run_until_complete(loop.create_task(coroutine))
    assert made == [coroutine]


def test_handles_leave_no_object_behind(loop: asyncio.AbstractEventLoop) -> None:
    def calls(count: int) -> None:
        for _ in range(count):
            loop.call_soon(len, ())
            turn(loop)

    calls(100)
    gc.collect()
    before = sys.getallocatedblocks()
    calls(1000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200


def test_a_version_of_asyncio_with_other_parts_has_its_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_loop, "_PARTS", ("_ready", "no_such_part"))
    loop = new_loop()
    assert type(loop) is asyncio.SelectorEventLoop
    loop.close()


@pytest.mark.skipif(speedups.compiled is None, reason="no compiled part")
def test_a_handle_is_made_of_what_it_consists_of() -> None:
    compiled: Any = speedups.compiled
    with pytest.raises(TypeError, match="a callback, a tuple, a loop and a context"):
        compiled.new_handle(print, [], None, None)
    with pytest.raises(TypeError, match="a type is wanted"):
        compiled.know_handles(print)
    with pytest.raises(AttributeError, match="_callback"):
        compiled.know_handles(object)
