"""The panel of a session: all its actors, and the detached ones."""

from __future__ import annotations

import time
from typing import Any

import nbactors
from nbactors.jupyter.panels import commands
from nbactors.jupyter.panels.actor_rows import ActorRows, cores
from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.panels.source import Answer
from nbactors.util import state

NODE_S = 5.0
"""Seconds between two questions for the node's status: its answer lists all actors."""


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
        self._table = ActorRows(feed)
        self._node: dict[str, Any] | None = None
        self._resources: tuple[dict[str, float], dict[str, float]] = ({}, {})
        self._asked_at = -NODE_S

    def _actors(self) -> list[dict[str, Any]]:
        return [row for row in self._feed.actors.values() if row["job_id"] == self._job_id or row["is_detached"]]

    def state(self) -> dict[str, Any]:
        """See `source.Source`."""
        self._ask()
        return {
            "view": "session",
            "now": time.time(),
            "title": self._title,
            "runs": self._node is not None,
            "cpu": cores(*self._resources),
            **self._table.fields(self._actors(), self._node),
        }

    def _ask(self) -> None:
        """Ask for the resources of the session, or of the machine if no session is open, and for the object stores."""
        now = time.monotonic()
        if now - self._asked_at < NODE_S:
            return
        self._asked_at = now
        self._node = node = state.node_status(with_actors=False)
        if self._job_id and nbactors.is_initialized():
            self._resources = nbactors.cluster_resources(), nbactors.available_resources()
        else:
            self._resources = (node["resources"], node["available"]) if node is not None else ({}, {})

    def do(self, command: dict[str, Any]) -> Answer:
        """See `source.Source`."""
        if command["what"] != "interrupt_all":
            return commands.on_actor(command)
        shown = [row["actor_id"] for row in self._table.shown(self._actors())]
        return commands.interrupt_all([each for each in shown if self._feed.activity.of(each).running])
