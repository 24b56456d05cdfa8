"""What workers have to show in the notebook that called them, as a front end takes it.

An engine hands these to the sink that a front end has set (`Engine.set_sink`); without one it shows what it can itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Lines:
    """Text that a worker printed.

    Attributes:
        cell: Number of the cell that made the call, 0 for none; see `nbactors.origin`.
        label: The actor's class name, or name, or the task's function name.
        stream: 1 for stdout, 2 for stderr.
        actor_id: Empty for a task.
    """

    cell: int
    label: str
    pid: int
    stream: int
    text: str
    actor_id: bytes


@dataclass(frozen=True)
class Display:
    """Rich output, as IPython's `display` gives it.

    Attributes:
        update: Whether it replaces what was shown with the same `transient["display_id"]`.
    """

    cell: int
    label: str
    pid: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    transient: dict[str, Any]
    update: bool


@dataclass(frozen=True)
class Progress:
    """The state of a progress bar.

    Attributes:
        cell: Number of the cell under which it is shown, 0 for none.
        source: Tells apart who reports: a worker, or the session itself.
        bar: Tells apart the bars of one source.
        label: What the source's output is marked with; empty for the session itself.
        n, total: How far it is; `total` None where that is not known.
        unit_scale: What to multiply numbers with for show, 0 for plain numbers.
        elapsed: Seconds since it began.
        rate: Units per second, 0 where that is not known.
        postfix: Text behind the numbers.
        closed: This is its last state.
        leave: Whether it stays after its end.
        failed: Why it ended unfinished; empty if it did not.
    """

    cell: int
    source: str
    bar: str
    label: str = ""
    pid: int = 0
    description: str = ""
    n: float = 0
    total: float | None = None
    unit: str = "it"
    unit_scale: float = 0
    elapsed: float = 0
    rate: float = 0
    postfix: str = ""
    closed: bool = False
    leave: bool = True
    failed: str = ""


class Sink(Protocol):
    """What a front end does with it. Called on the leader's thread, which must not be held up."""

    def lines(self, lines: Lines) -> None:
        """Show text."""

    def display(self, display: Display) -> None:
        """Show rich output."""

    def progress(self, progress: Progress) -> None:
        """Show how far a bar is."""
