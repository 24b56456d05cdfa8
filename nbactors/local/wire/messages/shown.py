"""What workers show in the notebook that called them, on its way to the session."""

from __future__ import annotations

from nbactors.local.wire.messages.message import Message


class Display(Message, tag=100, frozen=True):
    """Worker to node, and node to session: rich output. See `nbactors.output.Display`.

    The node answers by `Done`, having read what the worker has printed before; what it prints next comes after.

    Attributes:
        rid: 0 for no answer.
        origin: Of the call that shows it, see `Call`; tells which session does.
        content: JSON: an object with `data`, `metadata` and `transient`; empty where something is cleared.
        action: "show", "update", "clear", or "clear later": with what is shown next.
        pid, label: The worker's, and what its output is marked with; filled in by the node.
    """

    rid: int
    origin: int
    content: bytes
    action: str
    pid: int = 0
    label: str = ""


class Progress(Message, tag=103, frozen=True):
    """Worker to node, and node to session: how far a progress bar is. See `nbactors.output.Progress`.

    Attributes:
        origin: Of the call that has made the bar, see `Call`; tells which session shows it.
        process_id, pid, label: The worker's, and what its output is marked with; filled in by the node.
    """

    origin: int
    bar: str
    description: str
    n: float
    total: float | None
    unit: str
    unit_scale: float
    elapsed: float
    rate: float
    postfix: str
    closed: bool
    leave: bool
    failed: str
    process_id: bytes = b""
    pid: int = 0
    label: str = ""


class Paused(Message, tag=114, frozen=True):
    """Worker to node, and node to session: a call has come to a `breakpoint()`. See `nbactors.output.Paused`.

    Attributes:
        origin: Of the call, see `Call`; tells which session is to debug it.
        path: The unix socket at which the worker waits for the session's debugger.
        where: File, line and function.
        pid, label: The worker's; filled in by the node.
    """

    origin: int
    path: str
    where: str
    pid: int = 0
    label: str = ""
