"""The command `nbactors metrics`."""

from __future__ import annotations

import click

from nbactors.util.metrics import prometheus_text


@click.command()
def metrics() -> None:
    """Print the metrics of the node and of user code, in Prometheus' text format.

    Exit status 0, and 3 if no node runs.
    """
    text = prometheus_text()
    if not text:
        raise click.exceptions.Exit(3)
    click.echo(text, nl=False)
