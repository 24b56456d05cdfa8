"""The command `nbactors stack`."""

from __future__ import annotations

import click

from nbactors.cli import actor_choice, clusters, outcome
from nbactors.util.state import stack as stack_of


@click.command()
@click.argument("actors", nargs=-1, required=True, metavar="ACTOR...", shell_complete=actor_choice.complete)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for an actor's answer.",
)
@actor_choice.namespace_option
@outcome.json_option
@clusters.option
def stack(actors: tuple[str, ...], timeout: float, namespace: str | None, as_json: bool, address: str | None) -> None:
    """Show what each ACTOR does now: its calls, the frames of user code, other threads, asyncio tasks.

    ACTOR is a name, a process id, or the beginning of an actor's id, as `nbactors list` shows them. The actor goes on
    meanwhile, and answers even while a method blocks. On a cluster it answers while a session lives that has called it.

    Exit status 0, 1 if an actor is unknown or does not answer, and 3 if no node runs.
    """
    if address is None:
        chosen, problems = actor_choice.find_all(actors, actor_choice.living(as_json), namespace)
        answers, silent = actor_choice.ask_each(chosen, lambda actor_id: stack_of(actor_id, timeout))
    else:
        with clusters.visit(address) as visit:
            living = {row["actor_id"]: row for row in visit.actors() if row["state"] != "DEAD"}
            chosen, problems = actor_choice.find_all(actors, [*living.values()], namespace)
            answers, silent = actor_choice.ask_each(chosen, lambda actor_id: visit.stack(living[actor_id], timeout))
    problems += silent
    if as_json:
        stacks = [{**actor_choice.shown(row), "stack": text} for row, text in answers]
        outcome.emit({"actors": stacks, "errors": problems})
    else:
        texts = [text.rstrip("\n") for _, text in answers]
        if len(actors) > 1:
            texts = [f"== {actor_choice.label(row)}\n{text.rstrip()}" for row, text in answers]
        if texts:
            click.echo("\n\n".join(texts))
    outcome.fail(problems)
