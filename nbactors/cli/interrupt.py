"""The command `nbactors interrupt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from nbactors.exceptions import RayError
from nbactors.util.calls import interrupt_actor
from nbactors.util.state import MANY, NodeMissingError, list_actors, node_status

LEAST = 4
"""The least digits of an actor's id that stand for it."""

_AT_ONCE = 16
"""The most actors that are asked at the same time: those that do not answer cost the time limit once."""


@click.command()
@click.argument("actors", nargs=-1, metavar="ACTOR...")
@click.option("--all", "everything", is_flag=True, help="Interrupt all actors of all programs and notebooks.")
def interrupt(actors: tuple[str, ...], everything: bool) -> None:
    """Interrupt every call that runs in each ACTOR, as Ctrl-C does; the actors live on.

    ACTOR is a name, a process id, or the beginning of an actor's id, as `nbactors list` shows them. Methods get
    KeyboardInterrupt, `async def` methods are cancelled, and the callers get TaskCancelledError. Calls that wait stay,
    and run next. Any program or notebook of this user may have made the calls, and may be busy.

    Exit status 0, also if nothing runs in an actor, and 1 if an actor is unknown or does not answer.
    """
    if bool(actors) == everything:
        raise click.UsageError("Give the actors, or --all.")
    living = [row for row in list_actors(limit=MANY) if row["state"] != "DEAD"]
    if not living:
        no_node = node_status() is None
        raise click.ClickException("No node runs, so no actor does." if no_node else "No actor lives.")
    chosen: dict[str, Mapping[str, Any]] = {}
    problems = []
    if everything:
        chosen = {row["actor_id"]: row for row in living if row["pid"]}
    for text in actors:
        try:
            row = find(text, living)
            chosen[row["actor_id"]] = row
        except ValueError as error:
            problems.append(str(error))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(_interrupt, chosen.values()))
    for count, text in outcomes:
        if count < 0:
            problems.append(text)
        elif count or not everything:
            click.echo(text)
    if everything and not any(count for count, _ in outcomes):
        click.echo("Nothing runs in any actor.")
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def find(text: str, actors: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the living actor that a name, a process id or the beginning of an id stands for.

    Args:
        text: What the user has given. A name comes before a process id, which comes before an id.
        actors: Rows of `list_actors`.

    Raises:
        ValueError: No actor or several actors match.
    """
    found = (
        [row for row in actors if row["name"] == text]
        or [row for row in actors if row["pid"] and str(row["pid"]) == text]
        or [row for row in actors if len(text) >= LEAST and row["actor_id"].startswith(text.lower())]
    )
    if not found:
        raise ValueError(f"no living actor is called {text!r}; `nbactors list` shows those that live")
    if len(found) > 1:
        ids = ", ".join(row["actor_id"] for row in found)
        raise ValueError(f"several actors are called {text!r}; give one of their ids: {ids}")
    return found[0]


def _interrupt(row: Mapping[str, Any]) -> tuple[int, str]:
    """Interrupt an actor; return how many calls were interrupted, -1 for an error, and a text."""
    label = f"{row['class_name']} {row['name'] or row['actor_id'][:12]}"
    try:
        count = interrupt_actor(row["actor_id"])
    except (ValueError, TimeoutError, NodeMissingError, RayError) as error:
        return -1, f"{label}: {error}"
    calls = "nothing runs" if not count else f"{count} call{'s' if count > 1 else ''} interrupted"
    return count, f"{label}: {calls}"
