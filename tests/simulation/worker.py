"""`SimulatedWorker`: a worker process whose main thread runs step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from nbactors.local.objects.object_life import READY
from nbactors.local.objects.waiting import PATIENCE_S
from nbactors.local.wire import messages
from nbactors.local.worker import main
from nbactors.local.worker.jobs.job import Job, current
from nbactors.local.worker.running.constructor_call import Construction
from nbactors.local.worker.running.ending import ActorExit
from nbactors.local.worker.running.executor import DRAIN_TICK_S, LEASE_S
from nbactors.local.worker.running.interrupts import invoke
from nbactors.local.worker.running.lookout import Lookout
from nbactors.version import __version__
from simulation.network import Network
from simulation.process import Left, SimulatedProcess
from simulation.subject import Program
from simulation.verbs import Verbs
from simulation.world import World

FLUSH_S = 2.0
SLOW_S = 0.05
"""How long a slow constructor takes, in seconds."""


class SimulatedWorker(main.Worker):
    """The real worker's parts. Only the loop of the main thread is the simulation's: it cannot block.

    Args:
        on_exit: Called with the exit status when the process ends.
    """

    def __init__(
        self, world: World, name: str, network: Network, process_id: bytes, on_exit: Callable[[int], None]
    ) -> None:
        world.birth = (name, network)
        super().__init__()
        self.begin(process_id, "/nowhere")
        self.process: SimulatedProcess
        self._on_exit = on_exit
        self._is_ready = self._is_planned = False
        self._has_joined = self._has_order = False
        self._leaving_until = 0.0
        self.running: Run | None = None
        self.in_lanes: dict[Job, Run] = {}
        executor = self.executor
        executor._leave = executor.farewell._leave = self._leave  # type: ignore[method-assign]
        executor.farewell._clean_up = self._clean_up  # type: ignore[method-assign]
        executor.farewell.take_sigterm = lambda: None  # type: ignore[method-assign]
        executor.interrupts._strike = self._strike  # type: ignore[method-assign]
        executor.performer._await_lease = lambda _: None
        executor.performer.worker = self  # type: ignore[attr-defined]
        self.lookout = Lookout(executor._reactor.catch_up)
        self.process.main = self._look_ahead
        self.process.exit = self.die
        self.process.environment.tell_paths()

    def join(self, sock: Any, is_spare: bool) -> None:
        """Say Hello to the node. See `main.Worker.run`, and `join_as_spare`."""
        self.process.is_listening = not is_spare
        self.process.is_spare = is_spare
        self.process.node.use(sock)
        self.process.node.start(self.process.process_id, "worker", __version__, is_spare)
        self._has_joined = True
        if not is_spare:
            self._wait()
        elif self._has_order:
            self.receive_order()

    def receive_order(self) -> None:
        """Be no spare any more, as soon as it has joined."""
        self._has_order = True
        if not self._has_joined:
            return
        try:
            self._leave_spares()
        except Left:
            return
        self._wait()

    def _wait(self) -> None:
        self.process.world.later(main.WELCOME_S, self.process, self._await_assignment, "has waited for its assignment")

    def _await_assignment(self) -> None:
        if not self._is_ready:
            self.die(1)

    # ------------------------------------------------------------------------------------- what the shell does not do

    def _on_control(self, message: Any) -> None:
        super()._on_control(message)
        if self._assign is not None and not self._is_ready:
            self._engine.take(self._assign)
            self.process.engine = self._engine
            self.process.verbs = Verbs(self.process, self.process.world.ledger)
            self._is_ready = True

    def _redirect(self) -> None:
        """Leave the libraries of this process as they are."""

    def _apply(self, assign: messages.Assign) -> None:
        self._engine.take(assign)

    def _clean_up(self) -> None:
        self.executor.hosted.instance = None

    def _strike(self, job: Job) -> None:
        run = self.in_lanes.get(job, self.running)
        if run is not None and run.job is job and job.thread == 0:
            run.interrupt()

    def _leave(self, status: int) -> NoReturn:
        if self.process.reactor.leader is not None:  # `cancel` by force: os._exit on the leader's thread
            self.die(status)
        elif not self._leaving_until:
            self._leaving_until = self.process.world.now + FLUSH_S
            self._status = status
        raise Left

    def die(self, status: int) -> None:
        """End at once."""
        if not self.process.dead:
            self.process.die()
            self.running = None
            self._on_exit(status)

    # ------------------------------------------------------------------------------------------------ the main thread

    def _look_ahead(self) -> None:
        process, world = self.process, self.process.world
        if self._leaving_until:
            if not process.unsent() or world.now >= self._leaving_until:
                self.die(self._status)
            return
        jobs = self.executor._jobs
        if jobs and self._is_ready and not process.is_spare and self.running is None and not self._is_planned:
            self._is_planned = True
            when = max(world.now + process.jitter(), process.stalled_until)
            world.at(when, process, self._step, "takes a job on its main thread")

    def _step(self) -> None:
        self._is_planned = False
        executor = self.executor
        if not executor._jobs or self.running is not None:
            return
        job = executor._jobs.popleft()
        try:
            if isinstance(job, Job):
                self.lookout.before(job)
                if not job.begin():
                    self._rest_if_idle()
                else:
                    executor.hosted.running = job
                    self.running = Run(self, job, self._end_run)
                    self.running.begin()
            elif isinstance(job, Construction):
                self._construct(job)
            elif executor.lanes is not None and executor.lanes.has_running:
                executor._jobs.appendleft(job)
                self._is_planned = True
                self.process.world.later(DRAIN_TICK_S, self.process, self._step, "drains its lanes")
            else:
                executor.farewell.carry_out(job)
        except Left:
            pass

    def _construct(self, construction: Construction) -> None:
        def construct() -> None:
            self.running = None
            try:
                self.executor._construct(construction)
            except Left:
                pass

        number = self.process.world.number(self.process._place)
        self.running = Run(self, construction.job, lambda: None)
        delay = SLOW_S * (number % 100) / 100 if number % 3 == 0 else 0.0
        self.process.world.later(delay, self.process, construct, "constructs")

    def _end_run(self) -> None:
        job = self.running.job  # type: ignore[union-attr]
        job.end()
        self.lookout.after(job)
        self.running = None
        self._rest_if_idle()

    def _rest_if_idle(self) -> None:
        if not self.executor._jobs:
            self.executor.hosted.running = None

    def run_in_lane(self, job: Job, on_end: Callable[[], None]) -> None:
        """Run a call on a thread of a pool."""

        def end() -> None:
            job.end()
            self.in_lanes.pop(job, None)
            on_end()

        self.in_lanes[job] = Run(self, job, end)
        self.in_lanes[job].begin()


class Run:
    """A call that runs, step by step, as `Performer.perform` runs it at once.

    Args:
        on_end: Called when the call has been answered.
    """

    def __init__(self, worker: SimulatedWorker, job: Job, on_end: Callable[[], None]) -> None:
        self.job = job
        self._worker = worker
        self._world = worker.process.world
        self._process = worker.process
        self._on_end = on_end
        self._program: Program | None = None
        self._turn = 0
        self._resume: Callable[[], None] | None = None
        self._is_over = False

    def begin(self) -> None:
        """Begin the call, for a task after the node's word on its lease."""
        executor, job = self._worker.executor, self.job
        if not job.is_task or job.message.lease_id == executor.lease_id:  # type: ignore[union-attr]
            self._start()
            return
        executor._lease_waiter = self  # type: ignore[assignment]
        turn = self._turn
        self._world.later(LEASE_S, self._process, lambda: self._go(turn, self._start), "waits no more for a lease")

    def finish(self) -> None:
        """Take the node's word on the lease, in place of a `Waiter`."""
        self._worker.executor._lease_waiter = None
        turn = self._turn
        self._world.later(self._process.jitter(), self._process, lambda: self._go(turn, self._start), "has its lease")

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the program."""
        if self._program is not None and not self._is_over:
            self.job.interrupts += 1
            pursuit = self._worker.executor.interrupts._pursuits.get(self.job)
            if pursuit is not None:
                pursuit.since = self._world.now
            turn = self._turn
            self._world.later(
                self._process.jitter(),
                self._process,
                lambda: self._go(turn, lambda: self._advance(KeyboardInterrupt("this call was cancelled"))),
                "is interrupted",
            )

    def _go(self, turn: int, step: Callable[[], None]) -> None:
        if turn == self._turn and not self._is_over:
            try:
                step()
            except Left:
                pass

    def _start(self) -> None:
        self._turn += 1
        performer, job = self._worker.executor.performer, self.job
        try:
            function, args, kwargs = performer.prepare(job)
            if job.cancel is None:
                self._program = invoke(function, args, kwargs)
        except BaseException as error:
            performer.raised(job, error)
            self._end()
            return
        if self._program is None:
            performer.refuse(job)
            self._end()
        else:
            del args, kwargs
            self._advance()

    def _advance(self, error: BaseException | None = None) -> None:
        """Run the program up to its next pause. A step of the call's thread."""
        assert self._program is not None
        self._turn += 1
        performer, job = self._worker.executor.performer, self.job
        token = current.set(job) if job.thread else None
        if self._resume is not None:
            resume, self._resume = self._resume, None
            resume()
        try:
            try:
                wanted = next(self._program) if error is None else self._program.throw(error)
            except StopIteration as stop:
                performer.deliver(job, stop.value)
                del stop
            except (ActorExit, SystemExit):
                raise
            else:
                self._pause(*wanted)
                return
        except BaseException as raised:
            performer.raised(job, raised)
            del raised
        finally:
            error = None  # else its traceback and this frame keep each other, and the frame keeps the call
            if token is not None:
                current.reset(token)
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._program = None
        self._on_end()

    def _pause(self, word: str, what: Any) -> None:
        turn, world, process = self._turn, self._world, self._process

        def go_on() -> None:
            self._go(turn, self._advance)

        def go_on_soon() -> None:
            world.later(process.jitter(), process, go_on, "goes on with a call")

        if word == "sleep":
            world.later(what, process, go_on, "has slept")
        elif word == "die":
            self._worker.die(what)
        elif word == "signal":
            world.ledger.signal(what)
            go_on_soon()
        elif word == "block":
            world.ledger.await_signal(what, go_on_soon)
        else:
            what.when_done(go_on_soon)
            if what.state < READY and job_may_lend(self.job):
                world.later(PATIENCE_S, process, lambda: self._go(turn, self._lend), "lends its resources")

    def _lend(self) -> None:
        on_block = self._process.objects.waiting.on_block
        if on_block is not None and self._resume is None:
            self._resume = on_block()


def job_may_lend(job: Job) -> bool:
    """Return whether a waiting job lends its CPUs: a task does, see `main.Worker._lend`."""
    return job.is_task
