"""The command `nbactors microbenchmark`, which compares nbactors with the machine's limits."""

from __future__ import annotations

from contextlib import closing

import click

from nbactors.benchmark.bench import Bench, Effort
from nbactors.benchmark.limits import Limits
from nbactors.benchmark.rows import ROWS, chosen, measured
from nbactors.benchmark.table import render


@click.command()
@click.option("--only", default="", metavar="TEXT", help="Only the rows that contain this text.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=600),
    default=1.0,
    show_default=True,
    help="Length of one round of a rate; each row takes three.",
)
@click.option(
    "--starts",
    type=click.IntRange(1, 1000),
    default=7,
    show_default=True,
    help="Fresh processes for each figure of a start.",
)
def microbenchmark(only: str, seconds: float, starts: int) -> None:
    """Measure nbactors and this machine's own limits in the same run.

    The benchmark uses its own directories and does not touch your running node. Other programs that run at the same
    time change the figures.
    """
    rows = chosen(ROWS, only)
    if not rows:
        names = "\n".join(f"  {row.key}: {row.work}" for row in ROWS)
        raise click.UsageError(f"--only {only!r} matches no row. The rows are:\n{names}")
    with closing(Limits(min(seconds, 0.5))) as limits:
        with closing(Bench(Effort(seconds, starts=starts), limits)) as bench:
            found = measured(bench, rows, lambda line: click.echo(f"measuring {line}", err=True))
        click.echo(render(rows, found, limits.medians()))
    if any(one.note.startswith("failed") for one in found.values()):
        raise SystemExit(1)
