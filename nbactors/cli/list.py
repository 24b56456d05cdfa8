"""The command `nbactors list`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from nbactors.cli import clusters, table
from nbactors.util import call_ids
from nbactors.util.state import MANY, list_actors, list_tasks, list_workers, node_status
from nbactors.views import actor_cells
from nbactors.views.bar import clock

_ACTOR_HEADS = ("ACTOR", "CLASS", "STATE", "PID", "NAMESPACE")
_CALL_HEADS = ("CALL", "NAME", "STATE", "TIME", "FROM")

_RUNNING_HEADS = ("ACTOR", "CALL", "TIME")

_RUNNING_S = 5.0
"""Seconds in which an actor of a cluster has to tell what runs in it."""

_ENDED = ("FINISHED", "FAILED")

_WORDS = {
    "RUNNING": "running",
    "RUNNING_IN_RAY_GET": "running, in get",
    "RUNNING_IN_RAY_WAIT": "running, in wait",
    "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY": "queued",
    "SUBMITTED_TO_WORKER": "sent",
    "PENDING_ARGS_AVAIL": "waits for argument",
    "PENDING_NODE_ASSIGNMENT": "waits",
    "FINISHED": "finished",
    "FAILED": "failed",
}


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Also dead actors, and calls that have ended.")
@click.option("--json", "as_json", is_flag=True, help="Print all columns as one JSON object, null if no node runs.")
@clusters.option
def list(everything: bool, as_json: bool, address: str | None) -> None:  # noqa: A001 - the command's name
    """Show the actors, then the calls that run and wait, of all programs and notebooks of this user.

    `nbactors cancel` takes the ids of calls, such as 3f9a-17: the beginning of the caller's id, and the number of its
    call. `nbactors interrupt` takes the names, ids and pids of actors. FROM is the notebook's cell and the process that
    has made the call. The node learns of a call half a second after its begin.

    With --cluster the calls are those that run in actors, as these tell: no table of all calls is on a cluster.

    Exit status 0, and 3 if no node runs.
    """
    if address is not None:
        _list_cluster(address, everything, as_json)
        return
    actors = [
        row
        for row in list_actors(limit=MANY, detail=True, ended_sessions=everything)
        if everything or row["state"] != "DEAD"
    ]
    calls = _calls(everything)
    is_missing = not actors and not calls and node_status(with_actors=False) is None
    if as_json:
        click.echo(json.dumps(None if is_missing else {"actors": actors, "calls": calls}, indent=2))
    elif is_missing:
        click.echo("No node runs. A program or notebook that uses nbactors starts one.")
    else:
        click.echo("\n".join(report(actors, calls, time.time(), table.screen_width())))
    if is_missing:
        raise click.exceptions.Exit(3)


def _list_cluster(address: str, everything: bool, as_json: bool) -> None:
    with clusters.visit(address) as visit:
        actors = [row for row in visit.actors() if everything or row["state"] != "DEAD"]
        calls = visit.running([row for row in actors if row["state"] == "ALIVE"], _RUNNING_S)
    if as_json:
        click.echo(json.dumps({"actors": actors, "calls": calls}, indent=2))
        return
    width = table.screen_width()
    names = {row["actor_id"]: row["name"] or row["actor_id"][:12] for row in actors}
    running = [(names[call["actor_id"]], call["name"], clock(call["span"])) for call in calls]
    click.echo("\n".join(_actor_lines(actors, width)))
    click.echo("\n".join(["", *(table.lines([_RUNNING_HEADS, *running], width, 1) if calls else ["No call runs."])]))


def _calls(everything: bool) -> Sequence[dict[str, Any]]:
    """Return the rows of the calls with `short_id` ("" for a constructor) and `caller_pid` (None if it has ended)."""
    rows = list_tasks(limit=MANY, detail=True)
    short = call_ids.short_ids(row["task_id"] for row in rows if call_ids.is_call(row))
    pids = {row["worker_id"]: row["pid"] for row in list_workers(limit=MANY)}
    return [
        {**row, "short_id": short.get(row["task_id"], ""), "caller_pid": pids.get(call_ids.caller(row["task_id"]))}
        for row in sorted(rows, key=_order)
        if everything or row["state"] not in _ENDED
    ]


def _order(row: Mapping[str, Any]) -> tuple[int, float]:
    """Return the key of a call: those that have ended come first, then those that run, then those that wait."""
    submitted, _, started, ended = row["times"]
    return (0 if ended else 1 if started else 2), submitted


def report(
    actors: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]], now: float, width: int
) -> Sequence[str]:
    """Return the lines for people.

    Args:
        actors: Rows of `list_actors`.
        calls: Rows of `list_tasks` with `short_id` and `caller_pid`.
        now: Seconds since 1970.
        width: Characters of a line.
    """
    shown = _actor_lines(actors, width)
    cells = [_CALL_HEADS, *(_call_cells(row, now) for row in calls)]
    return [*shown, "", *(table.lines(cells, width, 1) if calls else ["No call runs or waits."])]


def _actor_lines(actors: Sequence[Mapping[str, Any]], width: int) -> Sequence[str]:
    return table.lines([_ACTOR_HEADS, *map(_actor_cells, actors)], width, 1) if actors else ["No actor lives."]


def _actor_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return an actor's cells. The beginning of its id stands for an actor without a name."""
    name = row["name"] or row["actor_id"][:12]
    return name, row["class_name"], actor_cells.state_and_lifetime(row), str(row["pid"] or "-"), row["ray_namespace"]


def _call_cells(row: Mapping[str, Any], now: float) -> tuple[str, ...]:
    """Return a call's cells. Its time is since its begin, or since the call was made while it waits."""
    submitted, _, started, ended = row["times"]
    state = _WORDS.get(row["state"], row["state"].lower())
    if row["state"] == "PENDING_NODE_ASSIGNMENT" and row["waits_for"]:
        state += f" for {row['waits_for']}"
    if row["state"] == "FAILED" and row["error_type"]:
        state += f": {row['error_type'].lower().replace('_', ' ')}"
    span = (ended or now) - (started or submitted)
    if not row["short_id"]:  # the node does not know which process has made an actor
        return "-", row["name"], state, clock(max(span, 0.0)), "-"
    pid = f"pid {row['caller_pid']}" if row["caller_pid"] else "ended process"
    place = f"cell {row['cell']}, {pid}" if row["cell"] else pid
    return row["short_id"], row["name"], state, clock(max(span, 0.0)), place
