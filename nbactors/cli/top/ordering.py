"""The rows of the view: which ones, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nbactors.cli.top.board import ActorLine


class Usage(NamedTuple):
    """What a process uses: its share of one CPU, 0.5 for a half, and its memory in bytes."""

    cpu: float
    memory: int


NOTHING = Usage(0.0, 0)

Key = Callable[[ActorLine, Usage], Any]

ORDERS: dict[str, Key] = {
    "created": lambda line, usage: line.number,
    "name": lambda line, usage: line.name.lower(),
    "class": lambda line, usage: line.class_name.lower(),
    "state": lambda line, usage: (line.rank, line.does),
    "time": lambda line, usage: line.since or float("inf"),
    "calls": lambda line, usage: -(line.running + line.waiting),
    "cpu": lambda line, usage: -round(usage.cpu, 2),
    "memory": lambda line, usage: -usage.memory,
}
"""Orders by their names, as the headings have them. The first is the one at the start: no row moves in it."""


def arranged(
    lines: Sequence[ActorLine], usages: Mapping[int, Usage], order: str, is_reversed: bool, text: str
) -> list[ActorLine]:
    """Return the lines that a filter lets through, in order. Equal ones stay in the order of creation.

    Args:
        lines: All lines, in the order of creation.
        usages: What is known of processes, by their pids.
        order: A key of `ORDERS`.
        is_reversed: The other way round.
        text: Words that a line must contain, in any case and any column; empty for all lines.
    """
    words = text.lower().split()
    kept = [line for line in lines if all(word in _searched(line) for word in words)] if words else list(lines)
    key = ORDERS[order]
    return sorted(kept, key=lambda line: key(line, usages.get(line.pid, NOTHING)), reverse=is_reversed)


def _searched(line: ActorLine) -> str:
    detached = "detached" if line.is_detached else ""
    return f"{line.name} {line.class_name} {line.does} {line.namespace} {line.actor_id} {line.pid} {detached}".lower()
