"""Displays, progress bars and breakpoints of workers, on their way to the session."""

from typing import Annotated

import msgspec
from msgspec import Meta

from nbactors.frontend.bar import BarState
from nbactors.local.wire import ids
from nbactors.local.wire.messages.message import Count, Message, Name, Pid, ProcessId

Line = Annotated[str, Meta(max_length=1 << 16)]

MAX_BAR_TEXT = 1000
"""Characters of a bar's text: it is shown in one line."""


class Display(Message, tag=100, frozen=True):
    """Worker to node, and node to session: a display. See `nbactors.frontend.sink.Display`.

    The node reads the worker's earlier output and then answers by `Done`, so that the order is kept.

    Attributes:
        rid: 0 for no answer.
        origin: The origin of the call that shows it, see `Call`; determines the session.
        content: JSON: an object with `data`, `metadata` and `transient`; empty for "clear" and "clear later".
        action: "show", "update", "clear", or "clear later": when the next output is shown.
        pid, label: The worker's pid and the prefix of its output; filled in by the node.
    """

    rid: Count
    origin: Count
    content: bytes
    action: Name
    pid: Pid = 0
    label: Name = ""


class Bar(Message, tag=103, frozen=True):
    """Worker to node, and node to session: the state of a progress bar. See `nbactors.frontend.bar.BarState`.

    Attributes:
        origin: The origin of the call that made the bar, see `Call`; determines the session.
        process_id, pid, label: The worker's ids and the prefix of its output; filled in by the node.
    """

    origin: Count
    bar: Line
    description: Line
    n: float
    total: float | None
    unit: Line
    unit_scale: float
    elapsed: float
    rate: float
    postfix: Line
    closed: bool
    leave: bool
    failed: Line
    process_id: ProcessId = b""
    pid: Pid = 0
    label: Name = ""
    call: Name = ""

    @classmethod
    def of(cls, state: BarState) -> "Bar":
        """Return the message of a worker's bar. Its `cell` is the origin; texts are cut at `MAX_BAR_TEXT`."""
        facts = {name: value for name, value in state._asdict().items() if name in cls.__struct_fields__}
        for name in ("description", "unit", "postfix"):
            facts[name] = facts[name][:MAX_BAR_TEXT]
        return cls(state.cell, **facts)

    def state(self) -> BarState:
        """Return the state that the session shows."""
        facts = msgspec.structs.asdict(self)
        return BarState(ids.cell_of(facts.pop("origin")), facts.pop("process_id").hex(), **facts)


class Paused(Message, tag=114, frozen=True):
    """Worker to node, and node to session: a call has reached a `breakpoint()` or an `input()`.

    See `nbactors.frontend.sink.Paused`.

    Attributes:
        origin: The origin of the call, see `Call`; determines the session that debugs it.
        path: The unix socket on which the worker waits for the session's debugger.
        where: File, line and function; or the call of `input`.
        pid, label: The worker's; filled in by the node.
        asks: Whether it is an `input()`.
    """

    origin: Count
    path: Line
    where: Line
    pid: Pid = 0
    label: Name = ""
    asks: bool = False
