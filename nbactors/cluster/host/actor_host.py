"""The hosts of actors: the classes of which Ray makes its actors. A host carries the user's object.

Ray calls the functions of the class that it was given. A host has one function for all methods of the user's class, so
the class can change, calls can be counted and stopped, and methods of the runtime's own need no place in it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

from nbactors.cluster.common import actor_records
from nbactors.cluster.common.context import was_restarted
from nbactors.cluster.host.alone import Alone, AlonePlain
from nbactors.cluster.host.built_in import BuiltIn
from nbactors.cluster.host.call import CURRENT, Call
from nbactors.cluster.host.failures import failure
from nbactors.cluster.host.orders import Orders
from nbactors.cluster.host.running import Begun, Running, Stop
from nbactors.cluster.host.setup import Setup
from nbactors.cluster.host.worker import of_process
from nbactors.definitions.metadata import ActorMeta

_LEAVING = (SystemExit, ray.exceptions.AsyncioActorExit)
"""What leaves a method to end the actor."""


class Host:
    """What the hosts of synchronous and of asyncio actors share. Ray calls no function of this class."""

    def __init__(self, setup: Setup, *values: Any) -> None:
        self._process = of_process()
        self._process.label = setup.label
        self._meta = setup.meta
        self._running = Running()
        self._id = bytes.fromhex(ray.get_runtime_context().get_actor_id())
        self._process.engine.hosted = self
        self._alone = AlonePlain() if setup.is_plain else Alone(setup.meta.is_async)
        self._built_in = BuiltIn(self._alone)
        self._orders = Orders(self._id, {"stop": self._stop, "stack": self._stack})
        self._process.on_hub(self._orders.follow)
        self._running.listen()
        call = setup.call
        self._process.report(call.hub, "actor", self._facts(setup))
        cls = actor_records.changed_class(self._id) or setup.cls
        token = self._process.begin(call)
        try:
            args, kwargs = call.split(values)
            self._built_in.instance = cls(*args, **kwargs)
            if was_restarted():
                self._built_in.resume(actor_records.checkpoint(self._id))
        except _LEAVING:
            self._orders.leave()
            raise
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            self._orders.leave()
            made = failure(call.label, error)
            text = f"{call.label}\n{made.traceback_str}"
            self._process.report(call.hub, "unmade", (call.cell, self._id.hex(), setup.meta.class_name, text))
            raise made from None
        finally:
            self._process.end(call, token)

    def _facts(self, setup: Setup) -> dict[str, Any]:
        context = ray.get_runtime_context()
        return {
            "actor_id": self._id,
            "pid": os.getpid(),
            "node_id": context.get_node_id(),
            "class_name": setup.meta.class_name,
            "label": setup.label,
        }

    def actor_meta(self) -> ActorMeta:
        """Return the metadata of the user's class."""
        return self._meta

    def actor_class(self) -> type | None:
        """Return the user's class, None before its object is constructed."""
        return None if self._built_in.instance is None else type(self._built_in.instance)

    def is_stopped(self, number: bytes) -> bool:
        """Return whether the running call with this number is to end."""
        begun = self._running.calls.get(number)
        return begun is not None and begun.stop is not None

    def _stop(self, number: bytes, interrupts: bool, timeout_s: float, recursive: bool) -> str:
        phase = self._running.stop(number, Stop(interrupts, timeout_s))
        if phase == "running" and recursive:
            self._process.engine.calls.cancel_children(number)
        return phase

    def _stack(self) -> str:
        from nbactors.cluster.host.stacks import describe  # noqa: PLC0415 - few actors are asked

        return describe(self._running)

    def _function(self, call: Call) -> Callable[..., Any]:
        return self._built_in.find(call.method)

    def _raised(self, call: Call, begun: Begun | None, error: BaseException) -> BaseException:
        """Return what to raise in place of an exception that has left user code."""
        if isinstance(error, _LEAVING):
            self._orders.leave()
            return error
        if (
            begun is not None
            and begun.stop is not None
            and isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
        ):
            return begun.stop.error(call.number.hex(), "running")
        return failure(call.label, error)

    def __ray_shutdown__(self) -> None:
        """Called by Ray when the actor ends on purpose."""
        hook = getattr(self._built_in.instance, "__ray_shutdown__", None)
        if hook is not None:
            hook()
        self._process.flush()
        self._orders.leave()

    def __repr__(self) -> str:
        return f"Host({type(self).__name__})"


class ActorHost(Host):
    """The host of an actor without coroutines; its calls run on the main thread, or on threads."""

    def call(self, spec: tuple[Any, ...], *values: Any) -> Any:
        """Run a method of the user's object."""
        call = Call(*spec)
        with self._run(call) as function:
            args, kwargs = call.split(values)
            return function(*args, **kwargs)

    def stream(self, spec: tuple[Any, ...], *values: Any) -> Iterator[Any]:
        """Run a generator of the user's object."""
        call = Call(*spec)
        with self._run(call) as function:
            args, kwargs = call.split(values)
            # Not `yield from`: Ray sends values into the generator, which are not meant for the user's.
            for item in function(*args, **kwargs):  # noqa: UP028
                yield item

    @contextmanager
    def _run(self, call: Call) -> Iterator[Callable[..., Any]]:
        token = self._process.begin(call)
        begun = None
        try:
            with self._alone.shared(call.method):
                begun = self._running.begin(call)
                try:
                    yield self._function(call)
                finally:
                    self._running.end(begun)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            raise self._raised(call, begun, error) from None
        finally:
            self._process.end(call, token)


class AsyncActorHost(Host):
    """The host of an actor with coroutines; its calls run on an event loop, synchronous methods included."""

    async def call(self, spec: tuple[Any, ...], *values: Any) -> Any:
        """Run a method of the user's object."""
        call = Call(*spec)
        token = self._process.begin(call)
        begun = None
        try:
            async with self._alone.shared_async(call.method):
                begun = self._begin(call)
                try:
                    args, kwargs = call.split(values)
                    result = self._function(call)(*args, **kwargs)
                    return await result if inspect.isawaitable(result) else result
                finally:
                    self._running.end(begun)
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            raise self._raised(call, begun, error) from None
        finally:
            await self._end(call, token)

    async def stream(self, spec: tuple[Any, ...], *values: Any) -> AsyncIterator[Any]:
        """Run a generator of the user's object, asynchronous or not."""
        call = Call(*spec)
        token = self._process.begin(call)
        begun = None
        try:
            async with self._alone.shared_async(call.method):
                begun = self._begin(call)
                try:
                    args, kwargs = call.split(values)
                    items = self._function(call)(*args, **kwargs)
                    if hasattr(items, "__aiter__"):
                        async for item in items:
                            yield item
                    else:
                        for item in items:
                            yield item
                finally:
                    self._running.end(begun)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            raise self._raised(call, begun, error) from None
        finally:
            await self._end(call, token)

    def _begin(self, call: Call) -> Begun:
        return self._running.begin(call, asyncio.current_task(), asyncio.get_running_loop())

    async def _end(self, call: Call, token: Any) -> None:
        try:
            has_output = self._process.finish(call, token)
        except ValueError:  # a generator was closed in another context
            CURRENT.set(None)
            return
        if has_output:
            await asyncio.to_thread(self._process.flush)
