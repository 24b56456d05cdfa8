"""The command line: `python -m benchmarks`."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import click

from benchmarks.bench import MarkedBench, MoreEffort, RuntimeMissingError, own, ray
from benchmarks.bench import on_ray as engine_on_ray
from benchmarks.report import Finding, record, render
from benchmarks.rows import all_rows, more_limits
from nbactors.benchmark.limits import Limits
from nbactors.benchmark.rows import Measurement, chosen, measured

FLEET = 1000


@click.command()
@click.option("--compare", type=click.Choice(["ray"]), help="Run the same work on Ray, after all else.")
@click.option("--on-ray", is_flag=True, help="With --compare ray: also by nbactors' engine on Ray, at the very end.")
@click.option("--ray-python", metavar="PATH", help="The interpreter that has Ray. [default: this one]")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there too."
)
@click.option("--only", default="", metavar="TEXT", help="Only the rows that contain this text.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True, max=600), default=1.0, show_default=True)
@click.option("--starts", type=click.IntRange(1, 1000), default=7, show_default=True)
@click.option("--array-mb", type=click.IntRange(1, 100_000), default=800, show_default=True)
@click.option("--large", is_flag=True, help=f"Also the rows with {FLEET:,} actors at once.")
def main(
    compare: str | None,
    on_ray: bool,
    ray_python: str | None,
    json_file: Path | None,
    only: str,
    seconds: float,
    starts: int,
    array_mb: int,
    large: bool,
) -> None:
    """Measure nbactors beside this machine's limits, its targets, and Ray."""
    if ray_python is not None and compare is None:
        raise click.UsageError("--ray-python says where Ray is; add --compare ray to compare with it")
    if on_ray and compare is None:
        raise click.UsageError("--on-ray compares the engine on Ray with Ray itself; add --compare ray")
    if json_file is not None and not os.access(json_file.parent, os.W_OK):
        # This check comes before the measurements, which take minutes.
        raise click.UsageError(f"--json {json_file}: there is no writable directory {json_file.parent}")
    effort = MoreEffort(seconds, starts=starts, array_bytes=array_mb * 1_000_000, fleet=FLEET if large else 0)
    rows = chosen(all_rows(effort), only)
    if not rows:
        names = "\n".join(f"  {row.key}: {row.work}" for row in all_rows(effort))
        raise click.UsageError(f"--only {only!r} matches no row. The rows are (--large adds three):\n{names}")
    try:
        mine, other = own(), ray(ray_python) if compare else None
        through = engine_on_ray(other) if on_ray and other is not None else None
    except RuntimeMissingError as error:
        raise click.ClickException(str(error)) from error

    def tell(line: str) -> None:
        click.echo(f"measuring {line}", err=True)

    with closing(Limits(min(seconds, 0.5), more_limits(effort))) as limits:
        with closing(MarkedBench(effort, limits, mine)) as bench:
            found = measured(bench, rows, tell)
        medians = limits.medians()
    others: list[dict[str, Measurement]] = []
    for runtime in (other, through):
        # Ray comes last, so that its idle processes do not disturb the other measurements.
        if runtime is None:
            others.append({})
            continue
        with closing(MarkedBench(effort, None, runtime)) as bench:
            others.append(measured(bench, rows, tell))
    theirs, by_engine = others
    findings = [Finding(row, found[row.key], theirs.get(row.key), by_engine.get(row.key)) for row in rows]
    click.echo(" beside ".join(one.version for one in (mine, other) if one is not None) + "\n")
    click.echo(render(findings, medians, other is not None))
    if json_file is not None:
        document = record(findings, medians, mine, other, effort)
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if any(finding.mine.note.startswith("failed") for finding in findings):
        raise SystemExit(1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
