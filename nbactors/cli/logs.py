"""`nbactors logs`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from nbactors.util.state import NodeMissingError, actor_logs

_PAUSE_S = 0.1


@click.command()
@click.argument("name")
@click.option("-n", "lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the actor ends, or Ctrl-C.")
def logs(name: str, lines: int | None, follow: bool) -> None:
    """What the actor NAME has printed, on stdout and stderr.

    NAME is an actor's name, a class's name, a process id, or the beginning of an actor's id, as `nbactors status`
    shows them. Of several the latest is shown. Logs are kept as long as the node runs. Exit status 1 if there is no
    such actor.
    """
    actor = _find(name)
    for text in _text(actor, lines, follow):
        click.echo(text, nl=False)


def _find(name: str) -> dict[str, Any]:
    """Return the latest actor that is called so."""
    try:
        found = actor_logs(name)
    except NodeMissingError:
        raise click.ClickException("No node runs, and logs live no longer than the node.") from None
    if not found:
        raise click.ClickException(f"There is no actor {name!r}. `nbactors status` shows those that live.")
    if len(found) > 1:
        click.echo(f"{len(found)} actors are called {name!r}; this is the latest, pid {found[-1]['pid']}.", err=True)
    return found[-1]


def _text(actor: dict[str, Any], lines: int | None, follow: bool) -> Iterator[str]:
    """Yield what is in the log, then what is added to it."""
    while follow and not actor["log_path"] and _is_alive(actor):
        time.sleep(_PAUSE_S)
        actor = _again(actor) or actor
    if not actor["log_path"]:
        return
    with Path(actor["log_path"]).open(errors="replace") as log:
        yield from log if lines is None else deque(log, maxlen=lines)
        if follow:
            yield from _added(log, actor)


def _added(log: TextIO, actor: dict[str, Any]) -> Iterator[str]:
    """Yield what is added to an open log until the actor has ended.

    A growing file tells nobody, so it is looked at; the actor is asked for first, so that its last words are read.
    """
    while True:
        is_alive = _is_alive(actor)
        text = log.read()
        if text:
            yield text
        elif not is_alive:
            return
        else:
            time.sleep(_PAUSE_S)


def _is_alive(actor: dict[str, Any]) -> bool:
    now = _again(actor)
    return now is not None and now["state"] != "DEAD"


def _again(actor: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the node says of the actor now, None if it does not know it any more."""
    try:
        found = actor_logs(actor["actor_id"])
    except NodeMissingError:
        return None
    return found[-1] if found else None
