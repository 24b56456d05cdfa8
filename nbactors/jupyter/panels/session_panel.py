"""The panel of a session: all its actors, and the detached ones."""

from __future__ import annotations

import time
from typing import Any

import psutil

import nbactors
from nbactors.jupyter.panels import commands, states
from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.panels.memory_figures import MemoryFigures
from nbactors.jupyter.panels.source import Answer
from nbactors.util import state

NODE_S = 5.0
"""Seconds between two questions for the node's status: its answer lists all actors."""

ENDED = 50
"""Actors that have ended and are still shown, the latest ones."""

ERRORS = 20
"""Kinds of errors that are listed."""


class SessionSource:
    """What the panel of a session shows.

    Args:
        feed: Has the events.
        job_id: The session's id in hexadecimal digits, empty if no session is open.
        title: The name of the notebook.
    """

    table: str | None = "rows"

    def __init__(self, feed: Feed, job_id: str, title: str) -> None:
        self._feed = feed
        self._job_id = job_id
        self._title = title
        self._memory = MemoryFigures()
        self._rows: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}
        self._node: dict[str, Any] | None = None
        self._resources: tuple[dict[str, float], dict[str, float]] = ({}, {})
        self._asked_at = -NODE_S
        self._machine = psutil.virtual_memory().total

    def _shown(self) -> list[dict[str, Any]]:
        rows = [row for row in self._feed.actors.values() if row["job_id"] == self._job_id or row["is_detached"]]
        ended = [row["actor_id"] for row in rows if row["state"] == "DEAD"]
        left_out = set(ended[:-ENDED])
        return [row for row in rows if row["actor_id"] not in left_out]

    def state(self) -> dict[str, Any]:
        """See `source.Source`."""
        feed, shown = self._feed, self._shown()
        alive = [row["pid"] for row in shown if row["state"] != "DEAD" and row["pid"]]
        memory = self._memory.of(alive)
        rows = {row["actor_id"]: self._row(row, memory) for row in shown}
        self._rows = {actor_id: self._rows[actor_id] for actor_id in rows}
        self._ask()
        total, free = self._resources
        stores = self._node["object_stores"] if self._node is not None else []
        store = next((row for row in stores if not row["job_id"]), {"held": 0, "limit": 0})
        common = feed.activity.errors.most_common(ERRORS)
        return {
            "view": "session",
            "now": time.time(),
            "title": self._title,
            "runs": self._node is not None,
            "rows": rows,
            "order": list(rows),
            "cpu": [round(total.get("CPU", 0) - free.get("CPU", 0), 2), total.get("CPU", 0)],
            "memory": [sum(memory.values()), self._machine],
            "store": [store["held"], store["limit"]],
            "errors": [{"text": text, "count": count} for text, count in common],
        }

    def _row(self, row: dict[str, Any], memory: dict[int, int]) -> dict[str, Any]:
        """Return the row of an actor: the same object as before if nothing has changed."""
        actor_id = row["actor_id"]
        activity = self._feed.activity.of(actor_id)
        used = memory.get(row["pid"], 0) if row["state"] != "DEAD" else 0
        key = (id(row), activity.version, used)
        known = self._rows.get(actor_id)
        if known is None or known[0] != key:
            known = self._rows[actor_id] = (key, states.session_row(row, activity, used))
        return known[1]

    def _ask(self) -> None:
        """Ask for the resources of the session, or of the machine if no session is open, and for the object stores."""
        now = time.monotonic()
        if now - self._asked_at < NODE_S:
            return
        self._asked_at = now
        self._node = node = state.node_status()
        if self._job_id and nbactors.is_initialized():
            self._resources = nbactors.cluster_resources(), nbactors.available_resources()
        else:
            self._resources = (node["resources"], node["available"]) if node is not None else ({}, {})

    def do(self, command: dict[str, Any]) -> Answer:
        """See `source.Source`."""
        if command["what"] != "interrupt_all":
            return commands.on_actor(command)
        shown = [row["actor_id"] for row in self._shown()]
        return commands.interrupt_all([each for each in shown if self._feed.activity.of(each).running])
