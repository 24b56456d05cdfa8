"""`ActorRows`: the rows of a table of actors, and the other fields that all tables of actors have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psutil

from nbactors.jupyter.panels import states
from nbactors.jupyter.panels.activity import ActorActivity
from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.panels.memory_figures import MemoryFigures

ENDED = 50
"""Actors that have ended and are still shown, the latest ones."""

ERRORS = 20
"""Kinds of errors that are listed."""


class ActorRows:
    """Makes the rows. Used by one thread at a time.

    Args:
        feed: Has the events.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._memory = MemoryFigures()
        self._rows: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}
        self._machine = psutil.virtual_memory().total

    def about(self, row: dict[str, Any], activity: ActorActivity, before: dict[str, Any] | None) -> dict[str, Any]:
        """Return what a row has beside the fields of all tables. `before`: the actor's last row, None if it is new."""
        return {}

    def fields(self, rows: Iterable[dict[str, Any]], node: dict[str, Any] | None) -> dict[str, Any]:
        """Return `rows`, `order`, `memory`, `store` and `errors` of a state.

        Args:
            rows: The actors, as of `nbactors.util.state.list_actors(detail=True)`, in the order of creation.
            node: The node's status, None without a node.
        """
        shown = self.shown(rows)
        here = [row for row in shown if row["state"] != "DEAD" and row["pid"] and row.get("is_here", True)]
        memory = self._memory.of([row["pid"] for row in here])
        made = {row["actor_id"]: self._row(row, memory) for row in shown}
        self._rows = {actor_id: self._rows[actor_id] for actor_id in made}
        stores = node["object_stores"] if node is not None else []
        store = next((row for row in stores if not row["job_id"]), {"held": 0, "limit": 0})
        common = self._feed.activity.errors.most_common(ERRORS)
        return {
            "rows": made,
            "order": list(made),
            "memory": [sum(memory.values()), self._machine],
            "store": [store["held"], store["limit"]],
            "errors": [{"text": text, "count": count} for text, count in common],
        }

    @staticmethod
    def shown(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the actors that a table shows: of those that have ended, the latest."""
        rows = list(rows)
        ended = [row["actor_id"] for row in rows if row["state"] == "DEAD"]
        left_out = set(ended[:-ENDED])
        return [row for row in rows if row["actor_id"] not in left_out]

    def _row(self, row: dict[str, Any], memory: dict[int, int]) -> dict[str, Any]:
        """Return the row of an actor: the same object as before if nothing has changed."""
        actor_id = row["actor_id"]
        activity = self._feed.activity.of(actor_id)
        is_here = row["state"] != "DEAD" and row.get("is_here", True)
        used = memory.get(row["pid"], 0) if is_here else 0
        key = (id(row), activity.version, used)
        known = self._rows.get(actor_id)
        if known is None or known[0] != key:
            about = self.about(row, activity, known[1] if known is not None else None)
            known = self._rows[actor_id] = (key, states.session_row(row, activity, used) | about)
        return known[1]


def cores(resources: dict[str, float], available: dict[str, float]) -> list[float]:
    """Return the held CPUs and all CPUs, of resources by name."""
    total = resources.get("CPU", 0)
    return [round(total - available.get("CPU", 0), 2), total]
