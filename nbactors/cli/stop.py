"""The command `nbactors stop`."""

from __future__ import annotations

import click

from nbactors.cli import outcome
from nbactors.util.state import stop_nodes


@click.command()
@click.option("--force", is_flag=True, help="Kill the actors at once, without __ray_shutdown__ and atexit handlers.")
@click.option("--all", "everywhere", is_flag=True, help="Also what runs in other directories than NBACTORS_DIR.")
@click.option("--json", "as_json", is_flag=True, help="Print what was stopped as one JSON document.")
def stop(force: bool, everywhere: bool, as_json: bool) -> None:
    """End everything that runs: all actors, including detached actors, and the node.

    Nodes of all versions of nbactors end; nodes that do not answer are killed. Programs and notebooks that use them
    keep running, but their actors are dead. Exit status 0, also if nothing ran, and 1 if a node could not be stopped.
    """
    stopped = stop_nodes(force, everywhere)
    if as_json:
        outcome.emit({"nodes": stopped})
    elif not stopped:
        click.echo("No node runs: there is nothing to stop.")
    elif len(stopped) == 1 and not stopped[0]["was_killed"]:
        click.echo("Stopped.")
    else:
        for node in stopped:
            how = "Killed, since it did not end when asked:" if node["was_killed"] and not force else "Stopped:"
            click.echo(f"{how} node {node['version']}, pid {node['pid']}, in {node['directory']}")
