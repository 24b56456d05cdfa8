"""`Simulation`: runs a plan to its end, and says what was wrong."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from nbactors.local.membership import Membership
from nbactors.local.session.engine import LocalEngine
from nbactors.local.wire import ids, messages
from nbactors.version import __version__
from simulation import seams
from simulation.ledger import Ledger
from simulation.machine import Machine
from simulation.network import Network
from simulation.plan import (
    FAULTS,
    NODE_CRASHES,
    Break,
    Call,
    Cancel,
    Crash,
    CrashAfter,
    Create,
    Drop,
    Kill,
    Leave,
    NodeCrash,
    Plan,
    Put,
    Read,
    Stall,
    Task,
    Weaken,
)
from simulation.process import SimulatedProcess
from simulation.remains import remains_of, remains_of_node
from simulation.subject import Handle
from simulation.verbs import Verbs
from simulation.world import PLAN_S, World

PATIENCE_S = 60.0
"""Seconds of virtual time within which every wait must have ended."""

MOST_ACTIONS = 60_000
"""The most actions of one simulation. More of them mean that processes keep each other busy without end."""


class Outcome(NamedTuple):
    """What has come out of a simulation.

    Attributes:
        digest: Equal digests mean that exactly the same has happened.
        failures: What was wrong; empty if nothing was.
        trace: All actions, if they were wanted.
    """

    digest: int
    actions: int
    failures: list[str]
    trace: list[str]


def simulate(plan: Plan, is_traced: bool = False) -> Outcome:
    """Run a plan. Call it within `seams.prepared()`, on the main thread."""
    world = World(plan.seed, is_traced)
    was_enabled = gc.isenabled()
    gc.disable()  # a collection would run finalizers at a time that no seed decides
    try:
        with seams.inhabited(world):
            simulation = Simulation(world, plan)
            try:
                simulation.run()
            except Exception as error:
                import traceback

                world.complaints.append(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
            found = [*simulation.failures, *world.complaints]
            simulation.close()
        return Outcome(world.digest, world.actions, found, world.trace or [])
    finally:
        if was_enabled:
            gc.enable()


class Simulation:
    """One run of a plan: one session, the node, and the workers that come of it."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self.failures: list[str] = []
        self._plan = plan
        faults = [one for one in plan.elements if isinstance(one, FAULTS)]
        self.ledger = world.ledger = Ledger()
        self.network = Network(world, plan.weather, faults)
        self.machine = Machine(world, self.network, plan.cpus, faults)
        self._is_calm = not any(isinstance(fault, (Crash, CrashAfter, Leave)) for fault in faults)
        self._has_node_crash = any(isinstance(fault, NODE_CRASHES) for fault in faults)
        self.session = SimulatedProcess(
            world, "s0", self.network, Membership(ids.new_process_id()), self._on_control, self._on_node_lost
        )
        self._handles: dict[int, Handle] = {}
        self._refs: dict[int, Any] = {}
        self._loaded: list[Any] = []
        self._plan_operations()

    def _on_control(self, message: Any) -> None:
        """Keep what the next node must know of the session, see `session.start`."""
        if type(message) is messages.SessionOpened:
            session = self.session
            opened = msgspec.structs.replace(self._request, namespace=message.namespace)
            home = messages.Home(message.job_id, session.process_id, session.pid, opened)
            session.describe = lambda: [(messages.Rejoin(home), ())]
            session.node.returning = session

    def _on_node_lost(self, why: str) -> None:
        self.failures.append(f"the session has lost the node: {why}")

    # ------------------------------------------------------------------------------------------------------- phases

    def run(self) -> None:
        """Play the plan, then let all references go, then end the session. After each phase nothing may be left."""
        world = self.world
        world.later(0, self.session, self._join, "joins the node")
        self._go(PLAN_S)
        self.machine.node.is_counting = True
        self._begin_phase("play")
        self._go(PLAN_S + 3.0)
        self._await(lambda: self._all_answered() and self.ledger.has_all_answers(), "not all calls have an answer")
        if self.ledger.waits_for_signals():
            world.note("a program waits for a signal that has come to nobody")
            self.ledger.give_all_signals()
            self._await(self._all_answered, "")
        self.failures += self.ledger.failures
        self.failures += self.ledger.judge(self._is_calm, self._has_node_crash)
        self._begin_phase("let go")
        if self.session.dead:
            self._let_go()
        else:
            world.act(self.session, self._let_go, "lets all references go")
        for worker in self.machine.workers:
            instance = worker.executor.hosted.instance
            if instance is not None and not worker.process.dead:
                # Two actors that keep handles to each other live on: references are counted, as in Ray.
                world.act(worker.process, instance.kept.clear, "lets all references go")
        # Tokens that a process counts for another one are lost with the frame that brings them, if the process dies
        # while the connection is broken. Then what they count lives as long as the session.
        if not world.loses_frames and not self.session.dead:
            self._await(lambda: not self._remains(), "")
            self.failures += self._remains()
        if not self.failures:
            self._begin_phase("end")
            if not self.session.dead:
                world.act(self.session, self._leave, "ends")
            self._go(world.now + 0.7)  # up to the last planned crash of a node
            self._await(lambda: not self._remains_of_all(), "")
            self.failures += self._remains_of_all()
        self.failures += self.machine.notes

    def _begin_phase(self, phase: str) -> None:
        for element in self._plan.elements:
            if isinstance(element, NodeCrash) and element.phase == phase:
                self.world.later(element.at, self.machine, lambda: self.machine.node.die(), str(element))

    def _go(self, until: float, is_over: Callable[[], bool] = lambda: False) -> None:
        world = self.world
        world.run(until, lambda: is_over() or world.actions > MOST_ACTIONS)
        if world.actions > MOST_ACTIONS:
            raise AssertionError(f"more than {MOST_ACTIONS} actions: something goes on without end")

    def _await(self, is_over: Callable[[], bool], text: str) -> None:
        deadline = self.world.now + PATIENCE_S
        step = 0.5
        while not is_over() and self.world.now < deadline:
            self._go(min(self.world.now + step, deadline))
            step *= 1.5
        if text and not is_over():
            self.world.note(text)

    def _all_answered(self) -> bool:
        for record in self.ledger.records.values():
            for submission in record.submissions:
                if not submission.answers and not submission.process.dead:
                    return False
        return True

    def _join(self) -> None:
        session = self.session
        session.is_listening = True
        session.environment.tell_paths()
        session.engine = LocalEngine(session, bytes(4), "")
        session.verbs = Verbs(session, self.ledger)
        session.node.use(self.machine.connect(session))  # type: ignore[arg-type]
        session.node.start(session.process_id, "session", __version__)
        environment = messages.Environment(b"python", [], [], b"", {})
        self._request = messages.OpenSession(
            session.node.number(), "", environment, self._plan.cpus, 0, 2**30, 2**30, {}, True, 0.5
        )
        session.node.send_now(self._request)

    def _let_go(self) -> None:
        self._handles.clear()
        self._refs.clear()
        self._loaded.clear()

    def _leave(self) -> None:
        self.session.die()

    def close(self) -> None:
        """End all processes."""
        self._let_go()
        for process in [self.session, *(worker.process for worker in self.machine.workers)]:
            process.die()

    # --------------------------------------------------------------------------------------------------- operations

    def _plan_operations(self) -> None:
        begin = PLAN_S
        for element in self._plan.elements:
            if isinstance(element, Stall):
                self.world.at(begin + element.at, self.machine, partial(self._stall, element), str(element))
            elif isinstance(element, Break):
                self.world.at(begin + element.at, self.machine, partial(self.network.break_link, element), str(element))
            elif isinstance(element, Leave):
                self.world.at(begin + element.at, self.session, self._leave, str(element))
            elif not isinstance(element, FAULTS):
                operate = getattr(self, f"_do_{type(element).__name__.lower()}")
                self.world.at(begin + element.at, self.session, partial(operate, element), str(element))
                self._note_danger(element)

    def _note_danger(self, element: Any) -> None:
        deadly = self.ledger.deadly
        if (isinstance(element, Create) and (element.kind != "plain" or element.things)) or isinstance(element, Kill):
            deadly.add(element.actor)
        elif isinstance(element, Cancel) and element.force:
            deadly.add(0)
        elif isinstance(element, (Call, Task)):
            words = str(element.steps)
            if any(word in words for word in ("'exit'", "'crash'", "'die'")):
                # Whom an inner call meets depends on what is kept: it may be any actor.
                deadly.update({0, *(one.actor for one in self._plan.elements if isinstance(one, Create))})

    def _stall(self, element: Stall) -> None:
        workers = self.machine.workers
        if element.worker < len(workers):
            process = self.session if element.worker < 0 else workers[element.worker].process
            process.stalled_until = max(process.stalled_until, self.world.now + element.seconds)

    def _things(self, things: tuple[tuple[str, int], ...]) -> list[Any]:
        found: list[Any] = []
        for what, number in things:
            thing = self._handles.get(number) if what in ("handle", "weak") else self._refs.get(number)
            if thing is not None:
                found.append([thing] if what == "boxed" else thing.weak() if what == "weak" else thing)
        return found

    def _do_create(self, element: Create) -> None:
        things = self._things(element.things)
        self._handles[element.actor] = self.session.verbs.create(element, things)

    def _do_call(self, element: Call) -> None:
        handle = self._handles.get(element.actor)
        if handle is not None:
            self._refs[element.call] = self.session.verbs.call(
                handle,
                element.call,
                element.retries,
                element.steps,
                element.retries_errors,
                self._things(element.things),
            )

    def _do_task(self, element: Task) -> None:
        self._refs[element.call] = self.session.verbs.submit(
            element.call, element.retries, element.steps, element.retries_errors, self._things(element.things)
        )

    def _do_put(self, element: Put) -> None:
        self._refs[element.put] = self.session.verbs.put(("put", element.put, *self._things(element.things)))

    def _do_read(self, element: Read) -> None:
        ref = self._refs.get(element.call)
        if ref is not None:
            entry = ref._entry
            entry.when_done(lambda: self._load(entry))

    def _load(self, entry: Any) -> None:
        if not entry.failed():
            self._loaded.append(entry.result())

    def _do_cancel(self, element: Cancel) -> None:
        ref = self._refs.get(element.call)
        if ref is not None:
            self.session.verbs.cancel(ref, element.call, element.force)

    def _do_kill(self, element: Kill) -> None:
        handle = self._handles.get(element.actor)
        if handle is not None:
            self.session.verbs.kill(handle, element.no_restart)

    def _do_weaken(self, element: Weaken) -> None:
        handle = self._handles.get(element.actor)
        if handle is not None:
            self._handles[element.actor] = handle.weak()

    def _do_drop(self, element: Drop) -> None:
        table: dict[int, Any] = self._handles if element.what == "handle" else self._refs
        table.pop(element.number, None)

    # -------------------------------------------------------------------------------------------------------- remains

    def _remains(self) -> list[str]:
        """Return what is left although no reference is."""
        found = remains_of(self.session)
        for worker in self.machine.workers:
            if not worker.process.dead:
                found += remains_of(worker.process, worker)
        return found + self._remains_of_node(is_closed=False)

    def _remains_of_all(self) -> list[str]:
        """Return what is left although the session has ended."""
        found = [f"{process.name} lives on" for process in self.machine.processes()]
        return found if self.machine.node.dead else found + self._remains_of_node(is_closed=True)

    def _remains_of_node(self, is_closed: bool) -> list[str]:
        node = self.machine.node
        return ["no node runs"] if node.dead else remains_of_node(node.state, self.machine.spare_id, is_closed)
