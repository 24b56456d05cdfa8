"""The event loop of an asyncio actor does what asyncio's own does."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import socket
import sys
import threading
import traceback
import types
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
        monkeypatch.setattr(actor_loop, "_has_steps", False)
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


def test_what_a_callback_makes_due_is_called_in_the_next_turn(loop: asyncio.AbstractEventLoop) -> None:
    called: list[str] = []

    def first() -> None:
        called.append("first")
        loop.call_soon(called.append, "next turn")

    loop.call_soon(first)
    loop.call_soon(called.append, "second")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert called == ["first", "second"]
    turn(loop)
    assert called == ["first", "second", "next turn"]


def test_a_handle_that_an_earlier_callback_cancels_is_not_called(loop: asyncio.AbstractEventLoop) -> None:
    called: list[str] = []
    loop.call_soon(lambda: later.cancel())
    later = loop.call_soon(called.append, "cancelled")
    loop.call_soon(called.append, "last")
    turn(loop)
    assert called == ["last"]


@pytest.mark.parametrize("cancels", [True, False])
def test_what_a_callback_raises_is_told_with_its_handle_and_its_place(
    loop: asyncio.AbstractEventLoop, cancels: bool
) -> None:
    told: list[Any] = []
    loop.set_exception_handler(lambda loop, context: told.append(context))

    def fails() -> None:
        if cancels:
            handle.cancel()
        raise LookupError("of the callback")

    handle = loop.call_soon(fails)
    loop.call_soon(told.append, "the next callback")
    turn(loop)
    context, after = told
    assert after == "the next callback"
    assert (context["handle"], context["exception"].args) == (handle, ("of the callback",))
    assert context["message"].startswith("Exception in callback " + ("None()" if cancels else "test_what_a_callback"))
    assert context["exception"].__context__ is None
    assert traceback.extract_tb(context["exception"].__traceback__)[-1].name == "fails"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_ends_the_turn_and_leaves_the_rest_for_the_next(
    loop: asyncio.AbstractEventLoop, kind: type[BaseException]
) -> None:
    called: list[str] = []

    def leaves() -> None:
        raise kind("now")

    loop.call_soon(leaves)
    loop.call_soon(called.append, "after")
    with pytest.raises(kind, match="now"):
        loop.run_forever()
    assert called == []
    turn(loop)
    assert called == ["after"]


def test_timers_are_due_in_their_order_also_beside_cancelled_ones(loop: asyncio.AbstractEventLoop) -> None:
    called: list[int] = []
    now = loop.time()
    handles = [
        loop.call_at(now + delay / 10_000, called.append, delay) for delay in random.Random(1).sample(range(300), 300)
    ]
    for handle in handles[::2]:
        handle.cancel()
    loop.call_at(now + 0.04, loop.stop)
    loop.run_forever()
    assert called == sorted(handle._args[0] for handle in handles[1::2])  # type: ignore[attr-defined]
    assert not loop._scheduled  # type: ignore[attr-defined]


def test_a_timer_may_have_any_number_as_its_time(loop: asyncio.AbstractEventLoop) -> None:
    called: list[str] = []
    loop.call_at(0, called.append, "due")
    loop.call_later(60, called.append, "not due")
    turn(loop)
    turn(loop)
    assert called == ["due"]


def test_readers_and_writers_are_called_unless_they_were_removed(loop: asyncio.AbstractEventLoop) -> None:
    called: list[str] = []
    one, other = socket.socketpair()
    with one, other:
        loop.add_reader(one, lambda: called.append(one.recv(9).decode()))
        loop.add_writer(other, lambda: (called.append("writable"), loop.remove_writer(other)))
        other.send(b"text")
        turn(loop)
        turn(loop)
        assert sorted(called) == ["text", "writable"]
        other.send(b"more")
        loop._selector.get_key(one).data[0]._cancelled = True  # type: ignore[attr-defined] # half removed
        turn(loop)
        turn(loop)
        assert sorted(called) == ["text", "writable"]
        assert not loop.remove_reader(one)


def test_another_thread_wakes_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    called: list[str] = []

    def elsewhere() -> None:
        loop.call_soon_threadsafe(called.append, "from there")
        loop.call_soon_threadsafe(loop.stop)

    loop.call_soon(threading.Thread(target=elsewhere).start)
    loop.run_forever()
    assert called == ["from there"]


def test_a_signal_handler_is_called_while_the_loop_sleeps(loop: asyncio.AbstractEventLoop) -> None:
    called: list[str] = []
    loop.add_signal_handler(signal.SIGUSR1, lambda: (called.append("handler"), loop.stop()))
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert called == ["handler"]


def test_random_callbacks_are_called_as_by_asyncio() -> None:
    def play(loop: asyncio.AbstractEventLoop, seed: int) -> list[Any]:
        chance, called = random.Random(seed), []
        loop.set_exception_handler(lambda loop, context: called.append(context["exception"].args))
        made: list[asyncio.Handle] = []

        def callback(number: int, depth: int) -> None:
            called.append((number, variable.get()))
            variable.set(str(number))
            for _ in range(chance.randrange(3) if depth else 0):
                act(depth - 1)
            if chance.random() < 0.1:
                raise LookupError(number)

        async def wait(number: int, depth: int) -> None:
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            callback(number, depth)

        def act(depth: int) -> None:
            kind, number = chance.randrange(5), len(made)
            if kind == 0 and made:
                chance.choice(made).cancel()
            elif kind == 1:
                made.append(loop.call_at(0.0, callback, number, depth))
            elif kind == 2:
                loop.create_task(wait(number, depth)).add_done_callback(lambda task: task.exception())
            else:
                made.append(loop.call_soon(callback, number, depth))

        for _ in range(30):
            act(3)
        for _ in range(30):
            turn(loop)
        return called

    for seed in range(30):
        own, other = new_loop(), asyncio.SelectorEventLoop()
        assert play(own, seed) == play(other, seed), seed
        own.close()
        other.close()


@pytest.mark.parametrize("part", ["_ready", "_scheduled", "_debug", "_selector"])
def test_a_loop_that_has_lost_a_part_fails_as_asyncios_does(loop: Any, part: str) -> None:
    loop.call_soon(int)
    kept = getattr(loop, part)
    delattr(loop, part)
    with pytest.raises(AttributeError, match=part):
        loop._run_once()
    setattr(loop, part, kept)
    turn(loop)


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
    monkeypatch.setattr(asyncio.Handle, "__slots__", ("_callback", "no_such_part"))
    assert not actor_loop.has_steps()
    monkeypatch.undo()
    monkeypatch.setattr(asyncio, "Task", type("Task", (), {}))
    assert not actor_loop.has_steps()


@pytest.mark.skipif(speedups.compiled is None, reason="no compiled part")
def test_loops_are_told_the_types_that_they_use() -> None:
    compiled: Any = speedups.compiled
    with pytest.raises(TypeError, match="type"):
        compiled.know_loops(asyncio, print)
    with pytest.raises(AttributeError, match="Handle"):
        compiled.know_loops(sys, object)
    with pytest.raises(AttributeError, match="_callback"):
        compiled.know_loops(
            types.SimpleNamespace(Handle=object, Task=object, SelectorEventLoop=asyncio.SelectorEventLoop), object
        )
