"""The command `nbactors cancel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from nbactors.util import call_ids
from nbactors.util.calls import cancel_call
from nbactors.util.state import MANY, NodeMissingError, list_tasks, node_status

_OUTCOMES = {
    "CANCELLED": "cancelled",
    "ENDED": "had ended",
}


@click.command()
@click.argument("calls", nargs=-1, required=True, metavar="CALL...")
@click.option("--interrupt", is_flag=True, help="Raise KeyboardInterrupt in a running method of an actor, too.")
@click.option("--force", is_flag=True, help="End the process of a running task. Not for calls of actors.")
def cancel(calls: tuple[str, ...], interrupt: bool, force: bool) -> None:
    """Cancel each CALL, an id that `nbactors list` shows, such as 3f9a-17.

    A call that waits never runs. A running task gets KeyboardInterrupt, an `async def` method is cancelled, and any
    other method of an actor goes on, unless --interrupt is given. The caller gets TaskCancelledError. Any program or
    notebook of this user may have made the call, and may be busy.

    Exit status 0, also if a call had ended, and 1 if a call is unknown or could not be cancelled.
    """
    if interrupt and force:
        raise click.UsageError("--interrupt and --force exclude each other: interrupt the call, or end its process.")
    known = list_tasks(limit=MANY, detail=True)
    if not known and node_status() is None:
        raise click.ClickException("No node runs, so there is no call to cancel.")
    found, problems = _found(calls, known)
    # The latest first: while the first call of an actor ends, the next one would begin.
    for text, row in sorted(found.items(), key=lambda one: one[1]["creation_time_ms"] or 0, reverse=True):
        try:
            outcome = cancel_call(row["task_id"], force=force, interrupt=interrupt)
        except (ValueError, TimeoutError, NodeMissingError) as error:
            problems.append(f"{text}: {error}")
            continue
        click.echo(f"{text} {row['name']}: {_OUTCOMES[outcome]}{_hint(row, outcome, interrupt)}")
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _found(texts: tuple[str, ...], known: list[Any]) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Return the call of each text, and why there is none."""
    found, problems = {}, []
    for text in texts:
        try:
            found[text] = call_ids.find(text, known)
        except ValueError as error:
            problems.append(str(error).replace("list_tasks() tells", "`nbactors list` shows"))
    return found, problems


def _hint(row: Mapping[str, Any], outcome: str, interrupt: bool) -> str:
    if outcome == "CANCELLED" and not interrupt and row["type"] == "ACTOR_TASK" and row["state"].startswith("RUNNING"):
        return "; it goes on if it is no `async def` method: --interrupt stops it"
    return ""
