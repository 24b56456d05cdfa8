"""The command `nbactors cancel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from nbactors.cli import outcome
from nbactors.util import call_ids
from nbactors.util.calls import cancel_call
from nbactors.util.state import MANY, NodeMissingError, list_tasks, node_status

_OUTCOMES = {
    "CANCELLED": "cancelled",
    "ENDED": "had ended",
}


_ANSWER_S = 10.0
"""Seconds to wait for the node, as other commands do."""

_COMPLETION_S = 2.0
"""Seconds that a shell waits for the node at most."""


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the short ids of open calls that begin so. Called by click. A shell shows no error."""
    try:
        rows = [row for row in list_tasks(limit=MANY, timeout=_COMPLETION_S) if call_ids.is_call(row)]
    except Exception:  # noqa: BLE001 - a traceback in the middle of a command line helps nobody
        return []
    short = call_ids.short_ids(row["task_id"] for row in rows)
    words = [(short[row["task_id"]], row) for row in rows if row["state"] not in ("FINISHED", "FAILED")]
    return [CompletionItem(word, help=row["name"]) for word, row in words if word.startswith(incomplete)]


@click.command()
@click.argument("calls", nargs=-1, required=True, metavar="CALL...", shell_complete=complete)
@click.option("--interrupt", is_flag=True, help="Raise KeyboardInterrupt in a running method of an actor, too.")
@click.option("--force", is_flag=True, help="End the process of a running task. Not for calls of actors.")
@outcome.json_option
def cancel(calls: tuple[str, ...], interrupt: bool, force: bool, as_json: bool) -> None:
    """Cancel each CALL, an id that `nbactors list` shows, such as 3f9a-17.

    A call that waits never runs. A running task gets KeyboardInterrupt, an `async def` method is cancelled, and any
    other method of an actor goes on, unless --interrupt is given. The caller gets TaskCancelledError. Any program or
    notebook of this user may have made the call, and may be busy.

    Exit status 0, also if a call had ended, 1 if a call is unknown or could not be cancelled, and 3 if no node runs.
    """
    if interrupt and force:
        raise click.UsageError("--interrupt and --force exclude each other: interrupt the call, or end its process.")
    known = list_tasks(limit=MANY, timeout=_ANSWER_S, detail=True)
    if not known and node_status(with_actors=False) is None:
        outcome.no_node(as_json, "so there is no call to cancel.")
    found, problems = _found(calls, known)
    done = []
    # The latest first: while the first call of an actor ends, the next one would begin.
    for text, row in sorted(found.items(), key=lambda one: one[1]["creation_time_ms"] or 0, reverse=True):
        try:
            how = cancel_call(row["task_id"], force=force, interrupt=interrupt)
        except (ValueError, TimeoutError, NodeMissingError) as error:
            problems.append(f"{text}: {error}")
            continue
        done.append({"call": text, "task_id": row["task_id"], "name": row["name"], "outcome": how})
        if not as_json:
            click.echo(f"{text} {row['name']}: {_OUTCOMES[how]}{_hint(row, how, interrupt)}")
    if as_json:
        outcome.emit({"calls": done, "errors": problems})
    outcome.fail(problems)


def _found(texts: tuple[str, ...], known: list[Any]) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Return the call of each text, and why there is none."""
    found, problems = {}, []
    for text in texts:
        try:
            found[text] = call_ids.find(text, known)
        except ValueError as error:
            problems.append(str(error).replace("list_tasks() tells", "`nbactors list` shows"))
    return found, problems


def _hint(row: Mapping[str, Any], how: str, interrupt: bool) -> str:
    if how == "CANCELLED" and not interrupt and row["type"] == "ACTOR_TASK" and row["state"].startswith("RUNNING"):
        return "; it goes on if it is no `async def` method: --interrupt stops it"
    return ""
