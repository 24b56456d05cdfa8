"""The command `nbactors logs`."""

from __future__ import annotations

from typing import Any

import click

from nbactors.cli import actor_choice, outcome
from nbactors.util.actor_log import read
from nbactors.util.state import NodeMissingError, actor_logs, list_nodes


@click.command()
@click.argument("name", shell_complete=actor_choice.complete)
@click.option("-n", "lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the actor ends, or Ctrl-C.")
@click.option("--namespace", metavar="NAME", help="Only actors of this namespace.")
@outcome.json_option
def logs(name: str, lines: int | None, follow: bool, namespace: str | None, as_json: bool) -> None:
    """Show what the actor NAME has printed, on stdout and stderr.

    NAME is an actor's name, a class's name, a process id, or the beginning of an actor's id, as `nbactors status`
    shows them. If several actors match, the latest one is shown, and stderr lists them. Logs are kept as long as the
    node runs.

    Exit status 0, 1 if there is no such actor, and 3 if no node runs.
    """
    if follow and as_json:
        raise click.UsageError("--follow and --json exclude each other: a document has an end.")
    actor = _find(name, namespace, as_json)
    if as_json:
        text = "".join(read(actor, lines, False))
        outcome.emit({**actor_choice.shown(actor), "state": actor["state"], "lines": text.splitlines()})
        return
    for text in read(actor, lines, follow):
        click.echo(text, nl=False)


def _find(name: str, namespace: str | None, as_json: bool) -> dict[str, Any]:
    """Return the row of the latest actor that NAME matches."""
    try:
        found = [row for row in actor_logs(name) if namespace in (None, row["ray_namespace"])]
    except NodeMissingError:
        others = "".join(
            f" One of nbactors {node['version']} does: see {node['directory']}/logs." for node in list_nodes()
        )
        outcome.no_node(as_json, f"and logs live no longer than the node.{others}")
    if not found:
        raise click.ClickException(f"There is no actor {name!r}. `nbactors list` shows those that live.")
    if len(found) > 1:
        head = f"{len(found)} actors are called {name!r}; this is the latest, pid {found[-1]['pid']}."
        click.echo(f"{head} They are:\n{actor_choice.listing(found)}", err=True)
    return found[-1]
