"""`nbactors stop`."""

from __future__ import annotations

import click

from nbactors.util.state import stop_node


@click.command()
@click.option("--force", is_flag=True, help="Kill the actors at once, without __ray_shutdown__ and atexit handlers.")
def stop(force: bool) -> None:
    """End everything that runs: the actors, detached ones too, and the node.

    Programs and notebooks that use it keep running, but their actors are dead. Exit status 0, also if nothing ran, and
    1 if the node could not be stopped.
    """
    try:
        was_running = stop_node(force=force)
    except TimeoutError as error:
        advice = "" if force else " Try `nbactors stop --force`."
        raise click.ClickException(f"{error}{advice}") from None
    click.echo("Stopped." if was_running else "No node runs: there is nothing to stop.")
