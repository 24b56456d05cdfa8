"""The hosts of actors: the classes of which Ray makes its actors. A host carries the user's object.

Ray calls the functions of the class that it was given. A host has one function for all methods of the user's class, so
the class can change, calls can be counted and stopped, and methods of the runtime's own need no place in it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import ray

from nbactors.cluster.common import actor_records
from nbactors.cluster.common.context import call_number, was_restarted
from nbactors.cluster.host.alone import Alone, AlonePlain
from nbactors.cluster.host.asides import Asides
from nbactors.cluster.host.built_in import OWN, BuiltIn
from nbactors.cluster.host.call import CURRENT, Call
from nbactors.cluster.host.failures import cancelled, failure
from nbactors.cluster.host.orders import Orders
from nbactors.cluster.host.running import Begun, Running, Stop, Stopped
from nbactors.cluster.host.setup import Setup
from nbactors.cluster.host.worker import of_process
from nbactors.definitions.metadata import ActorMeta
from nbactors.exceptions.one_line import brief

_LEAVING = (SystemExit, ray.exceptions.AsyncioActorExit)
"""What leaves a method to end the actor."""


class Host:
    """What the hosts of synchronous and of asyncio actors share. Ray calls no function of this class."""

    def _start(self, setup: Setup) -> None:
        """Begin: the session may give orders from now on."""
        self._process = of_process()
        self._process.label = setup.label
        self._meta = setup.meta
        self._running = Running()
        self._id = bytes.fromhex(ray.get_runtime_context().get_actor_id())
        self._process.engine.hosted = self
        self._alone = AlonePlain() if setup.is_plain else Alone(setup.meta.is_async)
        self._built_in = BuiltIn(self._alone)
        self._asides = Asides(self._running, lambda: self._built_in.instance, self._raised)
        self._orders = Orders(self._id, self._table())
        self._process.on_hub(self._orders.follow)
        self._running.listen()
        self._process.report(setup.call.hub, "actor", self._facts(setup))

    @contextmanager
    def _constructing(self, setup: Setup) -> Iterator[type]:
        """Run the user's constructor within the `with` block, on the class that it yields."""
        call = setup.call._replace(number=call_number())
        token = self._process.begin(call)
        try:
            yield actor_records.changed_class(self._id) or setup.cls
            self._name_output()
        except _LEAVING:
            self._orders.leave()
            raise
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            self._orders.leave()
            made = failure(call.label, error)
            self._process.events.end(call, made)
            text = f"{call.label}\n{made.traceback_str}"
            self._process.report(call.hub, "unmade", (call.cell, self._id.hex(), setup.meta.class_name, text))
            raise made from None
        finally:
            self._process.end(call, token)

    def _name_output(self) -> None:
        """Have the text of an actor that has its own `__repr__` stand before its output."""
        instance = self._built_in.instance
        if type(instance).__repr__ is object.__repr__:  # type: ignore[comparison-overlap] # it knows no plain class
            return
        try:
            self._process.label = brief(repr(instance)) or self._process.label
        except Exception:  # noqa: BLE001 - the user's __repr__; the class's name serves as well
            pass

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

    def _is_over(self, number: bytes) -> bool:
        """Return whether a running generator is to yield no more."""
        begun = self._running.calls.get(number)
        return begun is not None and (begun.is_dropped or begun.stop is not None)

    def is_stopped(self, number: bytes) -> bool:
        """Return whether the running call with this number is to end."""
        begun = self._running.calls.get(number)
        return begun is not None and begun.stop is not None

    def _stop(self, number: bytes, interrupts: bool, timeout_s: float, recursive: bool) -> str:
        phase = self._running.stop(number, Stop(interrupts, timeout_s))
        if phase == "running" and recursive:
            self._process.engine.calls.cancel_children(number, interrupts and not timeout_s)
        return phase

    def _table(self) -> dict[str, Callable[..., Any]]:
        """Return what sessions may order."""
        return {
            "stop": self._stop,
            "drop": self._running.drop,
            "why_deaf": self._running.why_deaf,
            "interrupt": self._running.interrupt,
            "stack": self._stack,
            "inspect": self._inspect,
            "kill": _kill_this_actor,
            "written_since": self._process.written_since,
            "aside": self._asides.begin,
            "aside_outcome": self._asides.outcome,
        }

    def _stack(self) -> str:
        from nbactors.cluster.host.stacks import describe  # noqa: PLC0415 - few actors are asked

        return describe(self._running)

    def _inspect(self) -> dict[str, Any]:
        from nbactors.cluster.host.inspecting import inspection  # noqa: PLC0415 - as above

        return inspection(self._running)

    def _function(self, call: Call) -> Callable[..., Any]:
        return self._built_in.find(call.method)

    def _raised(self, call: Call, begun: Begun | None, error: BaseException) -> BaseException:
        """Return what to raise in place of an exception that has left user code, and report it."""
        raised = self._replaced(call, begun, error)
        self._process.events.end(call, raised)
        return raised

    def _replaced(self, call: Call, begun: Begun | None, error: BaseException) -> BaseException:
        is_struck = begun is not None and begun.is_struck
        if isinstance(error, ray.exceptions.AsyncioActorExit) or (isinstance(error, SystemExit) and not is_struck):
            self._orders.leave()
            # By SystemExit Ray ends no actor that has an event loop: neither this call nor a later one would end.
            return ray.exceptions.AsyncioActorExit() if self._meta.is_async else error
        if begun is None and isinstance(error, Stopped):
            return error.stop.error(_task_id(), "queued")
        if begun is not None and begun.stop is not None and is_struck:
            if begun.stop.timeout_s:
                return begun.stop.error(_task_id(), "running")
            return cancelled(call.label, _task_id(), error)
        if begun is not None and begun.task is not None and isinstance(error, asyncio.CancelledError):
            return cancelled(call.label, _task_id(), error)  # its own code has cancelled it
        return failure(call.label, error)

    def _dropping(self, begun: Begun | None) -> BaseException | None:
        """Return the error of a call that was stopped and has returned, whose result is dropped; None for others."""
        return begun.stop.error(_task_id(), "running") if begun is not None and begun.stop is not None else None

    def __ray_shutdown__(self) -> None:
        """Called by Ray when the actor ends on purpose."""
        hook = getattr(self._built_in.instance, "__ray_shutdown__", None)
        try:
            if hook is not None:
                hook()
        finally:  # Ray writes an error of the hook to its log, and goes on
            self._process.events.close()
            self._process.flush()
            self._orders.leave()

    def __repr__(self) -> str:
        return f"Host({type(self).__name__})"


def _kill_this_actor() -> None:
    ray.kill(ray.get_runtime_context().current_actor)


@asynccontextmanager
async def _closing(items: Any) -> AsyncIterator[None]:
    """Close an asynchronous iterator after the `with` block, if it can be closed."""
    try:
        yield
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()


def _task_id() -> str:
    return ray.get_runtime_context().get_task_id() or ""


class ActorHost(Host):
    """The host of an actor without coroutines; its calls run on the main thread, or on threads."""

    def __init__(self, setup: Setup, *values: Any) -> None:
        self._start(setup)
        with self._constructing(setup) as cls:
            args, kwargs = self._process.split(setup.call, values)
            self._built_in.instance = cls(*args, **kwargs)
            if was_restarted():
                self._built_in.resume(actor_records.checkpoint(self._id))

    def call(self, spec: bytes, *values: Any) -> Any:
        """Run a method of the user's object."""
        call = Call.unpacked(spec, call_number())
        with self._run(call) as function:
            args, kwargs = self._process.split(call, values)
            return function(*args, **kwargs)

    def stream(self, spec: bytes, *values: Any) -> Iterator[Any]:
        """Run a generator of the user's object."""
        call = Call.unpacked(spec, call_number())
        with self._run(call) as function:
            args, kwargs = self._process.split(call, values)
            items = function(*args, **kwargs)
            # Not `yield from`: Ray sends values into the generator, which are not meant for the user's.
            for item in items:
                yield item
                if self._is_over(call.number):
                    items.close()
                    break

    def _run(self, call: Call) -> _Run:
        return _Run(self, call)


class _Run:
    """Runs a call of a host within its `with` block, and replaces what leaves it.

    It is no generator of `contextmanager`, which no StopIteration can leave.
    """

    def __init__(self, host: ActorHost, call: Call) -> None:
        self._host = host
        self._call = call
        self._begun: Begun | None = None
        self._inner = ExitStack()

    def __enter__(self) -> Callable[..., Any]:
        host, call = self._host, self._call
        host._process.hub(call.hub)  # for orders of the session
        self._token = host._process.begin(call)
        try:
            self._inner.enter_context(host._alone.shared(call.method))
            self._begun = host._running.begin(call)
            return host._function(call)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, kind: object, error: BaseException | None, frames: object) -> None:
        host, call = self._host, self._call
        raised = None
        try:
            if self._begun is not None:
                host._running.end(self._begun)
            self._inner.close()
            if error is None:
                raised = host._dropping(self._begun)
            elif not isinstance(error, GeneratorExit):
                raised = host._raised(call, self._begun, error)
        finally:
            host._process.end(call, self._token, raised)
        if raised is not None:
            raise raised from None


class AsyncActorHost(Host):
    """The host of an actor with coroutines; its calls run on an event loop, synchronous methods included."""

    async def __init__(self, setup: Setup, *values: Any) -> None:  # type: ignore[misc] # Ray awaits it
        self._start(setup)
        with self._constructing(setup) as cls:
            args, kwargs = self._process.split(setup.call, values)
            if inspect.iscoroutinefunction(cls.__init__):  # type: ignore[misc] # of this very class
                instance: Any = cls.__new__(cls, *args, **kwargs)
                await instance.__init__(*args, **kwargs)
            else:
                instance = cls(*args, **kwargs)
            self._built_in.instance = instance
            if was_restarted():
                restored = self._built_in.resume(actor_records.checkpoint(self._id))
                if restored is not None:
                    await restored

    async def call(self, spec: bytes, *values: Any) -> Any:
        """Run a method of the user's object."""
        call = Call.unpacked(spec, call_number())
        self._process.hub(call.hub)  # for orders of the session
        token = self._process.begin(call)
        begun = None
        try:
            async with self._alone.shared_async(call.method):
                begun = self._begin(call)
                try:
                    args, kwargs = self._process.split(call, values)
                    function = self._function(call)
                    if inspect.iscoroutinefunction(function) or call.method in OWN:
                        result = function(*args, **kwargs)
                        result = await result if inspect.isawaitable(result) else result
                    else:  # the coroutine that it may return is its value
                        self._running.open_plain(begun)
                        result = function(*args, **kwargs)
                finally:
                    self._running.end(begun)
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            raise self._raised(call, begun, error) from None
        finally:
            dropping = self._dropping(begun)
            await self._end(call, token, dropping)
        if dropping is not None:
            raise dropping
        return result

    async def stream(self, spec: bytes, *values: Any) -> AsyncIterator[Any]:
        """Run a generator of the user's object, asynchronous or not."""
        call = Call.unpacked(spec, call_number())
        self._process.hub(call.hub)  # for orders of the session
        token = self._process.begin(call)
        begun = None
        try:
            async with self._alone.shared_async(call.method):
                begun = self._begin(call)
                try:
                    args, kwargs = self._process.split(call, values)
                    items = self._function(call)(*args, **kwargs)
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
                    self._running.end(begun)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            raise self._raised(call, begun, error) from None
        finally:
            dropping = self._dropping(begun)
            await self._end(call, token, dropping)
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

    def _begin(self, call: Call) -> Begun:
        return self._running.begin(call, asyncio.current_task(), asyncio.get_running_loop())

    async def _end(self, call: Call, token: Any, error: BaseException | None) -> None:
        try:
            has_output = self._process.finish(call, token, error)
        except ValueError:  # a generator was closed in another context
            CURRENT.set(None)
            return
        if has_output:
            await asyncio.to_thread(self._process.flush)
