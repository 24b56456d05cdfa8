"""The command `nbactors logs`."""

from __future__ import annotations

from typing import Any

import click

from nbactors.cli import actor_choice, outcome
from nbactors.util.actor_log import read
from nbactors.util.state import NodeMissingError, actor_logs, list_nodes


@click.command()
@click.argument("actor", shell_complete=actor_choice.complete)
@click.option("-n", "lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the actor ends, or Ctrl-C.")
@actor_choice.option_of_namespace("--namespace")
@outcome.json_option
def logs(actor: str, lines: int | None, follow: bool, namespace: str | None, as_json: bool) -> None:
    """Show what ACTOR has printed, on stdout and stderr.

    ACTOR is a name, a process id, or the beginning of an actor's id, as `nbactors list` shows them; or the name of a
    class. It may be dead. If several actors match, the latest one is shown, and stderr lists them. Logs are kept as
    long as the node runs.

    Exit status 0, 1 if there is no such actor, and 3 if no node runs.
    """
    if follow and as_json:
        raise click.UsageError("--follow and --json exclude each other: a document has an end.")
    row = _find(actor, namespace, as_json)
    if as_json:
        text = "".join(read(row, lines, False))
        outcome.emit({**actor_choice.shown(row), "state": row["state"], "lines": text.splitlines()})
        return
    for text in read(row, lines, follow):
        click.echo(text, nl=False)


def _find(text: str, namespace: str | None, as_json: bool) -> dict[str, Any]:
    """Return the row of the latest actor that a text matches."""
    try:
        found = [row for row in actor_logs(text) if namespace in (None, row["ray_namespace"])]
    except NodeMissingError:
        others = "".join(
            f" One of nbactors {node['version']} does: see {node['directory']}/logs." for node in list_nodes()
        )
        outcome.no_node(as_json, f"and logs live no longer than the node.{others}")
    if not found:
        where = actor_choice.place(namespace)
        raise click.ClickException(
            f"no actor is called {text!r}{where}; `nbactors list --all` shows the actors, also dead ones"
        )
    if len(found) > 1:
        head = f"{len(found)} actors are called {text!r}; this is the latest, pid {found[-1]['pid']}. For another one"
        way = f"give its id in place of {text!r}, or its namespace as `--namespace NAMESPACE`"
        click.echo(f"{head} {way}:\n{actor_choice.listing(found)}", err=True)
    return found[-1]
