"""`Machine`: forks and kills workers, and has one node after the other."""

from __future__ import annotations

from functools import partial
from typing import Any

from nbactors.local.node.rules import events
from nbactors.local.reactor.timers import NEVER
from nbactors.local.wire.ids import socket_name
from simulation.network import Network
from simulation.node import Node
from simulation.plan import Crash, CrashAfter, NodeCrashAfter
from simulation.process import SimulatedProcess
from simulation.sockets import Socket
from simulation.worker import SimulatedWorker
from simulation.world import PLAN_S, World

START_S = 0.3
"""How long the start of a node takes at most, in seconds."""


class Machine:
    """The system on which the processes run. Its forkservers outlive the node.

    Args:
        cpus: The CPUs of the machine.
        faults: What goes wrong with workers and nodes.

    Attributes:
        node: The node that runs, or the last one.
        workers: All workers that were ever forked, in this order.
        notes: What the rules have logged: failures of their own.
    """

    name = "machine"
    pid = 1
    visit_at = NEVER

    def __init__(self, world: World, network: Network, cpus: int, faults: list[Any]) -> None:
        self.world = world
        self.network = network
        network.machine = self
        self.dead = False
        self.countdown = 0
        self.workers: list[SimulatedWorker] = []
        self.notes: list[str] = []
        self._cpus = cpus
        self._countdowns = {fault.worker: fault.steps for fault in faults if isinstance(fault, CrashAfter)}
        self._crashes = {fault.node: fault for fault in faults if isinstance(fault, NodeCrashAfter)}
        self._by_id: dict[bytes, SimulatedWorker] = {}
        self._fork_told: dict[bytes, float] = {}
        self._events = 0
        self._nodes = 0
        self._is_starting = False
        self._has_spares = bool(world.number(88) % 2)
        """Whether a worker is forked ahead after each order."""
        self._spare: SimulatedWorker | None = None
        for fault in faults:
            if isinstance(fault, Crash):
                world.at(PLAN_S + fault.at, self, partial(self._crash, fault.worker), f"{fault}")
        self.node = self._make_node({})

    def visit(self) -> None:
        """Do nothing: no code runs here."""

    look_ahead = visit

    def _delay(self, longest_s: float) -> float:
        """Return a delay of something that the system does."""
        self._events += 1
        number = self.world.number(77, self._events)
        return longest_s * ((number % 1000 + 1) / 1000) ** 2

    # ---------------------------------------------------------------------------------------------------- the node

    def _make_node(self, survivors: dict[str, int]) -> Node:
        number, self._nodes = self._nodes, self._nodes + 1
        name = f"node{number}" if number else "node"
        return Node(self, name, self._cpus, survivors, self._crashes.get(number))

    def connect(self, process: Any) -> Socket:
        """Return the process's end of a control connection.

        Raises:
            ConnectionRefusedError: No node runs.
        """
        if self.node.dead:
            raise ConnectionRefusedError("no node runs")
        return self.node.connect(process)

    def find_or_start(self, process: Any) -> Socket | None:
        """Return the process's end of a control connection. If no node runs, return None, and start one."""
        if not self.node.dead:
            return self.node.connect(process)
        if not self._is_starting:
            self._is_starting = True
            self.world.later(self._delay(START_S), self, self._start_node, "starts a node")
        return None

    def _start_node(self) -> None:
        self._is_starting = False
        living = [one for one in self.network.processes.values() if one.is_listening and not one.dead]
        self.node = self._make_node({socket_name(one.process_id): one.pid for one in living})
        self.node.is_counting = True
        self.world.touch(self.node)

    def ended(self, process: SimulatedProcess) -> None:
        """Have the node notice the end of a process that has survived the last node."""
        name = socket_name(process.process_id)
        if not self.node.dead and name in self.node.survivors:
            what = f"sees that {process.name} has vanished"
            self.world.later(self._delay(0.1), self.node, partial(self.node.vanish, name), what)

    # -------------------------------------------------------------------------------------------------- the workers

    def fork(self, spawn: events.Spawn) -> None:
        """Fork a worker for the node that runs now, or give the order to a spare."""
        self.world.later(self._delay(0.02), self, partial(self._begin, self.node, spawn), "forks a worker")

    def place_socket(self, process_id: bytes) -> None:
        """Have other processes reach a worker that was a spare."""
        self._by_id[process_id].process.is_listening = True

    def end_spare(self) -> None:
        """End the spare, since the node has ended."""
        spare, self._spare = self._spare, None
        if spare is not None:
            self.world.later(self._delay(0.01), spare.process, partial(spare.die, 0), "ends with the node")

    def kill(self, process_id: bytes) -> None:
        """Kill a worker."""
        worker = self._by_id.get(process_id)
        if worker is not None:
            self.world.later(self._delay(0.001), worker.process, partial(worker.die, -9), "is killed by the node")

    def _begin(self, node: Node, spawn: events.Spawn) -> None:
        process_id = spawn.order.process_id
        spare = self._spare
        if spare is not None and spare.process.process_id == process_id:
            worker, self._spare = spare, None
            self.world.later(self._delay(0.01), worker.process, worker.receive_order, "takes its order")
        else:
            worker = self._make(node, process_id)
            self.world.later(self._delay(0.01), worker.process, partial(self._join, worker), "joins the node")
        forked = events.Forked(process_id, worker.process.pid)
        told = self._fork_told[process_id] = self.world.now + self._delay(0.01)
        self.world.at(told, node, partial(node.handle, forked), f"hears that {worker.process.name} exists")
        if self._has_spares:
            make = partial(self._make_spare, node, spawn.environment)
            self.world.later(self._delay(0.02), self, make, "forks a spare")

    def _make_spare(self, node: Node, environment: int) -> None:
        if self._spare is not None or node.dead:
            return
        self._spare = worker = self._make(node, self.world.random_bytes(16))
        name, made = worker.process.name, events.SpareMade(environment, worker.process.process_id)
        self.world.later(self._delay(0.01), node, partial(node.handle, made), f"hears of the spare {name}")
        join = partial(self._join, worker, is_spare=True)
        self.world.later(self._delay(0.01), worker.process, join, "joins the node as a spare")

    def _make(self, node: Node, process_id: bytes) -> SimulatedWorker:
        number = len(self.workers)
        worker = SimulatedWorker(
            self.world, f"w{number}", self.network, process_id, lambda status: self._exited(node, process_id, status)
        )
        worker.process.countdown = self._countdowns.get(number, 0)
        worker.process.on_crash = lambda: worker.die(-9)
        self.workers.append(worker)
        self._by_id[process_id] = worker
        return worker

    def _join(self, worker: SimulatedWorker, is_spare: bool = False) -> None:
        if self.node.dead:
            worker.die(1)
        else:
            worker.join(self.connect(worker.process), is_spare)

    def _crash(self, number: int) -> None:
        if number < len(self.workers):
            self.workers[number].die(-9)

    def _exited(self, node: Node, process_id: bytes, status: int) -> None:
        """Have the node that has forked a worker hear of the worker's exit, if that node still runs."""
        self.world.note(f"{self._by_id[process_id].process.name} ends with status {status}")
        if self._spare is not None and self._spare.process.process_id == process_id:
            self._spare = None
        if process_id not in self._fork_told:  # a spare without an order
            return
        exited = events.Exited(process_id, status)
        when = max(self.world.now, self._fork_told[process_id]) + self._delay(0.2)
        self.world.at(when, node, partial(node.handle, exited), "hears of an exit")
        self._close_pipes(process_id)

    def _close_pipes(self, process_id: bytes) -> None:
        node = self.node
        self.world.later(self._delay(0.3), node, partial(node.end_output, process_id), "has read all output")

    def read_again(self, process_id: bytes) -> None:
        """Have the node read the pipes of a worker that has returned, and has perhaps ended by now."""
        if self._by_id[process_id].process.dead:
            self._close_pipes(process_id)

    def processes(self) -> list[SimulatedProcess]:
        """Return the processes of the workers that live, without the spare."""
        return [one.process for one in self.workers if not one.process.dead and one is not self._spare]

    @property
    def spare_id(self) -> bytes:
        """The id of the spare; empty if there is none."""
        return self._spare.process.process_id if self._spare is not None else b""
