"""The command `nbactors top`."""

from __future__ import annotations

import os
import sys

import click

from nbactors.cli import exit_codes, outcome
from nbactors.util.state import node_status


@click.command()
@click.option("--wait", is_flag=True, help="If no node runs, wait for one.")
def top(wait: bool) -> None:
    """Watch the actors and their calls, live.

    Keys: arrows select an actor, Tab leads to its calls. c cancels the selected call, i interrupts the actor, k ends it
    after a question, s shows its stack, l its log. / filters, o takes the next order, r turns it round, q quits. If the
    node goes, its last state stays with its age, and the next node is shown when it comes.

    Exit status 0, 2 without a terminal, and 3 if no node runs.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise click.UsageError("top needs a terminal with a cursor; `nbactors list` shows the same once.")
    if not wait and node_status(with_actors=False) is None:
        outcome.no_node(False, "so there is nothing to watch; --wait waits for one.")
    try:
        from nbactors.cli.top.app import TopApp  # noqa: PLC0415 - textual takes long, and may be missing
    except ImportError as error:
        install = f'{sys.executable} -m pip install "nbactors[cli]"'
        raise click.ClickException(f"top needs {error.name or 'textual'}, which is not installed: {install}") from None
    from nbactors.cli.top.reader import Reader  # noqa: PLC0415 - psutil is needed for top only

    app = TopApp(Reader())
    app.run()
    if app.failure is not None:
        raise app.failure
    if app.return_code:
        raise click.exceptions.Exit(app.return_code)
    raise click.exceptions.Exit(exit_codes.DONE)
