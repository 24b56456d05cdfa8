"""`Node`: one life of the node, with its real rules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nbactors.local.node.rules import events
from nbactors.local.node.rules.context import Facts
from nbactors.local.node.rules.state import NodeState
from nbactors.local.reactor.timers import NEVER
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, FrameBuffer, control_codec
from nbactors.local.wire.ids import new_node_id, socket_name
from nbactors.version import __version__
from simulation.plan import NodeCrashAfter
from simulation.sockets import Socket

if TYPE_CHECKING:
    from simulation.machine import Machine

LINGER_S = 60.0
_CODEC = control_codec()


class _Client:
    """The node's end of a control connection."""

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.frames = FrameBuffer(MAX_CONTROL_FRAME)
        self.outbox: list[Any] = []
        self.is_closing = False


class Node:
    """Carries out the instructions of the node's rules, and tells the rules what happens.

    Args:
        machine: Forks and kills workers. The next node runs on the same machine.
        name: The name in the trace.
        cpus: The CPUs of the machine.
        survivors: The processes of a crashed node that live: their pids, by the names of their sockets.
        crash: After which of its actions the node crashes; None for never.

    Attributes:
        forked: The ids of the processes that it was told of, and whose exits it was not told of.
        survivors: The processes of the crashed node of whose ends it was not told.
        outputs: The ids of the workers whose output it reads.
        state: Its rules.
        is_counting: Whether its actions count for `crash`.
    """

    def __init__(
        self, machine: Machine, name: str, cpus: int, survivors: dict[str, int], crash: NodeCrashAfter | None
    ) -> None:
        world = machine.world
        self.name = name
        self.pid = world.new_pid()
        self.dead = False
        self.countdown = 0
        self.sockets: dict[int, Socket] = {}
        self.ready: dict[int, Socket] = {}
        self.visit_at = NEVER
        self.forked: set[bytes] = set()
        self.survivors = dict(survivors)
        self.outputs: set[bytes] = set()
        self.is_counting = False
        self._world = world
        self._machine = machine
        self._crash = crash
        self._actions = 0
        self._clients: dict[int, _Client] = {}
        self._last_client = 0
        facts = Facts(
            node_id=new_node_id(),
            pid=self.pid,
            hostname="simulated",
            directory="/nowhere",
            package_version=__version__,
            linger_s=LINGER_S,
            cpus=float(cpus),
            memory=2.0**33,
            new_id=lambda: world.random_bytes(16),
            gpus=list,
            survivors=survivors,
        )
        self.state = NodeState(facts, world.now)

    def die(self) -> None:
        """End as a killed process does: its sockets close, and its records are lost. The workers live on."""
        if not self.dead:
            self.dead = True
            for sock in list(self.sockets.values()):
                sock.close()
            self._machine.end_spare()

    # ------------------------------------------------------------------------------------------------- connections

    def connect(self, process: Any) -> Socket:
        """Return the process's end of a control connection."""
        self._last_client += 1
        number = self._last_client
        ours, theirs = self._machine.network.pair(process, self, lambda data: self._arrive(number, data))
        self._clients[number] = _Client(theirs)
        self.handle(events.Connected(number))
        return ours

    def _arrive(self, number: int, data: bytes) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        if not data:
            self._drop(number)
            return
        for body in client.frames.feed(data):
            for message in _CODEC.decode(body):
                if not client.is_closing:
                    if self._world.trace is not None:
                        self._world.note(f"{self.name} handles {message}")
                    self.handle(events.Received(number, message))

    def _drop(self, number: int) -> None:
        client = self._clients.pop(number, None)
        if client is not None:
            client.sock.close()
            self.handle(events.Disconnected(number))

    # ------------------------------------------------------------------------------------------------------- events

    def handle(self, event: events.Event) -> None:
        """Pass an event to the rules, and carry out what they want."""
        if isinstance(event, events.Forked):
            self.forked.add(event.process_id)
            self.outputs.add(event.process_id)
        for instruction in self.state.handle(event, self._world.now):
            self._carry_out(instruction)
        if isinstance(event, events.Exited):
            self.forked.discard(event.process_id)
        self._world.touch(self)

    def vanish(self, name: str) -> None:
        """Notice that a survivor has ended."""
        if self.survivors.pop(name, None) is not None:
            self.handle(events.Vanished(name))

    def end_output(self, process_id: bytes) -> None:
        """Note that all output of a worker was read."""
        if process_id in self.outputs:
            self.outputs.discard(process_id)
            self.handle(events.OutputEnded(process_id, ""))

    def look_ahead(self) -> None:
        """Send what the rules have told, and plan the next tick. The node may crash before it has sent everything."""
        sendings = -1
        if self.is_counting and self._crash is not None:
            self._actions += 1
            if self._actions >= self._crash.actions:
                sendings = self._crash.sendings
        for number, client in list(self._clients.items()):
            outbox, client.outbox = client.outbox, []
            if outbox and not client.sock.closed:
                if not sendings:
                    break
                sendings -= 1
                try:
                    client.sock.sendall(_CODEC.encode(outbox))
                except OSError:
                    pass
            if client.is_closing:
                self._drop(number)
        if self.is_counting and self._crash is not None and self._actions >= self._crash.actions:
            self._world.note(f"{self._crash}")
            self.die()
            return
        deadline = self.state.deadline
        if deadline is not None and deadline < self.visit_at:
            self.visit_at = max(deadline, self._world.now)
            self._world.visit(self.visit_at, self)

    def visit(self) -> None:
        """Tell the rules that time has passed."""
        self.visit_at = NEVER
        self.handle(events.Tick())

    # ------------------------------------------------------------------------------------------------- instructions

    def _carry_out(self, instruction: events.Instruction) -> None:
        machine, world = self._machine, self._world
        if isinstance(instruction, events.Send):
            client = self._clients.get(instruction.conn)
            if client is not None:
                client.outbox.append(instruction.message)
        elif isinstance(instruction, events.Close):
            client = self._clients.get(instruction.conn)
            if client is not None:
                client.is_closing = True
        elif isinstance(instruction, events.Spawn):
            machine.fork(instruction)
        elif isinstance(instruction, events.PlaceSocket):
            machine.place_socket(instruction.process_id)
        elif isinstance(instruction, events.Kill):
            process_id = instruction.process_id
            if process_id in self.forked or socket_name(process_id) in self.survivors:
                machine.kill(process_id)
        elif isinstance(instruction, events.ReadAgain):
            self.outputs.add(instruction.process_id)
            machine.read_again(instruction.process_id)
        elif isinstance(instruction, events.ReadOutput):
            if instruction.then is not None:
                world.later(0, self, partial(self.handle, instruction.then), "has read output")
        elif isinstance(instruction, events.FinishOutput):
            finish = partial(self._finish_output, instruction.process_id)
            world.later(0, self, finish, "reads the last output")
        elif isinstance(instruction, events.Note):
            machine.notes.append(instruction.text)
            world.note(instruction.text)

    def _finish_output(self, process_id: bytes) -> None:
        self.outputs.discard(process_id)
        self.handle(events.OutputEnded(process_id, ""))
