"""`Route`: what the calls of one method with the same options share, made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbactors.cluster.watcher import Origin

MOST_PLACES = 100
"""Cells from which one route is taken at the same time. A notebook has one calling cell, and few others run on."""


class Place(NamedTuple):
    """What the calls of a route share that one cell makes.

    Attributes:
        function: Ray's function for them, whose name tells the facts of a call.
        origin: What their results have in common.
    """

    function: Any
    origin: Origin


class Route:
    """The way of calls to a method, or of tasks. Any thread.

    Args:
        method: The name of the method, or of the function.
        label: The name of the calls in listings.
        telling: Ray's function, with its options, that takes the facts of a call as its first argument.
        named: Returns Ray's function for calls of a cell that takes the user's arguments only; None if there is none.
        home: The name of the hub of the session whose calls may use `named`; empty if there is none.
        mark: What stands before the facts of a call, where `telling` also takes calls without facts.
        is_reported: Whether the calls are listed.
        actor_id: The actor, empty for tasks.
        group: The concurrency group that the calls run in; empty for the default one.
        timeout_s: Seconds until a call must have ended, None for no limit.

    Attributes:
        places: What is shared, by the number of the calling cell.
    """

    __slots__ = (
        "_named",
        "actor_id",
        "group",
        "home",
        "is_reported",
        "label",
        "mark",
        "method",
        "places",
        "telling",
        "timeout_s",
    )

    def __init__(
        self,
        method: str,
        label: str,
        telling: Any,
        named: Callable[[int], Any] | None = None,
        *,
        home: str = "",
        mark: bytes = b"",
        is_reported: bool = True,
        actor_id: bytes = b"",
        group: str = "",
        timeout_s: float | None = None,
    ) -> None:
        self.method = method
        self.label = label
        self.telling = telling
        self.home = home if named is not None else ""
        self.mark = mark
        self.is_reported = is_reported
        self.actor_id = actor_id
        self.group = group
        self.timeout_s = timeout_s
        self._named = named
        self.places: dict[int, Place] = {}

    def make_place(self, cell: int) -> Place:
        """Return what the calls of the session `home` share that a cell makes, and keep it in `places`.

        Args:
            cell: The number of the cell, 0 for none.
        """
        if len(self.places) >= MOST_PLACES:
            self.places.clear()
        assert self._named is not None
        made = self.places[cell] = Place(self._named(cell), self.origin(cell, self.home))
        return made

    def origin(self, cell: int, hub: str) -> Origin:
        """Return what the results of calls have in common."""
        return Origin(self.label, self.actor_id, cell, hub)
