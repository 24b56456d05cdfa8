"""The command `nbactors profile`."""

from __future__ import annotations

import click

from nbactors.cli import actor_choice, outcome
from nbactors.util import profiling
from nbactors.util.files import text_file

_FOLDED = (".folded", ".txt")


@click.command()
@click.argument("actor", shell_complete=actor_choice.complete)
@click.option(
    "-s",
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=profiling.MAX_SECONDS),
    default=5.0,
    show_default=True,
    help="Sample so long.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True, max=profiling.MAX_SECONDS),
    default=0.01,
    show_default=True,
    metavar="SECONDS",
    help="Time between two samples.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, writable=True),
    help="Write a flame graph here: .html, .svg, or .folded for other tools.",
)
@actor_choice.namespace_option
@outcome.json_option
def profile(
    actor: str, seconds: float, interval: float, path: str | None, namespace: str | None, as_json: bool
) -> None:
    """Sample what ACTOR does, and show where its time goes. The actor goes on, and needs no debugger for that.

    ACTOR is a name, a process id, or the beginning of an actor's id, as `nbactors list` shows them. Prints the
    functions that took most of the time. The samples are of time, not of work: a call that waits counts, too.

    Exit status 0, 1 if the actor is unknown or does not answer, or the file cannot be written, and 3 if no node runs.
    """
    if path is not None:
        text_file.check_folder(path)
    row = actor_choice.find_one(actor, namespace, as_json)
    try:
        found = profiling.profile(row["actor_id"], seconds, interval=interval)
    except actor_choice.ERRORS as error:
        raise click.ClickException(f"{actor_choice.label(row)}: {error}") from None
    if path is not None:
        _save(found, path)
    if as_json:
        stacks = [{"stack": frames, "samples": count} for frames, count in found.stacks]
        facts = {"seconds": found.seconds, "samples": found.samples, "stacks": stacks, "path": path}
        outcome.emit({**actor_choice.shown(row), **facts})
    else:
        click.echo(repr(found))
        if path is not None:
            click.echo(f"Written to {path}.")


def _save(found: profiling.Profile, path: str) -> None:
    if path.endswith(_FOLDED):
        text_file.write(path, found.folded() + "\n")
    else:
        found.save(path)
