"""The command `nbactors kill`, which asks before it ends an actor."""

from __future__ import annotations

import sys
from collections import Counter

import click

from nbactors.cli import actor_choice, exit_codes, outcome
from nbactors.util.calls import kill_actor
from nbactors.util.state import MANY, list_tasks

_ENDED = ("FINISHED", "FAILED")


@click.command()
@click.argument("actors", nargs=-1, required=True, metavar="ACTOR...", shell_complete=actor_choice.complete)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@actor_choice.namespace_option
@outcome.json_option
def kill(actors: tuple[str, ...], yes: bool, namespace: str | None, as_json: bool) -> None:
    """End each ACTOR at once, as `nbactors.kill` does. It does not restart, and its calls fail with RayActorError.

    ACTOR is a name, a process id, or the beginning of an actor's id, as `nbactors list` shows them. Asks before it ends
    an actor; the name of a detached actor has to be typed, since no session holds it. Without a terminal there is
    nobody to ask, so --yes is needed. If one ACTOR is unknown, none is ended.

    Exit status 0, 1 if an actor is unknown or the answer is no, 2 if nobody can be asked, and 3 if no node runs.
    """
    rows = actor_choice.living(as_json)
    chosen, problems = actor_choice.find_all(actors, rows, namespace)
    outcome.fail(problems)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("stdin is no terminal, so nobody can be asked: give --yes to end the actors.")
        chosen = _agreed(chosen)
    ended, problems = actor_choice.ask_each(chosen, kill_actor)
    if as_json:
        outcome.emit({"actors": [actor_choice.shown(row) for row, _ in ended], "errors": problems})
    else:
        for row, _ in ended:
            click.echo(f"{actor_choice.label(row)}: ended")
    outcome.fail(problems)
    if not chosen:
        raise click.exceptions.Exit(exit_codes.FAILED)


def _agreed(rows: list[actor_choice.Row]) -> list[actor_choice.Row]:
    """Ask about each actor on the terminal, and return those that the user lets go."""
    open_calls = Counter(row["actor_id"] for row in list_tasks(limit=MANY) if row["state"] not in _ENDED)
    kept = []
    for row in rows:
        count = open_calls[row["actor_id"]]
        calls = f"{count} call{'' if count == 1 else 's'}, running or waiting"
        place = f"namespace {row['ray_namespace']}, pid {row['pid'] or '-'}"
        click.echo(f"{actor_choice.label(row)} ({place}): {calls}.", err=True)
        if row["is_detached"]:
            name = row["name"] or row["actor_id"][:12]
            text = f"It is detached. Type {name} to end it"
            agrees = click.prompt(text, default="", show_default=False, err=True).strip() == name
        else:
            agrees = click.confirm("End it?", err=True)
        if agrees:
            kept.append(row)
        else:
            click.echo(f"{actor_choice.label(row)}: lives on", err=True)
    return kept
