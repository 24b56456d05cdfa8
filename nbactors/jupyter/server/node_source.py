"""`NodeSource`: what the side panel of JupyterLab shows, everything on the user's node."""

from __future__ import annotations

import time
from typing import Any

import psutil

from nbactors.jupyter.panels import commands, states
from nbactors.jupyter.panels.activity import is_running
from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.panels.memory_figures import MemoryFigures
from nbactors.jupyter.panels.source import Answer
from nbactors.jupyter.server.jobs import Jobs
from nbactors.util import state

NODE_S = 2.0
"""Seconds between two questions for the node's status: its answer lists all actors."""

ENDED = 50
"""Actors that have ended and are still shown, the latest ones."""

ERRORS = 20
"""Kinds of errors that are listed."""

CALLS = 200
"""The most calls of jobs that are listed."""

NOTHING: dict[str, Any] = {
    "view": "node",
    "now": 0.0,
    "runs": False,
    "away_since": 0.0,
    "rows": {},
    "order": [],
    "jobs": {},
    "calls": {},
    "cpu": [0, 0],
    "memory": [0, 0],
    "store": [0, 0],
    "errors": [],
}
"""The state before the first look."""


class NodeSource:
    """What runs on the node, whichever kernel has started it. See `source.Source`.

    When the node goes away, the last state stays, with the time at which the node was last there.

    Args:
        feed: Has the events.
        jobs: Knows whose sessions they are.
    """

    table: str | None = "rows"

    def __init__(self, feed: Feed, jobs: Jobs) -> None:
        self._feed = feed
        self._jobs = jobs
        self._memory = MemoryFigures()
        self._rows: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}
        self._node: dict[str, Any] | None = None
        self._asked_at = -NODE_S
        self._last = NOTHING
        self._machine = psutil.virtual_memory().total

    def state(self) -> dict[str, Any]:
        """See `source.Source`."""
        self._ask()
        now = time.time()
        if self._node is None:
            away_since = self._last["away_since"] or (self._last["now"] if self._last["runs"] else 0.0)
            self._last = {**self._last, "now": now, "runs": False, "away_since": away_since}
        else:
            self._last = self._state(self._node, now)
        return self._last

    def _state(self, node: dict[str, Any], now: float) -> dict[str, Any]:
        shown = self._shown()
        memory = self._memory.of([row["pid"] for row in shown if row["state"] != "DEAD" and row["pid"]])
        rows = {row["actor_id"]: self._row(row, memory) for row in shown}
        self._rows = {actor_id: self._rows[actor_id] for actor_id in rows}
        calls = self._calls()
        total, free = node["resources"], node["available"]
        store = next((row for row in node["object_stores"] if not row["job_id"]), {"held": 0, "limit": 0})
        common = self._feed.activity.errors.most_common(ERRORS)
        return {
            "view": "node",
            "now": now,
            "runs": True,
            "away_since": 0.0,
            "rows": rows,
            "order": list(rows),
            "jobs": self._jobs.of({row["job"] for row in rows.values()} | {call["job"] for call in calls.values()}),
            "calls": calls,
            "cpu": [round(total.get("CPU", 0) - free.get("CPU", 0), 2), total.get("CPU", 0)],
            "memory": [sum(memory.values()), self._machine],
            "store": [store["held"], store["limit"]],
            "errors": [{"text": text, "count": count} for text, count in common],
        }

    def _shown(self) -> list[dict[str, Any]]:
        rows = list(self._feed.actors.values())
        ended = [row["actor_id"] for row in rows if row["state"] == "DEAD"]
        left_out = set(ended[:-ENDED])
        return [row for row in rows if row["actor_id"] not in left_out]

    def _row(self, row: dict[str, Any], memory: dict[int, int]) -> dict[str, Any]:
        """Return the row of an actor: the same object as before if nothing has changed."""
        actor_id = row["actor_id"]
        activity = self._feed.activity.of(actor_id)
        used = memory.get(row["pid"], 0) if row["state"] != "DEAD" else 0
        key = (id(row), activity.version, used)
        known = self._rows.get(actor_id)
        if known is None or known[0] != key:
            running = activity.running
            about = {
                "job": "" if row["is_detached"] else row["job_id"],
                "cell_id": running[0]["cell_id"] if running else known[1]["cell_id"] if known is not None else "",
            }
            known = self._rows[actor_id] = (key, states.session_row(row, activity, used) | about)
        return known[1]

    def _calls(self) -> dict[str, dict[str, Any]]:
        """Return the calls that no actor has, and that no other call has made: cells in the background, and tasks."""
        rows = [row for row in self._feed.activity.tasks() if not row["parent_task_id"]]
        return {row["task_id"]: _call(row) for row in rows[:CALLS]}

    def _ask(self) -> None:
        now = time.monotonic()
        if now - self._asked_at >= NODE_S:
            self._asked_at = now
            try:
                self._node = state.node_status()
            except OSError:  # it does not answer, or has crashed and the next one starts
                self._node = None

    def do(self, command: dict[str, Any]) -> Answer:
        """See `source.Source`."""
        if command["what"] != "interrupt_all":
            return commands.on_actor(command)
        return commands.interrupt_all([row["id"] for row in self._last["rows"].values() if row["mark"] == "busy"])


def _call(row: dict[str, Any]) -> dict[str, Any]:
    runs = is_running(row)
    awaited = row["waits_for"]
    return {
        "id": row["task_id"],
        "name": row["name"],
        "group": "",
        "mark": "busy" if runs else "waiting" if awaited else "queued",
        "word": "runs" if runs else f"waits for {awaited}" if awaited else "queued",
        "since": row["times"][2] if runs else row["times"][0],
        "args": None,
        "cell": "",
        "creation": False,
        "job": row["job_id"],
        "cell_id": row["cell_id"],
    }
