"""`AsyncActorHost`: the host of an actor with coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import ray

from nbactors.cluster.common import actor_records
from nbactors.cluster.common.call_report import KNOWN
from nbactors.cluster.common.context import call_number, was_restarted
from nbactors.cluster.host import call_task
from nbactors.cluster.host.built_in import OWN
from nbactors.cluster.host.call import CURRENT, Call
from nbactors.cluster.host.host import Host
from nbactors.cluster.host.running import Begun
from nbactors.cluster.host.setup import Setup
from nbactors.in_worker.loop_blocking import LoopBlocking


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Return what `inspect.iscoroutinefunction` does, which takes longer."""
    code = getattr(function, "__code__", None)
    return (code is not None and bool(code.co_flags & inspect.CO_COROUTINE)) or inspect.iscoroutinefunction(function)


@asynccontextmanager
async def _closing(items: Any) -> AsyncIterator[None]:
    """Close an asynchronous iterator after the `with` block, if it can be closed."""
    try:
        yield
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()


class AsyncActorHost:
    """The class of Ray's actor for an actor with coroutines. All of its calls run on an event loop."""

    async def __init__(self, setup: Setup, *values: Any) -> None:  # type: ignore[misc] # Ray awaits it
        self._host = host = Host(setup, _CALLS)
        host.process.engine.before_block = LoopBlocking().notice
        call_task.use_in(asyncio.get_running_loop())
        with host.constructing(setup) as cls:
            args, kwargs = host.process.split(setup.call, values)
            if inspect.iscoroutinefunction(cls.__init__):  # type: ignore[misc] # of this very class
                instance: Any = cls.__new__(cls, *args, **kwargs)
                await instance.__init__(*args, **kwargs)
            else:
                instance = cls(*args, **kwargs)
            host.built_in.instance = instance
            if was_restarted():
                restored = host.built_in.resume(actor_records.checkpoint(host.actor_id))
                if restored is not None:
                    await restored

    async def call(self, spec: bytes, *values: Any) -> Any:
        """Run a method of the user's object."""
        return await _run(self._host, Call.unpacked(spec, call_number()), values)

    async def named(self, *values: Any) -> Any:
        """Run the method of the user's object that Ray's name of the call tells."""
        return await _run(self._host, self._host.named(KNOWN), values)

    async def unlisted(self, *values: Any) -> Any:
        """Do the same as `named`, and do not report the call."""
        return await _run(self._host, self._host.named(0.0), values)

    async def stream(self, spec: bytes, *values: Any) -> AsyncIterator[Any]:
        """Run a generator of the user's object, asynchronous or not."""
        host, call = self._host, Call.unpacked(spec, call_number())
        host.process.hub(call.hub)  # for orders of the session
        token = host.process.begin(call)
        begun = None
        try:
            await host.alone.enter_async(call.method)
            try:
                begun = _begin(host, call)
                try:
                    args, kwargs = host.process.split(call, values)
                    function = host.function(call)
                    items = function(*args, **kwargs)
                    if hasattr(items, "__aiter__"):
                        async with _closing(items):
                            async for item in items:
                                yield item
                                if begun.is_dropped:
                                    break
                    else:
                        for item in items:
                            yield item
                            if begun.is_dropped:
                                break
                finally:
                    host.running.end(begun)
            finally:
                await host.alone.leave_async(call.method)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            raise host.raised(call, begun, error) from None
        finally:
            dropping = host.dropping(begun)
            await _end(host, call, token, dropping)
        if dropping is not None:
            raise dropping

    async def gather(self, spec: bytes, count: int, *values: Any) -> Any:
        """Run a generator of the user's object for Ray, which takes no values of asynchronous ones but in streams.

        Args:
            spec: The call.
            count: How many values the caller takes; -1 for all, which come as one iterable of references.
            values: The arguments.
        """
        found: list[Any] = []
        items = self.stream(spec, *values)
        async with _closing(items):
            async for item in items:
                found.append(item)
                if 0 <= count < len(found):  # as Ray does, which looks whether there is one more
                    break
        if count < 0:
            return ray.DynamicObjectRefGenerator([ray.put(item) for item in found])
        return (item for item in found)

    def __ray_shutdown__(self) -> None:
        """Called by Ray when the actor ends on purpose."""
        self._host.shut_down()

    def __repr__(self) -> str:
        return f"Host({type(self).__name__})"


async def _run(host: Host, call: Call, values: tuple[Any, ...]) -> Any:
    host.process.hub(call.hub)  # for orders of the session
    token = host.process.begin(call)
    begun = None
    try:
        await host.alone.enter_async(call.method)
        try:
            begun = _begin(host, call)
            try:
                args, kwargs = host.process.split(call, values)
                function = host.function(call)
                if _is_coroutine_function(function) or call.method in OWN:
                    result = function(*args, **kwargs)
                    result = await result if inspect.isawaitable(result) else result
                else:  # the coroutine that it may return is its value
                    host.running.open_plain(begun)
                    result = function(*args, **kwargs)
            finally:
                host.running.end(begun)
        finally:
            await host.alone.leave_async(call.method)
    except BaseException as error:  # noqa: BLE001 - user code raises anything
        raise host.raised(call, begun, error) from None
    finally:
        dropping = host.dropping(begun)
        await _end(host, call, token, dropping)
    if dropping is not None:
        raise dropping
    return result


def _begin(host: Host, call: Call) -> Begun:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if type(task) is call_task.CallTask:
        task.begin()
    else:  # the first call on the loop of its concurrency group
        call_task.use_in(loop)
    return host.running.begin(call, task, loop)


async def _end(host: Host, call: Call, token: Any, error: BaseException | None) -> None:
    try:
        has_output = host.process.finish(call, token, error)
    except ValueError:  # a generator was closed in another context
        CURRENT.set(None)
        return
    if has_output:
        await asyncio.to_thread(host.process.flush)


_CALLS = frozenset((_run.__code__, AsyncActorHost.stream.__code__))
"""See `Host`."""
