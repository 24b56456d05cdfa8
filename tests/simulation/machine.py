"""`Machine`: the node with its real rules, and the workers that it has forked."""

from __future__ import annotations

from functools import partial
from typing import Any

from nbactors.local.node.rules import events
from nbactors.local.node.rules.context import Facts
from nbactors.local.node.rules.state import NodeState
from nbactors.local.reactor.timers import NEVER
from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, FrameBuffer, control_codec
from nbactors.version import __version__
from simulation.network import Network
from simulation.plan import Crash, CrashAfter
from simulation.process import SimulatedProcess
from simulation.sockets import Socket
from simulation.worker import SimulatedWorker
from simulation.world import BEGIN_S, World

LINGER_S = 60.0
_CODEC = control_codec()


class _Client:
    """The node's end of a control connection."""

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.frames = FrameBuffer(MAX_CONTROL_FRAME)
        self.outbox: list[Any] = []
        self.is_closing = False


class Machine:
    """Carries out the instructions of the node's rules, and tells the rules what happens.

    The node is a process of its own: `crash_node` ends it, and `start_node` makes another one.

    Args:
        cpus: The CPUs of the machine.
        faults: What goes wrong with workers.

    Attributes:
        workers: All workers that were ever forked, in this order.
        notes: What the rules have logged: failures of their own.
    """

    name = "node"
    pid = 1

    def __init__(self, world: World, network: Network, cpus: int, faults: list[Any]) -> None:
        self.world = world
        self.network = network
        self.dead = False
        self.countdown = 0
        self.sockets: dict[int, Socket] = {}
        self.ready: dict[int, Socket] = {}
        self.workers: list[SimulatedWorker] = []
        self.notes: list[str] = []
        self._cpus = cpus
        self._countdowns = {fault.worker: fault.steps for fault in faults if isinstance(fault, CrashAfter)}
        self._statuses: dict[bytes, int] = {}
        self._by_id: dict[bytes, SimulatedWorker] = {}
        self._output_ended: set[bytes] = set()
        self._events = 0
        for fault in faults:
            if isinstance(fault, Crash):
                world.at(BEGIN_S + fault.at, self, partial(self._crash, fault.worker), f"{fault}")
        self.start_node()

    # ---------------------------------------------------------------------------------------------------- the node

    def start_node(self) -> None:
        """Begin with an empty node."""
        self._clients: dict[int, _Client] = {}
        self._last_client = 0
        self.visit_at = NEVER
        facts = Facts(
            node_id=self.world.random_bytes(28),
            pid=self.pid,
            hostname="simulated",
            directory="/nowhere",
            package_version=__version__,
            linger_s=LINGER_S,
            cpus=float(self._cpus),
            memory=2.0**33,
            new_id=lambda: self.world.random_bytes(16),
            gpus=list,
        )
        self.state = NodeState(facts, self.world.now)

    def crash_node(self) -> None:
        """End the node: its sockets close, and its records are lost. The workers live on."""
        for sock in list(self.sockets.values()):
            sock.close()
        self.start_node()

    def connect(self, process: Any) -> Socket:
        """Return the process's end of a control connection."""
        self._last_client += 1
        number, state = self._last_client, self.state
        ours, theirs = self.network.pair(process, self, lambda data: self._arrive(number, state, data))
        self._clients[number] = _Client(theirs)
        self.handle(events.Connected(number))
        return ours

    def _arrive(self, number: int, state: NodeState, data: bytes) -> None:
        client = self._clients.get(number)
        if client is None or state is not self.state:
            return
        if not data:
            self._drop(number)
            return
        for body in client.frames.feed(data):
            for message in _CODEC.decode(body):
                if not client.is_closing:
                    self.world.note(f"node handles {message}")
                    self.handle(events.Received(number, message))

    def _drop(self, number: int) -> None:
        client = self._clients.pop(number, None)
        if client is not None:
            client.sock.close()
            self.handle(events.Disconnected(number))

    def handle(self, event: events.Event) -> None:
        """Pass an event to the rules, and carry out what they want."""
        for instruction in self.state.handle(event, self.world.now):
            self._carry_out(instruction)
        self.world.touch(self)

    def look_ahead(self) -> None:
        """Send what the rules have told, and plan the next tick."""
        for number, client in list(self._clients.items()):
            outbox, client.outbox = client.outbox, []
            if outbox and not client.sock.closed:
                try:
                    client.sock.sendall(_CODEC.encode(outbox))
                except OSError:
                    pass
            if client.is_closing:
                self._drop(number)
        deadline = self.state.deadline
        if deadline is not None and deadline < self.visit_at:
            self.visit_at = max(deadline, self.world.now)
            self.world.visit(self.visit_at, self)

    def visit(self) -> None:
        """Tell the rules that time has passed."""
        self.visit_at = NEVER
        self.handle(events.Tick())

    def _carry_out(self, instruction: events.Instruction) -> None:
        if isinstance(instruction, events.Send):
            client = self._clients.get(instruction.conn)
            if client is not None:
                client.outbox.append(instruction.message)
        elif isinstance(instruction, events.Close):
            client = self._clients.get(instruction.conn)
            if client is not None:
                client.is_closing = True
        elif isinstance(instruction, events.Spawn):
            self._fork(instruction.order)
        elif isinstance(instruction, events.Kill):
            worker = self._by_id.get(instruction.process_id)
            if worker is not None:
                self.world.later(self._delay(0.001), worker.process, partial(worker.die, -9), "is killed by the node")
        elif isinstance(instruction, events.ReadOutput):
            self.world.later(0, self, partial(self.handle, instruction.then), "has read output")
        elif isinstance(instruction, events.FinishOutput):
            self.world.later(0, self, partial(self._end_output, instruction.process_id), "reads the last output")
        elif isinstance(instruction, events.Note):
            self.notes.append(instruction.text)
            self.world.note(instruction.text)

    # -------------------------------------------------------------------------------------------------- the workers

    def _delay(self, longest_s: float) -> float:
        """Return a delay of something that the system does."""
        self._events += 1
        number = self.world.number(77, self._events)
        return longest_s * ((number % 1000 + 1) / 1000) ** 2

    def _fork(self, order: messages.Fork) -> None:
        self.world.later(self._delay(0.02), self, partial(self._begin, order.process_id), "forks a worker")

    def _begin(self, process_id: bytes) -> None:
        number = len(self.workers)
        worker = SimulatedWorker(
            self.world, f"w{number}", self.network, process_id, lambda status: self._exited(process_id, status)
        )
        worker.process.countdown = self._countdowns.get(number, 0)
        worker.process.on_crash = lambda: worker.die(-9)
        self.workers.append(worker)
        self._by_id[process_id] = worker
        forked = events.Forked(process_id, worker.process.pid)
        self._fork_told = self.world.now + self._delay(0.01)
        self.world.at(self._fork_told, self, partial(self.handle, forked), f"hears that {worker.process.name} exists")
        self.world.later(
            self._delay(0.01), worker.process, lambda: worker.join(self.connect(worker.process)), "joins the node"
        )

    def _crash(self, number: int) -> None:
        if number < len(self.workers):
            self.workers[number].die(-9)

    def _exited(self, process_id: bytes, status: int) -> None:
        self.world.note(f"{self._by_id[process_id].process.name} ends with status {status}")
        exited = events.Exited(process_id, status)
        when = max(self.world.now, self._fork_told) + self._delay(0.2)
        self.world.at(when, self, partial(self.handle, exited), "hears of an exit")
        self.world.later(self._delay(0.3), self, partial(self._end_output, process_id), "has read all output")

    def _end_output(self, process_id: bytes) -> None:
        if process_id not in self._output_ended:
            self._output_ended.add(process_id)
            self.handle(events.OutputEnded(process_id, ""))

    def processes(self) -> list[SimulatedProcess]:
        """Return the processes of the workers that live."""
        return [worker.process for worker in self.workers if not worker.process.dead]
