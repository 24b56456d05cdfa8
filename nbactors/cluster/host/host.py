"""`Host`: carries the user's object of an actor, and runs its calls.

Ray calls the functions of the class that it was given: those of `ActorHost` and `AsyncActorHost`. There is one function
for all methods of the user's class, so the class can change, calls can be counted and stopped, and methods of the
runtime's own need no place in it. Ray wraps all functions of that class, also for calls from within it. So what they
have in common is here, in another class.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import ray

from nbactors.cluster.common import actor_records
from nbactors.cluster.common.call_names import read_name
from nbactors.cluster.common.context import call_name, call_number
from nbactors.cluster.host.alone import Alone, AlonePlain
from nbactors.cluster.host.asides import Asides
from nbactors.cluster.host.built_in import BuiltIn
from nbactors.cluster.host.call import Call
from nbactors.cluster.host.failures import cancelled, failure
from nbactors.cluster.host.orders import Orders
from nbactors.cluster.host.running import Begun, Running, Stop, Stopped
from nbactors.cluster.host.setup import Setup
from nbactors.cluster.host.worker import CLOSE_S, LAST_OUTPUT_S, of_process
from nbactors.definitions.metadata import ActorMeta
from nbactors.exceptions import RayTaskError
from nbactors.exceptions.one_line import brief

CLOSING_S = LAST_OUTPUT_S + 5.0
"""Seconds in which an ending process sends what it has, at most. The steps have limits of their own."""

_LEAVING = (SystemExit, ray.exceptions.AsyncioActorExit)
"""What leaves a method to end the actor."""


class Host:
    """The host of one actor. The session may give orders from its creation on.

    Args:
        setup: What it is made of.
        frames: The code in whose frames are the user's function, and the arguments that it was called with.

    Attributes:
        process: This worker.
        running: The calls that run.
        actor_id: The id of the actor.
        alone: Lets the runtime's own methods run alone.
        built_in: Finds the functions of calls, and has the user's object.
        meta: The metadata of the user's class.
    """

    def __init__(self, setup: Setup, frames: frozenset[CodeType]) -> None:
        self._frames = frames
        self._limits = setup.limits
        self.process = of_process()
        self.process.label = setup.label
        self.meta = setup.meta
        self._home = setup.call.hub
        self._names: dict[str, tuple[str, str, int, str]] = {}
        self.running = Running()
        self.actor_id = bytes.fromhex(ray.get_runtime_context().get_actor_id())
        self.process.engine.hosted = self
        self.alone = AlonePlain() if setup.is_plain else Alone(setup.meta.is_async)
        self.built_in = BuiltIn(self.alone)
        self._asides = Asides(self.running, lambda: self.built_in.instance, self.raised)
        self._orders = Orders(self.actor_id, self._table())
        self.process.on_hub(self._orders.follow)
        self.running.listen()
        self.process.report(setup.call.hub, "actor", self._facts(setup))

    def named(self, submitted: float) -> Call:
        """Return the call that runs the calling code, as its name tells it. See `call_names`."""
        name = call_name()
        known = self._names.get(name)
        if known is None:
            label, cell = read_name(name)
            method = label.rpartition(".")[2]
            meta = self.meta.methods.get(method)
            known = self._names[name] = (method, label, cell, (meta.group or "") if meta is not None else "")
        method, label, cell, group = known
        return Call(method, (), cell, self._home, label, submitted, b"", group, call_number())

    @contextmanager
    def constructing(self, setup: Setup) -> Iterator[type]:
        """Run the user's constructor within the `with` block, on the class that it yields."""
        call = setup.call._replace(number=call_number())
        token = self.process.begin(call)
        try:
            yield actor_records.changed_class(self.actor_id) or setup.cls
            self._name_output()
        except _LEAVING:
            self._orders.leave()
            raise
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            self._orders.leave()
            made = failure(call, error)
            self.process.events.end(call, made)
            told = call.cell, self.actor_id.hex(), setup.meta.class_name, RayTaskError.__str__(made)
            self.process.report(call.hub, "unmade", told)
            raise made from None
        finally:
            self.process.end(call, token)

    def _name_output(self) -> None:
        """Have the text of an actor that has its own `__repr__` stand before its output."""
        instance = self.built_in.instance
        if type(instance).__repr__ is object.__repr__:  # type: ignore[comparison-overlap] # it knows no plain class
            return
        try:
            self.process.label = brief(repr(instance)) or self.process.label
        except Exception:  # noqa: BLE001 - the user's __repr__; the class's name serves as well
            pass

    def _facts(self, setup: Setup) -> dict[str, Any]:
        context = ray.get_runtime_context()
        return {
            "actor_id": self.actor_id,
            "pid": os.getpid(),
            "node_id": context.get_node_id(),
            "class_name": setup.meta.class_name,
            "label": setup.label,
        }

    def actor_meta(self) -> ActorMeta:
        """Return the metadata of the user's class."""
        return self.meta

    def actor_class(self) -> type | None:
        """Return the user's class, None before its object is constructed."""
        return None if self.built_in.instance is None else type(self.built_in.instance)

    def is_over(self, number: bytes) -> bool:
        """Return whether a running generator is to yield no more."""
        begun = self.running.calls.get(number)
        return begun is not None and (begun.is_dropped or begun.stop is not None)

    def is_stopped(self, number: bytes) -> bool:
        """Return whether the running call with this number is to end."""
        begun = self.running.calls.get(number)
        return begun is not None and begun.stop is not None

    def _stop(self, number: bytes, interrupts: bool, timeout_s: float, recursive: bool) -> str:
        phase = self.running.stop(number, Stop(interrupts, timeout_s))
        if phase == "running" and recursive:
            self.process.engine.calls.cancel_children(number, interrupts and not timeout_s)
        return phase

    def _table(self) -> dict[str, Callable[..., Any]]:
        """Return what sessions may order."""
        return {
            "stop": self._stop,
            "drop": self.running.drop,
            "why_deaf": self.running.why_deaf,
            "interrupt": self.running.interrupt,
            "stack": self._stack,
            "inspect": self._inspect,
            "kill": self._kill,
            "flush": self.process.flush_all,
            "written_since": self.process.written_since,
            "aside": self._asides.begin,
            "aside_outcome": self._asides.outcome,
        }

    def _stack(self) -> str:
        from nbactors.cluster.host.inspecting.stacks import describe  # noqa: PLC0415 - few actors are asked

        return describe(self.running, self._frames)

    def _inspect(self) -> dict[str, Any]:
        from nbactors.cluster.host.inspecting.what_runs import inspection  # noqa: PLC0415 - as above

        return inspection(self.running, self._limits, self._frames)

    def _kill(self) -> None:
        self.process.flush_all()
        ray.kill(ray.get_runtime_context().current_actor)

    def function(self, call: Call) -> Callable[..., Any]:
        """Return the function of a call. On the thread that runs it."""
        return self.built_in.find(call.method)

    def raised(self, call: Call, begun: Begun | None, error: BaseException) -> BaseException:
        """Return what to raise in place of an exception that has left user code, and report it."""
        raised = self._replaced(call, begun, error)
        self.process.events.end(call, raised)
        return raised

    def _replaced(self, call: Call, begun: Begun | None, error: BaseException) -> BaseException:
        is_struck = begun is not None and begun.is_struck
        if isinstance(error, ray.exceptions.AsyncioActorExit) or (isinstance(error, SystemExit) and not is_struck):
            self._orders.leave()
            # By SystemExit Ray ends no actor that has an event loop: neither this call nor a later one would end.
            return ray.exceptions.AsyncioActorExit() if self.meta.is_async else error
        if begun is None and isinstance(error, Stopped):
            return error.stop.error(_task_id(), "queued")
        if begun is not None and begun.stop is not None and is_struck:
            if begun.stop.timeout_s:
                return begun.stop.error(_task_id(), "running")
            return cancelled(call.label, _task_id(), error)
        if isinstance(error, asyncio.CancelledError) and (begun is None or begun.task is not None):
            return cancelled(call.label, _task_id(), error)  # the actor's own code has cancelled it
        return failure(call, error)

    def dropping(self, begun: Begun | None) -> BaseException | None:
        """Return the error of a call that was stopped and has returned, whose result is dropped; None for others."""
        return begun.stop.error(_task_id(), "running") if begun is not None and begun.stop is not None else None

    def shut_down(self) -> None:
        """End, with the user's hook: the actor ends on purpose."""
        hook = getattr(self.built_in.instance, "__ray_shutdown__", None)
        try:
            if hook is not None:
                hook()
        finally:  # Ray writes an error of the hook to its log, and goes on
            # Ray makes the id of a call from that of the task which makes it. The main thread runs no task any more,
            # so the calls it makes now have the same ids in each process that ends, and Ray aborts an actor that runs
            # two calls with one id: the hub, when two actors ended at once. The calls of another thread have their own.
            closing = threading.Thread(target=self._close, name="nbactors-closing", daemon=True)
            try:
                closing.start()
            except RuntimeError:  # the user may have no more threads
                self._close()
            else:
                closing.join(CLOSING_S)

    def _close(self) -> None:
        self.process.close()
        self._orders.close(CLOSE_S)


def _task_id() -> str:
    return ray.get_runtime_context().get_task_id() or ""
