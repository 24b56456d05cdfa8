"""What the parts of the node's state have in common: the records, the time, and what is to be done."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from nbactors.local.node.rules.alarms import Alarm, Alarms
from nbactors.local.node.rules.events import Instruction, Note, Send
from nbactors.local.node.rules.gpus import Gpu
from nbactors.local.node.rules.records import NO_CONNECTION, Process, Session, Worker
from nbactors.local.wire import messages


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while the node lives.

    Attributes:
        directory: Where sockets and logs lie.
        linger_s: Seconds without a session after which the node leaves.
        new_id: Makes 16 random bytes.
        gpus: Looks for the machine's GPUs; called when the first session wants to know.
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


class Context:
    """Shared by the parts of one `NodeState`.

    Attributes:
        now: The time of the event that is being handled.
        out: What it has led to so far.
        processes: All that are connected, and workers from the moment they are asked for until nothing is left of them.
        stopping: The node was told to stop: nothing new begins.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.now = 0.0
        self.out: list[Instruction] = []
        self.alarms = Alarms()
        self.processes: dict[bytes, Process] = {}
        self.sessions: dict[bytes, Session] = {}
        self.stopping = False

    def do(self, instruction: Instruction) -> None:
        """Have something done after this event."""
        self.out.append(instruction)

    def send(self, process: Process, message: messages.Message) -> None:
        """Send to a process, if it is connected."""
        if process.conn != NO_CONNECTION:
            self.out.append(Send(process.conn, message))

    def tell(self, process_id: bytes, message: messages.Message) -> None:
        """Send to the process of that id, if there is one."""
        process = self.processes.get(process_id)
        if process is not None:
            self.send(process, message)

    def later(self, delay_s: float, action: Callable[[], None]) -> Alarm:
        """Have `action` called in a while. It is to look whether it still applies."""
        return self.alarms.set(self.now + delay_s, action)

    @contextmanager
    def careful(self, what: str, on_error: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Run a step of which a mistake must harm nobody else.

        Args:
            what: The step, for the log.
            on_error: Called with the error's text; answers whoever waits for what this step was to achieve.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a mistake of ours about one process must not end all others
            self.do(Note(f"an error in handling {what}:\n{traceback.format_exc()}"))
            on_error(f"{type(error).__name__}: {error}")

    def workers(self) -> list[Worker]:
        """Return all workers of which something is left."""
        return [process for process in self.processes.values() if isinstance(process, Worker)]
