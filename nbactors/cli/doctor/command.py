"""The command `nbactors doctor`."""

from __future__ import annotations

import textwrap

import click

from nbactors.cli import exit_codes, outcome, table
from nbactors.cli.doctor.cluster import of_cluster
from nbactors.cli.doctor.finding import FAIL, OK, WARN, Finding, worst
from nbactors.cli.doctor.gathering import gather
from nbactors.cli.doctor.rules import examine

_COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON document.")
@click.option("--cluster", "address", metavar="ADDRESS", help="Check the Ray cluster at this address instead.")
def doctor(as_json: bool, address: str | None) -> None:
    """Check this installation and this machine, and say how to mend what is wrong. Starts no node.

    With --cluster it joins the cluster, and asks each node for its versions of Python and Ray.

    Binds a socket in the runtime directory and writes 16 MiB to the directory for spilled values, and removes both.

    Exit status 0 if nothing fails, warnings or not, and 1 if a check fails.
    """
    findings = examine(gather()) if address is None else of_cluster(address)
    result = worst(findings)
    if as_json:
        outcome.emit({"result": result, "checks": [finding._asdict() for finding in findings]})
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            click.echo(_text(finding, width, table.terminal_width()))
        counts = [sum(finding.result == kind for finding in findings) for kind in (FAIL, WARN)]
        click.echo(f"\n{counts[0]} failed, {counts[1]} to look at, of {len(findings)} checks.")
    if result == FAIL:
        raise click.exceptions.Exit(exit_codes.FAILED)


def _text(finding: Finding, width: int, columns: int) -> str:
    """Return the lines of a finding, its mend below it."""
    is_narrow = columns < 2 * width + 20
    indent = " " * (4 if is_narrow else width + 8)
    head = f"{finding.result:<4}  {finding.name:<{width}}  "
    lines = textwrap.wrap(f"{finding.found}.", max(columns - len(indent), 20), break_on_hyphens=False)
    if finding.mend:
        lines += textwrap.wrap(f"→ {finding.mend}.", max(columns - len(indent), 20), break_on_hyphens=False)
    colour = click.style(f"{finding.result:<4}", fg=_COLOURS[finding.result])
    if is_narrow:
        return "\n".join([colour + head[4:].rstrip(), *(indent + line for line in lines)])
    return "\n".join([colour + head[4:] + lines[0], *(indent + line for line in lines[1:])])
