"""The command `nbactors timeline`."""

from __future__ import annotations

import json
import os
import time

import click

from nbactors.cli import outcome
from nbactors.util import timeline as traces
from nbactors.util.files import text_file
from nbactors.util.state import node_status


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, allow_dash=True))
@outcome.json_option
def timeline(file: str | None, as_json: bool) -> None:
    """Write what ran when to FILE, for https://ui.perfetto.dev and chrome://tracing.

    The node keeps the latest 10,000 ended calls of each session, besides those that run and wait. Without FILE the name
    is nbactors-timeline-DATE-TIME.json, in the working directory; - is stdout, as --json without FILE.

    Exit status 0, 1 if the file cannot be written, and 3 if no node runs.
    """
    if node_status(with_actors=False) is None:
        outcome.no_node(as_json, "and what ran when is known to the node only.")
    events = traces.timeline()
    if file == "-" or (as_json and file is None):
        click.echo(json.dumps(events))
        return
    path = file or time.strftime("nbactors-timeline-%Y%m%d-%H%M%S.json")
    text_file.write(path, json.dumps(events))
    count = sum(1 for event in events or () if event["ph"] == "X" and event["cat"] == "task")
    if as_json:
        outcome.emit({"path": os.path.abspath(path), "calls": count})
    else:
        click.echo(f"Written to {path}: {count} calls that have begun. Open it on https://ui.perfetto.dev.")
