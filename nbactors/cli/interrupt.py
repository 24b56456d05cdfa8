"""The command `nbactors interrupt`."""

from __future__ import annotations

import click

from nbactors.cli import actor_choice, outcome
from nbactors.util.calls import interrupt_actor


@click.command()
@click.argument("actors", nargs=-1, metavar="ACTOR...", shell_complete=actor_choice.complete)
@click.option("--all", "everything", is_flag=True, help="Interrupt all actors of all programs and notebooks.")
@actor_choice.namespace_option
@outcome.json_option
def interrupt(actors: tuple[str, ...], everything: bool, namespace: str | None, as_json: bool) -> None:
    """Interrupt every call that runs in each ACTOR, as Ctrl-C does; the actors live on.

    ACTOR is a name, a process id, or the beginning of an actor's id, as `nbactors list` shows them. Methods get
    KeyboardInterrupt, `async def` methods are cancelled, and the callers get TaskCancelledError. Calls that wait stay,
    and run next. Any program or notebook of this user may have made the calls, and may be busy.

    Exit status 0, also if nothing runs in an actor, 1 if an actor is unknown or does not answer, and 3 if no node runs.
    """
    if bool(actors) == everything:
        raise click.UsageError("Give the actors, or --all.")
    rows = actor_choice.living(as_json)
    if everything:
        chosen, problems = [row for row in rows if row["pid"]], list[str]()
    else:
        chosen, problems = actor_choice.find_all(actors, rows, namespace)
    answers, silent = actor_choice.ask_each(chosen, interrupt_actor)
    problems += silent
    if as_json:
        done = [{**actor_choice.shown(row), "interrupted": count} for row, count in answers]
        outcome.emit({"actors": done, "errors": problems})
    else:
        for row, count in answers:
            if count or not everything:
                calls = "nothing runs" if not count else f"{count} call{'s' if count > 1 else ''} interrupted"
                click.echo(f"{actor_choice.label(row)}: {calls}")
        if everything and not problems and not any(count for _, count in answers):
            click.echo("Nothing runs in any actor.")
    outcome.fail(problems)
