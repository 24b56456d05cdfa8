"""The command `nbactors metrics`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click

from nbactors.cli import outcome
from nbactors.util.metrics import prometheus_text

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


@click.command()
@outcome.json_option
def metrics(as_json: bool) -> None:
    """Print the metrics of the node and of user code, in Prometheus' text format.

    Exit status 0, and 3 if no node runs.
    """
    text = prometheus_text()
    if not text:
        outcome.no_node(as_json, "so there are no metrics.")
    if as_json:
        outcome.emit({"samples": list(samples(text))})
    else:
        click.echo(text, nl=False)


def samples(text: str) -> Iterator[dict[str, Any]]:
    """Yield the `name`, `labels` and `value` of each sample. A value that JSON lacks (NaN, +Inf) is a text.

    Args:
        text: In Prometheus' text format.
    """
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found is None:
            continue
        name, inside, value = found.groups()
        labels = {key: _plain(quoted) for key, quoted in _LABEL.findall(inside or "")}
        yield {"name": name, "labels": labels, "value": _number(value)}


def _plain(quoted: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), quoted)


def _number(text: str) -> float | str:
    value = float(text)
    return value if value - value == 0 else text
