"""`nbactors microbenchmark`: how fast it is, beside what the machine can do and beside Ray."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from nbactors.benchmark import record, runtime, suite, table
from nbactors.benchmark.bench import Effort

FLEET = 1000


@click.command()
@click.option("--compare", type=click.Choice(["ray"]), help="Run the same work on Ray, after all else.")
@click.option("--ray-python", metavar="PATH", help="The interpreter that has Ray. [default: this one]")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there too."
)
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
@click.option(
    "--array-mb",
    type=click.IntRange(1, 100_000),
    default=800,
    show_default=True,
    help="Size of the large array.",
)
@click.option("--large", is_flag=True, help=f"Also the rows with {FLEET:,} actors at once.")
def microbenchmark(
    compare: str | None,
    ray_python: str | None,
    json_file: Path | None,
    only: str,
    seconds: float,
    starts: int,
    array_mb: int,
    large: bool,
) -> None:
    """Measure nbactors beside this machine's own limits, taken in the same run.

    It works in directories of its own and leaves a node of yours alone. A machine that does other things meanwhile
    gives other figures.
    """
    if ray_python is not None and compare is None:
        raise click.UsageError("--ray-python says where Ray is; add --compare ray to compare with it")
    if json_file is not None and not os.access(json_file.parent, os.W_OK):
        # Told now rather than after minutes of measuring.
        raise click.UsageError(f"--json {json_file}: there is no writable directory {json_file.parent}")
    effort = Effort(seconds=seconds, starts=starts, array_bytes=array_mb * 1_000_000, fleet=FLEET if large else 0)
    wanted = suite.chosen(effort, only)
    if not wanted:
        rows = "\n".join(f"  {row.key}: {row.work}" for group in suite.chosen(effort, "") for row in group.rows)
        raise click.UsageError(f"--only {only!r} matches no row. The rows are (--large adds three):\n{rows}")
    try:
        mine = runtime.own()
        ray = runtime.ray(ray_python) if compare else None
    except runtime.RuntimeMissingError as error:
        raise click.ClickException(str(error)) from error
    findings = suite.run(mine, ray, effort, wanted, lambda line: click.echo(f"measuring {line}", err=True))
    click.echo(" beside ".join(one.version for one in (mine, ray) if one is not None) + "\n")
    click.echo(table.render(findings, compared=ray is not None))
    if json_file is not None:
        json_file.write_text(json.dumps(record.record(findings, mine, ray, effort), indent=2) + "\n", encoding="utf-8")
    if any(finding.mine.note.startswith("failed") for finding in findings.rows):
        raise SystemExit(1)
