"""`Executor`: takes calls in, and gives them to the main thread or to the lanes of concurrency groups."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from nbactors.definitions.hooks import METHODS, NOW, RESTORE
from nbactors.exceptions.hints import hint
from nbactors.exceptions.one_line import brief
from nbactors.exceptions.user_traceback import user_traceback
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.submitting import arguments, restart_file
from nbactors.local.task_events import error_types
from nbactors.local.wire import failures, ids, messages, restart_files
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.worker.inspecting import profiler, stacks
from nbactors.local.worker.inspecting.inspector import Inspector
from nbactors.local.worker.jobs.caller_jobs import CallerJobs
from nbactors.local.worker.jobs.hosted import Hosted
from nbactors.local.worker.jobs.job import Job, current
from nbactors.local.worker.jobs.job_events import JobEvents
from nbactors.local.worker.memory import usage
from nbactors.local.worker.memory.limit import MemoryLimit, is_lack
from nbactors.local.worker.memory.watch import MemoryWatch
from nbactors.local.worker.printing.output_pipes import OutputPipes
from nbactors.local.worker.printing.process_title import ProcessTitle
from nbactors.local.worker.running.answers import Answers
from nbactors.local.worker.running.at_once import run_at_once
from nbactors.local.worker.running.constructor_call import Construction, Creator
from nbactors.local.worker.running.ending import ActorExit, Ending, Farewell
from nbactors.local.worker.running.interrupts import Interrupts, called_on, invoke
from nbactors.local.worker.running.lanes import Lanes
from nbactors.local.worker.running.lookout import Lookout
from nbactors.local.worker.running.performer import Performer
from nbactors.speedups.worker import ExecutorBase

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.membership import Membership
    from nbactors.local.objects.objects import Objects
    from nbactors.local.task_events.recorder import Recorder
    from nbactors.local.task_events.waits import Waits

LONG_S = 0.005
"""Seconds after which a running task makes the worker give the tasks behind it back to their callers."""

LEASE_S = 5.0
"""Seconds that a task waits for the node's message about its lease, which was sent before the task."""

LEAVE_S = 0.05
"""Seconds in which the node's message is sent, before a process ends that has used too much memory."""

DRAIN_TICK_S = 0.01
"""Seconds between two looks of a leaving actor whether the calls on its other threads have ended."""


class Executor(ExecutorBase):
    """The loop of the main thread, and the arrival of jobs on the leader's thread. See this room's `__init__`.

    Args:
        membership: Knows the worker's id and the node's directory, and tells whether this is a forked child.
        objects: Unpacks arriving values, and has the reactor.
        peers: The connections of the callers.
        node: Is told when the actor is constructed and when it ends.
        flush: Sends all buffered messages, for at most the given seconds.
        cancel_children: Cancels the calls that a job has made.
        set_title: Shows the label of the running call in the process title; an empty one if none runs.
        recorder, waits: Record the task events.
        leave: Ends the process with an exit status.

    Attributes:
        hosted: The actor whose calls run here.
        lanes: The lanes of an actor that runs several calls at the same time; None for other actors, and for tasks.
        on_named: Called with the text of a new actor that has its own `__repr__`, which stands before its output.
        is_retired: Whether it runs no more tasks, see `messages.Spent`.
    """

    def __init__(
        self,
        membership: Membership,
        objects: Objects,
        peers: Peers,
        node: NodeLink,
        *,
        flush: Callable[[float], None],
        cancel_children: Callable[[Job, CancelMode], None],
        set_title: Callable[[str], None],
        recorder: Recorder,
        waits: Waits,
        leave: Callable[[int], NoReturn] = os._exit,
    ) -> None:
        self._objects = objects
        self._values = values = objects.values
        self._reactor = reactor = objects.reactor
        self._peers = peers
        self._node = node
        self._cancel_children = cancel_children
        self.on_named: Callable[[str], None] = lambda _: None
        self._leave = leave
        self._jobs: deque[Job | Construction | Ending] = deque()
        self._early: list[Job] = []
        self._orphaned: list[Connection] = []
        """The closed connections of callers that have ended, as long as jobs of theirs wait or run."""
        self._waiter: Waiter | None = None
        self._is_watching = False
        self._lookout = Lookout(reactor.catch_up)
        self._title = ProcessTitle(set_title, reactor.call_later, self._label_now)
        self._construction: Construction | None = None
        self._lease_waiter: Waiter | None = None
        self.is_retired = False
        self.constructed = False
        self.lease_id = 0
        self.lanes: Lanes | None = None
        self._put_plain: Callable[[Job], None] | None = None
        """Takes in a call of the default group that need not run alone, as `_put` does."""
        self.hosted = hosted = Hosted(membership)
        self._recorder = recorder
        self.events = JobEvents(membership, recorder, waits, hosted, self._jobs_of_callers)
        self.output = OutputPipes(
            lambda cell, ends: node.send_now(messages.OutputPipes(cell), ends), lambda: hosted.running
        )
        self.answers = Answers(values, reactor, self._is_busy, self.output)
        self.answers.backlog = self._jobs
        self.farewell = Farewell(
            membership,
            objects,
            peers,
            node,
            flush=flush,
            hosted=hosted,
            answers=self.answers,
            end=self.end,
            leave=leave,
        )
        self.interrupts = Interrupts(reactor, self.answers, lambda: hosted.running)
        self.answers.invoke = self.interrupts.invoke
        self.performer = Performer(
            values,
            reactor,
            hosted,
            self.answers,
            self.interrupts,
            self.output,
            leave_by=self.leave_by,
            await_lease=self.await_lease,
            title=self._title,
        )
        inspector = Inspector(
            membership, hosted, self._jobs_of_callers, self._limits, lambda: usage.now().own, called_on
        )
        peers.handlers.update(
            {
                messages.Construct: self.enqueue_construct,
                messages.Call: self.take_in,
                messages.Run: self.take_in,
                messages.Define: self.performer.define,
                messages.Undefine: self.performer.undefine,
                messages.Cancel: self.on_cancel,
                messages.CancelJobs: self.on_cancel_jobs,
                messages.Consumed: self.on_consumed,
                messages.StopStream: self.on_stop_stream,
                messages.AskStack: lambda c, _: self.on_ask_stack(c),
                messages.AskProfile: self.on_ask_profile,
                messages.AskInspection: lambda c, _: c.send_now(inspector.look()),
            }
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the actor's concurrency groups, without the default one."""
        return tuple(self._construction.message.groups) if self._construction is not None else ()

    def _limits(self) -> dict[str, int]:
        """Return how many calls each concurrency group runs at the same time, the default group first."""
        return self.lanes.limits if self.lanes is not None else {"": 1}

    def on_ask_stack(self, connection: Connection) -> None:
        """Answer a request for the stacks of the running calls. The leader's thread."""
        running, waiting = self._jobs_of_callers()
        text = stacks.describe(self.hosted, list(running), sum(1 for _ in waiting))
        connection.send_now(messages.StackText(text))

    def on_ask_profile(self, connection: Connection, message: messages.AskProfile) -> None:
        """Begin to sample the stacks, and answer when that is over. The leader's thread."""

        def answer() -> None:
            samples, counts = profiler.sample(
                lambda: stacks.now(self.hosted, list(self._jobs_of_callers()[0])), message.seconds, message.interval
            )
            connection.send_now(messages.Profile(samples, counts))

        profiler.start(answer)

    def _callers(self) -> list[Connection]:
        """Return the connections of all callers, also of those that have ended and whose calls go on. Any thread."""
        return [*self._peers.incoming(), *self._orphaned]

    def _jobs_of_callers(self) -> tuple[Iterator[Job], Iterator[Job]]:
        """Return the jobs that run, and those that have not begun. Any thread."""
        callers: list[CallerJobs] = [connection.jobs for connection in self._callers()]
        running = [job for jobs in callers for job in jobs.running.copy().values()]
        construction = self._construction
        if construction is not None and not self.hosted.made.is_set():
            running.append(construction.job)
        return iter(running), (job for jobs in callers for job in jobs.waiting.copy().values())

    def limit_memory(self, size: int, *, is_watched: bool) -> None:
        """Limit the memory that calls may use. Before the first call, and with each lease.

        Args:
            size: Bytes, the same each time.
            is_watched: Whether a watch holds the limit, and not the kernel.
        """
        if self.performer.memory is not None:
            self.performer.memory.watch(is_watched)
            return
        reactor = self._reactor
        limit = MemoryLimit(size, is_watched=is_watched)
        limit.on_call = MemoryWatch(
            size, reactor.call_later, lambda: limit.calls > 0, self._interrupt_for_memory, self._end_for_memory
        ).start
        self.performer.memory = self.answers.memory = limit
        reactor.relieve_by(limit.relieve)

    def _interrupt_for_memory(self, text: str) -> None:
        """Interrupt all running calls. The leader's thread."""
        for connection in self._callers():
            for job in list(connection.jobs.running.values()):
                if job.cancel is None:
                    self.on_cancel(connection, messages.Cancel(job.message.number, CancelMode.MEMORY, False, 0.0, text))

    def _end_for_memory(self, text: str) -> None:
        """End the process, whose methods cannot be interrupted. The leader's thread."""
        self.farewell.begin(Ending("out_of_memory", text, graceful=False))
        self._reactor.call_later(LEAVE_S, lambda: self._leave(1))

    def current_job(self) -> Job | None:
        """Return the job that the calling code belongs to. Any thread."""
        return current.get() or self.hosted.running

    def _is_busy(self) -> bool:
        return bool(self._jobs) or (self.lanes is not None and self.lanes.is_busy)

    # ------------------------------------------------------------------------------------------------------ arrival

    def enqueue(self, connection: Connection, message: Any) -> None:
        """Take a call or task in, with the values in its message. The leader's thread.

        The usual case, where no value is to be received and nothing to be armed, is one step of `ExecutorBase`, if that
        is compiled.
        """
        if message.rest is None and not message.deps:
            job = Job(connection, message, None, ())  # type: ignore[arg-type]
        else:
            receive = self._values.receive
            rest = receive(connection, message.rest) if message.rest is not None else None
            job = Job(
                connection, message, rest, [(key, receive(connection, value)) for key, value in message.deps or ()]
            )
        if job.is_task and self.is_retired:
            connection.send_now(messages.GivenBack([], is_spent=True))
            return
        job.read_at = self._reactor.read_at
        connection.jobs.waiting[message.number] = job
        if message.submitted and not self._recorder.is_armed:
            self._recorder.arm()
        if not job.is_task and message.group == NOW:
            run_at_once(
                job, self.performer.limited(self.performer.perform_in_thread), self.interrupts.windows, self.hosted.made
            )
            return
        if self.lanes is not None:
            self._put(job)
            return
        if not self.constructed and not job.is_task:
            # Calls of other processes may arrive before the creator's Construct, and before the node's message that
            # this worker hosts an actor. They must wait for the instance.
            self._early.append(job)
            return
        self._jobs.append(job)
        waiter = self._waiter
        if waiter is not None:
            waiter.finish()
        if job.is_task and not self._is_watching:
            self._watch()

    def enqueue_construct(self, connection: Connection, message: messages.Construct) -> None:
        """Queue the constructor's call before all other calls. The leader's thread."""
        receive = self._values.receive
        cls = receive(connection, message.cls)
        rest = receive(connection, message.args)
        deps = [(key, receive(connection, value)) for key, value in message.deps]
        self._begin(Construction(connection, message, cls, rest, deps))

    def construct_from_file(self) -> bool:
        """Queue the constructor's call as a creator has written it that is gone. The leader's thread.

        Returns:
            Whether the actor has a call of the constructor, from its creator or from the file.
        """
        if self.constructed:
            return True
        actor_id = self.hosted.actor_id
        content = restart_file.read(restart_files.constructor(self.hosted.directory, actor_id))
        if content is None:
            return False
        creator, (is_async, max_concurrency, groups), origin, cls, rest, deps = content
        nothing = messages.Value(b"")
        message = messages.Construct(
            actor_id, nothing, nothing, [], is_async, max_concurrency, groups, origin, monotonic()
        )
        held = restart_file.held
        values = [(key, held(parts)) for key, parts in deps]
        self._begin(Construction(Creator(creator), message, held(cls), held(rest), values))
        return True

    def _begin(self, construction: Construction) -> None:
        if self.constructed:  # from the file: the creator has sent its message, and has gone before it was read
            return
        message = construction.message
        early, self._early = self._early, []
        # The lanes are set first: the main thread may take the construction as soon as it is queued, and uses them.
        if message.is_async or message.max_concurrency > 1 or message.groups:
            self.lanes = self.hosted.calls = Lanes(message, self.performer)
            self.answers.backlog = self.lanes.only
            self._put_plain = self.lanes.put_plain
            self._jobs.append(construction)
            for job in early:
                self._put(job)
            early = []
        else:
            self._jobs.append(construction)
        self._jobs.extend(early)
        self.constructed = True
        self._wake_main()

    def _put(self, job: Job) -> None:
        """Give a call to its lane; a call that has to run alone goes to the main thread."""
        assert self.lanes is not None
        if isinstance(job.message, messages.Call) and job.message.method in METHODS:
            self._jobs.append(job)
            self._wake_main()
        else:
            self.lanes.put(job)

    def end(self, ending: Ending) -> None:
        """Queue the end of the process behind the waiting calls. Any thread."""
        self._jobs.append(ending)
        self._wake_main()

    def _wake_main(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            waiter.finish()
        if self.lanes is not None:
            self.lanes.stop_main_loop()

    # ---------------------------------------------------------------------------------------- cancelling, streaming

    def on_cancel(self, connection: Connection, message: messages.Cancel) -> None:
        """Cancel a call for its caller: refuse it if it waits, interrupt it if it runs. The leader's thread."""
        number = message.number
        job = connection.jobs.waiting.pop(number, None)
        if job is not None:
            self.answers.refuse(job, message, "queued")
            if job.message.submitted:
                self.events.ended(job)
            return
        job = connection.jobs.running.get(number)
        if job is None:
            return
        if job.cancel is None or not message.mode.only_asks:
            job.cancel = message
        if message.recursive:
            self._cancel_children(job, message.mode.of_children)
        if job.production is not None:
            job.production.stop()
        if message.mode.ends_process and job.is_task:
            connection.flush()
            self._leave(1)
        if self.lanes is not None:
            self.lanes.cancel(job)
        if job.task is None and (job.is_task or message.mode.interrupts_methods):
            self.interrupts.pursue(job)

    def on_cancel_jobs(self, connection: Connection, message: messages.CancelJobs) -> None:
        """Cancel one job, or all that run, as any process of the user has asked. The leader's thread.

        A call goes on after the end of its caller if its actor is detached. Then only this message reaches the call.
        """
        self._orphaned = [caller for caller in self._orphaned if caller.jobs.running or caller.jobs.waiting]
        count = 0
        for caller in self._callers():
            jobs: CallerJobs = caller.jobs
            if message.task_id:
                number = ids.number_of(message.task_id)
                is_there = number in jobs.waiting or number in jobs.running
                numbers = [number] if is_there and ids.owner_of(message.task_id) == caller.peer_id else []
            else:
                numbers = [number for number, job in list(jobs.running.items()) if not job.answered]
            for number in numbers:
                self.on_cancel(caller, messages.Cancel(number, message.mode, True))
            count += len(numbers)
        connection.send_now(messages.Canceled(count))

    def on_consumed(self, connection: Connection, message: messages.Consumed) -> None:
        """Note that a caller has read values of a generator. The leader's thread."""
        # A call that was sent again may still wait. It is looked for in this order for the reason in `Job.begin`.
        jobs: CallerJobs = connection.jobs
        job = jobs.waiting.get(message.number) or jobs.running.get(message.number)
        if job is not None and job.production is not None:
            job.production.read(message.count)

    def on_stop_stream(self, connection: Connection, message: messages.StopStream) -> None:
        """Stop a generator whose values nobody reads. The leader's thread."""
        number = message.number
        job = connection.jobs.waiting.pop(number, None)
        if job is not None:
            self.answers.end_stream(job)
            return
        job = connection.jobs.running.get(number)
        if job is not None and job.production is not None:
            job.production.stop()

    def on_caller(self, connection: Connection) -> None:
        """Give the connection of a fresh caller its record of jobs. The leader's thread."""
        connection.jobs = CallerJobs(self.events)

    def on_caller_gone(self, connection: Connection) -> None:
        """Stop the generators of a caller that has ended, since nobody reads their values. The leader's thread."""
        for job in list(connection.jobs.running.values()):
            if job.production is not None:
                job.production.stop()
        known = (*self._orphaned, *([] if connection in self._orphaned else [connection]))
        self._orphaned = [caller for caller in known if caller.jobs.running or caller.jobs.waiting]

    # --------------------------------------------------------------------------------------------------- giving back

    def _watch(self) -> None:
        """Look in `LONG_S` whether tasks wait behind a long one. The leader's thread.

        A timer, since it is due whichever thread leads: the background thread, or a main thread that waits for a result
        which perhaps a task behind it makes.
        """
        self._is_watching = True
        self._reactor.call_later(LONG_S, self._look_for_long)

    def _look_for_long(self) -> None:
        """Give tasks back that wait behind a long one. The leader's thread."""
        self._is_watching = False
        running = self.hosted.running
        if not self._jobs or self.farewell.ending is not None:
            return
        if running is not None and running.is_task and monotonic() - running.since > LONG_S:
            self.give_back()
        else:
            self._watch()

    def give_back(self) -> None:
        """Give every task that has not begun back to its caller. Any thread."""
        back: dict[Connection, list[int]] = {}
        kept: list[Any] = []
        while True:
            try:
                # Popped from the right, while the main thread pops from the left: each job goes to one of the two.
                job = self._jobs.pop()
            except IndexError:
                break
            if not (isinstance(job, Job) and job.is_task):
                kept.append(job)
            elif job.connection.jobs.waiting.pop(job.message.number, None) is not None:
                back.setdefault(job.connection, []).append(job.message.number)
        self._jobs.extend(reversed(kept))
        waiter = self._waiter
        if kept and waiter is not None:
            waiter.finish()
        for connection, numbers in back.items():
            connection.send_now(messages.GivenBack(numbers[::-1]))

    def _retire(self, holder: Connection) -> None:
        """Run no more tasks. The main thread.

        The tasks that wait go back first, and later ones when they arrive. One that the leader's thread queues just
        now goes back with the last message, and `serve` drops it.
        """
        self.is_retired = True
        self._node.send_now(messages.Spent())
        self.give_back()
        holder.send_now(messages.GivenBack([], is_spent=True))

    def await_lease(self, lease_id: int) -> None:
        """Wait for the node's message about a task's lease, which arrives on another connection than the task."""
        if lease_id == self.lease_id:
            return
        waiter = self._lease_waiter = Waiter()
        if self.lease_id != lease_id:
            self._reactor.wait(waiter, LEASE_S)
        self._lease_waiter = None

    def assigned(self, lease_id: int) -> None:
        """Note that the node's message about a lease has arrived. The leader's thread."""
        self.lease_id = lease_id
        waiter = self._lease_waiter
        if waiter is not None:
            waiter.finish()

    # -------------------------------------------------------------------------------------------------------- loop

    def serve(self) -> None:
        """Run jobs until the process ends. The main thread; never returns."""
        self.interrupts.install()
        jobs, hosted, performer = self._jobs, self.hosted, self.performer
        perform = performer.limited(performer.perform)
        lookout = self._lookout
        job: Job | None
        while True:
            job = lookout._pop_quickly(jobs) or self._next()
            if job is not None:
                hosted.running = job
                perform(job)
                if lookout._finish_quickly(job) is None:
                    job.end()
                    lookout.after(job)
                if performer.is_spent:
                    self._retire(job.connection)
                    lookout.is_shut_to_tasks = True
            # While this thread is idle, its frame must not keep the last job alive.
            job = None

    def _next(self) -> Job | None:
        """Begin the next job, and return it; do anything else that comes next, and return None. The main thread."""
        jobs = self._jobs
        if not jobs:
            self._idle()
            return None
        try:
            job = jobs.popleft()
        except IndexError:  # another thread has given it back
            return None
        if isinstance(job, Job):
            self._lookout.before(job)
            return job if (not self.is_retired or not job.is_task) and job.begin() else None
        if isinstance(job, Construction):
            self._construct(job)
        else:
            self._drain()
            self.farewell.carry_out(job)
        return None

    def _idle(self) -> None:
        self.hosted.running = None
        if self.lanes is not None and self.lanes.is_async:
            self.lanes.run_main_loop(lambda: bool(self._jobs))
            return
        waiter = Waiter()
        self._waiter = waiter
        if not self._jobs:
            if self.lanes is None:
                self._title.rest()
            try:
                self._reactor.wait(waiter, None)
            except Exception:  # noqa: BLE001 - raised by the user's signal handler; there is no call that could fail
                self._reactor.complain(self._idle)
        self._waiter = None

    # --------------------------------------------------------------------------------------------------- constructor

    def _construct(self, construction: Construction) -> None:
        message = construction.message
        job = construction.job
        job.name = job.label = f"{self.hosted.class_name}.__init__"
        job.since = monotonic()
        self.hosted.running = job
        if message.origin:
            self.output.begin(message.origin)
        self._title.show(job.name)
        # The construction is kept: references and handles in the class stay counted as long as the actor lives.
        self._construction = construction
        if message.submitted:
            self._recorder.arm()
        if self.lanes is not None:
            self.farewell.take_sigterm()  # before user code, which may set a handler of its own
        memory = self.performer.memory
        try:
            with memory if memory is not None else nullcontext():
                self._make_instance(construction)
        except ActorExit as reason:
            self.farewell.carry_out(Ending("exit", str(reason)))
        except SystemExit as reason:
            self.farewell.carry_out(_ending_of(reason))
        except BaseException as error:  # noqa: BLE001 - any exception of user code ends the actor
            text = f"ray::{job.name}() (pid={os.getpid()})\n{user_traceback(error)}"
            is_lack_of_memory = memory is not None and is_lack(error)
            explanation = memory.explain(job.name, lives_on=False) if is_lack_of_memory else hint(error)  # type: ignore[union-attr]
            if explanation:
                text += f"\n{explanation}"
            job.failure = (error_types.EXECUTION, failures.excerpt(text))
            self._note_constructed(job)
            self.farewell.carry_out(Ending("creation_failed", text, graceful=False))
        construction.rest = construction.deps = job.rest = job.deps = None  # type: ignore[assignment]
        self.hosted.running = None
        self.hosted.made.set()
        self._note_constructed(job)
        self._node.send_now(messages.ActorConstructed(message.actor_id))
        if self.lanes is not None:
            self._title.show("")
            self.lanes.start()

    def _make_instance(self, construction: Construction) -> None:
        rest, job = construction.rest, construction.job
        cls = self._class_of(construction)
        args, kwargs = rest.load() if rest.data or rest.stored is not None else ((), {})
        args, kwargs = arguments.fill(args, kwargs, [(key, held.load()) for key, held in construction.deps])
        self.hosted.cls = cls
        self.hosted.module = job.module = cls.__module__
        if self.lanes is not None and self.lanes.is_async:
            self.lanes.host(self._reactor, self._objects.waiting)
            self.hosted.instance = self.lanes.construct(cls, args, kwargs)
        else:
            self.hosted.instance = invoke(cls, args, kwargs)
        del args, kwargs
        self._resume(job)
        if cls.__repr__ is not object.__repr__:
            try:
                label = brief(invoke(repr, (self.hosted.instance,), {}))
            except Exception:  # noqa: BLE001 - the user's __repr__; the class's name serves as well
                return
            self.on_named(label)

    def _note_constructed(self, job: Job) -> None:
        if job.message.submitted:
            job.name = job.label = f"{self.hosted.class_name}.__init__"
            self.events.ended(job)

    def _class_of(self, construction: Construction) -> Any:
        """Return the class to construct: at a restart that of the last update, if there is one."""
        hosted = self.hosted
        path = restart_files.changed_class(self.hosted.directory, hosted.actor_id)
        changed = restart_file.read(path) if hosted.restarts else None
        return (construction.cls if changed is None else restart_file.held(changed)).load()

    def _resume(self, job: Job) -> None:
        """Give a restarted actor the state of its last checkpoint, if it has made one and its class has the hook."""
        hosted = self.hosted
        if not hosted.restarts or not hasattr(hosted.instance, RESTORE):
            return
        saved = restart_file.read(restart_files.checkpoint(hosted.directory, hosted.actor_id))
        if saved is not None:
            job.name = job.label = f"{hosted.class_name}.{RESTORE}"  # in the error's text
            invoke(self.performer.renewal.resume, (restart_file.held(saved),), {})

    # -------------------------------------------------------------------------------------------------------- ending

    def exit_called(self, reason: ActorExit) -> None:
        """Begin the end of the actor before `exit_actor()` raises. Any thread.

        On the main thread of an actor without lanes, the exception itself ends the actor after the call has unwound.
        Elsewhere user code may have made the thread or asyncio task, which may drop the exception.
        """
        if self.lanes is None and threading.current_thread() is threading.main_thread():
            return
        self.leave_by(reason)
        if self.lanes is not None:
            self.lanes.expect_exit()

    def leave_by(self, reason: ActorExit | SystemExit, job: Job | None = None) -> None:
        """Begin the end of the actor after `exit_actor`, `__ray_terminate__` or `sys.exit()`. The thread of that call.

        Args:
            reason: The raised exception.
            job: The call that has raised it. In an actor without lanes nothing else runs after it.
        """
        if isinstance(reason, ActorExit):
            ending, after_queue = Ending("exit", str(reason)), reason.after_queue
        else:
            ending, after_queue = _ending_of(reason), False
        if job is not None and self.lanes is None and threading.current_thread() is threading.main_thread():
            self.farewell.begin(ending, job)
            # Once the call has unwound: until then its frames hold the instance, whose `__del__` would not run.
            self._jobs.appendleft(ending)
            return
        self.farewell.begin(ending, job, after_queue)
        self.end(ending)

    def give_signals_back(self) -> None:
        """In a forked child: restore the default effect of signals, unless user code has set handlers."""
        self.interrupts.remove()
        self.farewell.give_sigterm_back()

    def _drain(self) -> None:
        """Wait until the calls on other threads have ended. The node limits this time by killing the process."""
        lanes = self.lanes
        if lanes is None:
            return
        while lanes.has_running:
            try:
                if lanes.is_async:
                    lanes.turn(DRAIN_TICK_S)
                else:
                    self._reactor.wait(Waiter(), DRAIN_TICK_S)
            except SystemExit:  # raised in an asyncio task that user code has made; the actor ends already
                pass

    def _label_now(self) -> str:
        """Return what the process title should show now, empty if no call runs. Any thread."""
        if self.lanes is not None and self.lanes.has_running:
            return self._title.label  # several calls may run: that of the latest one stays
        running = self.hosted.running
        return running.label if running is not None else ""


def _ending_of(reason: SystemExit) -> Ending:
    """Return the ending for `sys.exit()` in user code: deliberate with status 0, a crash otherwise."""
    code = reason.code
    if code is None or code == 0:
        return Ending("exit", "sys.exit(0) was called in it (exit code 0).")
    status = code if isinstance(code, int) else 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
    return Ending("crashed", f"sys.exit({code!r}) was called in it (exit code {status}).", status=status)
