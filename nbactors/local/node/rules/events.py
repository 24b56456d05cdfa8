"""What happens to the node, and what it is to do about it: the two alphabets of `NodeState`."""

from __future__ import annotations

from typing import Union

import msgspec

from nbactors.local.node.rules.asks import Ask
from nbactors.local.wire import messages


class Connected(msgspec.Struct, frozen=True):
    """Somebody of the same user has connected; he has not said who he is."""

    conn: int


class Received(msgspec.Struct, frozen=True):
    """A message has come in on a connection."""

    conn: int
    message: messages.Message


class Disconnected(msgspec.Struct, frozen=True):
    """A connection has ended, and all that came in before was handed over."""

    conn: int


class Forked(msgspec.Struct, frozen=True):
    """A worker process exists now, or (pid 0) could not be made; `error` says why."""

    process_id: bytes
    pid: int
    error: str = ""


class Exited(msgspec.Struct, frozen=True):
    """A worker process has ended. `status` as `os.waitstatus_to_exitcode` gives it."""

    process_id: bytes
    status: int


class ForkserverLost(msgspec.Struct, frozen=True):
    """A forkserver has ended without being told to: its workers live on, but their ends will not be reported.

    Attributes:
        workers: All that it was told to fork, less those whose exits it has reported.
    """

    workers: list[bytes]
    error: str


class OutputRead(msgspec.Struct, frozen=True):
    """Output of a worker was read: whole lines, or at its end a part of one, from stdout (1) or stderr (2)."""

    process_id: bytes
    stream: int
    text: str
    origin: int = 0


class Displayed(msgspec.Struct, frozen=True):
    """A worker sends a display, and its output from before was read."""

    process_id: bytes
    display: messages.Display
    ask: Ask


class OutputEnded(msgspec.Struct, frozen=True):
    """Both pipes of a worker are closed at the other end. `tail`: its last lines of stderr."""

    process_id: bytes
    tail: str


class StopAsked(msgspec.Struct, frozen=True):
    """The system asks the node to end (SIGTERM)."""


class SocketsSeen(msgspec.Struct, frozen=True):
    """These are the names of the files where sessions and workers listen."""

    names: frozenset[str]


class Tick(msgspec.Struct, frozen=True):
    """Time has passed; sent when `NodeState.deadline` is reached."""


Event = Union[  # noqa: UP007 - X | Y of types is no expression on Python 3.10 with msgspec's metaclass
    Connected,
    Received,
    Disconnected,
    Forked,
    Exited,
    ForkserverLost,
    OutputRead,
    Displayed,
    OutputEnded,
    StopAsked,
    SocketsSeen,
    Tick,
]


class Send(msgspec.Struct, frozen=True):
    """Send a message."""

    conn: int
    message: messages.Message


class Close(msgspec.Struct, frozen=True):
    """Close a connection, after what was sent has gone out."""

    conn: int


class OpenForkserver(msgspec.Struct, frozen=True):
    """Start a forkserver, if that environment has none that lives."""

    environment: int
    facts: messages.Environment


class CloseForkserver(msgspec.Struct, frozen=True):
    """Let a forkserver go; nobody needs the environment any more."""

    environment: int


class Spawn(msgspec.Struct, frozen=True):
    """Have the environment's forkserver (started before, if it is not there) fork a worker."""

    environment: int
    facts: messages.Environment
    process_id: bytes
    title: str
    sys_path: list[bytes]
    cwd: bytes
    runtime_env: messages.RuntimeEnv | None
    modules: list[str]


class Kill(msgspec.Struct, frozen=True):
    """Send SIGKILL to a worker that was reported by `Forked` and not by `Exited`."""

    process_id: bytes


class AddPipes(msgspec.Struct, frozen=True):
    """Read two more pipes of a worker, whose descriptors have come on its connection."""

    process_id: bytes
    conn: int
    origin: int


class ReadOutput(msgspec.Struct, frozen=True):
    """Read the output that a worker has written so far; the event `then` happens after that."""

    process_id: bytes
    then: Displayed


class FinishOutput(msgspec.Struct, frozen=True):
    """Read the rest of a worker's output and close its pipes: it has ended, but its children still hold their ends."""

    process_id: bytes


class RemoveSocket(msgspec.Struct, frozen=True):
    """Remove the socket file of a process that has ended; it may have had no chance to do so."""

    process_id: bytes


class Forget(msgspec.Struct, frozen=True):
    """Nothing will be asked of this worker process any more."""

    process_id: bytes


class RemoveLog(msgspec.Struct, frozen=True):
    """Remove the log of a worker: so many have ended since that nobody will ask for its output."""

    process_id: bytes


class Note(msgspec.Struct, frozen=True):
    """Write to the node's log."""

    text: str


class Leave(msgspec.Struct, frozen=True):
    """End the node, unless somebody is just connecting (not `final`)."""

    final: bool


Instruction = Union[  # noqa: UP007
    Send,
    Close,
    OpenForkserver,
    CloseForkserver,
    Spawn,
    Kill,
    AddPipes,
    ReadOutput,
    FinishOutput,
    RemoveSocket,
    Forget,
    RemoveLog,
    Note,
    Leave,
]
