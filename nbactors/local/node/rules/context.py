"""What all modules of the rules share: the records, the time, and the instructions so far."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable

import msgspec

from nbactors.local.node.rules.alarms import Alarm, Alarms
from nbactors.local.node.rules.events import Instruction, Note, Send
from nbactors.local.node.rules.gpus import Gpu
from nbactors.local.node.rules.records import NO_CONNECTION, Process, Session, Worker
from nbactors.local.wire import messages
from nbactors.local.wire.ids import socket_name

MEMORY_SHARE = 0.7
"""The share of the memory that actors and tasks may ask for, as in Ray. Object stores and others have the rest."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while the node runs.

    Attributes:
        directory: The node's folder, with its sockets and logs.
        linger_s: Seconds without a session after which the node leaves.
        store_room: Bytes that object stores find at most, where their memory lies in a file system.
        new_id: Makes 16 random bytes.
        gpus: Detects the machine's GPUs; called when the first session needs to know.
        memory_threshold: The share of the memory above which tasks and actors are ended; 1 for no such limit.
        survivors: The processes of a crashed node that live: their pids, by the names of their sockets.
    """

    node_id: bytes
    pid: int
    hostname: str
    directory: str
    package_version: str
    linger_s: float
    cpus: float
    memory: float
    new_id: Callable[[], bytes]
    gpus: Callable[[], list[Gpu]]
    survivors: dict[str, int] = {}
    memory_threshold: float = 1.0
    store_room: float = math.inf

    @property
    def memory_for_actors(self) -> float:
        """The memory that actors and tasks may ask for together, in bytes."""
        return self.memory * MEMORY_SHARE // 1

    @property
    def store_limit(self) -> float:
        """The default limit of all object stores, in bytes."""
        return min(self.memory * messages.DEFAULT_SHARE, self.store_room) // 1


class Step:
    """A step whose failure is noted, see `Context.careful`. A class, since a generator takes three times as long."""

    __slots__ = ("_context", "_on_error", "_what")

    def __init__(self, context: Context, what: str, on_error: Callable[[str], None] | None) -> None:
        self._context = context
        self._what = what
        self._on_error = on_error

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        text = "".join(traceback.format_exception(error))
        self._context.do(Note(f"an error in handling {self._what}:\n{text}"))
        if self._on_error is not None:
            self._on_error(f"{type(error).__name__}: {error}")
        return True


class Context:
    """What the modules of one `NodeState` share.

    Attributes:
        now: The time of the event that is being handled.
        out: The instructions that this event has caused so far.
        processes: All connected sessions and workers. A worker is here from the order to fork it until it is removed.
        absent: The pids of living processes of a crashed node that have not returned, by the names of their sockets.
        scope_from: Until this time no actor ends because nobody holds it.
        stopping: Whether the node was told to stop, so that nothing new may start.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.now = 0.0
        self.out: list[Instruction] = []
        self.alarms = Alarms()
        self.processes: dict[bytes, Process] = {}
        self.sessions: dict[bytes, Session] = {}
        self.stopping = False
        self.absent: dict[str, int] = {}
        self.scope_from = 0.0

    def find(self, process_id: bytes) -> Process | None:
        """Return the record of a process that lives; make one if the process has not returned from a crashed node."""
        process = self.processes.get(process_id)
        if process is None:
            pid = self.absent.get(socket_name(process_id))
            if pid is not None:
                process = Process(process_id=process_id, conn=NO_CONNECTION, pid=pid, role="")
                self.processes[process_id] = process
        return process

    def do(self, instruction: Instruction) -> None:
        """Add an instruction, which is carried out after this event."""
        self.out.append(instruction)

    def send(self, process: Process, message: messages.Message) -> None:
        """Send a message to a process, if it is connected."""
        if process.conn != NO_CONNECTION:
            self.out.append(Send(process.conn, message))

    def tell(self, process_id: bytes, message: messages.Message) -> None:
        """Send a message to the process with this id, if there is one."""
        process = self.processes.get(process_id)
        if process is not None:
            self.send(process, message)

    def later(self, delay_s: float, action: Callable[[], None]) -> Alarm:
        """Have `action` called after `delay_s` seconds. The action must check whether it still applies."""
        return self.alarms.set(self.now + delay_s, action)

    def careful(self, what: str, on_error: Callable[[str], None] | None = None) -> Step:
        """Run a step whose failure must not affect other processes.

        Args:
            what: The step, for the log.
            on_error: Called with the error's text; answers the clients that wait for the effect of this step.
        """
        return Step(self, what, on_error)

    def workers(self) -> list[Worker]:
        """Return all workers that are not removed yet."""
        return [process for process in self.processes.values() if isinstance(process, Worker)]
