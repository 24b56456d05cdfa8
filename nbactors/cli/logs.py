"""The command `nbactors logs`."""

from __future__ import annotations

from typing import Any

import click

from nbactors.util.actor_log import read
from nbactors.util.state import NodeMissingError, actor_logs, list_nodes


@click.command()
@click.argument("name")
@click.option("-n", "lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the actor ends, or Ctrl-C.")
def logs(name: str, lines: int | None, follow: bool) -> None:
    """Show what the actor NAME has printed, on stdout and stderr.

    NAME is an actor's name, a class's name, a process id, or the beginning of an actor's id, as `nbactors status`
    shows them. If several actors match, the latest one is shown. Logs are kept as long as the node runs. Exit status 1
    if there is no such actor.
    """
    actor = _find(name)
    for text in read(actor, lines, follow):
        click.echo(text, nl=False)


def _find(name: str) -> dict[str, Any]:
    """Return the row of the latest actor that NAME matches."""
    try:
        found = actor_logs(name)
    except NodeMissingError:
        others = "".join(
            f" One of nbactors {node['version']} does: see {node['directory']}/logs." for node in list_nodes()
        )
        raise click.ClickException(f"No node runs, and logs live no longer than the node.{others}") from None
    if not found:
        raise click.ClickException(f"There is no actor {name!r}. `nbactors status` shows those that live.")
    if len(found) > 1:
        click.echo(f"{len(found)} actors are called {name!r}; this is the latest, pid {found[-1]['pid']}.", err=True)
    return found[-1]
