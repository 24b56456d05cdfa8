"""`nbactors status`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from nbactors.util.state import node_status

_MEBIBYTE = 1 << 20
_COLUMNS = ("ACTOR", "CLASS", "STATE", "PID", "NAMESPACE", "HOLDS")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object, null if no node runs.")
def status(as_json: bool) -> None:
    """What runs: the node, its resources, the actors.

    Exit status 0, and 3 if no node runs.
    """
    found = node_status()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found is None:
        click.echo("No node runs. A program or notebook that uses nbactors starts one.")
    else:
        click.echo("\n".join(_lines(found)))
    if found is None:
        raise click.exceptions.Exit(3)


def _lines(found: dict[str, Any]) -> list[str]:
    """Return the report, line by line."""
    actors = found["actors"]
    lines = [
        f"Node {found['version']}, pid {found['pid']}, in {found['directory']}",
        f"{_count(found['sessions'], 'session')}, {_count(found['workers'], 'worker')}, {_count(len(actors), 'actor')}",
        "",
        "Resources, free of all:",
    ]
    for name, total in sorted(found["resources"].items()):
        lines.append(f"  {name:<8} {_amount(name, found['available'].get(name, 0.0))} of {_amount(name, total)}")
    if actors:
        lines += ["", *_table([_COLUMNS, *map(_cells, actors)])]
    return lines


def _cells(actor: dict[str, Any]) -> tuple[str, ...]:
    """Return an actor's row. A nameless one is told by the beginning of its id, which `nbactors logs` takes too."""
    name = actor["name"] or actor["actor_id"][:12]
    holds = ", ".join(f"{_amount(key, value)} {key}" for key, value in sorted(actor["required_resources"].items()))
    namespace = actor["ray_namespace"] + (" (detached)" if actor["is_detached"] else "")
    return name, actor["class_name"], actor["state"], str(actor["pid"] or "-"), namespace, holds or "-"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _amount(name: str, value: float) -> str:
    return f"{value / _MEBIBYTE:.0f} MiB" if "memory" in name else f"{value:g}"
