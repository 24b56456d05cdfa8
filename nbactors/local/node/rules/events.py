"""The events that `NodeState` gets from the shell, and the instructions that it returns."""

from __future__ import annotations

from typing import Union

import msgspec

from nbactors.local.node.rules.asks import Ask
from nbactors.local.wire import messages


class Connected(msgspec.Struct, frozen=True):
    """A process of the same user has connected. It has not sent its Hello."""

    conn: int


class Received(msgspec.Struct, frozen=True):
    """A message was received on a connection."""

    conn: int
    message: messages.Message


class Disconnected(msgspec.Struct, frozen=True):
    """A connection has ended. All its messages were passed to the rules before."""

    conn: int


class Forked(msgspec.Struct, frozen=True):
    """A worker process was forked, or (pid 0) could not be, for the reason in `error`."""

    process_id: bytes
    pid: int
    error: str = ""


class Exited(msgspec.Struct, frozen=True):
    """A worker process has exited.

    Attributes:
        status: See `os.waitstatus_to_exitcode`; None if it is unknown.
        has_oom_killer_struck: Whether the kernel's OOM killer has killed some process just now.
    """

    process_id: bytes
    status: int | None
    has_oom_killer_struck: bool = False


class Vanished(msgspec.Struct, frozen=True):
    """A process has ended that has survived a crashed node. `name` is the name of its socket."""

    name: str


class ForkserverLost(msgspec.Struct, frozen=True):
    """A forkserver has ended unexpectedly. Its workers live on, but their exits will not be reported.

    `workers` are all that it was told to fork and whose exits it has not reported.
    """

    workers: list[bytes]
    error: str


class SpareMade(msgspec.Struct, frozen=True):
    """A forkserver has a process that becomes the worker with this id, if that is ordered next."""

    environment: int
    process_id: bytes


class NotPreloaded(msgspec.Struct, frozen=True):
    """A forkserver has not imported modules that it should, for these reasons, by the module's name."""

    environment: int
    reasons: dict[str, str]


class OutputRead(msgspec.Struct, frozen=True):
    """Output of a worker was read: whole lines, or at its end a part of one, from stdout (1) or stderr (2)."""

    process_id: bytes
    stream: int
    text: str
    origin: int = 0


class Displayed(msgspec.Struct, frozen=True):
    """A worker sends a display. All its output from before was read."""

    process_id: bytes
    display: messages.Display
    ask: Ask


class CaughtUp(msgspec.Struct, frozen=True):
    """All output of a session's workers from before its question was read."""

    ask: Ask


class OutputEnded(msgspec.Struct, frozen=True):
    """Both pipes of a worker are closed at the other end. `tail`: the last lines of its stderr."""

    process_id: bytes
    tail: str


class MemorySampled(msgspec.Struct, frozen=True):
    """The memory in use.

    Attributes:
        used, total: Bytes of the machine, or of the cgroup that is fuller.
        processes: Bytes in RAM of their own, by process id, as `SampleMemory` has asked for.
    """

    used: int
    total: int
    processes: dict[bytes, int]


class StopAsked(msgspec.Struct, frozen=True):
    """The system asks the node to end (SIGTERM)."""


class SocketsSeen(msgspec.Struct, frozen=True):
    """The names of the socket files of sessions and workers that exist now."""

    names: frozenset[str]


class Tick(msgspec.Struct, frozen=True):
    """Time has passed; sent when `NodeState.deadline` is reached."""


Event = Union[  # noqa: UP007 - X | Y of types is no expression on Python 3.10 with msgspec's metaclass
    Connected,
    Received,
    Disconnected,
    Forked,
    Exited,
    Vanished,
    ForkserverLost,
    NotPreloaded,
    SpareMade,
    OutputRead,
    Displayed,
    CaughtUp,
    OutputEnded,
    MemorySampled,
    StopAsked,
    SocketsSeen,
    Tick,
]


class Send(msgspec.Struct, frozen=True):
    """Send a message."""

    conn: int
    message: messages.Message


class Close(msgspec.Struct, frozen=True):
    """Close a connection after everything that was sent has gone out."""

    conn: int


class OpenForkserver(msgspec.Struct, frozen=True):
    """Start a forkserver, unless the environment has a running one."""

    environment: int
    facts: messages.Environment


class CloseForkserver(msgspec.Struct, frozen=True):
    """Close a forkserver whose environment is no longer needed."""

    environment: int


class Spawn(msgspec.Struct, frozen=True):
    """Have the environment's forkserver fork a worker; start the forkserver first if there is none."""

    environment: int
    facts: messages.Environment
    order: messages.Fork


class Kill(msgspec.Struct, frozen=True):
    """Send SIGKILL to a worker that was reported by `Forked` and not by `Exited`, or has survived a crashed node."""

    process_id: bytes


class AddPipes(msgspec.Struct, frozen=True):
    """Read two more pipes of a worker, whose descriptors were received on its connection."""

    process_id: bytes
    conn: int
    origin: int


class ReadAgain(msgspec.Struct, frozen=True):
    """Expect the pipes of a worker that has returned from a crashed node. `AddPipes` follows for each pair."""

    process_id: bytes


class ReadOutput(msgspec.Struct, frozen=True):
    """Read the output that a worker has written so far. Then handle the event `then`, if there is one."""

    process_id: bytes
    then: Displayed | CaughtUp | None


class FinishOutput(msgspec.Struct, frozen=True):
    """Read the rest of a worker's output and close its pipes: the worker has ended, but children hold their ends."""

    process_id: bytes


class RemoveSocket(msgspec.Struct, frozen=True):
    """Remove the socket file of a process that has ended, perhaps without doing so itself. A spare has another file."""

    process_id: bytes
    is_spare: bool = False


class PlaceSocket(msgspec.Struct, frozen=True):
    """Move the socket file of a spare, which is a worker from now on, to where other processes look for it."""

    process_id: bytes


class Forget(msgspec.Struct, frozen=True):
    """Forget a worker process. No later instruction concerns it."""

    process_id: bytes


class RemoveLog(msgspec.Struct, frozen=True):
    """Remove the log of a worker, because enough newer logs are kept."""

    process_id: bytes


class RemoveRestartFiles(msgspec.Struct, frozen=True):
    """Remove the files from which an actor would restart, because it is dead and has no process."""

    actor_id: bytes


class SampleMemory(msgspec.Struct, frozen=True):
    """Read the memory in use now, and that of the given processes. The event `MemorySampled` follows.

    Attributes:
        pids: Pids by process id.
    """

    pids: dict[bytes, int]


class Note(msgspec.Struct, frozen=True):
    """Write a text to the node's log."""

    text: str


class Leave(msgspec.Struct, frozen=True):
    """End the node; unless `final`, only if no process is connecting at this moment."""

    final: bool


Instruction = Union[  # noqa: UP007
    Send,
    Close,
    OpenForkserver,
    CloseForkserver,
    Spawn,
    Kill,
    AddPipes,
    ReadAgain,
    ReadOutput,
    FinishOutput,
    RemoveSocket,
    PlaceSocket,
    Forget,
    RemoveLog,
    RemoveRestartFiles,
    SampleMemory,
    Note,
    Leave,
]
