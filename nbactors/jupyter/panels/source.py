"""`Source`: what a panel shows, and `Answer`: what a button gets. Needs no widget library."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Answer(NamedTuple):
    """The answer to a command: whether it was done, and a text for the user."""

    ok: bool
    text: str = ""


class Source(Protocol):
    """What a panel shows."""

    table: str | None
    """The field of the state whose rows change one by one."""

    def state(self) -> dict[str, Any]:
        """Return the present state. Any thread, one at a time. Waits for a second at most."""

    def do(self, command: dict[str, Any]) -> Answer:
        """Carry out what a button asks for. A thread of its own; may block, and may raise an error."""
