"""`Performer`: finds the function of a job, unpickles the arguments, calls, and answers."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from nbactors.definitions import main_names
from nbactors.definitions.hooks import METHODS
from nbactors.frontend.user_code import lets_through
from nbactors.local.submitting import arguments
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.worker.running import built_in_methods, producing, taking
from nbactors.local.worker.running.ending import ActorExit
from nbactors.local.worker.running.interrupts import Window, invoke
from nbactors.local.worker.running.renewal import Renewal
from nbactors.speedups.worker import PerformerBase

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.held import Held
    from nbactors.local.objects.values import Values
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.worker.jobs.hosted import Hosted
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.memory.limit import MemoryLimit
    from nbactors.local.worker.printing.output_pipes import OutputPipes
    from nbactors.local.worker.printing.process_title import ProcessTitle
    from nbactors.local.worker.running.answers import Answers
    from nbactors.local.worker.running.interrupts import Interrupts


class Performer(PerformerBase):
    """Runs jobs on the calling thread. All results and exceptions of a job become its answer; none is raised.

    Args:
        values: Unpacks functions and arguments.
        reactor: The event loop.
        hosted: The worker's actor.
        answers: Sends the answers.
        interrupts: Interrupts running jobs that are cancelled.
        output: Sends the output of a job to the job's cell.
        leave_by: Called with the exception that ends the worker, and its job.
        await_lease: Waits for the node's message about a task's lease.
        title: Shows the running call in the process title.

    Attributes:
        memory: The limit of this worker's memory, None for no limit. It is set before the first call.
        is_spent: Whether a task has used up the `max_calls` of its function, so that this worker runs no other one.
    """

    def __init__(
        self,
        values: Values,
        reactor: Reactor,
        hosted: Hosted,
        answers: Answers,
        interrupts: Interrupts,
        output: OutputPipes,
        *,
        leave_by: Callable[[ActorExit | SystemExit, Job | None], None],
        await_lease: Callable[[int], None],
        title: ProcessTitle,
    ) -> None:
        self.hosted = hosted
        self.answers = answers
        self.leave_by = leave_by
        self._await_lease = await_lease
        self.title = title
        self.reactor = reactor
        self._values = values
        self._interrupts = interrupts
        self._output = output
        self.renewal = Renewal(hosted, reactor)
        self._functions: dict[bytes, tuple[Any, Held]] = {}
        self._left: dict[bytes, int] = {}
        """How often each function with `max_calls` may still be run here, by its key."""
        self._windows = threading.local()
        self.memory: MemoryLimit | None = None
        self.is_spent = False

    # -------------------------------------------------------------------------------------------------- synchronous

    def perform(self, job: Job) -> None:
        """Run a job to its end on the main thread."""
        try:
            function, args, kwargs = self._prepare_quickly(job) or self.prepare(job)
            if job.cancel is None:
                result = invoke(function, args, kwargs)
                del args, kwargs
                if not self.answers._give_quickly(job, result):
                    self.deliver(job, result)
                return
        except BaseException as error:  # noqa: BLE001 - an exception of user code is the call's answer
            self.raised(job, error)
        else:
            self.refuse(job)

    def perform_in_thread(self, job: Job) -> None:
        """Run a job to its end on a pool thread."""
        window = self.window()
        try:
            function, args, kwargs = self._prepare_quickly(job) or self.prepare(job)
            if job.cancel is not None:
                self.refuse(job)
                return
            try:
                window.open(job)
                result = invoke(function, args, kwargs)
            finally:
                window.shut()
            del args, kwargs
            if not self.answers._give_quickly(job, result):
                self.deliver(job, result)
        except BaseException as error:  # noqa: BLE001 - as above
            window.shut()
            self.raised(job, error)

    def limited(self, run: Callable[[Job], None]) -> Callable[[Job], None]:
        """Return `perform` or `perform_in_thread` with the memory limit around it; itself if there is no limit."""
        memory = self.memory
        if memory is None:
            return run

        def run_limited(job: Job) -> None:
            with memory:
                run(job)

        return run_limited

    def window(self) -> Window:
        """Return the calling thread's window for interrupts; make it if there is none. A pool's or a loop's thread."""
        window: Window | None = getattr(self._windows, "own", None)
        if window is None:
            ident = threading.get_ident()
            window = self._windows.own = self._interrupts.windows[ident] = Window(ident, self.reactor.thread_waits)
        return window

    def deliver(self, job: Job, result: Any) -> None:
        """Answer with the result of a synchronous call.

        As in Ray, the result of a cancelled method is dropped. A cancelled task that has caught its KeyboardInterrupt
        is answered with its result.
        """
        if job.cancel is not None and not (job.is_task and _only_asked(job)):
            self.refuse(job)
            return
        num_returns = job.message.num_returns
        if num_returns >= 0:
            if num_returns > 0 and isinstance(result, GeneratorType):
                taken = invoke(taking.take, (result, num_returns), _NOTHING)
                if taken.error is not None and job.interrupts:  # its caller has cancelled it meanwhile
                    raise taken.error
                self.answers.give_taken(job, taken)
            else:
                self.answers.give(job, result)
            return
        if not producing.is_generator(result):
            raise producing.not_a_generator(job, result)
        producing.produce(self.reactor, self.answers, job, result, _step)
        if job.cancel is not None:
            self.refuse(job)
        else:
            self.answers.end_stream(job)

    def raised(self, job: Job, error: BaseException) -> None:
        """Answer with the exception that a job has raised; end the worker if the exception says so."""
        if isinstance(error, ActorExit) or (isinstance(error, SystemExit) and not job.interrupts):
            self.leave_by(error, job)
        elif job.interrupts and (isinstance(error, KeyboardInterrupt) or not _only_asked(job)):
            self.refuse(job, error)
        else:
            self.answers.fail(job, error)

    def refuse(self, job: Job, error: BaseException | None = None) -> None:
        """Answer that a job was cancelled; `error` is the exception that it has raised, if it has."""
        assert job.cancel is not None
        if job.answered:
            return
        if error is not None and job.cancel.mode is not CancelMode.TIMEOUT:
            self.answers.fail_canceled(job, error)
        else:
            self.answers.refuse(job, job.cancel, "running")

    # ---------------------------------------------------------------------------------------------------- preparing

    def define(self, connection: Connection, message: messages.Define) -> None:
        """Keep a function of tasks, which is unpickled when it first runs. The leader's thread."""
        function = self._values.receive(connection, message.function)
        if message.key not in self._functions:
            self._functions[message.key] = (None, function)
            if message.max_calls:
                self._left[message.key] = message.max_calls

    def undefine(self, connection: Connection, message: messages.Undefine) -> None:
        """Forget a function, which no task calls any more. The leader's thread."""
        function, _ = self._functions.pop(message.key, (None, None))
        if function is not None:
            main_names.forget(getattr(function, "__globals__", {}))
        self._left.pop(message.key, None)

    def prepare(self, job: Job) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Return the function of a job, and its arguments. The thread that runs the job."""
        message = job.message
        if self._name_quickly(job):
            function = getattr(self.hosted.instance, message.method)  # type: ignore[union-attr] # it is a `Call`
        else:
            if message.origin != self._output.descriptors_origin:
                self._output.begin(message.origin)
            function = self._find(job)
        if message.data == b"" and job.rest is None and not job.deps:
            return function, (), _NOTHING
        return function, *self._interrupts.invoke(job, self._load_arguments, job)

    def _find(self, job: Job) -> Callable[..., Any]:
        hosted, message = self.hosted, job.message
        if isinstance(message, messages.Call):
            method = message.method
            job.name = name = hosted.names.get(method) or hosted.name_of(method)
            job.label = job.label or name
            job.module = hosted.module
            self.title.show(job.label)
            if method.startswith("__"):
                if method in METHODS:
                    return self.renewal.find(method)
                if method.startswith("__ray_"):
                    return built_in_methods.find(method, hosted.instance, hosted.is_async)
            return getattr(hosted.instance, method)  # type: ignore[no-any-return]
        left = self._left.get(message.key)
        if left is not None:
            self._left[message.key] = left - 1
            self.is_spent |= left <= 1
        self._await_lease(message.lease_id)
        function, held = self._functions[message.key]
        if function is None:
            function = self._interrupts.invoke(job, held.load)
            self._functions[message.key] = (function, held)
        job.name = getattr(function, "__name__", "task")
        job.module = getattr(function, "__module__", "")
        job.label = job.label or job.name
        self.title.show(job.label)
        return function  # type: ignore[no-any-return]

    @staticmethod
    @lets_through
    def _load_arguments(job: Job) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # Handles and references in the arguments stay counted as long as the job exists, even if user code drops them.
        message, rest = job.message, job.rest
        if rest is None:
            args, kwargs = pickle.loads(message.data) if message.data else ((), {})
        else:
            args, kwargs = rest.load() if rest.data or rest.stored is not None else ((), {})
        if not job.deps:
            return args, kwargs
        return arguments.fill(args, kwargs, [(key, held.load()) for key, held in job.deps])


_NOTHING: dict[str, Any] = {}


def _only_asked(job: Job) -> bool:
    """Return whether a task was cancelled as in Ray: it gets one KeyboardInterrupt, which it may catch."""
    return job.cancel is not None and job.cancel.mode.only_asks


def _step(values: Any) -> tuple[bool, Any]:
    return invoke(_next, (values,), _NOTHING)  # type: ignore[no-any-return]


@lets_through
def _next(values: Any) -> tuple[bool, Any]:
    try:
        return True, next(values)
    except StopIteration:
        return False, None
