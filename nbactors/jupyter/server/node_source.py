"""`NodeSource`: what the side panel of JupyterLab shows, everything on the user's node."""

from __future__ import annotations

import time
from typing import Any

from nbactors.frontend.bar import BarState
from nbactors.jupyter.panels import commands
from nbactors.jupyter.panels.activity import ActorActivity, is_running
from nbactors.jupyter.panels.actor_rows import ActorRows, cores
from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.panels.source import Answer
from nbactors.jupyter.server.jobs import Jobs
from nbactors.util import state
from nbactors.views import bar

NODE_S = 1.0
"""Seconds between two questions for the node's status."""

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
        self._table = _NodeRows(feed)
        self._node: dict[str, Any] | None = None
        self._asked_at = -NODE_S
        self._last = NOTHING

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
        fields = self._table.fields(self._feed.actors.values(), node)
        calls = self._calls(_bars(node))
        jobs = {row["job"] for row in [*fields["rows"].values(), *calls.values()]}
        return {
            "view": "node",
            "now": now,
            "runs": True,
            "away_since": 0.0,
            "jobs": self._jobs.of(jobs),
            "calls": calls,
            "cpu": cores(node["resources"], node["available"]),
            **fields,
        }

    def _calls(self, bars: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the calls that no actor has, and that no other call has made: cells in the background, and tasks."""
        rows = [row for row in self._feed.activity.tasks() if not row["parent_task_id"]]
        return {row["task_id"]: _call(row) | {"bar": bars.get(row["task_id"])} for row in rows[:CALLS]}

    def _ask(self) -> None:
        now = time.monotonic()
        if now - self._asked_at >= NODE_S:
            self._asked_at = now
            try:
                self._node = state.node_status(with_actors=False)
            except OSError:  # it does not answer, or has crashed and the next one starts
                self._node = None

    def do(self, command: dict[str, Any]) -> Answer:
        """See `source.Source`."""
        if command["what"] != "interrupt_all":
            return commands.on_actor(command)
        return commands.interrupt_all([row["id"] for row in self._last["rows"].values() if row["mark"] == "busy"])


class _NodeRows(ActorRows):
    def about(self, row: dict[str, Any], activity: ActorActivity, before: dict[str, Any] | None) -> dict[str, Any]:
        running = activity.running
        return {
            "job": "" if row["is_detached"] else row["job_id"],
            "cell_id": running[0]["cell_id"] if running else before["cell_id"] if before is not None else "",
        }


def _bars(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the first progress bar that each call has open, by the call's id: the bars inside it begin later."""
    bars = {row["task_id"]: _bar(row) for row in reversed(node["bars"])}
    bars.pop(None, None)
    return bars


def _bar(row: dict[str, Any]) -> dict[str, Any]:
    facts = {name: fact for name, fact in row.items() if name in BarState._fields}
    units, took, rest, notes = bar.figures(BarState(0, row["worker_id"], "", **facts))
    share = None if row["share"] is None else round(row["share"], 4)
    times = f"{took}<{rest}" if rest else took
    return {"title": row["description"], "share": share, "text": ", ".join([f"{units} [{times}]", *notes])}


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
