"""The command `nbactors status`."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from nbactors import byte_sizes, speedups
from nbactors.cli import clusters, table
from nbactors.util.state import list_nodes
from nbactors.version import __version__
from nbactors.views import actor_cells
from nbactors.views.sizes import silent_text

_STORE_COLUMNS = ("OBJECT STORE", "HELD", "SPILLED", "LIMIT", "")
_NODE_COLUMNS = ("NODE", "ADDRESS", "HOST", "CPUS")
_COLUMNS = ("ACTOR", "CLASS", "STATE", "PID", "NAMESPACE", "HOLDS")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object, null if no node runs.")
@click.option("--all", "everywhere", is_flag=True, help="Also what runs in other directories than NBACTORS_DIR.")
@clusters.option
def status(as_json: bool, everywhere: bool, address: str | None) -> None:
    """Show what runs: the nodes, their resources, their object store, the actors.

    Sessions of different versions of nbactors may have separate nodes; each node counts all the CPUs. In JSON "nodes"
    lists all nodes, the report of this version's node is repeated at the top level, and "compiled" tells whether this
    installation makes calls by its compiled part.

    Exit status 0, 1 if a node does not answer, and 3 if no node runs.
    """
    if address is not None:
        _show_cluster(address, as_json)
        return
    # Programs that read the JSON know a node that answers by "RUNNING".
    nodes = [
        {**row, "state": "RUNNING" if row["state"] == "ALIVE" else row["state"]}
        for row in list_nodes(everywhere=everywhere)
    ]
    if as_json:
        own = next((node["status"] for node in nodes if node["is_own"] and node["status"]), None) or {}
        found = {**own, "nodes": nodes, "compiled": not speedups.why_not, "why_not_compiled": speedups.why_not}
        click.echo(json.dumps(found if nodes else None, indent=2))
    elif nodes:
        click.echo("\n\n".join("\n".join(_lines(node)) for node in nodes))
        form = f"by the steps in Python; {speedups.why_not}" if speedups.why_not else "by the compiled part"
        click.echo(f"\nCalls of this installation: {form}.")
    else:
        click.echo("No node runs. A program or notebook that uses nbactors starts one.")
    if not nodes:
        raise click.exceptions.Exit(3)
    if not all(node["state"] in ("RUNNING", "OTHER_PROTOCOL") for node in nodes):
        raise click.exceptions.Exit(1)


def _show_cluster(address: str, as_json: bool) -> None:
    with clusters.visit(address) as visit:
        found = visit.status()
        found["actors"] = [row for row in visit.actors() if row["state"] != "DEAD"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join([f"Ray cluster at {found['address']}", *_of_cluster(found)]))


def _of_cluster(found: dict[str, Any]) -> list[str]:
    """Return the report of a Ray cluster."""
    counts = [_count(found["sessions"], "session"), *(_count(len(found[key]), key[:-1]) for key in ("nodes", "actors"))]
    nodes = [
        (
            row["NodeID"][:12],
            row["NodeManagerAddress"],
            row["NodeManagerHostname"],
            f"{row['Resources'].get('CPU', 0):g}",
        )
        for row in found["nodes"]
    ]
    width = table.screen_width()
    actors = table.lines([_COLUMNS, *map(_cells, found["actors"])], width, 1)
    return [
        ", ".join(counts),
        "",
        *_resources(found),
        "",
        *table.lines([_NODE_COLUMNS, *nodes], width, 1),
        *(["", *actors] if found["actors"] else []),
    ]


def _resources(found: dict[str, Any]) -> list[str]:
    lines = ["Resources, free of all:"]
    for name, total in sorted(found["resources"].items()):
        # Less than nothing is free if a session declares more than the node has.
        free = max(found["available"].get(name, 0.0), 0.0)
        lines.append(f"  {name:<8} {byte_sizes.amount(name, free)} of {byte_sizes.amount(name, total)}")
    return lines


def _lines(node: dict[str, Any]) -> list[str]:
    """Return the report of a node, line by line."""
    return [_headline(node), *(_report(node["status"]) if node["status"] else _from_outside(node))]


def _headline(node: dict[str, Any]) -> str:
    if node["state"] == "NO_NODE":
        return f"No node, but pid {node['pid'] or '?'}, listens in {node['directory']}"
    parts = [f"Node {node['version']}".rstrip(), f"pid {node['pid'] or '?'}", f"in {node['directory']}"]
    if node["protocol"] and node["state"] != "RUNNING":
        parts.append(f"protocol {node['protocol']}")
    if node["since"]:
        parts.append(f"since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(node['since']))}")
    return ", ".join(parts)


_STATES = {
    "OTHER_PROTOCOL": "It speaks another protocol than this nbactors {own}: only the nbactors {version} that has "
    "started it can list its actors. `nbactors stop` ends it.",
    "STOPPED": "It is stopped (SIGSTOP), and answers nobody. `kill -CONT {pid}` lets it go on; `nbactors stop` ends "
    "it, too.",
    "SILENT": "It does not answer. `nbactors stop` ends it.",
    "CUT_OFF": "Its socket was removed, so that no session finds it. It makes it anew within seconds if it can; "
    "before protocol 8 nodes could not. `nbactors stop` ends it.",
    "NO_NODE": "`nbactors stop` does not end it: end it by yourself, or set NBACTORS_DIR to another directory.",
}


def _from_outside(node: dict[str, Any]) -> list[str]:
    """Return the report of a node that does not answer, or uses another protocol."""
    version = node["version"] or "of another version"
    lines = [_STATES[node["state"]].format(own=__version__, version=version, pid=node["pid"])]
    if node["processes"]:
        lines += [
            "",
            *table.lines([("PID", "PROCESS"), *((str(one["pid"]), one["title"]) for one in node["processes"])]),
        ]
    return lines


def _report(found: dict[str, Any]) -> list[str]:
    """Return the report of a node that has answered."""
    actors = found["actors"]
    lines = [
        f"{_count(found['sessions'], 'session')}, {_count(found['workers'], 'worker')}, {_count(len(actors), 'actor')}",
        "",
        *_resources(found),
    ]
    lines += ["", *table.lines([_STORE_COLUMNS, *map(_store_cells, found["object_stores"])], table.screen_width())]
    if actors:
        lines += ["", *table.lines([_COLUMNS, *map(_cells, actors)], table.screen_width(), 1)]
    return lines


def _cells(actor: dict[str, Any]) -> tuple[str, ...]:
    """Return an actor's row. Without a name it shows the beginning of the id, which `nbactors logs` accepts, too."""
    name = actor["name"] or actor["actor_id"][:12]
    state, pid = actor_cells.state_and_lifetime(actor), str(actor["pid"] or "-")
    return name, actor["class_name"], state, pid, actor["ray_namespace"], actor_cells.resources(actor) or "-"


def _store_cells(store: dict[str, Any]) -> tuple[str, ...]:
    """Return the row of what the object stores of the node take, or of a session with a limit of its own."""
    owner = f"{store['namespace']} (pid {store['pid']})" if store["job_id"] else "all sessions"
    sizes = (byte_sizes.shown(store[key]) for key in ("held", "spilled", "limit"))
    return owner, *sizes, silent_text(store["silent"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
