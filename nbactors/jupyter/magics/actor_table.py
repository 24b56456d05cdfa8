"""The table of actors that `%actors` shows, as text and as static HTML."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from nbactors.exceptions.source_lines import raised
from nbactors.views import actor_cells, html

_HEADS = ("name", "variable", "class", "state", "pid", "runs", "calls here", "up", "memory", "holds", "namespace")
_MEBIBYTE = 1 << 20
_WIDEST = 60


class Roster:
    """A snapshot of actors, which shows as a table.

    Attributes:
        rows: The rows of `nbactors.util.state.list_actors(detail=True)`.
    """

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        calls: Sequence[dict[str, Any]],
        variables: Mapping[str, str],
        unread: Mapping[str, int],
        empty: str,
        tasks: Sequence[dict[str, Any]] = (),
        own_namespace: str = "",
    ) -> None:
        """Take the snapshot. Reading the facts of a process takes about a millisecond.

        Args:
            rows: The actors.
            calls: This process's pending calls, as of `nbactors.util.calls.pending_calls`.
            variables: The names of variables that hold a handle, by the actor's id.
            unread: The numbers of failed calls whose errors no code has read, by the actor's id.
            empty: The text that stands for an empty table.
            tasks: The calls that run, as of `nbactors.util.state.list_tasks`.
            own_namespace: The session's, which is not shown: in a notebook it is often a long path.
        """
        self.rows = list(rows)
        self._empty = empty
        waiting = Counter(call["actor_id"] for call in calls if not call["sent"])
        pending = Counter(call["actor_id"] for call in calls)
        running = _running(tasks)
        self._cells = [
            _cells(
                row,
                variables.get(row["actor_id"], ""),
                running.get(row["actor_id"], ""),
                pending[row["actor_id"]],
                waiting[row["actor_id"]],
                unread.get(row["actor_id"], 0),
                own_namespace,
            )
            for row in rows
        ]
        # Empty columns are left out.
        kept = [index for index in range(len(_HEADS)) if any(cells[index] for cells in self._cells)]
        self._heads = [_HEADS[index] for index in kept]
        self._cells = [[cells[index] for index in kept] for cells in self._cells]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return self._empty
        lines = [[_cut(cell) for cell in line] for line in (self._heads, *self._cells)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{html.escaped(self._empty)}</p>"
        return html.table(self._heads, self._cells)


def _cut(text: str) -> str:
    """Return the text of a cell, shortened. Only the table of text is: HTML has all of it."""
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _running(tasks: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the names of the methods that each actor runs, with the number of their calls if there are several."""
    counts: dict[str, Counter[str]] = {}
    for task in tasks:
        if task["state"].startswith("RUNNING") and task["actor_id"]:
            method = task["name"].rpartition(".")[2]
            counts.setdefault(task["actor_id"], Counter())[method] += 1
    return {
        actor_id: ", ".join(f"{name} ({count})" if count > 1 else name for name, count in found.items())
        for actor_id, found in counts.items()
    }


def _cells(
    row: dict[str, Any], variable: str, running: str, pending: int, waiting: int, unread: int, own: str
) -> list[str]:
    """Return the cells of an actor's row, in the order of the heads."""
    is_readable = row["state"] == "ALIVE" and row.get("is_here", True)
    up, memory = _process(row["pid"]) if is_readable else ("", "")
    state = actor_cells.state_and_lifetime(row)
    if row["state"] == "DEAD" and row["death_cause"]:
        state += f": {raised(row['death_cause'].strip()).rstrip('.')}"
    calls = (f"{pending}" + (f" ({waiting} waiting)" if waiting else "")) if pending else ""
    calls = ", ".join(part for part in (calls, f"{unread} failed, not read" if unread else "") if part)
    namespace = row["ray_namespace"] if row["name"] and row["ray_namespace"] != own else ""
    return [
        # The beginning of its id stands for an actor without a name. `nbactors logs` takes it, too.
        row["name"] or row["actor_id"][:12],
        variable,
        row["class_name"],
        state,
        str(row["pid"] or ""),
        running,
        calls,
        up,
        memory,
        actor_cells.resources(row),
        namespace,
    ]


def _process(pid: int) -> tuple[str, str]:
    """Return an actor's time since its start, and its memory."""
    try:
        process = psutil.Process(pid)
        up = time.time() - process.create_time()
        memory = process.memory_full_info()
    except psutil.Error:  # the process is ending, or the system denies access
        return "", ""
    own = getattr(memory, "uss", memory.rss)
    return _span(up), f"{own / _MEBIBYTE:.1f} MiB (RSS {memory.rss / _MEBIBYTE:.0f})"


def _span(seconds: float) -> str:
    """Return a span of time in its largest fitting unit."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if minutes < 60 else f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
