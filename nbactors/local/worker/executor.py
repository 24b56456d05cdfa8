"""Runs what callers send: the constructor, methods and tasks, one at a time, on the worker's main thread."""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors import read_only
from nbactors.local.client import arguments, failures
from nbactors.local.client.reactor import Waiter
from nbactors.local.wire import messages, pickling
from nbactors.local.worker.ending import ActorExit, Ending
from nbactors.local.worker.traces import clear, user_traceback

if TYPE_CHECKING:
    from nbactors.local.client.connection import Connection
    from nbactors.local.client.process import Process
    from nbactors.local.client.values import Held

Job = tuple["Connection", Any]

LONG_S = 0.005
"""A task that runs longer gives those sent behind it back to their submitter."""

LEASE_S = 5.0
"""How long a task waits for the node's word about its lease; it was sent before the task."""

FLUSH_S = 0.001
"""Answers are gathered for this long while further calls are waiting."""


class Running:
    """What the main thread runs now; read by other threads for the runtime context.

    Attributes:
        task_id: 24 bytes.
        name: As in the process title and in errors: `Counter.increment`.
        module: Where the function or class is defined.
        label: What `options(name=)` gave, else `name`.
        is_task: Whether it is a task, not an actor's method.
    """

    __slots__ = ("is_task", "label", "module", "name", "number", "owner", "since")

    def __init__(self, owner: bytes, number: int, name: str, label: str, is_task: bool) -> None:
        self.owner = owner
        self.number = number
        self.name = name
        self.label = label
        self.is_task = is_task
        self.module = ""
        self.since = monotonic()

    @property
    def task_id(self) -> bytes:
        """The id of the task, as in the ids of its results."""
        from nbactors.local.wire import ids  # noqa: PLC0415 - rarely asked for

        return ids.task_id(self.owner, self.number)


class Executor:
    """The main thread's loop.

    Jobs arrive on the leader's thread (`enqueue`); the main thread takes them one by one. With nothing to run it
    waits in the reactor and so reads the next call off the socket itself.

    Args:
        set_title: Shows what runs in the process title.
    """

    def __init__(self, process: Process, set_title: Callable[[str], None]) -> None:
        self._process = process
        self._set_title = set_title
        self._jobs: deque[Job] = deque()
        self._early: list[Job] = []
        self._waiter: Waiter | None = None
        self._functions: dict[bytes, tuple[Any, Held]] = {}
        self._shown = ""
        self._flushed = 0.0
        self.running: Running | None = None
        self.instance: Any = None
        self.cls: type | None = None
        self.class_name = ""
        self.is_actor = False
        self.constructed = False
        self._kept: Any = None
        self._code: Held | None = None
        self.lease_id = 0
        self._lease_waiter: Waiter | None = None
        process.reactor.on_tick = self.on_tick
        process.peers.handlers.update(
            {
                messages.Construct: self.enqueue_construct,
                messages.Call: self.enqueue,
                messages.Run: self.enqueue,
                messages.Define: self.on_define,
            }
        )

    # ------------------------------------------------------------------------------------------------------ arrival

    def enqueue(self, connection: Connection, message: Any) -> None:
        """Take a call or task in. The leader's thread.

        What came with the message is taken over now, in the order of arrival: descriptors lie in a queue.
        """
        message = self._take_over(connection, message)
        if self.is_actor and not self.constructed and type(message[0]) is not messages.Construct:
            # Calls of other holders may overtake the creator's Construct.
            self._early.append((connection, message))
            return
        self._jobs.append((connection, message))
        waiter = self._waiter
        if waiter is not None:
            waiter.finish()

    def enqueue_construct(self, connection: Connection, message: messages.Construct) -> None:
        """Take the constructor's call in, before all others. The leader's thread."""
        receive = self._process.values.receive
        cls = receive(connection, message.cls)
        rest = receive(connection, message.args)
        deps = [(key, receive(connection, value)) for key, value in message.deps]
        self._jobs.append((connection, (message, rest, deps, cls)))
        self._jobs.extend(self._early)
        self._early.clear()
        self.constructed = True
        waiter = self._waiter
        if waiter is not None:
            waiter.finish()

    def end(self, ending: Ending) -> None:
        """Queue the end of the process behind all that waits. Any thread."""
        self._jobs.append((None, ending))  # type: ignore[arg-type]
        waiter = self._waiter
        if waiter is not None:
            waiter.finish()

    def on_define(self, connection: Connection, message: messages.Define) -> None:
        """Take a function in; it is unpickled when it first runs. The leader's thread."""
        if message.key not in self._functions:
            self._functions[message.key] = (None, self._process.values.receive(connection, message.function))
        else:
            self._process.values.receive(connection, message.function)

    def _take_over(self, connection: Connection, message: Any) -> tuple[Any, ...]:
        if message.rest is None and not message.deps:
            return (message,)
        receive = self._process.values.receive
        rest = receive(connection, message.rest) if message.rest is not None else None
        deps = [(key, receive(connection, value)) for key, value in message.deps]
        return message, rest, deps

    # --------------------------------------------------------------------------------------------------- giving back

    def on_tick(self) -> None:
        """Send gathered answers, and give tasks back that wait behind a long one. The background thread."""
        running = self.running
        if running is None or not running.is_task or not self._jobs:
            return
        if monotonic() - running.since > LONG_S:
            self.give_back()

    def give_back(self) -> None:
        """Return every task that has not begun to its submitter. Any thread."""
        back: dict[Connection, list[int]] = {}
        kept: list[Job] = []
        while True:
            try:
                # From the right: the main thread pops from the left, and each job goes to one of us.
                connection, message = self._jobs.pop()
            except IndexError:
                break
            if type(message) is tuple and type(message[0]) is messages.Run:
                back.setdefault(connection, []).append(message[0].number)
            else:
                kept.append((connection, message))
        self._jobs.extend(reversed(kept))
        waiter = self._waiter
        if kept and waiter is not None:
            waiter.finish()
        for connection, numbers in back.items():
            connection.send_now(messages.GivenBack(numbers[::-1]))

    # -------------------------------------------------------------------------------------------------------- loop

    def serve(self) -> None:
        """Run jobs until the process ends. The main thread; returns never but by ending the process."""
        jobs = self._jobs
        while True:
            try:
                connection, job = jobs.popleft()
            except IndexError:
                self._idle()
                continue
            if type(job) is Ending:
                job.carry_out(self)
            else:
                self._run(connection, job)
            # While this thread is idle nothing of the last job may live on in this frame.
            job = None

    def _idle(self) -> None:
        self.running = None
        self._kept = None
        waiter = Waiter()
        self._waiter = waiter
        if not self._jobs:
            if self._shown:
                self._show("")
            self._process.reactor.wait(waiter, None)
        self._waiter = None

    def _run(self, connection: Connection, job: tuple[Any, ...]) -> None:
        message = job[0]
        kind = type(message)
        if kind is messages.Call:
            name = f"{self.class_name}.{message.method}"
        elif kind is messages.Run:
            name = ""
        else:
            self._construct(connection, job)
            return
        self._perform(connection, message, job, name)

    def _perform(self, connection: Connection, message: Any, job: tuple[Any, ...], name: str) -> None:
        running = self.running = Running(
            connection.peer_id, message.number, name, message.name or name, type(message) is messages.Run
        )
        self._show(running.label)
        try:
            function = self._find(message, running)
            if message.data == b"" and len(job) == 1:
                result = function()
            else:
                args, kwargs = self._load_arguments(message, job)
                result = function(*args, **kwargs)
                del args, kwargs
        except ActorExit as reason:
            self._process.reactor.on_tick = None
            Ending("exit", str(reason)).carry_out(self)
        except SystemExit as reason:
            self._exit(reason)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
            self._fail(connection, message, running, error)
        else:
            self._answer(connection, message, running, result)

    def _find(self, message: Any, running: Running) -> Callable[..., Any]:
        if type(message) is messages.Call:
            running.module = self.cls.__module__ if self.cls is not None else ""
            if message.method.startswith("__ray_"):
                return self._special(message.method)
            return getattr(self.instance, message.method)  # type: ignore[no-any-return]
        if message.lease_id != self.lease_id:
            self._await_lease(message.lease_id)
        function, held = self._functions[message.key]
        if function is None:
            function = held.load()
            self._functions[message.key] = (function, held)
        running.name = getattr(function, "__name__", "task")
        running.module = getattr(function, "__module__", "")
        running.label = running.label or running.name
        self._show(running.label)
        return function  # type: ignore[no-any-return]

    def _await_lease(self, lease_id: int) -> None:
        """Wait until the node has told what this lease holds; its word and the task took different ways."""
        waiter = self._lease_waiter = Waiter()
        if self.lease_id != lease_id:
            self._process.reactor.wait(waiter, LEASE_S)
        self._lease_waiter = None

    def assigned(self, lease_id: int) -> None:
        """The node has told what a lease holds. The leader's thread."""
        self.lease_id = lease_id
        waiter = self._lease_waiter
        if waiter is not None:
            waiter.finish()

    def _special(self, method: str) -> Callable[..., Any]:
        instance = self.instance
        if method == "__ray_ready__":
            return lambda: True
        if method == "__ray_call__":
            return lambda function, *args, **kwargs: function(instance, *args, **kwargs)
        if method == "__ray_terminate__":
            raise ActorExit("exit_actor() is called.")
        return getattr(instance, method)  # type: ignore[no-any-return]

    def _load_arguments(self, message: Any, job: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if len(job) == 1:
            args, kwargs = pickle.loads(message.data)
            return args, kwargs
        _, rest, deps = job
        if rest is None:
            args, kwargs = pickle.loads(message.data) if message.data else ((), {})
        else:
            args, kwargs = rest.load() if rest.data or rest.stored is not None else ((), {})
        # The handles and references inside are counted as long as the call runs, whatever the user does with them.
        self._kept = job
        return arguments.fill(args, kwargs, [(key, held.load()) for key, held in deps])

    # ----------------------------------------------------------------------------------------------------- answering

    def _answer(self, connection: Connection, message: Any, running: Running, result: Any) -> None:
        try:
            if message.num_returns == 1:
                data = pickling.dumps_atom(result)
                if data is not None:
                    self._send(connection, messages.Reply(message.number, data))
                    return
                held = self._process.values.hold(result)
                if held.plain:
                    self._send(connection, messages.Reply(message.number, held.data))
                    return
                parts = [held]
            else:
                parts = self._split(message.num_returns, result)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
            self._fail(connection, message, running, error)
            return
        self._send_results(connection, message.number, parts)

    def _split(self, num_returns: int, result: Any) -> list[Held]:
        if num_returns == 0:
            return []
        count = len(result)
        if count != num_returns:
            raise ValueError(f"Task returned {count} objects, but num_returns={num_returns}.")
        return [self._process.values.hold(part) for part in result]

    def _fail(self, connection: Connection, message: Any, running: Running, error: BaseException) -> None:
        retriable = type(message) is messages.Run and _is_retriable(message.retry_exceptions, error)
        trace = user_traceback(error)
        if read_only.applies(error):
            trace = f"{trace}\n{read_only.TEXT}"
        data = failures.encode_task_error(running.name, trace, error, os.getpid())
        clear(error)
        value = messages.Value(data, error=True)
        self._send(connection, messages.Results(message.number, [value], retriable))

    def _send_results(self, connection: Connection, number: int, parts: list[Held]) -> None:
        values: list[messages.Value] = []
        fds: list[int] = []
        for held in parts:
            value, more = self._process.values.pack(connection, held, False)
            values.append(value)
            fds += more
        connection.send(messages.Results(number, values), fds)
        connection.flush()

    def _send(self, connection: Connection, message: Any) -> None:
        """Send an answer: now, or with the next few if more calls are waiting.

        A call that takes long delays answers before it by one tick at most: then the background thread sends them.
        """
        now = monotonic()
        if not self._jobs or now - self._flushed > FLUSH_S:
            self._flushed = now
            connection.send_now(message)
        else:
            connection.send(message)

    # --------------------------------------------------------------------------------------------------- constructor

    def _construct(self, connection: Connection, job: tuple[Any, ...]) -> None:
        message, rest, deps, code = job
        self.is_actor = True
        name = f"{self.class_name}.__init__"
        self.running = Running(connection.peer_id, 0, name, name, False)
        self._show(name)
        self._code = code
        try:
            cls = code.load()
            args, kwargs = rest.load() if rest.data or rest.stored is not None else ((), {})
            args, kwargs = arguments.fill(args, kwargs, [(key, held.load()) for key, held in deps])
            self._kept = job
            self.cls = cls
            self.instance = cls(*args, **kwargs)
            del args, kwargs
        except ActorExit as reason:
            Ending("exit", str(reason)).carry_out(self)
        except SystemExit as reason:
            self._exit(reason)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its result
            text = f"ray::{name}() (pid={os.getpid()})\n{user_traceback(error)}"
            Ending("creation_failed", text, graceful=False).carry_out(self)
        self._process.node.send_now(messages.ActorConstructed(message.actor_id))

    # -------------------------------------------------------------------------------------------------------- ending

    def _exit(self, reason: SystemExit) -> None:
        """`sys.exit()` in user code: on purpose with status 0, a crash otherwise."""
        code = reason.code
        if code is None or code == 0:
            Ending("exit", "sys.exit(0) was called in it (exit code 0).").carry_out(self)
        status = code if isinstance(code, int) else 1
        if not isinstance(code, int):
            print(code, file=sys.stderr)
        Ending("crashed", f"sys.exit({code!r}) was called in it (exit code {status}).", status=status).carry_out(self)

    def _show(self, label: str) -> None:
        if label != self._shown:
            self._shown = label
            self._set_title(label)


def _is_retriable(allowed: bytes, error: BaseException) -> bool:
    if not allowed or not isinstance(error, Exception):
        return False
    if allowed == b"*":
        return True
    types = pickling.loads(allowed)
    return isinstance(error, tuple(types) if isinstance(types, list) else types)
