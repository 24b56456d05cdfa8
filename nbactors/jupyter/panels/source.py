"""`Source`: what a panel shows, and `Answer`: what a button gets. Needs no widget library."""

from __future__ import annotations

from concurrent.futures import Future
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
        """Return the present state, as far as it is known. Any thread, one at a time. Waits for no worker."""

    def do(self, command: dict[str, Any]) -> Answer:
        """Carry out what a button asks for. A thread of its own; may block, and may raise an error."""


class Asking(Source, Protocol):
    """A source that asks a worker for its state."""

    def ask(self) -> Future[Any] | None:
        """Ask the worker on another thread, if that is due. Any thread, not at the same time as `state`.

        Returns:
            The question that has no answer yet; None if there is none.
        """
