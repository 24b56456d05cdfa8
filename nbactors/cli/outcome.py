"""What a command prints: one JSON document for programs, and errors that all commands share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from nbactors.cli import exit_codes

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead, null if no node runs."
)
"""The option of every command that has a form for programs. docs/cli.md lists the keys of each document."""


def emit(document: Any) -> None:
    """Print a document as JSON."""
    click.echo(json.dumps(document, indent=2))


def no_node(as_json: bool, text: str) -> NoReturn:
    """End the command, since no node runs: with null for a program, else with a sentence on stderr.

    Args:
        as_json: Whether the command has `--json`.
        text: What follows from it, such as "so there is no call to cancel."
    """
    if as_json:
        emit(None)
    else:
        click.echo(f"Error: No node runs, {text}", err=True)
    raise click.exceptions.Exit(exit_codes.NO_NODE)


def fail(problems: Sequence[str]) -> None:
    """Print each problem on stderr, and end the command as failed if there is any."""
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(exit_codes.FAILED)
