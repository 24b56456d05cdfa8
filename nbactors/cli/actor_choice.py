"""Which actor a text of the user stands for, with its completion in the shell. Starts no node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from nbactors.cli import outcome, table
from nbactors.exceptions import NodeMissingError, RayError
from nbactors.util.state import MANY, list_actors, node_status

T = TypeVar("T")
Row = Mapping[str, Any]

LEAST = 4
"""The least digits of an actor's id that stand for it."""

_AT_ONCE = 16
"""The most actors that are asked at the same time: those that do not answer cost the time limit once."""

_COMPLETION_S = 2.0
"""Seconds that a shell waits for the node at most."""

ERRORS = (ValueError, TimeoutError, NodeMissingError, RayError)
"""What the functions of `nbactors.util` raise for an actor that cannot be asked."""


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names and ids of living actors that begin so. Called by click. A shell shows no error."""
    try:
        rows = [row for row in list_actors(limit=MANY, timeout=_COMPLETION_S) if row["state"] != "DEAD"]
    except Exception:  # noqa: BLE001 - a traceback in the middle of a command line helps nobody
        return []
    words = [(row["name"] or row["actor_id"][:12], row["class_name"]) for row in rows]
    if incomplete:
        words += [(row["actor_id"], row["class_name"]) for row in rows if row["name"]]
    return [CompletionItem(word, help=kind) for word, kind in words if word.startswith(incomplete)]


def option_of_namespace(*names: str) -> Callable[[Any], Any]:
    """Return the decorator of a command that adds the option with these names."""
    text = "Only actors of this namespace, where several have the same name."
    return click.option(*names, metavar="NAMESPACE", help=text)


namespace_option = option_of_namespace("-n", "--namespace")


def label(row: Row) -> str:
    """Return what people call an actor: its class, and its name or the beginning of its id."""
    return f"{row['class_name']} {row['name'] or row['actor_id'][:12]}"


def living(as_json: bool) -> list[Row]:
    """Return the rows of the living actors; end the command if there is none."""
    rows: list[Row] = [row for row in list_actors(limit=MANY) if row["state"] != "DEAD"]
    if not rows:
        if node_status(with_actors=False) is None:
            outcome.no_node(as_json, "so no actor does.")
        raise click.ClickException("No actor lives.")
    return rows


def find(text: str, actors: Sequence[Row], namespace: str | None = None) -> Row:
    """Return the living actor that an id, a name, a process id or the beginning of an id stands for, in this order.

    Args:
        text: What the user has given.
        actors: Rows of `list_actors`.
        namespace: Only actors of this namespace; None for all.

    Raises:
        ValueError: No actor or several actors match; the text lists those.
    """
    if namespace is not None:
        actors = [row for row in actors if row["ray_namespace"] == namespace]
    found = (
        [row for row in actors if row["actor_id"] == text.lower()]
        or [row for row in actors if row["name"] == text]
        or [row for row in actors if row["pid"] and str(row["pid"]) == text]
        or [row for row in actors if len(text) >= LEAST and row["actor_id"].startswith(text.lower())]
    )
    if not found:
        raise ValueError(f"no living actor is called {text!r}{place(namespace)}; `nbactors list` shows those that live")
    if len(found) > 1:
        raise ValueError(
            f"several actors are called {text!r}; give the id of one in place of {text!r}, or its namespace as "
            f"`-n NAMESPACE`:\n{listing(found)}"
        )
    return found[0]


def place(namespace: str | None) -> str:
    """Return where actors were looked for; empty for all namespaces."""
    return f" in the namespace {namespace!r}" if namespace is not None else ""


def listing(rows: Sequence[Row]) -> str:
    """Return a table of actors that tells them apart: what the user is to give, ids and namespaces, is whole."""
    cells = [("ACTOR ID", "NAMESPACE", "PID", "CLASS", "NAME")]
    cells += [
        (row["actor_id"], row["ray_namespace"], str(row["pid"] or "-"), row["class_name"], row["name"] or "-")
        for row in rows
    ]
    return "\n".join(f"  {line}" for line in table.lines(cells, table.terminal_width() - 2, 2))


def find_one(text: str, namespace: str | None, as_json: bool) -> Row:
    """Return the living actor that a text stands for; end the command with a sentence if there is none."""
    try:
        return find(text, living(as_json), namespace)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def find_all(texts: Sequence[str], actors: Sequence[Row], namespace: str | None) -> tuple[list[Row], list[str]]:
    """Return the actors that the texts stand for, each once, and a text about each that stands for none."""
    found: dict[str, Row] = {}
    problems = []
    for text in texts:
        try:
            row = find(text, actors, namespace)
            found[row["actor_id"]] = row
        except ValueError as error:
            problems.append(str(error))
    return [*found.values()], problems


def ask_each(rows: Sequence[Row], ask: Callable[[str], T]) -> tuple[list[tuple[Row, T]], list[str]]:
    """Call `ask` with the id of each actor, in threads; return the answers and a text about each error."""

    def one(row: Row) -> tuple[T | None, str]:
        try:
            return ask(row["actor_id"]), ""
        except ERRORS as error:
            return None, f"{label(row)}: {error}"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(one, rows))
    answers: list[tuple[Row, Any]] = [
        (row, answer) for row, (answer, problem) in zip(rows, outcomes, strict=True) if not problem
    ]
    return answers, [problem for _, problem in outcomes if problem]


def shown(row: Row) -> dict[str, Any]:
    """Return the columns by which a JSON document names an actor."""
    return {key: row[key] for key in ("actor_id", "class_name", "name", "ray_namespace", "pid")}
